"""Axes to draw on, new or given, and checks of arguments that the plots share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softargmax.categorical import Categorical, of_state, state_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colour-blind-safe palette of Okabe and Ito.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
GREY = "#999999"
SHOWN = 40  # the most bars that can be told apart


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "softargmax.plotting needs Matplotlib: pip install 'softargmax[plot]'"
        ) from None
    return Figure(figsize=size, layout="constrained")


def new_axes(size: tuple[float, float] = (6.4, 3.8)) -> "Axes":
    ax: Axes = _figure(size).subplots()
    return ax


def new_panels(ax: Any, count: int, size: tuple[float, float], rows: int = 1) -> Any:
    """``count`` Axes, given or new, in a 1-d array."""
    if ax is None:
        return np.ravel(_figure(size).subplots(rows, count // rows, squeeze=False))
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != count:
        raise ValueError(f"ax must be {count} Axes, got {len(axes)}")
    return axes


def tidy(ax: "Axes") -> "Axes":
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def name_ticks(ax: Any, place: Any, names: list[str]) -> None:
    """Label the ticks: rotated if the names are long, every fifth if many and short."""
    long = max(map(len, names), default=0) > 3 and len(names) > 6
    if len(names) > 20 and not long:
        place, names = place[::5], names[::5]
    ax.set_xticks(place, names, rotation=90 if long else 0, fontsize=8 if long else None)


def one_row(dist: Categorical, name: str = "dist") -> Categorical:
    state = state_of(dist, name)
    if dist.batch_shape != ():
        hint = "; plot one of its rows, dist[i]" if name == "dist" else ""
        raise ValueError(f"{name} must be one row, got batch_shape {dist.batch_shape}{hint}")
    return dist if state.xp is np else of_state(state.host())


def names_of(labels: Sequence[str] | None, count: int) -> list[str]:
    if labels is None:
        return [str(i) for i in range(count)]
    if isinstance(labels, str) or len(labels) != count:
        raise ValueError(f"labels must be {count} names, got {len(labels)}")
    return [str(label) for label in labels]
