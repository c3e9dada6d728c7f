"""Scores of one long row by kernels: no array of d is formed, and of weights only for a mass.

d rises with the score, so a bound on d is a bound on the score itself, found by bisection among
the floats; then blocks whose largest scores are below it are not looked into.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from softargmax._rows.compiled.gaps import (
    PLAIN,
    RATIO,
    TIMES,
    WIDE,
    below,
    fill,
    ties_but_one,
    total_of,
)
from softargmax._rows.compiled.maths import BLOCK, LANE, frozen, kernel, weight
from softargmax._rows.few import MANY
from softargmax._rows.memory import kept
from softargmax._rows.rows import ONE, Temperature
from softargmax._rows.thresholds import EPS, RowScores

_SAMPLE = 2048  # scores, at least, from which a long row's bracket is guessed
_SHORT = 8192  # scores up to which no sample is taken
_STEPS = 4  # halvings of a bracket before what is outside of it is dropped

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


@kernel
def heads_of(x: Any, z: Any, heads: Any) -> Any:
    """The largest of every LANE-th score of each block, -inf where there is none, and the largest
    of all; NaN where a score is NaN, and perhaps where one is inf. A ``z`` as long becomes a copy.
    """
    quarter = BLOCK // 4
    e, odd = np.empty(quarter, x.dtype), np.zeros(quarter, x.dtype)
    best, last = np.empty(LANE, x.dtype), np.empty(BLOCK, x.dtype)
    best[:] = -np.inf
    for start in range(0, len(x), BLOCK):
        some, into = x[start : start + BLOCK], z[start : start + BLOCK]
        for j in range(len(into)):
            into[j] = some[j]
        if len(some) < BLOCK:
            last[:] = -np.inf
            last[: len(some)] = some
            some = last
        for j in range(quarter):
            a, b = some[j], some[quarter + j]
            c, d = some[2 * quarter + j], some[3 * quarter + j]
            odd[j] += (a + b) + (c + d)
            a, c = a if a > b else b, c if c > d else d
            e[j] = a if a > c else c
        own = heads[start // BLOCK * LANE : start // BLOCK * LANE + LANE]
        for j in range(LANE):
            a, b, c, d = e[j], e[LANE + j], e[2 * LANE + j], e[3 * LANE + j]
            a, c = a if a > b else b, c if c > d else d
            a = a if a > c else c
            own[j] = a
            best[j] = best[j] if best[j] > a else a
    top, fine = best[0], True
    for j in range(LANE):
        top = best[j] if best[j] > top else top
    for j in range(quarter):
        fine = fine and odd[j] == odd[j]
    return np.float64(top) if fine else np.nan


@kernel
def between(z: Any, heads: Any, low: Any, high: Any) -> Any:
    """The positions of the scores in [low, high], ascending; ``heads`` may be empty."""
    blocks = (len(z) + BLOCK - 1) // BLOCK
    counts, marks = np.empty(blocks, np.int32), np.empty(BLOCK, np.uint8)
    words = marks.view(np.uint64)
    total = 0
    for b in range(blocks):
        own = heads[b * LANE : (b + 1) * LANE]
        hits: Any = np.int32(0)
        for j in range(len(own)):
            hits = np.int32(hits + np.int32(own[j] >= low))
        if hits or not len(heads):
            some, hits = z[b * BLOCK : (b + 1) * BLOCK], np.int32(0)
            for j in range(len(some)):
                hits = np.int32(hits + np.int32((some[j] >= low) & (some[j] <= high)))
        counts[b] = hits
        total += hits
    found = np.empty(total + 1, np.int64)  # one more, since what does not stay is written over
    at, one, marks[:] = np.uint64(0), np.uint64(1), 0
    for b in range(blocks):
        if counts[b] == 0:
            continue
        first = b * BLOCK
        some = z[first : first + BLOCK]
        for j in range(len(some)):
            marks[j] = (some[j] >= low) & (some[j] <= high)
        if counts[b] > BLOCK // 4:
            for j in range(len(some)):
                found[at] = first + j
                at += np.uint64(marks[j])
        else:  # few: eight that do not stay are passed over at once
            marks[len(some) :] = 0
            for k in range(BLOCK // 8):
                word = words[k]
                if word:
                    for j in range(8):
                        found[at] = first + 8 * k + j
                        at += word & one
                        word >>= np.uint64(8)
    return found[:total]


@kernel
def kth(x: Any, k: Any) -> Any:
    """The k-th largest, by bisection among the floats."""
    ends = np.empty(2, x.dtype)
    ends[0], ends[1] = -np.inf, np.inf
    low, high = rank(ends[0]), rank(ends[1])
    while low + 1 < high:
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        level, count = unrank(middle, ends[0]), np.int32(0)
        for j in range(len(x)):
            count = np.int32(count + np.int32(x[j] >= level))
        low, high = (middle, high) if count >= k else (low, middle)
    return unrank(low, ends[0])


@kernel
def largest(z: Any, heads: Any, k: Any) -> Any:
    """The positions of the k largest scores, far fewer than there are heads, and of ties with the
    last: they are among the scores that reach the k-th of the largest of k groups or more.
    """
    groups = heads
    if k * 4 * LANE <= len(heads):  # groups of groups
        blocks = len(heads) // LANE
        groups = np.full((blocks + LANE - 1) // LANE * LANE, -np.inf).astype(z.dtype)
        for b in range(blocks):
            some, own = groups[b // LANE * LANE :][:LANE], heads[b * LANE : (b + 1) * LANE]
            for j in range(LANE):
                some[j] = some[j] if some[j] > own[j] else own[j]
    ends = np.empty(2, z.dtype)
    ends[0], ends[1] = -np.inf, np.inf
    least = unrank(rank(ends[0]) + 1, ends[0])  # above -inf
    found = between(z, heads, max(kth(groups, k), least), ends[1])
    if len(found) <= k:
        return found
    level = kth(z[found], k)
    count = 0
    for j in range(len(found)):
        found[count] = found[j]
        count += z[found[j]] >= level
    return found[:count]


# ---------------------------------------------------------------------------- bounds on d


@kernel
def reaching(z: Any, heads: Any, top: Any, way: Any, scale: Any, level: Any, bound: Any) -> Any:
    """The positions of the scores with -|d - level| at or above a bound, ascending."""
    probe, d, ends = np.empty(1, z.dtype), np.empty(LANE, z.dtype), np.empty(2, np.int64)
    probe[0] = -np.inf
    void = probe[0]
    for side in range(2):  # the first score at the bound, and the first beyond that on the far side
        goal = bound if side == 0 else unrank(rank(abs(bound)) + 1, top)
        low, high = rank(void), rank(top) + 1
        while low + 1 < high:
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            probe[0] = unrank(middle, top)
            fill(probe, top, way, scale, d)
            low, high = (low, middle) if d[0] - level >= goal else (middle, high)
        ends[side] = high
    return between(z, heads, unrank(ends[0], top), unrank(ends[1] - 1, top))


# ---------------------------------------------------------------------------- masses


@kernel
def weigh(z: Any, top: Any, way: Any, scale: Any, out: Any, w: Any) -> Any:
    """d, exp(d) and the sum of these."""
    d, total = np.empty(BLOCK, z.dtype), 0.0
    for start in range(0, len(z), BLOCK):
        n = fill(z[start : start + BLOCK], top, way, scale, d)
        own, weights = out[start : start + BLOCK], w[start : start + BLOCK]
        for j in range(len(own)):
            own[j] = d[j]
        for j in range(n):
            d[j] = weight(d[j])
        for j in range(len(own)):
            weights[j] = d[j]
        total += total_of(d, n)
    return total


@kernel
def measure(z: Any, top: Any, way: Any, scale: Any, out: Any, w: Any, sums: Any) -> Any:
    """d and exp(d); then Σ exp(d) over all but one at the top, Σ exp(d)·d and Σ exp(d)²."""
    d, e, ties = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    one = np.ones(1, z.dtype)[0]
    ties[:] = 0
    rest, mean, squares = 0.0, 0.0, 0.0
    for start in range(0, len(z), BLOCK):
        n = fill(z[start : start + BLOCK], top, way, scale, d)
        below(d, n, e, ties)
        own, weights = out[start : start + BLOCK], w[start : start + BLOCK]
        for j in range(len(own)):
            own[j] = d[j]
            weights[j] = e[j] if d[j] < 0 else one
        for j in range(n):
            d[j] = e[j] * d[j] if e[j] > 0 else e[j]
        mean += total_of(d, n)
        for j in range(n):
            d[j] = e[j] * e[j]
        squares += total_of(d, n)
        rest += total_of(e, n)
    more = ties_but_one(ties, BLOCK)
    sums[0], sums[1], sums[2] = rest + more, mean, squares + more + 1


@kernel
def spread(z: Any, top: Any, way: Any, scale: Any) -> Any:
    """The standard deviation of d where it is above -inf."""
    d, e = np.empty(BLOCK, z.dtype), np.empty(BLOCK)
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, len(z), BLOCK):
        n = fill(z[start : start + BLOCK], top, way, scale, d)
        hits: Any = np.int32(0)
        for j in range(n):
            alive = d[j] > -np.inf
            e[j] = np.float64(d[j]) if alive else 0.0
            hits = np.int32(hits + np.int32(alive))
        count += hits
        total += total_of(e, n)
        for j in range(n):
            x = np.float64(d[j])
            e[j] = x * x if x > -np.inf else 0.0
        squares += total_of(e, n)
    # The largest d is 0, so that no more digits cancel than the count of scores has.
    return np.sqrt(max(squares / count - (total / count) ** 2, 0.0))


@kernel
def settle(key: Any, w: Any, low: Any, high: Any, under: Any, goal: Any) -> Any:
    """The largest key in [low, high) such that what is below it weighs at most a goal; inf where
    everything does. ``under`` is the weight below low. Both arrays are lost.
    """
    n, e, first, last = len(key), np.empty(BLOCK), rank(low), rank(high)
    fresh = True
    while True:
        least, most = high, low
        if fresh:
            for i in range(n):
                least = key[i] if key[i] < least else least
                most = key[i] if key[i] > most else most
            if not under + mass(key, w, n, high, e) > goal:
                return np.inf
            fresh = False
        else:  # what is outside of the bracket is dropped
            low, high, count = unrank(first, low), unrank(last, low), 0
            for i in range(n):
                k, v = key[i], w[i]
                under += v if k < low else 0.0
                key[count], w[count] = k, v
                inside = (k >= low) & (k < high)
                count += inside
                least = k if inside & (k < least) else least
                most = k if inside & (k > most) else most
            n = count
        first, last = max(first, rank(least)), min(last, rank(most) + 1)
        for _ in range(_STEPS):
            if first + 1 >= last:
                return np.float64(unrank(first, low))
            middle = (first >> 1) + (last >> 1) + (first & last & 1)
            enough = under + mass(key, w, n, unrank(middle, low), e) > goal
            first, last = (first, middle) if enough else (middle, last)


@kernel
def mass(key: Any, w: Any, n: Any, bound: Any, e: Any) -> Any:
    """The weight of what has a key below a bound, in float64."""
    total = 0.0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        some, own = key[start:stop], w[start:stop]
        width = (stop - start + LANE - 1) // LANE * LANE
        for j in range(stop - start):
            e[j] = np.float64(own[j]) if some[j] < bound else 0.0
        for j in range(stop - start, width):
            e[j] = 0.0
        total += total_of(e, width)
    return total


@kernel
def bracket(d: Any, w: Any, level: Any, goal: Any, ends: Any) -> Any:
    """Write keys between which a sample of the row has the mass below pass the goal,."""
    step = len(d) // _SAMPLE
    size = len(d) // step
    key, own, some = np.empty(size, d.dtype), np.empty(size, d.dtype), np.empty(size, d.dtype)
    zero = np.zeros(1, d.dtype)[0]  # less a distance of 0 is no -0, which has a place of its own
    for i in range(size):
        key[i], own[i] = zero - abs(d[i * step] - level), w[i * step]
    some[:] = key
    found = settle(some, own, ends[0], ends[1], 0.0, goal / step)
    above = 0
    for i in range(size):
        above += key[i] >= found
    reach = 8 + 2 * int(np.sqrt(min(above, size - above)))
    if above + reach <= size:
        ends[0] = kth(key, above + reach)
    if above > reach:
        ends[1] = kth(key, above - reach)


@kernel
def crossing(d: Any, w: Any, level: Any, goal: Any) -> Any:
    """The largest key -|d - level| such that what has a smaller one weighs at most the goal."""
    width, ends = len(d), np.empty(2, d.dtype)
    key, v, e = np.empty(BLOCK, d.dtype), np.empty(BLOCK, d.dtype), np.empty(BLOCK, d.dtype)
    marks = np.empty(BLOCK, np.uint8)
    words, one = marks.view(np.uint64), np.uint64(1)
    ends[0], ends[1], e[0] = -np.inf, np.inf, 0
    void, full, zero = ends[0], ends[1], e[0]
    near, inside = np.empty(width + 1, d.dtype), np.empty(width + 1, d.dtype)
    if width > _SHORT:
        bracket(d, w, level, goal, ends)
    for attempt in range(4):  # where the bracket is wrong, what it is not; at last everything
        low, high = (ends[0], ends[1]) if attempt < 3 else (void, full)
        under, at = 0.0, np.uint64(0)
        for start in range(0, width, BLOCK):
            some, own = d[start : start + BLOCK], w[start : start + BLOCK]
            n = (len(some) + LANE - 1) // LANE * LANE
            for j in range(len(some)):
                key[j], v[j] = zero - abs(some[j] - level), own[j]
            for j in range(len(some)):
                e[j] = own[j] if key[j] < low else zero
            e[len(some) : n] = 0
            under += total_of(e, n)
            for j in range(len(some)):
                marks[j] = (key[j] >= low) & (key[j] < high)
            marks[len(some) :] = 0
            for k in range(BLOCK // 8):
                word = words[k]
                if word:
                    for j in range(8 * k, 8 * k + 8):
                        near[at], inside[at] = key[j], v[j]
                        at += word & one
                        word >>= np.uint64(8)
        if under > goal and attempt < 3:
            ends[0], ends[1] = void, low
            continue
        found = settle(near[:at], inside[:at], low, high, under, goal) if at else np.inf
        if found < np.inf or high == full:
            return found
        ends[0], ends[1] = high, full
    return np.inf


# ---------------------------------------------------------------------------- a row of scores


class Nearness(NamedTuple):
    """A key that is not formed: -|d - level|."""

    level: Any


class CompiledScores(RowScores):
    """What truncations ask of a long row, by one or two kernels each."""

    def __init__(
        self, q: Any, temperature: Temperature = ONE, top: Any = None, heads: Any = None
    ) -> None:
        q = frozen(q)
        super().__init__(q, temperature, top)
        if heads is not None:
            self.__dict__["heads"] = heads
        self._way = (self.top, *_way_of(q.dtype, temperature))
        self._zero = q.dtype.type(0)

    @kept
    def heads(self) -> Any:
        """The largest scores of groups; none of a short row, which is looked at as a whole."""
        if len(self.q) < MANY:
            return np.empty(0, self.q.dtype)
        return heads_and_top(self.q)[0]

    # ------------------------------------------------------------------ what is known of the row

    @kept
    def _measured(self) -> list[float]:
        """Sums over the row; d and the weights stay as well."""
        d, w, sums = self._memory(self.q.dtype), self._memory(self.q.dtype), np.empty(3)
        measure(self.q, *self._way, d, w, sums)
        self.__dict__["_weighed"] = d, w, 1 + float(sums[0])
        return sums.tolist()

    @kept
    def _weighed(self) -> tuple[Any, Any, float]:
        """d, the weights and their sum."""
        d, w = self._memory(self.q.dtype), self._memory(self.q.dtype)
        return d, w, weigh(self.q, *self._way, d, w)

    @kept
    def d(self) -> Any:
        return self._weighed[0]

    @kept
    def weights(self) -> Any:
        return self._weighed[1]

    @kept
    def _excess(self) -> float:
        return self._measured[0]

    @kept
    def entropy(self) -> float:
        return self.log_total - self._measured[1] / (1 + self._excess)

    @property
    def log_collision(self) -> float:
        return math.log(self._measured[2]) - self.log_total

    @property
    def deviation(self) -> float:
        return float(spread(self.q, *self._way))

    def nearness(self, level: float) -> Any:
        return Nearness(self.q.dtype.type(level))

    # ------------------------------------------------------------------ thresholds

    def mass_threshold(self, mass: float) -> float:
        if mass >= 1:
            return -math.inf
        d, w, total = self._weighed
        return float(crossing(d, w, self._level, (1 - mass) * total * (1 + 8 * EPS)))

    @property
    def _level(self) -> Any:
        return self._zero if self.own_key is None else self.own_key.level

    # ------------------------------------------------------------------ which are kept

    def keep(self, bound: float, least: int, *, exact: bool) -> Any:
        if not isinstance(self.own_key, Nearness | None):
            return super().keep(bound, least, exact=exact)
        dtype = self.q.dtype
        if bound == -math.inf:
            return between(self.q, self.heads, -np.finfo(dtype).max, dtype.type(math.inf))
        stay: Any = ()
        if bound < math.inf:
            bound = float(bound) if exact else self._with_slack(float(bound))
            stay = reaching(self.q, self.heads, *self._way, self._level, dtype.type(bound))
        if len(stay) >= least:
            return stay
        if self.own_key is None:
            return self._largest(least)
        self.own_key = super().nearness(self.own_key.level)
        return super().keep(bound, least, exact=True)

    def _largest(self, k: int) -> Any:
        if k * 4 <= len(self.heads):
            return largest(self.q, self.heads, k)
        return super()._largest(k)


def _way_of(dtype: Any, temperature: Temperature) -> tuple[int, float]:
    """How d follows from the gaps, rounded once."""
    coldness, value = temperature
    if coldness == 1:
        return PLAIN, 1.0
    if dtype == np.float64:
        return (TIMES, coldness) if value is None else (RATIO, value)
    return TIMES if float(np.float32(coldness)) == coldness else WIDE, coldness


def heads_and_top(x: Any, z: Any = None) -> tuple[Any, Any]:
    """The largest scores of groups of a contiguous row, and of all; ``z`` becomes a copy."""
    heads = np.empty(-(-len(x) // BLOCK) * LANE, x.dtype)
    top = heads_of(frozen(x), heads[:0] if z is None else z, heads)
    return heads, x.max() if top != top else x.dtype.type(top)
