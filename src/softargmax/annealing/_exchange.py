"""Replica exchange (parallel tempering): replicas on a coldness ladder, which swap states."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike
from softargmax._random.numpy import Generator, exponentials
from softargmax._random.sources import Rng
from softargmax._random.tags import Tag
from softargmax.annealing import _loop
from softargmax.annealing._ladder import checked_ladder, swap_gain
from softargmax.annealing._population import Energy, Sweep, copy, swept
from softargmax.annealing._record import ExchangeResult

Observables = Mapping[str, Callable[[Any], Any]]
_RARE, _LONG = 0.01, 500  # a rate of swaps that is worth a warning, after so many attempts


class _Ladder(NamedTuple):
    states: Any
    walkers: Any
    best_state: Any
    best_energy: float


@explained
def replica_exchange(
    states: Any,
    energy: Energy,
    sweep: Sweep,
    coldness: ArrayLike | None = None,
    *,
    temperatures: ArrayLike | None = None,
    steps: int,
    observables: Observables | None = None,
    burn_in: int = 0,
    thin: int = 1,
    rng: Rng = None,
    progress: bool = False,
    resume: ExchangeResult | _loop.File | None = None,
    checkpoint: _loop.File | None = None,
    every: int = 1000,
) -> ExchangeResult:
    r"""Sample a system at several coldnesses at once, by sweeps and swaps of neighbours.

    A step is a sweep of all replicas, then swaps of the pairs (0, 1), (2, 3), … in even steps and
    (1, 2), (3, 4), … in odd ones, each with probability

    .. math:: \min\bigl(1,\; e^{(\beta_{r+1} - \beta_r)(E_{r+1} - E_r)}\bigr)

    so that states trapped in a cold replica can escape through the hot ones.

    Parameters
    ----------
    states : array, shape (R, ...)
        One state for each coldness; any array that can be indexed by integers. It is not changed.
    energy : callable
        ``energy(states)`` returns the R energies: finite, or +inf for a forbidden state. It must
        not change the states.
    sweep : callable
        ``sweep(states, coldness, rng)`` returns the states after one sweep of all replicas, which
        must leave the Boltzmann distribution at coldness[r] invariant for row r. It gets a copy of
        the states and may change it; ``rng`` is a NumPy Generator.
    coldness : array, shape (R,)
        β of the replicas, strictly increasing; negative and infinite values are allowed. Or
    temperatures : array, shape (R,)
        Strictly decreasing, in [0, inf], in the units of the energies. One of the two is given.
    steps : int
        Steps of the whole run, those of ``resume`` included.
    observables : dict of str to callable, optional
        Functions of the states, such as the magnetisation: each gets all states after the swaps of
        a step, which it must not change, and returns an array (R, ...) of real numbers, row r for
        states[r]. They are recorded beside the energies.
    burn_in, thin : int
        Energies and observables are recorded at steps burn_in, burn_in + thin, …, counted from 0;
        the swaps of all steps count for the rates and the round trips.
    rng : None, int, SeedSequence, BitGenerator or Generator
    progress : bool
        Whether to show a progress bar (of tqdm).
    resume : ExchangeResult or path, optional
        An earlier result of the same run, or the file in which it was saved, to continue from its
        states and generator; ``states`` and ``rng`` are then ignored. A resumed run equals an
        uninterrupted one.
    checkpoint : path, optional
        The file in which the run saves its result so far: at the start, after every ``every``-th
        step, and at the end. The notes of :func:`anneal` say how to resume from it.
    every : int
        How many steps lie between two saves. Each writes the whole record.

    Returns
    -------
    ExchangeResult
        Ctrl-C during the steps ends the run and returns the result so far.

    Raises
    ------
    ValueError
        For a ladder out of order, shapes that do not fit, energies of NaN or -inf, fewer steps than
        ``resume`` has, a ``resume`` with another ladder or other observables, or a
        file to resume from that no run has saved.
    TypeError
        If ``sweep`` returns None, for arguments of the wrong type, and unless one of coldness and
        temperatures is given.
    FileExistsError
        If ``checkpoint`` is there already and nothing is resumed.
    ImportError
        For a progress bar without tqdm.

    Warns
    -----
    RuntimeWarning
        At the end, where two neighbours swapped in fewer than 1 % of 500 attempts or more: few
        walkers pass there. :func:`tune_ladder` makes a better ladder.

    References
    ----------
    Swendsen & Wang (1986), https://doi.org/10.1103/PhysRevLett.57.2607; Hukushima & Nemoto (1996),
    https://doi.org/10.1143/JPSJ.65.1604; even and odd swaps in turn: Syed, Bouchard-Côté,
    Deligiannidis & Doucet (2022), https://arxiv.org/abs/1905.02939.

    Examples
    --------
    A walk on a line with a barrier, which it would hardly ever cross at β = 4 alone.

    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.annealing import replica_exchange
    >>> energies = np.array([0.0, 3.0, 3.0, 0.5])
    >>> def sweep(x, coldness, rng):
    ...     new = x + rng.choice([-1, 1], len(x))
    ...     inside = (new >= 0) & (new < 4)
    ...     rise = np.where(inside, energies[new % 4] - energies[x], np.inf)
    ...     return np.where(rng.exponential(size=len(x)) >= coldness * rise, new, x)
    >>> run = replica_exchange(
    ...     np.zeros(4, int), energies.__getitem__, sweep, [0.01, 1.0, 2.0, 4.0], steps=5000, rng=0
    ... )
    >>> round(float((run.energies[:, -1] == 0.5).mean()), 2)
    0.13
    >>> Categorical.from_energies(energies, coldness=4).probs.round(2)
    array([0.88, 0.  , 0.  , 0.12])
    """
    ladder = checked_ladder(coldness, temperatures)
    replicas = len(ladder)
    checks.check_callable(energy, "energy")
    checks.check_callable(sweep, "sweep")
    functions = _checked_observables(observables)
    burn_in = checks.natural(burn_in, "burn_in")
    thin = checks.count(thin, "thin", 1, 2**62)
    past = _loop.earlier(resume, ExchangeResult, checkpoint)
    first, steps = _loop.steps_of(past, steps)
    generator = _loop.generator_of(past, rng, Tag.EXCHANGE)

    def recorded(done: int) -> int:
        """How many of the first steps are recorded."""
        return len(range(burn_in, done, thin))

    if past is None:
        start = copy(states)
        if np.ndim(start) == 0 or len(start) != replicas:
            raise ValueError(
                f"states must have {replicas} replicas on the first axis, one for each coldness, "
                f"got shape {np.shape(start)}"
            )
        own = _loop.returned_energies(energy(start), (replicas,), "energy(states)")
        low = int(own.argmin())
        at = _Ladder(start, np.arange(replicas), copy(start[low]), float(own[low]))
        shapes = {name: _observed(name, f, start, replicas).shape for name, f in functions.items()}
    else:
        _check_same(past, ladder, functions, burn_in, thin)
        places = past.walkers[-1] if first else np.arange(replicas)
        at = _Ladder(past.states, places, past.best_state, past.best_energy)
        shapes = {name: (replicas, *x.shape[2:]) for name, x in past.observables.items()}
    walkers = np.empty((steps, replicas), np.int64)
    energies = np.empty((recorded(steps), replicas))
    observed = {name: np.empty((recorded(steps), *shape)) for name, shape in shapes.items()}
    if past is not None:
        walkers[:first], energies[: recorded(first)] = past.walkers, past.energies
        for name, x in past.observables.items():
            observed[name][: recorded(first)] = x

    def advance(i: int, at: _Ladder) -> _Ladder:
        moved = swept(sweep, at.states, ladder, generator)
        own = _loop.returned_energies(energy(moved), (replicas,), "energy(states)")
        low = int(own.argmin())
        best = at.best_state, at.best_energy
        if own[low] < at.best_energy:
            best = copy(moved[low]), float(own[low])
        order = _swapped(ladder, own, i % 2, generator)
        walkers[i], after = at.walkers[order], moved[order]
        if recorded(i + 1) > recorded(i):
            energies[recorded(i)] = own[order]
            for name, f in functions.items():
                observed[name][recorded(i)] = _observed(name, f, after, replicas, shapes[name])
        return _Ladder(after, walkers[i].copy(), *best)

    def result(done: int, at: _Ladder) -> ExchangeResult:
        return ExchangeResult(
            at.states,
            at.best_state,
            at.best_energy,
            ladder,
            _loop.cut(energies, recorded(done)),
            _loop.cut(walkers, done),
            deepcopy(generator),
            {name: _loop.cut(x, recorded(done)) for name, x in observed.items()},
            burn_in,
            thin,
        )

    made = _loop.run(
        advance, at, first, steps, generator, result,
        progress=progress, checkpoint=checkpoint, every=every,
    )  # fmt: skip
    _warn_of_rare_swaps(made)
    return made


def _checked_observables(observables: Any) -> dict[str, Callable[[Any], Any]]:
    found = {} if observables is None else observables
    if not isinstance(found, Mapping):
        raise TypeError(f"observables must be a dict of functions, got {type(found).__name__}")
    for name, f in found.items():
        if not isinstance(name, str):
            raise TypeError(f"observables must have strings for names, got {name!r}")
        if name == "energies":
            raise ValueError("observables must not be named 'energies', which are recorded anyway")
        checks.check_callable(f, f"observables[{name!r}]")
    return dict(found)


def _observed(
    name: str, f: Callable[[Any], Any], states: Any, replicas: int, shape: Any = None
) -> Any:
    """An observable of the states, of this shape, which is one with R rows for None."""
    answer = f(states)
    found = checks.real_array(answer, f"observables[{name!r}]", np, answer).astype(np.float64)
    if found.shape[:1] != (replicas,) if shape is None else found.shape != shape:
        wanted = f"({replicas}, ...)" if shape is None else shape
        raise ValueError(
            f"observables[{name!r}] must return shape {wanted}, got shape {found.shape}"
        )
    return found


def _check_same(
    past: ExchangeResult, ladder: Any, functions: dict[str, Any], burn_in: int, thin: int
) -> None:
    """Check that a run goes on as it began."""
    if not np.array_equal(ladder, past.coldness):
        raise ValueError(f"coldness must be that of resume, {past.coldness}, got {ladder}")
    if set(functions) != set(past.observables):
        raise ValueError(
            f"observables must be those of resume, {sorted(past.observables)}, "
            f"got {sorted(functions)}"
        )
    if (burn_in, thin) != (past.burn_in, past.thin):
        raise ValueError(
            f"burn_in and thin must be those of resume, {past.burn_in} and {past.thin}, "
            f"got {burn_in} and {thin}"
        )


def _warn_of_rare_swaps(result: ExchangeResult) -> None:
    swaps, attempts = result._swaps()
    for r in np.flatnonzero((attempts >= _LONG) & (swaps < _RARE * attempts)):
        low, high = result.coldness[r : r + 2]
        warnings.warn(
            f"replicas {r} and {r + 1}, at coldness {low:g} and {high:g}, swapped in {swaps[r]} of "
            f"{attempts[r]} attempts, so hardly any walker passes between them; put more rungs "
            "there (annealing.tune_ladder)",
            RuntimeWarning,
            stacklevel=4,  # the caller of replica_exchange, beyond what explains its keywords
        )


def _swapped(coldness: Any, energies: Any, parity: int, rng: Generator) -> Any:
    """The new order of the replicas: pairs of neighbours from ``parity`` on, swapped or not."""
    order = np.arange(len(coldness))
    left = order[parity:-1:2]
    right = left + 1
    gain = swap_gain(coldness[left], coldness[right], energies[left], energies[right])
    swap = exponentials(rng, gain.shape) >= -gain  # with probability min(1, exp(gain))
    order[left[swap]], order[right[swap]] = right[swap], left[swap]
    return order
