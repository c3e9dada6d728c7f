"""A small batch, every array at once: all that it costs is the calls."""

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape, ignore_fp_errors
from softargmax._rows.centre import FLOOR, add_peaked_again, centre
from softargmax._rows.law import Law
from softargmax._rows.rows import Rows
from softargmax._rows.sums import row_sums


class Small(Law):
    """A batch whose d and weights stay in the cache, and are kept."""

    @ignore_fp_errors
    def __init__(self, rows: Rows, batch: Shape) -> None:
        self.rows, self.batch = rows, batch
        d = np.empty(rows.z.shape, rows.z.dtype)
        centre(rows, d)
        self.weights = np.exp(d)
        total = row_sums(self.weights)[:, None]
        self.s = total - np.float64(1)  # Σ exp(d) without the likeliest, (rows, 1)
        add_peaked_again(d, self.s)
        self.total = total.astype(d.dtype)
        self.values = d

    def make_d(self) -> Any:
        return self.values.reshape(self.shape).copy()

    @ignore_fp_errors
    def make_log_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return (self.values - np.log1p(self.s).astype(self.values.dtype)).reshape(self.shape)

    @ignore_fp_errors
    def make_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return (self.weights / self.total).reshape(self.shape)

    @ignore_fp_errors
    def make_entropy(self) -> Any:
        terms = np.maximum(self.values, FLOOR)
        terms *= self.weights
        mean = terms.sum(axis=-1, keepdims=True) / (1 + self.s)
        return (np.log1p(self.s) - mean).astype(self.values.dtype).reshape(self.batch)
