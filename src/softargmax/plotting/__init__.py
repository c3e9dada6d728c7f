"""Pictures of distributions, temperatures and schedules, with Matplotlib (extra ``plot``).

Every function draws on the Axes that it is given, or on those of a new figure, and returns them:
``plot_schedule(…).figure.savefig("schedule.png")``. No pyplot state is read or left behind.
Colours are Okabe and Ito's, which colour-blind people can tell apart.
"""

from softargmax.plotting._curves import plot_schedule, plot_temperature_sweep, plot_thermodynamics
from softargmax.plotting._pictures import plot_probabilities, plot_simplex, plot_truncation

__all__ = [
    "plot_probabilities",
    "plot_schedule",
    "plot_simplex",
    "plot_temperature_sweep",
    "plot_thermodynamics",
    "plot_truncation",
]


def __dir__() -> list[str]:
    return __all__
