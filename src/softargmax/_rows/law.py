"""The law of rows of logits: what every way of computing it answers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from softargmax._arrays.namespaces import Shape, read_only
from softargmax._rows.alias import AliasTable
from softargmax._rows.inversion import cumulative, last_positive
from softargmax._rows.memory import once
from softargmax._rows.rows import as_rows


class Law(ABC):
    """Probabilities of rows of logits, and what draws need of them, each computed once.

    Arrays have shape batch + (K,), numbers of a row shape batch.
    """

    batch: Shape
    width: int  # K

    @abstractmethod
    def make_d(self) -> Any:
        """β·gap + log π₀, the largest 0; -inf off the support."""

    @abstractmethod
    def make_log_probs(self, workers: int = 1) -> Any:
        """log p = d - log1p(s)."""

    @abstractmethod
    def make_probs(self, workers: int = 1) -> Any:
        """p = exp(d) / Σ exp(d), so that k ties are exactly 1/k."""

    @abstractmethod
    def make_entropy(self) -> Any:
        """H = log1p(s) - Σ p·d, in nats."""

    @abstractmethod
    def draw_few(self, u: Any, workers: int = 1) -> Any:
        """Categories for a few uniforms (n, rows) in [0, 1), int64."""

    @abstractmethod
    def draw(self, u: float) -> Any:
        """The category of one uniform, where there is one row."""

    def log_prob(self, category: int) -> Any:
        """log p of a category, where there is one row."""
        return self.log_probs[category]

    def draw_and_log_prob(self, u: float) -> tuple[Any, Any]:
        """What one uniform draws, and its log p, where there is one row."""
        drawn = self.draw(u)
        return drawn, self.log_prob(drawn)

    def log_prob_each(self, x: Any) -> Any:  # noqa: ARG002
        """log p of an array of one category a row; None where it needs a closer look."""
        return None

    def make_logits(self) -> Any:
        """The logits, where they stand nowhere else."""
        raise NotImplementedError

    def make_cdf(self) -> Any:
        """The cumulative distribution in float64, (rows, K)."""
        return cumulative(as_rows(self.probs, self.batch))

    @property
    def shape(self) -> Shape:
        return (*self.batch, self.width)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return math.prod(self.batch)

    # ------------------------------------------------------------------ made once, read-only

    @once
    def d(self) -> Any:
        return read_only(self.make_d())

    @once
    def log_probs(self) -> Any:
        return read_only(self.make_log_probs())

    @once
    def probs(self) -> Any:
        return read_only(self.make_probs())

    @once
    def entropy(self) -> Any:
        return read_only(self.make_entropy())

    @once
    def cdf(self) -> Any:
        return read_only(self.make_cdf())

    @once
    def last(self) -> Any:
        """The last category with p > 0 of every row."""
        return last_positive(as_rows(self.probs, self.batch))

    @once
    def tables(self) -> list[AliasTable]:
        """An alias table for each row."""
        return [AliasTable.build(row) for row in as_rows(self.probs, self.batch)]
