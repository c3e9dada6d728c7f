"""What a row answers: its top, d, log-probabilities, probabilities and entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.gaps import (
    TIMES,
    below,
    fill,
    is_enough,
    row_of,
    ties_but_one,
    total_of,
)
from softargmax._rows.compiled.maths import BLOCK, LANE, exp, kernel, log1p, part, weight
from softargmax._rows.compiled.vectors import TILE, turn


@kernel
def tops(z: Any, coldness: Any, top: Any) -> Any:
    """The largest logit of each row; where β < 0 the smallest above -inf. NaN where one is NaN."""
    if (coldness >= 0).any():
        highest(z[: len(top)], top)
    if len(z) == 1:  # at many temperatures
        top[:] = top[:1]
    for i in range(len(top)):
        if coldness[i if len(coldness) > 1 else 0] < 0:
            row = row_of(z, i)
            best = row[0]
            for j in range(z.shape[1]):
                lower = best == -np.inf or -np.inf < row[j] < best
                best = row[j] if lower or row[j] != row[j] else best
            top[i] = best


@kernel
def highest(z: Any, top: Any) -> None:
    """The largest logit of each row of z, NaN where one is NaN."""
    width, flat, lane = np.uint64(z.shape[1]), z.reshape(-1), np.uint64(LANE)
    whole, turned = len(z) // LANE * LANE, z.shape[1] // TILE * TILE
    best, tile = np.empty(LANE, z.dtype), np.empty(TILE * LANE, z.dtype)
    for start in range(0, whole, LANE):  # rows side by side
        first = np.uint64(start) * width
        best[:] = -np.inf
        for c in range(0, turned, TILE):
            turn(flat, first + np.uint64(c), width, tile, np.uint64(0), lane)
            for r in range(LANE):
                b = best[r]
                for j in range(TILE):
                    x = tile[np.uint64(j) * lane + np.uint64(r)]
                    b = x if x > b or x != x else b
                best[r] = b
        for j in range(turned, z.shape[1]):
            at = first + np.uint64(j)
            for r in range(LANE):
                x, b = flat[at + np.uint64(r) * width], best[r]
                best[r] = x if x > b or x != x else b
        for r in range(LANE):
            top[start + r] = best[r]
    for i in range(whole, len(z)):
        b = z[i, 0]
        for j in range(width):
            x = z[i, j]
            b = x if x > b or x != x else b
        top[i] = b


@kernel
def numbers(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, level: Any, entropy: Any
) -> Any:
    """log1p(s) of each row, with s = Σ exp(d) over all categories but one at the top, and H."""
    width = z.shape[1]
    d, e, ties = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        lanes = min(BLOCK, (width + LANE - 1) // LANE * LANE)
        for careful in range(2):
            rest, mean = 0.0, 0.0
            ties[:lanes] = 0
            for start in range(0, width, BLOCK):
                n = fill(row_of(z, i)[start : start + BLOCK], top[i], way[own], scale[own], d)
                below(d, n, e, ties, careful)
                for j in range(n):
                    d[j] = e[j] * d[j] if e[j] > 0 else e[j]
                rest += total_of(e, n)
                mean += total_of(d, n)
            s = rest + ties_but_one(ties, lanes)
            level[i] = log1p(s)
            entropy[i] = level[i] - mean / (1 + s)
            if is_enough(s, width, d):
                break


@kernel
def fill_d(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """d."""
    width, known = z.shape[1], np.empty(3, z.dtype)
    d = np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        if way[own] <= TIMES and scale[own] > 0:
            known[0], known[1], known[2] = top[i], scale[own], 0
            write(row_of(z, i), 0, known, out[i])  # log p, but for a log1p(s) of 0
            continue
        for start in range(0, width, BLOCK):
            into = out[i, start : start + BLOCK]
            fill(row_of(z, i)[start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(len(into)):
                into[j] = d[j]


@kernel
def log_probs(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """log p = d - log1p(s).

    A row whose d is a product waits until the weights of the next one are formed: arithmetic bounds
    these, memory bounds writing, so that the two overlap.
    """
    width, known = z.shape[1], np.empty(3, z.dtype)  # top, scale and log1p(s) of the waiting row
    waiting = 0  # its categories, or none
    d, e, ties = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        lanes = min(BLOCK, (width + LANE - 1) // LANE * LANE)
        simple = way[own] <= TIMES and scale[own] > 0
        for careful in range(2):
            s, first_block = 0.0, 0
            ties[:lanes] = 0
            if simple and not careful:
                row, first_block = row_of(z, i), width // BLOCK
                before = max(i - 1, 0)  # at the first row nothing waits
                old, into = row_of(z, before)[:waiting], out[before, :waiting]
                s = rest_of(row, first_block, top[i], scale[own], e, ties, old, known, into)
                write(old, min(first_block * BLOCK, waiting), known, into)
                waiting = 0
            for start in range(first_block * BLOCK, width, BLOCK):
                n = fill(row_of(z, i)[start : start + BLOCK], top[i], way[own], scale[own], d)
                below(d, n, e, ties, careful)
                s += total_of(e, n)
            s += ties_but_one(ties, lanes)
            if is_enough(s, width, d):
                break
        if waiting:
            write(row_of(z, i - 1), 0, known, out[i - 1])
        known[0], known[1], known[2] = top[i], scale[own], log1p(s)
        waiting = width if simple else 0
        for start in range(waiting, width, BLOCK):
            into = out[i, start : start + BLOCK]
            fill(row_of(z, i)[start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(len(into)):
                into[j] = d[j] - known[2]
    if waiting:
        write(row_of(z, last - 1), 0, known, out[last - 1])


@part
def write(row: Any, start: Any, known: Any, out: Any) -> None:
    """log p of a row, from a place on, where d is a product: twice as fast as by way of d."""
    top, factor, level = known[0], known[1], known[2]
    for j in range(start, len(row)):
        k = np.uint64(j)
        out[k] = (row[k] - top) * factor - level


@kernel
def rest_of(
    row: Any, blocks: Any, top: Any, scale: Any, e: Any, ties: Any, old: Any, known: Any, out: Any
) -> Any:
    """The weight of what is below the top in the first blocks of a row; ``ties`` counts the rest.

    Where d is a product this is 1.4 times as fast as ``fill`` and ``below``: one loop, over
    unsigned places. In between, the same blocks of ``old``, the row before, which may be empty, are
    written to ``out``.
    """
    kind, total = row.dtype.type, 0.0
    factor, zero, one = kind(scale), kind(0), kind(1)
    for b in range(blocks):
        start = np.uint64(b) * np.uint64(BLOCK)
        for k in range(BLOCK):
            j = np.uint64(k)
            d = (row[start + j] - top) * factor
            tie = one if d == zero else zero
            e[j] = weight(d) - tie
            ties[j] += tie
        total += total_of(e, BLOCK)
        if len(old):
            write(old[b * BLOCK : (b + 1) * BLOCK], 0, known, out[b * BLOCK : (b + 1) * BLOCK])
    return total


@kernel
def probs(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """p = exp(d)/Σ exp(d)."""
    width = z.shape[1]
    d, e = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        total, blocks = 0.0, 0
        if way[own] <= TIMES and scale[own] > 0:
            blocks = width // BLOCK
            total = exp_of_blocks(row_of(z, i), blocks, top[i], scale[own], e, out[i])
        for start in range(blocks * BLOCK, width, BLOCK):
            into = out[i, start : start + BLOCK]
            n = fill(row_of(z, i)[start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(n):
                e[j] = exp(d[j])
            for j in range(len(into)):
                into[j] = e[j]
            total += total_of(e, n)
        divisor, into = z.dtype.type(total if total >= 1 else np.nan), out[i]
        for j in range(width):
            into[np.uint64(j)] /= divisor


@kernel
def exp_of_blocks(row: Any, blocks: Any, top: Any, scale: Any, e: Any, out: Any) -> Any:
    """exp(d) of the first blocks of a row, where d is a product, and their sum."""
    factor, total = row.dtype.type(scale), 0.0
    for b in range(blocks):
        start = np.uint64(b) * np.uint64(BLOCK)
        for k in range(BLOCK):
            j = np.uint64(k)
            v = exp((row[start + j] - top) * factor)
            e[j], out[start + j] = v, v
        total += total_of(e, BLOCK)
    return total


@kernel
def one_log_prob(z: Any, top: Any, way: Any, scale: Any, level: Any, x: Any) -> Any:
    """log p of one category of one row."""
    d = np.empty(LANE, z.dtype)
    fill(z[0, x : x + 1], top[0], way[0], scale[0], d)
    return np.float64(d[0] - d.dtype.type(level[0]))


@kernel
def each_log_prob(z: Any, top: Any, way: Any, scale: Any, level: Any, x: Any, out: Any) -> Any:
    """log p of one category of each row; False where one is out of range."""
    d = np.empty(LANE, z.dtype)
    for i in range(len(x)):
        own = i if len(way) > 1 else 0
        if not 0 <= x[i] < z.shape[1]:
            return False
        fill(row_of(z, i)[x[i] : x[i] + 1], top[i], way[own], scale[own], d)
        out[i] = d[0] - d.dtype.type(level[i])
    return True
