"""Speculative decoding: accept drafted tokens such that the output follows the target."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    aligned,
    device_of,
    ignore_fp_errors,
    index_along,
    index_dtype,
    is_foreign,
    is_traced,
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
@explained
def verify(
    draft_tokens: ArrayLike,
    draft: Categorical,
    target: Categorical,
    *,
    parents: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    rng: Rngs = None,
) -> tuple[Any, Any]:
    r"""How many drafted tokens the target accepts, and the token that follows them.

    From left to right, a token x drawn from the draft p is accepted with probability

    .. math:: \min(1, q(x) / p(x)),

    where q is the target at the same position. At the first rejection, the next token is drawn from
    the residual :math:`(q - p)_+`; if all are accepted, from the last target. So every output token
    has exactly the target's distribution, whatever the draft is.

    With ``parents`` there are several drafts of a position, and the tokens are the nodes of a tree.
    After a rejection the residual takes the place of q, and the next sibling is tried; a node's
    first accepted child is the next node. The next token is drawn from the residual of q after the
    last child, or from the target of a node without children.

    Parameters
    ----------
    draft_tokens : integers, shape (..., n)
        Drawn from ``draft``; n may be 0.
    draft : Categorical
        With batch shape (..., n). For siblings, row i is the distribution of token i given those
        before it, and the same distribution again for independent draws, without their tokens
        (:meth:`Categorical.masked`) for draws without replacement.
    target : Categorical
        With batch shape (..., n + 1), over the same tokens: first for the token after the text,
        then for the one after each drafted token and its ancestors.
    parents : n integers, optional
        The node that each token follows: -1, the text so far, or the number of an earlier token.
        One tree for all rows; the chain -1, 0, 1, ... by default.
    lengths : integers, shape (...), optional
        How many tokens of each row are a draft, from 0 to n; all by default. Beyond them the three
        other arguments are padding, with any ids and any distributions; a row whose m tokens are
        all accepted continues with its target at index m.
    rng
        As for :meth:`Categorical.sample`, except Keyed. The noise is independent of what ``sample``
        draws from the same seed.

    Returns
    -------
    accepted : integers, shape (...)
        From 0 to n, or to the row's length. In a tree, 0, or 1 + the number of the last accepted
        node, which is accepted with all its ancestors: the row of ``target`` that was reached.
    next_token : integers, shape (...)

    Raises
    ------
    ValueError
        For shapes that do not match, lengths outside 0 to n, parents that do not come before their
        children, or tokens with probability 0 under the draft.
    TypeError
        For arguments of the wrong type.

    Notes
    -----
    If all tokens before it are accepted, a token without siblings is accepted with probability
    1 - TV(p, q); :func:`expected_accepted` says how many are.

    References
    ----------
    Leviathan, Kalman & Matias (2023), https://arxiv.org/abs/2211.17192; Chen et al. (2023),
    https://arxiv.org/abs/2302.01318. Trees: Miao et al. (2023), https://arxiv.org/abs/2305.09781;
    without replacement: Jeon et al. (2024), https://arxiv.org/abs/2402.14160.

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
    >>> verify([2, 0], draft, target, parents=[-1, -1], rng=0)    # two drafts of the first token
    (np.int64(1), np.int64(2))
    """
    tree = _tree(draft_tokens, draft, target, parents, lengths)
    q, xp, n = tree.target, tree.target.xp, len(tree.parents)
    like = seen_last(q.like, tree.tokens, tree.draft.like)
    first, second = source_of(rng, xp, like, q.batch_shape[:-1]).streams(Tag.VERIFICATION, 2)
    if n == 0:  # and no length can be another
        drawn = sampling.sample_from(indexed(q, (..., 0)), (), second)
        accepted = xp.sum(tree.tokens, axis=-1)
        return unwrap(xp.where(drawn < 0, -xp.ones_like(accepted), accepted)), drawn
    # An exponential wait exceeds log p - log q with probability min(1, q/p).
    wait = xp.exp(0 - first.gumbels((), (n,)))
    accepted, following = _ended(tree, wait >= tree.log_ratio)
    drawn = sampling.sample_from(following, (), second)
    accepted = xp.astype(accepted, index_dtype(xp))
    if xp is not np:  # what would be an error if it were not hidden
        accepted, drawn = (xp.where(tree.wrong, -xp.ones_like(i), i) for i in (accepted, drawn))
    return unwrap(accepted), drawn


@ignore_fp_errors
@explained
def expected_accepted(
    draft_tokens: ArrayLike,
    draft: Categorical,
    target: Categorical,
    *,
    parents: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> Any:
    r"""How many drafted tokens :func:`verify` accepts on average, given the draft.

    .. math:: \sum_i P(\text{token } i \text{ is accepted})

    over the randomness of the verification. Its mean over drafts is what a drafting scheme gains
    for each call of the target, which gives one token more.

    Parameters
    ----------
    draft_tokens, draft, target, parents, lengths
        As for :func:`verify`.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError, TypeError
        As :func:`verify`.

    References
    ----------
    Leviathan, Kalman & Matias (2023), https://arxiv.org/abs/2211.17192.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import expected_accepted
    >>> draft = Categorical.from_weights([[4, 4, 2], [4, 4, 2]])
    >>> target = Categorical.from_weights([[2, 2, 6], [1, 1, 1], [1, 1, 1]])
    >>> float(expected_accepted([0], draft[:1], target[:2]).round(3))    # one draft, and two
    0.5
    >>> float(expected_accepted([0, 1], draft, target, parents=[-1, -1]).round(3))
    0.5
    >>> float(expected_accepted([0, 2], draft, target, parents=[-1, -1]).round(3))
    1.0
    """
    tree = _tree(draft_tokens, draft, target, parents, lengths)
    xp, n = tree.target.xp, len(tree.parents)
    some = log_probs(tree.target)[..., 0, 0]
    total = xp.zeros_like(some)
    left = [xp.ones_like(some)]  # how likely each node is reached, and none of its children yet
    for i in range(n):
        ratio = tree.log_ratio[..., i]
        rate = xp.exp(xp.where(ratio > 0, 0 - ratio, xp.zeros_like(ratio)))
        rate = xp.where(tree.drafted[..., i], rate, xp.zeros_like(rate))
        up = tree.parents[i] + 1
        left.append(left[up] * rate)
        left[up] = left[up] * (1 - rate)
        total = total + left[-1]
    if xp is not np and n:
        total = xp.where(tree.wrong, math.nan, total)
    return unwrap(total)


class _Tree(NamedTuple):
    """A draft, and what its tokens are compared with."""

    draft: State
    target: State
    parents: list[int]
    tokens: Any  # (…, n)
    drafted: Any  # where they are a draft, and no padding
    laws: Any  # (…, m, K): the target's rows, and what is left of them after rejections
    tested: list[int]  # the row that each node is tested against
    log_ratio: Any  # (…, n), log p - log q there
    wrong: Any  # (…), what would be an error if it were not hidden


def _tree(
    draft_tokens: ArrayLike,
    draft: Categorical,
    target: Categorical,
    parents: ArrayLike | None,
    lengths: ArrayLike | None,
) -> _Tree:
    """The arguments, after all checks."""
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
    above = _checked_parents(parents, n)
    length: Any = n
    drafted: Any = None
    if lengths is not None:
        length = _per_row(lengths, n, q)
        drafted = index_along(length[..., None], xp, n) < length[..., None]
        draft_tokens = _without_padding(draft_tokens, drafted, xp, q.like)
    x = checks.category(draft_tokens, xp, q.like, q.num_categories, "draft_tokens")
    if tuple(x.shape) != (*batch, n):
        raise ValueError(f"draft_tokens must have shape {(*batch, n)}, got {tuple(x.shape)}")
    if drafted is None:
        drafted = xp.ones_like(x, dtype=xp.bool)
    if n == 0:
        return _Tree(p, q, above, x, drafted, None, [], None, False)
    log_p = log_prob(p, x)
    impossible = drafted & (log_p == -math.inf)
    if checks.any_of(impossible):
        raise ValueError(
            "draft_tokens must have a probability above 0 under draft, "
            f"got one with p = 0{checks.in_row(impossible)}"
        )
    laws, tested = _laws(p, q, above)
    every = xp.asarray(tested, device=device_of(x)) * q.num_categories
    index = aligned(xp, every, x)[0] + xp.where(x < 0, xp.zeros_like(x), x)
    flat = xp.reshape(laws, (*batch, laws.shape[-2] * laws.shape[-1]))
    log_q = xp.take_along_axis(flat, index, axis=-1)
    wrong: Any = False
    if xp is not np:
        wrong = xp.any(impossible | (drafted & xp.isnan(log_p)), axis=-1)
        for given in (p, q):
            bad = xp.broadcast_to(bad_rows(given)[..., 0], given.batch_shape)
            wrong = wrong | xp.any(bad, axis=-1)
        if lengths is not None:
            wrong = wrong | (length < 0) | (length > n)
    return _Tree(p, q, above, x, drafted, laws, tested, log_p - log_q, wrong)


def _checked_parents(parents: Any, n: int) -> list[int]:
    """The parent of each of n nodes."""
    if parents is None:
        return list(range(-1, n - 1))
    if is_traced(parents):
        raise TypeError("parents must be known, got a traced array")
    parents = to_numpy(parents) if is_foreign(parents) else parents
    given = parents.tolist() if isinstance(parents, np.ndarray) else parents
    found = list(given) if hasattr(given, "__iter__") else None
    if found is None or not all(
        isinstance(x, int | np.integer) and type(x) is not bool for x in found
    ):
        raise TypeError(f"parents must be integers, one per token, got {parents!r}")
    if len(found) != n:
        raise ValueError(f"parents must have shape ({n},), one per token, got ({len(found)},)")
    for node, parent in enumerate(found):
        if not -1 <= parent < node:
            raise ValueError(
                f"parents must be -1 or the number of an earlier token, got {parent} of {node}"
            )
    return found


def _laws(p: State, q: State, parents: list[int]) -> tuple[Any, list[int]]:
    """Log-probabilities that tokens are tested against, (…, m, K), and the row of each token.

    The first child of a node has the node's target, the next what is left of that after it.
    """
    xp, laws, log_p = q.xp, log_probs(q), log_probs(p)
    latest: dict[int, int] = {}
    earlier = [-1] * len(parents)  # the sibling before
    for i, parent in enumerate(parents):
        earlier[i] = latest.get(parent, -1)
        latest[parent] = i
    tested = [parent + 1 for parent in parents]
    before = {i for i, sibling in enumerate(earlier) if sibling < 0}
    while nodes := [i for i, sibling in enumerate(earlier) if sibling in before]:
        siblings = [earlier[i] for i in nodes]
        own = _rows(laws, [tested[i] for i in siblings], xp)
        left = log_probs(residual_of(_checked(own), _checked(_rows(log_p, siblings, xp))))
        for i, node in enumerate(nodes):
            tested[node] = laws.shape[-2] + i
        laws, before = xp.concat([laws, left], axis=-2), set(nodes)
    return laws, tested


def _ended(tree: _Tree, passed: Any) -> tuple[Any, State]:
    """The row of the target that is reached, and the distribution of the next token.

    From which tokens would pass the test if they came to it, (…, n).
    """
    xp, last_node = tree.target.xp, len(tree.parents) - 1
    reached = row = xp.zeros_like(tree.tokens[..., 0])
    rejected = row - 1  # the last child of the node reached, -1 before any
    for i, parent in enumerate(tree.parents):
        here = tree.drafted[..., i] & (reached == parent + 1)
        on, off = here & passed[..., i], here & ~passed[..., i]
        reached = xp.where(on, i + 1, reached)
        row = xp.where(on, i + 1, xp.where(off, tree.tested[i], row))
        rejected = xp.where(on, -1, xp.where(off, i, rejected))
    own = _at(tree.laws, row[..., None, None], xp)
    place = xp.where(rejected < 0, last_node, rejected)[..., None, None]
    other = _at(log_probs(tree.draft), place, xp)
    rest = log_probs(residual_of(_checked(own), _checked(other)))
    return reached, _checked(xp.where((rejected < 0)[..., None], own, rest))


def _per_row(lengths: ArrayLike, n: int, target: State) -> Any:
    """The length of the draft of each row."""
    batch = target.batch_shape[:-1]
    found = checks.category(lengths, target.xp, target.like, n + 1, "lengths")
    checks.check_fits_within(tuple(found.shape), batch, "lengths")
    return target.xp.broadcast_to(found, batch)


def _without_padding(tokens: Any, drafted: Any, xp: Any, like: Any) -> Any:
    """The drafted tokens, and 0 beyond them; errors are left to what checks them."""
    if not is_foreign(tokens):
        tokens = np.asarray(tokens)
    if tuple(tokens.shape) != tuple(drafted.shape):
        return tokens
    tokens = to_namespace(to_numpy(tokens) if xp is np else tokens, xp, like)
    return xp.where(drafted, tokens, xp.zeros_like(tokens))


def _checked(logits: Any) -> State:
    return checked_state(logits, copy=True)


def _rows(x: Any, index: list[int], xp: Any) -> Any:
    return xp.take(x, xp.asarray(index, device=device_of(x)), axis=-2)


def _at(x: Any, place: Any, xp: Any) -> Any:
    """x, (…, m, K), at one index of its second-to-last axis: (…, K)."""
    wide = xp.broadcast_to(place, (*place.shape[:-1], x.shape[-1]))
    return xp.take_along_axis(x, wide, axis=-2)[..., 0, :]
