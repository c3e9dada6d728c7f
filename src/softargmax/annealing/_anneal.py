"""Simulated annealing and Gibbs sampling: Boltzmann draws among candidate states."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ignore_fp_errors, is_foreign, to_numpy
from softargmax._random.numpy import Generator
from softargmax._random.sources import Rng
from softargmax._random.tags import Tag
from softargmax._rows.memory import blocks
from softargmax.annealing import _loop
from softargmax.annealing._arviz import inference_data
from softargmax.categorical import Categorical
from softargmax.schedules._schedule import Schedule

Moves = Callable[[Any, Generator], tuple[Any, Any]]
Apply = Callable[[Any, Any, int], Any]


@dataclass(frozen=True, eq=False, repr=False)
class AnnealingResult:
    """The result of a run of :func:`anneal`.

    Attributes
    ----------
    state, energy
        After the last step; the energy is NaN before the first.
    best_state, best_energy
        The first state with the lowest energy of all steps; the energy is inf before the first.
    energies : float64, shape (steps,)
        The energy after each step.
    temperatures : float64, shape (steps,)
        The temperature of each step.
    rng : Generator
        The run's generator in its state after the last step.
    steps : int
        The number of steps done.

    Examples
    --------
    >>> from softargmax.annealing import anneal
    >>> def moves(x, rng):
    ...     return [(x - 1) ** 2, x**2, (x + 1) ** 2], None
    >>> anneal(20, moves, lambda x, _, i: x + i - 1, 0.0, steps=30, rng=0)
    AnnealingResult(steps=30, energy=0, best_energy=0)
    """

    state: Any
    best_state: Any
    best_energy: float
    energies: Any
    temperatures: Any
    rng: Generator

    @property
    def steps(self) -> int:
        """The number of steps done."""
        return len(self.energies)

    @property
    def energy(self) -> float:
        """The energy of the last state."""
        return float(self.energies[-1]) if len(self.energies) else float("nan")

    def to_arviz(self, *others: AnnealingResult) -> Any:
        """The energies as ArviZ's InferenceData (a DataTree of ArviZ 1), for its diagnostics.

        A run is a chain. ESS, R-hat and autocorrelations have a meaning at a constant temperature.

        Parameters
        ----------
        *others : AnnealingResult
            Further runs of as many steps: chains 1, 2, …; this one is chain 0.

        Returns
        -------
        InferenceData or DataTree
            Group ``posterior``: ``energies`` and ``temperatures``, with dimensions chain and draw.

        Raises
        ------
        ValueError
            For runs of another length.
        TypeError
            For others that are not of this class.
        ImportError
            Without ArviZ (extra ``arviz``).

        Examples
        --------
        ::

            runs = [anneal(..., rng=seed) for seed in range(4)]
            data = runs[0].to_arviz(*runs[1:])
            arviz.ess(data), arviz.rhat(data)
        """
        for other in others:
            checks.check_instance(other, AnnealingResult, "others")
        chains = [
            {"energies": run.energies, "temperatures": run.temperatures} for run in (self, *others)
        ]
        return inference_data(chains, {}, {})

    def __repr__(self) -> str:
        return (
            f"AnnealingResult(steps={self.steps}, energy={self.energy:g}, "
            f"best_energy={self.best_energy:g})"
        )


class _Walk(NamedTuple):
    state: Any
    best_state: Any
    best_energy: float


@explained
def anneal(
    state: Any,
    moves: Moves,
    apply: Apply,
    schedule: Schedule | Callable[[int], float] | float,
    *,
    steps: int,
    rng: Rng = None,
    progress: bool = False,
    resume: AnnealingResult | _loop.File | None = None,
    checkpoint: _loop.File | None = None,
    every: int = 1000,
) -> AnnealingResult:
    r"""Simulated annealing: Boltzmann draws among candidate states, at falling temperatures.

    Step t moves to one of the candidate states that ``moves`` offers, with probabilities
    :math:`p_j \propto e^{-E_j / T_t}`; at T = 0 to one of the lowest energy.

    Parameters
    ----------
    state
        The initial state, any object that can be deep-copied; it is not changed.
    moves : callable
        ``moves(state, rng)`` returns (energies, offer): the energies of the m ≥ 1 candidate states,
        and any object from which ``apply`` can make them. An energy of +inf forbids a state.
    apply : callable
        ``apply(state, offer, index)`` returns candidate number ``index`` of the offer.
    schedule : Schedule, callable or float
        The temperature of step 0, 1, …, in [0, inf], in the units of the energies. Its steps count
        from the start of the whole run, also when that is resumed.
    steps : int
        Steps of the whole run, those of ``resume`` included.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Seeds the one NumPy Generator of the run, which ``moves`` gets too. Ctrl-C rewinds that to
        the end of the last whole step, but not the number of children spawned from it.
    progress : bool
        Whether to show a progress bar (of tqdm).
    resume : AnnealingResult or path, optional
        An earlier result of the same run, or the file in which it was saved, to continue from its
        state and generator; ``state`` and ``rng`` are then ignored. A resumed run equals an
        uninterrupted one.
    checkpoint : path, optional
        The file in which the run saves its result so far: at the start, after every ``every``-th
        step, and at the end. See the notes.
    every : int
        How many steps lie between two saves. Each writes the whole record.

    Returns
    -------
    AnnealingResult
        Ctrl-C during the steps ends the run and returns the result so far.

    Raises
    ------
    ValueError
        For energies of NaN or -inf, no allowed candidate, a temperature outside [0, inf], fewer
        steps than ``resume`` has, or a file to resume from that no run has saved.
    FileExistsError
        If ``checkpoint`` is there already and nothing is resumed.
    TypeError
        If ``moves`` does not return a pair, and for arguments of the wrong type.
    ImportError
        For a progress bar without tqdm.

    Notes
    -----
    **To optimise**, any moves will do. **To sample** the Boltzmann distribution at a constant
    temperature, every candidate must itself offer the same set of candidates: choose a site at
    random and offer all its values, the current one included (Gibbs sampling). Offering all
    neighbours of a state samples a different distribution; use the n-fold way for that, which
    weights states by their residence time: see the example of
    :func:`softargmax.gumbel.exponential_race`.

    ``apply`` should return a new state. If it changes the state in place, the run works too, but
    after Ctrl-C the state may be in the middle of a step or one step ahead, and a resumed run then
    differs from an uninterrupted one.

    **To survive the end of the process**, pass ``checkpoint=path, resume=path``, both the same: the
    same call begins the run, goes on where it was killed, and returns at once when it is done. (Of
    any other path to resume from, the file must exist.) A save replaces the file in one step, so
    that it always holds a whole result. It is a pickle: load none from a source that you do not
    trust.

    References
    ----------
    Kirkpatrick, Gelatt & Vecchi (1983), https://doi.org/10.1126/science.220.4598.671; Geman & Geman
    (1984), https://doi.org/10.1109/TPAMI.1984.4767596.

    Examples
    --------
    Colour a ring of nine sites with three colours: each step offers a random site all colours.

    >>> import numpy as np
    >>> from softargmax.annealing import anneal
    >>> from softargmax.schedules import Geometric
    >>> def moves(colours, rng):
    ...     site = rng.integers(9)
    ...     rest = np.delete(np.roll(colours, -site), 0)
    ...     clashes = np.bincount(rest[[0, -1]], minlength=3)
    ...     return clashes + (rest[1:] == rest[:-1]).sum(), site
    >>> def apply(colours, site, colour):
    ...     return np.where(np.arange(9) == site, colour, colours)
    >>> cooling = Geometric(2, 0.1, steps=200)
    >>> run = anneal(np.zeros(9, int), moves, apply, cooling, steps=200, rng=0)
    >>> run, run.best_state
    (AnnealingResult(steps=200, energy=0, best_energy=0), array([1, 0, 1, 2, 0, 2, 0, 2, 0]))
    """
    past = _loop.earlier(resume, AnnealingResult, checkpoint)
    first, steps = _loop.steps_of(past, steps)
    generator = _loop.generator_of(past, rng, Tag.ANNEALING)
    energies, temperatures = np.empty(steps), _temperatures(schedule, steps)
    checks.check_callable(moves, "moves")
    checks.check_callable(apply, "apply")
    if past is None:
        own = _loop.copied_state(state)
        walk = _Walk(own, deepcopy(own), float("inf"))
    else:
        walk = _Walk(_loop.copied_state(past.state), past.best_state, past.best_energy)
        energies[:first], temperatures[:first] = past.energies, past.temperatures

    def advance(i: int, walk: _Walk) -> _Walk:
        if temperatures[i] != temperatures[i]:  # a callable, called step by step
            temperatures[i] = _temperature(schedule(i))  # type: ignore[operator]
        offered, offer = _offered(moves(walk.state, generator), i)
        index = int(Categorical(-offered, float(temperatures[i])).sample(rng=generator))
        new = apply(walk.state, offer, index)
        energies[i] = energy = offered[index]
        if energy < walk.best_energy:  # a copy, since apply may change the state
            return _Walk(new, deepcopy(new), float(energy))
        return walk._replace(state=new)

    def result(done: int, walk: _Walk) -> AnnealingResult:
        traces = _loop.cut(energies, done), _loop.cut(temperatures, done)
        return AnnealingResult(*walk, *traces, deepcopy(generator))

    return _loop.run(
        advance, walk, first, steps, generator, result,
        progress=progress, checkpoint=checkpoint, every=every,
    )  # fmt: skip


def _temperatures(schedule: Any, steps: int) -> Any:
    """The temperatures of all steps; NaN for a callable, which is called step by step."""
    if isinstance(schedule, Schedule):
        found = np.empty(steps)
        for some in blocks(steps, 1):
            found[some] = schedule(np.arange(some.start, some.stop))
        return found
    if callable(schedule):
        return np.full(steps, np.nan)
    if not isinstance(schedule, numbers.Real):
        raise TypeError(f"schedule must be a number or a function of the step, got {schedule!r}")
    return np.full(steps, float(checks.number(schedule, "schedule", "[0, inf]")))


def _temperature(value: Any) -> float:
    """The value that a callable schedule returned: a number or an array of one."""
    if is_foreign(value) or isinstance(value, np.ndarray):
        value = to_numpy(value)
        value = value.item() if value.size == 1 else value
    return float(checks.number(value, "schedule", "[0, inf]"))


@ignore_fp_errors
def _offered(reply: Any, step: int) -> tuple[Any, Any]:
    if not isinstance(reply, tuple | list) or len(reply) != 2:
        raise TypeError(
            f"moves must return (energies, offer), got {type(reply).__name__} at step {step}"
        )
    return _loop.returned_energies(reply[0], None, f"moves at step {step}"), reply[1]
