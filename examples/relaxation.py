"""Gradient estimators side by side
================================

Gradient estimators side by side, on a problem whose gradient is known.

Which of K categories should be drawn, if category i costs f(e_i)? The expected cost E f(x) has the
exact gradient Σ p_i f(e_i) ∂ log p_i/∂z in the logits z. Estimators of it from single draws trade
bias for variance: the score function (REINFORCE) has no bias; relaxed draws follow the slope of f
between the categories, which is not what it costs at them.

Prints a table and saves relaxation.png.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from softargmax import Categorical, RelaxedCategorical

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

K, DRAWS, SEED = 8, 200_000, 0
MIX = np.random.default_rng(7).normal(size=(4, K))
GOAL = np.array([0.5, -1.0, 0.25, 0.0])
LOGITS = np.random.default_rng(8).normal(size=K)


# %%
# The problem
# -----------
# A quadratic cost at the corners of the simplex, which is smooth between them: relaxed draws see
# its slope there. With eight categories the exact gradient is a sum.


def cost(y: Any) -> Any:
    """f(y) = |My - g|², for points y of the simplex on the last axis."""
    return ((y @ MIX.T - GOAL) ** 2).sum(-1)


def slope(y: Any) -> Any:
    """∂f/∂y."""
    return 2 * (y @ MIX.T - GOAL) @ MIX


COSTS = cost(np.eye(K))


def exact() -> Any:
    """∂E f/∂z = p·(f - E f)."""
    p = Categorical(LOGITS).probs
    return p * (COSTS - p @ COSTS)


# %%
# The estimators
# --------------
# Each returns a gradient for every draw, so that bias and spread can be told apart. The pullbacks
# are the library's own, in NumPy.


def score_function(rng: np.random.Generator) -> Any:
    """f(x) ∂ log p(x)/∂z."""
    dist = Categorical(LOGITS)
    x = dist.sample(DRAWS, rng=rng)
    return COSTS[x][:, None] * dist.score(x)


def score_function_with_baseline(rng: np.random.Generator) -> Any:
    """The same less the mean cost of three other draws, which changes no expectation."""
    dist = Categorical(LOGITS)
    x, others = dist.sample(DRAWS, rng=rng), dist.sample((3, DRAWS), rng=rng)
    return (COSTS[x] - COSTS[others].mean(0))[:, None] * dist.score(x)


def each_its_own(tau: float) -> RelaxedCategorical:
    """A row of logits a draw, so that a pullback gives a gradient a draw."""
    return RelaxedCategorical(np.tile(LOGITS, (DRAWS, 1)), tau)


def gumbel_softmax(tau: float) -> Callable[[np.random.Generator], Any]:
    def estimate(rng: np.random.Generator) -> Any:
        y, pullback = each_its_own(tau).sample_with_pullback(rng=rng)
        return pullback(slope(y))

    return estimate


def straight_through(tau: float) -> Callable[[np.random.Generator], Any]:
    def estimate(rng: np.random.Generator) -> Any:
        x, pullback = each_its_own(tau).straight_through_with_pullback(rng=rng)
        return pullback(slope(x))

    return estimate


def gumbel_rao(tau: float, k: int) -> Callable[[np.random.Generator], Any]:
    def estimate(rng: np.random.Generator) -> Any:
        x, pullback = each_its_own(tau).gumbel_rao_with_pullback(k, rng=rng)
        return pullback(slope(x))

    return estimate


ESTIMATORS: dict[str, Callable[[np.random.Generator], Any]] = {
    "score function": score_function,
    "score function, baseline": score_function_with_baseline,
    "Gumbel-softmax, τ = 0.1": gumbel_softmax(0.1),
    "Gumbel-softmax, τ = 0.5": gumbel_softmax(0.5),
    "Gumbel-softmax, τ = 2": gumbel_softmax(2.0),
    "straight-through, τ = 0.5": straight_through(0.5),
    "Gumbel-Rao, τ = 0.5, k = 10": gumbel_rao(0.5, 10),
}


# %%
# What one sees
# -------------
# The score function has no bias that 200,000 draws could show, and a large deviation, which a
# baseline lowers. Gumbel-softmax trades one for the other as τ grows. Straight-through is biased,
# and Gumbel-Rao has its bias with less deviation.


def table() -> dict[str, tuple[float, float, float]]:
    """Bias, its standard error and the standard deviation of each, relative to |∂E f/∂z|."""
    truth = exact()
    size = float(np.linalg.norm(truth))
    rows = {}
    for name, estimate in ESTIMATORS.items():
        gradients = estimate(np.random.default_rng(SEED))
        bias = float(np.linalg.norm(gradients.mean(0) - truth)) / size
        deviation = float(np.sqrt(gradients.var(0).sum())) / size
        rows[name] = bias, deviation / float(np.sqrt(DRAWS)), deviation
    return rows


def picture(rows: dict[str, tuple[float, float, float]], path: Path) -> None:
    """Bias and standard deviation of each estimator, side by side."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.4, 3.6), sharey=True, layout="constrained"
    )
    names = list(rows)[::-1]
    bias, error, deviation = (np.array([rows[name][i] for name in names]) for i in range(3))
    colours = ["#D55E00", "#009E73", "#E69F00", "#E69F00", "#E69F00", "#0072B2", "#0072B2"]
    left.barh(names, bias, xerr=2 * error, color=colours, error_kw={"capsize": 3})
    left.set(xlabel="bias (whiskers: ± 2 standard errors)", xlim=(0, None))
    right.barh(names, deviation, color=colours)
    right.set(xlabel="standard deviation of one draw")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"Estimates of ∂E f(x)/∂z over {K} categories, in units of its length", fontsize=11
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


# %%
# In PyTorch and JAX
# ------------------
# Autodiff through a relaxed draw must give the pullback, wherever these are installed.


def check_against_frameworks() -> list[str]:
    """The same draws and gradients in PyTorch and JAX, where they are installed."""
    checked = []
    c = np.linspace(-1, 1, K)
    if importlib.util.find_spec("torch"):
        import torch

        y, pullback = RelaxedCategorical(LOGITS, 0.5).sample_with_pullback(rng=SEED)
        z = torch.tensor(LOGITS, requires_grad=True)
        draw = RelaxedCategorical(z, 0.5).sample(rng=SEED)
        (draw @ torch.tensor(c)).backward()
        np.testing.assert_allclose(draw.detach(), y, rtol=1e-12)
        assert z.grad is not None
        np.testing.assert_allclose(z.grad, pullback(c), rtol=1e-9, atol=1e-12)
        checked.append("PyTorch")
    if importlib.util.find_spec("jax"):
        import jax

        key = jax.random.key(SEED)

        def total(z: Any) -> Any:
            return RelaxedCategorical(z, 0.5).sample(rng=key) @ c

        z = jax.numpy.asarray(LOGITS)
        drawn = np.asarray(RelaxedCategorical(z, 0.5).sample(rng=key))
        expected = 2 * drawn * (c - drawn @ c)
        np.testing.assert_allclose(jax.grad(total)(z), expected, rtol=1e-4, atol=1e-6)
        checked.append("JAX")
    return checked


def main() -> None:
    rows = table()
    print(f"{DRAWS:,} draws each; in units of the length of the exact gradient\n")
    print(f"{'estimator':30} {'bias':>8} ± {'':8} {'std. deviation':>15}")
    for name, (bias, error, deviation) in rows.items():
        print(f"{name:30} {bias:8.4f} ± {error:<8.4f} {deviation:15.2f}")
    for name in ("score function", "score function, baseline"):
        bias, error, _ = rows[name]
        assert bias < 6 * error, f"{name} must have no bias"
    assert rows["Gumbel-Rao, τ = 0.5, k = 10"][2] < rows["straight-through, τ = 0.5"][2]
    path = Path("relaxation.png")
    picture(rows, path)
    print(f"\nsaved {path}")
    for library in check_against_frameworks():
        print(f"{library}'s gradient of a relaxed draw is NumPy's pullback")


if __name__ == "__main__":
    main()
