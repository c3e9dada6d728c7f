"""The pages: every public name is listed; links in them, and names of the package, exist."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import softargmax

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md"]
    if not {"generated", "gallery", "_build"} & set(path.relative_to(ROOT).parts)
)


def test_the_reference_lists_every_module():
    """The page of a module lists what its ``__all__`` says, when the pages are built."""
    listed = re.findall(r"^   (softargmax\S*)$", (DOCS / "api.rst").read_text(), re.M)
    modules = {m.name for m in pkgutil.iter_modules(softargmax.__path__) if m.name[0] != "_"}
    # What the package itself offers stands there alone.
    modules -= {"categorical", "relaxed", "functional"}
    assert sorted(listed) == sorted(["softargmax", *(f"softargmax.{name}" for name in modules)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" in target:
            continue
        path = (page.parent / target).resolve()
        if DOCS / "gallery" in path.parents:
            continue  # made with the pages
        assert path.exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_of_the_package_exist(page):
    """What pages call softargmax.x.y is there."""
    for dotted in set(re.findall(r"\bsoftargmax((?:\.[A-Za-z_]\w*)+)", page.read_text())):
        *modules, last = dotted.strip(".").split(".")
        if dotted.startswith((".softargmax", ".git", ".css")):
            continue
        parent = importlib.import_module(".".join(["softargmax", *modules]))
        assert hasattr(parent, last) or importlib.import_module(f"softargmax{dotted}"), dotted


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_type_check(page, tmp_path):
    mypy = pytest.importorskip("mypy.api")
    examples = doctest.DocTestParser().get_examples(page.read_text())
    if not examples:
        return
    script = tmp_path / "examples.py"
    script.write_text("".join(example.source for example in examples))
    options = ["--config-file=", "--python-version=3.11", "--allow-redefinition"]
    out, err, code = mypy.run([*options, "--check-untyped-defs", str(script)])
    assert code == 0, out + err


def test_news_have_names_that_the_release_finds():
    files = [path for path in (DOCS / "news").iterdir() if path.name[0] != "."]
    for path in files:
        assert re.fullmatch(r"\S+\.(added|changed|fixed)\.md", path.name), path.name
        assert path.read_text().strip()
        assert "\n\n" not in path.read_text().strip()


def test_plots_of_a_page_have_names_of_their_own():
    """Without them those of a MyST page would all be the first."""
    for page in PAGES:
        plots = page.read_text().split(".. plot::")[1:]
        names = [re.search(r":filename-prefix: (\S+)", plot) for plot in plots]
        assert len(plots) <= 1 or all(names), page.name
        assert len({name[1] for name in names if name}) == sum(map(bool, names)), page.name
