"""The next coldness of adaptive tempering."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    ignore_fp_errors,
    is_traced,
    namespace_of,
    to_namespace,
    to_numpy,
    unwrap,
    widest_float,
)
from softargmax._core.inputs import checked_energies
from softargmax._core.support import check_support
from softargmax._rows.rows import as_rows

_LARGEST = float(np.finfo(np.float64).max)


@explained
def next_coldness(
    energies: ArrayLike,
    coldness: ArrayLike,
    *,
    target: float,
    log_weights: ArrayLike | None = None,
    final: float = 1.0,
) -> Any:
    r"""The next coldness of adaptive tempering: where the effective sample size meets a target.

    .. math:: \mathrm{ESS}\bigl(w_i e^{-(\beta' - \beta) E_i}\bigr) = \text{target} \cdot n

    Parameters
    ----------
    energies : array, shape (..., n)
        E of the n particles; +inf gives a particle weight 0.
    coldness : float or array, shape (...)
        The current coldness β of the particles; any real number up to ``final``.
    target : float
        The target effective sample size (ESS) as a fraction of n, in (0, 1].
    log_weights : array, shape (..., n), optional
        The logarithms of the particles' weights w at β; equal weights when None.
    final : float
        The coldness at which tempering ends; may be inf.

    Returns
    -------
    float or array, shape (...)
        β' in [coldness, final], to full precision: ``final`` where the ESS there is target·n or
        more. It is ``coldness`` itself for target 1 where the energies differ, and wherever the
        step is lost in the rounding of β: a loop should check that β increases.

    Raises
    ------
    ValueError
        For energies of NaN or -inf, a row without a finite one, numbers out of range, shapes that
        do not fit, or particles whose ESS at β is already below the target: resample first.
    TypeError
        For arguments that are not real numbers, or traced arrays.

    Notes
    -----
    With equal weights the ESS falls with β' (log ESS is 2Λ(δ) - Λ(2δ), Λ(δ) = log mean exp(-δE)
    is convex), and there is one root. With unequal weights it may rise first, and the result is one
    of the roots. The root is found by SciPy's ``brentq`` between β and ``final``.

    References
    ----------
    Jasra, Stephens, Doucet & Tsagaris (2011), https://doi.org/10.1111/j.1467-9469.2010.00723.x.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.resampling import effective_sample_size, next_coldness
    >>> energies = np.array([0.0, 1.0, 2.0, 5.0, 9.0])
    >>> step = next_coldness(energies, 0.0, target=0.5)
    >>> float(step.round(4)), float(next_coldness(energies, step, target=0.1))
    (0.6504, 1.0)
    >>> effective_sample_size(Categorical.from_energies(energies, coldness=step)).round(10)
    np.float64(2.5)

    Sequential Monte Carlo from a standard normal to that density times exp(-8(x - 1)²), in coldness
    steps that leave an ESS of n/2: reweight, resample, move. It also estimates log Z.

    >>> from numpy.random import default_rng
    >>> from softargmax.resampling import resample
    >>> from softargmax.thermodynamics import log_partition
    >>> rng = default_rng(0)
    >>> x, beta, log_z = rng.standard_normal(5000), 0.0, 0.0
    >>> while beta < 1:
    ...     energies = 8 * (x - 1) ** 2
    ...     colder = next_coldness(energies, beta, target=0.5)
    ...     weights = Categorical.from_energies(energies, coldness=colder - beta)
    ...     log_z += log_partition(weights) - np.log(len(x))
    ...     x, beta = x[resample(weights, len(x), rng=rng)], colder
    ...     for _ in range(10):  # Metropolis moves at the new coldness
    ...         y = x + 0.5 * rng.standard_normal(len(x))
    ...         rise = (y**2 - x**2) / 2 + 8 * beta * ((y - 1) ** 2 - (x - 1) ** 2)
    ...         x = np.where(rng.standard_exponential(len(x)) > rise, y, x)
    >>> round(float(log_z), 2), round(float(-np.log(17) / 2 - 8 / 17), 2)
    (-1.91, -1.89)
    """
    if any(map(is_traced, (energies, coldness, log_weights))):
        raise TypeError("energies, coldness and log_weights must be known, got a traced array")
    xp = namespace_of(energies, log_weights)
    e = to_numpy(checked_energies(energies)).astype(np.float64)
    at = to_numpy(checks.numbers_in(coldness, "coldness", "(-inf, inf)", np, e))
    end = float(checks.number(final, "final", "(-inf, inf]"))
    share = float(checks.number(target, "target", "(0, 1]"))
    if (at > end).any():
        raise ValueError(f"coldness must be at most final={final}, got {at.max()}")
    level = np.zeros(e.shape[-1])
    if log_weights is not None:
        level = to_numpy(checks.real_array(log_weights, "log_weights", np, e)).astype(np.float64)
        if level.ndim == 0 or level.shape[-1] != e.shape[-1]:
            raise ValueError(
                f"log_weights must have {e.shape[-1]} particles on the last axis, "
                f"got shape {level.shape}"
            )
        check_support(level, None, np, "log_weights")
    check_support(0 - e, None, np, "energies")
    batch = checks.check_fits(level.shape[:-1], e.shape[:-1], "log_weights")
    batch = checks.check_fits(at.shape, batch, "coldness")
    found = np.empty(batch)
    rows = as_rows(e, batch), as_rows(level, batch), np.broadcast_to(at, batch).ravel()
    places = np.ndindex(batch)
    for own, weight, beta, place in zip(*rows, places, strict=True):
        where = f" in row {place[0] if len(place) == 1 else place}" if batch else ""
        found[place] = _next(own, weight, float(beta), end, share, where)
    answer = unwrap(found)
    anchor = energies if xp is namespace_of(energies) else log_weights
    return answer if xp is np else to_namespace(answer, xp, anchor, widest_float(xp))


@ignore_fp_errors
def _next(energies: Any, level: Any, at: float, end: float, target: float, where: str) -> float:
    """The next coldness of one row."""
    alive = (energies < math.inf) & (level > -math.inf)
    if not alive.any():
        raise ValueError(f"energies must be finite where log_weights are, got none{where}")
    level = np.where(alive, level - level[alive].max(), -math.inf)
    half = np.where(alive, energies / 2 - energies[alive].min() / 2, 0)  # halved, lest it overflow

    def missing(step: float) -> float:
        """1 - ESS/n = Σ(w - mean)²/Σw² at β + step, without cancellation where it is small."""
        fall = level - 2 * np.where(half == 0, 0, step * half)
        v = np.expm1(fall - fall.max())  # w - 1
        away, w = v - v.mean(), 1 + v
        return float((away @ away) / (w @ w))

    allowed = 1 - target
    if missing(0) > allowed + 1e-12:
        n = len(energies)
        raise ValueError(
            f"the effective sample size at coldness must be at least target·n = {target * n:.12g}, "
            f"got {n * (1 - missing(0)):.12g}{where}; resample first"
        )
    half_span = float(half.max())
    last = min(end - at, _LARGEST)
    if not half_span or missing(last) <= allowed:
        return end
    # First guess: exact for equal weights and a small step.
    low = high = min(math.sqrt(allowed) / float(np.std(half[alive] / half_span)) / half_span, last)
    reach = 4.0
    while low > 0 and missing(low) > allowed:
        low, high, reach = low / reach, low, min(reach**2, 1e100)
    while missing(high) < allowed:
        low, high, reach = high, min(high * reach, last), min(reach**2, 1e100)
    if low == 0:  # no step is small enough: target 1, or an ESS that is at the target already
        return at
    # Solve for log step, then refine relative to that solution, to full precision.
    step = math.exp(_root(lambda t: missing(math.exp(t)) - allowed, math.log(low), math.log(high)))
    step *= 1 + _root(lambda t: missing(step * (1 + t)) - allowed, -1e-11, 1e-11)
    return min(at + step, end)


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes sign, or an end of the interval if rounding hides the change."""
    from scipy.optimize import brentq  # slow to load, and rarely needed

    if excess(low) >= 0:
        return low
    if excess(high) <= 0:
        return high
    return float(brentq(excess, low, high, xtol=1e-17, rtol=8.9e-16))
