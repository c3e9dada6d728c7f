"""Draws by inverting cumulative distributions: uniforms in [0, 1) to categories.

None can return a category of weight 0, whatever the uniform.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.rows import LIMITS

# From so many draws a row on, rows are searched one by one: 8 × faster at 10,000 of 1,000.
_TOGETHER = 128


@ignore_fp_errors
def cumulative(weights: Any) -> Any:
    """The cumulative distribution of each row in float64; its last value is exactly 1.

    Parameters
    ----------
    weights : array, shape (..., K)
        Non-negative; they need not sum to 1.

    Returns
    -------
    float64, shape (..., K)

    Raises
    ------
    ValueError
        For shapes that do not fit. The values are not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.draws import cumulative
    >>> cumulative(np.array([[1.0, 0.0, 3.0, 0.0]]))
    array([[0.25, 0.25, 1.  , 1.  ]])
    """
    total = np.cumsum(weights, axis=-1, dtype=np.float64)
    total /= total[..., -1:]
    return total


def invert(cdf: Any, u: Any) -> Any:
    """The smallest category x with cdf(x) > u, for uniforms u.

    Parameters
    ----------
    cdf : float64, shape (rows, K)
        Cumulative distributions that end in 1, as of :func:`cumulative`.
    u : array, shape (n, rows)
        In [0, 1).

    Returns
    -------
    int64, shape (n, rows)

    Raises
    ------
    ValueError
        For shapes that do not fit. The values are not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.draws import invert
    >>> invert(np.array([[0.25, 0.25, 1.0]]), np.array([[0.1], [0.25]]))
    array([[0],
           [2]])
    """
    rows, num_categories = cdf.shape
    if len(u) == 1:
        return (cdf > u.T).argmax(axis=-1)[None]
    if len(u) < _TOGETHER and rows > 1:
        # Below 1, no uniform passes the last category: its sum is 1.
        return search(cdf, np.full(rows, num_categories - 1), u, np.arange(rows))
    found = np.empty(u.shape, np.int64)
    for row in range(rows):
        found[:, row] = np.searchsorted(cdf[row], u[:, row], side="right")
    return found


def last_positive(weights: Any) -> Any:
    """The last category of positive weight of each row."""
    return weights.shape[-1] - 1 - (weights[..., ::-1] > 0).argmax(axis=-1)


def search(cdf: Any, last: Any, u: Any, row: Any) -> Any:
    """The smallest category x with cdf(x) > u, and ``last`` at u = 1.

    ``cdf`` has shape (rows, K), ``last`` (rows,) is the last category of positive weight, ``row``
    is the row that each ``u`` in [0, 1] belongs to; the result is int64 of their broadcast shape.
    """
    rows, num_categories = cdf.shape
    if rows == 1:
        return np.minimum(np.searchsorted(cdf[0], u, side="right"), last[0], dtype=np.int64)
    flat, base = cdf.ravel(), row * num_categories - 1
    u, high = np.broadcast_arrays(u, last[row])
    found = np.zeros(u.shape, np.int64)
    for bit in range(num_categories.bit_length() - 1, -1, -1):
        probe = found + (1 << bit)
        # Products, since a branch on noise is mispredicted every other time.
        step = (flat.take(base + np.minimum(probe, num_categories)) <= u) & (probe <= high)
        found += step.astype(np.int64) << bit
    return found


@ignore_fp_errors
def invert_columns(weights: Any, u: Any) -> Any:
    """One category a column of weights (K, rows), for uniforms (rows,) in [0, 1)."""
    total = weights.sum(axis=0, dtype=np.float64)
    level, reached = u * total, np.zeros(len(u))
    found = np.zeros(len(u), np.int64)
    for column in weights:
        reached += column
        found += reached <= level
    # Rounding can pass the last category, and p can be 0 where a weight is subnormal.
    found = np.minimum(found, len(weights) - 1)
    drawn = weights[found, np.arange(len(u))]
    impossible = drawn < LIMITS[weights.dtype.char].tiny * total
    if impossible.any():
        found[impossible] = weights[:, impossible].argmax(axis=0)
    return found
