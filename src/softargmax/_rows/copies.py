"""Logits as distributions keep them: a copy, and what is cheaply seen while it is made."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from softargmax._rows.engine import kernels
from softargmax._rows.few import MANY
from softargmax._rows.memory import blocks
from softargmax._rows.rows import is_direct
from softargmax._rows.short import SHORT

# From here on the maximum of every row costs no more than that of the whole array.
LONG_ROW = 256


# Logits (..., K) in C order that nobody changes, and what is seen of every row: the largest
# ("top"), and of a long one the largest of groups ("heads").
Copy: TypeAlias = tuple[Any, dict[str, Any]]


def copy_of(x: Any) -> Copy | None:
    """A copy of NumPy floats; None where a row has NaN or +inf, or nothing else than -inf."""
    fast = kernels()
    if x.shape[-1] >= LONG_ROW:
        z, seen = _copied(x, fast)
        # NaN where the row has one. Of a single row a number, which needs no array call.
        top = seen["top"]
        fine = math.isfinite(top) if x.ndim == 1 else bool(np.isfinite(top).all())
    elif fast is not None:
        z, seen = np.empty(x.shape, x.dtype), {"top": np.empty(x.shape[:-1], x.dtype)}
        fine = fast.copied(x, z, seen["top"])
    else:
        z, seen = x.copy(), {}
        fine = is_fine(z)
    if not fine:
        return None
    z.flags.writeable = False
    return z, seen


def is_fine(z: Any) -> bool:
    """Whether all rows have a finite logit, and neither NaN nor +inf."""
    if z.ndim == 1 and z.size <= SHORT:
        values = z.tolist()
        total = sum(values)  # NaN where a logit is
        return bool(total == total and -math.inf < max(values) < math.inf)
    # Most often no logit is infinite, and then no row needs a look of its own.
    return bool((z.max() < math.inf and z.min() > -math.inf) or np.isfinite(z.max(axis=-1)).all())


def _copied(x: Any, fast: Any) -> tuple[Any, dict[str, Any]]:
    z = np.empty(x.shape, x.dtype)
    # Where long rows are grouped too, a truncation after it takes 0.85 (top-k) to 0.98 times as
    # long, a draw 1.01 times.
    if fast is not None and x.shape[-1] >= MANY and is_direct(x):
        heads, top = fast.heads_and_top(x, z)
        return z, {"top": top, "heads": heads}
    if x.ndim == 1:
        np.copyto(z, x)
        return z, {"top": z.max()}
    top = np.empty(x.shape[:-1], x.dtype)
    given = x.reshape(-1, x.shape[-1]) if x.flags.c_contiguous else x
    rows, tops = z.reshape(given.shape), top.reshape(given.shape[:-1])
    for block in blocks(len(rows), rows[0].size):
        own = rows[block]
        np.copyto(own, given[block])
        own.max(axis=-1, out=tops[block])
    return z, {"top": top}
