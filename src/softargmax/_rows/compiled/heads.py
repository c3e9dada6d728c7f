"""The largest scores of a row, by the largest of groups of it; floats in order.

d rises with the score, so a bound on d is a bound on the score itself, found by bisection among
the floats; then blocks whose largest scores are below it are not looked into.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from softargmax._rows.compiled.gaps import RATIO, fill
from softargmax._rows.compiled.maths import BLOCK, LANE, kernel, part
from softargmax._rows.compiled.vectors import MOSTLY, bits_between, first_of, ones_in

_LITTLE = 1024  # elements whose memory is not worth a copy

# ---------------------------------------------------------------------------- floats in order


def rank(x: Any) -> Any:
    """The place of a float among all of its type, as an integer that rises with it."""
    raise NotImplementedError


def unrank(place: Any, like: Any) -> Any:
    """The float at a place, of the type of ``like``."""
    raise NotImplementedError


def _rank4(x: Any) -> Any:
    bits = np.int64(np.float32(x).view(np.int32))
    return bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFF)


def _rank8(x: Any) -> Any:
    bits = np.float64(x).view(np.int64)
    return bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFFFFFFFFFF)


def _unrank4(place: Any, like: Any) -> Any:  # noqa: ARG001
    return np.int32(place if place >= 0 else place ^ np.int64(0x7FFFFFFF)).view(np.float32)


def _unrank8(place: Any, like: Any) -> Any:  # noqa: ARG001
    return np.int64(place if place >= 0 else place ^ np.int64(0x7FFFFFFFFFFFFFFF)).view(np.float64)


@overload(rank)  # type: ignore[untyped-decorator]
def _rank(x: Any) -> Any:
    return _rank4 if x == types.float32 else _rank8


@overload(unrank)  # type: ignore[untyped-decorator]
def _unrank(place: Any, like: Any) -> Any:  # noqa: ARG001
    return _unrank4 if like == types.float32 else _unrank8


# ---------------------------------------------------------------------------- largest scores


@register_jitable  # type: ignore[untyped-decorator]
def groups_in(width: Any) -> Any:
    """How many groups of scores a row has."""
    return (width + BLOCK - 1) // BLOCK * LANE


@kernel
def heads_of(x: Any, z: Any, heads: Any) -> Any:
    """The largest of every LANE-th score of each block, -inf where there is none, and the largest
    of all; NaN where a score is NaN, and perhaps where one is inf. A ``z`` becomes a copy.
    """
    sums, best, whole = np.zeros(LANE, x.dtype), np.empty(LANE, x.dtype), len(x) // BLOCK
    for b in range(whole):
        heads_of_block(x, b, z, sums, heads, b)
    if whole * BLOCK < len(x):
        last = np.full(BLOCK, x.dtype.type(-np.inf))
        last[: len(x) - whole * BLOCK] = x[whole * BLOCK :]
        heads_of_block(last, 0, None, sums, heads, whole)
        if z is not None:
            z[whole * BLOCK :] = x[whole * BLOCK :]
    best[:] = -np.inf
    for b in range(len(heads) // LANE):
        for j in range(LANE):
            v = heads[b * LANE + j]
            best[j] = best[j] if best[j] > v else v
    top, fine = best[0], True
    for j in range(LANE):
        top = best[j] if best[j] > top else top
        fine = fine and sums[j] == sums[j]
    return np.float64(top) if fine else np.nan


@kernel
def heads_of_rows(x: Any, z: Any, heads: Any, tops: Any) -> None:
    """``heads_of`` every row, and copies."""
    for i in range(len(x)):
        tops[i] = heads_of(x[i], None if z is None else z[i], heads[i])


@part
def heads_of_block(x: Any, b: Any, z: Any, sums: Any, heads: Any, own: Any) -> None:
    """Block b of x, whose place in ``heads`` is ``own``: NaN stays in the ``sums``.

    The inner loop, of a length that is known, is unrolled before the other is vectorised.
    """
    lane, start = np.uint64(LANE), np.uint64(b) * np.uint64(BLOCK)
    for k in range(LANE):
        j = np.uint64(k)
        v = x[start + j]
        total = v
        if z is not None:
            z[start + j] = v
        for i in range(1, BLOCK // LANE):
            p = start + j + np.uint64(i) * lane
            w = x[p]
            if z is not None:
                z[p] = w
            total += w
            v = v if v > w else w
        heads[np.uint64(own) * lane + j] = v
        sums[j] += total


@kernel
def between(z: Any, heads: Any, low: Any, high: Any) -> Any:
    """The positions of the scores in [low, high), ascending, and these scores.

    ``heads`` may be empty.
    """
    groups, room = groups_in(len(z)), np.int64(0)
    reached = np.empty((groups + 63) // 64, np.uint64)  # a bit for each group
    if len(heads):
        room = write_reached(heads, low, reached) * (BLOCK // LANE)
    else:
        reached[:], count = 2**64 - 1, np.int32(0)
        if groups % 64:
            reached[groups // 64] = (np.uint64(1) << np.uint64(groups % 64)) - np.uint64(1)
        for j in range(len(z)):
            count = np.int32(count + np.int32((z[j] >= low) & (z[j] < high)))
        room = np.int64(count)
    # Where another thread changes the scores meanwhile, 64 more are written before ``at`` is cut
    # down to the room, and one in any case.
    found, scores, at = np.empty(room + 65, np.int64), np.empty(room + 65, z.dtype), np.uint64(0)
    own = np.uint64(2**LANE - 1)  # the bits of a block
    for i in range(len(reached)):
        groups_left = reached[i]
        while groups_left:
            place = first_of(groups_left) // np.uint64(LANE)
            groups_left &= ~(own << (place * np.uint64(LANE)))
            first = (np.uint64(i * (64 // LANE)) + place) * np.uint64(BLOCK)
            some = z[np.int64(first) : np.int64(first) + BLOCK]
            if len(some) < BLOCK:
                last = np.full(BLOCK, z.dtype.type(np.nan))
                last[: len(some)] = some
                some = last
            for k in range(0, BLOCK, 64):
                bits = bits_between(some, np.uint64(k), low, high)
                for _ in range(MOSTLY):
                    j = np.uint64(k) + first_of(bits)
                    found[at], scores[at] = first + j, some[j]
                    at += np.uint64(bits != 0)
                    bits &= bits - np.uint64(1)
                while bits:
                    j = np.uint64(k) + first_of(bits)
                    found[at], scores[at] = first + j, some[j]
                    at += np.uint64(1)
                    bits &= bits - np.uint64(1)
                at = min(at, np.uint64(room))
    if _LITTLE < room > 2 * np.int64(at):  # not more than twice what is needed is kept
        return found[:at].copy(), scores[:at].copy()
    return found[:at], scores[:at]


@part
def write_reached(heads: Any, low: Any, reached: Any) -> Any:
    """Write which heads are at or above a bound, as bits: how many."""
    whole, count, high = len(heads) // 64, np.uint64(0), heads.dtype.type(np.inf)
    for i in range(whole):
        reached[i] = bits_between(heads, np.uint64(i * 64), low, high)
        count += ones_in(reached[i])
    if whole < len(reached):
        reached[whole] = 0
        for j in range(len(heads) - whole * 64):
            reached[whole] |= np.uint64(heads[whole * 64 + j] >= low) << np.uint64(j)
        count += ones_in(reached[whole])
    return np.int64(count)


@kernel
def kth(x: Any, k: Any) -> Any:
    """The k-th largest, by bisection among the floats."""
    void = x.dtype.type(-np.inf)
    low, high = rank(void), rank(-void)
    while low + 1 < high:
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        level, count = unrank(middle, void), np.int32(0)
        for j in range(len(x)):
            count = np.int32(count + np.int32(x[j] >= level))
        low, high = (middle, high) if count >= k else (low, middle)
    return unrank(low, void)


@kernel
def largest(z: Any, heads: Any, k: Any) -> Any:
    """The positions of the k largest scores, and of ties with the last, and these scores.

    Where there are heads, and far more of them than k, these scores are among those that reach the
    k-th largest head.
    """
    void = z.dtype.type(-np.inf)
    least = unrank(rank(void) + 1, void)  # above it
    if k * 4 >= len(heads):
        return between(z, heads, least if k >= len(z) else max(kth(z, k), least), -void)
    groups = heads
    if k * 4 * LANE <= len(heads):  # groups of groups
        width = len(heads) // LANE
        groups = heads[:width].copy()
        for start in range(width, len(heads), width):
            some = heads[start : start + width]
            for j in range(len(some)):
                groups[j] = groups[j] if groups[j] > some[j] else some[j]
    found, scores = between(z, heads, max(kth(groups, k), least), -void)
    if len(found) <= k:
        return found, scores
    level = kth(scores, k)
    count = 0
    for j in range(len(found)):
        found[count], scores[count] = found[j], scores[j]
        count += scores[j] >= level
    return found[:count], scores[:count]


# ---------------------------------------------------------------------------- bounds on d


@kernel
def reaching(z: Any, heads: Any, top: Any, way: Any, scale: Any, level: Any, bound: Any) -> Any:
    """The positions of the scores with -|d - level| at or above a bound, and these scores."""
    if len(z) <= BLOCK:  # sooner done than two bisections
        d = np.empty(BLOCK, z.dtype)
        fill(z, top, way, scale, d)
        found, scores, count = np.empty(len(z), np.int64), np.empty(len(z), z.dtype), 0
        for j in range(len(z)):
            found[count], scores[count] = j, z[j]
            count += (z[j] > -np.inf) & (-abs(d[j] - level) >= bound)
        return found[:count], scores[:count]
    kind, d = z.dtype.type, np.empty(LANE, z.dtype)
    probe, ends, void = np.empty(1, z.dtype), np.empty(2, np.int64), kind(-np.inf)
    top += kind(0)  # a top of -0 becomes 0, beyond which no score is equal to it
    for side in range(2):  # the first score at the bound, and the first beyond that on the far side
        goal = bound if side == 0 else unrank(rank(abs(bound)) + 1, top)
        low, high, steps = rank(void), rank(top) + 1, 0
        if side == 1 and level == 0:  # no d is above 0
            low = high - 1
        gap = (level + goal) * scale if way == RATIO else (level + goal) / scale
        error = 4 * np.float64(np.finfo(z.dtype).eps) * (abs(top) + abs(gap))
        while low + 1 < high:
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            # It is most likely between these two, which saves 25 steps of 31; where it is not, or
            # they are no numbers, the search goes on in what is left.
            if steps < 2:
                near = rank(kind(top + gap + (error if steps else -error)))
                middle = min(max(near, low + 1), high - 1)
            steps += 1
            probe[0] = unrank(middle, top)
            fill(probe, top, way, scale, d)
            low, high = (low, middle) if d[0] - level >= goal else (middle, high)
        ends[side] = high
    return between(z, heads, unrank(ends[0], top), unrank(ends[1], top))
