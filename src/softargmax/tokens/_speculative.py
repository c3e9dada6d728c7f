"""Speculative decoding: accept drafted tokens such that the output follows the target."""

import math
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    ArrayLike,
    ignore_fp_errors,
    index_along,
    index_dtype,
    is_foreign,
    running_sum,
    seen_last,
    to_namespace,
    to_numpy,
    unwrap,
)
from softargmax._core import sampling
from softargmax._core.formula import bad_rows
from softargmax._core.information import log_prob, log_probs
from softargmax._core.inputs import checked_state
from softargmax._core.state import State
from softargmax._core.variants import indexed
from softargmax._random.sources import Rngs, source_of
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of
from softargmax.gumbel._coupling import residual_of


@ignore_fp_errors
def verify(
    draft_tokens: ArrayLike,
    draft: Categorical,
    target: Categorical,
    *,
    lengths: ArrayLike | None = None,
    rng: Rngs = None,
) -> tuple[Any, Any]:
    r"""How many drafted tokens the target accepts, and the token that follows them.

    From left to right, a token x drawn from the draft p is accepted with probability

    .. math:: \min(1, q(x) / p(x)),

    where q is the target at the same position. At the first rejection, the next token is drawn from
    the residual :math:`(q - p)_+`; if all are accepted, from the last target. So every output token
    has exactly the target's distribution, whatever the draft is.

    Parameters
    ----------
    draft_tokens : integers, shape (..., n)
        Drawn from ``draft``; n may be 0.
    draft : Categorical
        With batch shape (..., n).
    target : Categorical
        With batch shape (..., n + 1), over the same tokens.
    lengths : integers, shape (...), optional
        How many tokens of each row are a draft, from 0 to n; all by default. What stands beyond
        them in the three others is padding, tokens of any id and any distributions; a row whose m
        tokens are all accepted goes on with its target at place m.
    rng
        As for :meth:`Categorical.sample`, except Keyed. The noise is independent of what ``sample``
        draws from the same seed.

    Returns
    -------
    accepted : integers, shape (...)
        From 0 to n, or to the row's length.
    next_token : integers, shape (...)

    Raises
    ------
    ValueError
        For shapes that do not match, lengths outside 0 to n, or tokens with probability 0 under the
        draft.
    TypeError
        For arguments of the wrong type.

    Notes
    -----
    If all tokens before it are accepted, a token is accepted with probability 1 - TV(p, q).

    References
    ----------
    Leviathan, Kalman & Matias (2023), https://arxiv.org/abs/2211.17192; Chen et al. (2023),
    https://arxiv.org/abs/2302.01318.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import verify
    >>> draft = Categorical([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> target = Categorical([[1.0, 0.0, 0.0], [0.0, 0.0, 9.0], [0.0, 1.0, 0.0]])
    >>> accepted, next_token = verify(draft.sample(rng=0), draft, target, rng=0)
    >>> int(accepted), int(next_token)
    (1, 2)
    >>> verify([2, -1], draft, target, lengths=0, rng=0)[0]    # a row without a draft
    np.int64(0)
    """
    p, q = state_of(draft, "draft"), state_of(target, "target")
    xp = q.xp
    if p.xp is not xp:
        raise TypeError("draft must hold arrays of the same library as target")
    if p.num_categories != q.num_categories:
        raise ValueError(f"draft must have {q.num_categories} categories, got {p.num_categories}")
    if not q.batch_shape or q.batch_shape[-1] < 1:
        raise ValueError(f"target must have batch (..., n + 1), got {q.batch_shape}")
    batch, n = q.batch_shape[:-1], q.batch_shape[-1] - 1
    if p.batch_shape != (*batch, n):
        raise ValueError(
            f"draft must have batch {(*batch, n)}, one less than target, got {p.batch_shape}"
        )
    length: Any = n
    drafted: Any = True
    if lengths is not None:
        length = _per_row(lengths, n, q)
        drafted = index_along(length[..., None], xp, n) < length[..., None]
        draft_tokens = _without_padding(draft_tokens, drafted, xp, q.like)
    x = checks.category(draft_tokens, xp, q.like, q.num_categories, "draft_tokens")
    if tuple(x.shape) != (*batch, n):
        raise ValueError(f"draft_tokens must have shape {(*batch, n)}, got {tuple(x.shape)}")
    like = seen_last(q.like, x, p.like)
    first, second = source_of(rng, xp, like, batch).streams(Tag.VERIFICATION, 2)
    if n == 0:  # and no length can be another
        drawn = sampling.sample_from(indexed(q, (..., 0)), (), second)
        accepted = xp.sum(x, axis=-1)
        return unwrap(xp.where(drawn < 0, -xp.ones_like(accepted), accepted)), drawn
    log_p, log_q = log_prob(p, x), log_prob(indexed(q, (..., slice(n))), x)
    impossible = drafted & (log_p == -math.inf)
    if checks.any_of(impossible):
        raise ValueError(
            "draft_tokens must have a probability above 0 under draft, "
            f"got one with p = 0{checks.in_row(impossible)}"
        )
    # An exponential wait exceeds log p - log q with probability min(1, q/p).
    wait = xp.exp(0 - first.gumbels((), (n,)))
    rejected = xp.astype(~(drafted & (wait >= log_p - log_q)), index_dtype(xp))
    accepted = xp.sum(xp.astype(running_sum(rejected, xp) == 0, index_dtype(xp)), axis=-1)
    place = accepted[..., None, None]
    last = n - 1
    own = _at(log_probs(q), place, xp)
    other = _at(log_probs(p), xp.where(place > last, last * xp.ones_like(place), place), xp)
    rest = log_probs(residual_of(_checked(own), _checked(other)))
    following = _checked(xp.where((accepted == length)[..., None], own, rest))
    drawn = sampling.sample_from(following, (), second)
    accepted = xp.astype(accepted, index_dtype(xp))
    if xp is not np:  # what would be an error if it were not hidden
        wrong = xp.any(impossible | (drafted & xp.isnan(log_p)), axis=-1)
        for given in (p, q):
            bad = xp.broadcast_to(bad_rows(given)[..., 0], given.batch_shape)
            wrong = wrong | xp.any(bad, axis=-1)
        if lengths is not None:
            wrong = wrong | (length < 0) | (length > n)
        accepted, drawn = (xp.where(wrong, -xp.ones_like(i), i) for i in (accepted, drawn))
    return unwrap(accepted), drawn


def _per_row(lengths: ArrayLike, n: int, target: State) -> Any:
    """The length of the draft of each row."""
    batch = target.batch_shape[:-1]
    found = checks.category(lengths, target.xp, target.like, n + 1, "lengths")
    checks.check_fits_within(tuple(found.shape), batch, "lengths")
    return target.xp.broadcast_to(found, batch)


def _without_padding(tokens: ArrayLike, drafted: Any, xp: Any, like: Any) -> Any:
    """The drafted tokens, and 0 beyond them; errors are left to what checks them."""
    if not is_foreign(tokens):
        tokens = np.asarray(tokens)
    if tuple(tokens.shape) != tuple(drafted.shape):
        return tokens
    tokens = to_namespace(to_numpy(tokens) if xp is np else tokens, xp, like)
    return xp.where(drafted, tokens, xp.zeros_like(tokens))


def _checked(logits: Any) -> State:
    return checked_state(logits, copy=True)


def _at(x: Any, place: Any, xp: Any) -> Any:
    """x, (…, m, K), at one index of its second-to-last axis: (…, K)."""
    wide = xp.broadcast_to(place, (*place.shape[:-1], x.shape[-1]))
    return xp.take_along_axis(x, wide, axis=-2)[..., 0, :]
