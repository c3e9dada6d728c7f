"""Speculative decoding: accept drafted tokens so that the target's distribution comes out."""

import math
from typing import Any

from softargmax import _native
from softargmax._arrays import checks
from softargmax._arrays.namespaces import ArrayLike, index_dtype, quiet, unwrap
from softargmax._inputs import ONE, Inputs
from softargmax._noise import Rngs
from softargmax.categorical import Categorical
from softargmax.gumbel import residual


@quiet
def verify(
    draft_tokens: ArrayLike, draft: Categorical, target: Categorical, *, rng: Rngs = None
) -> tuple[Any, Any]:
    r"""How many drafted tokens the target accepts, and the token that follows them.

    From the left, a token x that was drawn from p is accepted with probability

    .. math:: \min(1, q(x) / p(x)),

    q being the target at its place. At the first that is not, the next token is drawn from the
    residual :math:`(q - p)_+`; after the last, from the last target. So every token that comes out
    has exactly the target's distribution, whatever the drafts are.

    Parameters
    ----------
    draft_tokens : integers, shape (..., n)
        Drawn from ``draft``; n may be 0.
    draft : Categorical
        Of batch (..., n).
    target : Categorical
        Of batch (..., n + 1), over the same tokens.
    rng
        As for :meth:`Categorical.sample`, one a row of a 1-d batch (...) if wanted. Its streams are
        its own: they share nothing with what ``sample`` draws from an equal seed.

    Returns
    -------
    accepted : integers, shape (...)
        From 0 to n.
    next_token : integers, shape (...)

    Raises
    ------
    ValueError
        For shapes that do not fit, or tokens that the draft cannot draw.
    TypeError
        For arguments that are none of these.

    Notes
    -----
    The next of n drafts is accepted with probability 1 - TV(p, q).

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
    """
    checks.check_instance(draft, Categorical, "draft")
    checks.check_instance(target, Categorical, "target")
    given, xp = target._given, target._given.xp
    if draft._given.xp is not xp:
        raise TypeError("draft must hold arrays of the same library as target")
    if draft.num_categories != target.num_categories:
        raise ValueError(
            f"draft must have {target.num_categories} categories, got {draft.num_categories}"
        )
    if not target.batch_shape or target.batch_shape[-1] < 1:
        raise ValueError(f"target must have batch (..., n + 1), got {target.batch_shape}")
    batch, n = target.batch_shape[:-1], target.batch_shape[-1] - 1
    if draft.batch_shape != (*batch, n):
        raise ValueError(
            f"draft must have batch {(*batch, n)}, one less than target, got {draft.batch_shape}"
        )
    x = checks.category(draft_tokens, xp, given.z, target.num_categories, "draft_tokens")
    if tuple(x.shape) != (*batch, n):
        raise ValueError(f"draft_tokens must have shape {(*batch, n)}, got {tuple(x.shape)}")
    # A batch of rows of n numbers: what the streams and the noise of acceptance belong to.
    blank = xp.zeros((*batch, max(n, 1)), dtype=given.z.dtype)
    rows = Inputs(xp, blank, blank, ONE, None, batch)
    first, second = _native.streams(rows, rng, _VERIFY, 2)
    if n == 0:
        return unwrap(xp.sum(x, axis=-1)), target[..., 0].sample(rng=second)
    log_p, log_q = draft.log_prob(x), target[..., :n].log_prob(x)
    impossible = log_p == -math.inf
    if checks.any_of(impossible):
        raise ValueError(
            "draft_tokens must have a probability above 0 under draft, "
            f"got one with p = 0{checks.in_row(impossible)}"
        )
    # An exponential wait is above log p - log q with probability min(1, q/p).
    wait = xp.exp(0 - _native.gumbels(rows, (), first))
    fine = xp.astype(wait >= log_p - log_q, index_dtype(xp))
    accepted = xp.sum(xp.cumulative_prod(fine, axis=-1), axis=-1)
    place = accepted[..., None, None]
    last = n - 1
    own = _at(target.log_probs, place, xp)
    other = _at(draft.log_probs, xp.where(place > last, last * xp.ones_like(place), place), xp)
    rest = residual(Categorical(own), Categorical(other)).log_probs
    following = Categorical(xp.where((accepted == n)[..., None], own, rest))
    return unwrap(xp.astype(accepted, index_dtype(xp))), following.sample(rng=second)


def _at(x: Any, place: Any, xp: Any) -> Any:
    """x (…, m, K) at a place of its second last axis, (…, K)."""
    wide = xp.broadcast_to(place, (*place.shape[:-1], x.shape[-1]))
    return xp.take_along_axis(x, wide, axis=-2)[..., 0, :]


_VERIFY = 0x76657269  # the tag of its streams
