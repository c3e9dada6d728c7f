"""Gumbel noise: Gumbel-max, noise conditioned on the winner, coupling, Gumbel-top-k, races."""

from __future__ import annotations

from softargmax.gumbel._coupling import maximal_coupling, residual
from softargmax.gumbel._noise import conditional_gumbels, gumbel_max, gumbel_noise
from softargmax.gumbel._race import Race, exponential_race
from softargmax.gumbel._reservoir import Reservoir
from softargmax.gumbel._top_k import GumbelTopK, gumbel_top_k, log_inclusion

__all__ = [
    "GumbelTopK",
    "Race",
    "Reservoir",
    "conditional_gumbels",
    "exponential_race",
    "gumbel_max",
    "gumbel_noise",
    "gumbel_top_k",
    "log_inclusion",
    "maximal_coupling",
    "residual",
]


def __dir__() -> list[str]:
    return __all__
