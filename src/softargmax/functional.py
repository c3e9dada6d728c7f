"""Softargmax, its logarithm and the smooth maximum, on the last axis of an array."""

import math
from typing import Any

import numpy as np

from softargmax._arrays.checks import check_workers
from softargmax._arrays.namespaces import Array, ArrayLike
from softargmax._core import formula
from softargmax._core.inputs import checked_state, plain_state
from softargmax._core.state import State, support_of
from softargmax._rows.long import smooth_max as smooth_max_of_rows
from softargmax._rows.rows import rows_of

__all__ = ["log_softargmax", "smooth_max", "softargmax"]


def __dir__() -> list[str]:
    return __all__


def softargmax(
    logits: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    workers: int | None = None,
) -> Array:
    r"""Probabilities proportional to :math:`\pi_0 \exp(z / T)`: the smooth arg max.

    .. math:: p_i = \frac{\pi_{0,i}\, e^{\beta z_i}}{\sum_j \pi_{0,j}\, e^{\beta z_j}},
              \qquad \beta = 1 / T

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores z, the K categories on the last axis. -inf puts a category outside the support.
    temperature : float or array, optional
        T in [0, inf], 1 by default; broadcasts against the batch axes alone.
    coldness : float or array, optional
        β = 1/T instead of T, any real number or ±inf; a negative one prefers small logits.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The categories that are possible: it multiplies the prior.
    prior : array, shape (..., K), optional
        Non-negative weights π₀: degeneracies or a reference distribution.
    workers : int, optional
        Threads that share the rows of a NumPy array; None is 1. The result does not depend on it.

    Returns
    -------
    array, shape batch_shape + (K,)
        batch_shape is the broadcast of the batch axes of logits, temperature, mask and prior. The
        probabilities are in float32 for float16, bfloat16 and float32 logits, else in float64.

    Raises
    ------
    ValueError
        For NaN or +inf logits, a row without support, a negative or NaN temperature, a prior that
        is negative, NaN or infinite, a bad mask, shapes that do not fit, or workers below 1.
    TypeError
        If both temperature and coldness are given, or for arguments that are not real numbers.

    Notes
    -----
    T = 0 (β = +inf) is arg max with ties shared in proportion to the prior, β = 0 the prior on the
    support, β = -inf arg min. Each is an exact limit of the formula, without a clamp or epsilon.

    References
    ----------
    Boltzmann's distribution; see Goodfellow, Bengio & Courville, *Deep Learning* (2016), §6.2.2,
    on the name.

    Examples
    --------
    >>> from softargmax import softargmax
    >>> softargmax([1.0, 5.0, 5.0], 0)
    array([0. , 0.5, 0.5])
    >>> softargmax([0.0, 10.0], 100).round(3)
    array([0.475, 0.525])
    """
    return _answer("probs", logits, temperature, coldness, mask, prior, workers)


def log_softargmax(
    logits: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    workers: int | None = None,
) -> Array:
    r"""Log-probabilities :math:`\log p_i`, accurate also where p is close to 1.

    .. math:: \log p_i = d_i - \operatorname{log1p}\Bigl(\sum_{j \ne t} e^{d_j}\Bigr),
              \qquad d_i = \beta (z_i - z_t) + \log \pi_{0,i} - \log \pi_{0,t},

    where t is the likeliest category.

    Parameters
    ----------
    logits, temperature, coldness, mask, prior, workers
        As for :func:`softargmax`.

    Returns
    -------
    array, shape batch_shape + (K,)
        Natural logarithms; -inf where p = 0.

    Raises
    ------
    ValueError, TypeError
        As :func:`softargmax` does.

    Notes
    -----
    The relative error is a few units in the last place for every category; for the likeliest it
    grows with its gap to the second one, as does the effect of rounding in the logits. A prior adds
    the rounding of its logarithm.

    References
    ----------
    Blanchard, Higham & Higham, *Accurately computing the log-sum-exp and softmax functions*
    (2021), https://doi.org/10.1093/imanum/draa038.

    Examples
    --------
    >>> from softargmax import log_softargmax
    >>> log_softargmax([0.0, -40.0]).tolist()
    [-4.248354255291589e-18, -40.0]
    """
    return _answer("log_probs", logits, temperature, coldness, mask, prior, workers)


def smooth_max(
    logits: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Array:
    r"""The smooth maximum :math:`T \log \sum_i \exp(z_i / T)`.

    Its gradient is :func:`softargmax`. With logits -E it is minus the free energy.

    Parameters
    ----------
    logits, temperature, coldness, mask
        As for :func:`softargmax`.

    Returns
    -------
    array, shape batch_shape
        In the units of the logits.

    Raises
    ------
    ValueError, TypeError
        As :func:`softargmax` does.

    Notes
    -----
    At T = 0 it is the maximum, at β = -inf the minimum, both over the support. At T = inf (β = 0)
    it is +inf where the support has more than one category, else the one logit.

    References
    ----------
    Blanchard, Higham & Higham, *Accurately computing the log-sum-exp and softmax functions*
    (2021), https://doi.org/10.1093/imanum/draa038.

    Examples
    --------
    >>> from softargmax import smooth_max
    >>> smooth_max([[1.0, 5.0, 5.0], [0.0, 0.0, 0.0]], [0.0, 2.0]).round(4)
    array([5.    , 2.1972])
    """
    state = checked_state(logits, temperature, coldness, None, mask, copy=False)
    if mask is not None:
        xp = state.xp
        z = xp.where(support_of(state.z, state.prior, xp), state.z, -math.inf)
        if xp is not np:  # where nobody could check
            z = xp.where(formula.bad_rows(state), math.nan, z)
        state = state.replace(z=z, prior=None)
    if state.xp is not np:
        return formula.smooth_max(state)
    batch = state.batch_shape
    rows = rows_of(state.z, state.temperature, None, batch)
    return smooth_max_of_rows(rows).reshape(batch)[()]


def _answer(
    name: str,
    logits: ArrayLike,
    temperature: ArrayLike | None,
    coldness: ArrayLike | None,
    mask: ArrayLike | None,
    prior: ArrayLike | None,
    workers: int | None,
) -> Array:
    """Compute ``probs`` or ``log_probs``: the optimised law for NumPy arrays, else the formula."""
    threads = check_workers(workers)
    plain = None
    if coldness is None and mask is None and prior is None:
        plain = plain_state(logits, temperature, copy=False)

    def checked() -> State:
        return checked_state(logits, temperature, coldness, prior, mask, copy=False)

    state = checked() if plain is None else plain
    if state.xp is not np:
        return getattr(formula, name)(state)
    found: Any = getattr(state.law, f"make_{name}")(threads)
    if plain is not None and np.isnan(found[..., 0]).any():  # an invalid row: this names it
        checked()
    return found
