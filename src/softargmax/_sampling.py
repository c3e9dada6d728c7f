"""Draws from a categorical distribution."""

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from softargmax import _kernels, _native, _noise, draws
from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Shape,
    as_rows,
    blocks,
    index_dtype,
    is_jax,
    is_torch,
    to_namespace,
    unwrap,
)
from softargmax._blocks import BlockSums
from softargmax._calculus import Calculus
from softargmax._distribution import derived
from softargmax._inputs import Inputs
from softargmax._keyed import Keyed
from softargmax._noise import Generator, Rngs
from softargmax._scores import Scores, columns
from softargmax._threads import share

_METHODS = ("auto", "inverse", "gumbel", "alias")


class Sampling(Calculus):
    """Draws with replacement, and their counts."""

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
        rng : None, int, SeedSequence, BitGenerator, Generator, Keyed, or a sequence of the others
            Source of randomness; None takes fresh entropy. A sequence holds one rng a row of a 1-d
            batch: each row's draws then depend on its own rng and its own logits alone. With
            :class:`softargmax.draws.Keyed`, draw number i depends on the seed and i alone.
        method : {"auto", "inverse", "gumbel", "alias"}
            "inverse" inverts the cumulative distribution with one uniform a draw, "alias" looks the
            uniform up in Walker's alias table, "gumbel" is Gumbel-max with K numbers a draw (as a
            race of exponential clocks, which is the same). "auto" is "alias" for at least 1,024
            and at least K/2 draws of every row, else "inverse"; so 1,023 draws are not the first of
            1,024. Up to 16 draws of at least 1,024 categories are inverted by sums of blocks. With
            Keyed, "auto" is "inverse", of the whole distribution whatever the number of draws, and
            there is no "gumbel".
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
            drawn = self._at_once(rng)
            if drawn is not None:
                return drawn
        size = checks.sample_shape(shape)
        method = checks.one_of(method, "method", _METHODS)
        threads = checks.check_workers(workers)
        given = self._given
        if isinstance(rng, Keyed) and not _native.is_native(given.z, given.xp):
            if method == "gumbel":
                raise ValueError("method must be 'auto', 'inverse' or 'alias' with Keyed draws")
            method = "alias" if method == "alias" else "table"
            rng = rng.generator()
        if _native.is_native(given.z, given.xp):
            if method not in ("auto", "gumbel"):
                raise ValueError(
                    f"method must be 'auto' or 'gumbel' for these arrays, got {method!r}"
                )
            return _native.sample(self.log_probs, size, rng, given.xp)
        return self._draw(
            rng,
            lambda dist, source: dist._sample_rows(size, source, method, threads),
            len(size),
            (*size, *self.batch_shape),
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
        if self._given.xp is not np:
            return x, self.log_prob(x)
        if type(x) is np.int64 and short is None:
            return x, self.log_probs[x]
        return x, unwrap(self._take(self.log_probs, np.asarray(x)))

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
        xp = self._given.xp
        most = 2**62 if xp is np else min(2**62, int(xp.iinfo(index_dtype(xp)).max))
        n = checks.count(n, "n", 0, most)
        shape = (*self.batch_shape, self.num_categories)
        return self._draw(rng, lambda dist, source: dist._count_rows(n, source), 0, shape)

    # ------------------------------------------------------------------ from rng to generators

    def _draw(
        self, rng: Rngs, draw: Callable[[Any, Generator], Any], axis: int, shape: Shape
    ) -> Any:
        """Draw in NumPy: with one generator, or row by row with one each, stacked on ``axis``."""
        given = self._given
        if is_jax(given.xp):
            return _native.in_numpy(
                given, rng, lambda host, r: self._host_draw(host, r, draw, axis), shape
            )
        source = _noise.on_host(rng) if is_torch(given.xp) else rng
        return self._home(self._host_draw(_native.host_inputs(given), source, draw, axis))

    def _host_draw(
        self, given: Inputs, rng: Rngs, draw: Callable[[Any, Generator], Any], axis: int
    ) -> Any:
        host = self if given is self._given else self._of(given)
        sources = _noise.one_a_row(rng, self.batch_shape)
        if sources is None:
            return draw(host, _noise.generator(rng))  # type: ignore[arg-type]
        rows = [draw(row, source) for row, source in zip(host._rows, sources, strict=True)]
        return np.stack(rows, axis=axis) if rows else draw(host, _noise.generator(0))

    def _on_host(self) -> Self:
        """This distribution over NumPy arrays."""
        given = _native.host_inputs(self._given)
        return self if given is self._given else self._of(given)

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
            drawn = self._at_once(rng)
            if drawn is not None:
                return drawn
        match draws.way(method, n, rows, num_categories):
            case "columns":
                found = self._forgotten(rng, n, workers, _by_columns)
            case "blocks":
                u = _noise.uniforms(rng, (n, rows))
                found = self._block_sums(workers).invert(u)
            case "alias":
                found = draws.by_alias(rng, self._alias_tables, n, workers)
            case "gumbel":
                weights = as_rows(self.probs, self.batch_shape)
                found = draws.by_race(rng, weights, n, workers)
            case "rows":
                found = self._forgotten(rng, n, workers, _by_rows)
            case _:
                cdf = as_rows(self._cumulative, self.batch_shape)
                found = draws.by_inversion(rng, cdf, n, workers)
        return found.reshape(size + self.batch_shape)

    def _at_once(self, rng: Generator) -> Any:
        """One draw of every row on a short way, where there is one."""
        short = self._short
        if short is not None:
            return np.int64(short.draw(_noise.uniform(rng), self._smallest))
        given = self._given
        if given.xp is not np:
            return None
        shape, num_categories = given.batch_shape, given.z.shape[-1]
        if not shape:
            if num_categories >= draws.MANY:
                return np.int64(self._block_sums().invert_one(_noise.uniform(rng)))
            return np.int64(self._cumulative.searchsorted(_noise.uniform(rng), side="right"))
        if draws.way("inverse", 1, math.prod(shape), num_categories) != "inverse":
            return None
        u = _noise.uniforms(rng, (*shape, 1))
        return (self._cumulative > u).argmax(axis=-1)

    @property
    def _smallest(self) -> float:
        """A weight below which p is no normal float, or nearly so."""
        return 1.2e-38 if self._given.z.itemsize == 4 else 2.3e-308

    def _forgotten(
        self, rng: Generator, n: int, workers: int, invert: Callable[[Inputs, Any], Any]
    ) -> Any:
        """Draws (n, rows) by ``invert``, from inputs and uniforms a block of rows at a time."""
        rows = math.prod(self.batch_shape)
        u = _noise.uniforms(rng, (n, rows))
        found = np.empty((n, rows), np.int64)
        part = _kernels.rows_of(self._given)

        def work(block: slice) -> None:
            found[:, block] = invert(part(block), u[:, block])

        share(work, blocks(rows, self.num_categories), workers)
        return found

    def _block_sums(self, workers: int = 1) -> Any:
        """The sums of blocks of every row, kept, since they are few."""
        return self._kept("_sums", lambda: BlockSums.build(Scores.of(self._given), workers))

    @derived
    def _alias_tables(self) -> Any:
        return [draws.AliasTable.build(row) for row in as_rows(self.probs, self.batch_shape)]

    def _count_rows(self, n: int, rng: Generator) -> Any:
        weights = as_rows(self.probs, self.batch_shape).astype(np.float64)
        return draws.draw_counts(rng, weights, n).reshape(self.probs.shape)


def _by_columns(part: Inputs, u: Any) -> Any:
    """One category a row, for uniforms (1, rows)."""
    return draws.invert_columns(columns(part), u[0])


def _by_rows(part: Inputs, u: Any) -> Any:
    """Categories for uniforms (n, rows)."""
    return draws.invert_rows(draws.cumulative(_kernels.probs(part)), u)
