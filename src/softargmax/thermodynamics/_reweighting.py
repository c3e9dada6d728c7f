"""Reweighting: what runs at several coldnesses say about any coldness between them (MBAR)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import Array, ArrayLike, ignore_fp_errors, read_only, unwrap
from softargmax.categorical import Categorical
from softargmax.thermodynamics._mbar import CLOSE, NEAR, law_at, log_mixture, paired, solved
from softargmax.thermodynamics._samples import (
    Pool,
    finite,
    jackknifed,
    observed,
    pooled,
    replicates,
)


class _Fit(NamedTuple):
    """The solved equations."""

    pool: Pool
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
        log Z, zero at the first rung or as ``reference`` or ``log_states`` fixes it; the mean
        energy; and β² Var E, in units of k_B.
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
        mixture = log_mixture(pool, rungs, log_z[0], pool.sizes.sum(axis=0))
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
        values, tail = observed(observable, pool.shapes)
        points = np.ravel(self.coldness)
        found = np.empty((1 + pool.blocks, len(points), values.shape[1]))
        for i, own in enumerate(replicates(pool, values)):
            mixture = log_mixture(pool, rungs, log_z[i], own.sizes)
            for m, beta in enumerate(points):
                found[i, m] = law_at(pool, beta, mixture, own.counts)[0] @ own.sums
        mean, error = (
            unwrap(x.reshape((*np.shape(self.coldness), *tail))) for x in jackknifed(found)
        )
        return mean, error

    def __repr__(self) -> str:
        shape, samples = np.shape(self.coldness), len(self._fit.pool.place)
        return f"ReweightingResult(shape={shape}, samples={samples}, rungs={len(self._fit.rungs)})"


@explained
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
    rungs = finite(coldness, "coldness")
    if rungs.ndim != 1 or not rungs.size:
        raise ValueError(f"coldness must have shape (R,) with R ≥ 1, got shape {rungs.shape}")
    wanted = finite(to, "to")
    anchor, base = float(rungs[0]), 0.0
    if log_states is not None:
        if reference is not None:
            raise ValueError("reference must be None beside log_states, which sets log Z at 0")
        anchor, base = 0.0, float(checks.number(log_states, "log_states", "(-inf, inf)"))
    elif reference is not None:
        anchor = float(checks.number(reference, "reference", "(-inf, inf)"))
    pool = pooled(energies, len(rungs), blocks)
    points = np.append(wanted.ravel(), anchor)
    log_z = np.empty((1 + pool.blocks, len(rungs)))
    found = np.empty((3, 1 + pool.blocks, len(points)))
    for i, own in enumerate(replicates(pool)):
        start = log_z[0] if i else paired(pool, rungs)
        log_z[i] = solved(pool, rungs, own, start, NEAR if i else CLOSE)
        mixture = log_mixture(pool, rungs, log_z[i], own.sizes)
        for m, beta in enumerate(points):
            w, level = law_at(pool, beta, mixture, own.counts)
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
        for y in jackknifed(found.swapaxes(0, 1))
    )
    at = unwrap(read_only(wanted.copy()))
    return ReweightingResult(
        at, value[0], error[0], value[1], error[1], value[2], error[2], _Fit(pool, rungs, log_z)
    )
