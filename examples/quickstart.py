"""The next word at six temperatures
=================================

The next word at six temperatures, from the English of Python's own docstrings.

Reads the docstrings of the installed standard library, counts which word follows which, and makes
one batched Categorical of a whole ladder of temperatures. Prints the likeliest next words, entropy
and perplexity at each, samples sentences, checks the draws against the probabilities, and saves a
picture. ``python examples/quickstart.py [--context WORD] [--output FILE]``
"""

import argparse
import ast
import re
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from softargmax import Categorical

TEMPERATURES = [0.0, 0.3, 0.7, 1.0, 2.0, np.inf]
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|[.!?]")
SKIPPED = {"site-packages", "test", "tests", "idle_test", "__pycache__"}
END = "."
SMOOTHING = 2.0  # pseudo-counts that each context gets from the plain word frequencies


# %%
# Text that every Python has
# --------------------------
# The docstrings of the standard library, cut into lower-case words.


def docstrings() -> Iterator[str]:
    """Every docstring of the installed standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if SKIPPED & set(path.relative_to(root).parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue  # templates and files in other encodings
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield text


def words_of(text: str) -> list[str]:
    """Lower-case words; every end of a sentence is the same token."""
    found = WORD.findall(text.lower())
    return [END, *(END if word in ".!?" else word for word in found), END]


# %%
# The model
# ---------
# Which word follows which, counted. The logarithms of the counts are the logits, so that at T = 1
# a word comes as often as it did in the text.


class Bigrams:
    """Which word follows which, as logits."""

    def __init__(self, texts: Iterator[str]) -> None:
        pairs: Counter[tuple[str, str]] = Counter()
        for text in texts:
            pairs.update(pair for pair in pairwise(words_of(text)) if pair != (END, END))
        self.words = sorted({word for pair in pairs for word in pair})
        self.index = {word: i for i, word in enumerate(self.words)}
        first, second = zip(*((self.index[a], self.index[b]) for a, b in pairs), strict=True)
        size = len(self.words)
        self.counts = sparse.csr_array((list(pairs.values()), (first, second)), (size, size))
        self.frequency = self.counts.sum(axis=0) / self.counts.sum()

    def logits(self, contexts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log of the smoothed counts after each word, shape contexts.shape + (vocabulary,)."""
        rows = self.counts[contexts.ravel()].toarray() + SMOOTHING * self.frequency
        logits: NDArray[np.float64] = np.log(rows)
        return logits.reshape(*contexts.shape, len(self.words))

    def sentences(self, number: int, longest: int, rng: np.random.Generator) -> list[list[str]]:
        """Some sentences at every temperature of the ladder, all of them drawn together."""
        ladder = np.array(TEMPERATURES)[:, None]
        state = np.full((len(TEMPERATURES), number), self.index[END])
        drawn = []
        for _ in range(longest):
            state = Categorical(self.logits(state), ladder).sample(rng=rng)
            drawn.append(state)
        texts = []
        for row in np.stack(drawn, axis=-1):
            lines = [" ".join(self.words[i] for i in line) for line in row]
            texts.append([line.split(" .")[0].lstrip(". ") for line in lines])
        return texts


# %%
# One object, six temperatures
# ----------------------------
# The ladder is one batched distribution: one row of logits, six temperatures, from arg max (T =
# 0) to uniform (T = inf). Draws are checked against its probabilities by a chi-square test.


def show_ladder(ladder: Categorical, words: list[str]) -> None:
    """The likeliest words, entropy and perplexity at each temperature."""
    indices, log_probs = ladder.top(4)
    entropy, perplexity = ladder.entropy(), ladder.perplexity()
    print(f"{'T':>5}  {'entropy':>8}  {'perplexity':>10}   likeliest next words")
    for row, temperature in enumerate(TEMPERATURES):
        likeliest = "  ".join(
            f"{words[i]} {p:.4f}"
            for i, p in zip(indices[row], np.exp(log_probs[row]), strict=True)
            if p > 0
        )
        if perplexity[row] > 0.999 * len(words):
            likeliest = f"all {len(words):,} words alike"
        print(f"{temperature:>5}  {entropy[row]:>8.4f}  {perplexity[row]:>10.1f}   {likeliest}")


def check_draws(ladder: Categorical, number: int, rng: np.random.Generator) -> bool:
    """Compare drawn frequencies with the probabilities by a chi-square test at each temperature."""
    print(f"{'T':>5}  {'p-value':>8}  {'impossible':>10}   largest difference of a frequency")
    fine = True
    draws = ladder.sample(number, rng=rng)
    for row, temperature in enumerate(TEMPERATURES):
        p = ladder.probs[row]
        counts = np.bincount(draws[:, row], minlength=p.size)
        # The test needs some expected draws a cell: the rare words share one.
        common = p * number >= 10
        observed = np.append(counts[common], counts[~common].sum())
        expected = np.append(p[common], p[~common].sum()) * number
        kept = expected > 0
        value = stats.chisquare(observed[kept], expected[kept]).pvalue if kept.sum() > 1 else 1.0
        impossible = int(counts[p == 0].sum())
        worst = np.abs(counts / number - p).max()
        print(f"{temperature:>5}  {value:>8.4f}  {impossible:>10}   {worst:.5f}")
        fine &= value > 1e-6 and impossible == 0
    return fine


# %%
# What one sees
# -------------
# As the temperature rises, the likeliest words give way to all others, and the perplexity (the
# effective number of words) goes from one to the whole vocabulary.


def draw_picture(logits: NDArray[np.float64], words: list[str], context: str, path: Path) -> None:
    """What temperature does: shares of the likeliest words, and perplexity from limit to limit."""
    from matplotlib.figure import Figure

    ladder = Categorical(logits, TEMPERATURES)
    likeliest, _ = Categorical(logits).top(6)
    figure = Figure(figsize=(9.5, 4.3), layout="constrained")
    shares, curve = figure.subplots(1, 2, width_ratios=[1.35, 1])
    # Okabe & Ito's palette, which colour-blind people can tell apart
    colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
    rows, left = np.arange(len(TEMPERATURES)), np.zeros(len(TEMPERATURES))
    for word, colour in zip(likeliest, colours, strict=True):
        width = ladder.probs[:, word]
        shares.barh(rows, width, left=left, color=colour, label=words[word], height=0.78)
        left += width
    shares.barh(rows, 1 - left, left=left, color="#DDDDDD", label="all others", height=0.78)
    shares.set_yticks(rows, [f"T = {'∞' if np.isinf(t) else f'{t:g}'}" for t in TEMPERATURES])
    shares.invert_yaxis()
    shares.set(xlim=(0, 1), xlabel="probability", title=f"The word after “{context}”")
    shares.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)

    temperatures = np.geomspace(0.05, 100, 200)
    perplexity = Categorical(logits, temperatures).perplexity()
    lowest, highest = Categorical(logits, [0, np.inf]).perplexity()
    curve.loglog(temperatures, perplexity, color="#0072B2", linewidth=2)
    for limit, text in (
        (lowest, f"T = 0: {lowest:.0f} word"),
        (highest, f"T = ∞: {highest:,.0f} words"),
    ):
        curve.axhline(limit, color="#666666", linestyle="--", linewidth=1)
        low = limit == lowest
        curve.annotate(
            text,
            (temperatures[-1 if low else 0], limit),
            xytext=(0, 4 if low else -4),
            textcoords="offset points",
            ha="right" if low else "left",
            va="bottom" if low else "top",
            color="#444444",
        )
    curve.set(
        xlabel="temperature T",
        ylabel="perplexity (words)",
        title="From one word to all of them",
    )
    for axes in (shares, curve):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--context", default="return", help="the word before (default: return)")
    parser.add_argument("--output", type=Path, default=Path("quickstart.png"), help="the picture")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)

    start = time.perf_counter()
    model = Bigrams(docstrings())
    if options.context not in model.index:
        parser.error(f"--context must be a word of the docstrings, got {options.context!r}")
    print(
        f"{model.counts.sum():,} word pairs of Python's docstrings, "
        f"{len(model.words):,} different words\n"
    )
    logits = model.logits(np.array(model.index[options.context]))
    ladder = Categorical(logits, TEMPERATURES)
    print(f"What follows “{options.context}”: {ladder}\n")
    show_ladder(ladder, model.words)

    print("\nSentences")
    for temperature, lines in zip(TEMPERATURES, model.sentences(3, 14, rng), strict=True):
        print(f"{temperature:>5}  " + "\n       ".join(lines))

    number = 200_000
    print(f"\n{number:,} draws at each temperature against the probabilities")
    fine = check_draws(ladder, number, rng)
    print("the draws follow the probabilities" if fine else "THE DRAWS DO NOT FOLLOW")

    try:
        draw_picture(logits, model.words, options.context, options.output)
        print(f"\npicture: {options.output}")
    except ImportError:
        print("\nno picture without matplotlib: pip install 'softargmax[examples]'")
    print(f"{time.perf_counter() - start:.1f} s")
    if not fine:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
