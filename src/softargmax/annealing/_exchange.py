"""Replica exchange (parallel tempering): replicas on a coldness ladder, which swap states."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    ArrayLike,
    copied,
    ignore_fp_errors,
    is_foreign,
    namespace_of,
    read_only,
    unwrap,
)
from softargmax._random.numpy import Generator, exponentials
from softargmax._random.sources import Rng
from softargmax._random.tags import Tag
from softargmax.annealing import _loop


@dataclass(frozen=True, eq=False, repr=False)
class ExchangeResult:
    """The result of a run of :func:`replica_exchange`; replica r is the one at coldness[r].

    Attributes
    ----------
    states : array, shape (R, ...)
        The states after the last step.
    coldness : float64, shape (R,)
    best_state, best_energy
        The state of the lowest energy, among the initial states and those after each sweep.
    energies : float64, shape (steps, R)
        The energies after each step; column r is a sample at coldness[r].
    walkers : int64, shape (steps, R)
        The walker at each replica after each step; walkers are numbered by their initial replica.
    rng : Generator
        The run's generator in its state after the last step.
    swap_rates : float64, shape (R - 1,)
        Accepted swaps over attempts, for each pair of neighbours; NaN without an attempt.
    round_trips : int64, shape (R,)
        How often each walker has gone from one end of the ladder to the other and back.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.annealing import replica_exchange
    >>> energies = np.array([0.0, 9.0, 1.0])
    >>> run = replica_exchange(
    ...     np.zeros(3, int),
    ...     lambda x: energies[x],
    ...     lambda x, b, rng: Categorical.from_energies(energies, coldness=b).sample(rng=rng),
    ...     [0.0, 0.5, 1.0],
    ...     steps=2000,
    ...     rng=0,
    ... )
    >>> run
    ExchangeResult(steps=2000, replicas=3, best_energy=0, swap_rates=0.58…0.89)
    >>> run.energies.mean(axis=0).round(1)
    array([3.4, 0.5, 0.3])
    """

    states: Any
    best_state: Any
    best_energy: float
    coldness: Any
    energies: Any
    walkers: Any
    rng: Generator

    @property
    def swap_rates(self) -> Any:
        """Accepted swaps over attempts for each pair of neighbours, (R - 1,)."""
        steps, replicas = self.walkers.shape
        before = np.concatenate([np.arange(replicas)[None], self.walkers[:-1]])[:steps]
        swaps = (self.walkers[:, :-1] == before[:, 1:]).sum(axis=0)
        odd = np.arange(replicas - 1) % 2
        attempts = (steps + 1 - odd) // 2
        rates = np.full(len(odd), np.nan)
        return read_only(np.divide(swaps, attempts, out=rates, where=attempts > 0))

    @property
    def round_trips(self) -> Any:
        """Round trips of each walker between the ends of the ladder, (R,)."""
        replicas = self.walkers.shape[1]
        trips = np.zeros(replicas, np.int64)
        if replicas == 1:
            return read_only(trips)
        both = np.concatenate([np.arange(replicas)[None], self.walkers])[:, [0, -1]]
        for walker in range(replicas):
            # The ends that this walker visits, in order.
            ends = np.nonzero(both == walker)[1]
            changes = int((ends[1:] != ends[:-1]).sum())
            trips[walker] = changes // 2
        return read_only(trips)

    def __repr__(self) -> str:
        steps, replicas = self.walkers.shape
        parts = [f"steps={steps}", f"replicas={replicas}", f"best_energy={self.best_energy:g}"]
        if replicas > 1 and steps > 1:
            rates = self.swap_rates
            parts.append(f"swap_rates={rates.min():.2g}…{rates.max():.2g}")
        return f"ExchangeResult({', '.join(parts)})"


class _Ladder(NamedTuple):
    states: Any
    walkers: Any
    best_state: Any
    best_energy: float


def replica_exchange(
    states: Any,
    energy: Callable[[Any], Any],
    sweep: Callable[[Any, Any, Generator], Any],
    coldness: ArrayLike,
    *,
    steps: int,
    rng: Rng = None,
    progress: bool = False,
    resume: ExchangeResult | None = None,
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
        Strictly increasing; negative and infinite values are allowed.
    steps : int
        Steps of the whole run, those of ``resume`` included.
    rng : None, int, SeedSequence, BitGenerator or Generator
    progress : bool
        Whether to show a progress bar (of tqdm).
    resume : ExchangeResult, optional
        An earlier result of the same run, to continue from its states and generator; ``states``
        and ``rng`` are then ignored. A resumed run equals an uninterrupted one.

    Returns
    -------
    ExchangeResult
        Ctrl-C during the steps ends the run and returns the result so far.

    Raises
    ------
    ValueError
        For a coldness that is not strictly increasing, shapes that do not fit, energies of NaN or
        -inf, fewer steps than ``resume`` has, or a ``resume`` with another ladder.
    TypeError
        If ``sweep`` returns None, and for arguments of the wrong type.
    ImportError
        For a progress bar without tqdm.

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
    first, steps, generator = _loop.begin(resume, ExchangeResult, steps, rng, Tag.EXCHANGE)
    ladder = _checked_ladder(coldness)
    checks.check_callable(energy, "energy")
    checks.check_callable(sweep, "sweep")
    replicas = len(ladder)
    if resume is None:
        start = _copy(states)
        if np.ndim(start) == 0 or len(start) != replicas:
            raise ValueError(
                f"states must have {replicas} replicas on the first axis, one for each coldness, "
                f"got shape {np.shape(start)}"
            )
        own = _loop.returned_energies(energy(start), (replicas,), "energy(states)")
        low = int(own.argmin())
        at = _Ladder(start, np.arange(replicas), _copy(start[low]), float(own[low]))
    else:
        if not np.array_equal(ladder, resume.coldness):
            raise ValueError(f"coldness must be that of resume, {resume.coldness}, got {ladder}")
        places = resume.walkers[-1] if first else np.arange(replicas)
        at = _Ladder(resume.states, places, resume.best_state, resume.best_energy)
    energies, walkers = np.empty((steps, replicas)), np.empty((steps, replicas), np.int64)
    if resume is not None:
        energies[:first], walkers[:first] = resume.energies, resume.walkers

    def advance(i: int, at: _Ladder) -> _Ladder:
        moved = sweep(_copy(at.states), ladder, generator)
        if moved is None:
            raise TypeError("sweep must return the states, got None")
        moved = moved if is_foreign(moved) else np.asarray(moved)
        if tuple(moved.shape) != tuple(at.states.shape):
            raise ValueError(
                f"sweep must return states of shape {tuple(at.states.shape)}, "
                f"got shape {tuple(moved.shape)}"
            )
        own = _loop.returned_energies(energy(moved), (replicas,), "energy(states)")
        low = int(own.argmin())
        best = at.best_state, at.best_energy
        if own[low] < at.best_energy:
            best = _copy(moved[low]), float(own[low])
        order = _swapped(ladder, own, i % 2, generator)
        energies[i], walkers[i] = own[order], at.walkers[order]
        return _Ladder(moved[order], walkers[i].copy(), *best)

    done, at = _loop.run(advance, at, first, steps, generator, progress)
    return _loop.finished(
        lambda: ExchangeResult(
            at.states,
            at.best_state,
            at.best_energy,
            ladder,
            _loop.cut(energies, done),
            _loop.cut(walkers, done),
            deepcopy(generator),
        )
    )


def _copy(states: Any) -> Any:
    if is_foreign(states):
        return copied(states, namespace_of(states))
    try:
        array = np.array(states)
    except ValueError as error:
        raise ValueError(f"states must be an array: {error}") from None
    # A shallow copy would share the objects of an array, which may be changed in place.
    return unwrap(deepcopy(array) if array.dtype == object else array)


def _checked_ladder(coldness: ArrayLike) -> Any:
    ladder = checks.real_array(coldness, "coldness", np, coldness).astype(np.float64)
    if ladder.ndim != 1 or not ladder.size:
        raise ValueError(f"coldness must have shape (R,) with R ≥ 1, got shape {ladder.shape}")
    if not (ladder[1:] > ladder[:-1]).all() or np.isnan(ladder).any():
        raise ValueError(f"coldness must be strictly increasing, got {ladder}")
    return read_only(ladder)


@ignore_fp_errors
def _swapped(coldness: Any, energies: Any, parity: int, rng: Generator) -> Any:
    """The new order of the replicas: pairs of neighbours from ``parity`` on, swapped or not."""
    order = np.arange(len(coldness))
    left = order[parity:-1:2]
    right = left + 1
    rise = np.where(energies[right] == energies[left], 0, energies[right] - energies[left])
    gain = np.where(rise == 0, 0, (coldness[right] - coldness[left]) * rise)
    swap = exponentials(rng, gain.shape) >= -gain  # with probability min(1, exp(gain))
    order[left[swap]], order[right[swap]] = right[swap], left[swap]
    return order
