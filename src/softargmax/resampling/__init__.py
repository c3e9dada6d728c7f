"""Resampling for sequential Monte Carlo: parents of particles, effective size, the next coldness.

The particles are the categories, and a ``Categorical`` of log-weights says how much each weighs.
"""

from softargmax.resampling._coldness import next_coldness
from softargmax.resampling._resample import effective_sample_size, resample

__all__ = ["effective_sample_size", "next_coldness", "resample"]


def __dir__() -> list[str]:
    return __all__
