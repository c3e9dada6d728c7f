"""Where the mass of the largest keys of a row passes a goal."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.gaps import total_of
from softargmax._rows.compiled.heads import between, rank, unrank
from softargmax._rows.compiled.maths import BLOCK, LANE, kernel, log, part
from softargmax._rows.compiled.vectors import MOSTLY, bits_between, first_of

_SAMPLE = 2048  # scores, at least, from which a long row's bracket is guessed
_SHORT = 12_288  # scores up to which no sample is taken
_FEW = 64  # scores up to which each is compared with all: for 50, 0.6 of the time otherwise
_BINS = 1024
_HEAVY = 1024  # a category heavier than this part of the goal is always in the second sample
_STEPS = 4  # halvings of a bracket before what is outside of it is dropped
_VOID = -2048.0  # keys so far down have no weight, and -inf no middle to anything


@kernel
def settle(key: Any, w: Any, low: Any, high: Any, under: Any, goal: Any) -> Any:
    """The largest key in [low, high) such that what is below it weighs at most a goal; inf where
    everything does. ``under`` is the weight below low. Both arrays are lost.

    The bracket of places is halved by value, which leaves few keys, then once by place, so that at
    most 64 rounds are left. What is below ``first`` weighs at most the goal, what is below ``last``
    more.
    """
    n, e, ends = len(key), np.empty(BLOCK), np.empty(3, key.dtype)
    if not under + mass(key, w, n, high, e) > goal:
        return np.inf
    first, last, under_first = rank(low), rank(high), under
    while True:
        write_range(key, n, ends)
        first, last = max(first, rank(ends[0])), min(last, rank(ends[1]) + 1)
        for step in range(_STEPS):
            if first + 1 >= last:
                return np.float64(unrank(first, low))
            if step + 1 < _STEPS:
                ends[2] = 0.5 * (max(unrank(first, low), _VOID) + unrank(last, low))  # in the dtype
                middle = max(first + 1, min(last - 1, rank(ends[2])))
            else:
                middle = (first >> 1) + (last >> 1) + (first & last & 1)
            reached = under + mass(key, w, n, unrank(middle, low), e)
            if reached > goal:
                last = middle
            else:
                first, under_first = middle, reached
        n, under = drop_outside(key, w, n, unrank(first, low), unrank(last, low)), under_first


@kernel
def write_range(key: Any, n: Any, ends: Any) -> None:
    """The least and the largest of the first n keys."""
    least, most, lane = np.empty(LANE, key.dtype), np.empty(LANE, key.dtype), np.uint64(LANE)
    least[:], most[:] = np.inf, -np.inf
    for b in range(n // LANE):
        for k in range(LANE):
            j = np.uint64(k)
            v = key[np.uint64(b) * lane + j]
            least[j] = v if v < least[j] else least[j]
            most[j] = v if v > most[j] else most[j]
    for i in range(n // LANE * LANE, n):
        least[0], most[0] = min(least[0], key[i]), max(most[0], key[i])
    ends[0], ends[1] = least.min(), most.max()


@kernel
def drop_outside(key: Any, w: Any, n: Any, low: Any, high: Any) -> Any:
    """Move the keys in [low, high), of the first n, and their weights to the front: how many."""
    at, whole = np.uint64(0), n // 64 * 64
    for start in range(0, whole, 64):
        at = take_between(key, w, np.uint64(start), low, high, key, w, at)
    for i in range(whole, n):
        k = key[i]
        key[at], w[at] = k, w[i]  # overwritten where it does not stay
        at += np.uint64((k >= low) & (k < high))
    return np.int64(at)


@part
def take_between(
    key: Any, w: Any, start: Any, low: Any, high: Any, near: Any, inside: Any, at: Any
) -> Any:
    """Of 64 keys the ones in [low, high), and their weights, written from a place on: the next."""
    bits = bits_between(key, start, low, high)
    for _ in range(MOSTLY):
        j = start + first_of(bits)
        near[at], inside[at] = key[j], w[j]
        at += np.uint64(bits != 0)
        bits &= bits - np.uint64(1)
    while bits:
        j = start + first_of(bits)
        near[at], inside[at] = key[j], w[j]
        at += np.uint64(1)
        bits &= bits - np.uint64(1)
    return at


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
def bracket(d: Any, w: Any, level: Any, goal: Any, heavy: Any, ends: Any) -> None:
    """Write two keys between which the mass below most likely passes the goal.

    They are those at which the mass below, in a sample of the row, is three standard deviations
    less and more than the goal, up to a bin of a histogram. Categories of at least the weight
    ``heavy`` are all in the sample, and add nothing to the deviation.
    """
    step, goal = len(d) // _SAMPLE, goal / (len(d) // _SAMPLE)
    # All keys below the first bin together weigh less than a quarter of the goal.
    least = min(level, log(goal / (4 * _SAMPLE)) - level)
    bins, squares, scale = np.zeros(_BINS), np.zeros(_BINS), -_BINS / least
    for i in range(0, len(d), step):
        v = np.float64(w[i])
        if v < heavy:
            place = bin_of(np.float64(d[i]) - level, least, scale)
            bins[place] += v
            squares[place] += v * v
    least_heavy, endless = d.dtype.type(heavy), d.dtype.type(np.inf)
    if least_heavy < endless:
        chosen = between(w, d[:0], least_heavy, endless)[0]
        for i in range(len(chosen)):  # each stands for itself, the others for ``step``
            p = chosen[i]
            bins[bin_of(np.float64(d[p]) - level, least, scale)] += np.float64(w[p]) / step
    below, variance = 0.0, 0.0
    for k in range(_BINS):
        if below + bins[k] > goal:
            break
        below += bins[k]
        variance += squares[k]
    reach, below = 3 * np.sqrt(variance), 0.0
    ends[0], ends[1] = -np.inf, np.inf
    for k in range(1, _BINS):
        below += bins[k - 1]
        if below <= goal - reach:
            ends[0] = least + k / scale
        if below > goal + reach:
            ends[1] = least + k / scale
            break


@part
def bin_of(gap: Any, least: Any, scale: Any) -> Any:
    """The bin of the key -|gap|."""
    return np.int64(min(max(0.0, (-abs(gap) - least) * scale), _BINS - 1.0))


@kernel
def crossing(d: Any, w: Any, level: Any, goal: Any) -> Any:
    """The largest key -|d - level| such that what has a smaller one weighs at most the goal.

    It is looked for between two others. Where d is the key, what lies below is light, and a plain
    sample of the row gives these two; else, and where that fails, a sample with all heavy
    categories does. Then come the limits that are known by now; and at last, since sums in another
    order may disagree by a rounding, all keys.
    """
    width, ends = len(d), np.empty(2, d.dtype)
    if width <= _FEW:
        return crossing_of_few(d, w, level, goal)
    void, full = d.dtype.type(-np.inf), d.dtype.type(np.inf)
    ends[0], ends[1] = void, full
    low, high = void, full  # where the mass below surely passes the goal
    near, inside = np.empty(width + 1, d.dtype), np.empty(width + 1, d.dtype)
    for attempt in range(0 if level == 0 else 1, 4):
        if attempt < 2 and width > _SHORT:
            bracket(d, w, level, goal, goal / _HEAVY if attempt else np.inf, ends)
            ends[0], ends[1] = max(ends[0], low), min(ends[1], high)
        if attempt == 2 or not ends[0] < ends[1]:
            ends[0], ends[1] = low, high
        if attempt == 3:
            ends[0], ends[1] = void, full
        under, at = within(d, w, level, ends[0], ends[1], near, inside)
        if under > goal and attempt < 3:
            high = ends[0]
            continue
        found = settle(near[:at], inside[:at], ends[0], ends[1], under, goal) if at else np.inf
        if found < np.inf or ends[1] == full:
            return found
        low = ends[1]
    return np.inf


@kernel
def crossing_of_few(d: Any, w: Any, level: Any, goal: Any) -> Any:
    """``crossing``, by the weight of what is below each key."""
    width = np.uint64(len(d))  # and so all places are unsigned
    key, below, total, found = np.empty(width), np.zeros(width), 0.0, -np.inf
    for i in range(width):
        key[i] = -abs(d[i] - level)
        total += w[i]
    for i in range(width):
        k, v = key[i], np.float64(w[i])
        for j in range(width):
            below[j] += v if k < key[j] else 0.0
    for i in range(width):
        found = key[i] if key[i] > found and below[i] <= goal else found
    return found if total > goal else np.inf


@kernel
def within(d: Any, w: Any, level: Any, low: Any, high: Any, near: Any, inside: Any) -> Any:
    """The weight of what has a key below ``low``, and how many keys in [low, high) are written,
    with their weights.
    """
    key, v, e = np.empty(BLOCK, d.dtype), np.empty(BLOCK, d.dtype), np.empty(BLOCK, d.dtype)
    under, at, zero = 0.0, np.uint64(0), d.dtype.type(0)
    for start in range(0, len(d), BLOCK):
        count, first = min(BLOCK, len(d) - start), np.uint64(start)
        if count == BLOCK:  # of a known length: 1.5 times as fast
            for k in range(BLOCK):
                i = np.uint64(k)
                key[i], v[i] = zero - abs(d[first + i] - level), w[first + i]
                e[i] = v[i] if key[i] < low else zero
        else:
            e[:], key[:] = 0, high
            for k in range(count):
                key[k], v[k] = zero - abs(d[start + k] - level), w[start + k]
                e[k] = v[k] if key[k] < low else zero
        under += total_of(e, BLOCK)
        for k in range(0, BLOCK, 64):
            at = take_between(key, v, np.uint64(k), low, high, near, inside, at)
    return under, np.int64(at)
