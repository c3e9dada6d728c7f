"""Masses and moments of a row's weights, and where the mass of the largest keys passes a goal."""

from typing import Any

import numpy as np

from softargmax._rows.compiled.gaps import TIMES, below, fill, ties_but_one, total_of
from softargmax._rows.compiled.heads import kth, rank, unrank
from softargmax._rows.compiled.maths import BLOCK, LANE, kernel, weight

_SAMPLE = 2048  # scores, at least, from which a long row's bracket is guessed
_SHORT = 8192  # scores up to which no sample is taken
_STEPS = 4  # halvings of a bracket before what is outside of it is dropped


@kernel
def weigh(z: Any, top: Any, way: Any, scale: Any, out: Any, w: Any) -> Any:
    """d, exp(d) and the sum of these."""
    d, total, whole = np.empty(BLOCK, z.dtype), 0.0, 0
    if way <= TIMES and scale > 0:  # in one loop over unsigned places: 1.3 times as fast
        d[0], d[1], whole = scale, top, len(z) // BLOCK
        factor, own_top = d[0], d[1]
        for b in range(whole):
            first = np.uint64(b) * np.uint64(BLOCK)
            for k in range(BLOCK):
                j = np.uint64(k)
                p = first + j
                gap = (z[p] - own_top) * factor
                out[p] = gap
                d[j] = weight(gap)
                w[p] = d[j]
            total += total_of(d, BLOCK)
    return total + weigh_rest(
        z[whole * BLOCK :], top, way, scale, out[whole * BLOCK :], w[whole * BLOCK :], d
    )


@kernel
def weigh_rest(z: Any, top: Any, way: Any, scale: Any, out: Any, w: Any, d: Any) -> Any:
    """As ``weigh``, whichever way d follows."""
    total = 0.0
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
        below(d, n, e, ties, True)
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
    """Write keys between which a sample of the row has the mass below passes the goal."""
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
            count, first = min(BLOCK, width - start), np.uint64(start)
            for k in range(count):
                i = np.uint64(k)  # without a sign that would be looked at
                key[i], v[i] = zero - abs(d[first + i] - level), w[first + i]
                e[i] = v[i] if key[i] < low else zero
            n = (count + LANE - 1) // LANE * LANE
            e[count:n] = 0
            under += total_of(e, n)
            for j in range(BLOCK):
                marks[j] = (key[j] >= low) & (key[j] < high)
            marks[count:] = 0
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
