"""Mixtures Σ wⱼ pⱼ and pools Π pⱼ^wⱼ of distributions, in logarithms.

The result has its log-probabilities as logits, at temperature 1 and without a prior; those of a
mixture sum to 1 up to rounding. It is sparse where all components go row by row: a mixture on their
union, a pool on what its positive weights have in common.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add, or_
from typing import Any

import numpy as np

from softargmax._arrays.checks import any_of, first_of, in_row
from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    Shape,
    aligned,
    detached,
    ignore_fp_errors,
    index_along,
    is_foreign,
    is_plain,
    namespace_of,
    to_namespace,
    to_numpy,
    widest_float,
)
from softargmax._core.information import log_probs, ranking
from softargmax._core.scored import Scored, lost, normalised, of_rows, scored
from softargmax._core.state import State, of_logits
from softargmax._core.thresholds import goes_row_by_row
from softargmax._core.variants import moved
from softargmax._rows.rows import Temperature

_FEW = 4096  # survivors whose union is found by sorting


@ignore_fp_errors
def mixed(states: Sequence[State], log_weights: Array) -> State:
    """Σ wⱼ pⱼ for logarithms of weights (…, m) whose sum is 1."""
    states, log_weights, batch = _together(states, log_weights)
    if _row_by_row(states, log_weights):
        rows = _rows(states, log_weights, batch, "log_probs")
        found = [_mixed_row(*row, states[0]) for row in rows]
        return of_rows(states[0], found, "mix", batch=batch).named(*states)
    xp, parts = states[0].xp, [log_probs(state) for state in states]
    logs = _columns(log_weights)
    terms = [log_p + xp.astype(log_w, log_p.dtype) for log_p, log_w in _pairs(parts, logs, xp)]
    total = reduce(lambda x, y: _log_sum(x, y, xp), terms)
    if xp is not np:
        bad = reduce(or_, aligned(xp, *map(xp.isnan, terms)))
        total = xp.where(bad, math.nan, total)
    return lost(of_logits(total, xp)).named(*states)


def _log_sum(x: Array, y: Array, xp: Namespace) -> Array:
    """log(e^x + e^y), either of which may be -inf, where no derivative passes."""
    if xp is np:  # a fraction of the time of np.logaddexp, which goes from number to number
        rest, top = x - y, np.maximum(x, y)
        np.abs(rest, out=rest)
        np.negative(rest, out=rest)
        np.log1p(np.exp(rest, out=rest), out=rest)
        rest += top
        return np.where(top > -math.inf, rest, top)
    x, y = aligned(xp, x, y)
    here, there = x > -math.inf, y > -math.inf
    zero = xp.zeros_like(x + y)
    both = xp.logaddexp(xp.where(here, x, zero), xp.where(there, y, zero))
    return xp.where(here & there, both, xp.where(here, x, y))


def _mixed_row(parts: Sequence[Scored], log_weights: list[float], like: State) -> Scored:
    """The scores of one row on the union of what its components have."""
    found = [
        (own, scores, scores.dtype.type(log_w))
        for (own, scores), log_w in zip(parts, log_weights, strict=True)
        if log_w > -math.inf
    ]
    own, scores, log_w = found[0]
    if len(found) == 1:
        return own, scores + log_w
    given = [own for own, *_ in found if own is not None]
    dtype = np.result_type(*(scores for _, scores, _ in found))
    if len(given) == len(found) and sum(map(len, given)) <= _FEW:
        indices = np.unique(np.concatenate(given))
        places = [indices.searchsorted(own) for own in given]
        total = np.full(len(indices), -math.inf, dtype)
    else:  # a union would sort them
        indices, total = None, np.full(like.num_categories, -math.inf, dtype)
        places = [slice(None) if own is None else own for own, *_ in found]
    total[places[0]] = scores + log_w
    for place, (_, scores, log_w) in zip(places[1:], found[1:], strict=True):
        total[place] = _log_sum(total[place], scores + log_w, np)
    return indices, total


@ignore_fp_errors
def log_sides(part: Array, xp: Namespace, like: Array | None) -> Array:
    """The logarithms of the weights 1 - part and part of two components, (…, 2)."""
    part = to_namespace(part, xp, like, widest_float(xp))
    sides = []
    for function, own in ((xp.log1p, 0 - part), (xp.log, part)):
        if xp is np:
            sides.append(function(own))
        else:  # no derivative passes where a weight is 0
            off, one = part == (1 if own is not part else 0), xp.ones_like(part)
            sides.append(xp.where(off, -math.inf, function(xp.where(off, one, own))))
    return xp.stack(sides, axis=-1)


# ---------------------------------------------------------------------------- pools


@ignore_fp_errors
def pooled(states: Sequence[State], weights: Array) -> State:
    """Π pⱼ^wⱼ, normalised, for finite weights (…, m) of either sign.

    The scores Σ wⱼ dⱼ are computed in units of the largest weight, so that no sum overflows.
    """
    states, weights, batch = _together(states, weights)
    xp = states[0].xp
    most = detached(xp.max(xp.abs(weights), axis=-1), xp)
    # A power of 2, by which nothing is rounded; and room for the sum.
    unit = 2.0 ** xp.floor(xp.log2(xp.where(most > 0, most, xp.ones_like(most))))
    room = 2.0 ** (len(states).bit_length() + 1)
    shares, coldness = weights / unit[..., None] / room, unit * room
    if _row_by_row(states, weights):
        found, heats = [], []
        each = np.broadcast_to(to_numpy(shares), (*batch, len(states))).reshape(-1, len(states))
        cold = np.broadcast_to(to_numpy(coldness), batch).ravel().tolist()
        for i, row in enumerate(_rows(states, weights, batch, "d")):
            row_of = np.arange(math.prod(batch)).reshape(batch) == i
            found.append(_pooled_row(*row, each[i].tolist(), states[0], row_of))
            heats.append(Temperature(cold[i], None))
        return of_rows(states[0], found, "pool", heats, batch).named(*states)
    parts = [ranking(state) for state in states]
    alive = [~(d == -math.inf) for d in parts]
    terms, dead, wrong = [], [], []
    for d, own, w, share in zip(parts, alive, _columns(weights), _columns(shares), strict=True):
        d, own, w, share = aligned(xp, d, own, w, xp.astype(share, d.dtype))
        terms.append(share * xp.where(own, d, xp.zeros_like(d)))
        dead.append(~own & (w > 0))
        wrong.append(~own & (w < 0))
    total, dead, wrong = (
        reduce(function, aligned(xp, *some))
        for function, some in ((add, terms), (or_, dead), (or_, wrong))
    )
    wrong, dead = aligned(xp, wrong & ~dead, dead)
    _check_negative(wrong)
    _check_common(~xp.all(dead, axis=-1))
    total, wrong, dead = aligned(xp, total, wrong, dead)
    total = xp.where(wrong, math.nan, xp.where(dead & ~xp.isnan(total), -math.inf, total))
    heat = Temperature(float(coldness) if xp is np and coldness.ndim == 0 else coldness, None)
    return normalised(total, heat).named(*states)


def _check_negative(wrong: Array) -> None:
    """Check that nothing has an infinite score."""
    if any_of(wrong):
        index = index_along(wrong, namespace_of(wrong))
        where = namespace_of(wrong).any(wrong, axis=-1)
        raise ValueError(
            "dists must not give p = 0 under negative weights alone, "
            f"got category {first_of(index + 0 * wrong, wrong):.0f}{in_row(where)}"
        )


def _check_common(some: Array) -> None:
    """Check that the components of positive weight have a category in common."""
    if any_of(~some):
        raise ValueError(
            "dists must have a category with p > 0 in common under positive weights, "
            f"got none{in_row(~some)}"
        )


def _pooled_row(
    parts: Sequence[Scored], weights: list[float], shares: list[float], like: State, row: Any
) -> Scored:
    """The scores of one row on the intersection of what has a positive weight."""
    indices = None
    for (own, scores), w in zip(parts, weights, strict=True):
        if w > 0 and not (own is None and scores.min() > -math.inf):
            alive = scores > -math.inf
            mine = np.flatnonzero(alive) if own is None else own[alive]
            both = mine if indices is None else np.intersect1d(indices, mine, assume_unique=True)
            indices = both
    if indices is not None:
        _check_common(np.where(row, bool(len(indices)), True))
    found = [
        (_scores_of(part, indices, like.num_categories), w, share)
        for part, w, share in zip(parts, weights, shares, strict=True)
        if w
    ]
    width = like.num_categories if indices is None else len(indices)
    terms = []
    for scores, w, share in found:
        if w < 0 and not scores.min() > -math.inf:
            wrong = np.zeros((*row.shape, like.num_categories), bool)
            lost = np.flatnonzero(scores == -math.inf)
            wrong[row, lost if indices is None else indices[lost]] = True
            _check_negative(wrong)
        terms.append(scores.dtype.type(share) * scores)
    return indices, reduce(add, terms) if terms else np.zeros(width, like.host().dtype)


def _scores_of(part: Scored, indices: Any, width: int) -> Any:
    """The scores of some categories, None for all; -inf where a category is not there."""
    own, scores = part
    if own is None:
        return scores if indices is None else scores[indices]
    wanted = np.arange(width) if indices is None else indices
    place = np.minimum(own.searchsorted(wanted), len(own) - 1)
    return np.where(own[place] == wanted, scores[place], -math.inf)


# ---------------------------------------------------------------------------- both


def _together(states: Sequence[State], weights: Array) -> tuple[list[State], Array, Shape]:
    """Components and weights in one library, and the batch to which they broadcast."""
    first = next((state.z for state in states if state.xp is not np), None)
    if first is not None or is_foreign(weights):
        like = weights if first is None else first
        states = [moved(state, like) if state.xp is np else state for state in states]
        if len({state.xp for state in states}) > 1:
            raise TypeError("dists must hold arrays of one library")
    xp = states[0].xp
    weights = to_namespace(weights, xp, states[0].like, widest_float(xp))
    batches = {*(state.batch_shape for state in states), tuple(weights.shape[:-1])}
    batch = np.broadcast_shapes(*batches) if len(batches) > 1 else batches.pop()
    return list(states), weights, batch


def _row_by_row(states: list[State], weights: Array) -> bool:
    return all(map(goes_row_by_row, states)) and is_plain(weights)


def _rows(
    states: list[State], numbers: Array, batch: Shape, name: str
) -> Iterator[tuple[list[Scored], list[float]]]:
    """The scores of each component and a number for each (…, m), row after row of the batch."""
    tables = [scored(state, name) for state in states]
    places = [
        np.broadcast_to(np.arange(len(table)).reshape(state.batch_shape), batch).ravel().tolist()
        for state, table in zip(states, tables, strict=True)
    ]
    each = np.broadcast_to(to_numpy(numbers), (*batch, len(states))).reshape(-1, len(states))
    for i, own in enumerate(each.tolist()):
        yield [table[place[i]] for table, place in zip(tables, places, strict=True)], own


def _columns(weights: Array) -> list[Array]:
    """The weights of each component, (…, 1)."""
    return [weights[..., j : j + 1] for j in range(weights.shape[-1])]


def _pairs(parts: list[Array], columns: list[Array], xp: Namespace) -> Iterator[tuple[Array, ...]]:
    return (aligned(xp, *pair) for pair in zip(parts, columns, strict=True))
