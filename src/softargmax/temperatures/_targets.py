"""Temperatures for a given entropy, perplexity, largest probability or effective sample size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, overload

import numpy as np

from softargmax._arrays.checks import in_row, real_array
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    Shape,
    detached,
    ignore_fp_errors,
    is_traced,
    kind_of,
    to_namespace,
    to_numpy,
    unwrap,
    widest_float,
)
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core.inputs import checked_state, meet_batch
from softargmax._random.source import JOBS, Job
from softargmax._random.sources import hand_out
from softargmax._rows import solver
from softargmax._rows.rows import as_rows


@overload
def temperature_for_entropy(
    logits: NumpyLike, entropy: NumpyLike, *, mask: NumpyLike | None = None
) -> Numpy: ...
@overload
def temperature_for_entropy(
    logits: Like[A], entropy: Like[A], *, mask: Like[A] | None = None
) -> A: ...
@explained
def temperature_for_entropy(
    logits: ArrayLike, entropy: ArrayLike, *, mask: ArrayLike | None = None
) -> Any:
    r"""The temperature at which the entropy of softargmax(logits / T) has a given value.

    .. math:: T: \quad -\sum_i p_i \log p_i = H, \qquad p \propto e^{z / T}

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores; -inf puts a category outside the support.
    entropy : float or array
        H in nats, in [log k, log n]: n categories are legal, k of them tied for the largest logit.
        Broadcasts against the batch axes alone.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal categories. (With a general prior the entropy need not increase with T.)

    Returns
    -------
    float or array, the broadcast of the batch axes
        Temperatures in [0, inf], in float64 where the array library has it: 0 where H = log k, inf
        where H = log n. No gradient flows through them.

    Raises
    ------
    ValueError
        For an H that no temperature attains (the message gives the range), or invalid logits or
        mask.
    TypeError
        For arguments that are not real numbers.

    Notes
    -----
    The entropy increases strictly with T between its limits. Newton's method on log β within a
    bracket, in float64, meets it to a few units in its last place.

    References
    ----------
    t-SNE sets its perplexities in this way: van der Maaten & Hinton (2008), *Visualizing data using
    t-SNE*, JMLR 9.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.temperatures import temperature_for_entropy
    >>> t = temperature_for_entropy([0.0, 1.0, 3.0], 0.5)
    >>> round(float(t), 4)
    0.9665
    >>> round(float(Categorical([0.0, 1.0, 3.0], t).entropy()), 12)
    0.5
    """
    return _temperature(logits, entropy, mask, "entropy")


@overload
def temperature_for_perplexity(
    logits: NumpyLike, perplexity: NumpyLike, *, mask: NumpyLike | None = None
) -> Numpy: ...
@overload
def temperature_for_perplexity(
    logits: Like[A], perplexity: Like[A], *, mask: Like[A] | None = None
) -> A: ...
@explained
def temperature_for_perplexity(
    logits: ArrayLike, perplexity: ArrayLike, *, mask: ArrayLike | None = None
) -> Any:
    r"""The temperature at which the perplexity :math:`e^H` has a given value.

    Parameters
    ----------
    logits, mask
        As for :func:`temperature_for_entropy`.
    perplexity : float or array
        In [k, n]: n categories are legal, k of them tied for the largest logit.

    Returns
    -------
    float or array
        As for :func:`temperature_for_entropy`.

    Raises
    ------
    ValueError, TypeError
        As :func:`temperature_for_entropy` does.

    Examples
    --------
    >>> from softargmax.temperatures import temperature_for_perplexity
    >>> temperature_for_perplexity([0.0, 1.0, 3.0], [1, 2, 3]).round(4)
    array([0.   , 1.287,   inf])
    """
    return _temperature(logits, perplexity, mask, "perplexity")


@overload
def temperature_for_max_prob(
    logits: NumpyLike, max_prob: NumpyLike, *, mask: NumpyLike | None = None
) -> Numpy: ...
@overload
def temperature_for_max_prob(
    logits: Like[A], max_prob: Like[A], *, mask: Like[A] | None = None
) -> A: ...
@explained
def temperature_for_max_prob(
    logits: ArrayLike, max_prob: ArrayLike, *, mask: ArrayLike | None = None
) -> Any:
    r"""The temperature at which the largest probability has a given value.

    Parameters
    ----------
    logits, mask
        As for :func:`temperature_for_entropy`.
    max_prob : float or array
        In [1/n, 1/k]: n categories are legal, k of them tied for the largest logit.

    Returns
    -------
    float or array
        As for :func:`temperature_for_entropy`.

    Raises
    ------
    ValueError, TypeError
        As :func:`temperature_for_entropy` does.

    Examples
    --------
    >>> from softargmax import softargmax
    >>> from softargmax.temperatures import temperature_for_max_prob
    >>> softargmax([0.0, 1.0, 3.0], temperature_for_max_prob([0.0, 1.0, 3.0], 0.9)).round(4)
    array([0.0227, 0.0773, 0.9   ])
    """
    return _temperature(logits, max_prob, mask, "max_prob")


@overload
def temperature_for_ess(
    logits: NumpyLike, ess: NumpyLike, *, mask: NumpyLike | None = None
) -> Numpy: ...
@overload
def temperature_for_ess(logits: Like[A], ess: Like[A], *, mask: Like[A] | None = None) -> A: ...
@explained
def temperature_for_ess(logits: ArrayLike, ess: ArrayLike, *, mask: ArrayLike | None = None) -> Any:
    r"""The temperature at which the effective sample size :math:`1 / \sum p_i^2` has a given value.

    Parameters
    ----------
    logits, mask
        As for :func:`temperature_for_entropy`; here the logits are log-weights of particles.
    ess : float or array
        In [k, n]: n categories are legal, k of them tied for the largest logit.

    Returns
    -------
    float or array
        As for :func:`temperature_for_entropy`.

    Raises
    ------
    ValueError, TypeError
        As :func:`temperature_for_entropy` does.

    References
    ----------
    Kong, Liu & Wong (1994), https://doi.org/10.1080/01621459.1994.10476469.

    Examples
    --------
    >>> from softargmax import softargmax
    >>> from softargmax.temperatures import temperature_for_ess
    >>> p = softargmax([0.0, 1.0, 3.0], temperature_for_ess([0.0, 1.0, 3.0], 2.0))
    >>> round(float(1 / (p**2).sum()), 12)
    2.0
    """
    return _temperature(logits, ess, mask, "ess")


class _Kind(NamedTuple):
    """A quantity that increases with T, or falls, as a Rényi entropy does."""

    order: solver.Order  # of the entropy
    excess: Callable[[Any, Any], Any]  # (target, k ties) → that entropy minus log k
    ends: Callable[[Any, Any], tuple[Any, Any]]  # (k ties, n legal) → the attainable range


_KINDS = {
    "entropy": _Kind("1", lambda h, k: h - np.log(k), lambda k, n: (np.log(k), np.log(n))),
    "perplexity": _Kind("1", lambda x, k: np.log(x / k), lambda k, n: (k, n)),
    "max_prob": _Kind("inf", lambda p, k: -np.log(p) - np.log(k), lambda k, n: (1 / n, 1 / k)),
    "ess": _Kind("2", lambda x, k: np.log(x / k), lambda k, n: (k, n)),
}


@ignore_fp_errors
def _temperature(logits: ArrayLike, target: ArrayLike, mask: ArrayLike | None, name: str) -> Any:
    """Temperatures at which a quantity has a given value."""
    given = checked_state(logits, None, None, None, mask, copy=False, beside=(target,))
    xp = given.xp
    goal = real_array(target, name, xp, given.z)
    # A target is only as precise as its dtype.
    bits = round(-math.log2(float(xp.finfo(goal.dtype).eps))) if kind_of(goal, xp) == "f" else 0
    shape = meet_batch(tuple(goal.shape), tuple(given.z.shape[:-1]), name)
    shape = meet_batch(shape, given.batch_shape, name) if given.batch_shape else shape
    prior = None if given.prior is None else detached(given.prior, xp)
    arrays = (detached(given.z, xp), detached(goal, xp), prior)
    job = Job("temperature", options=(list(_KINDS).index(name), bits), real=True)
    if any(map(is_traced, arrays)):
        return hand_out(job, xp, shape, arrays)
    found = _solve(job, shape, *(None if x is None else to_numpy(x) for x in arrays))
    lost = np.isnan(found.temperature)
    if lost.any():
        ends = _KINDS[name].ends(found.tied, found.legal)
        low, high = (np.asarray(end)[lost][0] for end in ends)
        got = np.broadcast_to(to_numpy(goal), shape)[lost][0]
        raise ValueError(
            f"{name} must be in [{low:.12g}, {high:.12g}], what these logits can have, "
            f"got {got:.12g}{in_row(lost)}"
        )
    if xp is np:
        return unwrap(found.temperature)
    return to_namespace(found.temperature, xp, given.z, widest_float(xp))


@ignore_fp_errors
def _solve(job: Job, shape: Shape, z: Any, goal: Any, keep: Any) -> solver.Match:
    which, bits = job.options
    kind = list(_KINDS.values())[which]
    goals = np.broadcast_to(np.asarray(goal, np.float64), shape).ravel()
    found = solver.match(
        as_rows(z, shape),
        None if keep is None else as_rows(keep, shape).astype(bool),
        lambda k, block: kind.excess(goals[block], k),
        kind.order,
        2.0**-bits if bits else 0.0,
    )
    return solver.Match(*(part.reshape(shape) for part in found))


def _of_hidden(_: Any, job: Job, batch: Shape, arrays: tuple[Any, ...]) -> Any:
    """Temperatures of hidden logits: NaN in bad rows, which change no other."""
    z, goal, keep = arrays
    bad = ~(z.max(axis=-1) < math.inf)
    z = np.where(bad[..., None], 0, z)
    if keep is not None:
        wrong = (keep != keep).any(axis=-1)
        bad, keep = bad | wrong, np.where(wrong[..., None], 1, keep)
    return np.where(bad, math.nan, _solve(job, batch, z, goal, keep).temperature)


JOBS["temperature"] = _of_hidden
