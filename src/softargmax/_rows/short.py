"""One short row in Python floats: an array call costs more than the arithmetic on the row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape
from softargmax._rows.inversion import invert
from softargmax._rows.law import Law
from softargmax._rows.rows import LIMITS, Temperature

SHORT = 150  # categories up to which Python floats are faster than array calls


_TINY = {char: limits.tiny for char, limits in LIMITS.items()}


class Short(Law):
    """d = β·gap with its largest 0, and what follows from it, in float64 whatever the dtype."""

    batch: Shape = ()

    def __init__(self, z: Any, values: list[float], weights: list[float], others: float) -> None:
        self.z = z
        self.values = values  # d
        self.weights = weights  # exp(d)
        self.total = 1.0 + others
        self.log_total = math.log1p(others)  # of the weights but the likeliest: log1p(s)

    @classmethod
    def of(cls, z: Any, temperature: Temperature, prior: Any) -> Short | None:
        """The law of one row (K,), or None where the array functions have to see to it."""
        coldness, value = temperature
        if type(coldness) is not float:
            return None
        at_limit = coldness == 0 or (coldness == math.inf and not value)
        if not (at_limit or 1e-30 <= coldness <= 1e30):
            return None
        logits = z.tolist()
        if prior is not None:
            if prior.dtype.kind != "b":
                return None
            # A mask leaves out what a logit of -inf does.
            logits = [
                x if stays else -math.inf for x, stays in zip(logits, prior.tolist(), strict=True)
            ]
        top = max(logits)
        if coldness == math.inf:
            d = [0.0 if x == top else -math.inf for x in logits]
        elif coldness == 0:
            d = [0.0 if x > -math.inf else -math.inf for x in logits]
        elif coldness == 1:
            d = [x - top for x in logits]
        elif value is None:
            d = [coldness * (x - top) for x in logits]
        else:  # dividing saves a rounding
            d = [(x - top) / value for x in logits]
        if not at_limit and min(d) < -1e30 and logits.count(-math.inf) != sum(x < -1e30 for x in d):
            return None  # a gap has overflowed, or would in float32
        weights = list(map(math.exp, d))
        likeliest = d.index(0.0)
        weights[likeliest] = 0.0
        others = sum(weights)
        weights[likeliest] = 1.0
        return cls(z, d, weights, others)

    @property
    def width(self) -> int:  # type: ignore[override]
        return len(self.values)

    def make_d(self) -> Any:
        return np.array(self.values, self.z.dtype)

    def log_prob(self, category: int) -> Any:
        return self.z.dtype.type(self.values[category] - self.log_total)

    def make_log_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return np.array([x - self.log_total for x in self.values], self.z.dtype)

    def make_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return np.array([weight / self.total for weight in self.weights], self.z.dtype)

    def make_entropy(self) -> Any:
        weights: Sequence[float] = self.weights
        d: Sequence[float] = self.values
        if 0.0 in weights:  # a d of -inf among others
            weights, d = zip(*((w, x) for w, x in zip(weights, d, strict=True) if w), strict=True)
        mean = sum(map(mul, weights, d))
        return self.z.dtype.type(self.log_total - mean / self.total)

    def draw_few(self, u: Any, workers: int = 1) -> Any:  # noqa: ARG002
        return invert(self.cdf, u)

    def draw(self, u: float) -> Any:
        """The category of a uniform; never one whose probability is no normal float."""
        total = self.total
        level, last, least = u * total, 0, _TINY[self.z.dtype.char] * total
        for category, weight in enumerate(self.weights):
            if weight > least:
                level -= weight
                last = category
                if level < 0:
                    break
        return np.int64(last)
