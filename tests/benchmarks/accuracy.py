"""Relative errors of log-probabilities and entropies against mpmath, in units of the last place.

    python tests/benchmarks/accuracy.py

Extras ``test`` and ``bench``. It prints the table of docs/accuracy.md: the largest error over 200
rows of ten float64 logits, of ours, SciPy, PyTorch and JAX (with 64 bits).
"""

from collections.abc import Callable
from typing import Any

import jax
import mpmath
import numpy as np
import torch
from scipy import special

from softargmax import Categorical

jax.config.update("jax_enable_x64", True)
ROWS, WIDTH, EPS = 200, 10, 2.0**-53
RNG = np.random.default_rng(0)


def leading(by: float) -> Any:
    """Rows whose first logit leads the others by about as much."""
    z = RNG.standard_normal((ROWS, WIDTH))
    z[:, 0] = z.max(axis=-1) + by
    return z


CASES = {
    "standard normal logits": (RNG.standard_normal((ROWS, WIDTH)), 1.0),
    "the first leads by 10": (leading(10), 1.0),
    "the first leads by 30": (leading(30), 1.0),
    "the first leads by 100": (leading(100), 1.0),
    "standard normal logits, T = 0.01": (RNG.standard_normal((ROWS, WIDTH)), 0.01),
    "standard normal logits + 1e6": (RNG.standard_normal((ROWS, WIDTH)) + 1e6, 1.0),
}


def scipy_entropy(z: Any) -> Any:
    log_p = special.log_softmax(z, axis=-1)
    return special.entr(np.exp(log_p)).sum(axis=-1)


def torch_dist(z: Any) -> Any:
    return torch.distributions.Categorical(logits=torch.from_numpy(z))


def jax_entropy(z: Any) -> Any:
    log_p = jax.nn.log_softmax(z, axis=-1)
    return -(jax.numpy.exp(log_p) * log_p).sum(axis=-1)


Answer = Callable[[Any, float], Any]
LOG_PROBS: dict[str, Answer] = {
    "softargmax": lambda z, t: Categorical(z, t).log_probs,
    "SciPy": lambda z, t: special.log_softmax(z / t, axis=-1),
    "PyTorch": lambda z, t: torch.log_softmax(torch.from_numpy(z / t), -1).numpy(),
    "JAX": lambda z, t: np.asarray(jax.nn.log_softmax(z / t, axis=-1)),
}
ENTROPIES: dict[str, Answer] = {
    "softargmax": lambda z, t: Categorical(z, t).entropy(),
    "SciPy": lambda z, t: scipy_entropy(z / t),
    "PyTorch": lambda z, t: torch_dist(z / t).entropy().numpy(),
    "JAX": lambda z, t: np.asarray(jax_entropy(z / t)),
}


def exact(z: Any, t: float) -> tuple[list[Any], list[Any]]:
    """Log-probabilities and entropies, in 500 digits."""
    log_p, entropy = [], []
    for row in z.tolist():
        scaled = [mpmath.mpf(x) / mpmath.mpf(t) for x in row]
        level = mpmath.log(sum(map(mpmath.exp, scaled)))
        log_p.append([x - level for x in scaled])
        entropy.append(-sum(mpmath.exp(x) * x for x in log_p[-1]))
    return log_p, entropy


def worst(got: Any, want: list[Any]) -> str:
    """The largest relative error, in units of the last place."""
    pairs = zip(np.ravel(got).tolist(), np.ravel(np.array(want, dtype=object)), strict=True)
    error = max(float(abs(mpmath.mpf(a) - b) / abs(b)) / EPS for a, b in pairs)
    return f"{error:.0f}" if error < 1e4 else f"{error:.0e}".replace("e+", "e")


def main() -> None:
    mpmath.mp.dps = 500  # 1 + e^-1000 must not be 1
    print(f"| | {' | '.join(LOG_PROBS)} |\n|---|{'---|' * len(LOG_PROBS)}")
    for what, answers in (("log p", LOG_PROBS), ("entropy", ENTROPIES)):
        for title, (z, t) in CASES.items():
            want = exact(z, t)[what == "entropy"]
            found = [worst(answer(z, t), want) for answer in answers.values()]
            print(f"| {what}: {title} | {' | '.join(found)} |")


if __name__ == "__main__":
    main()
