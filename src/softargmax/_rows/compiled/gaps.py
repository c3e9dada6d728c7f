"""How d follows from logits, block by block, and sums of weights: parts of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.maths import BLOCK, LANE, exp, part, weight

# How d follows from the gap to the top. The careful ones round once.
PLAIN = 0  # β = 1
TIMES = 1  # β·gap in the dtype
WIDE = 2  # β·gap in float64
RATIO = 3  # gap/T in float64
COLDEST = 4  # T = 0
HOT = 5  # β = 0


@part
def row_of(z: Any, i: Any) -> Any:
    """The logits of row i; a single one is that of all rows, as in a ladder of temperatures."""
    return z[i if len(z) > 1 else 0]


@part
def fill(z: Any, top: Any, way: Any, scale: Any, d: Any) -> Any:
    """Write d of some logits of a row to the front of ``d``, filled up with -inf to whole lanes.

    The number of elements written is returned.
    """
    count = len(z)
    kind = d.dtype.type
    void, factor, zero = kind(-np.inf), kind(scale), kind(0)
    if way == PLAIN:
        for j in range(count):
            d[j] = z[j] - top
    elif way == TIMES:
        for j in range(count):
            x = z[j]
            d[j] = (x - top) * factor if x > void else void
    elif way == WIDE:
        for j in range(count):
            x = z[j]
            d[j] = np.float64(x - top) * scale if x > void else -np.inf
    elif way == RATIO:
        for j in range(count):
            d[j] = np.float64(z[j] - top) / scale
    elif way == COLDEST:
        for j in range(count):
            d[j] = zero if z[j] == top else void
    else:
        for j in range(count):
            d[j] = zero if z[j] > void else void
    width = (count + LANE - 1) // LANE * LANE
    for j in range(count, width):
        d[j] = void
    return width


@part
def total_of(e: Any, width: Any) -> Any:
    """The sum of whole lanes of e, as a tree whose shape depends on the width alone; e is lost."""
    if width == BLOCK:
        fold(e, e)
    n = 1 if width == BLOCK else width // LANE
    while n > 1:
        half = (n + 1) // 2
        for j in range((n - half) * LANE):
            e[j] += e[half * LANE + j]
        n = half
    return total_of_lanes(e)


@part
def fold(e: Any, out: Any) -> None:
    """What is left of the tree of a whole block when it comes to ``LANE`` numbers.

    In one expression it stays in registers, which takes a quarter off the sums of a long row.
    """
    for j in range(LANE):
        out[j] = (
            ((e[j] + e[j + 128]) + (e[j + 64] + e[j + 192]))
            + ((e[j + 32] + e[j + 160]) + (e[j + 96] + e[j + 224]))
        ) + (
            ((e[j + 16] + e[j + 144]) + (e[j + 80] + e[j + 208]))
            + ((e[j + 48] + e[j + 176]) + (e[j + 112] + e[j + 240]))
        )


@part
def total_of_lanes(e: Any) -> Any:
    """The sum of ``LANE`` numbers, as the end of the tree."""
    first = ((e[0] + e[8]) + (e[4] + e[12])) + ((e[2] + e[10]) + (e[6] + e[14]))
    last = ((e[1] + e[9]) + (e[5] + e[13])) + ((e[3] + e[11]) + (e[7] + e[15]))
    return np.float64(first + last)


@part
def first_above(reached: Any, level: Any) -> Any:
    """The first place where running sums pass a level, or the last place."""
    low, high = 0, len(reached) - 1
    while low < high:
        middle = (low + high) // 2
        if reached[middle] > level:
            high = middle
        else:
            low = middle + 1
    return low


@part
def below(d: Any, n: Any, e: Any, ties: Any, careful: Any) -> Any:
    """Weights of what is below the top, and a count of what is at the top.

    Weights that are no normal numbers are 0 unless with care, which takes a third longer.
    """
    zero, one = e.dtype.type(0), e.dtype.type(1)
    if careful:
        for j in range(n):
            e[j] = exp(d[j]) if d[j] < zero else zero
    else:
        for j in range(n):
            e[j] = weight(d[j]) if d[j] < zero else zero
    for j in range(n):
        ties[j] += one if d[j] == zero else zero


@part
def is_enough(s: Any, count: Any, d: Any) -> Any:
    """Whether so many weights that are no normal numbers of the dtype are no part of a sum."""
    kind = np.finfo(d.dtype)
    return s >= count * (kind.tiny / kind.eps)


@part
def ties_but_one(ties: Any, lanes: Any) -> Any:
    """How many categories are at the top, but one; NaN where none is, as in a row with a NaN."""
    count = total_of(ties, lanes)
    return count - 1.0 if count > 0 else np.nan
