"""Temperature against step: schedules that are values, pure functions of the step.

Each is a frozen dataclass, to be compared, hashed, pickled and printed, and to be called with a
step or an array of steps. It keeps no count of its own, so that a run that resumes from a
checkpoint goes on where it stopped. They serve wherever a function ``count -> value`` is expected,
optax's places included, and for other rates than temperatures: the ε of ε-greedy, a learning rate.
"""

from softargmax.schedules._ramps import (
    Constant,
    Cosine,
    GeneralizedAnnealing,
    Geometric,
    Linear,
    LinearColdness,
    Logarithmic,
    Polynomial,
)
from softargmax.schedules._schedule import ByRemaining, Cycle, Joined, Schedule

__all__ = [
    "ByRemaining",
    "Constant",
    "Cosine",
    "Cycle",
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
