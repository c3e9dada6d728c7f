"""A particle filter, six ways to resample
=======================================

A particle filter beside the exact Kalman filter, with six ways to resample.

A position drifts back to 0 and is seen through noise: x' = 0.95·x + N(0, 0.3²), y = x + N(0, 0.7²).
Kalman's filter knows the law of x given y exactly. The bootstrap filter carries 100 particles: it
weighs them by the likelihood of y, resamples them, and moves them on. 500 filters run side by side
as one batch, and what resampling adds to their variance depends on the scheme. Their estimates of
p(y) have no bias; those of log p(y) lie below it by about half of their variance (Jensen).

Prints a table and saves particles.png.
"""

import math
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np

from softargmax import Categorical
from softargmax.resampling import effective_sample_size, resample
from softargmax.thermodynamics import log_partition

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

DECAY, DRIFT, NOISE = 0.95, 0.3, 0.7
STEPS, PARTICLES, FILTERS, SEED = 100, 100, 500, 0
SCHEMES = ("multinomial", "residual", "stratified", "systematic", "ssp", "killing")
START = DRIFT / math.sqrt(1 - DECAY**2)  # the spread of x at rest


class Track(NamedTuple):
    """What a filter says: mean and variance of x at every step, and log p(y)."""

    mean: Any
    variance: Any
    log_likelihood: Any


# %%
# The exact answer
# ----------------
# With Gaussian noise all round, Kalman's recursions give the mean and variance of the position
# given what was seen, and log p(y).


def simulate(rng: np.random.Generator) -> tuple[Any, Any]:
    x = np.empty(STEPS)
    x[0] = START * rng.standard_normal()
    for t in range(1, STEPS):
        x[t] = DECAY * x[t - 1] + DRIFT * rng.standard_normal()
    return x, x + NOISE * rng.standard_normal(STEPS)


def kalman(y: Any) -> Track:
    """Exact, by the recursions of a Gaussian."""
    mean, variance, total = 0.0, START**2, 0.0
    means, variances = np.empty(STEPS), np.empty(STEPS)
    for t in range(STEPS):
        spread = variance + NOISE**2
        total -= 0.5 * (math.log(2 * math.pi * spread) + (y[t] - mean) ** 2 / spread)
        gain = variance / spread
        means[t], variances[t] = mean + gain * (y[t] - mean), (1 - gain) * variance
        mean, variance = DECAY * means[t], DECAY**2 * variances[t] + DRIFT**2
    return Track(means, variances, total)


# %%
# The particle filter
# -------------------
# Each step weighs, resamples and moves. The weights are a Categorical over the particles: its log
# partition function is the step's part of log p(y), and ``resample`` takes its parents from it.
# Particles are sorted first, which is free in one dimension and lets stratified schemes work.


def bootstrap(y: Any, scheme: Any, rng: np.random.Generator) -> tuple[Track, float]:
    """All filters at once, (FILTERS, PARTICLES), and their mean effective sample size."""
    x = START * rng.standard_normal((FILTERS, PARTICLES))
    means, variances = np.empty((2, STEPS, FILTERS))
    total, size = np.zeros(FILTERS), 0.0
    for t in range(STEPS):
        log_weights = -0.5 * (math.log(2 * math.pi * NOISE**2) + ((y[t] - x) / NOISE) ** 2)
        dist = Categorical(log_weights)
        total += log_partition(dist) - math.log(PARTICLES)
        means[t], variances[t] = dist.expectation(x), dist.variance(x)
        size += float(effective_sample_size(dist).mean()) / STEPS
        # In the order of the particles' places, neighbours are alike: strata then mean something.
        order = np.argsort(x, axis=-1)
        x = np.take_along_axis(x, order, axis=-1)
        ranked = Categorical(np.take_along_axis(log_weights, order, axis=-1))
        parents = resample(ranked, PARTICLES, scheme=scheme, rng=rng)
        x = np.take_along_axis(x, parents, axis=-1)
        x = DECAY * x + DRIFT * rng.standard_normal(x.shape)
    return Track(means, variances, total), size


# %%
# Resampling alone
# ----------------
# The same particles are resampled 20,000 times, to see what a scheme itself adds to the variance
# of their mean.


def added(y: Any, scheme: Any, rng: np.random.Generator) -> float:
    """The variance that resampling alone adds to the mean of given particles, over n."""
    x = START * np.sort(rng.standard_normal(PARTICLES))
    dist = Categorical(-0.5 * ((y - x) / NOISE) ** 2)
    many = Categorical(np.broadcast_to(dist.logits, (20_000, PARTICLES)))
    means = x[resample(many, PARTICLES, scheme=scheme, rng=rng)].mean(axis=-1)
    return float(means.var() / (dist.variance(x) / PARTICLES))


# %%
# What one sees
# -------------
# The filter with 100 particles follows Kalman's mean closely. Schemes that spread their draws
# over the sorted particles (stratified, systematic, ssp) add least, and it shows in the variance
# of log p(y); how many offspring a particle gets by chance matters less for residual and killing
# than for multinomial, but is not gone.


def plot(
    truth: Any, y: Any, exact: Track, found: dict[str, Track], alone: dict[str, float]
) -> None:
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 4), width_ratios=[2.1, 1, 1], layout="constrained"
    )
    t = np.arange(STEPS)
    spread = 2 * np.sqrt(exact.variance)
    axes[0].fill_between(
        t, exact.mean - spread, exact.mean + spread, color="0.88", label="Kalman, ±2 s.d."
    )
    axes[0].plot(t, exact.mean, color="0.2", lw=1.2, label="Kalman, mean")
    axes[0].plot(t, y, ".", color="0.6", ms=4, label="seen (y)")
    axes[0].plot(t, truth, color="#009e73", lw=1, label="true (x)")
    one = found["systematic"].mean[:, 0]
    axes[0].plot(t, one, "--", color="#d55e00", lw=1.2, label=f"{PARTICLES} particles, one filter")
    axes[0].set_xlabel("step")
    axes[0].set_ylabel("position")
    axes[0].legend(
        frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1
    )
    axes[0].spines[["top", "right"]].set_visible(False)
    place = np.arange(len(SCHEMES))
    panels = (
        ("variance added by resampling,\n1 = multinomial's law", alone),
        ("variance of log p(y)", {name: found[name].log_likelihood.var() for name in SCHEMES}),
    )
    for axis, (label, by_scheme) in zip(axes[1:], panels, strict=True):
        values = [float(by_scheme[name]) for name in SCHEMES]
        axis.barh(place, values, color="#0072b2", height=0.6)
        for i, value in enumerate(values):
            axis.text(value, i, f" {value:.2g}", va="center")
        axis.set_yticks(place, SCHEMES)
        axis.invert_yaxis()
        axis.set_xlabel(label)
        axis.set_xlim(0, 1.3 * max(values))
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig("particles.png", dpi=110)


def main() -> None:
    rng = np.random.default_rng(SEED)
    truth, y = simulate(rng)
    exact = kalman(y)
    found, alone = {}, {}
    print(f"log p(y) = {exact.log_likelihood:.3f} (Kalman)")
    print(f"{'':12} added variance   rms error of the mean   log p(y): mean   variance    ESS")
    for scheme in SCHEMES:
        alone[scheme] = added(y[0], scheme, rng)
        track, size = bootstrap(y, scheme, np.random.default_rng(SEED))
        found[scheme] = track
        error = math.sqrt(float(((track.mean - exact.mean[:, None]) ** 2).mean()))
        print(
            f"{scheme:12} {alone[scheme]:14.4f} {error:23.4f}   "
            f"{track.log_likelihood.mean():14.3f} {track.log_likelihood.var():10.3f} {size:6.1f}"
        )
    plot(truth, y, exact, found, alone)


if __name__ == "__main__":
    main()
