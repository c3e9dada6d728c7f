"""The repr, and the table that notebooks show."""

import math
from html.parser import HTMLParser

import numpy as np
import pytest

from softargmax import Categorical
from softargmax.categorical import state_of
from softargmax.policies import MultiCategorical
from softargmax.tokens import TopK


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
    assert [key for key in ladder if key[:2] == "p("] == [
        "p(row 0, 1)",
        "p(row 1, 0)",
        "p(row 1, 1)",
    ]
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


# ---------------------------------------------------------------------------- the likeliest


def shown(dist):
    return repr(dist).partition("probs=")[2].removesuffix(")")


def test_repr_shows_the_likeliest_categories():
    assert shown(Categorical([0.0, 1.0, 2.0])) == "{2: 0.6652, 1: 0.2447, 0: 0.09003}"
    assert shown(Categorical([1.0, 5.0, 5.0], 0)) == "{1: 0.5, 2: 0.5}"  # no p of 0; ties in order
    assert shown(Categorical(np.arange(7.0), np.inf)).endswith("4: 0.1429, …}")
    rows = Categorical([0.0, 10.0], [0, 1, 100, np.inf])
    assert shown(rows) == "[{1: 1}, {1: 1, 0: 4.54e-05}, {1: 0.525, 0: 0.475}, …]"
    assert shown(rows[1:3][None]) == "[{1: 1, 0: 4.54e-05}, {1: 0.525, 0: 0.475}]"
    assert shown(Categorical(np.zeros((0, 3)))) == "[]"
    words = Categorical([0.0, 1.0], labels=["tea", "it's"])
    assert shown(words) == "{\"it's\": 0.7311, 'tea': 0.2689}"
    relaxed = Categorical([0.0, 1.0], labels=["a", "b"]).relaxed(0.1)
    assert shown(relaxed) == "{'b': 0.7311, 'a': 0.2689}"  # of what is relaxed


def test_a_sparse_state_shows_its_survivors_and_makes_no_dense_array():
    dist = TopK(2)(Categorical(np.arange(5000.0), labels=range(5000)))
    assert shown(dist) == "{'4999': 0.7311, '4998': 0.2689}"
    assert shown(TopK(9)(Categorical(np.arange(5000.0) * np.ones((2, 1)))))[:7] == "[{4999:"
    state = state_of(dist)
    assert "prior" not in vars(state)
    assert "law" in vars(state)


def test_tables_of_batches_and_of_other_classes():
    rows = cells(Categorical([[0.0, 1.0], [2.0, 0.0]], labels=["<a", "b"]))
    assert rows["p(row 0, b)"] == "0.7311"
    assert rows["p(row 1, <a)"] == "0.8808"
    relaxed = cells(Categorical([0.0, 1.0]).relaxed(0.1))
    assert (relaxed["temperature"], relaxed["p(1)"]) == ("0.1", "0.7311")
    multi = cells(MultiCategorical([0.0, 0.0, 0.0, 1.0, 2.0], sizes=(2, 3)))
    assert (multi["sizes"], multi["0: p(1)"], multi["1: p(2)"]) == ("(2, 3)", "0.5", "0.6652")


@pytest.mark.frameworks
def test_reprs_in_other_libraries():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    z = torch.tensor([[0.0, 1.0], [0.0, 0.0]], requires_grad=True)
    want = "[{1: 0.7311, 0: 0.2689}, {0: 0.5, 1: 0.5}]"
    assert shown(Categorical(z)) == want
    assert shown(Categorical(jax.numpy.asarray(z.detach().numpy()))) == want
    seen = []
    for call in (
        lambda z: Categorical(z),
        lambda z: Categorical(jax.numpy.zeros((2, 2)), z[:, 0]),
        lambda z: Categorical(jax.numpy.zeros((2, 2)), mask=z),
        lambda z: Categorical(z).relaxed(0.5),
        lambda z: MultiCategorical(z, sizes=(1, 1)),
    ):

        @jax.jit
        def traced(z, call=call):
            seen.append((repr(call(z)), call(z)._repr_html_()))
            return z

        traced(jax.numpy.ones((2, 2)))
    assert all("batch_shape=(2,)" in text and "probs" not in text for text, _ in seen)
    assert [html for _, html in seen] == [None] * 5
    bad = jax.jit(Categorical)(jax.numpy.asarray([0.0, np.nan]))
    assert shown(bad) == "{…}"
