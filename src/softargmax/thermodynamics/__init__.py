"""Thermodynamics: logits as energies, the partition function and quantities derived from it.

Energies are E = -logits, the prior π₀ holds the degeneracies g, and k_B = 1. Every function of a
distribution is batched over it, so that a ladder of temperatures is one call, and is exact at
T = 0, at T = inf and at negative coldness (population inversion). :func:`reweight` estimates the
same quantities from sampled energies.
"""

from __future__ import annotations

from softargmax.thermodynamics._levels import (
    entropy,
    free_energy,
    heat_capacity,
    internal_energy,
    log_partition,
)
from softargmax.thermodynamics._reweighting import ReweightingResult, reweight

__all__ = [
    "ReweightingResult",
    "entropy",
    "free_energy",
    "heat_capacity",
    "internal_energy",
    "log_partition",
    "reweight",
]


def __dir__() -> list[str]:
    return __all__
