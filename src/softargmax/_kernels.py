"""The NumPy kernels: centre, scale, normalise, on rows of shape (rows, K).

With d the centred and scaled logits, whose largest is exactly 0, and s = Σ exp(d) over all
categories but the likeliest one,

    log p = d - log1p(s)    and    H = log1p(s) - Σ p·d

are free of cancellation, so they keep their digits where p is next to 1.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import as_rows, blocks, for_each_block, quiet
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
    # A gap can overflow only where the maximum is within an ulp of the largest float.
    limits = np.finfo(z.dtype)
    far = top > limits.max * limits.eps / 4
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


def rows_of(given: Inputs) -> Callable[[int], Inputs]:
    """The rows of a batch as inputs of their own, views of its arrays."""
    shape, prior = given.batch_shape, given.prior
    z = as_rows(given.z, shape)
    heat = [_column(part, shape) for part in given.heat]
    priors = None if prior is None else as_rows(prior, shape)

    def row(r: int) -> Inputs:
        own = (float(part[r, 0]) if isinstance(part, np.ndarray) else part for part in heat)
        return Inputs(np, z[r], z[r], Heat(*own), None if priors is None else priors[r], ())

    return row


def weights(given: Inputs) -> Any:
    """exp(β·gap)·π₀ with the largest 1, for draws: β in the logits' dtype, less exact."""
    coldness, z = given.heat.coldness, given.z
    if isinstance(coldness, float) and given.prior is None and z.shape[:-1] == given.batch_shape:
        limits = np.finfo(z.dtype)
        out = np.empty_like(z)
        if _weights_in_place(z, coldness, limits, out):
            return out
    return _map_rows(_exponential, centred(given), 1, None)


def _exponential(d: Any, out: Any) -> None:
    np.exp(d, out=out)


@quiet
def _weights_in_place(z: Any, coldness: float, limits: Any, out: Any) -> bool:
    """The plain case, row block by row block; False where it does not apply."""
    if not limits.tiny <= coldness <= limits.max:
        return False
    rows_in, rows_out = as_rows(z, z.shape[:-1]), as_rows(out, z.shape[:-1])
    for block in blocks(*rows_in.shape):
        top = rows_in[block].max(axis=-1, keepdims=True, initial=-np.inf)
        if (top > limits.max * limits.eps / 4).any():
            return False
        part = np.subtract(rows_in[block], top, out=rows_out[block])
        part *= z.dtype.type(coldness)
        np.exp(part, out=part)
    return True


@quiet
def columns(z: Any, coldness: Any) -> Any | None:
    """The weights of plain rows (rows, K) as columns (K, rows); None where β or a gap is extreme.

    With many short rows, an operation on a column costs less than one on a row.
    """
    limits = np.finfo(z.dtype)
    if not ((coldness >= limits.tiny) & (coldness <= limits.max)).all():
        return None
    out = z.T.copy()
    top = out.max(axis=0)
    if (top > limits.max * limits.eps / 4).any():
        return None
    out -= top
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
