"""Parents by kernels: one pass over the probabilities for what is left to luck, one to draw.

All take probabilities (rows, K) and write n parents a row to ``out``, one row after the other, with
``SPARE`` places at the end: most parents have few offspring, which are written without counting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._rows.blocks import BELOW_ONE
from softargmax._rows.compiled.gaps import total_of
from softargmax._rows.compiled.maths import BLOCK, frozen, kernel, part

SPARE = 4
at = np.uint64  # a place: a number with a sign would be looked at, since it may count from the end
# What is certain before the independent draws.
NOTHING = 0
WHOLE = 1  # ⌊np⌋, and the draws are by the fractional parts
SURVIVORS = 2  # whoever has luck below p / max p


@part
def parted(x: Any, slack: Any) -> Any:
    """⌊x⌋ and what is left of x, which is 0 where x is an integer but for rounding."""
    floor = np.floor(x * (1 + slack))
    rest = x - floor
    return floor, (0.0 if rest <= floor * slack else rest)


@part
def repeat(i: Any, first: Any, last: Any, out: Any) -> None:
    """Write i from place ``first`` up to ``last``, and perhaps beyond."""
    place, end = at(first), at(last)
    for j in range(SPARE):
        out[place + at(j)] = i
    place += at(SPARE)
    while place < end:
        out[place] = i
        place += at(1)


@part
def repeat_last(width: Any, first: Any, end: Any, out: Any) -> None:
    """Write the last category up to the end of a row."""
    for j in range(first, end):
        out[j] = width - 1


@kernel
def remainders(p: Any, n: Any, slack: Any, left: Any, slacks: Any) -> None:
    """How many offspring of a row the whole numbers leave, and the slack that they have.

    If the fractional parts add up to something else, the row has none: K or n is too large.
    """
    rows, width = p.shape
    floors, rests = np.empty(BLOCK), np.empty(BLOCK)
    for i in range(rows):
        slacks[i] = slack
        for _ in range(2):
            floors[:], rests[:] = 0, 0
            for start in range(0, width, BLOCK):
                some = p[i, start : start + BLOCK]
                for j in range(len(some)):
                    floor, rest = parted(some[j] * n, slacks[i])
                    floors[j] += floor
                    rests[j] += rest
            left[i] = n - np.int64(total_of(floors, BLOCK))
            if abs(total_of(rests, BLOCK) - left[i]) <= 0.01:
                break
            slacks[i] = 0


@part
def teeth(
    row: Any, n: Any, u: Any, slack: Any, left: Any, late: Any, first: Any, out: Any, space: Any
) -> Any:
    """Write what one row's comb meets, and one more at category ``late``; count what it met.

    Each step is done for a whole block before the next step, so that most of the loops vectorise:
    of 300 categories and more 1.1 to 1.4 times as fast as one category after the other. There is
    ``space`` for two blocks.
    """
    whole, level, most, full, place = 0.0, 0.0, np.float64(left), np.float64(n), first
    ends, levels = space[0], space[1]
    for start in range(0, len(row), BLOCK):
        some = row[start : start + BLOCK]
        for j in range(len(some)):
            ends[j], levels[j] = parted(some[j] * n, slack)
        for j in range(len(some)):
            whole += ends[j]
            level += levels[j]
            ends[j], levels[j] = whole, level
        for j in range(len(some)):
            ends[j] += min(np.ceil(levels[j] - u), most)
        for j in range(max(late - start, 0), len(some)):
            ends[j] += 1
        for j in range(len(some)):  # NaN becomes 0; as an integer it would be no place of ``out``
            end = ends[j] if ends[j] > 0 else 0.0
            ends[j] = end if end < full else full
        for j in range(len(some)):
            last = first + np.int64(ends[at(j)])
            repeat(start + j, place, last, out)
            place = last
    repeat_last(len(row), place, first + n, out)
    return np.int64(min(np.ceil(level - u), most))


@part
def last_free(row: Any, n: Any, u: Any, slack: Any, left: Any) -> Any:
    """The last category that has a fractional part, and that a row's comb does not meet."""
    level, before, free = 0.0, 0, len(row)
    for j in range(len(row)):
        rest = parted(row[j] * n, slack)[1]
        level += rest
        reached = min(np.int64(np.ceil(level - u)), left)
        if rest > 0 and reached == before:
            free = j
        before = reached
    return free


@kernel
def comb(p: Any, n: Any, u: Any, slacks: Any, left: Any, out: Any) -> None:
    """Equally spaced draws with an offset a row, beyond the whole numbers."""
    rows, width = p.shape
    space = np.empty((2, BLOCK))
    for i in range(rows):
        late = width
        for _ in range(2):
            met = teeth(p[i], n, u[i], slacks[i], left[i], late, i * n, out, space)
            if met >= left[i]:
                break
            late = last_free(p[i], n, u[i], slacks[i], left[i])  # rounding has lost one


@kernel
def strata(p: Any, u: Any, out: Any) -> None:
    """One draw from each of n strata of a row, at the positions u (rows, n)."""
    (rows, width), n = p.shape, u.shape[1]
    for i in range(rows):
        row, own, begin, end = p[i], u[i], i * n, (i + 1) * n
        total, level, place = 0.0, 0.0, begin
        for j in range(width):
            total += row[j]
        for j in range(width - 1):
            level += row[j]
            part = level / total * n
            stratum = max(min(np.int64(part), n - 1), 0)  # NaN is the lowest of integers
            last = begin + stratum + (own[at(stratum)] < part - stratum)
            last = min(max(last, place), end)
            repeat(j, place, last, out)
            place = last
        repeat_last(width, place, end, out)


@kernel
def arrivals(waits: Any, left: Any) -> None:
    """Make sorted uniforms of exponentials: times of arrival over the one after the last."""
    rows = len(waits)
    for i in range(rows):
        row, count, time = waits[i], left[i], 0.0
        for j in range(count + 1):
            time += row[j]
            row[j] = time
        for j in range(count):
            row[j] = min(row[j] / time, BELOW_ONE)


@kernel
def survivors(p: Any, u: Any, left: Any) -> None:
    """How many of a row do not survive."""
    rows, width = p.shape
    for i in range(rows):
        row, top = p[i], 0.0
        for j in range(width):
            top = max(top, row[j])
        left[i] = width
        for j in range(width):
            left[i] -= u[i, j] < row[j] / top


@kernel
def independent(
    p: Any, n: Any, sure: Any, u: Any, slacks: Any, times: Any, left: Any, out: Any
) -> None:
    """What is certain, and independent draws at sorted times."""
    rows, width = p.shape
    for i in range(rows):
        row, luck, when, begin, end = p[i], u[i], times[i], i * n, (i + 1) * n
        slack, count, total, top = slacks[i], left[i], 0.0, 0.0
        for j in range(width):
            total += parted(row[j] * n, slack)[1] if sure == WHOLE else row[j]
            top = max(top, row[j])
        level, place, came = 0.0, begin, 0
        whole: Any = 0
        for j in range(width):
            if sure == WHOLE:
                floor, rest = parted(row[j] * n, slack)
                whole += np.int64(floor)
                level += rest
            else:
                level += row[j]
                if sure == SURVIVORS:
                    whole += luck[j] < row[j] / top
            reached = level / total
            while came + 4 <= count:
                k = at(came)
                passed = np.int64(when[k] < reached) + (when[k + at(1)] < reached)
                passed += np.int64(when[k + at(2)] < reached) + (when[k + at(3)] < reached)
                came += passed
                if passed < 4:
                    break
            else:
                while came < count and when[at(came)] < reached:
                    came += 1
            last = min(max(begin + whole + came, place), end)
            repeat(j, place, last, out)
            place = last
        repeat_last(width, place, end, out)


@kernel
def knockout(
    p: Any, n: Any, u: Any, slacks: Any, left: Any, rest: Any, who: Any, counts: Any, out: Any
) -> None:
    """Srinivasan's process: pairs of fractional parts, of which one is settled, round by round.

    A pair's luck is noise, and so there is no branch on it. ``rest``, ``who`` and ``counts`` are
    memory.
    """
    rows, width = p.shape
    for i in range(rows):
        row, luck = p[i], u[i]
        for j in range(width):
            floor, rest[j] = parted(row[j] * n, slacks[i])
            counts[j], who[j] = np.int64(floor), j
        players, used = width, 0
        won: Any = 0
        while players > 1:
            pairs = players // 2
            for j in range(pairs):
                k = at(j)
                a, b = rest[k + k], rest[k + k + at(1)]
                both = a + b
                whole = np.floor(both)
                full = np.int64(both >= 1)  # of NaN too 0 or 1
                # Unnormalised probability that the first becomes 1 (full), or goes on as the second
                # is 0, which a product with subnormal numbers may miss.
                chosen = np.int64(luck[at(used + j)] * min(both, 2 - both) < min(a, 1 - b))
                on = at((chosen | np.int64(b == 0)) ^ full ^ 1)
                counts[at(who[k + k + at(1) - on])] += full
                won += full
                rest[k], who[k] = both - whole, who[k + k + on]
            used += pairs
            if players % 2:
                rest[pairs], who[pairs] = rest[players - 1], who[players - 1]
            players -= pairs
        counts[who[0]] += left[i] - won
        place, end = i * n, (i + 1) * n
        for j in range(width):
            last = min(max(place + counts[j], place), end)
            repeat(j, place, last, out)
            place = last
        repeat_last(width, place, end, out)


# ---------------------------------------------------------------------------- as NumPy's ways


def multinomial(p: Any, waits: Any) -> Any:
    left = np.full(len(p), waits.shape[1] - 1)
    return _drawn(p, waits.shape[1] - 1, NOTHING, p, np.zeros(len(p)), lambda _: waits, left)


def stratified(p: Any, u: Any) -> Any:
    return _parents(u.shape[1], strata, frozen(p), u)


def systematic(p: Any, n: int, u: Any, slack: float) -> Any:
    return _parents(n, comb, frozen(p), n, u.ravel(), *_split(p, n, slack))


def residual(p: Any, n: int, waits: Callable[[int], Any], slack: float) -> Any:
    slacks, left = _split(p, n, slack)
    return _drawn(p, n, WHOLE, p, slacks, waits, left)


def killing(p: Any, u: Any, waits: Callable[[int], Any]) -> Any:
    left = np.empty(len(p), np.int64)
    survivors(frozen(p), frozen(u), left)
    return _drawn(p, p.shape[1], SURVIVORS, u, np.zeros(len(p)), waits, left)


def ssp(p: Any, n: int, u: Any, slack: float) -> Any:
    width = p.shape[1]
    who, counts = np.empty((2, width), np.int32 if max(n, width) < 2**31 else np.int64)
    split = _split(p, n, slack)
    return _parents(n, knockout, frozen(p), n, frozen(u), *split, np.empty(width), who, counts)


def _split(p: Any, n: int, slack: float) -> tuple[Any, Any]:
    """The slack of every row, and how many offspring its whole numbers leave."""
    left, slacks = np.empty(len(p), np.int64), np.empty(len(p))
    remainders(frozen(p), n, slack, left, slacks)
    return slacks, left


def _drawn(
    p: Any, n: int, sure: int, u: Any, slacks: Any, waits: Callable[[int], Any], left: Any
) -> Any:
    """Those that are sure, and as many independent draws as they leave."""
    most = int(left.max())
    times = np.ascontiguousarray(waits(most)) if most else np.ones((len(p), 1))
    arrivals(times, left)
    return _parents(n, independent, frozen(p), n, sure, frozen(u), slacks, times, left)


def _parents(n: int, fill: Callable[..., None], p: Any, *args: Any) -> Any:
    """What a kernel writes, (rows, n)."""
    out = np.empty(len(p) * n + SPARE, np.int64)
    fill(p, *args, out)
    return out[: len(p) * n].reshape(len(p), n)
