"""Magnets: Ising and Potts by replica exchange
============================================

Magnets: the Ising model and the 3-state Potts model by heat bath and replica exchange.

On a square lattice with periodic ends, neighbours that agree lower the energy: by 2 (Ising,
E = -Σ s·s') or by 1 (Potts, E = -Σ [s = s']). A heat bath gives every site of one colour of the
checkerboard a new value at once, a Categorical of the energies of its values; replica exchange
lets lattices wander along the ladder of temperatures. That is made by a short run on a geometric
ladder: tune_ladder places the rungs so that all neighbours swap equally often. (On 32 × 32 few
lattices make the whole way there and back in so short a run; near the critical temperature sweeps
are slow.)

The sampled energies and heat capacities stand beside exact ones: on 4 × 4 all states, counted row
by row, and on 32 × 32, away from the critical temperature, Onsager's energy of the infinite
lattice. Error bars account for the autocorrelation of the run.

Prints a table and saves ising.png.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from scipy import special

from softargmax import Categorical
from softargmax.annealing import ExchangeResult, replica_exchange, tune_ladder
from softargmax.thermodynamics import heat_capacity, internal_energy

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt


class Model(NamedTuple):
    """q values a site; a pair of neighbours has energy ``apart``, less ``gain`` if they agree."""

    name: str
    q: int
    gain: float
    apart: float
    critical: float  # temperature
    temperatures: Any  # the ladder, at first a geometric one


RUNGS = 28
ISING = Model("Ising", 2, 2.0, 1.0, 2 / math.log(1 + math.sqrt(2)), np.geomspace(3.4, 1.6, RUNGS))
POTTS = Model(
    "3-state Potts", 3, 1.0, 0.0, 1 / math.log(1 + math.sqrt(3)), np.geomspace(1.5, 0.7, RUNGS)
)
WARM_UP, STEPS, SEED = 500, 2000, 0


# %%
# The models
# ----------
# A lattice's energy, and one sweep of the heat bath: of the sites of one colour of the
# checkerboard none is a neighbour of another, so that one batched Categorical draws them all, for
# all temperatures.


def energy(model: Model, states: Any) -> Any:
    """Of lattices (R, L, L), a pair of neighbours counted once."""
    agree = sum((states == np.roll(states, 1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    return 2 * model.apart * states[0].size - model.gain * agree


def heat_bath(model: Model, size: int) -> Callable[[Any, Any, np.random.Generator], Any]:
    """A sweep: the black sites given the white ones, then the white ones given the black."""
    row, column = np.indices((size, size))
    sites = [np.nonzero((row + column) % 2 == colour) for colour in (0, 1)]
    around = [
        [((i + di) % size, (j + dj) % size) for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        for i, j in sites
    ]

    def sweep(states: Any, coldness: Any, rng: np.random.Generator) -> Any:
        for (i, j), near in zip(sites, around, strict=True):
            neighbours = np.stack([states[:, a, b] for a, b in near])
            agree = (neighbours[..., None] == np.arange(model.q)).sum(axis=0)
            values = Categorical(model.gain * agree, coldness=coldness[:, None])
            states[:, i, j] = values.sample(rng=rng)
        return states

    return sweep


def run(model: Model, size: int, steps: int) -> ExchangeResult:
    start = np.random.default_rng(SEED).integers(model.q, size=(RUNGS, size, size))
    return replica_exchange(
        start.astype(np.int8),
        lambda states: energy(model, states),
        heat_bath(model, size),
        temperatures=model.temperatures,
        steps=WARM_UP + steps,
        burn_in=WARM_UP,
        rng=SEED,
    )


def rates(result: ExchangeResult) -> str:
    return f"swap rates {result.swap_rates.min():.2f} to {result.swap_rates.max():.2f}"


def tuned(model: Model, size: int) -> Model:
    """With a ladder of even swap rates."""
    first = run(model, size, STEPS // 5)
    print(f"{model.name}, {size} × {size}, geometric ladder: {rates(first)}")
    return model._replace(temperatures=1 / tune_ladder(first, RUNGS))


# %%
# Exact values
# ------------
# What the runs are judged by. A lattice of 4 × 4 has few enough states to count them by energy,
# row after row; they become a Categorical of energy levels with degeneracies, whose internal
# energy and heat capacity are formulas.


def levels(model: Model, size: int, temperatures: Any) -> Categorical:
    """All states of a small lattice as energy levels: how many there are, row by row."""
    rows = np.array(np.unravel_index(np.arange(model.q**size), (model.q,) * size)).T
    within = (rows == np.roll(rows, 1, axis=1)).sum(axis=1)
    between = (rows[:, None] == rows).sum(axis=2)  # neighbours that agree in two rows
    gains = within + between
    total = np.zeros(2 * size * size + 1)
    # By symmetry the first row may begin with value 0.
    for first in range(len(rows) // model.q):
        ways = np.zeros((len(rows), len(total)))
        ways[first, 0] = model.q
        for _ in range(size):
            after = np.zeros_like(ways)
            for gain in np.unique(gains):
                moved = (gains == gain).T.astype(float) @ ways
                after[:, gain:] += moved[:, : len(total) - gain]
            ways = after
        total += ways[first]
    agree = np.arange(len(total))
    energies = 2 * model.apart * size * size - model.gain * agree
    return Categorical.from_energies(energies, temperatures, degeneracies=total)


def onsager(temperature: Any) -> Any:
    """The energy per site of the infinite Ising lattice (Onsager 1944)."""
    b = 2 / np.asarray(temperature)
    k = 2 * np.sinh(b) / np.cosh(b) ** 2
    return -(1 + 2 / np.pi * (2 * np.tanh(b) ** 2 - 1) * special.ellipk(k**2)) / np.tanh(b)


# %%
# Estimates and their errors
# --------------------------
# Sweeps follow each other and are correlated; the standard error of a mean accounts for that.


def error(series: Any) -> float:
    """The standard error of a mean, √(2τ·var/n), τ summed up to the first lag above 5τ (Sokal)."""
    x = series - series.mean()
    n = len(x)
    spectrum = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    correlation = np.fft.irfft(spectrum)[:n]
    if correlation[0] == 0:
        return 0.0
    tau = np.cumsum(correlation / correlation[0]) - 0.5
    window = int(np.argmax(np.arange(n) >= 5 * tau))
    return math.sqrt(2 * max(tau[window], 0.5) * x.var() / n)


class Estimates(NamedTuple):
    """Per site, at every temperature, with standard errors."""

    energy: Any
    energy_error: Any
    capacity: Any
    capacity_error: Any


def estimates(result: ExchangeResult, sites: int) -> Estimates:
    mean, mean_error = result.mean("energies")
    squares = (result.energies - mean) ** 2 * result.coldness**2
    errors = np.array([error(column) for column in squares.T])
    return Estimates(mean / sites, mean_error / sites, squares.mean(axis=0) / sites, errors / sites)


# %%
# What one sees
# -------------
# On 4 × 4 the points lie on the exact curves. On 32 × 32 the energy is Onsager's away from the
# critical temperature, and the heat capacity has a peak there, which a small lattice only hints
# at. The lattices: disorder above, clusters near the critical temperature, order
# below.


def plot(
    models: list[Model], found: dict[str, dict[int, Estimates]], lattices: dict[str, Any]
) -> None:
    figure, axes = plt.subplots(
        2, 5, figsize=(12, 5.8), width_ratios=[1.7, 1.7, 1, 1, 1], layout="constrained"
    )
    for line, model in zip(axes, models, strict=True):
        t = model.temperatures
        fine = np.linspace(t.min(), t.max(), 300)
        curve = levels(model, 4, fine)
        for axis, exact, part in (
            (line[0], internal_energy(curve) / 16, 0),
            (line[1], heat_capacity(curve) / 16, 2),
        ):
            axis.plot(fine, exact, color="0.2", lw=1, label="4 × 4, exact")
            if part == 0 and model.name == ISING.name:
                axis.plot(fine, onsager(fine), color="0.2", lw=1, ls="--", label="∞, Onsager")
            for size, colour, mark in ((4, "#0072b2", "o"), (32, "#d55e00", "s")):
                values, errors = found[model.name][size][part : part + 2]
                axis.errorbar(
                    t, values, 3 * errors, fmt=mark, ms=3.5, color=colour, lw=1,
                    label=f"{size} × {size}, ±3 s.e.",
                )  # fmt: skip
            axis.axvline(model.critical, color="0.75", lw=1, zorder=0, label="critical, ∞")
            axis.set_xlabel("temperature, in units of J")
            axis.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel("energy per site, in J")
        line[1].set_ylabel("heat capacity per site, in k_B")
        line[0].set_title(model.name, loc="left", fontweight="bold")
        line[0].legend(frameon=False, fontsize=8)
        for axis, r in zip(line[2:], (0, int(abs(t - model.critical).argmin()), -1), strict=True):
            axis.imshow(lattices[model.name][r], cmap="cividis", vmin=0, vmax=model.q - 1)
            axis.set_title(f"T = {t[r]:.2f}", fontsize=10)
            axis.set_axis_off()
    figure.savefig("ising.png", dpi=110)


def main() -> None:
    found: dict[str, dict[int, Estimates]] = {}
    lattices = {}
    models = [tuned(ISING, 32), tuned(POTTS, 32)]
    for model in models:
        exact = levels(model, 4, model.temperatures)
        found[model.name] = {}
        for size, steps in ((4, 4 * STEPS), (32, STEPS)):
            result = run(model, size, steps)
            found[model.name][size] = estimates(result, size * size)
            trips = result.round_trips.sum()
            print(f"{model.name}, {size} × {size}: {rates(result)}, {trips} round trips")
            lattices[model.name] = result.states
        small, large = found[model.name].values()
        print(" T     energy 4×4 (exact)           heat capacity (exact)      energy 32×32")
        for r in range(0, len(model.temperatures), 3):
            t = model.temperatures[r]
            known = ""
            if model.name == ISING.name and abs(t / model.critical - 1) > 0.15:
                known = f"({onsager(t):.4f} Onsager)"
            print(
                f"{t:5.3f}  {small.energy[r]:.4f} ± {small.energy_error[r]:.4f} "
                f"({internal_energy(exact)[r] / 16:.4f})   "
                f"{small.capacity[r]:.4f} ± {small.capacity_error[r]:.4f} "
                f"({heat_capacity(exact)[r] / 16:.4f})   "
                f"{large.energy[r]:.4f} ± {large.energy_error[r]:.4f} {known}"
            )
        off = abs(small.energy - internal_energy(exact) / 16) / small.energy_error
        print(f"4 × 4: energies off by {off.max():.1f} standard errors at most, of 28")
        if model.name == ISING.name:
            far = abs(model.temperatures / model.critical - 1) > 0.15
            off = abs(large.energy - onsager(model.temperatures))[far] / large.energy_error[far]
            print(f"32 × 32: energies off by {off.max():.1f} at most, of {far.sum()} away from T_c")
    plot(models, found, lattices)


if __name__ == "__main__":
    main()
