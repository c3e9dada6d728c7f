"""A small batch, every array at once: all that it costs is the calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape, ignore_fp_errors
from softargmax._rows.centre import FLOOR, add_peaked_again, centre
from softargmax._rows.few import ArrayLaw
from softargmax._rows.memory import once
from softargmax._rows.rows import Rows
from softargmax._rows.sums import row_sums


class Small(ArrayLaw):
    """A batch whose d and weights stay in the cache, and are kept."""

    def __init__(self, rows: Rows, batch: Shape) -> None:
        self.rows, self.batch, self.width = rows, batch, rows.z.shape[-1]

    @once
    @ignore_fp_errors
    def _terms(self) -> tuple[Any, Any, Any, Any]:
        """d and exp(d), (rows, K); Σ exp(d), and s, the sum without the likeliest, (rows, 1)."""
        d = np.empty(self.rows.z.shape, self.rows.z.dtype)
        centre(self.rows, d)
        weights = np.exp(d)
        total = row_sums(weights)[:, None]
        s = total - np.float64(1)
        if not self.rows.even:
            add_peaked_again(d, s)
        return d, weights, total.astype(d.dtype), s

    def make_d(self) -> Any:
        return self._terms[0].reshape(self.shape).copy()

    @ignore_fp_errors
    def make_log_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        d, _, _, s = self._terms
        return (d - np.log1p(s).astype(d.dtype)).reshape(self.shape)

    @ignore_fp_errors
    def make_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        _, weights, total, _ = self._terms
        return (weights / total).reshape(self.shape)

    @ignore_fp_errors
    def make_entropy(self) -> Any:
        d, weights, _, s = self._terms
        terms = np.maximum(d, FLOOR)
        terms *= weights
        mean = terms.sum(axis=-1, keepdims=True) / (1 + s)
        return (np.log1p(s) - mean).astype(d.dtype).reshape(self.batch)
