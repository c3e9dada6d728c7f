"""Temperature schedules: immutable objects that are pure functions of the step.

Each is a frozen dataclass that can be compared, hashed, pickled and printed, and that is called
with a step or an array of steps. It holds no counter, so a run resumed from a checkpoint continues
where it stopped. Schedules serve wherever a function ``count -> value`` is expected, as in optax,
and for rates other than temperatures: the ε of ε-greedy, a learning rate.
"""

from __future__ import annotations

from softargmax.schedules._ramps import (
    Constant,
    Cosine,
    Exponential,
    GeneralizedAnnealing,
    Geometric,
    Linear,
    LinearColdness,
    Logarithmic,
    Polynomial,
)
from softargmax.schedules._schedule import ByRemaining, Clipped, Cycle, Joined, Schedule

__all__ = [
    "ByRemaining",
    "Clipped",
    "Constant",
    "Cosine",
    "Cycle",
    "Exponential",
    "GeneralizedAnnealing",
    "Geometric",
    "Joined",
    "Linear",
    "LinearColdness",
    "Logarithmic",
    "Polynomial",
    "Schedule",
]


def __dir__() -> list[str]:
    return __all__
