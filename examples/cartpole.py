"""An actor-critic in NumPy alone
==============================

Learn to balance a pole: an actor-critic in NumPy alone.

The policy is ``boltzmann(logits, temperature)`` over the two pushes of Gymnasium's CartPole-v1,
the temperature a schedule of the step. No autodiff: the gradient of the loss in the logits is the
distribution's own ``score`` and ``entropy_gradient``, and two layers of tanh carry it to the
weights. It stops when the sampled policy's last 100 episodes return 475 on average, what Gymnasium
takes for solved, and then plays 100 episodes at T = 0.

The question is whether such a policy learns reliably, not once: three seeds run with one setting.

Prints a line for each of three seeds and saves cartpole.png.
"""

import itertools
import time
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import matplotlib as mpl
import numpy as np

from softargmax.policies import boltzmann, greedy
from softargmax.schedules import Geometric

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

SEEDS = (0, 1, 2)
GOAL, EPISODES, MOST_STEPS = 475.0, 100, 6_000_000
ENVS, STEPS, HIDDEN = 16, 32, 32
FLOOR = 5.0  # advantages with less spread than this are not scaled up
DISCOUNT, TRACE, ENTROPY_BONUS = 0.99, 0.95, 0.01
SCALE = np.array([1.0, 1.0, 5.0, 1.0])  # angles are small
TEMPERATURE = Geometric(1.0, 0.5, steps=200_000)


# %%
# The networks
# ------------
# Actor and critic are two small networks. ``learn`` takes the slope of a loss in the outputs, as
# the distribution gives it, and does backpropagation by hand.


class Network:
    """Two layers of tanh and a linear one, trained by Adam on clipped gradients."""

    def __init__(self, outputs: int, gain: float, rng: np.random.Generator) -> None:
        sizes = (4, HIDDEN, HIDDEN, outputs)
        self.weights = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            scale = (gain if i == 2 else 1.0) / np.sqrt(a)
            self.weights += [rng.normal(0, scale, (a, b)), np.zeros(b)]
        self.moments = [(np.zeros_like(w), np.zeros_like(w)) for w in self.weights]
        self.updates = 0

    def layers(self, x: Any) -> list[Any]:
        """The input, the two hidden layers and the output."""
        w0, b0, w1, b1, w2, b2 = self.weights
        first = np.tanh(x @ w0 + b0)
        second = np.tanh(first @ w1 + b1)
        return [x, first, second, second @ w2 + b2]

    def learn(self, layers: list[Any], slope: Any, rate: float) -> None:
        """A step of Adam against the slope of the loss in the outputs."""
        gradients: list[Any] = []
        for i in (2, 1, 0):
            gradients = [layers[i].T @ slope, slope.sum(axis=0), *gradients]
            if i:
                slope = (slope @ self.weights[2 * i].T) * (1 - layers[i] ** 2)
        length = np.sqrt(sum((g**2).sum() for g in gradients))
        self.updates += 1
        for w, g, (m, v) in zip(self.weights, gradients, self.moments, strict=True):
            g = g * min(1.0, 0.5 / (length + 1e-12))
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            step = m / (1 - 0.9**self.updates)
            w -= rate * step / (np.sqrt(v / (1 - 0.999**self.updates)) + 1e-8)


# %%
# Learning
# --------
# Sixteen poles run side by side. After every 32 steps each action is compared with what the
# critic expected (generalised advantage estimates), and the policy's logits move by ``score``
# times that advantage, plus a little ``entropy_gradient`` that keeps it from deciding too early.
# Advantages are divided by their spread, but only if that is above 5: a policy that plays well
# leaves nothing but the critic's errors, and blowing them up to size 1 made seeds forget what
# they had learned.


class Run(NamedTuple):
    seed: int
    seconds: float
    steps: list[int]  # at the end of every episode
    returns: list[float]  # of every episode
    greedy: Any  # of the episodes at T = 0


def advantages(reward: Any, value: Any, ended: Any, cut: Any) -> Any:
    """Generalised advantage estimates (steps, envs); ``value`` has one more row."""
    found, carry = np.empty_like(reward), np.zeros(reward.shape[1])
    for t in reversed(range(len(reward))):
        error = reward[t] + DISCOUNT * value[t + 1] * ~ended[t] - value[t]
        carry = error + DISCOUNT * TRACE * carry * ~(ended[t] | cut[t])
        found[t] = carry
    return found


def train(seed: int) -> Run:
    """Learn until the goal is reached."""
    rng = np.random.default_rng(seed)
    actor, critic = Network(2, 0.01, rng), Network(1, 1.0, rng)
    envs = gymnasium.make_vec("CartPole-v1", ENVS, vectorization_mode="vector_entry_point")
    seen = envs.reset(seed=seed)[0] * SCALE
    fresh = np.zeros(ENVS, bool)  # this step begins an episode and ignores the action
    running = np.zeros(ENVS)
    ends: list[int] = []
    returns: list[float] = []
    start, steps = time.perf_counter(), 0
    while np.mean(returns[-EPISODES:] or 0) < GOAL or len(returns) < EPISODES:
        assert steps < MOST_STEPS, f"seed {seed} has not learned"
        shape = (STEPS, ENVS)
        observations = np.empty((STEPS + 1, ENVS, 4))
        actions, rewards = np.empty(shape, np.int64), np.empty(shape)
        ended, cut, real = (np.empty(shape, bool) for _ in range(3))
        heat = TEMPERATURE(steps + ENVS * np.arange(STEPS))
        for t in range(STEPS):
            policy = boltzmann(actor.layers(seen)[-1], heat[t])
            observations[t], actions[t], real[t] = seen, policy.sample(rng=rng), ~fresh
            seen, rewards[t], ended[t], cut[t], _ = envs.step(actions[t])
            seen = seen * SCALE
            fresh = ended[t] | cut[t]
            running += rewards[t]
            for value in running[fresh]:
                ends.append(steps + ENVS * (t + 1))
                returns.append(float(value))
            running[fresh] = 0
        observations[STEPS] = seen
        steps += ENVS * STEPS
        rate = 1e-2 / np.sqrt(1 + steps / 2e5)

        value = critic.layers(observations)[-1][..., 0]
        gain = advantages(rewards, value, ended, cut)
        goal = (gain + value[:-1])[real]
        gain = gain[real]
        gain = (gain - gain.mean()) / max(gain.std(), FLOOR)
        x, action = observations[:-1][real], actions[real]
        layers = actor.layers(x)
        policy = boltzmann(layers[-1], np.repeat(heat[:, None], ENVS, axis=1)[real])
        slope = policy.score(action) * gain[:, None] + ENTROPY_BONUS * policy.entropy_gradient()
        actor.learn(layers, -slope / len(x), rate)
        layers = critic.layers(x)
        critic.learn(layers, (layers[-1] - goal[:, None]) / len(x), rate)
    envs.close()
    return Run(seed, time.perf_counter() - start, ends, returns, evaluate(actor, seed))


# %%
# At T = 0
# --------
# The same logits at temperature 0 are the greedy policy: its 100 episodes have seeds of their
# own.


def evaluate(actor: Network, seed: int) -> Any:
    """The returns of 100 episodes at T = 0."""
    envs = gymnasium.make_vec("CartPole-v1", 100, vectorization_mode="vector_entry_point")
    seen, _ = envs.reset(seed=1000 + seed)
    total, alive = np.zeros(100), np.ones(100, bool)
    while alive.any():
        action = greedy(actor.layers(seen * SCALE)[-1]).sample(rng=0)
        seen, reward, ended, cut, _ = envs.step(action)
        total += reward * alive
        alive &= ~(ended | cut)
    envs.close()
    return total


# %%
# What one sees
# -------------
# All three seeds reach 475 and stop there, though not without a step back on the way. The
# temperature has fallen only part of its way by then; that at T = 0 the poles stay up says that
# the logits rank the pushes rightly, not only on average.


def picture(runs: list[Run], path: Path) -> None:
    """The average of the last 100 returns, and the temperature, against the steps."""
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for run, color in zip(runs, ("#0072b2", "#d55e00", "#009e73"), strict=True):
        mean = [
            np.mean(run.returns[max(0, i - EPISODES) : i]) for i in range(1, len(run.steps) + 1)
        ]
        thousands = np.array(run.steps) / 1000
        label = f"seed {run.seed}, {run.seconds:.0f} s"
        upper.plot(thousands, mean, color=color, label=label)
    upper.axhline(GOAL, color="0.5", linewidth=0.8, linestyle="--")
    last = max(run.steps[-1] for run in runs)
    upper.annotate("475: solved", (0, GOAL), (4, 3), textcoords="offset points")
    lower.set_xlim(0, 1.02 * last / 1000)
    upper.set(ylabel="return, mean of the\nlast 100 episodes", ylim=(0, 530))
    upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    steps = np.linspace(0, last, 300)
    lower.plot(steps / 1000, TEMPERATURE(steps), color="0.3")
    lower.set(xlabel="steps in the environment, thousands", ylabel="temperature", ylim=(0, None))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("CartPole-v1 by an actor-critic in NumPy")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    runs = []
    for seed in SEEDS:
        run = train(seed)
        runs.append(run)
        print(
            f"seed {seed}: {np.mean(run.returns[-EPISODES:]):.1f} on average over the last "
            f"{EPISODES} episodes, after {run.steps[-1]:,} steps and {run.seconds:.1f} s; "
            f"at T = 0 {run.greedy.mean():.1f}, at least {run.greedy.min():.0f}",
            flush=True,
        )
    path = Path("cartpole.png")
    picture(runs, path)
    print(f"saved {path}")


if __name__ == "__main__":
    main()
