"""Multinomial counts: how often each category comes, without the draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._random.numpy import Generator

# Generator.multinomial is right up to here; at 2^62 its variances are off by several per cent.
_PIECE = 2**52
# Below it 1 - p keeps less than 17 bits of p, and a Poisson variable is a binomial within 2⁻³⁶.
_RARE = 2.0**-36


@ignore_fp_errors
def draw_counts(rng: Generator, weights: Any, n: int) -> Any:
    """Multinomial counts of n draws from each row of float64 weights, int64 (rows, K)."""
    p = weights / weights.sum(axis=-1, keepdims=True)
    if not ((p > 0) & (p < _RARE)).any():
        return _common_counts(rng, p, n)
    return np.stack([_row_counts(rng, row, n) for row in p])


def _row_counts(rng: Generator, p: Any, n: int) -> Any:
    """Counts of one row: how many draws are rare, then which, then the common ones.

    NumPy's binomial forms 1 - p in some releases, with no digits of a rare p left (2.2.0 never
    draws p = 4e-18, at any n). A binomial of a rare p is a Poisson variable up to a total variation
    of p (Barbour & Hall, 1984, https://doi.org/10.1017/S0305004100061806).
    """
    counts = np.zeros(p.shape, np.int64)
    rare, common = (p > 0) & (p < _RARE), p >= _RARE
    mass = p[rare].sum()
    few = 0
    if mass >= _RARE:
        few = int(_common_counts(rng, np.array([[mass, 1 - mass]]), n)[0, 0])
    elif mass > 0:
        few = min(int(rng.poisson(n * mass)), n)
    if few:
        counts[rare] = _row_counts(rng, p[rare] / mass, few)
    counts[common] = _common_counts(rng, (p[common] / p[common].sum())[None], n - few)[0]
    return counts


def _common_counts(rng: Generator, p: Any, n: int) -> Any:
    """Counts of rows whose probabilities are 0 or not rare."""
    # The last category takes what rounding leaves over, so the likeliest one goes last.
    top = p.argmax(axis=-1, keepdims=True)
    order = np.broadcast_to(np.arange(p.shape[-1]), p.shape).copy()
    np.put_along_axis(order, top, p.shape[-1] - 1, axis=-1)
    order[:, -1:] = top
    p = np.take_along_axis(p, order, axis=-1)
    counts = np.zeros(p.shape, np.int64)
    for piece in [_PIECE] * (n // _PIECE) + [n % _PIECE]:
        counts += rng.multinomial(piece, p)
    return np.take_along_axis(counts, order, axis=-1)
