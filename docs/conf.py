"""Sphinx: the pages of this folder, the API of the docstrings, the gallery of the examples."""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx_gallery.scrapers import figure_rst

project = "softargmax"
author = "the softargmax developers"
copyright = "2026, the softargmax developers"  # noqa: A001
release = version = importlib.metadata.version("softargmax")

# What changes.md shows of docs/news, if there is something since the last release.
unreleased = Path(__file__).parent / "generated" / "unreleased.md"
unreleased.parent.mkdir(exist_ok=True)
towncrier = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Unreleased"]
shown = subprocess.run(
    towncrier, cwd=unreleased.parents[2], capture_output=True, text=True, check=True
)
unreleased.write_text(shown.stdout if "\n- " in shown.stdout else "")

# The slider of the front page.
slider = unreleased.with_name("temperature.html")
code = "from explore import explorer; print(explorer.html())"
made = subprocess.run(
    [sys.executable, "-c", code],
    cwd=unreleased.parents[2] / "examples",
    stdout=subprocess.PIPE,
    text=True,
    check=True,
)
slider.write_text(made.stdout)

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "generated/unreleased.md", "news", "gallery/*.ipynb", "gallery/*.py"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath"]
myst_heading_anchors = 3
autosummary_generate = True
autosummary_ignore_module_all = False  # a module's page lists what __all__ says
autosummary_imported_members = True
autodoc_typehints = "none"  # the docstrings say more
autodoc_inherit_docstrings = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
suppress_warnings = ["config.cache"]
add_module_names = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_math_renderer = "mathml"

plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 110)]

html_theme = "pydata_sphinx_theme"
html_title = f"softargmax {version}"
html_theme_options = {
    "logo": {"text": html_title},
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 5,
}
html_sidebars = {page: [] for page in ("index", "start", "coming_from")}
html_static_path = ["_static"]
html_css_files = ["softargmax.css"]
toc_object_entries_show_parents = "hide"


def saved_pictures(_: Any, block_vars: Any, gallery_conf: Any) -> str:
    """The picture that an example saves under its own name, as sphinx-gallery's scrapers do."""
    paths = []
    picture = Path(block_vars["src_file"]).with_suffix(".png").name
    if Path(picture).exists():
        target = next(block_vars["image_path_iterator"])
        shutil.move(picture, target)
        paths.append(target)
    return figure_rst(paths, gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": (saved_pictures,),
    "within_subsection_order": "ExampleTitleSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # a page whose scripts come from elsewhere
    "abort_on_example_error": True,
    "parallel": 2,
    "download_all_examples": False,
    "thumbnail_size": (640, 440),  # of a card twice as small, for screens twice as dense
}
# Two names that differ by case alone would be one file on some systems.
autosummary_filename_map = {"softargmax.tokens.chain": "softargmax.tokens.chain_of_stages"}


def visit_math(writer: Any, node: nodes.math | nodes.math_block) -> None:
    """MathML, which browsers set by themselves: no script, and nothing to load."""
    block = isinstance(node, nodes.math_block)
    tag = "div" if block else "span"
    formula = tex2mathml(node.astext(), as_block=block)
    writer.body.append(f'<{tag} class="math">{formula}</{tag}>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
