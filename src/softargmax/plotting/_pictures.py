"""Plots of probabilities, truncations and relaxed samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, to_numpy
from softargmax.categorical import Categorical
from softargmax.plotting._axes import (
    COLOURS,
    SHOWN,
    name_ticks,
    names_of,
    new_axes,
    new_panels,
    on_host,
    one_row,
    tidy,
    turned,
)
from softargmax.relaxed import RelaxedCategorical

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@explained
def plot_probabilities(
    dist: Categorical,
    draws: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    r"""Bar chart of the probabilities, with the frequencies of draws and their 95 % intervals.

    Parameters
    ----------
    dist : Categorical
        A single row, or a batch of up to 40, a panel each with one scale. Of more than 40
        categories the 40 that are likeliest (on average over the rows) are shown, in descending
        order.
    draws : array of integers, shape sample_shape + batch_shape, optional
        Draws from the distribution. The Clopper-Pearson intervals hold for each category alone:
        about one bar in 20 is expected to lie outside.
    labels : sequence of str, optional
        Names of the K categories; the distribution's own when None.
    ax : matplotlib.axes.Axes, or a sequence of one a row, optional

    Returns
    -------
    matplotlib.axes.Axes, or a 1-d array of them, one a row
        The title of a row is its index, or its temperature where temperatures differ.

    Raises
    ------
    ValueError, TypeError
        For no row or more than 40, draws that are not categories or not of the batch, or a number
        of labels other than K.
    ImportError
        Without Matplotlib.

    References
    ----------
    Clopper & Pearson (1934), https://doi.org/10.1093/biomet/26.4.404.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.plotting import plot_probabilities
    >>> dist = Categorical([0.0, 1.0, 2.0], temperature=0.5)
    >>> ax = plot_probabilities(dist, dist.sample(1000, rng=0))
    >>> ax.get_ylabel()
    'probability'
    >>> [ax.get_title() for ax in plot_probabilities(dist.tempered([0.0, 1.0, 10.0]))]
    ['T = 0', 'T = 1', 'T = 10']
    """
    dist = on_host(dist)
    batch, width = dist.batch_shape, dist.num_categories
    count = math.prod(batch)
    if not 1 <= count <= SHOWN:
        raise ValueError(f"dist must have 1 to {SHOWN} rows, got batch_shape {batch}; plot some")
    names = names_of(labels, width, dist.labels)
    p = dist.probs.reshape(count, width)
    x = None if draws is None else checks.category(draws, np, p, width, "draws")
    if x is not None:
        if x.shape[x.ndim - len(batch) :] != batch:
            raise ValueError(f"draws must end in the batch_shape {batch}, got shape {x.shape}")
        x = x.reshape(-1, count)
    few = width <= SHOWN
    shown = np.arange(width) if few else np.argsort(-p.mean(axis=0), kind="stable")[:SHOWN]
    shown_names = [names[k] for k in shown]
    if batch:
        longest = 1 if turned(shown_names) else max(map(len, shown_names))
        wide = 1.2 + len(shown) * max(0.15, 0.1 * longest)  # inches, so that names have room
        rows = -(-count // max(1, int(11 / wide)))
        columns = -(-count // rows)
        size = max(4.0, wide * columns), 0.6 + 2.1 * rows
        axes = new_panels(ax, count, size, rows, sharey=True)
    else:
        axes = [ax or new_axes()]
    for i, one in enumerate(axes):
        _bars(one, p[i, shown], None if x is None else x[:, i], shown)
        name_ticks(one, shown_names, in_order=few)
        tidy(one)
    top = max(one.get_ylim()[1] for one in axes)
    what = "category" if few else f"category, the {SHOWN} likeliest of {width:,}"
    for i, (one, title) in enumerate(zip(axes, _titles(dist), strict=True)):
        one.set(ylim=(0, top), title=title)
        grid = one.get_subplotspec() if batch and ax is None else None
        if grid is None or grid.is_first_col():
            one.set_ylabel("probability")
        if grid is None or i + columns >= count:
            one.set_xlabel(what)
    if x is not None and batch and ax is None:
        entries = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(*entries, frameon=False, ncols=2, loc="outside lower center")
    elif x is not None:
        axes[0].legend(frameon=False)
    return axes if batch else axes[0]


def _bars(ax: Axes, p: Any, draws: Any, shown: Any) -> None:
    """Probabilities of the categories shown, and what share of the draws (or None) each has."""
    place = np.arange(len(shown))
    ax.bar(place, p, color=COLOURS[0], width=0.8, label="probability")
    if draws is not None:
        n, counts = draws.size, (draws[:, None] == shown).sum(axis=0)
        low, high = _interval(counts, n)
        share = counts / max(n, 1)
        ax.errorbar(
            place,
            share,
            [share - low, high - share],
            fmt="o",
            ms=4,
            color="black",
            capsize=2,
            lw=1,
            label=f"{n:,} draws, 95 %",
        )


def _titles(dist: Categorical) -> list[str]:
    """One a row: the index, the temperature if temperatures differ, or both if some are equal."""
    if dist.batch_shape == ():
        return [""]
    index = [", ".join(map(str, place)) for place in np.ndindex(dist.batch_shape)]
    t = np.broadcast_to(dist.temperature, dist.batch_shape).ravel().tolist()
    hot = [f"T = {one:.3g}".replace("inf", "∞") for one in t]
    if len(set(hot)) == 1:
        return index
    return (
        hot if len(set(hot)) == len(hot) else [f"{i}: {h}" for i, h in zip(index, hot, strict=True)]
    )


def _interval(counts: Any, n: int) -> tuple[Any, Any]:
    """The Clopper-Pearson 95 % interval of each frequency."""
    low = special.betaincinv(np.maximum(counts, 1), n - counts + 1, 0.025)
    high = special.betaincinv(counts + 1, np.maximum(n - counts, 1), 0.975)
    return np.where(counts == 0, 0, low), np.where(counts == n, 1, high)


@explained
def plot_truncation(
    dist: Categorical,
    *stages: Callable[[Categorical], Categorical],
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What each stage drops: the likeliest categories, coloured by the stage.

    Parameters
    ----------
    dist : Categorical
        A single row; its 40 likeliest categories are shown, in descending order.
    *stages
        Stages of :mod:`softargmax.tokens`, applied one after the other.
    labels : sequence of str, optional
        Names of the K categories; the distribution's own when None.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The probabilities are those before the stages, on a logarithmic axis; the legend says how
        many categories each stage drops, and which share of the probability.

    Raises
    ------
    ValueError, TypeError
        For a batch, no stages, or a stage that does not return a Categorical of K.
    ImportError
        Without Matplotlib.

    References
    ----------
    Top-p: Holtzman et al. (2020), https://arxiv.org/abs/1904.09751.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.plotting import plot_truncation
    >>> from softargmax.tokens import MinP, TopP
    >>> ax = plot_truncation(Categorical(-0.3 * np.arange(100)), TopP(0.9), MinP(0.2))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['kept: 6, 83.5 %', 'TopP(p=0.9) drops: 92, 9.07 %', 'MinP(p=0.2) drops: 2, 7.46 %']
    """
    dist = one_row(dist)
    if not stages:
        raise ValueError("stages must be one or more, got none")
    names = names_of(labels, dist.num_categories, dist.labels)
    p = dist.probs
    fate = np.where(p > 0, 0, -1)  # the number of the stage that drops it; 0 if kept, -1 if p = 0
    now = dist
    for number, stage in enumerate(stages, 1):
        now = stage(now)
        if not isinstance(now, Categorical) or now.num_categories != dist.num_categories:
            raise TypeError(f"{stage!r} must return a Categorical of {dist.num_categories}")
        fate[(fate == 0) & ~(now.probs > 0)] = number
    ax = ax or new_axes((8, 3.8))
    shown = np.argsort(-p, kind="stable")[: min(SHOWN, int((p > 0).sum()))]
    for number in range(len(stages) + 1):
        own = fate == number
        colour = COLOURS[0] if number == 0 else COLOURS[1:][(number - 1) % (len(COLOURS) - 1)]
        count, mass = int(own.sum()), float(p[own].sum())
        what = "kept:" if number == 0 else f"{stages[number - 1]!r} drops:"
        place = np.flatnonzero(own[shown])
        # Points: a logarithmic axis has no zero for bars to stand on.
        style: dict[str, Any] = {
            "color": colour,
            "marker": "osD^v"[number % 5],
            "ms": 6,
            "ls": "none",
        }
        ax.plot(place, p[shown][place], label=f"{what} {count:,}, {100 * mass:.3g} %", **style)
    name_ticks(ax, [names[i] for i in shown], in_order=False)
    most = f"{len(shown)} likeliest of {dist.num_categories:,}"
    ax.set(
        xlabel=f"category, the {most}",
        ylabel="probability before the stages",
        yscale="log",
    )
    ax.legend(frameon=False, title="categories, share of the probability", alignment="left")
    return tidy(ax)


@explained
def plot_simplex(
    samples: ArrayLike,
    density: RelaxedCategorical | None = None,
    *,
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    r"""Relaxed samples of three categories on the triangle, one panel per temperature.

    Parameters
    ----------
    samples : array, shape (n, 3) or (n, m, 3)
        Points of the simplex, in one panel or in m, as ``sample(n)`` returns them.
    density : RelaxedCategorical, optional
        The distribution of the samples, of batch_shape () or (m,). Its density is shaded, in each
        panel up to the 99th percentile, and its relaxation temperature is the title.
    labels : sequence of str, optional
        Names of the three categories; those of ``density`` when None.
    ax : matplotlib.axes.Axes, or a sequence of m of them, optional

    Returns
    -------
    matplotlib.axes.Axes, or an array of m of them

    Raises
    ------
    ValueError, TypeError
        For samples that are not points of the simplex, or a density of the wrong shape.
    ImportError
        Without Matplotlib.

    References
    ----------
    Maddison, Mnih & Teh (2017), https://arxiv.org/abs/1611.00712.

    Examples
    --------
    >>> from softargmax import RelaxedCategorical
    >>> from softargmax.plotting import plot_simplex
    >>> relaxed = RelaxedCategorical([0.0, 0.5, 1.0], temperature=[0.3, 1.0, 3.0])
    >>> axes = plot_simplex(relaxed.sample(500, rng=0), relaxed)
    >>> [ax.get_title() for ax in axes]
    ['τ = 0.3', 'τ = 1', 'τ = 3']
    """
    y = to_numpy(checks.real_array(samples, "samples", np, samples)).astype(np.float64)
    if y.ndim not in (2, 3) or y.shape[-1] != 3:
        raise ValueError(f"samples must have shape (n, 3) or (n, m, 3), got shape {y.shape}")
    if not ((y >= 0) & (np.abs(y.sum(axis=-1, keepdims=True) - 1) < 1e-3)).all():
        raise ValueError("samples must be points of the simplex: non-negative, with sum 1")
    panels = y[None] if y.ndim == 2 else np.moveaxis(y, 1, 0)
    if density is not None:
        checks.check_instance(density, RelaxedCategorical, "density")
        if density.batch_shape != y.shape[1:-1] or density.num_categories != 3:
            raise ValueError(
                f"density must have batch_shape {y.shape[1:-1]} and three categories, got "
                f"batch_shape {density.batch_shape} and {density.num_categories}"
            )
    names = names_of(labels, 3, None if density is None else density.categorical.labels)
    axes = new_panels(ax, len(panels), (3.2 * len(panels), 3.2))
    for i, (one, points) in enumerate(zip(axes, panels, strict=True)):
        law = None if density is None else density if y.ndim == 2 else density[i]
        if law is not None:
            _shade(one, law)
            one.set_title(f"τ = {float(law.temperature):g}")
        x, height = _on_paper(points)
        one.plot(x, height, ".", color=COLOURS[0], ms=2, alpha=min(1.0, 30 / math.sqrt(len(x) + 1)))
        corners = np.concatenate([np.eye(3), np.eye(3)[:1]])
        one.plot(*_on_paper(corners), color="black", lw=1)
        for (cx, cy), name in zip(zip(*_on_paper(np.eye(3)), strict=True), names, strict=True):
            low = cy == 0
            one.annotate(
                name, (cx, cy), (0, -4 if low else 4), textcoords="offset points",
                ha="center", va="top" if low else "bottom",
            )  # fmt: skip
        one.set_aspect("equal")
        one.set_axis_off()
        one.set_xlim(-0.06, 1.06)
        one.set_ylim(-0.1, 0.97)
    return axes[0] if y.ndim == 2 else axes


def _on_paper(y: Any) -> tuple[Any, Any]:
    """Map the simplex to an equilateral triangle: category 0 left, 1 right, 2 on top."""
    return y[..., 1] + y[..., 2] / 2, y[..., 2] * math.sqrt(3) / 2


@ignore_fp_errors
def _shade(ax: Any, law: RelaxedCategorical) -> None:
    """Shade the triangle by the density on a grid."""
    side = 120
    i, j = np.mgrid[0:side, 0:side]
    y = np.stack([i + 0.5, j + 0.5, side - i - j - 1.0], axis=-1).reshape(-1, 3) / side
    y = y[y[:, 2] > 0]
    value = np.exp(to_numpy(law.log_prob(y.astype(law.dtype))))
    top = np.quantile(value[np.isfinite(value)], 0.99)
    ax.tricontourf(*_on_paper(y), np.minimum(value, top), 12, cmap="Greys", vmin=0, vmax=1.6 * top)
