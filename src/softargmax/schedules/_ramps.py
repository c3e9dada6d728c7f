"""Temperature schedules: immutable objects that are pure functions of the step.

Each is a frozen dataclass that can be compared, hashed, pickled and printed, and that is called
with a step or an array of steps. It holds no counter, so a run resumed from a checkpoint continues
where it stopped. Schedules serve wherever a function ``count -> value`` is expected, as in optax,
and for rates other than temperatures: the ε of ε-greedy, a learning rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from softargmax._arrays.keywords import Explained
from softargmax._arrays.namespaces import Array, Namespace
from softargmax.schedules._schedule import Schedule


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The same value at every step.

    Parameters
    ----------
    value : float
        In [0, inf]. As a temperature, 0 is arg max and inf the uniform distribution.

    Examples
    --------
    >>> from softargmax.schedules import Constant
    >>> float(Constant(0.5)(1000))
    0.5
    """

    value: float

    def __post_init__(self) -> None:
        self._check(value="[0, inf]")

    def _at(self, t: Array, xp: Namespace) -> Array:
        return xp.full_like(t, self.value)


class _AnswersToEnd(Explained):
    """Lets ``end=`` stand for ``stop=`` where an object is made; checkers see overloads instead."""

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **given: Any) -> Any:  # noqa: N805
            if "end" in given:
                if "stop" in given:
                    raise TypeError("pass stop or end, not both")
                given["stop"] = given.pop("end")
            return super().__call__(*args, **given)


@dataclass(frozen=True, repr=False)
class _Ramp(Schedule, metaclass=_AnswersToEnd):
    """A ramp from ``start`` to ``stop`` over ``steps`` steps, exact at both ends."""

    start: float
    stop: float
    steps: float

    if TYPE_CHECKING:

        @overload
        def __init__(self, start: float, stop: float, steps: float) -> None: ...
        @overload
        def __init__(self, start: float, *, end: float, steps: float) -> None: ...
        def __init__(self, *args: Any, **given: Any) -> None: ...

    def __post_init__(self) -> None:
        self._check(start="[0, inf)", stop="[0, inf)", steps="(0, inf)")

    @property
    def end(self) -> float:
        """Another word for ``stop``, which the constructor takes too."""
        return self.stop

    def _done(self, t: Array, xp: Namespace) -> Array:
        """The completed fraction t / steps of the ramp, 1 past its end."""
        return xp.where(t < self.steps, t / self.steps, xp.ones_like(t))

    def _between(self, left: Array, xp: Namespace) -> Array:
        """stop + (start - stop)·left for left in [0, 1], clipped against rounding errors."""
        value = self.stop + (self.start - self.stop) * left
        value = xp.where(left == 1, self.start, value)
        return xp.clip(value, min(self.start, self.stop), max(self.start, self.stop))


@dataclass(frozen=True, repr=False, init=False)
class Linear(_Ramp):
    r"""A linear ramp: :math:`T = stop + (start - stop)(1 - t / steps)`.

    Parameters
    ----------
    start, stop : float
        In [0, inf); ``end=`` is another word for ``stop=``.
    steps : float
        In (0, inf).

    Examples
    --------
    >>> from softargmax.schedules import Linear
    >>> Linear(2.0, 1.0, steps=4)([0, 1, 2, 3, 4, 5])
    array([2.  , 1.75, 1.5 , 1.25, 1.  , 1.  ])
    """

    def _at(self, t: Array, xp: Namespace) -> Array:
        return self._between(1 - self._done(t, xp), xp)


@dataclass(frozen=True, repr=False)
class Polynomial(_Ramp):
    r"""A polynomial ramp: :math:`T = stop + (start - stop)(1 - t / steps)^{power}`.

    Parameters
    ----------
    start, stop : float
        In [0, inf); ``end=`` is another word for ``stop=``.
    steps, power : float
        In (0, inf).

    Examples
    --------
    >>> from softargmax.schedules import Polynomial
    >>> Polynomial(1.0, 0.0, steps=4, power=2)([0, 1, 2, 3, 4])
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    ])
    """

    power: float

    if TYPE_CHECKING:

        @overload
        def __init__(self, start: float, stop: float, steps: float, power: float) -> None: ...
        @overload
        def __init__(self, start: float, *, end: float, steps: float, power: float) -> None: ...
        def __init__(self, *args: Any, **given: Any) -> None: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(power="(0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        return self._between((1 - self._done(t, xp)) ** self.power, xp)


@dataclass(frozen=True, repr=False, init=False)
class Cosine(_Ramp):
    r"""Half a cosine wave: :math:`T = stop + (start - stop)(1 + \cos(\pi t / steps)) / 2`.

    Parameters
    ----------
    start, stop : float
        In [0, inf); ``end=`` is another word for ``stop=``.
    steps : float
        In (0, inf).

    References
    ----------
    Loshchilov & Hutter (2017), https://arxiv.org/abs/1608.03983.

    Examples
    --------
    >>> from softargmax.schedules import Cosine
    >>> Cosine(1.0, 0.0, steps=3)([0, 1, 2, 3]).round(12)
    array([1.  , 0.75, 0.25, 0.  ])
    """

    def _at(self, t: Array, xp: Namespace) -> Array:
        # (1 + cos πx) / 2 as a square, which does not cancel as it approaches 0.
        half = xp.sin((1 - self._done(t, xp)) * (math.pi / 2))
        return self._between(half * half, xp)


@dataclass(frozen=True, repr=False, init=False)
class Geometric(_Ramp):
    r"""A constant factor per step: :math:`T = start\,(stop / start)^{t / steps}`.

    The classical cooling schedule of simulated annealing; optax calls it exponential decay.

    Parameters
    ----------
    start, stop, steps : float
        In (0, inf); ``end=`` is another word for ``stop=``.

    References
    ----------
    Kirkpatrick, Gelatt & Vecchi (1983), https://doi.org/10.1126/science.220.4598.671.

    Examples
    --------
    >>> from softargmax.schedules import Geometric
    >>> Geometric(1.0, 0.01, steps=2)([0, 1, 2, 3])
    array([1.  , 0.1 , 0.01, 0.01])
    """

    def __post_init__(self) -> None:
        self._check(start="(0, inf)", stop="(0, inf)", steps="(0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        done = self._done(t, xp)
        value = self.start ** (1 - done) * self.stop**done  # stop / start might underflow
        return xp.clip(value, min(self.start, self.stop), max(self.start, self.stop))


@dataclass(frozen=True, repr=False)
class Exponential(Schedule):
    r"""A constant factor per step, without an end: :math:`T = start\,decay^{t / steps}`.

    :meth:`Schedule.clip` gives it the floor that exponential decays of other libraries end at
    (``end_value``, ``eps_min``); :class:`Geometric` is the one that ends at a step.

    Parameters
    ----------
    start, decay : float
        In (0, inf).
    steps : float
        In (0, inf), 1 by default: in how many steps the value is multiplied by ``decay``.

    Examples
    --------
    >>> from softargmax.schedules import Exponential
    >>> Exponential(1.0, 0.1, steps=100)([0, 50, 100, 200]).round(6)
    array([1.      , 0.316228, 0.1     , 0.01    ])
    >>> Exponential(1.0, 0.995).clip(0.05)([0, 100, 1000]).round(4)
    array([1.    , 0.6058, 0.05  ])
    """

    start: float
    decay: float
    steps: float = 1.0

    def __post_init__(self) -> None:
        self._check(start="(0, inf)", decay="(0, inf)", steps="(0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        power = t / self.steps
        half = self.decay ** (power / 2)  # whose square might overflow where start is small
        return xp.where(power == 0, self.start, self.start * half * half)


@dataclass(frozen=True, repr=False, init=False)
class LinearColdness(_Ramp):
    r"""A linear ramp of the coldness: :math:`1/T = (1 - t/steps) / start + (t/steps) / stop`.

    Parameters
    ----------
    start, stop : float
        Temperatures in (0, inf]; start = inf begins with the uniform distribution, β = 0. ``end=``
        is another word for ``stop=``.
    steps : float
        In (0, inf).

    Raises
    ------
    ValueError
        For a start or stop of 0, where the coldness is infinite.

    Examples
    --------
    >>> from softargmax.schedules import LinearColdness
    >>> LinearColdness(float("inf"), 0.5, steps=4)([0, 1, 2, 4])
    array([inf, 2. , 1. , 0.5])
    """

    def __post_init__(self) -> None:
        self._check(start="(0, inf]", stop="(0, inf]", steps="(0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        done = self._done(t, xp)
        cold, warm = min(self.start, self.stop), max(self.start, self.stop)
        ratio = 1.0 if cold == warm else cold / warm
        part = (done, 1 - done) if cold == self.stop else (1 - done, done)
        value = cold / (part[0] + part[1] * ratio)  # scaled by the colder end: nothing overflows
        value = xp.clip(value, cold, warm)
        return xp.where(done == 0, self.start, xp.where(done == 1, self.stop, value))


@dataclass(frozen=True, repr=False)
class Logarithmic(Schedule):
    r"""Logarithmic cooling: :math:`T = scale / \log(1 + t)`, inf at step 0.

    If scale is at least the depth of the deepest local minimum that is not global, the probability
    that simulated annealing is in a global minimum tends to 1.

    Parameters
    ----------
    scale : float
        In (0, inf), in the units of the energies.

    References
    ----------
    Hajek (1988), https://doi.org/10.1287/moor.13.2.311.

    Examples
    --------
    >>> from softargmax.schedules import Logarithmic
    >>> Logarithmic(1.0)([0, 1, 10, 1000]).round(4)
    array([   inf, 1.4427, 0.417 , 0.1447])
    """

    scale: float

    def __post_init__(self) -> None:
        self._check(scale="(0, inf)")

    def _at(self, t: Array, xp: Namespace) -> Array:
        return self.scale / xp.log1p(t)


@dataclass(frozen=True, repr=False)
class GeneralizedAnnealing(Schedule):
    r"""Generalized annealing: :math:`T = start\,(2^{q-1} - 1) / ((2 + t)^{q-1} - 1)`.

    This is the cooling schedule of Tsallis and Stariolo. Its limit at q = 1,
    :math:`start \log 2 / \log(2 + t)`, is classical annealing; q = 2 is fast (Cauchy) annealing,
    start / (1 + t).

    Parameters
    ----------
    start : float
        In (0, inf), the value at step 0.
    q : float
        In [1, 3].

    Notes
    -----
    Steps count from 0, as in SciPy's ``dual_annealing``, whose default q (``visit``) is 2.62.

    References
    ----------
    Tsallis & Stariolo (1996), https://doi.org/10.1016/S0378-4371(96)00271-3.

    Examples
    --------
    >>> from softargmax.schedules import GeneralizedAnnealing
    >>> GeneralizedAnnealing(5230.0, q=2)([0, 1, 9])
    array([5230., 2615.,  523.])
    """

    start: float
    q: float

    def __post_init__(self) -> None:
        self._check(start="(0, inf)", q="[1, 3]")

    def _at(self, t: Array, xp: Namespace) -> Array:
        power, log = self.q - 1, xp.log(2 + t)
        if power == 0:
            ratio = math.log(2) / log
        else:  # expm1, since (2 + t)^power - 1 cancels for q near 1
            ratio = math.expm1(power * math.log(2)) / xp.expm1(power * log)
        return xp.where(t == 0, self.start, self.start * ratio)
