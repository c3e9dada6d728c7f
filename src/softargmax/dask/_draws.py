"""Distributed draws on Dask: counter-based, so that they do not depend on the chunks.

Every function returns lazy Dask arrays; their values depend on the distribution, n and the seed,
not on chunks, workers or schedulers, nor on the loss of workers during the computation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.dask import _tasks
from softargmax.gumbel import Reservoir

if TYPE_CHECKING:
    import dask.array as da

_FAN = 8  # how many results one task merges


class Estimate(NamedTuple):
    """A Monte Carlo mean and its standard error, both lazy.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.dask import expectation
    >>> estimate = expectation(Categorical([0.0, 0.0]), lambda x: x == 1, 10_000, seed=0)
    >>> float(estimate.standard_error.compute().round(4))
    0.005
    """

    mean: da.Array
    standard_error: da.Array


@explained
def sample(dist: Categorical, n: int, *, seed: int, chunks: Any = "auto") -> da.Array:
    """n independent draws as a Dask array, the same for any chunks and workers.

    Parameters
    ----------
    dist : Categorical
        It is sent whole to every worker, in the graph; Dask warns of a large graph from 10 MB on.
        For logits too large for that, use :func:`sample_sharded`.
    n : int
        Draws per row of the batch.
    seed : int
        Non-negative.
    chunks : int, tuple of ints or "auto"
        Chunks of the first axis, as Dask takes them; the batch axes are not chunked.

    Returns
    -------
    dask.array.Array of int64, shape (n,) + batch_shape
        Equal to ``dist.sample(n, rng=Keyed(seed), method="alias")``; a larger n starts with the
        same draws.

    Raises
    ------
    ValueError, TypeError
        For a negative n or seed, chunks that do not fit, or a dist that is not a Categorical.
    ImportError
        If Dask is not installed.

    References
    ----------
    Salmon, Moraes, Dror & Shaw (2011), https://doi.org/10.1145/2063384.2063405.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.dask import sample
    >>> draws = sample(Categorical([0.0, 1.0, 2.0]), 1_000_000, chunks=300_000, seed=0)
    >>> draws.chunks
    ((300000, 300000, 300000, 100000),)
    >>> draws[[0, 500_000, 999_999]].compute()
    array([1, 1, 1])
    """
    array, _ = _dask()
    from dask.highlevelgraph import HighLevelGraph

    host, parts, key = _plan(dist, n, 0, chunks, seed)
    name, rest = f"softargmax-sample-{uuid4().hex}", host.batch_shape
    # One graph layer, as dask.array makes them; a Delayed for each chunk would be slow.
    layer: dict[Any, Any] = {
        (name, i, *(0 for _ in rest)): (_tasks.drawn, key.key, start, stop, seed)
        for i, (start, stop) in enumerate(parts)
    }
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[key])
    sizes = tuple(stop - start for start, stop in parts), *((width,) for width in rest)
    drawn: da.Array = array.Array(graph, name, chunks=sizes, dtype=np.int64)
    return drawn


@explained
def sample_counts(dist: Categorical, n: int, *, seed: int, chunks: Any = "auto") -> da.Array:
    """The counts of each category among the draws of :func:`sample`, in bounded memory.

    If the counts need not be those of these very draws, ``dist.sample_counts(n)`` has the same
    distribution and costs O(K), whatever n is.

    Parameters
    ----------
    dist, n, seed, chunks
        As for :func:`sample`; each task counts one chunk and holds only a block of its draws at a
        time. "auto" makes at least 64 chunks of n ≥ 2²⁴ draws.

    Returns
    -------
    dask.array.Array of int64, shape batch_shape + (K,)

    Raises
    ------
    ValueError, TypeError, ImportError
        As for :func:`sample`.

    References
    ----------
    Salmon, Moraes, Dror & Shaw (2011), https://doi.org/10.1145/2063384.2063405.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.dask import sample_counts
    >>> dist = Categorical.from_weights([1, 0, 3])
    >>> sample_counts(dist, 1_000_000, chunks=300_000, seed=0).compute()
    array([250578,      0, 749422])
    """
    array, delayed = _dask()
    host, parts, key = _plan(dist, n, 0, chunks, seed, kept=False)
    counted = delayed(_tasks.counted, pure=False)
    total = _merged(delayed(sum, pure=False), [counted(key, *part, seed) for part in parts])
    shape = (*host.batch_shape, host.num_categories)
    counts: da.Array = array.from_delayed(total, shape, np.int64)
    return counts


@explained
def expectation(
    dist: Categorical, f: Callable[[Any], Any], n: int, *, seed: int, chunks: Any = "auto"
) -> Estimate:
    r"""The mean of f over the draws of :func:`sample` and its standard error, in bounded memory.

    .. math:: \bar f = \frac1n \sum_i f(x_i), \qquad
        \text{s.e.} = \sqrt{\frac{\sum_i (f(x_i) - \bar f)^2}{n (n - 1)}}

    For a function of the category alone, ``dist.expectation(values)`` is exact; this is for
    functions that are costly, random, or depend on the draws of a whole batch.

    Parameters
    ----------
    dist : Categorical
        As for :func:`sample`.
    f : callable
        Maps draws, an int64 array (m,) + batch_shape, to m real values or arrays of values,
        (m, ...). The workers call it; it is also called once at first, with one draw, to learn the
        shape.
    n, seed, chunks
        As for :func:`sample`, n at least 2.

    Returns
    -------
    Estimate
        mean and standard_error, Dask arrays of float64 of the values' shape; ``dask.compute`` them
        together. They are the same for all chunks up to rounding.

    Raises
    ------
    ValueError, TypeError, ImportError
        As for :func:`sample`, and if f does not return one value for each draw.

    References
    ----------
    Chan, Golub & LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115, for the variance.

    Examples
    --------
    >>> import dask
    >>> from softargmax import Categorical
    >>> from softargmax.dask import expectation
    >>> rolls = Categorical.from_weights([[1] * 6, [1] * 6])  # two dice
    >>> most = expectation(rolls, lambda x: x.max(axis=-1) + 1, 1_000_000, seed=0)
    >>> mean, error = dask.compute(*most)
    >>> mean.round(4), error.round(4), round(161 / 36, 4)
    (np.float64(4.4745), np.float64(0.0014), 4.4722)
    """
    array, delayed = _dask()
    host, parts, key = _plan(dist, n, 2, chunks, seed, kept=False)
    checks.check_callable(f, "f")
    shape = _tasks.values_of(f, _tasks.drawn(host, 0, 1, seed)).shape[1:]
    summed, function = delayed(_tasks.summed, pure=False), delayed(f, traverse=False, pure=False)
    sums = [summed(function, shape, key, *part, seed) for part in parts]
    total = _merged(delayed(_tasks.pooled, pure=False), sums)
    found = array.from_delayed(
        delayed(_tasks.estimated, pure=False)(total), (2, *shape), np.float64
    )
    return Estimate(found[0], found[1])


@explained
def sample_sharded(logits: da.Array, k: int | None = None, *, seed: int) -> da.Array:
    """Draw from logits that are chunked along the categories, without ever gathering them.

    Every chunk fills a :class:`softargmax.gumbel.Reservoir`, and the reservoirs are merged: an
    exact draw by Gumbel-top-k, which reads every chunk once.

    Parameters
    ----------
    logits : dask.array.Array, shape (K,)
        With known chunk sizes; already divided by the temperature.
    k : int, optional
        How many distinct categories to draw; None is one draw, as a scalar.
    seed : int
        Non-negative.

    Returns
    -------
    dask.array.Array of int64, shape () or (k,)
        In the order drawn, the same for every chunking.

    Raises
    ------
    ValueError
        For logits of another shape, unknown chunks, k outside 1 … K; and when computed, for NaN or
        +inf logits, or fewer than k categories with a logit above -inf.
    TypeError
        For logits that are not a Dask array of real numbers.
    ImportError
        If Dask is not installed.

    References
    ----------
    Kool, van Hoof & Welling (2019), https://arxiv.org/abs/1903.06059.

    Examples
    --------
    >>> import dask.array as da
    >>> from softargmax.dask import sample_sharded
    >>> logits = da.linspace(0, 8, 1000, chunks=100)
    >>> sample_sharded(logits, 3, seed=0).compute(), sample_sharded(logits, seed=0).compute()
    (array([952, 793, 909]), np.int64(952))
    """
    array, delayed = _dask()
    if not isinstance(logits, array.Array):
        raise TypeError(
            f"logits must be a Dask array, got {type(logits).__name__}; "
            "for what fits in memory there is Categorical"
        )
    if logits.ndim != 1:
        raise ValueError(f"logits must have shape (K,), got shape {logits.shape}")
    if math.isnan(logits.shape[0]):
        raise ValueError("logits must have known chunks; call compute_chunk_sizes() first")
    if logits.dtype.kind not in "biuf":
        raise TypeError(f"logits must be real numbers, got dtype {logits.dtype}")
    size = 1 if k is None else checks.count(k, "k", 1, logits.shape[0])
    empty = Reservoir(seed, size)
    offsets = np.cumsum((0, *logits.chunks[0])).tolist()
    update, merge = delayed(Reservoir.update, pure=False), delayed(_tasks.joined, pure=False)
    filled = [
        update(empty, block, offset)
        for block, offset in zip(logits.to_delayed().ravel(), offsets, strict=False)
    ]
    first = _merged(merge, filled) if filled else empty
    drawn = delayed(_tasks.indices_of, pure=False)(first, k is None)
    found: da.Array = array.from_delayed(drawn, () if k is None else (size,), np.int64)
    return found


# ---------------------------------------------------------------------------- graphs


def _dask() -> tuple[Any, Any]:
    try:
        import dask.array
        from dask.delayed import delayed
    except ImportError:
        raise ImportError("softargmax.dask needs Dask: pip install 'softargmax[dask]'") from None
    return dask.array, delayed


def _plan(
    dist: Categorical, n: int, least: int, chunks: Any, seed: int, kept: bool = True
) -> tuple[Categorical, list[tuple[int, int]], Any]:
    """The distribution as NumPy arrays, the (start, stop) of each chunk, and its graph node."""
    array, delayed = _dask()
    state = state_of(dist)
    n = checks.count(n, "n", least, 2**62)
    checks.natural(seed, "seed")
    host = dist if state.xp is np else of_state(state.host())
    width = max(1, math.prod(host.batch_shape))
    if isinstance(chunks, str) and chunks == "auto":
        chunks = max(1, 2**24 // width)  # 128 MiB
        if not kept:  # enough chunks for many workers, and enough work in each
            chunks = min(chunks, max(_tasks.AT_ONCE // width, -(-n // 64)))
    sizes = _sizes(array, chunks, (n, *host.batch_shape))
    ends = np.cumsum((0, *sizes)).tolist()
    # One node, so that every worker holds it once and keeps its alias table.
    key = delayed(host, traverse=False, pure=False)
    return host, list(itertools.pairwise(ends)), key


def _sizes(array: Any, chunks: Any, shape: tuple[int, ...]) -> Any:
    """The lengths of the chunks of the first axis."""
    wanted = (
        f"chunks must be 'auto', -1, or positive ints that add up to n={shape[0]}, got {chunks!r}"
    )
    if isinstance(chunks, bool) or not isinstance(chunks, int | np.integer | str | tuple | list):
        raise TypeError(wanted)
    if isinstance(chunks, int | np.integer) and chunks != -1 and chunks < 1:
        raise ValueError(wanted)
    if isinstance(chunks, int | np.integer):
        chunks = int(min(chunks, max(shape[0], 1)))
    first = tuple(chunks) if isinstance(chunks, list) else chunks
    if isinstance(first, tuple) and not all(
        type(c) is not bool and c == int(c) and c >= 0 for c in first
    ):
        raise ValueError(wanted)
    try:
        return array.core.normalize_chunks(
            (first, *(-1 for _ in shape[1:])), shape, dtype=np.int64
        )[0]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{wanted}: {error}") from None


def _merged(merge: Any, parts: list[Any]) -> Any:
    """Merge many nodes into one, as a tree."""
    while len(parts) > 1:
        parts = [merge(parts[i : i + _FAN]) for i in range(0, len(parts), _FAN)]
    return parts[0]
