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

import math
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
COLOURS = dict(zip(SCHEDULES, ("#777777", "#0072b2", "#56b4e9", "#d55e00", "#009e73"), strict=True))
PALETTE = np.array(["#0072b2", "#e69f00", "#999999"])


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


def draw(axis: Any, colours: Any, title: str) -> None:
    """The graph on three arcs, one for each colour found; edges within an arc clash, in red."""
    angle = np.empty(VERTICES)
    for colour in range(3):
        own = np.flatnonzero(colours == colour)
        angle[own] = 2 * math.pi / 3 * (colour + np.linspace(0.1, 0.9, len(own)))
    place = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    for pair in PAIRS:
        clash = colours[pair[0]] == colours[pair[1]]
        axis.plot(*place[pair].T, color="#cc0000" if clash else "0.85", lw=1.6 if clash else 0.5,
                  zorder=1 + int(clash))  # fmt: skip
    axis.scatter(*place.T, c=PALETTE[colours], s=22, zorder=3)
    axis.set_title(title, fontsize=10)
    axis.set_aspect("equal")
    axis.set_axis_off()


def plot(runs: dict[str, list[AnnealingResult]]) -> None:
    figure, axes = plt.subplots(1, 5, figsize=(15, 3.7), width_ratios=[1.1, 1.1, 0.9, 1.3, 1.3])
    steps = np.arange(STEPS)
    for i, (name, schedule) in enumerate(SCHEDULES.items()):
        axes[0].plot(steps, schedule(steps), color=COLOURS[name])
        traces = np.array([result.energies for result in runs[name]])
        mean = traces.mean(axis=0)[::20]
        axes[1].plot(steps[::20], mean, color=COLOURS[name], lw=1.2)
        best = [int(result.best_energy) for result in runs[name]]
        for clashing, count in enumerate(np.bincount(best)):
            axes[2].scatter(clashing, i, s=14 * count, color=COLOURS[name])
    axes[0].set_ylabel("temperature")
    axes[1].set_ylabel(f"clashes, mean of {SEEDS} seeds")
    axes[1].set_yscale("symlog", linthresh=1)
    axes[1].set_yticks([0, 1, 10, 50], ["0", "1", "10", "50"])
    axes[1].set_ylim(0)
    for axis in axes[:2]:
        axis.set_xlabel("step")
    axes[2].set_yticks(range(len(SCHEDULES)), list(SCHEDULES), fontsize=8)
    for label in axes[2].get_yticklabels():
        label.set_color(COLOURS[label.get_text()])
    axes[2].set_xlabel("fewest clashes (area: seeds)")
    axes[2].set_ylim(len(SCHEDULES) - 0.5, -0.5)
    axes[2].set_xticks(range(0, 8, 2))
    quenched = max(runs["T = 0"], key=lambda result: result.best_energy)
    cooled = min(runs["geometric"], key=lambda result: result.best_energy)
    draw(axes[3], quenched.best_state, f"T = 0, worst seed: {quenched.best_energy:.0f} clashes")
    draw(axes[4], cooled.best_state, f"geometric, best seed: {cooled.best_energy:.0f} clashes")
    figure.tight_layout()
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
