"""Axes to draw on, new or given, and checks of arguments that the plots share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softargmax.categorical import Categorical, of_state, state_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colour-blind-safe palette of Okabe and Ito, without its yellow, which is faint on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "black")
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


def new_axes(size: tuple[float, float] = (6.4, 3.8)) -> Axes:
    ax: Axes = _figure(size).subplots()
    return ax


def new_panels(
    ax: Any, count: int, size: tuple[float, float], rows: int = 1, **options: Any
) -> Any:
    """``count`` Axes, given or new (with Matplotlib's options of subplots), in a 1-d array."""
    if ax is None:
        columns = -(-count // rows)
        panels = np.ravel(_figure(size).subplots(rows, columns, squeeze=False, **options))
        for unused in panels[count:]:
            unused.remove()
        return panels[:count]
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != count:
        raise ValueError(f"ax must be {count} Axes, got {len(axes)}")
    return axes


def tidy(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def name_ticks(ax: Any, names: list[str], in_order: bool) -> None:
    """Label the ticks: rotated if long, every fifth if many, short and in their own order."""
    place = np.arange(len(names))
    upright = turned(names) or (len(names) > 20 and not in_order)
    if len(names) > 20 and not upright:
        place, names = place[::5], names[::5]
    ax.set_xticks(place, names, rotation=90 if upright else 0, fontsize=8 if upright else None)


def turned(names: list[str]) -> bool:
    return max(map(len, names), default=0) > 3 and len(names) > 6


def on_host(dist: Categorical, name: str = "dist") -> Categorical:
    state = state_of(dist, name)
    return dist if state.xp is np else of_state(state.host())


def one_row(dist: Categorical, name: str = "dist") -> Categorical:
    dist = on_host(dist, name)
    if dist.batch_shape != ():
        hint = "; plot one of its rows, dist[i]" if name == "dist" else ""
        raise ValueError(f"{name} must be one row, got batch_shape {dist.batch_shape}{hint}")
    return dist


def names_of(
    labels: Sequence[str] | None, count: int, own: Sequence[str] | None = None
) -> list[str]:
    """Names of the categories: given, else the distribution's own, else numbers."""
    labels = own if labels is None else labels
    if labels is None:
        return [str(i) for i in range(count)]
    if isinstance(labels, str) or len(labels) != count:
        raise ValueError(f"labels must be {count} names, got {len(labels)}")
    return [str(label) for label in labels]
