"""The formula for one short row, in Python floats: an array call costs more than the row does."""

import math
from typing import NamedTuple, Self

from softargmax._inputs import SHORT_ROW, Inputs


class ShortRow(NamedTuple):
    """d = β·gap with its largest 0, and what follows from it, in float64 whatever the dtype."""

    d: list[float]
    weights: list[float]  # exp(d)
    total: float
    log_total: float  # log1p of the weights but the likeliest

    @classmethod
    def of(cls, given: Inputs) -> Self | None:
        """The row of a distribution, or None where the array kernels have to see to it."""
        coldness, temperature = given.heat
        z, prior = given.z, given.prior
        if given.batch_shape or z.size > SHORT_ROW:
            return None
        if not isinstance(coldness, float):
            return None
        at_limit = coldness == 0 or coldness == math.inf
        if not (at_limit or 1e-30 <= coldness <= 1e30):
            return None
        values = z.tolist()
        if prior is not None:
            if prior.dtype.kind != "b":
                return None
            # A mask leaves out what a logit of -inf does.
            values = [
                x if kept else -math.inf for x, kept in zip(values, prior.tolist(), strict=True)
            ]
        top = max(values)
        if coldness == math.inf:
            d = [0.0 if value == top else -math.inf for value in values]
        elif coldness == 0:
            d = [0.0 if value > -math.inf else -math.inf for value in values]
        elif temperature is None:
            d = [coldness * (value - top) for value in values]
        else:  # dividing saves a rounding
            d = [(value - top) / temperature for value in values]
        if not at_limit and min(d) < -1e30 and values.count(-math.inf) != sum(x < -1e30 for x in d):
            return None  # a gap has overflowed, or would in float32
        weights = list(map(math.exp, d))
        likeliest = d.index(0.0)
        weights[likeliest] = 0.0
        others = sum(weights)
        weights[likeliest] = 1.0
        return cls(d, weights, 1.0 + others, math.log1p(others))

    def log_prob(self, category: int) -> float:
        """log p = d - log1p(s)."""
        return self.d[category] - self.log_total

    def log_probs(self) -> list[float]:
        """log p of every category."""
        return [x - self.log_total for x in self.d]

    def probs(self) -> list[float]:
        """p = exp(d) / Σ exp(d)."""
        return [weight / self.total for weight in self.weights]

    def entropy(self) -> float:
        """H = log1p(s) - Σ p·d, in nats."""
        mean = sum([w * x for w, x in zip(self.weights, self.d, strict=True) if w])
        return self.log_total - mean / self.total

    def draw(self, u: float, smallest: float) -> int:
        """The category of a uniform; never one whose weight is below the smallest normal float."""
        level, last = u * self.total, 0
        for category, weight in enumerate(self.weights):
            if weight > smallest:
                level -= weight
                last = category
                if level < 0:
                    break
        return last
