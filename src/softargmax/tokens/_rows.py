"""All rows of a distribution at once, in any namespace, with the questions of one long row."""

import math
from functools import cached_property
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    device_of,
    index_dtype,
    to_namespace,
    widest_float,
)
from softargmax._row import SLACK
from softargmax.categorical import Categorical


class Rows:
    """What :class:`softargmax._row.Row` is for one row; here masks say what is kept."""

    def __init__(self, dist: Categorical) -> None:
        self.dist = dist
        given = dist._given
        self.xp: Namespace = given.xp
        self.d = dist._ranking
        self.alive = self.d > -math.inf
        self.eps = float(self.xp.finfo(self.d.dtype).eps)

    @property
    def scores(self) -> Array:
        """What orders the categories as d does, before its rounding; -inf where p = 0."""
        given, xp = self.dist._given, self.xp
        if not (given.prior is None or given.prior.dtype == xp.bool):
            return self.d
        cold = to_namespace(given.heat.coldness, xp, given.z)[..., None]
        usual = (cold > 1e-30) & (cold < 1e30)
        return xp.where(self.alive, xp.where(usual, given.z, self.d), -math.inf)

    @cached_property
    def weights(self) -> Array:
        """exp(d)."""
        return self.xp.exp(self.d)

    @cached_property
    def log_total(self) -> Array:
        """log Σ exp(d), (…, 1)."""
        return self.xp.log(self._sum(self.weights))

    @property
    def entropy(self) -> Array:
        """H in nats, (…, 1)."""
        return self.log_total - self._sum(self.weights * self._finite) / self._sum(self.weights)

    @property
    def log_collision(self) -> Array:
        """log Σp² + log Σ exp(d), (…, 1)."""
        return self.xp.log(self._sum(self.weights**2)) - self.log_total

    @property
    def deviation(self) -> Array:
        """The population standard deviation of d over the categories with p > 0, (…, 1)."""
        xp, wide = self.xp, widest_float(self.xp)
        n = self._sum(xp.astype(self.alive, wide))
        gap = xp.astype(self._finite, wide)
        gap = xp.where(self.alive, gap - self._sum(gap) / n, xp.zeros_like(gap))
        return xp.astype(xp.sqrt(self._sum(gap * gap) / n), self.d.dtype)

    @property
    def _finite(self) -> Array:
        return self.xp.where(self.alive, self.d, self.xp.zeros_like(self.d))

    def _sum(self, x: Array) -> Array:
        return self.xp.sum(x, axis=-1, keepdims=True)

    def log(self, x: Any) -> Any:
        """The logarithm of a number or a column."""
        if isinstance(x, float | int):
            return math.log(x) if x > 0 else -math.inf
        return self.xp.log(x)

    def lesser(self, a: Any, b: Any) -> Array:
        """The lesser of each."""
        return self.xp.where(a < b, a, b)

    # ------------------------------------------------------------------ which are kept

    def at_least(self, bound: Any, min_keep: int = 1, *, exact: bool = False) -> Array:
        """Where d ≥ bound, up to rounding, or among the ``min_keep`` largest."""
        found = self.alive & (self.d >= bound) if exact else self.above(bound)
        return found | self.largest(min_keep)

    def above(self, bound: Any) -> Array:
        """Where d ≥ bound, up to rounding."""
        return self.alive & (self.d >= bound - SLACK * self.eps * (1 + abs(bound)))

    def largest(self, k: Any) -> Array:
        """Where the score is among the k largest, ties with the last of them included."""
        scores = self.scores
        return self.alive & (scores >= self._kth(scores, k))

    def nearest(self, level: Array, mass: Any, min_keep: int) -> Array:
        """Where d is among the nearest to a level that hold this mass."""
        key = self.xp.where(self.alive, 0 - abs(self.d - level), -math.inf)
        bound = self.crossing(key, mass)
        return self.alive & ((key >= bound) | (key >= self._kth(key, min_keep)))

    def _kth(self, key: Array, k: Any) -> Array:
        """The k-th largest of every row, (…, 1)."""
        xp, width = self.xp, key.shape[-1]
        if isinstance(k, int) and k == 1:
            return xp.max(key, axis=-1, keepdims=True)
        ordered = xp.sort(key, axis=-1)
        place = width - np.minimum(np.asarray(k), width)
        index = xp.arange(width, device=device_of(key))
        chosen = index == to_namespace(place, xp, key)
        return xp.max(xp.where(chosen, ordered, -math.inf), axis=-1, keepdims=True)

    def crossing(self, key: Array, part: Any) -> Array:
        """The largest key such that those from it on are the smallest set that holds ``part``."""
        xp = self.xp
        order = xp.argsort(key, axis=-1)
        tail = xp.cumulative_sum(xp.take_along_axis(self.weights, order, axis=-1), axis=-1)
        goal = (1 - part) * tail[..., -1:] * (1 + 8 * self.eps)
        ordered = xp.take_along_axis(key, order, axis=-1)
        found = xp.min(xp.where(tail > goal, ordered, math.inf), axis=-1, keepdims=True)
        return xp.where(xp.asarray(part >= 1, device=device_of(key)), -math.inf, found)

    def prefix(self, fraction: Any) -> Array:
        """The last d of the longest falling prefix whose own entropy is ≤ fraction·H, (…, 1)."""
        xp = self.xp
        wide = widest_float(xp)
        ordered = xp.flip(xp.sort(self.d, axis=-1), axis=-1)
        given, ordered = ordered, xp.astype(ordered, wide)
        eps = float(xp.finfo(wide).eps)
        weights = xp.exp(ordered)
        finite = xp.where(ordered > -math.inf, ordered, xp.zeros_like(ordered))
        total = xp.cumulative_sum(weights, axis=-1)
        own = xp.log(total) - xp.cumulative_sum(weights * finite, axis=-1) / total
        goal = xp.astype(fraction * own[..., -1:], wide)
        within = own <= goal + 4 * eps * (1 + goal)
        within = within & (xp.cumulative_sum(xp.astype(~within, index_dtype(xp)), axis=-1) == 0)
        return xp.min(
            xp.where(within & (weights > 0), given, xp.zeros_like(given)),
            axis=-1,
            keepdims=True,
        )
