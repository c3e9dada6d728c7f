"""Sums of long rows by blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

WIDTH = 256  # categories in a block
LONG = 1024  # categories from which rows are summed by blocks
_ONES: dict[str, Any] = {"f": np.ones(WIDTH, np.float32), "d": np.ones(WIDTH)}


def row_sums(x: Any) -> Any:
    """The sums of the rows of an array (rows, K); of long rows by blocks, added up in float64."""
    return x.sum(axis=-1) if x.shape[-1] < LONG else block_sums(x).sum(axis=-1)


def block_sums(x: Any, out: Any = None) -> Any:
    """The sums (rows, ⌈K / WIDTH⌉) of blocks of WIDTH in float64; the last may be shorter.

    A block's sum does not depend on its place.
    """
    rows, width = x.shape
    whole = width // WIDTH
    out = np.empty((rows, -(-width // WIDTH))) if out is None else out
    parts = x[:, : whole * WIDTH].reshape(rows, whole, WIDTH)
    out[:, :whole] = np.vecdot(parts, _ONES[x.dtype.char])  # three times as fast as a sum
    if whole * WIDTH < width:
        out[:, -1] = x[:, whole * WIDTH :].sum(axis=-1)
    return out


def dot(a: Any, b: Any) -> float:
    """Σ a·b, by blocks that are added up in float64."""
    whole = len(a) // WIDTH * WIDTH
    parts = np.vecdot(a[:whole].reshape(-1, WIDTH), b[:whole].reshape(-1, WIDTH))
    return float(parts.sum(dtype=np.float64) + np.vecdot(a[whole:], b[whole:]))
