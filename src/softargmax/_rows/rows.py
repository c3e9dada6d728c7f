"""What rows are made of: logits, temperatures, priors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import Shape


class Temperature(NamedTuple):
    """Coldness and temperature, floats or one of each a row; ``value`` is None if β was given.

    Both are kept because β·gap and gap/T differ in their last digit: the one that was given has
    been rounded once less.
    """

    coldness: Any  # β, in float64
    value: Any  # T, in float64

    @property
    def shape(self) -> Shape:
        return tuple(getattr(self.coldness, "shape", ()))

    @property
    def infinite(self) -> Any:
        """Where β is infinite by itself, not because 1/T overflowed."""
        return abs(self.coldness) == math.inf if self.value is None else self.value == 0

    def mapped(self, function: Callable[[Any], Any]) -> Temperature:
        """With ``function`` applied to the arrays; floats stay."""
        if type(self.coldness) is float:
            return self
        return Temperature(*(x if isinstance(x, float | None) else function(x) for x in self))


ONE = Temperature(1.0, 1.0)
LIFT = 2.0**126  # what brings a subnormal temperature, or a gap as small, into the normal range


class Rows(NamedTuple):
    """Rows of logits and what belongs to each: arrays of shape (rows, K) and (rows,)."""

    z: Any
    temperature: Temperature
    prior: Any = None
    top: Any = None  # the largest logit of every row, where it is known

    def part(self, block: slice) -> Rows:
        """Some of the rows, as views."""
        return Rows(
            self.z[block],
            self.temperature.mapped(lambda x: x[block]),
            None if self.prior is None else self.prior[block],
            None if self.top is None else self.top[block],
        )

    @property
    def even(self) -> bool:
        """Whether what is possible is equally likely: all is, or the largest logits alone are."""
        if not (self.prior is None or self.prior.dtype.kind == "b"):
            return False
        coldness = self.temperature.coldness
        if type(coldness) is not float:
            return False
        return coldness == 0 or (coldness == math.inf and bool(self.temperature.infinite))


def rows_of(z: Any, temperature: Temperature, prior: Any, batch: Shape, top: Any = None) -> Rows:
    """A batch as rows, without a copy where the shapes allow it."""
    if not batch:
        prior = None if prior is None else prior.reshape(1, -1)
        return Rows(z.reshape(1, -1), temperature, prior, None if top is None else top.reshape(1))

    def spread(x: Any) -> Any:
        return x if len(batch) == 1 and x.shape == batch else np.broadcast_to(x, batch).reshape(-1)

    return Rows(
        as_rows(z, batch),
        temperature.mapped(spread),
        None if prior is None else as_rows(prior, batch),
        None if top is None else spread(top).reshape(-1),
    )


def is_direct(x: Any) -> bool:
    """Whether kernels take an array as it is."""
    flags = x.flags
    return bool(flags.c_contiguous and flags.aligned)


def as_rows(x: Any, batch: Shape) -> Any:
    """An array whose last axis is the categories, as a (rows, K) array over the batch."""
    if not batch:
        return x.reshape(1, -1)
    full = batch + x.shape[-1:]
    return (x if x.shape == full else np.broadcast_to(x, full)).reshape(-1, full[-1])


class Limits(NamedTuple):
    """Bounds of a dtype, as Python floats."""

    tiny: float  # the smallest normal number
    max: float
    far: float  # below a maximum beyond it a gap can overflow: a quarter ulp of ``max``

    def hold(self, coldness: Any) -> bool:
        """Whether every β > 0 is normal in the dtype."""
        if type(coldness) is float:
            return self.tiny <= coldness <= self.max
        return bool(((coldness >= self.tiny) & (coldness <= self.max)).all())

    @classmethod
    def of(cls, dtype: type) -> Limits:
        known = np.finfo(dtype)
        return cls(*(float(x) for x in (known.tiny, known.max, known.max * known.eps / 4)))


LIMITS = {"f": Limits.of(np.float32), "d": Limits.of(np.float64)}
