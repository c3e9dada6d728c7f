"""Plots of distributions, temperatures and schedules, with Matplotlib (extra ``plot``).

Every function draws on the given Axes, or on those of a new figure, and returns them:
``plot_schedule(…).figure.savefig("schedule.png")``. No pyplot state is read or changed.
The colours are the colour-blind-safe palette of Okabe and Ito.
"""

from __future__ import annotations

from softargmax.plotting._curves import plot_schedule, plot_temperature_sweep, plot_thermodynamics
from softargmax.plotting._explore import Explorer, explore
from softargmax.plotting._pictures import plot_probabilities, plot_simplex, plot_truncation

__all__ = [
    "Explorer",
    "explore",
    "plot_probabilities",
    "plot_schedule",
    "plot_simplex",
    "plot_temperature_sweep",
    "plot_thermodynamics",
    "plot_truncation",
]


def __dir__() -> list[str]:
    return __all__
