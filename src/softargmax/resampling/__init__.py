"""Resampling for sequential Monte Carlo: parents, effective sample size, adaptive tempering.

A weighted population is a ``Categorical``: its categories are the particles, its logits their
log-weights.
"""

from __future__ import annotations

from softargmax.resampling._coldness import next_coldness
from softargmax.resampling._resample import effective_sample_size, resample

__all__ = ["effective_sample_size", "next_coldness", "resample"]


def __dir__() -> list[str]:
    return __all__
