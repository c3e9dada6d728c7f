"""Questions to a categorical distribution that need no randomness."""

import math
from typing import Any

import numpy as np

from softargmax import _formula, _kernels, _orders, draws
from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Namespace,
    as_rows,
    blocks,
    detached,
    device_of,
    index_dtype,
    quiet,
    unwrap,
    widest_float,
)
from softargmax._distribution import Distribution, derived


class Information(Distribution):
    """Probabilities of categories, the order of the categories, entropies and divergences."""

    # ------------------------------------------------------------------ of a category

    def log_prob(self, category: ArrayLike) -> Any:
        """log p of given categories, in nats; -inf outside the support.

        Parameters
        ----------
        category : int or array of integers
            In 0 … K-1; broadcasts against batch_shape, so the k axis of what :meth:`top` and
            ``sample_without_replacement`` return has to move first: ``np.moveaxis(x, -1, 0)``.

        Returns
        -------
        array, the broadcast of category.shape and batch_shape

        Raises
        ------
        ValueError, TypeError
            For a category out of range, of another dtype, or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([0.0, -40.0]).log_prob(0))
        -4.248354255291589e-18
        """
        if type(category) in (int, np.int64):
            given, short = self._given, self._short
            if short is not None:
                if 0 <= category < len(short.d):
                    return given.z.dtype.type(short.log_prob(category))
            elif not given.batch_shape and given.xp is np and 0 <= category < given.z.shape[-1]:
                return self.log_probs[category]
        return self._of_category(self.log_probs, category)

    def prob(self, category: ArrayLike) -> Any:
        """P of given categories; shapes and errors as for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([1.0, 5.0, 5.0], 0).prob(2))
        0.5
        """
        return self._of_category(self.probs, category)

    @quiet
    def cdf(self, category: ArrayLike) -> Any:
        """P(X ≤ category) in the order of the indices; shapes and errors as for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 0, 3]).cdf([0, 1, 2])
        array([0.25, 0.25, 1.  ])
        """
        return self._of_category(self._given.xp.astype(self._cumulative, self.dtype), category)

    def quantile(self, u: ArrayLike) -> Any:
        """The smallest category x with cdf(x) > u; u = 1 gives the last category with p > 0.

        A draw is quantile(u) of a uniform u, and a category with p = 0 is never the answer. The
        sums are float64, which a float32 distribution's :meth:`cdf` rounds.

        Parameters
        ----------
        u : float or array
            In [0, 1]; broadcasts against batch_shape.

        Returns
        -------
        int64, the broadcast of u.shape and batch_shape

        Raises
        ------
        ValueError
            For u outside [0, 1] or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([0, 1, 3, 0]).quantile([0.0, 0.25, 1.0])
        array([1, 2, 2])
        """
        given, xp = self._given, self._given.xp
        points = checks.numbers_in(u, "u", "[0, 1]", xp, given.z)
        shape = checks.check_fits(tuple(points.shape), self.batch_shape, "u")
        points = xp.broadcast_to(points, shape)
        if xp is np:
            cdf = as_rows(self._cumulative, self.batch_shape)
            row = np.arange(len(cdf)).reshape(self.batch_shape)
            return unwrap(draws.invert(cdf, self._last, points, row))
        below = xp.astype(self._cumulative <= points[..., None], index_dtype(xp))
        index = xp.arange(self.num_categories, device=device_of(given.z))
        last = xp.max(xp.where(self.probs > 0, index, xp.zeros_like(index)), axis=-1)
        return xp.minimum(xp.sum(below, axis=-1), xp.astype(last, index_dtype(xp)))

    @derived
    def _last(self) -> Any:
        """The last category with p > 0 of every row, NumPy."""
        return draws.last_positive(as_rows(self.probs, self.batch_shape))

    def mode(self) -> Any:
        """The likeliest category, of tied ones the lowest index; shape batch_shape.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> int(Categorical([1.0, 5.0, 5.0]).mode())
        1
        """
        xp = self._given.xp
        return unwrap(xp.astype(xp.argmax(self._ranking, axis=-1), index_dtype(xp), copy=False))

    def top(self, k: int) -> tuple[Any, Any]:
        """The k likeliest categories in falling order, and their log-probabilities.

        Ties go by lowest index; where fewer than k are in the support the log-probabilities (in
        nats) end in -inf.

        Parameters
        ----------
        k : int
            In 0 … K.

        Returns
        -------
        indices : int64, shape batch_shape + (k,)
        log_probs : array, shape batch_shape + (k,)

        Raises
        ------
        ValueError, TypeError
            For another k.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> indices, log_probs = Categorical([0.0, 2.0, 1.0]).top(2)
        >>> indices, log_probs.round(4)
        (array([1, 2]), array([-0.4076, -1.4076]))
        """
        xp, ranking = self._given.xp, self._ranking
        k = checks.count(k, "k", 0, self.num_categories)
        if xp is np:
            rows = as_rows(ranking, self.batch_shape)
            falling = np.broadcast_to(-np.arange(self.num_categories), rows.shape)
            indices = _orders.largest((rows, falling), k).reshape(*self.batch_shape, k)
        else:
            indices = xp.argsort(ranking, axis=-1, descending=True, stable=True)[..., :k]
        return indices, self._take(self.log_probs, indices, core=1)

    # ------------------------------------------------------------------ information, in nats

    def entropy(self) -> Any:
        """Shannon's entropy H = -Σ p log p in nats, shape batch_shape.

        H = log1p(s) - Σ p·d, with d the logits centred on the likeliest one and scaled, keeps its
        digits where p is next to 1. Without a prior it lies in [log k, log K], k being the number
        of tied maximisers (minimisers for β < 0).

        References
        ----------
        Shannon (1948), https://doi.org/10.1002/j.1538-7305.1948.tb01338.x.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([0.0, -40.0]).entropy())
        1.7418252446695514e-16
        """
        short = self._short
        if short is not None:
            return self._given.z.dtype.type(short.entropy())
        return unwrap(self._entropy)

    @derived
    def _entropy(self) -> Any:
        xp = self._given.xp
        if xp is not np:
            return _formula.entropy(self._law, xp)
        terms = self._terms
        return _kernels.entropy(self._given) if terms is None else terms.entropy()

    @quiet
    def perplexity(self) -> Any:
        """exp(H), the effective number of categories, shape batch_shape.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([3.0, 3.0, -float("inf")]).perplexity())
        2.0
        """
        return unwrap(self._given.xp.exp(self.entropy()))

    @quiet
    def cross_entropy(self, other: "Information") -> Any:
        """The cross-entropy -Σ p log q in nats, p of this distribution and q of the other.

        +inf where the other gives probability 0 to what this one can draw.

        Parameters
        ----------
        other : Categorical
            Over as many categories, of a batch that broadcasts.

        Returns
        -------
        array, the broadcast of the two batch shapes, in the wider of the two dtypes

        Raises
        ------
        TypeError, ValueError
            For anything else.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> p, q = Categorical([0.0, 0.0]), Categorical([0.0, 1.0])
        >>> round(float(p.cross_entropy(q)), 4)
        0.8133
        """
        xp = self._pair(other)
        p, log_q = self.probs, other.log_probs
        terms = p * (0 - xp.where(p > 0, log_q, xp.zeros_like(log_q)))
        return unwrap(xp.sum(terms, axis=-1))

    @quiet
    def kl_divergence(self, other: "Information") -> Any:
        """The divergence KL(self ‖ other) = Σ p log(p/q) in nats: never negative, 0 with itself.

        Parameters, shape, errors and limits as for :meth:`cross_entropy`.

        References
        ----------
        Kullback & Leibler (1951), https://doi.org/10.1214/aoms/1177729694.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> p, q = Categorical([0.0, 0.0]), Categorical([0.0, 1.0])
        >>> round(float(p.kl_divergence(q)), 4)
        0.1201
        """
        xp = self._pair(other)
        p, log_p, log_q = self.probs, self.log_probs, other.log_probs
        zero = xp.zeros_like(p)
        terms = p * (xp.where(p > 0, log_p, zero) - xp.where(p > 0, log_q, zero))
        total = xp.sum(terms, axis=-1)
        below = xp.where(total < 0, 0 - total, xp.zeros_like(total))
        return unwrap(total + detached(below, xp))  # a clamp that no derivative sees

    # ------------------------------------------------------------------ shared

    @property
    def _ranking(self) -> Any:
        """Scores that rank the categories: -inf where p = 0 at any precision."""
        xp = self._given.xp
        if xp is np:
            return self._d
        law = self._law
        return xp.where(law.alive, law.d, -math.inf)

    @derived
    def _cumulative(self) -> Any:
        """The cumulative distribution in float64 where there is one; its last value is 1."""
        xp = self._given.xp
        if xp is np:
            return self._cumulative_rows()
        total = xp.cumulative_sum(xp.astype(self.probs, widest_float(xp)), axis=-1)
        return total / total[..., -1:]

    def _cumulative_rows(self) -> Any:
        """The same in NumPy, a block of rows at a time."""
        if self._short is not None or self._terms is not None:
            return draws.cumulative(self.probs)
        rows, part = math.prod(self.batch_shape), _kernels.rows_of(self._given)
        out = np.empty((rows, self.num_categories))
        for block in blocks(rows, self.num_categories):
            out[block] = draws.cumulative(_kernels.probs(part(block)))
        return out.reshape(*self.batch_shape, self.num_categories)

    def _of_category(self, table: Array, category: ArrayLike) -> Any:
        given = self._given
        x = checks.category(category, given.xp, given.z, self.num_categories)
        return unwrap(self._take(table, x))

    def _take(self, table: Array, x: Array, core: int = 0) -> Array:
        """Entries of a table of shape batch_shape + (K,) at categories whose last ``core`` axes are
        not the batch's.
        """
        xp, batch = self._given.xp, self.batch_shape
        if xp is np and len(batch) == 1 and core == 0 and x.shape == batch:
            return table[np.arange(len(x)), x]  # the common case, on a short way
        lead = tuple(x.shape[: x.ndim - core])
        shape = (*checks.check_fits(lead, batch, "category"), *x.shape[x.ndim - core :])
        row = xp.arange(math.prod(batch), device=device_of(self._given.z))
        row = xp.reshape(row, (*batch, *([1] * core)))
        flat = xp.broadcast_to(row * self.num_categories + x, shape)
        return xp.reshape(xp.take(xp.reshape(table, (-1,)), xp.reshape(flat, (-1,))), shape)

    def _pair(self, other: "Information", name: str = "other") -> Namespace:
        """The namespace of two distributions that can be compared."""
        if not isinstance(other, Information):
            raise TypeError(f"{name} must be a Categorical, got {type(other).__name__}")
        if other.num_categories != self.num_categories:
            raise ValueError(
                f"{name} must have {self.num_categories} categories, got {other.num_categories}"
            )
        checks.check_fits(other.batch_shape, self.batch_shape, name)
        if other._given.xp is not self._given.xp:
            raise TypeError(f"{name} must hold arrays of the same library as this distribution")
        return self._given.xp
