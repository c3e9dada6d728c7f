"""The slider: what every place shows, in Jupyter, and in a browser without a network."""

import json
import math
import re
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from browser import chromium
from softargmax import Categorical
from softargmax.plotting import explore

pytest.importorskip("matplotlib")
inf = math.inf
NAMES = ["tea", "coffee", "milk", "water", "$ju^^ice$"]
DIST = Categorical([3.0, 2.0, 2.0, -inf, 0.5], 0.7)


def ladder(explorer):
    return explorer._coldness


@pytest.mark.parametrize("dist", [
    DIST,
    Categorical([1.0, 1.0]),
    Categorical([-1.7e308, 1.7e308], 1e305),
    Categorical([0.0, 1.0, 2.0], coldness=-0.3, prior=[1, 5, 2]),
    Categorical(np.arange(50.0), 0),
    Categorical([0.0, 5e-324]),
    Categorical([7.0]),
    Categorical(np.float32([0.0, 2.0]), inf),
])  # fmt: skip
def test_places_lead_from_arg_min_over_the_prior_to_arg_max(dist):
    explorer = explore(dist)
    coldness = ladder(explorer)
    assert len(coldness) == 41
    assert (np.diff(coldness) >= 0).all()
    assert_array_equal(coldness, -coldness[::-1])
    assert_array_equal(coldness[[0, 20, 40]], [-inf, 0, inf])
    assert_allclose(coldness[explorer._start], float(dist.coldness), rtol=1e-12)
    for place in (0, 7, 20, 33, 40):
        law = dist.tempered(coldness=coldness[place])
        total = sum(p[place] for *_, p in explorer._bars)
        assert_allclose(total, 1, rtol=1e-6)
        assert_allclose(explorer._entropy[place], law.entropy(), rtol=1e-6)


def test_bars_are_sorted_by_logits_and_named():
    bars = explore(DIST, labels=NAMES)._bars
    assert [name for name, *_ in bars] == [
        "tea",
        "coffee",
        "milk",
        "$ju^^ice$",
    ]  # water cannot come
    for (*_, p), category in zip(bars, [0, 1, 2, 4], strict=True):
        assert_allclose(p, DIST.tempered(coldness=ladder(explore(DIST))).probs[:, category])


def test_of_many_categories_the_ends_and_the_sum_of_others_are_shown():
    dist = Categorical(np.random.default_rng(0).permutation(100) / 10)
    bars = explore(dist, labels=[f"{z:g}" for z in dist.logits])._bars
    names = [name for name, *_ in bars]
    assert names[:8] == ["9.9", "9.8", "9.7", "9.6", "9.5", "9.4", "9.3", "9.2"]
    assert names[8:] == ["89 others", "0.2", "0.1", "0"]


def test_a_draw_climbs_from_arg_min_to_arg_max():
    """The noise is the same at every place: where logits are sorted, no draw ever goes down."""
    explorer = explore(Categorical([4.0, 3.0, 2.5, 1.0, 0.0]))
    ranks = np.array([[-int(name) for name, _ in drawn] for drawn in explorer._draws])
    assert ranks.shape == (41, 8)
    assert (np.diff(ranks, axis=0) >= 0).all()
    assert (ranks[0] == -4).all()
    assert (ranks[-1] == 0).all()
    assert len(np.unique(ranks[20])) > 2


def test_what_the_slider_says():
    words = explore(Categorical([0.0, 2.0]))._words
    assert words[0] == "coldness −∞: arg min"
    assert words[20] == "temperature ∞: all alike"
    assert words[40] == "temperature 0: arg max"
    assert "temperature 1 (coldness 1)" in words
    assert "coldness −1: small logits win" in words
    assert explore(Categorical([0.0, 2.0], prior=[1, 2]))._words[20].endswith("the prior alone")


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: explore([1.0, 2.0]), TypeError, "dist must be a Categorical"),
        (lambda: explore(Categorical(np.zeros((2, 3)))), ValueError, "dist must be one row"),
        (lambda: explore(DIST, labels=["a"]), ValueError, "labels must be 5 names, got 1"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_without_ipywidgets(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match=r"pip install 'softargmax\[notebook\]'"):
        explore(DIST).widget()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "temperature.html"
    explore(DIST, labels=NAMES).save(path, title="Tea & <coffee>")
    return path


def test_a_page_is_one_file_that_names_no_other(page):
    text = page.read_text(encoding="utf-8")
    assert "<title>Tea &amp; &lt;coffee&gt;</title>" in text
    assert text.count("data:image/svg+xml;base64,") == 41
    assert page.stat().st_size < 3e6
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:)\w+:?//[^"')\s]+""", text)
    assert not outside
    assert "<link" not in text


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_slider_moves_the_picture_in_a_browser(page, width, scheme):
    with chromium(width, 900, scheme) as browser:
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait

        def shown():
            return browser.find_element("tag name", "output").text

        def wait_for(words):
            WebDriverWait(browser, 10).until(lambda _: shown() == words)

        browser.get(page.as_uri())
        wait_for("temperature 0.7 (coldness 1.4)")
        slider = browser.find_element("css selector", "input[type=range]")
        picture = browser.find_element("tag name", "img")
        seen = [picture.screenshot_as_png]
        for key, words in (
            (Keys.HOME, "coldness −∞: arg min"),
            (Keys.END, "temperature 0: arg max"),
        ):
            slider.send_keys(key)
            wait_for(words)
            assert slider.get_attribute("aria-valuetext") == words
            seen.append(picture.screenshot_as_png)
        assert len(set(seen)) == 3
        browser.find_element("css selector", "[title='Previous frame']").click()
        WebDriverWait(browser, 10).until(lambda _: shown().startswith("temperature 0.0"))
        sign = "return getComputedStyle(document.querySelector('.fa-play'), '::before').content"
        assert "▶" in browser.execute_script(sign)
        wide = "return document.documentElement.scrollWidth"
        assert browser.execute_script(wide) <= width
        events = [
            json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"] == page.as_uri()  # not the browser's own first tab
        ]
        assert asked
        assert all(url.startswith(("file:", "data:")) for url in asked), asked


NOTEBOOK = """
from softargmax import Categorical
from softargmax.plotting import explore
explorer = explore(Categorical([3.0, 2.0, 0.5]), labels=["tea", "coffee", "milk"])
explorer
---
words, slider, picture = (widget := explorer.widget()).children
before = picture.value, words.value
slider.value = 40
assert picture.value != before[0] and picture.value[:4] == b"\\x89PNG"
print(before[1], "->", words.value)
"""


def test_a_notebook():
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    import nbformat
    from nbformat import v4

    book = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in NOTEBOOK.split("---")])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    nbformat.validate(book)
    (shown,) = book.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" in shown["data"]
    (printed,) = book.cells[1].outputs
    assert printed["text"] == "temperature 1 (coldness 1) -> temperature 0: arg max\n"
