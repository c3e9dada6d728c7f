"""The equations of MBAR: the partition functions of the rungs, solved for by Newton's method."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Array
from softargmax.thermodynamics._samples import Pool, Sample

# A last step of log Z; the next would be about its square, of which errors need no more digits.
CLOSE, NEAR = 1e-12, 1e-3
_APART = 1e-8  # below this share of samples in common, two parts of a ladder say nothing together


def _shares(pool: Pool, rungs: Array, log_z: Array, sizes: Array) -> Iterator[Any]:
    """N_r·exp(-β_r·E) / Z_r of some levels at a time, which stay in the cache.

    Where they are, the shares of its sum over the rungs, (R, levels), and the sum's logarithm.
    """
    level = np.log(sizes) - log_z
    for first in range(0, len(pool.levels), 4096):
        part = slice(first, first + 4096)
        each = level[:, None] - rungs[:, None] * pool.levels[part]
        top = each.max(axis=0)
        each -= top
        np.exp(each, out=each)
        total = each.sum(axis=0)
        each /= total
        yield part, each, top + np.log(total)


def log_mixture(pool: Pool, rungs: Array, log_z: Array, sizes: Array) -> Array:
    """The logarithm of Σ N_r·exp(-β_r·E) / Z_r at each level, (U,)."""
    return np.concatenate([x for *_, x in _shares(pool, rungs, log_z, sizes)])


def law_at(pool: Pool, beta: float, mixture: Array, counts: Array) -> tuple[Array, float]:
    """The weight of a sample at each level, of sum 1 over the samples, and log Z."""
    exponent = -beta * pool.levels - mixture
    top = exponent.max(where=counts > 0, initial=-math.inf)
    w = np.exp(np.minimum(exponent - top, 0))  # where nothing was counted it has no meaning
    total = w @ counts
    return w / total, float(top + math.log(total))


def solved(pool: Pool, rungs: Array, own: Sample, start: Array, close: float) -> Array:
    """log Z of the rungs, 0 at the first, by Newton's method from a start.

    They minimise the convex Σ_n log Σ_r N_r·exp(-β_r·E_n) / Z_r + Σ_r N_r·log Z_r. A step is halved
    until the slope along it is no steeper up than half of what it was down; values of the function
    would be too coarse for the last digits.
    """
    total = own.sizes.sum()

    def derivatives(log_z: Array) -> tuple[Array, Array]:
        inflow, common = np.zeros(len(rungs)), np.zeros((len(rungs), len(rungs)))
        for part, p, _ in _shares(pool, rungs, log_z, own.sizes):
            weighted = p * own.counts[part]
            inflow += weighted.sum(axis=1)
            common += p @ weighted.T
        return (own.sizes - inflow) / total, (np.diag(inflow) - common) / total

    log_z, moved = start - start[0], math.inf
    slope, curvature = derivatives(log_z)
    for _ in range(100):
        root = np.sqrt(own.sizes / total)
        values, vectors = np.linalg.eigh(curvature / np.outer(root, root))
        if len(rungs) > 1 and not values[1] > _APART:
            break
        # The least eigenvalue is 0, of a shift of all log Z.
        bent = vectors[:, 1:] / root[:, None]
        step = bent @ ((slope @ bent) / values[1:])
        part, fall = 1.0, slope @ step
        while True:
            ahead = log_z - part * step
            slope, curvature = derivatives(ahead)
            if -(slope @ step) <= fall / 2 or part < 1e-6:
                break
            part /= 2
        before, moved = moved, float(abs(ahead - log_z).max())
        log_z = ahead
        if moved <= close or (moved < 1e-6 and moved > before / 2):
            return log_z - log_z[0]
    near = np.argsort(rungs)
    gap = int(abs(np.diff((vectors[:, 1] / root)[near])).argmax())
    raise ValueError(
        "energies of neighbouring rungs must overlap, got next to no overlap between coldness "
        f"{rungs[near[gap]]:g} and {rungs[near[gap + 1]]:g}"
    )


def paired(pool: Pool, rungs: Array) -> Array:
    """log Z of the rungs, each from that of its neighbour by the samples of these two alone.

    It is a start that is near also where the energy jumps from one rung to the next (Bennett 1976).
    """
    from scipy import optimize, special  # slow to load

    log_z, sizes = np.zeros(len(rungs)), pool.sizes.sum(axis=0)
    for hot, cold in pairwise(np.argsort(rungs)):
        n = sizes[[hot, cold]]
        own = pool.place[(pool.rung == hot) | (pool.rung == cold)]
        places, counts = np.unique(own, return_counts=True)
        rise = (rungs[cold] - rungs[hot]) * pool.levels[places]

        def surplus(change: float, n: Any = n, counts: Any = counts, rise: Any = rise) -> float:
            return float(counts @ special.expit(np.log(n[1] / n[0]) - rise - change) - n[1])

        ends = -rise.max() - 1, -rise.min() + 1
        log_z[cold] = log_z[hot] + optimize.brentq(surplus, *ends, xtol=1e-3, maxiter=1000)
    return log_z
