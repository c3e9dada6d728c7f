"""Sequential Monte Carlo over a ladder of coldness, and annealed importance sampling."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, read_only
from softargmax._random.numpy import Generator
from softargmax._random.sources import Rng
from softargmax._random.tags import Tag
from softargmax.annealing import _loop
from softargmax.annealing._ladder import checked_ladder
from softargmax.annealing._population import Energy, Sweep, copy, swept
from softargmax.categorical import Categorical
from softargmax.resampling import effective_sample_size, next_coldness, resample
from softargmax.thermodynamics import log_partition


@dataclass(frozen=True, eq=False, repr=False)
class SMCResult:
    r"""The result of a run of :func:`smc`: n weighted particles at the last coldness, and log Z.

    Attributes
    ----------
    states : array, shape (n, ...)
        The particles after the last sweep.
    log_weights : float64, shape (n,)
        The logarithms of their weights, up to a constant.
    particles : Categorical
        Of the log-weights: ``particles.expectation(f)`` is the mean of f, (n,), at the last
        coldness.
    energies : float64, shape (n,)
        Of the states.
    coldness : float64, shape (steps + 1,)
        The levels, from the initial one on; without a ladder the first may occur twice, where many
        of the initial states are forbidden.
    log_z : float64, shape (steps + 1,)
        Estimates of :math:`\log (Z(\beta) / Z(\beta_0))` at each level; 0 at the first.
    log_z_error : float64, shape (steps + 1,)
        Their standard errors.
    sizes : float64, shape (steps + 1,)
        The effective sample size at each level, before it is resampled.
    steps : int
        The number of steps done: levels beyond the first.
    ancestors : int64, shape (n,)
        The initial particle from which each one descends.
    rng : Generator
        The run's generator in its state after the last step.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> from softargmax.annealing import smc
    >>> def sweep(x, coldness, rng):  # independent draws
    ...     return rng.normal(size=x.shape) / np.sqrt(1 + coldness)
    >>> start = default_rng(1).normal(size=1000)
    >>> run = smc(start, lambda x: x**2 / 2, sweep, final=99.0, rng=0)
    >>> run  # log Z is -log(100) / 2 = -2.303
    SMCResult(steps=3, particles=1000, coldness=99, log_z=-2.265±0.05)
    >>> run.particles.expectation(run.energies).round(4)
    np.float64(0.0048)
    """

    states: Any
    log_weights: Any
    energies: Any
    coldness: Any
    log_z: Any
    sizes: Any
    ancestors: Any
    rng: Generator
    _variance: Any  # estimates may be negative, and a resumed run goes on from them

    @property
    def steps(self) -> int:
        """The number of steps done."""
        return len(self.coldness) - 1

    @property
    def log_z_error(self) -> Any:
        """The standard errors of log_z, (steps + 1,)."""
        return read_only(np.sqrt(np.maximum(self._variance, 0)))

    @property
    def particles(self) -> Categorical:
        """The weighted particles, a distribution over their numbers."""
        return Categorical(self.log_weights)

    def __repr__(self) -> str:
        return (
            f"SMCResult(steps={self.steps}, particles={len(self.energies)}, "
            f"coldness={self.coldness[-1]:.6g}, "
            f"log_z={self.log_z[-1]:.4g}±{self.log_z_error[-1]:.1g})"
        )


class _Cloud(NamedTuple):
    """The particles, and what is known at each level so far."""

    states: Any
    log_weights: Any
    energies: Any
    ancestors: Any
    coldness: tuple[float, ...]
    log_z: tuple[float, ...]
    variance: tuple[float, ...]  # of Z over its square
    sizes: tuple[float, ...]


@explained
def smc(
    states: Any,
    energy: Energy,
    sweep: Sweep,
    *,
    coldness: ArrayLike | None = None,
    start: float | None = None,
    final: float | None = None,
    ess: float = 0.5,
    steps: int | None = None,
    rng: Rng = None,
    progress: bool = False,
    resume: SMCResult | _loop.File | None = None,
    checkpoint: _loop.File | None = None,
    every: int = 1,
) -> SMCResult:
    r"""Carry particles from one coldness to another, and estimate log Z on the way.

    A step weights the particles, resamples them if the weights have become too uneven, and sweeps
    them at the new coldness β'. The mean of the weights estimates the ratio of partition functions,

    .. math:: Z(\beta') / Z(\beta) = \sum_i w_i e^{-(\beta' - \beta) E_i}, \qquad \sum_i w_i = 1

    Parameters
    ----------
    states : array, shape (n, ...)
        Independent draws from the Boltzmann distribution at the first coldness (at β = 0, uniform
        draws); any array that can be indexed by integers. It is not changed.
    energy : callable
        ``energy(states)`` returns the n energies: finite, or +inf for a forbidden state. It must
        not change the states.
    sweep : callable
        ``sweep(states, coldness, rng)`` returns the states after one or more sweeps, which must
        leave the Boltzmann distribution at coldness[i] invariant for row i; the coldness is an
        array (n,) of equal numbers, so that a sweep for :func:`replica_exchange` serves here too.
        It gets a copy of the states and may change it; ``rng`` is a NumPy Generator.
    coldness : array, shape (L,), optional
        A fixed ladder: finite and strictly increasing, from the coldness of the states on. When
        None, each step goes as far as an effective sample size of ess·n allows.
    start, final : float
        Without a ladder, the coldness of the states, 0 when None, and the one at which to end, 1
        when None; both finite.
    ess : float
        Particles are resampled (scheme "ssp") where their effective sample size is ess·n or less.
        With 0 they never are: given a ladder, the run is then annealed importance sampling.
    steps : int, optional
        The most steps to run; all when None.
    rng : None, int, SeedSequence, BitGenerator or Generator
        As for :func:`anneal`.
    progress : bool
        Whether to show a progress bar (of tqdm).
    resume : SMCResult or path, optional
        An earlier result of the same run, or the file in which it was saved, to continue from its
        particles and generator; ``states`` and ``rng`` are then ignored. A resumed run equals an
        uninterrupted one.
    checkpoint : path, optional
        The file in which the run saves its result so far: at the start, after every ``every``-th
        step, and at the end. The notes of :func:`anneal` say how to resume from it.
    every : int
        How many steps lie between two saves.

    Returns
    -------
    SMCResult
        Ctrl-C during the steps ends the run and returns the result so far.

    Raises
    ------
    ValueError
        For a ladder out of order, or given beside start or final, numbers out of range, shapes that
        do not fit, energies of NaN or -inf or all of them +inf, an ess of 0 or 1 without a ladder,
        at which no step is possible, a ``resume`` from other levels or with more steps, or a file
        to resume from that no run has saved.
    TypeError
        If ``sweep`` returns None, and for arguments of the wrong type.
    FileExistsError
        If ``checkpoint`` is there already and nothing is resumed.
    ImportError
        For a progress bar without tqdm.

    Notes
    -----
    **With a fixed ladder** the estimate of Z is unbiased, for any number of particles, any sweeps
    and any ``ess`` (log Z is too low by half its variance). An adaptive ladder depends on the
    particles: then Z is only consistent, with a bias of order 1/n. To have both, use the levels
    that one run has found, ``np.unique(run.coldness)``, as the ladder of another.

    **The standard error** comes from the run itself, from how unevenly the weight falls on the
    initial particles, whose descendants are correlated (Lee & Whiteley 2018; the unevenness from
    resampling itself is subtracted as it occurred, so that the estimate holds for this scheme). It
    accounts for sweeps that are too short to decorrelate, as long as many initial particles have
    descendants: see ``len(set(run.ancestors))``. It is NaN for one particle.

    References
    ----------
    Del Moral, Doucet & Jasra (2006), https://doi.org/10.1111/j.1467-9868.2006.00553.x; annealed
    importance sampling: Neal (2001), https://arxiv.org/abs/physics/9803008; adaptive ladders:
    Beskos, Jasra, Kantas & Thiery (2016), https://arxiv.org/abs/1306.6462; the error: Lee &
    Whiteley (2018), https://arxiv.org/abs/1509.00394.

    Examples
    --------
    The partition function of a ring of 12 Ising spins, (2 cosh β)¹² + (2 sinh β)¹².

    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> from softargmax.annealing import smc
    >>> def energy(spins):
    ...     return -(spins * np.roll(spins, 1, axis=1)).sum(axis=1)
    >>> def sweep(spins, coldness, rng):
    ...     for part in (slice(0, None, 2), slice(1, None, 2)):
    ...         around = (np.roll(spins, 1, axis=1) + np.roll(spins, -1, axis=1))[:, part]
    ...         up = rng.random(around.shape) < 1 / (1 + np.exp(-2 * coldness[:, None] * around))
    ...         spins[:, part] = np.where(up, 1, -1)
    ...     return spins
    >>> start = default_rng(1).choice([-1, 1], (2000, 12))
    >>> run = smc(start, energy, sweep, final=1.5, rng=0)
    >>> run.coldness.round(2)
    array([0.  , 0.25, 0.55, 0.86, 1.29, 1.5 ])
    >>> log_z, error = 12 * np.log(2) + run.log_z[-1], run.log_z_error[-1]
    >>> exact = np.log((2 * np.cosh(1.5)) ** 12 + (2 * np.sinh(1.5)) ** 12)
    >>> log_z.round(2), error.round(2), exact.round(2)
    (np.float64(18.81), np.float64(0.08), np.float64(18.85))
    """
    ladder = None if coldness is None else _finite_ladder(coldness)
    begin, end = _ends(ladder, start, final)
    ess = float(checks.number(ess, "ess", "[0, 1]"))
    if ladder is None and ess in (0, 1):
        raise ValueError(f"ess must be in (0, 1) without a ladder (coldness=), got {ess:g}")
    most = None if steps is None else checks.count(steps, "steps", 0, 2**62)
    checks.check_callable(energy, "energy")
    checks.check_callable(sweep, "sweep")
    past = _loop.earlier(resume, SMCResult, checkpoint)
    generator = _loop.generator_of(past, rng, Tag.SMC)
    if past is None:
        own = copy(states)
        if np.ndim(own) == 0 or not len(own):
            raise ValueError(f"states must have shape (n, ...), n ≥ 1, got shape {np.shape(own)}")
        n = len(own)
        energies = _loop.returned_energies(energy(own), (n,), "energy(states)")
        at = _Cloud(own, np.zeros(n), energies, np.arange(n), (begin,), (0.0,), (0.0,), (n,))
    else:
        at = _cloud_of(past, begin, end, ladder)
        n = len(at.energies)

    def over(at: _Cloud) -> bool:
        return at.coldness[-1] == end

    def advance(i: int, at: _Cloud) -> _Cloud:
        alive = np.isfinite(at.energies) & (at.log_weights > -np.inf)
        if not alive.any():
            raise ValueError("energies of energy(states) must be finite where a weight is, got inf")
        colder = _next_level(at, alive, ess, end) if ladder is None else float(ladder[i + 1])
        at = _weighted(at, colder)
        if at.sizes[-1] <= ess * n * (1 + 1e-9):  # next_coldness meets it up to rounding
            parents = resample(Categorical(at.log_weights), n, scheme="ssp", rng=generator)
            at = at._replace(
                states=at.states[parents],
                log_weights=np.zeros(n),
                ancestors=at.ancestors[parents],
            )
        moved = swept(sweep, at.states, np.full(n, colder), generator)
        energies = _loop.returned_energies(energy(moved), (n,), "energy(states)")
        return at._replace(states=moved, energies=energies)

    def result(_done: int, at: _Cloud) -> SMCResult:
        return SMCResult(
            states=at.states,
            log_weights=_held(at.log_weights),
            energies=_held(at.energies),
            coldness=_held(at.coldness),
            log_z=_held(at.log_z),
            sizes=_held(at.sizes),
            ancestors=read_only(at.ancestors.copy()),
            rng=deepcopy(generator),
            _variance=_held(at.variance),
        )

    first = len(at.coldness) - 1
    last = most if ladder is None or (most is not None and most < len(ladder)) else len(ladder) - 1
    if last is not None and first > last:
        raise ValueError(f"steps must be at least {first}, those of resume, got {last}")
    return _loop.run(
        advance, at, first, last, generator, result,
        progress=progress, checkpoint=checkpoint, every=every, over=over,
    )  # fmt: skip


def _held(x: Any) -> Any:
    return read_only(np.array(x, np.float64))


def _finite_ladder(coldness: ArrayLike) -> Any:
    ladder = checked_ladder(coldness)
    if not np.isfinite(ladder).all():
        raise ValueError(f"coldness must be finite, got {ladder}")
    return ladder


def _ends(ladder: Any, start: float | None, final: float | None) -> tuple[float, float]:
    """The first coldness and the last."""
    if ladder is not None:
        for name, value in (("start", start), ("final", final)):
            if value is not None:
                raise ValueError(f"{name} must be None beside a ladder (coldness=), got {value!r}")
        return float(ladder[0]), float(ladder[-1])
    begin = float(checks.number(0.0 if start is None else start, "start", "(-inf, inf)"))
    end = float(checks.number(1.0 if final is None else final, "final", "(-inf, inf)"))
    if end < begin:
        raise ValueError(f"final must be at least start={begin:g}, got {end:g}")
    return begin, end


def _cloud_of(past: SMCResult, begin: float, end: float, ladder: Any) -> _Cloud:
    """The particles to continue with, if they are on the way of this run."""
    done = past.coldness
    way = np.array([begin]) if ladder is None else ladder[: len(done)]
    if not np.array_equal(done[: len(way)], way) or done[-1] > end:
        raise ValueError(f"resume must have the levels of this run, got coldness {done}")
    return _Cloud(
        past.states,
        past.log_weights,
        past.energies,
        past.ancestors,
        tuple(done.tolist()),
        tuple(past.log_z.tolist()),
        tuple(past._variance.tolist()),
        tuple(past.sizes.tolist()),
    )


def _next_level(at: _Cloud, alive: Any, ess: float, end: float) -> float:
    """The next coldness; the same one where there are too many forbidden states to go on."""
    beta = at.coldness[-1]
    left = Categorical(np.where(alive, at.log_weights, -np.inf))
    if effective_sample_size(left) < ess * len(alive) * (1 - 1e-12):
        if beta in at.coldness[:-1]:  # else without end
            raise ValueError(
                f"sweep must not lead to states of energy +inf from others, at coldness {beta:g}"
            )
        return beta  # without them, and resampled
    colder = float(
        next_coldness(at.energies, beta, target=ess, log_weights=at.log_weights, final=end)
    )
    if colder == beta:
        raise ValueError(f"ess must leave room for a step from coldness {beta:g}, got {ess:g}")
    return colder


@ignore_fp_errors
def _weighted(at: _Cloud, colder: float) -> _Cloud:
    """The particles with their weights at the next coldness."""
    fall = np.where(at.energies == np.inf, -np.inf, -(colder - at.coldness[-1]) * at.energies)
    after = Categorical(at.log_weights + fall)
    before = Categorical(at.log_weights)
    rise = float(log_partition(after) - log_partition(before))
    n = len(fall)
    # Families are the descendants of one initial particle, their weights p; uneven weights of
    # independent families are what varies. Resampling makes them uneven too, but not here.
    uneven = [
        float((np.bincount(at.ancestors, dist.probs, minlength=n) ** 2).sum())
        for dist in (after, before)
    ]
    gained = (uneven[0] - uneven[1]) * n / (n - 1) if n > 1 else np.nan
    return at._replace(
        log_weights=after.log_probs,
        coldness=(*at.coldness, colder),
        log_z=(*at.log_z, at.log_z[-1] + rise),
        variance=(*at.variance, at.variance[-1] + gained),
        sizes=(*at.sizes, float(effective_sample_size(after))),
    )
