"""The temperature, to be touched
==============================

Move the slider: the twelve words that most often follow “return” in Python's own docstrings, and
what the temperature does to their probabilities, to eight draws, and to the entropy.

In the middle (T = ∞) all twelve are alike. To the right it gets colder: at T = 1 they come as
often as in the text, and at T = 0 only the commonest is left, arg max. To the left the coldness
β = 1/T is below zero: the rarest word is the likeliest, and at β = -∞ the only one, arg min. The
draws have the same noise at every place, so that a word changes only where the temperature
changes it.

``python examples/explore.py [--context WORD] [--output FILE]`` saves the slider as a page of one
file. In Jupyter ``explore(dist)`` shows it as a widget, of any distribution.
"""

# sphinx_gallery_thumbnail_path = 'quickstart.png'
import argparse
from pathlib import Path

import numpy as np
from quickstart import Bigrams, docstrings

from softargmax import Categorical
from softargmax.plotting import Explorer, explore


def words_after(context: str, number: int = 12) -> Explorer:
    """The slider of the likeliest words after a word, with the logits of the text's counts."""
    model = Bigrams(docstrings())
    if context not in model.index:
        raise SystemExit(f"--context must be a word of the docstrings, got {context!r}")
    logits = model.logits(np.array(model.index[context]))
    likeliest, _ = Categorical(logits).top(number)
    return explore(Categorical(logits[likeliest]), labels=[model.words[i] for i in likeliest])


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--context", default="return", help="the word before (default: return)")
parser.add_argument("--output", type=Path, help="a page to save, .html")
options = parser.parse_args()
explorer = words_after(options.context)
if options.output:
    explorer.save(options.output, title=f"The word after “{options.context}”")

# %%
# 41 pictures that this library made; the page does no arithmetic and loads nothing.
explorer  # noqa: B018 (shown under the code)
