"""The built pages as a browser shows them: ``SOFTARGMAX_PAGES`` names the folder of their HTML."""

import importlib
import inspect
import json
import os
import re
from pathlib import Path

import pytest

from browser import chromium, resize

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("SOFTARGMAX_PAGES", "")).resolve()
pytestmark = pytest.mark.skipif(
    "SOFTARGMAX_PAGES" not in os.environ, reason="SOFTARGMAX_PAGES names no built pages"
)

LOCAL = ("file:", "data:", "chrome:")  # the last is the empty tab that a browser starts with

# What is wrong with the open page, in words. The theme lets the whole article scroll; a reader
# should not have to, so only what is in a box of its own may be wider than it.
LOOK = r"""
for (const transition of document.getAnimations()) transition.finish();  // a sidebar slides in
const wrong = [], article = document.querySelector(".bd-article-container");
const name = e => `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}"> ` +
                  e.textContent.trim().slice(0, 60);
const style = (e, what) => getComputedStyle(e).getPropertyValue(what);
const boxed = e => {
  for (let a = e.parentElement; a && a !== article; a = a.parentElement)
    if (style(a, "overflow-x") !== "visible") return true;
  return false;
};
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) wrong.push("the page scrolls sideways");
for (const e of article.querySelectorAll("*")) {
  const box = e.getBoundingClientRect();
  const right = Math.min(wide, article.getBoundingClientRect().right);
  if (box.width && box.right > right + 1 && e.checkVisibility() && !boxed(e))
    wrong.push(`ends at ${box.right} of ${right}: ${name(e)}`);
}
for (const pre of article.querySelectorAll("pre")) {
  const whole = arguments[0] && !pre.closest(".sphx-glr-script-out");  // what scripts print scrolls
  if (pre.scrollWidth > pre.clientWidth && (whole || style(pre, "overflow-x") !== "auto"))
    wrong.push(`cut at ${pre.clientWidth} of ${pre.scrollWidth}: ${name(pre)}`);
}
for (const image of document.images) {
  if (!image.naturalWidth) wrong.push(`no image: ${image.src}`);
}
const words = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
while (words.nextNode())
  if (/\\\[|\\\(|\$\$|\\(frac|sum|log|beta|pi)\b/.test(words.currentNode.data) &&
      !words.currentNode.parentElement.closest("pre, code, script"))
    wrong.push(`TeX: ${words.currentNode.data}`);
return wrong;
"""


def asked_for(browser):
    """The addresses of every request since the last call."""
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


@pytest.mark.parametrize("half", [0, 1])  # side by side
def test_pages_fit_and_show_what_they_have(half):
    # Of _modules, the sources, one page is like the other: lines of code in a box that scrolls.
    pages = sorted(p for p in SITE.rglob("*.html") if not {"_static", "_modules"} & {*p.parts})
    assert len(pages) > 100
    wrong, widths = [], [1280, 390]
    with chromium(widths[0]) as browser:
        for page in pages[half::2]:
            browser.get(page.as_uri())
            found = browser.execute_script(LOOK, widths[0] == 1280)
            resize(browser, widths[1])
            found += browser.execute_script(LOOK, widths[1] == 1280)
            found += [url for url in asked_for(browser) if not url.startswith(LOCAL)]
            wrong += [f"{page.relative_to(SITE)}: {what}" for what in found]
            widths.reverse()
    assert not wrong, "\n".join(wrong)


def test_every_public_name_has_a_page_and_its_source():
    for module in re.findall(r"^   (softargmax\S*)$", (ROOT / "docs/api.rst").read_text(), re.M):
        table = (SITE / f"generated/{module}.html").read_text()
        for name in importlib.import_module(module).__all__:
            links = re.findall(rf'href="([^"#]+)#{module}\.{name}"', table)
            assert links, f"{module}.{name}"
            page = (SITE / "generated" / links[0]).read_text()
            assert f'id="{module}.{name}"' in page
            value = getattr(importlib.import_module(module), name)
            if inspect.isclass(value) or inspect.isfunction(value):  # no name of a type
                assert "[source]" in page, f"{module}.{name}"
