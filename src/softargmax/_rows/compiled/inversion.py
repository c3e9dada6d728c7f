"""Draws from rows by inversion, for uniforms that are at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.blocks import BELOW_ONE
from softargmax._rows.compiled.gaps import (
    TIMES,
    fill,
    first_above,
    fold,
    row_of,
    total_of,
    total_of_lanes,
)
from softargmax._rows.compiled.maths import BLOCK, LANE, kernel, part, weight
from softargmax._rows.compiled.together import ROWS
from softargmax._rows.compiled.vectors import TILE, turn


@kernel
def sums(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """The running sums (rows, ⌈K/BLOCK⌉) of blocks of weights, in float64."""
    width = z.shape[1]
    d, lanes = np.empty(BLOCK, z.dtype), np.empty((width // BLOCK, LANE), z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        row, total, whole = row_of(z, i), 0.0, 0
        if way[own] <= TIMES and scale[own] > 0:
            # In one loop over unsigned places: 1.2 times as fast.
            factor, own_top, whole = z.dtype.type(scale[own]), top[i], width // BLOCK
            for b in range(whole):
                start = np.uint64(b) * np.uint64(BLOCK)
                for k in range(BLOCK):
                    j = np.uint64(k)
                    d[j] = weight((row[start + j] - own_top) * factor)
                fold(d, lanes[b])
            for b in range(whole):  # later, when the additions do not wait for the blocks
                total += total_of_lanes(lanes[b])
                out[i, b] = total
        for b in range(whole, out.shape[1]):
            some = row[b * BLOCK : (b + 1) * BLOCK]
            total += mass_of(some, top[i], way[own], scale[own], d)
            out[i, b] = total


@kernel
def mass_of(z: Any, top: Any, way: Any, scale: Any, d: Any) -> Any:
    """The weight of some logits of a row, a block at most."""
    n = fill(z, top, way, scale, d)
    for j in range(n):
        d[j] = weight(d[j])
    return total_of(d, n)


@part
def pick(z: Any, top: Any, way: Any, scale: Any, running: Any, tiny: Any, u: Any, d: Any) -> Any:
    """The category of a uniform in one row: a block by the running sums, then within the block."""
    total = running[len(running) - 1]
    level = u * total
    low = first_above(running, level)
    before = running[low - 1] if low else 0.0
    inside = min((level - before) / (running[low] - before), BELOW_ONE)
    some = z[low * BLOCK : (low + 1) * BLOCK]
    n = fill(some, top, way, scale, d)
    for j in range(n):
        d[j] = weight(d[j])
    found = scan(d, len(some), inside, tiny * total)
    if found >= 0:
        return low * BLOCK + found
    found = 0  # all are below the floor, as they can be at u = 0: the likeliest stands in
    while z[found] != top:
        found += 1
    return found


@part
def scan(weights: Any, count: Any, inside: Any, least: Any) -> Any:
    """The first category whose running sum passes a part of the whole; -1 where all weights are
    below the least, which is as good as 0.
    """
    total, reached = 0.0, 0.0
    for j in range(count):
        total += weights[j] if weights[j] >= least else 0.0
    goal = inside * total
    for j in range(count):
        reached += weights[j] if weights[j] >= least else 0.0
        if reached > goal:
            return j
    return -1


@kernel
def invert(
    first: Any,
    last: Any,
    z: Any,
    top: Any,
    way: Any,
    scale: Any,
    running: Any,
    tiny: Any,
    u: Any,
    out: Any,
) -> Any:
    """The categories of uniforms (n, rows) in [0, 1), by the running sums of blocks."""
    d = np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        for k in range(len(u)):
            out[k, i] = pick(
                row_of(z, i), top[i], way[own], scale[own], running[i], tiny, u[k, i], d
            )


@kernel
def invert_one(z: Any, top: Any, way: Any, scale: Any, running: Any, tiny: Any, u: Any) -> Any:
    """The category of one uniform and one row, by the running sums of blocks."""
    d = np.empty(BLOCK, z.dtype)
    return pick(z[0], top[0], way[0], scale[0], running[0], tiny, u, d)


@kernel
def sum_and_invert_one(
    z: Any, top: Any, way: Any, scale: Any, running: Any, tiny: Any, u: Any
) -> Any:
    """``sums`` of one row and ``invert_one``, in one call."""
    sums(0, 1, z, top, way, scale, running)
    return invert_one(z, top, way, scale, running, tiny, u)


@kernel
def invert_short(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, tiny: Any, u: Any, out: Any
) -> Any:
    """The categories of uniforms (n, rows) in [0, 1), for rows that are one block."""
    width = z.shape[1]
    d, reached = np.empty(BLOCK, z.dtype), np.empty(BLOCK)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        total = add_up(row_of(z, i), top[i], way[own], scale[own], tiny * width, d, reached)
        for k in range(len(u)):
            level, j = u[k, i] * total, 0
            while reached[j] <= level:
                j += 1
            out[k, i] = j


@kernel
def invert_together(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, tiny: Any, u: Any, out: Any
) -> Any:
    """As ``invert_short`` for one uniform a row, with the sums of many rows side by side.

    Its gaps are formed as in ``together``, but times their factor only where they are weighed: by
    way of finished gaps it takes 1.06 (K = 18) to 1.15 times as long (K = 10).
    """
    width, step = np.uint64(z.shape[1]), np.uint64(z.shape[1] if len(z) > 1 else 0)
    d, tops, flat = np.empty(BLOCK, z.dtype), np.zeros(ROWS, z.dtype), z.reshape(-1)
    d[0] = tiny * z.shape[1]
    # One product for all rows at once: a third of the time of ``fill`` row by row.
    simple = len(way) == 1 and way[0] <= TIMES and scale[0] > 0
    d[1] = scale[0] if simple else 1.0
    least, factor, column = d[0], d[1], np.uint64(ROWS)
    weights, three = np.zeros(z.shape[1] * ROWS, z.dtype), np.empty(3 * ROWS)
    for start in range(first, last, ROWS):
        rows = min(ROWS, last - start)
        filled = (rows + LANE - 1) // LANE * LANE
        if simple:
            for r in range(rows):
                tops[r] = top[start + r]
            turned = z.shape[1] // TILE * TILE if rows == ROWS else 0
            for c in range(0, turned, TILE):
                for r in range(0, ROWS, LANE):
                    at = np.uint64(start + r) * step + np.uint64(c)
                    to = np.uint64(c) * column + np.uint64(r)
                    turn(flat, at, step, weights, to, column)
            for j in range(turned):
                to = np.uint64(j) * column
                for r in range(ROWS):
                    weights[to + np.uint64(r)] -= tops[r]
            for j in range(turned, z.shape[1]):
                at, to = np.uint64(start) * step + np.uint64(j), np.uint64(j) * column
                for r in range(rows):
                    k = np.uint64(r)
                    weights[to + k] = flat[at + k * step] - tops[k]
        else:
            for r in range(rows):
                i = start + r
                own = i if len(way) > 1 else 0
                fill(row_of(z, i), top[i], way[own], scale[own], d)
                for j in range(width):
                    weights[np.uint64(j) * column + np.uint64(r)] = d[j]
        three[:] = 0  # of each row the total, later the level; the running sum; how many are passed
        for p in range(len(weights)):
            w = weight(weights[np.uint64(p)] * factor)
            weights[np.uint64(p)] = w if w >= least else w - w
        for j in range(width):
            to = np.uint64(j) * column
            for r in range(filled):
                k = np.uint64(r)
                three[k] += weights[to + k]
        for r in range(rows):
            three[r] *= u[0, start + r]
        for j in range(width):
            to = np.uint64(j) * column
            for r in range(filled):
                k = np.uint64(r)
                reached = three[column + k] + weights[to + k]
                three[column + k] = reached
                three[column + column + k] += 1.0 if reached <= three[k] else 0.0
        for r in range(rows):
            out[0, start + r] = np.int64(three[2 * ROWS + r])


@kernel
def invert_one_short(z: Any, top: Any, way: Any, scale: Any, tiny: Any, u: Any) -> Any:
    """The category of one uniform, for one row that is one block."""
    d, reached = np.empty(BLOCK, z.dtype), np.empty(BLOCK)
    total = add_up(z[0], top[0], way[0], scale[0], tiny * z.shape[1], d, reached)
    level, j = u * total, 0
    while reached[j] <= level:
        j += 1
    return j


@part
def add_up(z: Any, top: Any, way: Any, scale: Any, least: Any, d: Any, reached: Any) -> Any:
    """The running sums of a row's weights, without those below the least; the last is returned."""
    n, total = fill(z, top, way, scale, d), 0.0
    for j in range(n):
        d[j] = weight(d[j])
    for j in range(len(z)):
        total += d[j] if d[j] >= least else 0.0
        reached[j] = total
    return total
