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
