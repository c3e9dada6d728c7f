"""Plots: what the artists show, Axes given or new, no pyplot state, bad input."""

import math
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from softargmax import Categorical, RelaxedCategorical, thermodynamics
from softargmax.plotting import (
    plot_probabilities,
    plot_schedule,
    plot_simplex,
    plot_temperature_sweep,
    plot_thermodynamics,
    plot_truncation,
)
from softargmax.schedules import Cosine, Linear
from softargmax.tokens import MinP, TopK, TopP

pytest.importorskip("matplotlib")
inf = math.inf
DIST = Categorical([0.0, 1.0, 3.0, -inf], 0.7)
RELAXED = RelaxedCategorical([0.0, 0.5, 1.0], temperature=[0.4, 2.0])
Y = RELAXED.sample(100, rng=0)
CALLS = {
    "probabilities": lambda **o: plot_probabilities(DIST, DIST.sample(50, rng=0), **o),
    "simplex": lambda **o: plot_simplex(Y[:, 0], RELAXED[0], **o),
    "schedule": lambda **o: plot_schedule(Linear(1, 0, steps=9), steps=9, **o),
    "truncation": lambda **o: plot_truncation(DIST, TopP(0.5), **o),
}


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("name", list(CALLS))
def test_axes_are_new_or_given_and_returned(name):
    from matplotlib.figure import Figure

    ax = CALLS[name]()
    ax.figure.canvas.draw()
    given = Figure().subplots()
    assert CALLS[name](ax=given) is given
    given.figure.canvas.draw()


def test_no_pyplot_state_is_left():
    plt = pytest.importorskip("matplotlib.pyplot")
    for call in CALLS.values():
        call()
    plot_thermodynamics([0.0, 1.0])
    assert plt.get_fignums() == []


def test_probabilities():
    draws = np.array([[0, 2, 2], [1, 2, 2]])
    ax = plot_probabilities(DIST, draws, labels=["a", "b", "c", "d"])
    assert_allclose([bar.get_height() for bar in ax.patches], DIST.probs)
    shares = ax.containers[-1].lines[0].get_ydata()
    assert_allclose(shares, [1 / 6, 1 / 6, 4 / 6, 0])
    whiskers = ax.containers[-1].lines[2][0].get_paths()
    for whisker, count in zip(whiskers, (1, 1, 4, 0), strict=True):
        low, high = stats.binomtest(count, 6).proportion_ci()
        assert_allclose(whisker.vertices[:, 1], [low, high], atol=1e-9)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c", "d"]
    assert texts(ax) == ["probability", "6 draws, 95 %"]


def test_many_categories_show_the_likeliest():
    dist = Categorical(np.random.default_rng(0).standard_normal(500))
    ax = plot_probabilities(dist, dist.sample(1000, rng=0))
    assert_allclose([bar.get_height() for bar in ax.patches], np.sort(dist.probs)[::-1][:40])
    assert "40 likeliest of 500" in ax.get_xlabel()


def test_a_batch_is_a_panel_a_row():
    from matplotlib.figure import Figure

    dist = Categorical([0.0, 1.0, 3.0], [[0.0, 1.0, 1.0, inf]] * 2)
    draws = dist.sample(50, rng=0)
    axes = plot_probabilities(dist, draws, labels=list("abc"))
    axes[0].figure.canvas.draw()
    assert axes[0].figure.axes == list(axes)  # none is empty
    rows = [(i, j) for i in range(2) for j in range(4)]
    for ax, (i, j) in zip(axes, rows, strict=True):
        assert_allclose([bar.get_height() for bar in ax.patches], dist.probs[i, j])
        counts = np.bincount(draws[:, i, j], minlength=3)
        assert_allclose(ax.containers[-1].lines[0].get_ydata(), counts / 50)
        assert ax.get_title() == f"{i}, {j}: T = {('0', '1', '1', '∞')[j]}"
        assert ax.get_ylim() == axes[0].get_ylim()
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["probability", "50 draws, 95 %"]
    ladder = plot_probabilities(DIST.tempered([0.5, 2.0]))
    assert [ax.get_title() for ax in ladder] == ["T = 0.5", "T = 2"]
    same = plot_probabilities(Categorical(np.eye(7)[:, :3]))
    assert [ax.get_title() for ax in same] == list("0123456")
    assert [ax.get_xlabel() != "" for ax in same] == [False] * 3 + [True] * 4
    given = Figure().subplots(2)
    assert list(plot_probabilities(DIST.tempered([0.5, 2.0]), ax=given)) == list(given)


def test_a_batch_of_many_categories_shows_the_same_in_each_panel():
    dist = Categorical(np.random.default_rng(0).standard_normal((2, 500)))
    likeliest = np.argsort(-dist.probs.mean(axis=0))[:40]
    axes = plot_probabilities(dist)
    for ax, p in zip(axes, dist.probs, strict=True):
        assert_allclose([bar.get_height() for bar in ax.patches], p[likeliest])
        shown = [int(label.get_text()) for label in ax.get_xticklabels()]
        assert shown == likeliest.tolist()


def test_temperature_sweep():
    from matplotlib.figure import Figure

    z = [1.0, 5.0, 5.0, -inf]
    t = [3.0, 0.5, 1.0]
    ax, lower = plot_temperature_sweep(z, t, labels=list("abcd"))
    ladder = Categorical(z, np.sort(t))
    curves = {line.get_label(): line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3}
    for i, name in enumerate("abcd"):
        assert_allclose(curves[name], ladder.probs[:, i])
    marks = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert_allclose(marks, [[0.5, 1 / 3], [0.5, 1 / 3], [0, 1 / 3], [0, 0]])
    assert ax.figure.axes == [ax, lower]  # a panel a quantity: no second axis on any
    assert_allclose(lower.lines[0].get_ydata(), ladder.entropy())
    assert_allclose(lower.lines[1].get_ydata(), [math.log(2), math.log(3)])
    assert ax.get_xlim() == lower.get_xlim()
    given = Figure().subplots(2)
    assert plot_temperature_sweep(np.arange(30.0), ax=given).tolist() == given.tolist()
    given[0].figure.canvas.draw()
    plot_temperature_sweep([2.0, 2.0])[0].figure.canvas.draw()


@pytest.mark.parametrize("most", [1e308, 1.7e308, 1e-310, 5e-324])
def test_a_sweep_of_any_span(most):
    ax = plot_temperature_sweep([-most, most])[0]
    ax.figure.canvas.draw()
    t = ax.lines[0].get_xdata()
    assert np.all((np.diff(t) > 0) & (t[:-1] > ax.get_xlim()[0]) & (t[:-1] < ax.get_xlim()[1]))
    for panel in plot_thermodynamics([0.0, most]):
        panel.figure.canvas.draw()


def test_a_sweep_of_coldness_masked_and_weighted():
    law = {"mask": [1, 1, 0, 1], "prior": [1.0, 2.0, 3.0, 4.0]}
    ax, lower = plot_temperature_sweep([0.0, 1.0, 9.0, 2.0], coldness=[2.0, -1.0, 0.0], **law)
    ax.figure.canvas.draw()
    assert (lower.get_xscale(), lower.get_xlabel()) == ("linear", "coldness")
    dist = Categorical([0.0, 1.0, 9.0, 2.0], coldness=[-1.0, 0.0, 2.0], **law)
    assert_allclose(ax.lines[0].get_xdata(), [-1, 0, 2])
    assert_allclose(ax.lines[0].get_ydata(), dist.probs[:, 3])  # the likeliest, in the legend first
    axes = plot_thermodynamics([0.0, 1.0], coldness=[-1.0, 1.0])
    ladder = Categorical.from_energies([0.0, 1.0], coldness=[-1.0, 1.0])
    assert_allclose(axes[1].lines[0].get_ydata(), thermodynamics.internal_energy(ladder))


def test_simplex():
    axes = plot_simplex(Y, RELAXED, labels=list("abc"))
    assert [ax.get_title() for ax in axes] == ["τ = 0.4", "τ = 2"]
    for ax, points in zip(axes, np.moveaxis(Y, 1, 0), strict=True):
        x, height = ax.lines[0].get_data()
        assert_allclose(height, points[:, 2] * math.sqrt(3) / 2)
        assert_allclose(x, points[:, 1] + points[:, 2] / 2)
    axes[0].figure.canvas.draw()
    assert plot_simplex(Y[:, 0]).get_title() == ""


def test_schedule():
    one, two = Linear(1, 0.1, steps=80), Cosine(1, 0.1, steps=80)
    ax = plot_schedule(one, two, lambda t: 0 * t + 0.5, steps=100, labels=["a", "b", "c"])
    for line, schedule in zip(ax.lines, (one, two), strict=False):
        assert_allclose(line.get_ydata(), schedule(line.get_xdata()))
        assert line.get_xdata()[[0, -1]].tolist() == [0, 100]
    assert texts(ax) == ["a", "b", "c"]
    assert texts(plot_schedule(one, steps=5)) == [repr(one)]


def test_thermodynamics():
    t = np.array([0.3, 1.0, 4.0])
    axes = plot_thermodynamics([0.0, 1.0, 2.0], t, degeneracies=[1, 3, 1])
    dist = Categorical.from_energies([0.0, 1.0, 2.0], t, degeneracies=[1, 3, 1])
    functions = ("log_partition", "internal_energy", "entropy", "heat_capacity")
    for ax, name in zip(axes, functions, strict=True):
        assert_allclose(ax.lines[0].get_ydata(), getattr(thermodynamics, name)(dist))
        ax.figure.canvas.draw()
    assert plot_thermodynamics([5.0])[3].lines[0].get_ydata().max() == 0


def test_truncation():
    dist = Categorical(-0.2 * np.arange(300.0))
    stages = (TopK(100), TopP(0.9), MinP(0.3))
    ax = plot_truncation(dist, *stages)
    now, before = dist, dist.probs > 0
    for text, stage in zip(texts(ax)[1:], stages, strict=True):
        now = stage(now)
        lost = before & ~(now.probs > 0)
        before = now.probs > 0
        assert text == f"{stage!r} drops: {lost.sum():,}, {100 * dist.probs[lost].sum():.3g} %"
    assert texts(ax)[0] == f"kept: {before.sum()}, {100 * dist.probs[before].sum():.3g} %"
    assert "40 likeliest of 300" in ax.get_xlabel()
    shown = np.concatenate([line.get_ydata() for line in ax.lines])
    assert_allclose(np.sort(shown), np.sort(dist.probs)[-40:])


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: plot_truncation(DIST.tempered([1.0, 2.0]), TopK(1)),
            ValueError,
            r"plot one .*dist\[i\]",
        ),
        (
            lambda: plot_probabilities(DIST.tempered(np.ones(41))),
            ValueError,
            r"dist must have 1 to 40 rows, got batch_shape \(41,\)",
        ),
        (
            lambda: plot_probabilities(DIST.tempered(np.ones(0))),
            ValueError,
            r"dist must have 1 to 40 rows, got batch_shape \(0,\)",
        ),
        (
            lambda: plot_probabilities(DIST.tempered([1.0, 2.0]), [0, 1, 1]),
            ValueError,
            r"draws must end in the batch_shape \(2,\), got shape \(3,\)",
        ),
        (
            lambda: plot_probabilities(DIST.tempered([1.0, 2.0]), ax=[None]),
            ValueError,
            "ax must be 2 Axes, got 1",
        ),
        (lambda: plot_probabilities([0.5, 0.5]), TypeError, "dist must be a Categorical"),
        (lambda: plot_probabilities(DIST, [0, 4]), ValueError, "draws must be in 0 … 3, got 4"),
        (
            lambda: plot_probabilities(DIST, labels=["a"]),
            ValueError,
            "labels must be 4 names, got 1",
        ),
        (lambda: plot_probabilities(DIST, labels="abcd"), ValueError, "labels must be 4 names"),
        (lambda: plot_temperature_sweep([[1.0], [2.0]]), ValueError, "must be one row"),
        (
            lambda: plot_temperature_sweep([1.0, 2.0], [0.0, 1]),
            ValueError,
            "temperatures must be in",
        ),
        (lambda: plot_temperature_sweep([1.0, 2.0], [1.0]), ValueError, "two or more, got 1"),
        (
            lambda: plot_temperature_sweep([1.0, 2.0], [1.0, 2.0], coldness=[1.0, 2.0]),
            TypeError,
            "pass temperatures or coldness, not both",
        ),
        (
            lambda: plot_temperature_sweep([1.0, 2.0], coldness=[1.0, inf]),
            ValueError,
            r"coldness must be in \(-inf, inf\), got inf",
        ),
        (lambda: plot_simplex(np.ones((3, 2))), ValueError, r"samples must have shape \(n, 3\)"),
        (lambda: plot_simplex(np.ones((5, 3))), ValueError, "points of the simplex"),
        (lambda: plot_simplex(Y[:, 0], RELAXED), ValueError, r"density must have batch_shape \(\)"),
        (lambda: plot_simplex(Y[:, 0], DIST), TypeError, "density must be a RelaxedCategorical"),
        (lambda: plot_simplex(Y, ax=[None]), ValueError, "ax must be 2 Axes, got 1"),
        (lambda: plot_schedule(steps=9), ValueError, "schedules must be one or more"),
        (lambda: plot_schedule(3.0, steps=9), TypeError, "schedules must be callable, got 3.0"),
        (lambda: plot_schedule(Linear(1, 0, steps=9), steps=0), ValueError, "steps must be in 1"),
        (lambda: plot_thermodynamics([math.nan]), ValueError, "energies must be finite"),
        (lambda: plot_thermodynamics([0.0, 1.0], [-1.0]), ValueError, "temperatures must be in"),
        (lambda: plot_truncation(DIST), ValueError, "stages must be one or more"),
        (
            lambda: plot_truncation(DIST, lambda d: None),
            TypeError,
            "must return a Categorical of 4",
        ),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"softargmax.plotting needs Matplotlib: pip install"):
        plot_probabilities(DIST)


def test_pictures_read_a_distributions_labels():
    dist = Categorical([3.0, 2.0, 0.5], labels=["tea", "coffee", "milk"])
    assert {"tea", "coffee", "milk"} <= {
        t.get_text() for t in plot_probabilities(dist).get_xticklabels()
    }
    given = plot_probabilities(dist, labels=["a", "b", "c"])
    assert "a" in {t.get_text() for t in given.get_xticklabels()}
