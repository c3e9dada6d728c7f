"""Energies of several runs as one pool of samples, whole and without each block of time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import Array, Shape, is_traced, to_numpy


class Pool(NamedTuple):
    """The samples of all rungs together.

    The weight of a sample depends on its energy alone, so that equal energies are one level, with
    the number of samples there as its multiplicity.
    """

    levels: Array  # the different energies less ``centre``, (U,)
    centre: float  # what is taken off the energies, lest β·E lose digits
    place: Array  # the level of each sample, (N,)
    block: Array  # the block of time of each sample, (N,)
    blocks: int
    sizes: Array  # samples in each block from each rung, (blocks, R)
    rung: Array  # the rung of each sample, (N,)
    shapes: tuple[Shape, ...]  # of the arrays that were given


class Sample(NamedTuple):
    """What a solution is of: all samples, or those without a block."""

    counts: Array  # at each level, (U,)
    sizes: Array  # of each rung, (R,)
    sums: Array  # of observed values at each level, (U, P)


def finite(x: Any, name: str) -> Array:
    """An argument as finite float64 numbers."""
    if is_traced(x):
        raise TypeError(f"{name} must be known, got a traced array")
    return checks.numbers_in(
        to_numpy(checks.real_array(x, name, np, x)), name, "(-inf, inf)", np, x
    )


def pooled(energies: Any, rungs: int, blocks: int) -> Pool:
    """The samples of all rungs."""
    apart = isinstance(energies, list | tuple) and all(np.ndim(x) == 1 for x in energies)
    if apart and (len(energies) == rungs or any(len(x) != rungs for x in energies)):
        given = [finite(x, "energies") for x in energies]
        if len(given) != rungs:
            raise ValueError(f"energies must be {rungs} arrays, one a coldness, got {len(given)}")
        steps = np.array([len(x) for x in given])
        rung = np.repeat(np.arange(rungs), steps)
        time = np.concatenate([np.arange(n) for n in steps])
    else:
        given = [finite(energies, "energies")]
        if given[0].ndim != 2 or given[0].shape[1] != rungs:
            raise ValueError(
                f"energies must have shape (steps, {rungs}), a column for each coldness, "
                f"got shape {given[0].shape}"
            )
        steps = np.full(rungs, len(given[0]))
        time, rung = (x.ravel() for x in np.indices(given[0].shape))
    blocks = checks.count(blocks, "blocks", 2, 2**62)
    if steps.min() < blocks:
        raise ValueError(f"energies must have blocks={blocks} steps or more, got {steps.min()}")
    together = np.concatenate([x.ravel() for x in given])
    levels, place = np.unique(together, return_inverse=True)
    centre = float(levels[0] / 2 + levels[-1] / 2)
    block = time * blocks // steps[rung]
    sizes = np.bincount(block * rungs + rung, minlength=blocks * rungs).reshape(blocks, rungs)
    shapes = tuple(x.shape for x in given)
    return Pool(levels - centre, centre, place, block, blocks, sizes, rung, shapes)


def observed(observable: Any, shapes: tuple[Shape, ...]) -> tuple[Array, Shape]:
    """The values at the pooled samples, (N, P), and the axes that the P are of."""
    if len(shapes[0]) == 1 and not hasattr(observable, "__len__"):
        raise ValueError(f"observable must be {len(shapes)} arrays, got a number")
    given = [observable] if len(shapes[0]) == 2 else list(observable)
    if len(given) != len(shapes):
        raise ValueError(f"observable must be {len(shapes)} arrays, got {len(given)}")
    found = [finite(x, "observable") for x in given]
    tail = found[0].shape[len(shapes[0]) :]
    for x, shape in zip(found, shapes, strict=True):
        if x.shape != (*shape, *tail):
            raise ValueError(
                f"observable must begin with the shape of the energies, {shape}, "
                f"and go on alike for all rungs, got shape {x.shape}"
            )
    return np.concatenate(
        [x.reshape(math.prod(x.shape[: len(shapes[0])]), -1) for x in found]
    ), tail


def replicates(pool: Pool, values: Array | None = None) -> Iterator[Sample]:
    """All samples, then those without the first block, without the second, …"""
    columns = [] if values is None else [*values.T]

    def tally(of: Any) -> Array:
        place, most = pool.place[of], len(pool.levels)
        tallies = [np.bincount(place, None if c is None else c[of], most) for c in (None, *columns)]
        return np.stack(tallies, -1, dtype=np.float64)

    whole, sizes = tally(slice(None)), pool.sizes.sum(axis=0)
    yield Sample(whole[:, 0], sizes, whole[:, 1:])
    for b in range(pool.blocks):
        rest = whole - tally(pool.block == b)
        yield Sample(rest[:, 0], sizes - pool.sizes[b], rest[:, 1:])


def jackknifed(found: Array) -> tuple[Array, Array]:
    """The first of the values, and the standard error by those without a block, (1 + blocks, …)."""
    value, others = found[0], found[1:]
    away = others - others.mean(axis=0)
    return value, np.sqrt((away * away).sum(axis=0) * (1 - 1 / len(others)))
