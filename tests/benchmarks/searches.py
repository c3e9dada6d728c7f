"""What is timed besides draws: temperatures that are searched for."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import elementwise

from jobs import Job, logits
from softargmax import Categorical
from softargmax.temperatures import temperature_for_entropy


def entropies(z: Any, log_beta: Any) -> Any:
    """The entropy of every row at its own coldness, as one would write it."""
    d = (z - z.max(axis=-1, keepdims=True)) * np.exp(log_beta)[:, None]
    e = np.exp(d)
    s = e.sum(axis=-1)
    return np.log(s) - np.vecdot(e, d) / s


def bisection(z: Any, target: Any) -> Any:
    """Sixty halvings of log β in [-20, 20]."""
    low, high = np.full(len(z), -20.0), np.full(len(z), 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        hot = entropies(z, middle) > target
        low, high = np.where(hot, middle, low), np.where(hot, high, middle)
    return np.exp(-(low + high) / 2)


def entropy_temperature(rows: int, width: int) -> Job:
    z = logits(rows, width).astype(np.float64)
    target = np.random.default_rng(2).uniform(0.02, 0.98, rows) * np.log(width)

    def find_root() -> Any:
        found = elementwise.find_root(
            lambda x, i: entropies(z[i], x) - target[i],
            (np.full(rows, -20.0), np.full(rows, 20.0)),
            args=(np.arange(rows),),
        )
        return np.exp(-found.x)

    return Job(
        f"`temperature_for_entropy` of {rows:,} × {width:,}, a target a row",
        {
            "softargmax": lambda: temperature_for_entropy(z, target),
            "NumPy: bisection, 60 steps": lambda: bisection(z, target),
            "scipy.optimize.elementwise.find_root": find_root,
            "floor: the entropies once": lambda: entropies(z, np.zeros(rows)),
        },
        lambda found: bool(np.abs(Categorical(z, found).entropy() - target).max() < 1e-10),
    )


SEARCHES: dict[str, Callable[[], Job]] = {
    "temperature": lambda: entropy_temperature(10_000, 30),
    "temperature-128256": lambda: entropy_temperature(2, 128_256),
}
