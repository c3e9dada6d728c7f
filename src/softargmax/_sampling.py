"""Draws from a categorical distribution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax import _checks, _kernels, _noise, _orders, draws
from softargmax._arrays import (
    ArrayLike,
    Shape,
    as_rows,
    blocks,
    quiet,
    share,
    to_namespace,
    to_numpy,
    unwrap,
)
from softargmax._blocks import BlockSums
from softargmax._calculus import Calculus
from softargmax._distribution import derived
from softargmax._inputs import Heat, Inputs, log_weights
from softargmax._noise import Generator, Rngs

_METHODS = ("auto", "inverse", "gumbel", "alias")


class Sampling(Calculus):
    """Draws with and without replacement, and their counts."""

    def sample(
        self,
        shape: int | tuple[int, ...] = (),
        *,
        rng: Rngs = None,
        method: str = "auto",
        workers: int | None = None,
    ) -> Any:
        """Independent draws; no category of probability 0 is ever among them.

        Parameters
        ----------
        shape : int or tuple of ints
            Draws of every row.
        rng : None, int, SeedSequence, BitGenerator, Generator, or a sequence of these
            Source of randomness; None takes fresh entropy. A sequence holds one rng a row of a 1-d
            batch: each row's draws then depend on its own rng and its own logits alone.
        method : {"auto", "inverse", "gumbel", "alias"}
            "inverse" inverts the cumulative distribution with one uniform a draw, "alias" looks the
            uniform up in Walker's alias table, "gumbel" is Gumbel-max with K numbers a draw (as a
            race of exponential clocks, which is the same). "auto" is "alias" for at least 1,024
            and at least K/2 draws of every row, else "inverse"; so 1,023 draws are not the first of
            1,024. Up to 16 draws of at least 1,024 categories are inverted by sums of blocks.
        workers : int, optional
            Threads; None is 1. The draws do not depend on it.

        Returns
        -------
        int64, shape + batch_shape

        Raises
        ------
        ValueError, TypeError
            For a shape, rng, method or workers that is none of these.

        Notes
        -----
        The uniforms are multiples of 2⁻⁵³ and the sums float64, so that probabilities of 1e-12
        come at their rate in float32 too. Equal rng, shape and method give equal draws.

        References
        ----------
        Walker (1977), https://doi.org/10.1145/355744.355749; Gumbel-max: Maddison, Tarlow & Minka
        (2014), https://arxiv.org/abs/1411.0030.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 2.0]).sample(8, rng=0)
        array([2, 1, 0, 0, 2, 2, 2, 2])
        """
        if shape == () and method == "auto" and workers is None and type(rng) is Generator:
            drawn = self._one(rng)
            if drawn is not None:
                return np.int64(drawn)
        size = _checks.sample_shape(shape)
        method = _checks.one_of(method, "method", _METHODS)
        threads = _checks.check_workers(workers)
        return self._draw(
            rng, lambda dist, source: dist._sample_rows(size, source, method, threads), len(size)
        )

    def sample_and_log_prob(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> tuple[Any, Any]:
        """What :meth:`sample` draws, and its log-probabilities in nats.

        Parameters
        ----------
        shape, rng
            As for :meth:`sample`, and so are the errors.

        Returns
        -------
        x : int64, shape + batch_shape
        log_p : array, the same shape

        Examples
        --------
        >>> from softargmax import Categorical
        >>> x, log_p = Categorical([0.0, 1.0, 2.0]).sample_and_log_prob(2, rng=0)
        >>> x, log_p.round(4)
        (array([2, 1]), array([-0.4076, -1.4076]))
        """
        short = self._short
        if short is not None and shape == () and type(rng) is Generator:
            drawn = short.draw(_noise.uniform(rng), self._smallest)
            return np.int64(drawn), self._given.z.dtype.type(short.log_prob(drawn))
        x = self.sample(shape, rng=rng)
        return x, self.log_prob(x)

    def sample_counts(self, n: int, *, rng: Rngs = None) -> Any:
        """How often each category comes in n draws: multinomial counts, without the draws.

        Parameters
        ----------
        n : int
            In 0 … 2⁶² draws of every row; memory does not depend on it.
        rng
            As for :meth:`sample`.

        Returns
        -------
        int64, shape batch_shape + (K,), with sum n on the last axis

        Raises
        ------
        ValueError, TypeError
            For n outside its range or not an integer, or an rng that is none.

        Notes
        -----
        NumPy's multinomial in pieces of 2⁵², beyond which its variances fail, and Poisson variables
        for what is rarer than 2⁻³⁶.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 0, 3]).sample_counts(10**18, rng=0)
        array([249999999891848018,                  0, 750000000108151982])
        """
        n = _checks.count(n, "n", 0, 2**62)
        return self._draw(rng, lambda dist, source: dist._count_rows(n, source), 0)

    def sample_without_replacement(
        self, k: int, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> Any:
        """Draw k different categories in the order drawn, by Gumbel-top-k.

        Each next one is drawn from what is left, in proportion to p. At T = 0 the order is that of
        the logits, ties by luck.

        Parameters
        ----------
        k : int
            From 0 to the number of categories in the support.
        shape, rng
            As for :meth:`sample`.

        Returns
        -------
        int64, shape + batch_shape + (k,)

        Raises
        ------
        ValueError, TypeError
            For k beyond a row's support, which it names, or a shape or rng that is none.

        References
        ----------
        Kool, van Hoof & Welling (2019), https://arxiv.org/abs/1903.06059.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 2.0], temperature=0).sample_without_replacement(3)
        array([2, 1, 0])
        """
        k = _checks.count(k, "k", 0, 2**62)
        size = _checks.sample_shape(shape)
        if self.batch_shape or not self._by_draws(k):  # which look only where they find too few
            _checks.check_subset(k, self._support)
        return self._draw(rng, lambda dist, source: dist._order_rows(k, size, source), len(size))

    def log_prob_ordered(self, indices: ArrayLike) -> Any:
        r"""log P of drawing categories in this order without replacement (Plackett-Luce), in nats.

        .. math:: \sum_j \log \frac{p_{i_j}}{1 - \sum_{l < j} p_{i_l}}

        computed from tails summed backwards, so that nothing cancels, with its limits at T = 0.

        Parameters
        ----------
        indices : array of integers, shape (..., k)
            Distinct on the last axis; the other axes broadcast against the batch.

        Returns
        -------
        array, the broadcast of indices.shape[:-1] and batch_shape

        Raises
        ------
        ValueError, TypeError
            For a repeated index, one out of range, or a shape that does not fit.

        References
        ----------
        Plackett (1975), https://doi.org/10.2307/2346567.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> import math
        >>> dist = Categorical.from_weights([1, 2, 3])
        >>> round(math.exp(dist.log_prob_ordered([2, 1, 0])), 4)  # 3/6 · 2/3 · 1/1
        0.3333
        """
        given = self._given
        x = to_numpy(_checks.category(indices, given.xp, given.z, self.num_categories, "indices"))
        if x.ndim == 0:
            raise ValueError("indices must have an axis of categories, got shape ()")
        _checks.check_distinct(x)
        _checks.check_fits(x.shape[:-1], self.batch_shape, "indices")
        return self._home(self._on_host()._ordered(x))

    # ------------------------------------------------------------------ from rng to generators

    def _draw(self, rng: Rngs, draw: Callable[["Sampling", Generator], Any], axis: int) -> Any:
        """Draw with one generator, or row by row with one each, the rows stacked on ``axis``."""
        host = self._on_host()
        sources = _noise.one_a_row(rng, self.batch_shape)
        if sources is None:
            return self._home(draw(host, _noise.generator(rng)))  # type: ignore[arg-type]
        rows = [draw(row, source) for row, source in zip(host._rows, sources, strict=True)]
        if not rows:
            return self._home(draw(host, _noise.generator(0)))
        return self._home(np.stack(rows, axis=axis))

    def _on_host(self) -> "Sampling":
        """This distribution over NumPy arrays."""
        given = self._given
        if given.xp is np:
            return self
        heat = Heat(*(p if isinstance(p, float | None) else to_numpy(p) for p in given.heat))
        prior = None if given.prior is None else to_numpy(given.prior)
        logits, z = to_numpy(given.logits), to_numpy(given.z)
        return self._of(Inputs(np, logits, z, heat, prior, given.batch_shape))

    def _home(self, x: Any) -> Any:
        """A NumPy result in the namespace and on the device of the logits."""
        xp = self._given.xp
        return unwrap(x) if xp is np else to_namespace(np.asarray(x), xp, self._given.z)

    @derived
    def _rows(self) -> Any:
        """The rows of a 1-d batch, kept so that a second draw finds their derived arrays."""
        return list(self)

    # ------------------------------------------------------------------ NumPy rows

    def _sample_rows(self, size: Shape, rng: Generator, method: str, workers: int) -> Any:
        n, rows, num_categories = math.prod(size), math.prod(self.batch_shape), self.num_categories
        if method in ("auto", "inverse") and size == ():
            drawn = self._one(rng)
            if drawn is not None:
                return np.int64(drawn)
        match draws.way(method, n, rows, num_categories):
            case "columns":
                found = self._one_a_row(rng, workers)
            case "blocks":
                u = _noise.uniforms(rng, (n, rows))
                found = self._block_sums(workers).invert(u)
            case "alias":
                found = draws.by_alias(rng, self._alias_tables, n, workers)
            case "gumbel":
                weights = as_rows(self.probs, self.batch_shape)
                found = draws.by_race(rng, weights, n, workers)
            case _:
                cdf = as_rows(self._cumulative, self.batch_shape)
                found = draws.by_inversion(rng, cdf, self._last, n, workers)
        return found.reshape(size + self.batch_shape)

    def _one(self, rng: Generator) -> int | None:
        """One draw of a single row on a short way, where there is one."""
        short = self._short
        if short is not None:
            return int(short.draw(_noise.uniform(rng), self._smallest))
        given = self._given
        if given.batch_shape == () and given.z.shape[-1] >= draws.MANY and given.xp is np:
            return int(self._block_sums().invert_one(_noise.uniform(rng)))
        return None

    @property
    def _smallest(self) -> float:
        """The smallest normal float of the dtype."""
        return 1.2e-38 if self._given.z.itemsize == 4 else 2.3e-308

    def _one_a_row(self, rng: Generator, workers: int) -> Any:
        """One draw (1, rows) of every row of a batch of short rows, by columns."""
        rows = math.prod(self.batch_shape)
        u = _noise.uniforms(rng, (rows,))
        found = np.empty((1, rows), np.int64)
        part = _kernels.rows_of(self._given)

        def work(block: slice) -> None:
            found[0, block] = draws.invert_columns(_kernels.columns(part(block)), u[block])

        share(lambda: work, rows, self.num_categories, workers)
        return found

    def _block_sums(self, workers: int = 1) -> Any:
        """The sums of blocks of every row, kept, since they are few."""
        return self._kept(
            "_sums", lambda: BlockSums.build(_kernels.Scores.of(self._given), workers)
        )

    @derived
    def _alias_tables(self) -> Any:
        return [draws.AliasTable.build(row) for row in as_rows(self.probs, self.batch_shape)]

    def _count_rows(self, n: int, rng: Generator) -> Any:
        weights = as_rows(self.probs, self.batch_shape).astype(np.float64)
        return draws.draw_counts(rng, weights, n).reshape(self.probs.shape)

    def _order_rows(self, k: int, size: Shape, rng: Generator) -> Any:
        n, rows, num_categories = math.prod(size), math.prod(self.batch_shape), self.num_categories
        if rows == 1 and self._by_draws(k):
            found = [self._order_by_draws(k, rng) for _ in range(n)]
            return np.reshape(np.array(found, np.int64), (*size, *self.batch_shape, k))
        z, coldness, log_prior = self._ordering
        out = np.empty((n * rows, k), np.int64)
        for block in blocks(n * rows, num_categories):
            row = np.arange(block.start, block.stop) % rows
            luck = _noise.gumbels(rng, (len(row), num_categories)) + log_prior[row]
            out[block] = _orders.largest(_orders.ordered_keys(z[row], coldness[row], luck), k)
        return out.reshape(*size, *self.batch_shape, k)

    def _by_draws(self, k: int) -> bool:
        """Whether k of so many categories come mostly without repeats."""
        return self.num_categories >= draws.MANY and 8 * k <= self.num_categories

    def _order_by_draws(self, k: int, rng: Generator) -> list[int]:
        """Draws with replacement, repeats left out: the same law, with less noise than K Gumbels.

        What these draws do not find is drawn from the categories that are left, by Gumbel-top-k.
        """
        drawn = self._block_sums().invert(_noise.uniforms(rng, (k + k // 4 + 8, 1)))
        found = list(dict.fromkeys(drawn.ravel().tolist()))[:k]
        if len(found) == k:
            return found
        _checks.check_subset(k, self._support)
        z, coldness, log_prior = self._ordering
        luck = _noise.gumbels(rng, z.shape) + log_prior
        luck[0, found] = -np.inf
        rest = _orders.largest(_orders.ordered_keys(z, coldness, luck), k - len(found))[0]
        return [*found, *rest.tolist()]

    @quiet
    def _ordered(self, x: Any) -> Any:
        z, coldness, log_prior = self._ordering
        k, batch = x.shape[-1], self.batch_shape
        lead = np.broadcast_shapes(x.shape[:-1], batch)
        x = np.broadcast_to(x, (*lead, k)).reshape(math.prod(lead), k)
        row = np.broadcast_to(np.arange(len(z)).reshape(batch), lead).ravel()
        out = np.empty(len(x))
        for block in blocks(len(x), z.shape[-1]):
            r = row[block]
            out[block] = _orders.log_prob_ordered(z[r], coldness[r], log_prior[r], x[block])
        return out.reshape(lead).astype(self.dtype)

    @derived
    def _ordering(self) -> Any:
        """Rows for ordered draws in float64: β's sign times z, |β| (rows, 1), log π₀ or -inf."""
        given, shape = self._given, self.batch_shape
        cold = np.broadcast_to(np.asarray(given.heat.coldness), shape).reshape(-1, 1)
        support = as_rows(self._support, shape)
        z = as_rows(given.z, shape).astype(np.float64)
        z = np.where(support, np.where(cold < 0, -z, z), -np.inf)
        if given.prior is None or given.prior.dtype.kind == "b":
            level = np.zeros(z.shape)
        else:
            level = as_rows(log_weights(given.prior, np), shape)
        return z, np.abs(cold), np.where(support, level, -np.inf)
