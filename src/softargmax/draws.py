"""Weights + noise → categories: pure functions on NumPy rows, so tests can choose the noise.

Weights are rows of shape (rows, K) unless a function says otherwise, and none can return a category
of weight 0, whatever the noise.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._alias import AliasTable
from softargmax._arrays.namespaces import BLOCK, blocks, quiet
from softargmax._kernels import LIMITS
from softargmax._keyed import Keyed
from softargmax._noise import Generator, exponentials, uniforms
from softargmax._threads import share

__all__ = [
    "AliasTable",
    "Keyed",
    "by_alias",
    "by_inversion",
    "by_race",
    "cumulative",
    "draw_counts",
    "invert",
    "invert_columns",
    "invert_rows",
    "last_positive",
    "race",
    "way",
]


def __dir__() -> list[str]:
    return __all__


# Up to so many draws of so many categories are worth no cumulative sum over all of these.
_FEW, MANY = 16, 1024
# One draw each of many rows up to this long goes by columns, from so many weights on.
_NARROW, _SMALL = 64, 4096
# From so many draws on, and from half a draw a category on, a table pays for itself.
_TABLE = 1024
# Generator.multinomial is right up to here; at 2^62 its variances are off by several per cent.
_PIECE = 2**52
# Below it 1 - p keeps less than 17 bits of p, and a Poisson variable is a binomial within 2⁻³⁶.
_RARE = 2.0**-36
# From so many draws a row on, rows are searched one by one.
_TOGETHER = 128


def way(method: str, n: int, rows: int, num_categories: int) -> str:
    """How n draws a row are made: "columns", "blocks", "rows", "inverse", "alias" or "gumbel".

    The first four are ways of the method "inverse", and "auto" is "inverse" or "alias". Nothing
    else counts, so that equal calls give equal draws. (One draw of one short row goes by Python
    floats before anyone asks.)

    A method of another name, such as the "table" of keyed draws, is left as it is.

    Examples
    --------
    >>> way("auto", 1, 1, 128_256), way("auto", 10**6, 1, 128_256)
    ('blocks', 'alias')
    """
    if method == "auto":
        method = "alias" if n >= _TABLE and 2 * n >= num_categories else "inverse"
    if method == "inverse":
        if n == 1 < rows and num_categories <= _NARROW and rows * num_categories > _SMALL:
            return "columns"
        if n <= _FEW and num_categories >= MANY:
            return "blocks"
        if n <= _FEW and rows * num_categories > BLOCK:
            return "rows"
    return method


@quiet
def cumulative(weights: Any) -> Any:
    """The cumulative distribution of each row in float64; its last value is exactly 1.

    Examples
    --------
    >>> import numpy as np
    >>> cumulative(np.array([[1.0, 0.0, 3.0, 0.0]]))
    array([[0.25, 0.25, 1.  , 1.  ]])
    """
    total = np.cumsum(weights, axis=-1, dtype=np.float64)
    total /= total[..., -1:]
    return total


def last_positive(weights: Any) -> Any:
    """The last category of positive weight of each row.

    Examples
    --------
    >>> import numpy as np
    >>> last_positive(np.array([[1.0, 0.0, 3.0, 0.0]]))
    array([2])
    """
    return weights.shape[-1] - 1 - (weights[..., ::-1] > 0).argmax(axis=-1)


def invert(cdf: Any, last: Any, u: Any, row: Any) -> Any:
    """The smallest category x with cdf(x) > u, and ``last`` at u = 1.

    ``cdf`` has shape (rows, K), ``last`` (rows,) is the last category of positive weight, ``row``
    says which row each ``u`` in [0, 1] asks; the result is int64 of their broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([[0.0, 1.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    >>> u = np.array([[0.0], [0.25], [1.0]])
    >>> invert(cumulative(weights), last_positive(weights), u, np.arange(2))
    array([[1, 0],
           [2, 0],
           [2, 0]])
    """
    rows, num_categories = cdf.shape
    if rows == 1:
        return np.minimum(np.searchsorted(cdf[0], u, side="right"), last[0], dtype=np.int64)
    flat, base = cdf.ravel(), row * num_categories - 1
    u, high = np.broadcast_arrays(u, last[row])
    found = np.zeros(u.shape, np.int64)
    for bit in range(num_categories.bit_length() - 1, -1, -1):
        probe = found + (1 << bit)
        # Products: a branch on luck is mispredicted every other time.
        step = (flat.take(base + np.minimum(probe, num_categories)) <= u) & (probe <= high)
        found += step.astype(np.int64) << bit
    return found


@quiet
def race(weights: Any, waits: Any) -> Any:
    """The winner of independent exponential clocks, argmin waits/weights: Gumbel-max without logs.

    ``weights`` has shape (rows, K), ``waits`` (n, rows, K) and positive; the result is (n, rows).

    Examples
    --------
    >>> import numpy as np
    >>> race(np.array([[1.0, 4.0, 0.0]]), np.array([[[1.0, 2.0, 1e-9]]]))
    array([[1]])
    """
    return np.argmin(waits / weights, axis=-1).astype(np.int64, copy=False)


@quiet
def draw_counts(rng: Generator, weights: Any, n: int) -> Any:
    """Multinomial counts of n draws from each row of float64 weights, int64 (rows, K).

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> draw_counts(default_rng(0), np.array([[1.0, 0.0, 3.0]]), 1000)
    array([[269,   0, 731]])
    """
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


def invert_rows(cdf: Any, u: Any) -> Any:
    """Categories (n, rows) of uniforms in [0, 1), from cumulative distributions (rows, K).

    Examples
    --------
    >>> import numpy as np
    >>> invert_rows(np.array([[0.25, 0.25, 1.0]]), np.array([[0.1], [0.25]]))
    array([[0],
           [2]])
    """
    rows, num_categories = cdf.shape
    if len(u) == 1:
        return (cdf > u.T).argmax(axis=-1)[None]
    if len(u) < _TOGETHER and rows > 1:
        # Below 1, no uniform passes the last category: its sum is 1.
        return invert(cdf, np.full(rows, num_categories - 1), u, np.arange(rows))
    found = np.empty(u.shape, np.int64)
    for row in range(rows):
        found[:, row] = np.searchsorted(cdf[row], u[:, row], side="right")
    return found


def by_inversion(rng: Generator, cdf: Any, n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by inverting the cumulative distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> by_inversion(default_rng(0), np.array([[0.25, 0.25, 1.0]]), 4, workers=1).T
    array([[2, 2, 0, 0]])
    """
    out = np.empty((n, len(cdf)), np.int64)

    def work(block: slice, u: Any) -> None:
        out[block] = invert_rows(cdf, u)

    _by_noise_blocks(work, n, len(cdf), lambda size: uniforms(rng, (size, len(cdf))), workers)
    return out


@quiet
def invert_columns(weights: Any, u: Any) -> Any:
    """One category a column of weights (K, rows), for uniforms (rows,) in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> invert_columns(np.array([[1.0, 0.0], [3.0, 1.0], [0.0, 0.0]]), np.array([0.3, 0.0]))
    array([1, 1])
    """
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


def by_race(rng: Generator, weights: Any, n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by a race of exponential clocks.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> by_race(default_rng(0), np.array([[1.0, 0.0, 3.0]]), 4, workers=1).T
    array([[2, 0, 0, 2]])
    """
    rows, num_categories = weights.shape
    if num_categories > BLOCK:
        return np.array([[_long_race(rng, row) for row in weights] for _ in range(n)], np.int64)
    out = np.empty(n * rows, np.int64)

    def work(block: slice, waits: Any) -> None:
        row = np.arange(block.start, block.stop) % rows
        out[block] = race(weights if rows == 1 else weights[row], waits)

    def noise(size: int) -> Any:
        return exponentials(rng, (size, num_categories))

    _by_noise_blocks(work, n * rows, num_categories, noise, workers)
    return out.reshape(n, rows)


@quiet
def _long_race(rng: Generator, weights: Any) -> int:
    """The winner among many categories, a part of them at a time."""
    best, winner = np.inf, int(weights.argmax())
    for part in blocks(len(weights), 1):
        times = exponentials(rng, weights[part].shape)
        times /= weights[part]
        first = int(times.argmin())
        if times[first] < best:
            best, winner = float(times[first]), part.start + first
    return winner


def by_alias(rng: Generator, tables: list[AliasTable], n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by one alias table a row.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> table = AliasTable.build(np.array([1.0, 0.0, 3.0]))
    >>> by_alias(default_rng(0), [table], 4, workers=1).T
    array([[2, 2, 0, 0]])
    """
    out = np.empty((n, len(tables)), np.int64)
    if len(tables) == 1 and workers == 1:
        _fill_by_alias(rng, tables[0], out[:, 0])
        return out

    def work(block: slice, u: Any) -> None:
        for row, table in enumerate(tables):
            out[block, row] = table.take(u[:, row])

    _by_noise_blocks(work, n, len(tables), lambda size: uniforms(rng, (size, len(tables))), workers)
    return out


@quiet
def _fill_by_alias(rng: Generator, table: AliasTable, out: Any) -> None:
    """The draws of ``table.take`` from one stream, without an allocation in the loop."""
    size = min(len(out), BLOCK)
    u, threshold = np.empty(size), np.empty(size)
    index, alias = np.empty((2, size), table.alias.dtype)
    lost = np.empty(size, bool)
    for block in blocks(len(out), 1):
        if block.stop - block.start < size:
            out[block] = table.take(uniforms(rng, out[block].shape))
            return
        uniforms(rng, u.shape, out=u)
        u *= len(table.threshold)
        np.copyto(index, u, casting="unsafe")
        u -= index
        table.threshold.take(index, out=threshold, mode="clip")  # "raise" would copy first
        np.greater_equal(u, threshold, out=lost)
        table.alias.take(index, out=alias, mode="clip")
        alias -= index  # a product, since a branch on luck is mispredicted every other time
        alias *= lost
        np.add(index, alias, out=out[block])


def _by_noise_blocks(
    work: Callable[[slice, Any], None],
    n: int,
    width: int,
    noise: Callable[[int], Any],
    workers: int,
) -> None:
    """Draw the noise of each block in order, and work on the blocks."""
    share(
        lambda task: work(*task),
        ((block, noise(block.stop - block.start)) for block in blocks(n, width)),
        workers,
        2 * workers,
    )
