"""Probabilities + noise → parents: the six resampling schemes as functions of NumPy rows.

``p`` holds probabilities (rows, K) in float64. Each function returns the sorted parents, int64
(rows, n); a category of probability 0 is never a parent, whatever the noise. ``slack`` is the
relative tolerance within which np counts as an integer. Arrays of n or K numbers are reused, since
allocation costs more than the arithmetic: the noise is overwritten.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.blocks import BELOW_ONE
from softargmax._rows.engine import kernels
from softargmax._rows.inversion import cumulative
from softargmax._rows.memory import blocks

Way = TypeVar("Way", bound=Callable[..., Any])


def _or_kernels(way: Way) -> Way:
    """Where kernels serve, their function of the same name, with equal parents of equal noise."""

    @functools.wraps(way)
    def chosen(*args: Any) -> Any:
        fast = kernels()
        return (way if fast is None else getattr(fast.resampling, way.__name__))(*args)

    return cast("Way", chosen)


@_or_kernels
@ignore_fp_errors
def multinomial(p: Any, waits: Any) -> Any:
    """n independent draws, sorted; ``waits`` are exponentials (rows, n + 1).

    The first n arrival times of a Poisson process, divided by the next one, are sorted uniforms.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.resampling import multinomial
    >>> multinomial(np.array([[0.5, 0.0, 0.5]]), np.array([[1.0, 1.0, 3.0, 1.0]]))
    array([[0, 0, 2]])
    """
    times = np.cumsum(waits, axis=-1, out=waits)
    times /= times[:, -1:].copy()
    np.minimum(times[:, :-1], BELOW_ONE, out=times[:, :-1])
    return _parents(_merged(cumulative(p), times), waits.shape[-1] - 1)


@_or_kernels
@ignore_fp_errors
def stratified(p: Any, u: Any) -> Any:
    """One draw from each of n equal strata; ``u`` are uniforms (rows, n), positions within them.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.resampling import stratified
    >>> stratified(np.array([[0.4, 0.0, 0.6]]), np.array([[0.9, 0.0, 0.9, 0.9]]))
    array([[0, 0, 2, 2]])
    """
    n = u.shape[-1]
    level = cumulative(p)
    level *= n

    def reached(part: Any) -> Any:
        stratum = np.minimum(part.astype(np.int64), n - 1)
        part -= stratum
        return stratum + (np.take_along_axis(u, stratum, axis=-1) < part)

    return _parents(_replaced(level, reached), n)


@_or_kernels
@ignore_fp_errors
def systematic(p: Any, n: int, u: Any, slack: float) -> Any:
    """Equally spaced draws with one offset per row, ``u`` (rows, 1): ⌊np⌋ or ⌈np⌉ of each.

    The integer parts ⌊np⌋ are set aside first, so that rounding in long sums cannot affect them.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.resampling import systematic
    >>> p = np.array([[0.5, 0.0, 0.25, 0.25]])
    >>> [systematic(p, 2, np.array([[u]]), 1e-15).tolist() for u in (0.0, 0.6)]
    [[[0, 2]], [[0, 3]]]
    """
    whole, part, left = _split(p, n, slack)
    level = np.cumsum(part, axis=-1)
    level -= u
    reached = _replaced(level, lambda x: np.minimum(np.ceil(x, out=x).astype(np.int64), left))
    for row in np.flatnonzero(reached[:, -1] < left[:, 0]):  # rounding has lost one
        free = (part[row] > 0) & (np.diff(reached[row], prepend=0) == 0)
        reached[row, np.flatnonzero(free)[-1] :] += 1
    reached += np.cumsum(whole, axis=-1, out=whole)
    return _parents(reached, n)


@_or_kernels
@ignore_fp_errors
def residual(p: Any, n: int, waits: Callable[[int], Any], slack: float) -> Any:
    """⌊np⌋ of each, m more by independent draws; ``waits(m)`` are exponentials (rows, m + 1).

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.resampling import residual
    >>> residual(np.array([[0.5, 0.0, 0.5]]), 3, lambda m: np.array([[1.0, 3.0]]), 1e-15)
    array([[0, 0, 2]])
    """
    whole, part, left = _split(p, n, slack)
    return _parents(_with_draws(whole, part, left, waits), n)


@_or_kernels
@ignore_fp_errors
def killing(p: Any, u: Any, waits: Callable[[int], Any]) -> Any:
    """Each survives with probability p / max p or else is replaced by an independent draw.

    ``u`` are uniforms (rows, K), and ``waits(m)`` exponentials (rows, m + 1) for m replacements.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.resampling import killing
    >>> p, u = np.array([[0.5, 0.0, 0.25, 0.25]]), np.array([[0.9, 0.0, 0.4, 0.6]])
    >>> killing(p, u, lambda m: np.array([[1.0, 2.5, 0.5]]))
    array([[0, 0, 2, 3]])
    """
    stays = (u < p / p.max(axis=-1, keepdims=True)).astype(np.int64)
    left = p.shape[-1] - stays.sum(axis=-1, keepdims=True)
    return _parents(_with_draws(stays, p, left, waits), p.shape[-1])


@_or_kernels
@ignore_fp_errors
def ssp(p: Any, n: int, u: Any, slack: float) -> Any:
    """⌊np⌋ or ⌈np⌉ of each by Srinivasan's process; ``u`` are uniforms (rows, K - 1).

    The fractional parts are paired in a knockout: one of each pair becomes 0 or 1, and the other
    carries the rest of their sum into the next round.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.resampling import ssp
    >>> p = np.array([[0.25, 0.25, 0.0, 0.5]])
    >>> [ssp(p, 2, np.array([[u, 0.9, 0.5]]), 1e-15).tolist() for u in (0.1, 0.9)]
    [[[0, 3]], [[1, 3]]]
    """
    counts, part, left = _split(p, n, slack)
    row = np.arange(len(p))
    index = np.broadcast_to(np.arange(p.shape[-1]), p.shape)
    won = np.zeros(len(p), np.int64)
    used = 0
    while part.shape[-1] > 1:
        pairs = part.shape[-1] // 2
        a, b = part[:, : 2 * pairs : 2], part[:, 1 : 2 * pairs : 2]
        first, second = index[:, : 2 * pairs : 2], index[:, 1 : 2 * pairs : 2]
        both = a + b
        full = both >= 1
        # Unnormalized probability that the first becomes 1 (full), or goes on as the second is 0.
        stake = np.minimum(a, 1 - b)
        chosen = u[:, used : used + pairs] * np.minimum(both, 2 - both) < stake
        chosen |= b == 0  # which a product with subnormal numbers may miss
        used += pairs
        on = np.where(chosen != full, first, second)
        who, pair = np.nonzero(full)
        counts[who, first[who, pair] + second[who, pair] - on[who, pair]] += 1
        won += full.sum(axis=-1)
        both -= full
        part = np.concatenate([both, part[:, 2 * pairs :]], axis=-1)
        index = np.concatenate([on, index[:, 2 * pairs :]], axis=-1)
    counts[row, index[:, 0]] += left[:, 0] - won
    return _parents(np.cumsum(counts, axis=-1, out=counts), n)


def _with_draws(counts: Any, weights: Any, left: Any, waits: Callable[[int], Any]) -> Any:
    """Cumulative offspring of counts and of ``left`` (rows, 1) independent draws by weights."""
    reached = np.cumsum(counts, axis=-1, out=counts)
    if left.any():
        times = waits(int(left.max()))
        times = np.cumsum(times, axis=-1, out=times)
        times /= np.take_along_axis(times, left, axis=-1)
        np.minimum(times, np.where(np.arange(times.shape[-1]) < left, BELOW_ONE, 1), out=times)
        level = np.cumsum(weights, axis=-1)
        level /= np.where(left > 0, level[:, -1:], np.inf)  # where none is drawn, 0
        reached += _merged(level, times)
    return reached


def _split(p: Any, n: int, slack: float) -> tuple[Any, Any, Any]:
    """⌊np⌋, the fractional parts in [0, 1), and how many offspring those share, (rows, 1).

    An np that is an integer up to rounding counts as one; else its offspring would be random.
    """
    part, whole = p * n, np.empty(p.shape, np.int64)
    for some in blocks(p.shape[-1], len(p)):
        rest = part[:, some]
        floor = np.floor(rest * (1 + slack))
        rest -= floor
        np.copyto(rest, 0, where=rest <= floor * slack)
        whole[:, some] = floor
    left = n - whole.sum(axis=-1, keepdims=True)
    # If the sums disagree, redo these rows without slack: K or n is too large for the precision.
    many = np.flatnonzero(np.abs(part.sum(axis=-1) - left[:, 0]) > 0.01)
    if many.size:
        part[many] = p[many] * n
        whole[many] = part[many].astype(np.int64)
        part[many] -= whole[many]
        left = n - whole.sum(axis=-1, keepdims=True)
    return whole, part, left


def _merged(cdf: Any, times: Any) -> Any:
    """How many sorted ``times`` (rows, n + 1), the last of them 1, are below each value of cdf.

    A table of n buckets gives each search its starting point, so that few more steps are needed.
    """
    rows, length = times.shape
    lead = np.arange(rows)[:, None] * length
    before = np.zeros(times.size + 1, np.int64)  # how many are in earlier buckets
    for some in blocks(length, rows):
        bucket = (times[:, some] * (length - 1)).astype(np.int64)
        bucket += lead
        first = int(bucket[0, 0])
        count = np.bincount((bucket - first).ravel())
        before[first + 1 : first + 1 + len(count)] += count
    np.cumsum(before, out=before)
    times = times.ravel()

    def reached(level: Any) -> Any:
        place = (level * (length - 1)).astype(np.int64)
        place += lead
        place = before.take(place.ravel())
        level = level.ravel()
        below = times.take(place) < level
        place += below
        going = np.flatnonzero(below)
        while going.size:
            going = going[times.take(place[going]) < level[going]]
            place[going] += 1
        return place.reshape(rows, -1) - lead

    return _replaced(cdf, reached)


def _replaced(x: Any, function: Callable[[Any], Any]) -> Any:
    """Integers computed in place from floats (rows, K), a block of columns at a time."""
    out = x.view(np.int64)
    for some in blocks(x.shape[-1], len(x)):
        out[:, some] = function(x[:, some])
    return out


def _parents(reached: Any, n: int) -> Any:
    """The parents (rows, n), from the cumulative numbers of offspring over the categories."""
    rows = len(reached)
    place = reached[:, :-1]
    if rows > 1:
        place = place + np.arange(rows)[:, None] * (n + 1)
    steps = np.bincount(place.ravel(), minlength=rows * (n + 1)).reshape(rows, n + 1)[:, :n]
    return np.cumsum(steps, axis=-1, out=steps)
