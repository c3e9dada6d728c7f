"""Text by six samplers
====================

Generate text with six samplers, from a trigram model of Python's own docstrings and comments.

The model of quickstart.py, extended: words, names and marks of the installed standard library, and
the next one from an interpolation of how often it comes, comes after the last one, and comes after
the last two. Prints some text of every sampler and a table, checks that Mirostat keeps its target,
and saves tokens.png: how many tokens each of the six keeps along one sentence.
"""

import re
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from quickstart import SKIPPED, docstrings

from softargmax import Categorical
from softargmax.tokens import (
    FrequencyPenalty,
    MinP,
    Mirostat,
    Stage,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    chain,
)

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

TOKEN = re.compile(r"\w+(?:['-]\w+)*|[.,;:!?()]")
SHARES = (0.08, 0.32, 0.6)  # of one, two and three tokens
PROMPT, LENGTH, SEED = ("Return", "the"), 400, 0
SENTENCE = (
    "Return the number of items in the list if the value is found , otherwise raise an error ."
)
TARGET = 2.5  # nats of surprise
SAMPLERS: dict[str, Stage] = {
    "top-k 40": TopK(40),
    "top-p 0.9": TopP(0.9),
    "min-p 0.1": MinP(0.1),
    "typical 0.5": Typical(0.5),
    "top-nσ 2": TopNSigma(2.0),
    "a chain": chain(
        FrequencyPenalty(0.3, last=64), Temperature(0.8), TopK(50), TopP(0.95), MinP(0.02)
    ),
}


# %%
# The model
# ---------
# Words and marks of docstrings and comments, and how often each comes, comes after the last token
# and comes after the last two. Its distribution for the next token has a long tail of tokens that
# were never seen there: that tail is what truncations are for.


def texts() -> Iterator[str]:
    """Docstrings, and the comments of each file, of the installed standard library."""
    yield from docstrings()
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if not SKIPPED & set(path.relative_to(root).parts):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            yield "\n".join(line.strip()[1:] for line in lines if line.strip().startswith("#"))


class Trigrams:
    """Which token follows which two."""

    def __init__(self, sources: Iterator[str]) -> None:
        lines = [TOKEN.findall(text) for text in sources]
        self.words = sorted({word for line in lines for word in line})
        self.index = {word: i for i, word in enumerate(self.words)}
        self.after: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        total = np.zeros(len(self.words))
        for line in lines:
            ids = [self.index[word] for word in line]
            np.add.at(total, ids, 1)
            for a, b in pairwise(ids):
                self.after[(a,)][b] += 1
            for a, b, c in zip(ids, ids[1:], ids[2:], strict=False):
                self.after[a, b][c] += 1
        self.frequency = total / total.sum()

    def next(self, tokens: list[int]) -> Categorical:
        """The distribution of the token after these."""
        p = SHARES[0] * self.frequency
        for n, share in enumerate(SHARES[1:], 1):
            found = self.after.get(tuple(tokens[-n:]))
            if found is None:  # never seen: its share goes to the frequencies
                p += share * self.frequency
                continue
            ids, counts = np.array(list(found)), np.array(list(found.values()))
            p[ids] += share * counts / counts.sum()
        return Categorical(np.log(p).astype(np.float32))

    def text(self, tokens: list[int]) -> str:
        return re.sub(r" ([.,;:!?)])", r"\1", " ".join(self.words[i] for i in tokens))


# %%
# Writing
# -------
# Each sampler is a stage: from a distribution (and the tokens so far) to a distribution. A token
# is drawn from what it returns.


def generate(model: Trigrams, stage: Stage, rng: np.random.Generator) -> tuple[list[int], Any]:
    """Tokens; and the entropy of what each was drawn from, and the mass that was kept."""
    tokens = [model.index[word] for word in PROMPT]
    seen = []
    for _ in range(LENGTH):
        dist = model.next(tokens)
        left = stage(dist, np.array(tokens))
        tokens.append(int(left.sample(rng=rng)))
        kept = np.exp(dist.log_probs[left.log_probs > -np.inf]).sum()
        seen.append((float(left.entropy()), float(kept)))
    return tokens, np.mean(seen, axis=0)


def mirostat(model: Trigrams, rng: np.random.Generator) -> tuple[list[int], float]:
    """Tokens whose mean surprise is kept near the target."""
    sampler = Mirostat(TARGET, rate=0.1)
    tokens, state = [model.index[word] for word in PROMPT], sampler.init()
    surprises = []
    for _ in range(4 * LENGTH):
        token, new = sampler.step(model.next(tokens), state, rng=rng)
        surprises.append((state - new) / sampler.rate + TARGET)
        tokens.append(int(token))
        state = float(new)
    return tokens, float(np.mean(surprises))


# %%
# What one sees
# -------------
# Top-k keeps 40 tokens whether one word is certain or hundreds are possible; the others keep few
# where the model is sure (after “number” comes “of”) and many where it is not. A hollow mark is
# the price: the sampler could not have written this sentence.


def distinct(tokens: list[int], n: int) -> float:
    """The share of different runs of n tokens."""
    runs = list(zip(*(tokens[i:] for i in range(n)), strict=False))
    return len(set(runs)) / len(runs)


def picture(model: Trigrams, path: Path) -> None:
    """How many tokens each sampler keeps along the sentence; hollow where the next is lost."""
    tokens = [model.index[word] for word in SENTENCE.split()]
    figure, axes = plt.subplots(figsize=(10, 4.8), layout="constrained")
    colors = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "black")
    places = np.arange(1, len(tokens))
    for i in places[::2]:  # every other word has a grey ground: dots of a word stand together
        axes.axvspan(i - 0.5, i + 0.5, color="0.94", lw=0)
    for rank, ((name, stage), color) in enumerate(zip(SAMPLERS.items(), colors, strict=True)):
        sizes, lost = [], []
        for i in places:
            left = stage(model.next(tokens[:i]), np.array(tokens[:i])).log_probs
            sizes.append(np.count_nonzero(left > -np.inf))
            lost.append(left[tokens[i]] == -np.inf)
        side = places + 0.13 * (rank - (len(SAMPLERS) - 1) / 2)
        for hollow, face in ((True, "white"), (False, color)):
            chosen = np.array(lost) == hollow
            axes.plot(
                side[chosen], np.array(sizes)[chosen], "osD^vP"[rank], ms=5.5, color=color,
                markerfacecolor=face, label=None if hollow else name,
            )  # fmt: skip
    axes.set(
        yscale="log", ylabel=f"tokens kept of {len(model.words):,}", xlim=(0.5, len(tokens) - 0.5)
    )
    axes.set_xticks(places, [model.words[i] for i in tokens[1:]], rotation=60, ha="right")
    axes.set_xlabel(
        "the token that comes next, after “Return”; hollow: the sampler does not keep it"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, handletextpad=0.2)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    start = time.perf_counter()
    model = Trigrams(texts())
    print(
        f"{len(model.words):,} different tokens, {len(model.after):,} contexts, "
        f"read in {time.perf_counter() - start:.1f} s\n"
    )
    assert len(model.words) >= 20_000
    table = []
    for name, stage in {"the model itself": chain(), **SAMPLERS}.items():
        rng = np.random.default_rng(SEED)
        tokens, (entropy, kept) = generate(model, stage, rng)
        print(f"{name}: {model.text(tokens[:34])} …\n")
        table.append((name, entropy, distinct(tokens, 1), distinct(tokens, 2), kept))
    heads = "".join(f"{name:>12}" for name in ("entropy", "distinct-1", "distinct-2", "kept"))
    print(f"{LENGTH} tokens each".ljust(20) + heads)
    for name, entropy, one, two, kept in table:
        print(f"{name:20}{entropy:12.2f}{one:12.2f}{two:12.2f}{kept:12.1%}")
    tokens, surprise = mirostat(model, np.random.default_rng(SEED))
    print(f"\nMirostat, target {TARGET} nats: {surprise:.3f} over {4 * LENGTH} tokens")
    assert abs(surprise / TARGET - 1) < 0.05
    print(f"{model.text(tokens[:34])} …")
    path = Path("tokens.png")
    picture(model, path)
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
