"""Sums of long rows by blocks, and the log-partition function from them."""

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.memory import SPACIOUS

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


# Sums beyond these may have lost more than a rounding to weights that are subnormal, 0 or inf.
_LEAST = {char: float(np.finfo(char).tiny) / float(np.finfo(char).eps) for char in "fd"}


@ignore_fp_errors
def subtract_log_partition(z: Any, out: Any) -> Any:
    """z - log Σ exp(z) into ``out``, both (rows, K); the rows that it leaves wrong are returned.

    Without a maximum it is one pass less than by centred logits, and wrong only where weights or
    sums leave the range of the dtype. What is subtracted has two parts, since the digits that one
    would lack may be those of log p.
    """
    rows, num_categories = z.shape
    step = max(WIDTH, SPACIOUS // rows // WIDTH * WIDTH)
    parts = [slice(left, left + step) for left in range(0, num_categories, step)]
    sums = np.empty((rows, -(-num_categories // WIDTH)))
    for part in parts:
        weights = np.exp(z[:, part], out=out[:, part])
        first = part.start // WIDTH
        block_sums(weights, sums[:, first : first + -(-weights.shape[1] // WIDTH)])
    total = sums.sum(axis=-1)
    least = num_categories * _LEAST[z.dtype.char]
    high = np.log(total).astype(z.dtype)
    wrong = ~(np.abs(high) < -math.log(least))
    low = np.log(total * np.exp(-high.astype(np.float64)))
    heavy = 2 * sums.max(axis=-1) > total
    if heavy.any():
        # A category that is likelier than all others together: its log p is nearly -s.
        heavy = np.flatnonzero(heavy & ~wrong)
        top, rest = _likeliest(out, sums, heavy)
        weight = np.exp(z[heavy, top].astype(np.float64))
        peaked = rest < weight
        wrong[heavy] = peaked & ~(rest > least)
        rows_of = heavy[peaked]
        high[rows_of] = z[rows_of, top[peaked]]
        low[rows_of] = np.log1p(rest[peaked] / weight[peaked])
    high, low = high[:, None], low[:, None].astype(z.dtype)
    for part in parts:
        d = np.subtract(z[:, part], high, out=out[:, part])
        d -= low
    return np.flatnonzero(wrong)


def _likeliest(weights: Any, sums: Any, rows: Any) -> tuple[Any, Any]:
    """The likeliest category in the heaviest block of each row, and the weight of all others."""
    block, each = sums[rows].argmax(axis=-1), np.arange(len(rows))
    column = block[:, None] * WIDTH + np.arange(WIDTH)
    last = weights.shape[1] - 1
    near = np.where(column <= last, weights[rows[:, None], np.minimum(column, last)], 0)
    place = near.argmax(axis=-1)
    near[each, place] = 0
    others = sums[rows]
    others[each, block] = near.sum(axis=-1, dtype=np.float64)
    return block * WIDTH + place, others.sum(axis=-1)


def dot(a: Any, b: Any) -> float:
    """Σ a·b, by blocks that are added up in float64."""
    whole = len(a) // WIDTH * WIDTH
    parts = np.vecdot(a[:whole].reshape(-1, WIDTH), b[:whole].reshape(-1, WIDTH))
    return float(parts.sum(dtype=np.float64) + np.vecdot(a[whole:], b[whole:]))
