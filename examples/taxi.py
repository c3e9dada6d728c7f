"""How to explore: tabular Q-learning
==================================

How to explore: tabular Q-learning of Gymnasium's Taxi-v4, with action masks.

The environment's ``info`` says which actions change anything; the policies and the maximum of the
update leave the others out. Compared, each over several seeds: ε-greedy, Boltzmann exploration
with three temperature schedules, and Boltzmann-Gumbel exploration, whose noise shrinks with the
visits of each action in each state. Vectorised environments restart in a step of their own, which
ignores the action: it leaves the table and the counts alone.

Prints a table and saves taxi.png.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import matplotlib as mpl
import numpy as np

from softargmax import Categorical
from softargmax.policies import (
    action_mask_from_info,
    boltzmann,
    boltzmann_gumbel,
    epsilon_greedy,
    greedy,
)
from softargmax.schedules import Geometric, Linear, LinearColdness

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

SEEDS, ENVS, STEPS = (0, 1, 2), 16, 4_000
STATES, ACTIONS = 500, 6
RATE, DISCOUNT = 0.3, 0.99
BIN = 200  # steps of a point of the curves

Policy = Callable[[int, Any, Any, Any, np.random.Generator], Categorical]


# %%
# Five ways to explore
# --------------------
# Each is a function of the step, the values and the mask; all but the last cool down by half of
# the run.


def policies() -> dict[str, Policy]:
    """Functions of the step, the values, the counts, the mask and the rng."""
    epsilon = Linear(1.0, 0.0, steps=STEPS // 2)

    def cooled(schedule: Any) -> Policy:
        return lambda step, q, _n, mask, _rng: boltzmann(q, schedule(step), mask=mask)

    return {
        "ε-greedy, linear": lambda step, q, _n, mask, _rng: epsilon_greedy(
            q, epsilon(step), mask=mask
        ),
        "Boltzmann, linear": cooled(Linear(3.0, 0.0, steps=STEPS // 2)),
        "Boltzmann, geometric": cooled(Geometric(3.0, 0.01, steps=STEPS // 2)),
        "Boltzmann, linear coldness": cooled(LinearColdness(float("inf"), 0.01, steps=STEPS // 2)),
        "Boltzmann-Gumbel": lambda _step, q, n, mask, rng: boltzmann_gumbel(
            q, n, 1.0, mask=mask, rng=rng
        ),
    }


# %%
# Learning
# --------
# Plain Q-learning in sixteen environments at once. Masked actions are neither drawn nor part of
# the maximum.


def learn(choose: Policy, seed: int) -> tuple[Any, Any]:
    """The returns of episodes by their last step, as a mean of each bin, and the table."""
    rng = np.random.default_rng(seed)
    envs = gymnasium.make_vec("Taxi-v4", ENVS, vectorization_mode="sync")
    state, info = envs.reset(seed=seed)
    mask = action_mask_from_info(info)
    table, counts = np.zeros((STATES, ACTIONS)), np.zeros((STATES, ACTIONS), np.int64)
    fresh = np.zeros(ENVS, bool)
    running, sums, ends = np.zeros(ENVS), np.zeros(STEPS // BIN), np.zeros(STEPS // BIN)
    for step in range(STEPS):
        policy = choose(step, table[state], counts[state], mask, rng)
        action = policy.sample(rng=rng)
        after, reward, ended, cut, info = envs.step(action)
        legal = action_mask_from_info(info)
        best = np.where(legal == 1, table[after], -np.inf).max(axis=-1)
        goal = reward + DISCOUNT * np.where(ended, 0.0, best)
        for i in np.flatnonzero(~fresh):  # one by one: two may be in the same state
            s, a = state[i], action[i]
            counts[s, a] += 1
            table[s, a] += RATE * (goal[i] - table[s, a])
        running += np.where(fresh, 0.0, reward)
        fresh = ended | cut
        sums[step // BIN] += running[fresh].sum()
        ends[step // BIN] += fresh.sum()
        running[fresh] = 0
        state, mask = after, legal
    envs.close()
    return sums / np.maximum(ends, 1), table


def evaluate(table: Any) -> float:
    """The mean return of 200 episodes at T = 0."""
    envs = gymnasium.make_vec("Taxi-v4", 200, vectorization_mode="sync")
    state, info = envs.reset(seed=12345)
    total, alive = np.zeros(200), np.ones(200, bool)
    while alive.any():
        policy = greedy(table[state], mask=action_mask_from_info(info))
        state, reward, ended, cut, info = envs.step(policy.sample(rng=0))
        total += reward * alive
        alive &= ~(ended | cut)
    envs.close()
    return float(total.mean())


# %%
# What one sees
# -------------
# All five learn to drive the taxi; they differ in what the learning costs. Lines are means over
# the seeds, bands go from the worst seed to the best.


def picture(curves: dict[str, Any], path: Path) -> None:
    """Mean return while learning, and the range of the seeds."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    colors = ("#0072b2", "#e69f00", "#d55e00", "#cc79a7", "#009e73")
    thousands = (np.arange(STEPS // BIN) + 0.5) * BIN * ENVS / 1000
    for (name, runs), color in zip(curves.items(), colors, strict=True):
        axes.plot(thousands, runs.mean(0), color=color, label=name)
        axes.fill_between(thousands, runs.min(0), runs.max(0), color=color, alpha=0.15, linewidth=0)
    axes.set(
        xlabel="steps in the environment, thousands",
        ylabel="return of an episode, reward units",
        ylim=(-210, 20),
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    axes.set_title(f"Taxi-v4: mean and range of {len(SEEDS)} seeds")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    curves = {}
    print(f"{len(SEEDS)} seeds {SEEDS}, {ENVS * STEPS:,} steps each; returns of an episode")
    print(f"{'exploration':28} {'over the run':>13} {'last tenth':>11} {'at T = 0':>9} {'time':>8}")
    for name, choose in policies().items():
        start = time.perf_counter()
        runs = [learn(choose, seed) for seed in SEEDS]
        curve = np.array([run[0] for run in runs])
        final = np.array([evaluate(run[1]) for run in runs])
        curves[name] = curve
        tenth = curve[:, -curve.shape[1] // 10 :].mean()
        seconds = time.perf_counter() - start
        print(
            f"{name:28} {curve.mean():13.1f} {tenth:11.2f} {final.mean():9.2f} {seconds:6.1f} s",
            flush=True,
        )
    path = Path("taxi.png")
    picture(curves, path)
    print(f"saved {path}")


if __name__ == "__main__":
    main()
