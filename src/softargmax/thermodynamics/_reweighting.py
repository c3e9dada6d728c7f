"""Reweighting: what runs at several coldnesses say about any coldness between them (MBAR)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Shape,
    ignore_fp_errors,
    is_traced,
    read_only,
    to_numpy,
    unwrap,
)
from softargmax.categorical import Categorical

# A last step of log Z; the next would be about its square, of which errors need no more digits.
_CLOSE, _NEAR = 1e-12, 1e-3
_APART = 1e-8  # below this share of samples in common, two parts of a ladder say nothing together


class _Pool(NamedTuple):
    """The samples of all rungs together.

    The weight of a sample depends on its energy alone, so that equal energies are one level, with
    the number of samples there as its multiplicity.
    """

    levels: Array  # the different energies less ``centre``, (U,)
    centre: float  # what is taken off the energies, lest β·E lose digits
    place: Array  # the level of each sample, (N,)
    block: Array  # the block of time of each sample, (N,)
    blocks: int
    sizes: Array  # samples in each block from each rung, (blocks, R)
    rung: Array  # the rung of each sample, (N,)
    shapes: tuple[Shape, ...]  # of the arrays that were given


class _Sample(NamedTuple):
    """What a solution is of: all samples, or those without a block."""

    counts: Array  # at each level, (U,)
    sizes: Array  # of each rung, (R,)
    sums: Array  # of observed values at each level, (U, P)


class _Fit(NamedTuple):
    """The solved equations."""

    pool: _Pool
    rungs: Array  # their coldness, (R,)
    log_z: Array  # log Z of the rungs: of all samples, and without each block, (1 + blocks, R)


@dataclass(frozen=True, eq=False, repr=False)
class ReweightingResult:
    """The result of :func:`reweight`, at each coldness of ``to``.

    Attributes
    ----------
    coldness : float64, shape (...)
        That of ``to``.
    log_partition, energy, heat_capacity : float64, shape (...)
        log Z, zero at the first rung or as ``log_states`` fixes it; the mean energy; and
        β² Var E, in units of k_B.
    log_partition_error, energy_error, heat_capacity_error : float64, shape (...)
        Their standard errors, by the jackknife over blocks of time.
    weights : Categorical, batch_shape (...)
        The pooled samples as categories, each with its weight: in the order of
        ``energies.ravel()``, or rung after rung where a list was given.
        ``resampling.effective_sample_size`` of it tells how many samples count at a coldness, and
        ``resampling.resample`` draws states there.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy.random import default_rng
    >>> from softargmax.resampling import effective_sample_size
    >>> from softargmax.thermodynamics import reweight
    >>> energies = default_rng(0).exponential(1 / np.array([1.0, 4.0]), (1000, 2))
    >>> found = reweight(energies, [1.0, 4.0], to=[1.0, 2.0, 20.0])
    >>> found
    ReweightingResult(shape=(3,), samples=2000, rungs=2)
    >>> effective_sample_size(found.weights).round()
    array([1552., 1860.,  441.])
    """

    coldness: Any
    log_partition: Any
    log_partition_error: Any
    energy: Any
    energy_error: Any
    heat_capacity: Any
    heat_capacity_error: Any
    _fit: _Fit

    @property
    def weights(self) -> Categorical:
        """The pooled samples as a distribution at each coldness."""
        pool, rungs, log_z = self._fit
        mixture = _log_mixture(pool, rungs, log_z[0], pool.sizes.sum(axis=0))
        each = -self.coldness[..., None] * pool.levels - mixture
        return Categorical(each[..., pool.place])

    def average(self, observable: ArrayLike) -> tuple[Any, Any]:
        r"""The mean of an observable at each coldness, and its standard error.

        .. math:: \langle A \rangle_\beta = \sum_n w_n(\beta) A_n, \qquad \sum_n w_n(\beta) = 1

        Parameters
        ----------
        observable : array, shape (steps, R, ...)
            Its values in the states whose energies were given; a list of R arrays (steps, ...)
            where those were a list.

        Returns
        -------
        mean, error : float64, each of shape coldness.shape + (...)

        Raises
        ------
        ValueError, TypeError
            For values that are not finite real numbers, or of a shape that does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from numpy.random import default_rng
        >>> from softargmax.thermodynamics import reweight
        >>> energies = default_rng(0).exponential(1 / np.array([1.0, 4.0]), (1000, 2))
        >>> mean, error = reweight(energies, [1.0, 4.0], to=2.0).average(energies**2)
        >>> mean.round(2), error.round(2)  # exactly 2/β² = 0.5
        (np.float64(0.49), np.float64(0.02))
        """
        pool, rungs, log_z = self._fit
        values, tail = _observed(observable, pool.shapes)
        points = np.ravel(self.coldness)
        found = np.empty((1 + pool.blocks, len(points), values.shape[1]))
        for i, own in enumerate(_replicates(pool, values)):
            mixture = _log_mixture(pool, rungs, log_z[i], own.sizes)
            for m, beta in enumerate(points):
                found[i, m] = _law(pool, beta, mixture, own.counts)[0] @ own.sums
        mean, error = (
            unwrap(x.reshape((*np.shape(self.coldness), *tail))) for x in _jackknifed(found)
        )
        return mean, error

    def __repr__(self) -> str:
        shape, samples = np.shape(self.coldness), len(self._fit.pool.place)
        return f"ReweightingResult(shape={shape}, samples={samples}, rungs={len(self._fit.rungs)})"


@ignore_fp_errors
def reweight(
    energies: ArrayLike | Sequence[ArrayLike],
    coldness: ArrayLike,
    *,
    to: ArrayLike,
    log_states: float | None = None,
    reference: float | None = None,
    blocks: int = 20,
) -> ReweightingResult:
    r"""Combine runs at several coldnesses into estimates at any coldness between them (MBAR).

    All samples are pooled, each with the weight that its energy has at the coldness asked for:

    .. math:: Z(\beta) = \sum_n \frac{e^{-\beta E_n}}{\sum_r N_r\, e^{-\beta_r E_n} / Z(\beta_r)},
              \qquad w_n(\beta) \propto
              \frac{e^{-\beta E_n}}{\sum_r N_r\, e^{-\beta_r E_n} / Z(\beta_r)}

    which are solved for the Z(β_r) of the rungs. No histogram is made: it is the multi-histogram
    method with bins of width 0.

    Parameters
    ----------
    energies : array, shape (steps, R), or R arrays of shape (steps,)
        The energies of samples at each coldness: ``run.energies`` of a replica exchange. Finite.
        A list of R sequences has one for each rung, which may differ in length.
    coldness : array, shape (R,)
        β of each rung, finite; 0 and negative ones are allowed.
    to : float or array, shape (...)
        The coldnesses to estimate at, finite. Beyond the rungs few samples have weight, and the
        errors are unreliable.
    log_states : float, optional
        The logarithm of the number of states, which is log Z at coldness 0. Then log Z is absolute.
    reference : float, optional
        Without ``log_states``, the finite coldness at which log Z is 0: the results are log Z minus
        log Z there, with the error of this difference. By default the first rung.
    blocks : int
        Into how many blocks of time the samples are divided for the errors, from 2 to the number
        of steps. Leave them much longer than the autocorrelation time.

    Returns
    -------
    ReweightingResult

    Raises
    ------
    ValueError
        For numbers that are not finite or out of range, shapes that do not fit, ``log_states``
        beside ``reference``, and rungs whose energies do not overlap at all, so that nothing says
        how their partition functions compare.
    TypeError
        For arguments that are not real numbers, or traced arrays.

    Notes
    -----
    An error is that of the delete-one-block jackknife: the equations are solved again without each
    block of time, of all rungs at once. So it accounts for correlated steps, if blocks are longer
    than the correlation, and for correlated rungs that swapped states. It has a relative error of
    about 1/√(2·blocks): 16 % with 20, where an interval of 95 % is ±2.09 errors (Student's t).

    Results are NumPy arrays, whatever the library of the inputs. Leave out the first steps of a
    run, before equilibrium, yourself.

    References
    ----------
    Shirts & Chodera (2008), https://arxiv.org/abs/0801.1426; Ferrenberg & Swendsen (1989),
    https://doi.org/10.1103/PhysRevLett.63.1195; the jackknife over blocks: Künsch (1989),
    https://doi.org/10.1214/aos/1176347265.

    Examples
    --------
    Two levels, sampled at two coldnesses; log Z is exactly log(1 + exp(-β)).

    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.thermodynamics import reweight
    >>> energies = Categorical.from_energies([0.0, 1.0], coldness=[0.5, 2.0]).sample(5000, rng=0)
    >>> found = reweight(energies, [0.5, 2.0], to=[0.0, 1.0], log_states=np.log(2))
    >>> found.log_partition.round(3), np.log1p(np.exp([-0.0, -1.0])).round(3)
    (array([0.693, 0.312]), array([0.693, 0.313]))
    >>> found.log_partition_error.round(3), found.energy.round(3), found.energy_error.round(3)
    (array([0.   , 0.006]), array([0.502, 0.27 ]), array([0.007, 0.005]))
    """
    rungs = _finite(coldness, "coldness")
    if rungs.ndim != 1 or not rungs.size:
        raise ValueError(f"coldness must have shape (R,) with R ≥ 1, got shape {rungs.shape}")
    wanted = _finite(to, "to")
    anchor, base = float(rungs[0]), 0.0
    if log_states is not None:
        if reference is not None:
            raise ValueError("reference must be None beside log_states, which sets log Z at 0")
        anchor, base = 0.0, float(checks.number(log_states, "log_states", "(-inf, inf)"))
    elif reference is not None:
        anchor = float(checks.number(reference, "reference", "(-inf, inf)"))
    pool = _pooled(energies, len(rungs), blocks)
    points = np.append(wanted.ravel(), anchor)
    log_z = np.empty((1 + pool.blocks, len(rungs)))
    found = np.empty((3, 1 + pool.blocks, len(points)))
    for i, own in enumerate(_replicates(pool)):
        start = log_z[0] if i else _paired(pool, rungs)
        log_z[i] = _solved(pool, rungs, own, start, _NEAR if i else _CLOSE)
        mixture = _log_mixture(pool, rungs, log_z[i], own.sizes)
        for m, beta in enumerate(points):
            w, level = _law(pool, beta, mixture, own.counts)
            p = w * own.counts
            mean = p @ pool.levels
            away = pool.levels - mean
            found[:, i, m] = level, mean, beta * beta * (p @ (away * away))
    found[0] -= found[0, :, -1:]
    found = found[..., :-1]
    found[0, 0] += base - (points[:-1] - anchor) * pool.centre  # errors are of the rest
    found[1, 0] += pool.centre
    value, error = (
        [unwrap(read_only(x.reshape(wanted.shape))) for x in y]
        for y in _jackknifed(found.swapaxes(0, 1))
    )
    at = unwrap(read_only(wanted.copy()))
    return ReweightingResult(
        at, value[0], error[0], value[1], error[1], value[2], error[2], _Fit(pool, rungs, log_z)
    )


# ---------------------------------------------------------------------------- the samples


def _finite(x: Any, name: str) -> Array:
    """An argument as finite float64 numbers."""
    if is_traced(x):
        raise TypeError(f"{name} must be known, got a traced array")
    return checks.numbers_in(
        to_numpy(checks.real_array(x, name, np, x)), name, "(-inf, inf)", np, x
    )


def _pooled(energies: Any, rungs: int, blocks: int) -> _Pool:
    """The samples of all rungs."""
    apart = isinstance(energies, list | tuple) and all(np.ndim(x) == 1 for x in energies)
    if apart and (len(energies) == rungs or any(len(x) != rungs for x in energies)):
        given = [_finite(x, "energies") for x in energies]
        if len(given) != rungs:
            raise ValueError(f"energies must be {rungs} arrays, one a coldness, got {len(given)}")
        steps = np.array([len(x) for x in given])
        rung = np.repeat(np.arange(rungs), steps)
        time = np.concatenate([np.arange(n) for n in steps])
    else:
        given = [_finite(energies, "energies")]
        if given[0].ndim != 2 or given[0].shape[1] != rungs:
            raise ValueError(
                f"energies must have shape (steps, {rungs}), a column for each coldness, "
                f"got shape {given[0].shape}"
            )
        steps = np.full(rungs, len(given[0]))
        time, rung = (x.ravel() for x in np.indices(given[0].shape))
    blocks = checks.count(blocks, "blocks", 2, 2**62)
    if steps.min() < blocks:
        raise ValueError(f"energies must have blocks={blocks} steps or more, got {steps.min()}")
    pooled = np.concatenate([x.ravel() for x in given])
    levels, place = np.unique(pooled, return_inverse=True)
    centre = float(levels[0] / 2 + levels[-1] / 2)
    block = time * blocks // steps[rung]
    sizes = np.bincount(block * rungs + rung, minlength=blocks * rungs).reshape(blocks, rungs)
    shapes = tuple(x.shape for x in given)
    return _Pool(levels - centre, centre, place, block, blocks, sizes, rung, shapes)


def _observed(observable: Any, shapes: tuple[Shape, ...]) -> tuple[Array, Shape]:
    """The values at the pooled samples, (N, P), and the axes that the P are of."""
    if len(shapes[0]) == 1 and not hasattr(observable, "__len__"):
        raise ValueError(f"observable must be {len(shapes)} arrays, got a number")
    given = [observable] if len(shapes[0]) == 2 else list(observable)
    if len(given) != len(shapes):
        raise ValueError(f"observable must be {len(shapes)} arrays, got {len(given)}")
    found = [_finite(x, "observable") for x in given]
    tail = found[0].shape[len(shapes[0]) :]
    for x, shape in zip(found, shapes, strict=True):
        if x.shape != (*shape, *tail):
            raise ValueError(
                f"observable must begin with the shape of the energies, {shape}, "
                f"and go on alike for all rungs, got shape {x.shape}"
            )
    return np.concatenate(
        [x.reshape(math.prod(x.shape[: len(shapes[0])]), -1) for x in found]
    ), tail


def _replicates(pool: _Pool, values: Array | None = None) -> Iterator[_Sample]:
    """All samples, then those without the first block, without the second, …"""
    columns = [] if values is None else [*values.T]

    def tally(of: Any) -> Array:
        place, most = pool.place[of], len(pool.levels)
        tallies = [np.bincount(place, None if c is None else c[of], most) for c in (None, *columns)]
        return np.stack(tallies, -1, dtype=np.float64)

    whole, sizes = tally(slice(None)), pool.sizes.sum(axis=0)
    yield _Sample(whole[:, 0], sizes, whole[:, 1:])
    for b in range(pool.blocks):
        rest = whole - tally(pool.block == b)
        yield _Sample(rest[:, 0], sizes - pool.sizes[b], rest[:, 1:])


def _jackknifed(found: Array) -> tuple[Array, Array]:
    """The first of the values, and the standard error by those without a block, (1 + blocks, …)."""
    value, others = found[0], found[1:]
    away = others - others.mean(axis=0)
    return value, np.sqrt((away * away).sum(axis=0) * (1 - 1 / len(others)))


# ---------------------------------------------------------------------------- the equations


def _shares(pool: _Pool, rungs: Array, log_z: Array, sizes: Array) -> Iterator[Any]:
    """N_r·exp(-β_r·E) / Z_r of some levels at a time, which stay in the cache.

    Where they are, the shares of its sum over the rungs, (R, levels), and the sum's logarithm.
    """
    level = np.log(sizes) - log_z
    for first in range(0, len(pool.levels), 4096):
        part = slice(first, first + 4096)
        each = level[:, None] - rungs[:, None] * pool.levels[part]
        top = each.max(axis=0)
        each -= top
        np.exp(each, out=each)
        total = each.sum(axis=0)
        each /= total
        yield part, each, top + np.log(total)


def _log_mixture(pool: _Pool, rungs: Array, log_z: Array, sizes: Array) -> Array:
    """The logarithm of Σ N_r·exp(-β_r·E) / Z_r at each level, (U,)."""
    return np.concatenate([x for *_, x in _shares(pool, rungs, log_z, sizes)])


def _law(pool: _Pool, beta: float, mixture: Array, counts: Array) -> tuple[Array, float]:
    """The weight of a sample at each level, of sum 1 over the samples, and log Z."""
    exponent = -beta * pool.levels - mixture
    top = exponent.max(where=counts > 0, initial=-math.inf)
    w = np.exp(np.minimum(exponent - top, 0))  # where nothing was counted it has no meaning
    total = w @ counts
    return w / total, float(top + math.log(total))


def _solved(pool: _Pool, rungs: Array, own: _Sample, start: Array, close: float) -> Array:
    """log Z of the rungs, 0 at the first, by Newton's method from a start.

    They minimise the convex Σ_n log Σ_r N_r·exp(-β_r·E_n) / Z_r + Σ_r N_r·log Z_r. A step is halved
    until the slope along it is no steeper up than half of what it was down; values of the function
    would be too coarse for the last digits.
    """
    total = own.sizes.sum()

    def derivatives(log_z: Array) -> tuple[Array, Array]:
        inflow, common = np.zeros(len(rungs)), np.zeros((len(rungs), len(rungs)))
        for part, p, _ in _shares(pool, rungs, log_z, own.sizes):
            weighted = p * own.counts[part]
            inflow += weighted.sum(axis=1)
            common += p @ weighted.T
        return (own.sizes - inflow) / total, (np.diag(inflow) - common) / total

    log_z, moved = start - start[0], math.inf
    slope, curvature = derivatives(log_z)
    for _ in range(100):
        root = np.sqrt(own.sizes / total)
        values, vectors = np.linalg.eigh(curvature / np.outer(root, root))
        if len(rungs) > 1 and not values[1] > _APART:
            break
        # The least eigenvalue is 0, of a shift of all log Z.
        bent = vectors[:, 1:] / root[:, None]
        step = bent @ ((slope @ bent) / values[1:])
        part, fall = 1.0, slope @ step
        while True:
            ahead = log_z - part * step
            slope, curvature = derivatives(ahead)
            if -(slope @ step) <= fall / 2 or part < 1e-6:
                break
            part /= 2
        before, moved = moved, float(abs(ahead - log_z).max())
        log_z = ahead
        if moved <= close or (moved < 1e-6 and moved > before / 2):
            return log_z - log_z[0]
    near = np.argsort(rungs)
    gap = int(abs(np.diff((vectors[:, 1] / root)[near])).argmax())
    raise ValueError(
        "energies of neighbouring rungs must overlap, got next to no overlap between coldness "
        f"{rungs[near[gap]]:g} and {rungs[near[gap + 1]]:g}"
    )


def _paired(pool: _Pool, rungs: Array) -> Array:
    """log Z of the rungs, each from that of its neighbour by the samples of these two alone.

    It is a start that is near also where the energy jumps from one rung to the next (Bennett 1976).
    """
    from scipy import optimize, special  # slow to load

    log_z, sizes = np.zeros(len(rungs)), pool.sizes.sum(axis=0)
    for hot, cold in pairwise(np.argsort(rungs)):
        n = sizes[[hot, cold]]
        own = pool.place[(pool.rung == hot) | (pool.rung == cold)]
        places, counts = np.unique(own, return_counts=True)
        rise = (rungs[cold] - rungs[hot]) * pool.levels[places]

        def surplus(change: float, n: Any = n, counts: Any = counts, rise: Any = rise) -> float:
            return float(counts @ special.expit(np.log(n[1] / n[0]) - rise - change) - n[1])

        ends = -rise.max() - 1, -rise.min() + 1
        log_z[cold] = log_z[hot] + optimize.brentq(surplus, *ends, xtol=1e-3, maxiter=1000)
    return log_z
