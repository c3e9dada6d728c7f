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
def draw_counts(rng: Generator, weights: Any, n: int, times: int) -> Any:
    """Several multinomial counts of n draws from each row of float64 weights, (times, rows, K)."""
    p = weights / weights.sum(axis=-1, keepdims=True)
    if not ((p > 0) & (p < _RARE)).any():
        return _common_counts(rng, p, n, times)
    counts = np.empty((times, *p.shape), np.int64)
    for one in counts:
        for row, own in zip(p, one, strict=True):
            own[...] = _row_counts(rng, row, n)
    return counts


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
        few = int(_common_counts(rng, np.array([[mass, 1 - mass]]), n)[0, 0, 0])
    elif mass > 0:
        few = min(int(rng.poisson(n * mass)), n)
    if few:
        counts[rare] = _row_counts(rng, p[rare] / mass, few)
    counts[common] = _common_counts(rng, (p[common] / p[common].sum())[None], n - few)[0, 0]
    return counts


def _common_counts(rng: Generator, p: Any, n: int, times: int = 1) -> Any:
    """Counts of rows whose probabilities are 0 or not rare, (times, rows, K)."""
    # The last category takes what rounding leaves over, so the likeliest one goes last.
    top, p = p.argmax(axis=-1)[..., None], p.copy()
    _change_places(p, top)
    size = (times, len(p))
    counts = np.zeros((*size, p.shape[-1]), np.int64)
    for piece in [_PIECE] * (n // _PIECE) + [n % _PIECE]:
        counts += rng.multinomial(piece, p, size)
    _change_places(counts, np.broadcast_to(top, (*size, 1)))
    return counts


def _change_places(x: Any, place: Any) -> None:
    """Exchange the last entry of each row with that at a place."""
    last = x[..., -1:].copy()
    x[..., -1:] = np.take_along_axis(x, place, axis=-1)
    np.put_along_axis(x, place, last, axis=-1)
