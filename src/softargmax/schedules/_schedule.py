"""The base class of schedules; joined, clipped, cyclic and remaining-progress schedules."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, overload

import numpy as np

from softargmax._arrays.checks import check_instance, number, numbers_in
from softargmax._arrays.keywords import Explained
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Namespace,
    ignore_fp_errors,
    namespace_of,
    unwrap,
)
from softargmax._arrays.types import A, Numpy, NumpyArrayLike, NumpyNumber

_SCALARS = (int, float, np.float64, np.int64)


def _literal(x: Any) -> str:
    return "float('inf')" if x == math.inf else repr(x)


class Printed(metaclass=Explained):
    """A mixin whose repr evaluates to an equal object, infinities included."""

    def __repr__(self) -> str:
        values = ((f.name, getattr(self, f.name)) for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{k}={_literal(v)}' for k, v in values)})"

    def _check(self, **intervals: str) -> None:
        for name, interval in intervals.items():
            object.__setattr__(self, name, number(getattr(self, name), name, interval))


class Schedule(Printed):
    """Base class of all schedules: a temperature for every step.

    A step is a real number ≥ 0, fractions included, or an array of them from any array library,
    hidden or not. Values are computed in float64 where the library has it. Past its end a schedule
    holds its last value. A negative, NaN or infinite step is a ValueError; under ``jax.jit``, where
    steps are hidden, it gives NaN.

    Examples
    --------
    >>> from softargmax.schedules import Linear
    >>> schedule = Linear(1.0, 0.1, steps=100)
    >>> float(schedule(50))
    0.55
    >>> schedule([0, 100, 1000])
    array([1. , 0.1, 0.1])
    """

    @overload
    def __call__(self, step: NumpyNumber) -> np.float64: ...
    @overload
    def __call__(self, step: NumpyArrayLike) -> Numpy: ...
    @overload
    def __call__(self, step: A) -> A: ...
    @ignore_fp_errors
    def __call__(self, step: Any) -> Any:
        if type(step) in _SCALARS and 0 <= step <= 2**53:  # fast path: the checks cost more
            return unwrap(self._at(np.float64(step), np))
        xp = namespace_of(step)
        t = numbers_in(step, "step", "[0, inf)", xp, step)
        found = self._at(xp.where(t < 0, xp.zeros_like(t), t), xp)
        if xp is np:
            return unwrap(found)
        return xp.where(xp.isnan(t), math.nan, found)  # NaN for hidden values

    @abstractmethod
    def _at(self, t: Array, xp: Namespace) -> Array:
        """The values at steps t ≥ 0, given in the namespace's widest floating dtype."""

    def then(self, other: Schedule, at: float) -> Joined:
        """This schedule before step ``at``; from there on ``other``, starting at its own step 0.

        Parameters
        ----------
        other : Schedule
        at : float
            In [0, inf).

        Returns
        -------
        Joined

        Raises
        ------
        ValueError, TypeError
            For an ``at`` out of range, or an ``other`` that is not a Schedule.

        Examples
        --------
        >>> from softargmax.schedules import Constant, Linear
        >>> Constant(1.0).then(Linear(1.0, 0.0, steps=10), at=100)([99, 100, 105, 110])
        array([1. , 1. , 0.5, 0. ])
        """
        check_instance(other, Schedule, "other")
        return Joined(self, other, at)

    def clip(self, low: float = 0.0, high: float = math.inf) -> Clipped:
        """This schedule held between a floor and a ceiling.

        Parameters
        ----------
        low, high : float
            In [0, inf], low ≤ high.

        Returns
        -------
        Clipped

        Raises
        ------
        ValueError, TypeError
            For bounds out of range or in the wrong order.

        Examples
        --------
        >>> from softargmax.schedules import Exponential
        >>> Exponential(1.0, 0.5).clip(0.2)([0, 1, 2, 3, 100])
        array([1.  , 0.5 , 0.25, 0.2 , 0.2 ])
        """
        return Clipped(self, low, high)

    def by_remaining(self, total_steps: float) -> ByRemaining:
        """This schedule as a function of the remaining progress, 1 at the start and 0 at the end.

        Parameters
        ----------
        total_steps : float
            In (0, inf): the step at which no progress remains.

        Returns
        -------
        ByRemaining

        Raises
        ------
        ValueError, TypeError
            For an invalid total_steps.

        Examples
        --------
        >>> from softargmax.schedules import Linear
        >>> float(Linear(1.0, 0.0, steps=100).by_remaining(200)(0.75))
        0.5
        """
        return ByRemaining(self, total_steps)


@dataclass(frozen=True, repr=False)
class ByRemaining(Printed):
    """A schedule as a function of the remaining progress, as Stable-Baselines3 expects it.

    Parameters
    ----------
    schedule : Schedule
    total_steps : float
        In (0, inf). At remaining progress r the step is (1 - r)·total_steps; r may be negative.

    Examples
    --------
    >>> from softargmax.schedules import ByRemaining, Geometric
    >>> ByRemaining(Geometric(1.0, 0.01, steps=1000), 1000)([1.0, 0.5, 0.0])
    array([1.  , 0.1 , 0.01])
    """

    schedule: Schedule
    total_steps: float

    def __post_init__(self) -> None:
        check_instance(self.schedule, Schedule, "schedule")
        self._check(total_steps="(0, inf)")

    def __call__(self, remaining: ArrayLike) -> Any:
        """The value at a remaining progress ≤ 1; a larger one is a ValueError."""
        xp = namespace_of(remaining)
        part = numbers_in(remaining, "remaining", "(-inf, 1]", xp, remaining)
        step = (1 - part) * self.total_steps
        whole = xp.round(step)  # the step from which the caller computed 1 - step / total_steps
        slack = 4 * float(xp.finfo(part.dtype).eps) * self.total_steps
        return self.schedule(unwrap(xp.where(xp.abs(step - whole) <= slack, whole, step)))


@dataclass(frozen=True, repr=False)
class Joined(Schedule):
    """One schedule before a step and another from it on, as :meth:`Schedule.then` returns.

    Parameters
    ----------
    first, second : Schedule
        The second is called with step - at, as in optax's ``join_schedules``.
    at : float
        In [0, inf).

    Examples
    --------
    >>> from softargmax.schedules import Constant, Joined, Linear
    >>> Joined(Linear(0.0, 1.0, steps=2), Constant(3.0), at=2)([0, 1, 2])
    array([0. , 0.5, 3. ])
    """

    first: Schedule
    second: Schedule
    at: float

    def __post_init__(self) -> None:
        check_instance(self.first, Schedule, "first")
        check_instance(self.second, Schedule, "second")
        self._check(at="[0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        early, zero = t < self.at, xp.zeros_like(t)
        first = self.first._at(xp.where(early, t, zero), xp)
        return xp.where(early, first, self.second._at(xp.where(early, zero, t - self.at), xp))


@dataclass(frozen=True, repr=False)
class Clipped(Schedule):
    """A schedule held between two bounds, as :meth:`Schedule.clip` returns.

    Parameters
    ----------
    schedule : Schedule
    low, high : float
        In [0, inf], low ≤ high; 0 and inf, the defaults, mean no bound.

    Examples
    --------
    >>> from softargmax.schedules import Clipped, Logarithmic
    >>> Clipped(Logarithmic(1.0), low=0.5, high=2.0)([0, 1, 5, 100]).round(4)
    array([2.    , 1.4427, 0.5581, 0.5   ])
    """

    schedule: Schedule
    low: float = 0.0
    high: float = math.inf

    def __post_init__(self) -> None:
        check_instance(self.schedule, Schedule, "schedule")
        self._check(low="[0, inf]", high="[0, inf]")
        if self.low > self.high:
            raise ValueError(f"low must be at most high={self.high}, got {self.low}")

    def _at(self, t: Array, xp: Namespace) -> Array:
        return xp.clip(self.schedule._at(t, xp), self.low, self.high)


@dataclass(frozen=True, repr=False)
class Cycle(Schedule):
    r"""A schedule repeated periodically, with warm restarts.

    .. math:: schedule(t \bmod period) \cdot decay^{\lfloor t / period \rfloor}

    Parameters
    ----------
    schedule : Schedule
    period : float
        In (0, inf).
    decay : float
        In (0, inf), 1 by default: the factor from each period to the next.

    References
    ----------
    Loshchilov & Hutter (2017), https://arxiv.org/abs/1608.03983.

    Examples
    --------
    >>> from softargmax.schedules import Cycle, Linear
    >>> Cycle(Linear(1.0, 0.0, steps=2), period=2, decay=0.5)([0, 1, 2, 3, 4, 5])
    array([1.   , 0.5  , 0.5  , 0.25 , 0.25 , 0.125])
    """

    schedule: Schedule
    period: float
    decay: float = 1.0

    def __post_init__(self) -> None:
        check_instance(self.schedule, Schedule, "schedule")
        self._check(period="(0, inf)", decay="(0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        value = self.schedule._at(t % self.period, xp)
        scaled = value * self.decay ** (t // self.period)
        # 0 and inf stay what they are even where the factor under- or overflows.
        return xp.where((value == 0) | (value == math.inf), value, scaled)
