"""The NumPy kernels: centre, scale, normalise, on rows of shape (rows, K).

With d the centred and scaled logits, whose largest is exactly 0, and s = Σ exp(d) over all
categories but the likeliest one,

    log p = d - log1p(s)    and    H = log1p(s) - Σ p·d

are free of cancellation, so they keep their digits where p is next to 1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import as_rows, for_each_block, quiet
from softargmax._inputs import Heat, Inputs, log_weights

# exp(d) is exactly 0 below this, so that d may be clipped there: 0·log 0 = 0 without a branch.
_FLOOR = -800.0


def centred(given: Inputs, workers: int = 1) -> Any:
    """β·gap + log π₀, shifted so that every row's largest is 0; -inf off the support."""
    shape = given.batch_shape
    z = as_rows(given.z, shape)
    heat = Heat(*(_column(part, shape) for part in given.heat))
    support, log_prior = prior_rows(given)
    out = np.empty(z.shape, z.dtype)

    def work(block: slice) -> None:
        _centre_block(
            z[block],
            Heat(*(part[block] if isinstance(part, np.ndarray) else part for part in heat)),
            None if support is None else support[block],
            None if log_prior is None else log_prior[block],
            out[block],
        )

    for_each_block(work, len(z), z.shape[-1], workers)
    return out.reshape(*shape, z.shape[-1])


@quiet
def prior_rows(given: Inputs) -> tuple[Any, Any]:
    """(support, log π₀) of the prior as rows; log π₀ is None for a mask, both without a prior."""
    prior = given.prior
    if prior is None:
        return None, None
    support = as_rows(prior.astype(bool), given.batch_shape)
    if prior.dtype.kind == "b":
        return support, None
    # A common factor is of no account, and smaller logarithms have smaller errors.
    log_prior = log_weights(prior, np)
    return support, as_rows(log_prior, given.batch_shape)


def _column(part: Any, shape: tuple[int, ...]) -> Any:
    """A scalar as it is, an array as a column with one value a row."""
    return np.broadcast_to(part, shape).reshape(-1, 1) if isinstance(part, np.ndarray) else part


def oriented(z: Any, coldness: Any, support: Any) -> Any:
    """The logits with the sign of β, so that the extremum is a maximum; -inf off the support."""
    negative = np.less(coldness, 0)
    if negative.any():
        z = np.where(negative & (z > -np.inf), -z, z)
    return z if support is None else np.where(support, z, z.dtype.type(-np.inf))


@quiet
def _centre_block(z: Any, heat: Heat, support: Any, log_prior: Any, out: Any) -> None:
    if log_prior is not None and z.dtype != np.float64:  # logits and priors may cancel
        wide = np.empty(out.shape)
        _centre_block(z.astype(np.float64), heat, support, log_prior, wide)
        out[...] = wide
        return
    z = oriented(z, heat.coldness, support)
    top = z.max(axis=-1, keepdims=True, initial=-np.inf)
    far = _is_far(top)
    if far.any():
        unit = np.where(far, z.dtype.type(0.5), z.dtype.type(1))
        np.subtract(z * unit, top * unit, out=out)
        _scale(out, heat)
        out /= unit
    else:
        np.subtract(z, top, out=out)
        _scale(out, heat)
    if log_prior is not None:
        out += log_prior
        out -= out.max(axis=-1, keepdims=True, initial=-np.inf)


def _is_far(top: Any) -> Any:
    """Where a gap can overflow: below maxima of more than half an ulp of the largest float."""
    limits = np.finfo(top.dtype)
    return top > limits.max * limits.eps / 4


def _scale(gap: Any, heat: Heat) -> None:
    """β·gap in place, for gaps ≤ 0 and |β|; a gap of 0 stays 0 and one of -inf stays -inf."""
    coldness = np.abs(heat.coldness)
    cold = np.isinf(np.asarray(coldness, gap.dtype))
    special = cold | (coldness == 0)
    if not special.any():
        _multiply(gap, coldness, heat.temperature)
        return
    ground, support = gap == 0, gap > -np.inf
    if not special.all():
        finite = np.where(special, 1.0, coldness)
        kept = None if heat.temperature is None else np.where(special, 1.0, heat.temperature)
        _multiply(gap, finite, kept)
    keep = np.where(cold, ground, support)
    np.copyto(gap, np.where(keep, 0, -np.inf), where=special)


def _multiply(gap: Any, coldness: Any, temperature: Any) -> None:
    """gap·β = gap/T with one rounding: the error of log p near 0 grows with each of them."""
    if gap.dtype == np.float64:
        if temperature is None:
            np.multiply(gap, coldness, out=gap)
        elif not (isinstance(temperature, float) and temperature == 1):
            np.divide(gap, temperature, out=gap)
    elif not (np.ndim(coldness) == 0 and coldness == 1):
        narrow = np.asarray(coldness, gap.dtype)
        exact = bool((narrow == coldness).all())
        factor = narrow if exact else coldness
        dtype = gap.dtype if exact else np.float64
        np.multiply(gap, factor, out=gap, dtype=dtype, casting="same_kind")


def rows_of(given: Inputs) -> Callable[[slice], Inputs]:
    """Slices of the rows of a batch as inputs of their own, views of its arrays."""
    shape, prior = given.batch_shape, given.prior
    z = as_rows(given.z, shape)
    heat = [np.ravel(_column(p, shape)) if isinstance(p, np.ndarray) else p for p in given.heat]
    priors = None if prior is None else as_rows(prior, shape)

    def part(block: slice) -> Inputs:
        rows = z[block]
        own = (p[block] if isinstance(p, np.ndarray) else p for p in heat)
        weights = None if priors is None else priors[block]
        return Inputs(np, rows, rows, Heat(*own), weights, (len(rows),))

    return part


@quiet
def weights(given: Inputs) -> Any:
    """exp(β·gap)·π₀ with the largest 1, for draws: β in the logits' dtype, less exact."""
    if given.prior is None and given.z.shape[:-1] == given.batch_shape:
        found = _plain_weights(given.z, np.expand_dims(given.heat.coldness, -1), axis=-1)
        if found is not None:
            return found
    d = centred(given)
    return np.exp(d, out=d)


def columns(given: Inputs) -> Any:
    """The same for a 1-d batch of short rows as columns, (K, rows).

    With many short rows, an operation on a column costs less than one on a row.
    """
    if given.prior is None:
        found = _plain_weights(given.z.T.copy(), np.asarray(given.heat.coldness), axis=0)
        if found is not None:
            return found
    return weights(given).T


@quiet
def _plain_weights(z: Any, coldness: Any, axis: int) -> Any | None:
    """exp(β·gap) along an axis; None where β or a gap is extreme."""
    limits = np.finfo(z.dtype)
    if not ((coldness >= limits.tiny) & (coldness <= limits.max)).all():
        return None
    top = z.max(axis=axis, keepdims=True, initial=-np.inf)
    if _is_far(top).any():
        return None
    out = np.subtract(z, top)
    out *= coldness.astype(z.dtype)
    return np.exp(out, out=out)


def excess(d: Any, e: Any = None) -> Any:
    """s = Σ exp(d) over all categories but the likeliest, (…, 1); ``e`` is overwritten."""
    e = np.exp(d) if e is None else e
    np.put_along_axis(e, d.argmax(axis=-1, keepdims=True), 0, axis=-1)
    return e.sum(axis=-1, keepdims=True)


def log_probs(d: Any, workers: int = 1, out: Any = None) -> Any:
    """log p = d - log1p(s)."""

    def work(block: Any, o: Any) -> None:
        np.subtract(block, np.log1p(excess(block)), out=o)

    return _map_rows(work, d, workers, out)


def probs(d: Any, workers: int = 1, out: Any = None) -> Any:
    """p = exp(d) / Σ exp(d), so that k ties are exactly 1/k."""

    def work(block: Any, o: Any) -> None:
        np.exp(block, out=o)
        o /= o.sum(axis=-1, keepdims=True)

    return _map_rows(work, d, workers, out)


def _map_rows(work: Any, d: Any, workers: int, out: Any) -> Any:
    """Apply ``work`` to blocks of rows of ``d``, into ``out``."""
    out = np.empty(d.shape, d.dtype) if out is None else out
    rows_in, rows_out = as_rows(d, d.shape[:-1]), as_rows(out, d.shape[:-1])

    @quiet
    def run(block: slice) -> None:
        work(rows_in[block], rows_out[block])

    for_each_block(run, len(rows_in), rows_in.shape[-1], workers)
    return out


def entropy(d: Any) -> Any:
    """H = log1p(s) - Σ p·d, in nats."""
    result = np.empty(d.shape[:-1], d.dtype)

    def work(block: Any, o: Any) -> None:
        e = np.exp(block)
        mean = (e * np.maximum(block, _FLOOR)).sum(axis=-1, keepdims=True)
        s = excess(block, e)
        np.subtract(np.log1p(s), mean / (1 + s), out=o)

    _map_rows(work, d, 1, result[..., None])
    return result


@quiet
def smooth_max(given: Inputs) -> Any:
    """m + log1p(s)/β, m being the extremum."""
    coldness, temperature = given.heat
    s = excess(centred(given))[..., 0].astype(np.float64)
    low = -oriented(given.z, -1.0, None).max(axis=-1)
    extremum = np.where(np.less(coldness, 0), low, given.z.max(axis=-1))
    # Halves, since the rise alone may overflow beside a huge extremum of the other sign.
    half = np.log1p(s) / 2
    rise = half / coldness if temperature is None else half * temperature
    # With s = 0 nothing rises above the extremum, and the product may be 0·inf.
    near = np.where(np.isinf(2 * rise), 2 * (extremum / 2 + rise), extremum + 2 * rise)
    result = np.where(s == 0, extremum, near)
    return result.astype(given.z.dtype)
