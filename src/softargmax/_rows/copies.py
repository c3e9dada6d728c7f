"""Copies of rows with what is cheaply seen while the values are at hand."""

from typing import Any

import numpy as np

from softargmax._rows.engine import kernels
from softargmax._rows.few import MANY
from softargmax._rows.memory import blocks


def copied(x: Any) -> tuple[Any, Any, Any]:
    """A copy in C order, the maximum of every row, NaN where it has one, and of one long row
    perhaps the largest of groups, for thresholds.
    """
    z = np.empty(x.shape, x.dtype)
    if x.ndim == 1:
        fast = kernels() if len(z) >= MANY and x.flags.c_contiguous and x.flags.aligned else None
        if fast is not None:
            heads, largest = fast.heads_and_top(x, z)
            return z, largest, heads
        np.copyto(z, x)
        return z, z.max(), None
    top = np.empty(x.shape[:-1], x.dtype)
    given = x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous else x
    rows, tops = z.reshape(given.shape), top.reshape(given.shape[:-1])
    for block in blocks(len(rows), rows[0].size):
        np.copyto(rows[block], given[block])
        rows[block].max(axis=-1, out=tops[block])
    return z, top, None
