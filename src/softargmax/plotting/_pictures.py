"""Plots of probabilities, truncations and relaxed samples."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from softargmax._arrays import checks
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, to_numpy
from softargmax.categorical import Categorical
from softargmax.plotting._axes import (
    COLOURS,
    SHOWN,
    name_ticks,
    names_of,
    new_axes,
    new_panels,
    one_row,
    tidy,
)
from softargmax.relaxed import RelaxedCategorical

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_probabilities(
    dist: Categorical,
    draws: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    r"""Bar chart of the probabilities, with the frequencies of draws and their 95 % intervals.

    Parameters
    ----------
    dist : Categorical
        A single row. Of more than 40 categories the 40 likeliest are shown, in descending order.
    draws : array of integers, any shape, optional
        Draws from the distribution. The Clopper-Pearson intervals hold for each category alone:
        about one bar in 20 is expected to lie outside.
    labels : sequence of str, optional
        Names of the K categories.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError, TypeError
        For a batch, draws that are not categories, or a number of labels other than K.
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
    """
    dist = one_row(dist)
    p, width = dist.probs, dist.num_categories
    names = names_of(labels, width)
    ax = ax or new_axes()
    shown = np.arange(width) if width <= SHOWN else np.argsort(-p, kind="stable")[:SHOWN]
    place = np.arange(len(shown))
    ax.bar(place, p[shown], color=COLOURS[0], width=0.8, label="probability")
    if draws is not None:
        x = checks.category(draws, np, p, width, "draws").ravel()
        n, counts = x.size, np.bincount(x, minlength=width)[shown]
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
        ax.legend(frameon=False)
    name_ticks(ax, place, [names[i] for i in shown])
    what = "category" if width <= SHOWN else f"category, the {SHOWN} likeliest of {width:,}"
    ax.set(xlabel=what, ylabel="probability", ylim=(0, None))
    return tidy(ax)


def _interval(counts: Any, n: int) -> tuple[Any, Any]:
    """The Clopper-Pearson 95 % interval of each frequency."""
    low = special.betaincinv(np.maximum(counts, 1), n - counts + 1, 0.025)
    high = special.betaincinv(counts + 1, np.maximum(n - counts, 1), 0.975)
    return np.where(counts == 0, 0, low), np.where(counts == n, 1, high)


def plot_truncation(
    dist: Categorical,
    *stages: Callable[[Categorical], Categorical],
    labels: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """What each stage drops: bars of the likeliest categories, coloured by the stage.

    Parameters
    ----------
    dist : Categorical
        A single row; its 40 likeliest categories are shown, in descending order.
    *stages
        Stages of :mod:`softargmax.tokens`, applied one after the other.
    labels : sequence of str, optional
        Names of the K categories.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The probabilities are those before the stages; the legend says how many categories each
        stage drops, and how much probability.

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
    ['kept: 6, 0.835', 'TopP(p=0.9) drops 92, 0.091', 'MinP(p=0.2) drops 2, 0.075']
    """
    dist = one_row(dist)
    if not stages:
        raise ValueError("stages must be one or more, got none")
    names = names_of(labels, dist.num_categories)
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
        what = "kept:" if number == 0 else f"{stages[number - 1]!r} drops"
        place = np.flatnonzero(own[shown])
        ax.bar(place, p[shown][place], color=colour, width=0.8)
        # A legend entry, even if none of these bars is shown.
        ax.bar([0], [math.nan], color=colour, label=f"{what} {count:,}, {mass:.3f}")
    name_ticks(ax, np.arange(len(shown)), [names[i] for i in shown])
    ax.set(xlabel="category, the likeliest first", ylabel="probability before", yscale="log")
    ax.legend(frameon=False, fontsize=9)
    return tidy(ax)


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
        Names of the three categories.
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
    names = names_of(labels, 3)
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
