"""What is timed of Monte Carlo: five of the six ways to resample a million particles."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jobs import Contenders, Job, draws_of, installed
from softargmax import Categorical
from softargmax.resampling import resample

SCHEMES = ("multinomial", "stratified", "systematic", "residual", "ssp")


def in_particles(weights: Any, scheme: str) -> Contenders:
    """The same scheme of the package ``particles``, compiled by numba."""
    if not (installed("particles") and installed("numba")):
        return {}
    from particles import resampling

    n = len(weights)
    return {"particles with numba": lambda: resampling.resampling(scheme, weights, M=n)}


def resampled(scheme: str) -> Job:
    n = 1_000_000
    dist = Categorical(np.random.default_rng(0).standard_normal(n))
    rng, weights = np.random.default_rng(1), dist.probs.copy()

    def recipe() -> Any:
        return np.searchsorted(np.cumsum(weights), rng.random(n), side="right")

    return Job(
        f"`resample` of 1,000,000 particles, {scheme}",
        {
            "softargmax": lambda: resample(dist, n, scheme=scheme, rng=rng),
            "NumPy: cumsum, searchsorted": recipe,
            **in_particles(weights, scheme),
        },
        draws_of(dist.log_probs),
    )


def job(scheme: str) -> Callable[[], Job]:
    return lambda: resampled(scheme)


STATES = {f"resample-{scheme}": job(scheme) for scheme in SCHEMES}
