"""Five ways to cool: colouring a graph
====================================

Three colours for a graph that can be coloured: five ways to cool, over seeds.

The graph is made so that a colouring without clashes exists: 80 vertices in three groups, 176
random edges, all of them between groups. A step takes a vertex at random, counts its clashes in
each colour, and a Boltzmann draw chooses. At T = 0 it wanders among equals, since no single vertex
helps any more; 8,000 steps of falling temperatures find more. (20 seeds tell cooling from T = 0,
but hardly one way to cool from another.)

Prints a table and saves annealing.png.
"""

from typing import Any

import matplotlib as mpl
import numpy as np

from softargmax.annealing import AnnealingResult, anneal
from softargmax.schedules import Constant, Cosine, Geometric, Linear, LinearColdness, Schedule

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

VERTICES, EDGES, STEPS, SEEDS = 80, 176, 8000, 20
GROUP = np.arange(VERTICES) % 3  # the colouring that is hidden in the graph
HOT, COLD = 0.6, 0.1
SCHEDULES: dict[str, Schedule] = {
    "T = 0": Constant(0.0),
    "linear": Linear(HOT, COLD, steps=STEPS),
    "cosine": Cosine(HOT, COLD, steps=STEPS),
    "geometric": Geometric(HOT, COLD, steps=STEPS),
    "linear in coldness": LinearColdness(HOT, COLD, steps=STEPS),
}
COLOURS = dict(zip(SCHEDULES, ("#555555", "#0072b2", "#e69f00", "#cc79a7", "#009e73"), strict=True))
SHADES = (1.0, 0.55, 0.3, 0.12)  # seeds with no clash, one, two, more


# %%
# The graph
# ---------
# Vertices belong to three hidden groups, and edges join different groups only: so a colouring
# without a clash exists, and 0 is the known answer.


def graph() -> Any:
    """Edges between the groups, (EDGES, 2), each once."""
    pairs = np.argwhere(np.triu(GROUP[:, None] != GROUP))
    chosen = np.random.default_rng(3).choice(len(pairs), EDGES, replace=False)
    return pairs[chosen]


PAIRS = graph()
NEIGHBOURS = [
    np.concatenate([PAIRS[PAIRS[:, 0] == v, 1], PAIRS[PAIRS[:, 1] == v, 0]])
    for v in range(VERTICES)
]


def clashes(colours: Any) -> int:
    return int((colours[PAIRS[:, 0]] == colours[PAIRS[:, 1]]).sum())


# %%
# A step
# ------
# ``moves`` answers with an energy for every colour that the vertex may take, its own included;
# ``anneal`` draws one of them at the temperature of the step, and ``apply`` makes the new
# colouring.


def moves(colours: Any, rng: np.random.Generator) -> tuple[Any, int]:
    """Of one vertex, all its colours: the clashes of the whole graph with each."""
    vertex = int(rng.integers(VERTICES))
    near = np.bincount(colours[NEIGHBOURS[vertex]], minlength=3)
    return clashes(colours) + near - near[colours[vertex]], vertex


def apply(colours: Any, vertex: int, colour: int) -> Any:
    new = colours.copy()
    new[vertex] = colour
    return new


def run(schedule: Schedule, seed: int) -> AnnealingResult:
    start = np.random.default_rng(seed).integers(3, size=VERTICES)
    return anneal(start, moves, apply, schedule, steps=STEPS, rng=seed)


# %%
# What one sees
# -------------
# T = 0 falls fastest and then stays above two clashes on average. Every way of cooling ends near
# one, and some seeds of each find a colouring without a clash, as none at T = 0 does. Which way is
# best, 20 seeds do not tell. The bars count the seeds by the fewest clashes that they met.


def plot(runs: dict[str, list[AnnealingResult]]) -> None:
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 3.8), width_ratios=[1, 1.2, 1.1], layout="constrained"
    )
    steps = np.arange(STEPS)
    for i, (name, schedule) in enumerate(SCHEDULES.items()):
        color = COLOURS[name]
        axes[0].plot(steps, schedule(steps), color=color, lw=2)
        mean = np.mean([result.energies for result in runs[name]], axis=0)
        axes[1].plot(steps[::20], mean[::20], color=color, lw=1.4)
        best = np.array([int(result.best_energy) for result in runs[name]])
        counts = np.bincount(np.minimum(best, len(SHADES) - 1), minlength=len(SHADES))
        for left, count, shade in zip(np.cumsum(counts) - counts, counts, SHADES, strict=True):
            axes[2].barh(i, count, left=left, color=color, alpha=shade, height=0.7)
            if count:
                ink = "white" if shade == 1 else "black"
                axes[2].text(left + count / 2, i, count, ha="center", va="center", color=ink)
    axes[0].set(xlabel="step", ylabel="temperature", title="five ways to cool")
    axes[1].set(xlabel="step", yscale="log", title=f"clashes, mean of {SEEDS} seeds")
    axes[1].set_yticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    axes[1].minorticks_off()
    axes[2].set_yticks(range(len(SCHEDULES)), list(SCHEDULES))
    for label in axes[2].get_yticklabels():
        label.set_color(COLOURS[label.get_text()])
        label.set_fontweight("bold")
    axes[2].set(xlabel="seeds", xlim=(0, SEEDS), title="fewest clashes: 0, 1, 2, 3 or more")
    axes[2].invert_yaxis()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig("annealing.png", dpi=110)


def main() -> None:
    assert clashes(GROUP) == 0
    runs = {}
    print(f"{'':20} without a clash   fewest clashes: mean   worst")
    for name, schedule in SCHEDULES.items():
        runs[name] = [run(schedule, seed) for seed in range(SEEDS)]
        best = np.array([result.best_energy for result in runs[name]])
        solved = int((best == 0).sum())
        print(f"{name:20} {solved:7} of {SEEDS}   {best.mean():20.2f}   {best.max():5.0f}")
    plot(runs)


if __name__ == "__main__":
    main()
