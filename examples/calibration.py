"""Temperature scaling of a classifier
===================================

Temperature scaling of a real classifier: probabilities that mean what they say.

A logistic regression with hardly any regularisation learns scikit-learn's handwritten digits until
it fits its training set, and is then far too sure of itself. One number, a temperature fitted to
held-out labels by ``fit_temperature``, mends much of that; the classes that it names do not change.

Prints the losses and saves calibration.png, reliability diagrams before and after.
"""

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from softargmax import Categorical
from softargmax.temperatures import fit_temperature

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

SEED, TRAINING, BINS = 0, 400, 10


# %%
# The classifier
# --------------
# It is trained until it fits 400 digits; its logits for all others are what a temperature acts
# on, and at T = 1 they give scikit-learn's own probabilities.


def held_out_logits() -> tuple[Any, Any]:
    """Logits and labels of digits that the model has not seen."""
    images, labels = load_digits(return_X_y=True)
    seen, unseen, targets, held_out = train_test_split(
        images / 16, labels, train_size=TRAINING, random_state=SEED, stratify=labels
    )
    model = LogisticRegression(C=1e4, max_iter=10_000).fit(seen, targets)
    logits = model.decision_function(unseen)
    np.testing.assert_allclose(Categorical(logits).probs, model.predict_proba(unseen), atol=1e-12)
    return logits, held_out


# %%
# Is 90 % right nine times in ten?
# --------------------------------
# Digits are put in bins by the probability of the likeliest class. In each bin the share that is
# right should be that probability; the mean distance, weighted by the digits in the bins, is the
# expected calibration error.


class Reliability(NamedTuple):
    """Of the bins of confidence that hold any digits, and the expected calibration error."""

    first: Any  # where the bin begins
    share: Any  # of the digits
    confidence: Any  # their mean
    accuracy: Any
    interval: Any  # of the accuracy, 95 %, Wilson's
    error: float


def reliability(dist: Categorical, labels: Any) -> Reliability:
    """What the likeliest class is said to be worth, and what it is worth."""
    confidence, right = dist.probs.max(axis=-1), dist.mode() == labels
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = np.unique(index)
    size = np.bincount(index)[bins]
    mean = np.bincount(index, confidence)[bins] / size
    hits = np.bincount(index, right)[bins].astype(int)
    ends = [binomtest(k, n).proportion_ci(method="wilson") for k, n in zip(hits, size, strict=True)]
    share, accuracy = size / len(labels), hits / size
    error = float(share @ np.abs(mean - accuracy))
    return Reliability(bins / BINS, share, mean, accuracy, np.transpose(ends), error)


def picture(dists: dict[str, Categorical], labels: Any, path: Path) -> None:
    """A reliability diagram for each distribution."""
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 4.1), sharey=True, layout="constrained")
    for axes, (title, dist) in zip(panels, dists.items(), strict=True):
        found = reliability(dist, labels)
        axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle="--")
        axes.bar(
            found.first,
            found.share,
            width=1 / BINS,
            align="edge",
            color="0.85",
            label="digits in the bin",
        )
        axes.errorbar(
            found.confidence,
            found.accuracy,
            np.abs(found.interval - found.accuracy),
            fmt="o-",
            color="#0072b2",
            elinewidth=0.8,
            clip_on=False,
            label="right in the bin (95 %)",
        )
        axes.set(xlabel="probability of the likeliest class", xlim=(0, 1), ylim=(0, 1.02))
        axes.set_title(f"{title}\ncalibration error {100 * found.error:.1f} %", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share of the digits")
    panels[0].legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


# %%
# Fit on one half, judge on the other
# -----------------------------------
# The temperature is found from half of the held-out labels, the table and the picture are made
# from the other half. At T = 1 nearly all digits are in the last bin, and the points lie below
# the diagonal: too sure. The fitted temperature is above 1 and moves the points to the diagonal;
# the named classes, and so the accuracy, stay.


def main() -> None:
    logits, labels = held_out_logits()
    half = len(labels) // 2  # one half to fit, the other to judge
    fit = fit_temperature(logits[:half], labels[:half])
    print(f"T = {fit.temperature:.3f} ± {fit.standard_error:.3f} from {half} labels")
    rest, right = logits[half:], labels[half:]
    dists = {
        "T = 1": Categorical(rest),
        f"T = {fit.temperature:.2f}": Categorical(rest, fit.temperature),
    }
    accuracy = np.mean(dists["T = 1"].mode() == right)
    print(f"\nthe other {len(right)} digits, {accuracy:.1%} of them right")
    print(f"{'':10} {'log-loss (nats)':>16} {'calibration error':>18}")
    for name, dist in dists.items():
        loss = -dist.log_prob(right).mean()
        print(f"{name:10} {loss:16.4f} {reliability(dist, right).error:18.4f}")
    before, after = (-dist.log_prob(right).mean() for dist in dists.values())
    assert after < before, "the fitted temperature must help on digits that it has not seen"
    path = Path("calibration.png")
    picture(dists, right, path)
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
