"""Softargmax, its logarithm and the smooth maximum, along an axis of an array."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from softargmax._arrays.checks import check_workers, count
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import Array, ArrayLike, is_foreign, namespace_of
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core import formula
from softargmax._core.inputs import checked_state, plain_state
from softargmax._core.state import State
from softargmax._rows.long import smooth_max as smooth_max_of_rows
from softargmax._rows.rows import rows_of

__all__ = ["log_softargmax", "smooth_max", "softargmax"]


def __dir__() -> list[str]:
    return __all__


@overload
def softargmax(
    logits: NumpyLike,
    temperature: NumpyLike | None = None,
    *,
    coldness: NumpyLike | None = None,
    mask: NumpyLike | None = None,
    prior: NumpyLike | None = None,
    axis: int = -1,
    workers: int | None = None,
) -> Numpy: ...
@overload
def softargmax(
    logits: Like[A],
    temperature: Like[A] | None = None,
    *,
    coldness: Like[A] | None = None,
    mask: Like[A] | None = None,
    prior: Like[A] | None = None,
    axis: int = -1,
    workers: int | None = None,
) -> A: ...
@explained
def softargmax(
    logits: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    axis: int = -1,
    workers: int | None = None,
) -> Array:
    r"""Probabilities proportional to :math:`\pi_0 \exp(z / T)`: the smooth arg max.

    .. math:: p_i = \frac{\pi_{0,i}\, e^{\beta z_i}}{\sum_j \pi_{0,j}\, e^{\beta z_j}},
              \qquad \beta = 1 / T

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores z, the K categories on the last axis (or on ``axis``). -inf puts a category
        outside the support.
    temperature : float or array, optional
        T in [0, inf], 1 by default; broadcasts against the batch axes alone.
    coldness : float or array, optional
        β = 1/T instead of T, any real number or ±inf; a negative one prefers small logits.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The categories that are possible: it multiplies the prior.
    prior : array, shape (..., K), optional
        Non-negative weights π₀: degeneracies or a reference distribution. Of one axis, or with the
        categories where the logits have them, as the mask.
    axis : int, optional
        The axis of the categories in the logits, the mask and the prior, -1 by default. The other
        axes are the batch.
    workers : int, optional
        Threads that share the rows of a NumPy array; None is 1. The result does not depend on it.

    Returns
    -------
    array, shape batch_shape + (K,)
        batch_shape is the broadcast of the batch axes of logits, temperature, mask and prior; the
        categories are on ``axis`` here too. The
        probabilities are in float32 for float16, bfloat16 and float32 logits, else in float64.

    Raises
    ------
    ValueError
        For NaN or +inf logits, a row without support, a negative or NaN temperature, a prior that
        is negative, NaN or infinite, a bad mask, shapes that do not fit, an axis that the logits
        lack, or workers below 1.
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
    return _answer("probs", logits, temperature, coldness, mask, prior, axis, workers)


@overload
def log_softargmax(
    logits: NumpyLike,
    temperature: NumpyLike | None = None,
    *,
    coldness: NumpyLike | None = None,
    mask: NumpyLike | None = None,
    prior: NumpyLike | None = None,
    axis: int = -1,
    workers: int | None = None,
) -> Numpy: ...
@overload
def log_softargmax(
    logits: Like[A],
    temperature: Like[A] | None = None,
    *,
    coldness: Like[A] | None = None,
    mask: Like[A] | None = None,
    prior: Like[A] | None = None,
    axis: int = -1,
    workers: int | None = None,
) -> A: ...
@explained
def log_softargmax(
    logits: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    axis: int = -1,
    workers: int | None = None,
) -> Array:
    r"""Log-probabilities :math:`\log p_i`, accurate also where p is close to 1.

    .. math:: \log p_i = d_i - \operatorname{log1p}\Bigl(\sum_{j \ne t} e^{d_j}\Bigr),
              \qquad d_i = \beta (z_i - z_t) + \log \pi_{0,i} - \log \pi_{0,t},

    where t is the likeliest category.

    Parameters
    ----------
    logits, temperature, coldness, mask, prior, axis, workers
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
    return _answer("log_probs", logits, temperature, coldness, mask, prior, axis, workers)


@overload
def smooth_max(
    logits: NumpyLike,
    temperature: NumpyLike | None = None,
    *,
    coldness: NumpyLike | None = None,
    mask: NumpyLike | None = None,
    prior: NumpyLike | None = None,
    axis: int = -1,
) -> Numpy: ...
@overload
def smooth_max(
    logits: Like[A],
    temperature: Like[A] | None = None,
    *,
    coldness: Like[A] | None = None,
    mask: Like[A] | None = None,
    prior: Like[A] | None = None,
    axis: int = -1,
) -> A: ...
@explained
def smooth_max(
    logits: ArrayLike,
    temperature: ArrayLike | None = None,
    *,
    coldness: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    axis: int = -1,
) -> Array:
    r"""The smooth maximum :math:`T \log \sum_i \pi_{0,i} \exp(z_i / T)`.

    Its gradient is :func:`softargmax`. With logits -E and degeneracies as the prior it is minus the
    free energy.

    Parameters
    ----------
    logits, temperature, coldness, mask, axis
        As for :func:`softargmax`.
    prior : array, shape (..., K), optional
        Non-negative weights π₀ of the terms, 1 by default; they are not normalised, so that with
        weights that sum to 1 the result is a soft mean, which never exceeds the maximum.

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
    At T = 0 it is the maximum, at β = -inf the minimum, both over the support, whatever the
    weights. At T = inf (β = 0) it is +inf where the weights of the support sum to more than 1 (two
    categories without a prior do), -inf where to less, and where they sum to 1, up to rounding, the
    mean Σ π₀ z. Weights rounded in their last place move the result by T times that.

    References
    ----------
    Blanchard, Higham & Higham, *Accurately computing the log-sum-exp and softmax functions*
    (2021), https://doi.org/10.1093/imanum/draa038.

    Examples
    --------
    >>> from softargmax import smooth_max
    >>> smooth_max([[1.0, 5.0, 5.0], [0.0, 0.0, 0.0]], [0.0, 2.0]).round(4)
    array([5.    , 2.1972])
    >>> smooth_max([0.0, 1.0], [0.0, 1.0, float("inf")], prior=[0.5, 0.5]).round(4)
    array([1.    , 0.6201, 0.5   ])
    """
    logits, mask, prior, _ = _categories_last(logits, mask, prior, axis)
    state = checked_state(logits, temperature, coldness, prior, mask, copy=False)
    if state.xp is not np:
        return formula.smooth_max(state)
    batch = state.batch_shape
    rows = rows_of(state.z, state.temperature, state.prior, batch)
    return smooth_max_of_rows(rows).reshape(batch)[()]


def _categories_last(
    logits: ArrayLike, mask: ArrayLike | None, prior: ArrayLike | None, axis: int
) -> tuple[Any, Any, Any, int]:
    """The arguments with the categories on the last axis, and where these were, below 0."""
    if type(axis) is int and axis == -1:
        return logits, mask, prior, -1
    z: Any = logits if is_foreign(logits) else np.asarray(logits)
    if z.ndim == 0:  # a scalar: checked_state refuses it
        return logits, mask, prior, -1
    place = count(axis, "axis", -z.ndim, z.ndim - 1) % z.ndim - z.ndim
    mask, prior = _beside(mask, "mask", place), _beside(prior, "prior", place)
    return _moved(z, place, -1), mask, prior, place


def _beside(x: ArrayLike | None, name: str, place: int) -> Any:
    """A mask or prior with the categories on the last axis, where one of one axis has them."""
    if x is None:
        return None
    array: Any = x if is_foreign(x) else np.asarray(x)
    if 1 < array.ndim < -place:
        raise ValueError(
            f"{name} must have its categories on axis {place}, as the logits do, "
            f"got shape {tuple(array.shape)}"
        )
    return array if array.ndim < 2 else _moved(array, place, -1)


def _moved(x: Array, start: int, stop: int) -> Array:
    """An array with an axis elsewhere (torch.func knows no moveaxis)."""
    axes = list(range(x.ndim))
    axes.insert(stop % x.ndim, axes.pop(start))
    return namespace_of(x).permute_dims(x, tuple(axes))


def _answer(
    name: str,
    logits: ArrayLike,
    temperature: ArrayLike | None,
    coldness: ArrayLike | None,
    mask: ArrayLike | None,
    prior: ArrayLike | None,
    axis: int,
    workers: int | None,
) -> Array:
    """Compute ``probs`` or ``log_probs``: the optimised path for NumPy arrays, else the formula."""
    threads = check_workers(workers)
    logits, mask, prior, place = _categories_last(logits, mask, prior, axis)
    plain = None
    if coldness is None and mask is None and prior is None:
        plain = plain_state(logits, temperature, copy=False)

    def checked() -> State:
        return checked_state(logits, temperature, coldness, prior, mask, copy=False)

    state = checked() if plain is None else plain
    if state.xp is not np:
        found = getattr(formula, name)(state)
    else:
        found = getattr(state.law, f"make_{name}")(threads)
        if plain is not None and np.isnan(found[..., 0]).any():  # an invalid row: this names it
            checked()
    return found if place == -1 else _moved(found, -1, place)
