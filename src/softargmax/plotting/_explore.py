"""A slider for the temperature: in Jupyter, and as a page of HTML that needs nothing else."""

from __future__ import annotations

import html
import json
import math
import re
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax.categorical import Categorical, state_of
from softargmax.plotting._axes import COLOURS, GREY, _figure, names_of, one_row

PLACES = 41  # of the slider: arg min is the first, the prior alone the middle, arg max the last
MIDDLE = PLACES // 2
ROWS = 12  # bars that are shown
LOWEST = 3  # of them those with the smallest logits, where there are too many for all
DRAWS = 8
NOISE = 0  # the seed of the draws: the same at every place, so that only the temperature moves them
LONGEST = 12  # letters of a name

STYLE = """
.softargmax-explorer {
  display: flex; flex-direction: column; max-width: 35rem; margin: 0 auto 1rem; text-align: center;
}
.softargmax-explorer .animation, .softargmax-explorer .anim-controls { display: contents; }
.softargmax-explorer .ends { display: flex; justify-content: space-between; order: 2; }
.softargmax-explorer output {
  display: block; min-height: 1.5em; font-size: 1.1em; font-weight: 600;
}
.softargmax-explorer img { order: 3; width: 100%; padding: 0 !important; background: #fff; }
.softargmax-explorer input.anim-slider {
  order: 1; width: 100%; height: 2rem; margin: 0; cursor: grab;
}
.softargmax-explorer .anim-buttons { order: 4; }
.softargmax-explorer .anim-buttons button { width: 2.6rem; height: 2.2rem; cursor: pointer; }
.softargmax-explorer .anim-buttons i { font-style: normal; }
.softargmax-explorer .fa-fast-backward::before { content: "\\21E4"; }
.softargmax-explorer .fa-step-backward::before { content: "\\2190"; }
.softargmax-explorer .fa-pause::before { content: "\\275A\\275A"; font-size: 0.7em; }
.softargmax-explorer .fa-play::before { content: "\\25B6\\FE0E"; }
.softargmax-explorer .fa-step-forward::before { content: "\\2192"; }
.softargmax-explorer .fa-fast-forward::before { content: "\\21E5"; }
.softargmax-explorer button:has(.fa-minus, .fa-plus, .fa-flip-horizontal),
.softargmax-explorer .anim-state { display: none; }
[data-theme="dark"] .softargmax-explorer img {
  background: none !important; filter: invert(1) hue-rotate(180deg) !important;
}
"""
# Matplotlib's script starts at the first frame as soon as the page is there; this comes after it.
SCRIPT = """
(function () {
  const box = document.currentScript.parentElement, words = WORDS;
  const slider = box.querySelector("input[type=range]"), picture = box.querySelector("img");
  slider.setAttribute("aria-label", "temperature");
  picture.addEventListener("load", function () {
    const now = words[slider.value];
    box.querySelector("output").textContent = now;
    slider.setAttribute("aria-valuetext", now);
    picture.alt = "Probabilities, draws and entropy at " + now;
  });
  setTimeout(function () {
    slider.value = START;
    slider.dispatchEvent(new Event("input"));
  }, 0);
})();
"""
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font-family: sans-serif; }}
@media (prefers-color-scheme: dark) {{
  html .softargmax-explorer img {{ background: none; filter: invert(1) hue-rotate(180deg); }}
}}
</style>
{body}
</html>
"""


class Explorer:
    r"""One distribution under a slider of the temperature; :func:`explore` makes it.

    p ∝ π₀ · exp(β z) at 41 coldnesses β from -∞ (arg min) over 0 (the prior alone, uniform without
    one) to ∞ (arg max), as many below 0 as above. The scale of the finite ones is that of the
    logits, and the coldness of the distribution itself is one of them, where the slider starts.

    In Jupyter the object shows itself as a widget. Elsewhere ``save`` writes a page, and
    ``html`` is a part of one.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.plotting import explore
    >>> explore(Categorical([3.0, 2.0, 0.5]), labels=["tea", "coffee", "milk"])
    <Explorer of 3 categories, from arg min to arg max>
    """

    def __init__(self, dist: Categorical, *, labels: Sequence[str] | None = None) -> None:
        dist = one_row(dist)
        names = [_short(name) for name in names_of(labels, dist.num_categories, dist.labels)]
        support = state_of(dist).support
        order = np.argsort(np.where(support, -dist.logits, math.inf), kind="stable")
        order = order[: int(np.sum(support))]
        many = len(order) - ROWS
        top = order if many <= 0 else order[: ROWS - LOWEST - 1]
        low = order[:0] if many <= 0 else order[-LOWEST:]

        self._coldness = _ladder(dist)
        ladder = dist.tempered(coldness=self._coldness)
        p = ladder.probs
        colours = map(_colour, np.linspace(1, 0, len(order)))
        look = {i: (names[i], c) for i, c in zip(order.tolist(), colours, strict=True)}
        self._bars = [(*look[i], p[:, i]) for i in top.tolist()]
        if many > 0:
            between = order[len(top) : -LOWEST]
            self._bars.append((f"{len(between):,} others", GREY, p[:, between].sum(axis=-1)))
        self._bars += [(*look[i], p[:, i]) for i in low.tolist()]
        self._entropy = ladder.entropy()
        flat = p[MIDDLE, order]
        self._words = [_in_words(b, bool(np.all(flat == flat[0]))) for b in self._coldness]
        self._start = int(
            np.argmin(np.abs(np.arctan(self._coldness) - np.arctan(float(dist.coldness))))
        )
        self._draws = [
            [look[i] for i in dist.tempered(coldness=b).sample(DRAWS, rng=NOISE).tolist()]
            for b in self._coldness
        ]
        self._size = dist.num_categories

    def __repr__(self) -> str:
        return f"<Explorer of {self._size:,} categories, from arg min to arg max>"

    def widget(self) -> Any:
        """What the slider says in words, the slider, and the picture at its place, for Jupyter.

        Returns
        -------
        ipywidgets.VBox
            Its children are the words, the slider and the picture.

        Raises
        ------
        ImportError
            Without ipywidgets.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.plotting import explore
        >>> widget = explore(Categorical([3.0, 2.0, 0.5])).widget()   # doctest: +SKIP
        """
        try:
            import ipywidgets
        except ImportError:
            raise ImportError(
                "softargmax.plotting.explore in Jupyter needs ipywidgets: "
                "pip install 'softargmax[notebook]'"
            ) from None
        picture = _Picture(self._bars, self._entropy, self._draws)
        width = ipywidgets.Layout(width="100%", max_width="35rem")
        words = ipywidgets.Label(self._words[self._start])
        image = ipywidgets.Image(value=picture.png(self._start), format="png", layout=width)
        slider = ipywidgets.SelectionSlider(
            options=[(text, place) for place, text in enumerate(self._words)],
            value=self._start,
            readout=False,
            layout=width,
        )

        def move(change: Any) -> None:
            words.value = self._words[change["new"]]
            image.value = picture.png(change["new"])

        slider.observe(move, "value")
        return ipywidgets.VBox([words, slider, image])

    def _ipython_display_(self) -> None:
        widget = self.widget()
        from IPython.display import display

        display(widget)

    def html(self) -> str:
        """The slider as a part of a page: 41 frames and Matplotlib's player, no link to elsewhere.

        Returns
        -------
        str
            ASCII, about a megabyte. In a page whose ``data-theme`` is ``dark`` it is dark.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.plotting import explore
        >>> part = explore(Categorical([3.0, 2.0, 0.5])).html()
        >>> part.isascii(), len(part) < 3e6
        (True, True)
        """
        picture = _Picture(self._bars, self._entropy, self._draws)
        player = re.sub(r"<link\b[^>]*>", "", picture.player())  # an icon font from elsewhere
        script = SCRIPT.replace("WORDS", json.dumps(self._words)).replace("START", str(self._start))
        return (
            '<div class="softargmax-explorer">\n<output></output>\n<div class="ends">'
            f"<span>arg min</span><span>T = &infin;</span><span>arg max</span></div>\n{player}\n"
            f"<style>{STYLE}</style>\n<script>{script}</script>\n</div>\n"
        )

    def _repr_html_(self) -> str:
        return self.html()

    def save(self, path: str | Path, *, title: str = "Temperature") -> None:
        """Write a page with the slider, of one file that loads nothing from elsewhere.

        Parameters
        ----------
        path : str or Path
            A file, ``.html``; an old one is replaced. About a megabyte.
        title : str
            The title of the page.

        Examples
        --------
        >>> import os, tempfile
        >>> from softargmax import Categorical
        >>> from softargmax.plotting import explore
        >>> path = os.path.join(tempfile.mkdtemp(), "temperature.html")
        >>> explore(Categorical([3.0, 2.0, 0.5])).save(path)
        >>> os.path.getsize(path) < 3e6
        True
        """
        page = PAGE.format(title=html.escape(title), body=self.html())
        Path(path).write_text(page, encoding="utf-8")


@explained
def explore(dist: Categorical, *, labels: Sequence[str] | None = None) -> Explorer:
    r"""The distribution under a slider of the temperature: probabilities, draws and entropy.

    Left is arg min (β = -∞), the middle the prior alone (T = ∞, uniform without one), right arg max
    (T = 0). The eight draws have the same noise at every place, so that a word changes only where
    the temperature changes it.

    Parameters
    ----------
    dist : Categorical
        A single row. Its coldness is where the slider starts. Up to 12 categories of the support
        are shown, in descending order of their logits; of more, the largest, the smallest, and the
        sum of all others.
    labels : sequence of str, optional
        Names of the K categories.

    Returns
    -------
    Explorer
        Shows itself in Jupyter (ipywidgets, extra ``notebook``), and saves a page:
        ``explore(dist).save("temperature.html")``.

    Raises
    ------
    ValueError, TypeError
        For a batch, or a number of labels other than K.
    ImportError
        Without Matplotlib, and when it is shown in Jupyter without ipywidgets.

    References
    ----------
    The limits: Gao & Pavel (2017), https://arxiv.org/abs/1704.00805.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.plotting import explore
    >>> explore(Categorical([3.0, 2.0, 0.5]), labels=["tea", "coffee", "milk"])
    <Explorer of 3 categories, from arg min to arg max>
    """
    return Explorer(dist, labels=labels)


@ignore_fp_errors
def _ladder(dist: Categorical) -> Any:
    """β = tan(πx/2), x from -1 to 1, in a unit near half the spread of the logits.

    The unit is such that the coldness of the distribution itself is one of them.
    """
    z = np.asarray(dist.logits, np.float64)[state_of(dist).support]
    half = float(z.max() / 2 - z.min() / 2) or 1.0  # the whole may overflow
    steps = np.tan(np.linspace(0, math.pi / 2, MIDDLE + 1)[1:-1])
    own = float(dist.coldness)
    unit = 1 / half
    if own != 0 and math.isfinite(own):
        unit = abs(own) / steps[np.argmin(np.abs(steps - abs(own) * half))]
    above = np.array([*steps * unit, math.inf])
    return np.concatenate([-above[::-1], [0.0], above])


def _in_words(coldness: float, alike: bool) -> str:
    """What the slider says at a coldness."""
    if coldness == 0:
        return "temperature ∞: " + ("all alike" if alike else "the prior alone")
    if math.isinf(coldness):
        return "temperature 0: arg max" if coldness > 0 else "coldness −∞: arg min"
    if coldness < 0:
        return f"coldness −{-coldness:.2g}: small logits win"
    return f"temperature {1 / coldness:.2g} (coldness {coldness:.2g})"


def _short(name: str) -> str:
    name = name.replace("\n", "⏎")
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _colour(rank: float) -> Any:
    """From orange (the smallest logit, 0) to blue (the largest, 1)."""
    low, high = (
        np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in (COLOURS[5], COLOURS[0])
    )
    return tuple((1 - rank) * low + rank * high)


class _Picture:
    """A figure that moves from place to place: bars, draws, and a dot on the curve of entropies."""

    def __init__(self, bars: Any, entropy: Any, draws: Any) -> None:
        self.entropy, self.draws = entropy, draws
        self.figure = _figure((5.6, 6.6))
        self.figure.set_layout_engine("none")
        count, black = len(bars), "#111111"
        names, colours, self.p = zip(*bars, strict=True)
        left = 0.04 + 0.0195 * max(map(len, names))
        top = self.figure.add_axes((left, 0.46, 0.9 - left, 0.5))
        place = np.arange(count)
        self.rects = top.barh(place, np.zeros(count), color=colours, height=0.76)
        self.texts = [top.text(0, i, "", va="center", fontsize=11, color=black) for i in place]
        top.set_yticks(place, names, fontsize=13, color=black, parse_math=False)
        top.set(xlim=(0, 1), ylim=(count - 0.4, -0.6), xticks=[])
        top.set_title("probability", loc="left", fontsize=11, color="#555555", x=0)
        top.tick_params(length=0)
        top.spines[["top", "right", "bottom"]].set_visible(False)

        write = {"transform": self.figure.transFigure, "fontsize": 11, "color": "#555555"}
        self.figure.text(0.04, 0.4, f"{DRAWS} draws, with the same noise at every place", **write)
        self.cells = [
            self.figure.text(
                0.04 + 0.24 * (i % 4), 0.35 - 0.05 * (i // 4), "", fontsize=13, parse_math=False
            )
            for i in range(DRAWS)
        ]

        low = self.figure.add_axes((0.03, 0.085, 0.94, 0.13))
        most = float(entropy.max()) or 1.0
        low.plot(np.arange(PLACES), entropy, color=GREY, lw=2, clip_on=False)
        (self.dot,) = low.plot([0], [0], "o", color=black, ms=9, clip_on=False, zorder=5)
        low.set(xlim=(0, PLACES - 1), ylim=(0, most * 1.05), yticks=[])
        ends = ["arg min\nβ = −∞", "T = ∞\nβ = 0", "arg max\nT = 0"]
        low.set_xticks([0, MIDDLE, PLACES - 1], ends, fontsize=11, color=black)
        for label, side in zip(low.get_xticklabels(), ("left", "center", "right"), strict=True):
            label.set_horizontalalignment(side)
        low.spines[["top", "right", "left"]].set_visible(False)
        self.caption = self.figure.text(0.04, 0.24, "", **write)

    def move(self, place: int) -> None:
        for p, rect, text in zip(self.p, self.rects, self.texts, strict=True):
            rect.set_width(p[place])
            text.set_x(p[place] + 0.012)
            text.set_text("0" if p[place] == 0 else f"{p[place]:.3f}")
        for cell, (name, colour) in zip(self.cells, self.draws[place], strict=True):
            cell.set(text=name, color=colour)
        nats = self.entropy[place]
        self.dot.set_data([place], [nats])
        self.caption.set_text(
            f"entropy {abs(nats):.2f} nats, like {math.exp(nats):,.1f} equal choices"
        )

    def png(self, place: int) -> bytes:
        self.move(place)
        file = BytesIO()
        self.figure.savefig(file, format="png", dpi=150)
        return file.getvalue()

    def player(self) -> str:
        """Matplotlib's player of all places, as HTML."""
        from matplotlib import rc_context
        from matplotlib.animation import HTMLWriter

        self.figure.patch.set_alpha(0)
        for ax in self.figure.axes:
            ax.patch.set_alpha(0)
        writer: Any = HTMLWriter(fps=8, embed_frames=True, default_mode="reflect")
        writer.frame_format = "svg"
        with tempfile.TemporaryDirectory() as folder, rc_context({"svg.fonttype": "none"}):
            path = Path(folder) / "player.html"
            with writer.saving(self.figure, path, dpi=72):
                for place in range(PLACES):
                    self.move(place)
                    writer.grab_frame()
            return path.read_text()
