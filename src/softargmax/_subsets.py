"""Draws without replacement and their law."""

import math
from typing import Any

import numpy as np

from softargmax import _noise, _orders, draws
from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Shape,
    as_rows,
    blocks,
    device_of,
    is_traced,
    quiet,
    to_numpy,
)
from softargmax._distribution import derived
from softargmax._inputs import log_weights, support_of
from softargmax._noise import Generator, Rngs
from softargmax._sampling import Sampling


class Subsets(Sampling):
    """Orders of different categories."""

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
        k = checks.count(k, "k", 0, 2**62)
        size = checks.sample_shape(shape)
        if self.batch_shape or not self._by_draws(k):  # which look only where they find too few
            checks.check_subset(k, self._support)
        shape = (*size, *self.batch_shape, k)
        return self._draw(
            rng, lambda dist, source: dist._order_rows(k, size, source), len(size), shape
        )

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
        x = checks.category(indices, given.xp, given.z, self.num_categories, "indices")
        if x.ndim == 0:
            raise ValueError("indices must have an axis of categories, got shape ()")
        if not is_traced(x):
            checks.check_distinct(to_numpy(x))
        lead = checks.check_fits(tuple(x.shape[:-1]), self.batch_shape, "indices")
        return self._ordered(x) if given.xp is np else self._one_by_one(x, lead)

    def _one_by_one(self, x: Array, lead: Shape) -> Array:
        """The same where gradients may be wanted: each choice's log p among what is left."""
        given, xp = self._spread(lead)._given, self._given.xp
        full = (*lead, self.num_categories)
        weights = xp.ones(full, dtype=xp.bool, device=device_of(given.z))
        weights = weights if given.prior is None else xp.broadcast_to(given.prior, full)
        index = xp.arange(self.num_categories, device=device_of(given.z))
        support = xp.broadcast_to(support_of(given.z, given.prior, xp), full)
        left, total = xp.ones_like(support), xp.zeros(lead, dtype=self.dtype, device=device_of(x))
        for j in range(x.shape[-1]):
            chosen = index == x[..., j][..., None]
            over = ~xp.any(support & left, axis=-1)  # what is off the support is never drawn
            kept = xp.where(left | over[..., None], weights, xp.zeros_like(weights))
            log_p = self._of(given._replace(prior=kept)).log_probs
            own = xp.sum(xp.where(chosen, log_p, xp.zeros_like(log_p)), axis=-1)
            total = total + xp.where(over, -math.inf, own)
            left = left & ~chosen
        return total

    # ------------------------------------------------------------------ NumPy rows

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
        checks.check_subset(k, self._support)
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
