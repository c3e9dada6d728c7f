"""Weights + noise → categories: pure functions on NumPy rows, so tests can choose the noise.

Every function takes rows of shape (rows, K) and noise with a leading axis of n draws, and none can
return a category of weight 0, whatever the noise.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import BLOCK, blocks, quiet
from softargmax._noise import Generator, exponentials, uniforms

__all__ = [
    "AliasTable",
    "by_alias",
    "by_inversion",
    "by_race",
    "cumulative",
    "draw_counts",
    "invert",
    "largest",
    "last_positive",
    "log_prob_ordered",
    "ordered_keys",
    "race",
]

# Generator.multinomial is right up to here; at 2^62 its variances are off by several per cent.
_PIECE = 2**52
# Below it 1 - p keeps less than 17 bits of p, and a Poisson variable is a binomial within 2⁻³⁶.
_RARE = 2.0**-36
# In shorter rows a sort costs less than finding the candidates for the top k first.
_SHORT_ROW = 256


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
    flat, base = cdf.ravel(), row * num_categories
    u, high = np.broadcast_arrays(u, last[row])
    low = np.zeros(u.shape, np.int64)
    for _ in range(num_categories.bit_length()):
        middle = (low + high) >> 1
        above = flat.take(base + middle) > u
        low, high = np.where(above | (low == high), low, middle + 1), np.where(above, middle, high)
    return low


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


class AliasTable(NamedTuple):
    """Walker's alias table of one row: column i keeps i below its threshold, else its alias.

    Built by prefix sums: light columns (K·p < 1) and heavy ones lie along one line each, the
    deficits of the light ones filled by the excesses of the heavy ones in turn. A heavy column that
    is used up becomes light for the next one (Vose, 1991, https://doi.org/10.1109/32.92917).

    Examples
    --------
    >>> import numpy as np
    >>> table = AliasTable.build(np.array([1.0, 0.0, 3.0]))
    >>> table.take(np.array([0.0, 0.3, 0.5, 0.99])).tolist()
    [0, 2, 2, 2]
    """

    threshold: Any  # (K,) in [0, 1]
    alias: Any  # (K,) int32 where that suffices

    @classmethod
    @quiet
    def build(cls, weights: Any) -> "AliasTable":
        """The table of the weights, shape (K,)."""
        num_categories = len(weights)
        share = np.asarray(weights, np.float64)
        share = share * (num_categories / share.sum())  # K·p, so that 1 is the column's height
        light = np.flatnonzero(share < 1)
        heavy = np.flatnonzero(share >= 1)
        # Half the bytes of int64, and so twice the columns in the cache.
        dtype = np.int32 if num_categories <= 2**31 - 1 else np.int64
        threshold, alias = np.ones(num_categories), np.arange(num_categories, dtype=dtype)
        if len(light) == 0:
            return cls(threshold, alias)
        # Rounding can leave every share just below 1; then the heaviest serves as the heavy one.
        if len(heavy) == 0:
            heavy = np.array([share.argmax()])
            light = light[light != heavy[0]]
        deficit = np.concatenate([[0.0], np.cumsum(1 - share[light])])
        supply = np.cumsum(share[heavy] - 1)  # what the heavy columns up to this one can give
        # A light column takes from the heavy one in whose supply its deficit starts.
        giver = np.searchsorted(supply, deficit[:-1], side="right").clip(max=len(heavy) - 1)
        threshold[light], alias[light] = share[light], heavy[giver]
        # Heavy column j is overdrawn by the light column that crosses its supply; the next heavy
        # column tops it up. Columns at the end, short by rounding alone, stay as they are.
        crossing = np.searchsorted(deficit, supply[:-1], side="left")
        crossed = crossing < len(deficit)
        overdrawn = deficit[crossing[crossed]] - supply[:-1][crossed]
        donors = heavy[:-1][crossed]
        threshold[donors] = 1 - np.clip(overdrawn, 0, 1)
        alias[donors] = heavy[1:][crossed]
        return cls(threshold, alias)

    @quiet
    def take(self, u: Any) -> Any:
        """The categories that uniforms in [0, 1) select, of u's shape."""
        column = u * len(self.threshold)
        index = column.astype(self.alias.dtype)
        column -= index
        return np.where(column < self.threshold.take(index), index, self.alias.take(index))


@quiet
def draw_counts(rng: Generator, weights: Any, n: int) -> Any:
    """Multinomial counts of n draws from each row of float64 weights, int64 (rows, K)."""
    p = weights / weights.sum(axis=-1, keepdims=True)
    if not ((p > 0) & (p < _RARE)).any():
        return _common_counts(rng, p, n)
    return np.stack([_row_counts(rng, row, n) for row in p])


def _row_counts(rng: Generator, p: Any, n: int) -> Any:
    """Counts of one row: how many draws are rare, then which, then the common ones.

    NumPy's binomial forms 1 - p in some releases, with no digits of a rare p left (2.2.0 never
    draws p = 4e-18, at any n). A binomial of a rare p is a
    Poisson variable up to a total variation of p (Barbour & Hall, 1984,
    https://doi.org/10.1017/S0305004100061806).
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


@quiet
def ordered_keys(z: Any, coldness: Any, luck: Any) -> tuple[Any, Any, Any]:
    """Keys that order categories exactly as β·z + luck does, β ≥ 0; the first decides first.

    At a tiny temperature the luck vanishes in the rounding of β·z + luck. So the sum is scaled to
    z + T·luck and kept with its rounding error (Knuth's two-sum), and what is still equal, as all
    ties are at T = 0, is left to the luck. A luck of -inf puts a category last.

    Examples
    --------
    >>> import numpy as np
    >>> z, luck = np.array([[1.0, 1.0, 0.0]]), np.array([[0.1, 0.2, 9.0]])
    >>> largest(ordered_keys(z, np.array([[1e300]]), luck), 3)
    array([[1, 0, 2]])
    """
    hot = coldness < 1e-300  # there T·luck could overflow, and β·z is of no more than 9 digits
    temperature = np.where(hot, 1, 1 / coldness)
    scale = np.where(temperature > 1e290, 2.0**-40, 1.0)  # so that z + T·luck cannot overflow
    a = np.where(hot, coldness * z, z * scale)
    b = np.where(hot, luck, temperature * scale * luck)
    high = a + b
    rest = high - a
    low = (a - (high - rest)) + (b - rest)
    out = luck == -np.inf
    return np.where(out, -np.inf, high), np.where(out, 0, low), luck


def largest(keys: tuple[Any, ...], k: int) -> Any:
    """Indices of the k largest of each row in falling order, int64; the first key decides first.

    Examples
    --------
    >>> import numpy as np
    >>> largest((np.array([[1, 3, 3]]), np.array([[0, 1, 2]])), 2)
    array([[2, 1]])
    """
    first = keys[0]
    num_categories = first.shape[-1]
    if num_categories <= _SHORT_ROW or 4 * k >= num_categories or k == 0:
        return np.lexsort(keys[::-1], axis=-1)[..., ::-1][..., :k].astype(np.int64, copy=False)
    out = np.empty((len(first), k), np.int64)
    for row in range(len(first)):
        threshold = np.partition(first[row], num_categories - k)[num_categories - k]
        kept = np.flatnonzero(first[row] >= threshold)
        order = np.lexsort([key[row][kept] for key in keys[::-1]])
        out[row] = kept[order[::-1][:k]]
    return out


@quiet
def log_prob_ordered(z: Any, coldness: Any, log_prior: Any, x: Any) -> Any:
    """log P of the order ``x`` (rows, k) drawn without replacement; float64, (rows,).

    ``z`` (rows, K) are logits, -inf off the support, ``coldness`` (rows, 1) is ≥ 0. What is left
    after the last choice is summed once; then the choices join it from the last to the first. The
    sum is kept as exp(level) at its largest logit, so that every step has its limit at T = 0.

    Examples
    --------
    >>> import numpy as np
    >>> z, zero = np.log([[1.0, 2.0, 3.0]]), np.zeros((1, 3))
    >>> np.exp(log_prob_ordered(z, np.ones((1, 1)), zero, np.array([[2, 1]]))).round(4)
    array([0.3333])
    """
    coldness = coldness[:, 0]
    left = z.copy()
    np.put_along_axis(left, x, -np.inf, axis=-1)
    total = np.zeros(len(z))
    best = left.max(axis=-1)
    terms = _rise(left, best[:, None], coldness[:, None]) + log_prior
    terms = np.where(left == -np.inf, -np.inf, terms)
    peak = terms.max(axis=-1)
    base = np.where(peak == -np.inf, 0, peak)
    level = base + np.log(np.exp(terms - base[:, None]).sum(axis=-1))
    for choice in x.T[::-1]:
        own = np.take_along_axis(z, choice[:, None], axis=-1)[:, 0]
        own_level = np.take_along_axis(log_prior, choice[:, None], axis=-1)[:, 0]
        rest = _rise(best, own, coldness) + (level - own_level)
        total -= np.where(own == -np.inf, np.inf, np.logaddexp(0, rest))
        joint = np.maximum(best, own)
        level = np.logaddexp(
            _rise(best, joint, coldness) + level, _rise(own, joint, coldness) + own_level
        )
        best = joint
    return total


def _rise(a: Any, b: Any, coldness: Any) -> Any:
    """β(a - b) with its limits: 0 where a = b, at β = inf too; -inf where a = -inf."""
    gap = a - b
    rise = np.where(np.isinf(gap), 2 * (coldness * (a / 2 - b / 2)), coldness * gap)
    rise = np.where(a == b, 0, np.where(b == -np.inf, np.inf, rise))
    return np.where(a == -np.inf, -np.inf, rise)


def by_inversion(rng: Generator, cdf: Any, last: Any, n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by inverting the cumulative distribution."""
    out = np.empty((n, len(cdf)), np.int64)

    def work(block: slice, u: Any) -> None:
        out[block] = invert(cdf, last, u, np.arange(len(cdf)))

    _by_noise_blocks(work, n, len(cdf), lambda size: uniforms(rng, (size, len(cdf))), workers)
    return out


def by_race(rng: Generator, weights: Any, n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by a race of exponential clocks."""
    rows, num_categories = weights.shape
    out = np.empty(n * rows, np.int64)

    def work(block: slice, waits: Any) -> None:
        row = np.arange(block.start, block.stop) % rows
        out[block] = race(weights if rows == 1 else weights[row], waits)

    def noise(size: int) -> Any:
        return exponentials(rng, (size, num_categories))

    _by_noise_blocks(work, n * rows, num_categories, noise, workers)
    return out.reshape(n, rows)


def by_alias(rng: Generator, tables: list[AliasTable], n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by one alias table a row."""
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
        np.putmask(index, lost, alias)
        out[block] = index


def _by_noise_blocks(
    work: Callable[[slice, Any], None],
    n: int,
    width: int,
    noise: Callable[[int], Any],
    workers: int,
) -> None:
    """Draw the noise of each block in order, then work on the blocks, in threads if several."""
    if workers == 1:
        for block in blocks(n, width):
            work(block, noise(block.stop - block.start))
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[None]] = deque()
        for block in blocks(n, width):
            waiting.append(pool.submit(work, block, noise(block.stop - block.start)))
            if len(waiting) > 2 * workers:  # or the noise of all blocks would pile up
                waiting.popleft().result()
        for task in waiting:
            task.result()
