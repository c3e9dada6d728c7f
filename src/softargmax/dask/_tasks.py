"""Tasks of the workers: counter-based draws, sums over them, and merging."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax.categorical import Categorical
from softargmax.draws import Keyed
from softargmax.gumbel import Reservoir

AT_ONCE = 2**18  # draws that a task holds at a time if it returns only a summary


def drawn(dist: Categorical, start: int, stop: int, seed: int) -> Any:
    """Draws number ``start`` to ``stop`` (exclusive) of every row, (stop - start,) + batch."""
    first = start * math.prod(dist.batch_shape)
    return dist.sample(stop - start, rng=Keyed(seed, first), method="alias")


def pieces(start: int, stop: int, width: int) -> list[tuple[int, int]]:
    """Ranges of draws that a task holds at a time, cut at the same places in every chunking."""
    step = max(1, AT_ONCE // max(1, width))
    inner = range(-(-(start + 1) // step) * step, stop, step)
    ends = [start, *inner, stop]
    return list(itertools.pairwise(ends))


def counted(dist: Categorical, start: int, stop: int, seed: int) -> Any:
    rows, width = math.prod(dist.batch_shape), dist.num_categories
    counts = np.zeros(rows * width, np.int64)
    lead = np.arange(rows) * width
    for some in pieces(start, stop, rows):
        x = drawn(dist, *some, seed).reshape(some[1] - some[0], rows)
        counts += np.bincount((x + lead).ravel(), minlength=rows * width)
    return counts.reshape(*dist.batch_shape, width)


@ignore_fp_errors
def summed(
    f: Callable[[Any], Any],
    shape: tuple[int, ...],
    dist: Categorical,
    start: int,
    stop: int,
    seed: int,
) -> Any:
    """The number of draws, the mean of f, and the sum of squared deviations from it."""
    rows = math.prod(dist.batch_shape)
    found = []
    for some in pieces(start, stop, rows):
        values = values_of(f, drawn(dist, *some, seed))
        if values.shape[1:] != shape:
            raise ValueError(
                f"f must return values of one shape, got {shape} for one draw and "
                f"{values.shape[1:]} for {len(values)}"
            )
        mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1:])
        found.append((len(values), mean, ((values - mean) ** 2).sum(axis=0)))
    return pooled(found)


def values_of(f: Callable[[Any], Any], x: Any) -> Any:
    values = checks.real_array(f(x), "values of f", np, x)
    if values.ndim == 0 or len(values) != len(x):
        raise ValueError(
            f"f must return one value for each draw, shape ({len(x)}, ...), "
            f"got shape {values.shape}"
        )
    return values.astype(np.float64, copy=False)


@ignore_fp_errors
def pooled(parts: Any) -> Any:
    """Pool the counts, means and sums of squared deviations of several parts."""
    n, mean, square = parts[0]
    for more, other, rest in parts[1:]:
        away, total = other - mean, max(n + more, 1)
        mean = np.where(np.isfinite(away), mean + away * (more / total), mean + other)
        square = square + rest + away**2 * (n * more / total)
        n += more
    return n, mean, square


@ignore_fp_errors
def estimated(total: Any) -> Any:
    n, mean, square = total
    return np.stack([mean, np.sqrt(square / (n * (n - 1)))])


def joined(parts: Any) -> Reservoir:
    first: Reservoir = parts[0]
    for other in parts[1:]:
        first = first.merge(other)
    return first


def indices_of(reservoir: Reservoir, scalar: bool) -> Any:
    found = reservoir.indices
    return found[0] if scalar else found
