"""Rows of which few categories survive: what follows from the survivors alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape, ignore_fp_errors
from softargmax._rows.law import Law
from softargmax._rows.rows import LIMITS


class Sparse(Law):
    """A law for the survivors of each row; dense arrays are scattered from these when asked for."""

    def __init__(
        self, laws: list[Law], indices: list[Any], width: int, dtype: Any, batch: Shape
    ) -> None:
        self.laws = laws  # of one row each, without batch axes
        self.indices = indices  # of the survivors, ascending
        self.batch = batch
        self.width, self.dtype = width, dtype

    def make_d(self) -> Any:
        return self._scattered(lambda law: law.d, -np.inf)

    def make_log_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return self._scattered(lambda law: law.log_probs, -np.inf)

    def make_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return self._scattered(lambda law: law.probs, 0.0)

    def make_entropy(self) -> Any:
        return np.array([law.entropy for law in self.laws], self.dtype).reshape(self.batch)

    def mode(self) -> Any:
        """The likeliest category of every row, ties by lowest index."""
        found = [own[law.d.argmax()] for own, law in zip(self.indices, self.laws, strict=True)]
        return np.array(found, np.int64).reshape(self.batch)

    def of_categories(self, x: Any, name: str, empty: float) -> Any:
        """Entries of the survivors' ``name``, an array of theirs, at categories (…, rows)."""
        found = np.empty(x.shape, self.dtype)
        for i, (own, law) in enumerate(zip(self.indices, self.laws, strict=True)):
            place = np.minimum(own.searchsorted(x[..., i]), len(own) - 1)
            hit = own[place] == x[..., i]
            found[..., i] = np.where(hit, getattr(law, name)[place], empty)
        return found

    def draw_few(self, u: Any, workers: int = 1) -> Any:  # noqa: ARG002
        found = np.empty(u.shape, np.int64)
        for i, (own, law) in enumerate(zip(self.indices, self.laws, strict=True)):
            if len(u) == 1:
                found[0, i] = own[law.draw(float(u[0, i]))]
            else:
                found[:, i] = own[_cdf(law).searchsorted(u[:, i], side="right")]
        return found

    def draw(self, u: float) -> Any:
        return self.indices[0][self.laws[0].draw(u)]

    def log_prob(self, category: int) -> Any:
        return self.of_categories(np.array([category]), "log_probs", -np.inf)[0]

    def _scattered(self, values: Callable[[Law], Any], empty: float) -> Any:
        out = np.full((self.count, self.width), empty, self.dtype)
        for line, own, law in zip(out, self.indices, self.laws, strict=True):
            line[own] = values(law)
        return out.reshape(self.shape)


@ignore_fp_errors
def _cdf(law: Law) -> Any:
    """The cumulative distribution of one row without what is no normal probability; it ends in 1.

    A dense row would round such probabilities to 0 where its dtype is float32.
    """
    p = law.probs
    weights = np.where(p < LIMITS[p.dtype.char].tiny, 0, p)
    cdf = weights.cumsum(dtype=np.float64)
    cdf /= cdf[-1]
    return cdf
