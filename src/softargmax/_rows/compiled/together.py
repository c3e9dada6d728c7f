"""Many short rows at once, with the same category of all of them side by side.

A vector then holds a number of each of several rows, and no row waits for its own sums: 4,096 rows
of 18 take a fifth of the time that they take one after the other. What a row answers depends on no
other row: its weights are added up in a fixed order, in float64, whichever rows stand beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.gaps import RATIO, TIMES, WIDE, fill, is_enough, row_of
from softargmax._rows.compiled.maths import LANE, exp, kernel, log1p, part, weight
from softargmax._rows.compiled.vectors import TILE, turn

NARROW = 100  # categories up to which all that is asked is answered sooner so
ROWS = 64  # rows side by side: with 16 each waits for the one before


@kernel
def numbers_together(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, level: Any, entropy: Any
) -> Any:
    """What ``numbers`` writes, up to the last bits."""
    column = abreast(last - first)
    d, e, sums, found, edges = memory_of(z, column)
    for start in range(first, last, column):
        rows = min(column, last - start)
        write_gaps(z, start, rows, top, way, scale, d, e, sums, edges, column)
        sum_up(d, e, column, sums, found, True)
        for i in range(rows):
            r, at = np.uint64(i), np.uint64(start + i)
            level[at] = log1p(found[r])
        for i in range(rows):
            r, at = np.uint64(i), np.uint64(start + i)
            entropy[at] = level[at] - found[np.uint64(column) + r] / (1 + found[r])


@kernel
def log_probs_together(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any
) -> Any:
    """What ``log_probs`` writes, up to the last bits."""
    column = abreast(last - first)
    d, e, sums, found, edges = memory_of(z, column)
    for start in range(first, last, column):
        rows = min(column, last - start)
        write_gaps(z, start, rows, top, way, scale, d, e, sums, edges, column)
        sum_up(d, e, column, sums, found, False)
        for k in range(column):
            r = np.uint64(k)
            edges[r] = log1p(found[r])
        for j in range(z.shape[1]):
            to = np.uint64(j) * np.uint64(column)
            for k in range(column):
                r = np.uint64(k)
                d[to + r] -= edges[r]
        write_back(d, column, start, rows, out)


@kernel
def probs_together(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """What ``probs`` writes, up to the last bits."""
    column = abreast(last - first)
    d, e, sums, _, edges = memory_of(z, column)
    for start in range(first, last, column):
        rows = min(column, last - start)
        write_gaps(z, start, rows, top, way, scale, d, e, sums, edges, column)
        for k in range(len(d)):
            p = np.uint64(k)
            d[p] = exp(d[p])
        add_up_rows(d, column, sums[:column])
        for k in range(column):
            r = np.uint64(k)
            edges[r] = sums[r] if sums[r] >= 1 else np.nan
        for j in range(z.shape[1]):
            to = np.uint64(j) * np.uint64(column)
            for k in range(column):
                r = np.uint64(k)
                d[to + r] /= edges[r]
        write_back(d, column, start, rows, out)


@part
def abreast(rows: Any) -> Any:
    """How many rows stand side by side: whole vectors of them."""
    return min(ROWS, (max(rows, 1) + LANE - 1) // LANE * LANE)


@part
def memory_of(z: Any, column: Any) -> Any:
    """Memory for so many rows: d and e for each logit; sums, found and edges, some for each row."""
    size = z.shape[1] * column
    d, e, edges = np.empty(size, z.dtype), np.empty(size, z.dtype), np.empty(2 * column, z.dtype)
    return d, e, np.empty(3 * column), np.empty(2 * column), edges


@part
def write_gaps(
    z: Any,
    start: Any,
    rows: Any,
    top: Any,
    way: Any,
    scale: Any,
    d: Any,
    e: Any,
    scales: Any,
    edges: Any,
    column: Any,
) -> None:
    """Write d of some rows, from ``start`` on, one beside the other.

    A column of d has as many numbers as rows stand side by side; where fewer are left, the last one
    is written several times. The rest is memory: ``e`` for a row, ``scales`` and ``edges`` for one
    number and for two (tops and factors) of each row.
    """
    width, one = z.shape[1], len(way) == 1
    kind = way[0 if one else start]
    alike = rows == column and kind <= RATIO and scale[0 if one else start] > 0
    if not one:
        for i in range(start, start + rows):
            alike = alike and way[i] == kind and scale[i] > 0
    if not alike:
        for i in range(column):
            own = start + min(i, rows - 1)
            at = 0 if one else own
            fill(row_of(z, own), top[own], way[at], scale[at], e)
            for j in range(width):
                d[np.uint64(j) * np.uint64(column) + np.uint64(i)] = e[j]
        return
    flat, step = z.reshape(-1), np.uint64(width if len(z) > 1 else 0)
    first, turned, high = np.uint64(start) * step, width // TILE * TILE, np.uint64(column)
    for c in range(0, turned, TILE):
        for i in range(0, column, LANE):
            place = first + np.uint64(i) * step + np.uint64(c)
            turn(flat, place, step, d, np.uint64(c) * high + np.uint64(i), high)
    for j in range(turned, width):
        for k in range(column):
            r = np.uint64(k)
            d[np.uint64(j) * high + r] = flat[first + np.uint64(j) + r * step]
    for k in range(column):  # each array in a loop of its own, which vectors then do
        r = np.uint64(k)
        edges[r] = top[np.uint64(start) + r]
    if one:
        scales[:column], edges[column:] = scale[0], scale[0]
    else:
        for k in range(column):
            r = np.uint64(k)
            scales[r] = scale[np.uint64(start) + r]
        for k in range(column):
            r = np.uint64(k)
            edges[high + r] = scales[r]
    for j in range(width):
        to = np.uint64(j) * high
        if kind <= TIMES:
            for k in range(column):
                r = np.uint64(k)
                d[to + r] = (d[to + r] - edges[r]) * edges[high + r]
        elif kind == WIDE:
            for k in range(column):
                r = np.uint64(k)
                d[to + r] = np.float64(d[to + r] - edges[r]) * scales[r]
        else:
            for k in range(column):
                r = np.uint64(k)
                d[to + r] = np.float64(d[to + r] - edges[r]) / scales[r]


@part
def sum_up(d: Any, e: Any, column: Any, sums: Any, found: Any, with_mean: Any) -> None:
    """Write Σ exp(d) of each row, over all categories but one at the top, then Σ exp(d)·d if asked.

    Weights that are no normal numbers are left out of the first sums, which are formed sooner so;
    rows that need them are added up again.
    """
    zero, width, high = d.dtype.type(0), len(d) // column, np.uint64(column)
    rest, mean, ties = sums[:column], sums[column : 2 * column], sums[2 * column : 3 * column]
    ties[:] = 0
    for j in range(width):
        to = np.uint64(j) * high
        for k in range(column):
            r = np.uint64(k)
            ties[r] += 1.0 if d[to + r] == zero else 0.0
    for careful in range(2):
        if careful:
            for k in range(len(d)):
                p = np.uint64(k)
                w = exp(d[p])
                e[p] = w if d[p] < zero else zero
        else:
            for k in range(len(d)):
                p = np.uint64(k)
                w = weight(d[p])
                e[p] = w if d[p] < zero else zero
        add_up_rows(e, column, rest)
        if with_mean:
            for k in range(len(d)):
                p = np.uint64(k)
                e[p] = e[p] * d[p] if e[p] > zero else zero
            add_up_rows(e, column, mean)
        fine = True
        for i in range(column):
            if not careful or not is_enough(found[i], width, d):
                found[i] = rest[i] + (ties[i] - 1.0 if ties[i] > 0 else np.nan)
                found[column + i] = mean[i]
                fine = fine and is_enough(found[i], width, d)
        if fine:
            return


@part
def add_up_rows(x: Any, column: Any, sums: Any) -> None:
    """Write the sum of each row: of eight numbers at a time, which loses fewer digits than one."""
    high, width = np.uint64(column), len(x) // column
    eights = width // 8 * 8
    sums[:] = 0
    for j in range(0, eights, 8):
        to = np.uint64(j) * high
        for k in range(column):
            p = to + np.uint64(k)
            q = p + high * np.uint64(4)
            first, second = np.float64(x[p]), np.float64(x[p + high])
            third, fourth = np.float64(x[q - high * np.uint64(2)]), np.float64(x[q - high])
            fifth, sixth = np.float64(x[q]), np.float64(x[q + high])
            seventh = np.float64(x[q + high * np.uint64(2)])
            eighth = np.float64(x[q + high * np.uint64(3)])
            sums[np.uint64(k)] += ((first + second) + (third + fourth)) + (
                (fifth + sixth) + (seventh + eighth)
            )
    for j in range(eights, width):
        to = np.uint64(j) * high
        for k in range(column):
            sums[np.uint64(k)] += np.float64(x[to + np.uint64(k)])


@part
def write_back(d: Any, column: Any, start: Any, rows: Any, out: Any) -> None:
    """Write rows that stand side by side one after the other."""
    width, flat, high = np.uint64(out.shape[1]), out.reshape(-1), np.uint64(column)
    turned = out.shape[1] // LANE * LANE if rows == column else 0
    for c in range(0, turned, LANE):
        for i in range(0, column, TILE):
            at = np.uint64(start + i) * width + np.uint64(c)
            turn(d, np.uint64(c) * high + np.uint64(i), high, flat, at, width)
    for i in range(rows):
        at = np.uint64(start + i) * width
        for j in range(turned, out.shape[1]):
            flat[at + np.uint64(j)] = d[np.uint64(j) * high + np.uint64(i)]
