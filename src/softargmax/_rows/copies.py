"""Logits as distributions keep them: a copy, and what is cheaply seen while it is made."""

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax._rows.engine import kernels
from softargmax._rows.few import MANY
from softargmax._rows.law import Law
from softargmax._rows.memory import blocks
from softargmax._rows.rows import Temperature
from softargmax._rows.short import SHORT
from softargmax._rows.threads import share

# From here on the maximum of every row costs no more than that of the whole array.
LONG_ROW = 256
# From here on the rows of a batch are grouped while they are copied: a copy and a truncation take
# 0.8 times as long, a copy and a draw 1.1 times.
GROUPED = 8192


class Copy(NamedTuple):
    """Logits (..., K) that nobody changes, in C order."""

    z: Any
    law: Law | None = None  # where it is made in the same breath
    top: Any = None  # the largest of every row
    heads: Any = None  # of every long row the largest of groups, for thresholds


def copy_of(x: Any, temperature: Temperature) -> Copy | None:
    """A copy of NumPy floats; None where a row has NaN or +inf, or nothing else than -inf."""
    fast, width = kernels(), x.shape[-1]
    if fast is not None and x.size <= fast.SIZE and width <= fast.WIDTH:
        z = x.copy()
        z.setflags(False)
        rows = z if z.ndim == 2 else z.reshape(-1, width)
        law = fast.Prepared.of(rows, temperature, z.shape[:-1])
        return None if law is None else Copy(z, law)
    if width >= LONG_ROW:
        found = _copied(x, fast)
        # NaN where the row has one. Of a single row a number, which needs no array call.
        fine = math.isfinite(found.top) if x.ndim == 1 else bool(np.isfinite(found.top).all())
    elif fast is not None:
        found = Copy(np.empty(x.shape, x.dtype), top=np.empty(x.shape[:-1], x.dtype))
        fine = fast.copied(x, found.z, found.top)
    else:
        found = Copy(x.copy())
        fine = is_fine(found.z)
    if not fine:
        return None
    found.z.flags.writeable = False
    return found


def is_fine(z: Any) -> bool:
    """Whether all rows have a finite logit, and neither NaN nor +inf."""
    if z.ndim == 1 and z.size <= SHORT:
        values = z.tolist()
        total = sum(values)  # NaN where a logit is
        return bool(total == total and -math.inf < max(values) < math.inf)
    # Most often no logit is infinite, and then no row needs a look of its own.
    return bool((z.max() < math.inf and z.min() > -math.inf) or np.isfinite(z.max(axis=-1)).all())


def tops_of(z: Any, workers: int) -> Any:
    """The largest of every row, found by several threads."""
    top = np.empty(z.shape[:-1], z.dtype)
    rows, tops = z.reshape(-1, z.shape[-1]), top.reshape(-1)
    share(
        lambda own: rows[own].max(axis=-1, out=tops[own]),
        blocks(len(rows), rows.shape[-1]),
        workers,
    )
    return top


def _copied(x: Any, fast: Any) -> Copy:
    z = np.empty(x.shape, x.dtype)
    if x.ndim == 1:
        if fast is not None and len(z) >= MANY and x.flags.c_contiguous and x.flags.aligned:
            heads, top = fast.heads_and_top(x, z)
            return Copy(z, None, top, heads)
        np.copyto(z, x)
        return Copy(z, None, z.max())
    top = np.empty(x.shape[:-1], x.dtype)
    given = x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous else x
    rows, tops = z.reshape(given.shape), top.reshape(given.shape[:-1])
    grouped = fast is not None and rows.ndim == 2 and rows.shape[1] >= GROUPED
    heads = fast.space_for_heads(rows) if grouped else None
    for block in blocks(len(rows), rows[0].size):
        np.copyto(rows[block], given[block])
        if heads is None:
            rows[block].max(axis=-1, out=tops[block])
        else:  # of what is still in the cache
            fast.find_heads(rows[block], heads[block], tops[block])
    return Copy(z, None, top, heads)
