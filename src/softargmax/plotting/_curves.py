"""Plots of quantities against the temperature, and of temperatures against the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from softargmax import thermodynamics
from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, to_numpy
from softargmax.categorical import Categorical, state_of
from softargmax.plotting._axes import COLOURS, GREY, names_of, new_axes, new_panels, one_row, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@explained
@ignore_fp_errors
def plot_temperature_sweep(
    logits: ArrayLike,
    temperatures: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    r"""The probabilities of every category against the temperature, and below them the entropy.

    Parameters
    ----------
    logits : array, shape (K,)
        The seven likeliest categories have colours of their own.
    temperatures : array, shape (m,), optional
        Two or more, positive and finite; when None, from 1/100 to 100 times the spread of the
        logits. The limits T = 0 and T = inf are marked at the left and right.
    coldness : array, shape (m,), optional
        Two or more coldnesses instead, finite and of either sign, on a linear axis; the limits
        β = -inf and β = inf are marked.
    mask, prior
        As for :class:`Categorical`.
    labels : sequence of str, optional
        Names of the K categories.
    ax : a sequence of two matplotlib.axes.Axes, optional

    Returns
    -------
    array of two matplotlib.axes.Axes
        The probabilities, and the entropy in nats.

    Raises
    ------
    ValueError, TypeError
        For logits that are not a single row, invalid temperatures or coldnesses, or both.
    ImportError
        Without Matplotlib.

    References
    ----------
    The limits: Gao & Pavel (2017), https://arxiv.org/abs/1704.00805.

    Examples
    --------
    >>> from softargmax.plotting import plot_temperature_sweep
    >>> upper, lower = plot_temperature_sweep([1.0, 2.0, 4.0, 4.0])
    >>> upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel(), lower.get_xscale()
    ('probability', 'entropy in nats', 'temperature', 'log')
    """
    base = one_row(Categorical(logits, mask=mask, prior=prior), "logits")
    names = names_of(labels, base.num_categories)
    sweep = _swept(base, temperatures, coldness, 100, 300)
    t, ladder, ends = sweep.places, sweep.ladder, sweep.ends
    if t.size < 2:
        raise ValueError(f"{sweep.name} must be two or more, got {t.size}")
    options = {"sharex": True, "height_ratios": (2.2, 1)}
    upper, lower = axes = new_panels(ax, 2, (7, 5), rows=2, **options)
    order = np.argsort(np.where(state_of(base).support, -base.logits, math.inf), kind="stable")
    left, right = sweep.beyond(0.06)
    for rank, i in enumerate(order):
        colour = COLOURS[rank] if rank < len(COLOURS) else GREY
        own = names[i] if rank < len(COLOURS) else None
        wide = 2 if own else 0.7
        style = "--" if rank % 2 and own else "-"  # so that tied curves are visible
        p = ladder.probs[:, i]
        upper.plot(t, p, style, color=colour, lw=wide, label=own, zorder=2 + wide / 2)
        limits = ends.probs[:, i]
        upper.plot([left, right], limits, "o", color=colour, ms=5, clip_on=False, zorder=4)
    upper.set(ylabel="probability", ylim=(-0.02, 1.02))
    most = float(max(ends.entropy().max(), ladder.entropy().max())) or 1.0
    lower.plot(t, ladder.entropy(), color="black", lw=2)
    lower.plot([left, right], ends.entropy(), "o", color="black", ms=5, clip_on=False, zorder=4)
    lower.set(ylabel="entropy in nats", ylim=(-0.04 * most, 1.04 * most))
    for one in axes:
        sweep.scale_axis(one)
        one.set_xlim(left, right)
        tidy(one)
    upper.set_xlabel("")  # the lower panel has the same axis
    for x, text, side in zip((left, right), sweep.limits, ("left", "right"), strict=True):
        upper.annotate(text, (x, 1.02), (0, 4), textcoords="offset points", ha=side, va="bottom")
    upper.legend(
        frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.06),
        ncols=len(COLOURS), handlelength=1.4, columnspacing=1.2,
    )  # fmt: skip
    return axes


@explained
def plot_schedule(
    *schedules: Callable[[Any], Any],
    steps: int,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The temperatures of schedules against the step.

    Parameters
    ----------
    *schedules : Schedule
        One or more schedules, or functions from an array of steps to temperatures.
    steps : int
        The last step shown; the first is 0.
    labels : sequence of str, optional
        Names of the schedules; their ``repr`` when None.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError, TypeError
        For no schedules, anything that is not callable, or invalid steps.
    ImportError
        Without Matplotlib.

    Examples
    --------
    >>> from softargmax.plotting import plot_schedule
    >>> from softargmax.schedules import Cosine, Linear
    >>> ax = plot_schedule(Linear(1.0, 0.1, steps=80), Cosine(1.0, 0.1, steps=80), steps=100)
    >>> len(ax.lines)
    2
    """
    steps = checks.count(steps, "steps", 1, 2**53)
    if not schedules:
        raise ValueError("schedules must be one or more, got none")
    for schedule in schedules:
        if not callable(schedule):
            raise TypeError(f"schedules must be callable, got {schedule!r}")
    names = names_of([repr(s) for s in schedules] if labels is None else labels, len(schedules))
    ax = ax or new_axes((7, 3.6))
    t = np.unique(np.linspace(0, steps, min(steps, 2000) + 1).round())
    for i, (schedule, name) in enumerate(zip(schedules, names, strict=True)):
        style = ("-", "--", ":", "-.")[i // len(COLOURS) % 4]
        values = np.broadcast_to(to_numpy(schedule(t)), t.shape)
        ax.plot(t, values, style, color=COLOURS[i % len(COLOURS)], lw=2, label=name)
    ax.set(xlabel="step", ylabel="temperature")
    ax.legend(frameon=False, fontsize=9)
    return tidy(ax)


@explained
def plot_thermodynamics(
    energies: ArrayLike,
    temperatures: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    degeneracies: ArrayLike | None = None,
    ax: Any = None,
) -> Any:
    r"""log Z, internal energy, entropy and heat capacity against the temperature, in four panels.

    Parameters
    ----------
    energies : array, shape (K,)
        Energies of the levels, in units of the temperature (k_B = 1).
    temperatures : array, shape (m,), optional
        Positive and finite; when None, from 1/100 to 10 times the spread of the energies.
    coldness : array, shape (m,), optional
        Coldnesses instead, finite and of either sign (population inversion), on a linear axis.
    degeneracies : array, shape (K,), optional
    ax : a sequence of four matplotlib.axes.Axes, optional

    Returns
    -------
    array of four matplotlib.axes.Axes
        Dashed lines are the limits at both ends, T = 0 and T = inf (β = -inf and β = inf), where
        they are finite.

    Raises
    ------
    ValueError, TypeError
        For energies that are not a single row, invalid temperatures or coldnesses, or both.
    ImportError
        Without Matplotlib.

    References
    ----------
    Landau & Lifshitz, *Statistical Physics* (1980), §31.

    Examples
    --------
    >>> from softargmax.plotting import plot_thermodynamics
    >>> axes = plot_thermodynamics([0.0, 1.0], degeneracies=[1, 3])
    >>> [ax.get_ylabel() for ax in axes]
    ['log Z', 'internal energy U', 'entropy S in nats', 'heat capacity C']
    """
    base = one_row(Categorical.from_energies(energies, degeneracies=degeneracies), "energies")
    sweep = _swept(base, temperatures, coldness, 10, 400)
    t, ladder, ends = sweep.places, sweep.ladder, sweep.ends
    axes = new_panels(ax, 4, (9, 5.6), rows=2)
    panels = (
        ("log Z", thermodynamics.log_partition),
        ("internal energy U", thermodynamics.internal_energy),
        ("entropy S in nats", thermodynamics.entropy),
        ("heat capacity C", thermodynamics.heat_capacity),
    )
    for one, (name, function), colour in zip(axes, panels, COLOURS, strict=False):
        one.plot(t, function(ladder), color=colour, lw=2)
        for limit in np.unique(function(ends)):
            if np.isfinite(limit):
                one.axhline(limit, color=GREY, ls="--", lw=1, zorder=0)
        one.set_ylabel(name)
        sweep.scale_axis(one)
        tidy(one)
    return axes


_TINY, _HUGE = math.log(1e-306), math.log(1e307)  # where a logarithmic axis may end


class _Sweep(NamedTuple):
    """A distribution along an axis of temperatures or of coldness, and its limits at both ends."""

    name: str
    label: str
    scale: str
    limits: tuple[str, str]
    places: Any
    ladder: Categorical
    ends: Categorical

    def scale_axis(self, ax: Axes) -> None:
        """Set the scale, the label and, where Matplotlib's own would overflow, the ticks."""
        ax.set(xscale=self.scale, xlabel=self.label)
        if self.scale == "log" and self.places[-1] > 1e300:
            decades = np.arange(-307, 309)
            inside = (decades >= np.log10(self.places[0])) & (decades <= np.log10(self.places[-1]))
            shown = decades[inside]
            ax.set_xticks(10.0 ** shown[:: -(-len(shown) // 8) or 1])
            ax.set_xticks([], minor=True)

    def beyond(self, part: float) -> tuple[float, float]:
        """Places left and right of all others, by a part of the axis, for the limits."""
        if self.scale == "linear":
            gap = part * self.places[-1] - part * self.places[0]
            return float(self.places[0] - gap), float(self.places[-1] + gap)
        low, high = np.log(self.places[[0, -1]])
        gap = part * (high - low)
        return math.exp(max(low - gap, _TINY - 2)), math.exp(min(high + gap, _HUGE + 2))


@ignore_fp_errors
def _swept(
    base: Categorical,
    temperatures: ArrayLike | None,
    coldness: ArrayLike | None,
    hottest: float,
    count: int,
) -> _Sweep:
    """The temperatures or coldnesses given, sorted, or a grid of temperatures.

    The grid reaches from 1/100 to ``hottest`` times the spread of the logits.
    """
    z, support = base.logits, state_of(base).support
    if coldness is not None:
        if temperatures is not None:
            raise TypeError("pass temperatures or coldness, not both")
        b = np.sort(checks.numbers_in(coldness, "coldness", "(-inf, inf)", np, z).ravel())
        ends = base.tempered(coldness=[-math.inf, math.inf])
        limits = ("β = -∞", "β = ∞")
        return _Sweep("coldness", "coldness", "linear", limits, b, base.tempered(coldness=b), ends)
    if temperatures is not None:
        t = np.sort(checks.numbers_in(temperatures, "temperatures", "(0, inf)", np, z).ravel())
    else:
        finite = z[support].astype(np.float64)
        half = float(finite.max() / 2 - finite.min() / 2) or 0.5  # the whole may overflow
        low, high = (math.log(half) + math.log(2 * x) for x in (0.01, hottest))
        low = min(max(low, _TINY), _HUGE - 5)
        t = np.exp(np.linspace(low, min(max(high, low + 5), _HUGE), count))
    ends = base.tempered([0.0, math.inf])
    limits = ("T = 0", "T = ∞")
    return _Sweep("temperatures", "temperature", "log", limits, t, base.tempered(t), ends)
