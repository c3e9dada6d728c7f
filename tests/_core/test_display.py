"""The table that notebooks show."""

import math
from html.parser import HTMLParser

import numpy as np
import pytest

from softargmax import Categorical


class Cells(HTMLParser):
    """Rows of the texts of a table's cells; every tag closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.rows[-1][-1] += data


def cells(dist):
    return dict(Cells(dist._repr_html_()).rows)


def test_a_single_row_shows_its_likeliest_categories():
    dist = Categorical([0.0, 3.0, 1.0, -math.inf, 2.0, 0.5, 0.1], 0.5)
    shown = cells(dist)
    assert next(iter(shown)) == "Categorical"
    assert shown["batch shape"] == "()"
    assert shown["categories"] == "7"
    assert shown["dtype"] == "float64"
    assert shown["temperature"] == "0.5"
    assert shown["entropy"] == f"{dist.entropy():.4g} nats"
    assert shown["perplexity"] == f"{dist.perplexity():.4g}"
    assert [key for key in shown if key.startswith("p(")] == [f"p({i})" for i in (1, 4, 2, 5, 6)]
    assert shown["p(1)"] == f"{dist.probs[1]:.4g}"
    assert "prior" not in shown
    assert cells(dist.masked([1, 0, 1, 1, 1, 1, 1]))["prior"] == "given"


def test_a_batch_shows_ranges():
    shown = cells(Categorical(np.zeros((2, 3, 4)), coldness=[0.0, 1.0, -math.inf]))
    assert shown["batch shape"] == "(2, 3)"
    assert shown["coldness"] == "[ 0., 1., -inf]"
    assert shown["entropy"] == "1.386 nats"
    ladder = cells(Categorical([0.0, 1.0], [0.0, math.inf]))
    assert ladder["entropy"] == "0 … 0.6931 nats"
    assert ladder["perplexity"] == "1 … 2"
    assert not any(key.startswith("p(") for key in ladder)
    assert cells(Categorical(np.zeros((0, 4))))["entropy"] == "–"


def test_one_category_and_extremes():
    assert cells(Categorical([5.0]))["p(0)"] == "1"
    assert cells(Categorical([1e308, -1e308], 1e-300))["p(0)"] == "1"


@pytest.mark.frameworks
@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
def test_other_namespaces(library):
    xp = pytest.importorskip(library)
    dist = Categorical(xp.asarray([0.0, 1.0, 2.0]), 2.0)
    assert cells(dist)["p(2)"] == f"{float(dist.probs[2]):.4g}"
    if library == "jax.numpy":
        import jax

        seen = []
        jax.jit(lambda z: (seen.append(Categorical(z)._repr_html_()), z)[1])(dist.logits)
        assert seen == [None]
