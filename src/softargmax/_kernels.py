"""The NumPy kernels: centre, scale, normalise, on rows of shape (rows, K).

With d the centred and scaled logits, whose largest is exactly 0, and s = Σ exp(d) over all
categories but the likeliest one,

    log p = d - log1p(s)    and    H = log1p(s) - Σ p·d

are free of cancellation, so they keep their digits where p is next to 1.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import (
    BLOCK,
    SPACIOUS,
    Scratch,
    as_rows,
    block_size,
    blocks,
    quiet,
)
from softargmax._inputs import Heat, Inputs, log_weights
from softargmax._sums import LONG, row_sums, subtract_log_partition
from softargmax._threads import share

# exp(d) is exactly 0 below this, so that d may be clipped there: 0·log 0 = 0 without a branch.
_FLOOR = -800.0
CHUNK = 2**17  # elements of an intermediate array: in the cache, beside a row


class Limits(NamedTuple):
    """Bounds of a dtype, as Python floats."""

    tiny: float  # the smallest normal number
    max: float
    far: float  # below a maximum beyond it, a gap can overflow: a quarter ulp of ``max``

    def hold(self, coldness: Any) -> bool:
        """Whether every β > 0 is normal in the dtype."""
        if type(coldness) is float:
            return self.tiny <= coldness <= self.max
        return bool(((coldness >= self.tiny) & (coldness <= self.max)).all())

    @classmethod
    def of(cls, dtype: type) -> "Limits":
        known = np.finfo(dtype)
        return cls(*(float(x) for x in (known.tiny, known.max, known.max * known.eps / 4)))


LIMITS = {"f": Limits.of(np.float32), "d": Limits.of(np.float64)}


def centred(given: Inputs, workers: int = 1) -> Any:
    """β·gap + log π₀, shifted so that every row's largest is 0; -inf off the support."""
    return _by_rows(given, _centre, workers)


class Terms(NamedTuple):
    """What follows from a small batch, every array at once: fixed costs are all that it has."""

    d: Any  # batch_shape + (K,)
    weights: Any  # exp(d)
    total: Any  # Σ exp(d), batch_shape + (1,)
    s: Any  # the same without the likeliest, float64

    @classmethod
    @quiet
    def of(cls, given: Inputs) -> "Terms | None":
        """None for a batch that would not stay in the cache."""
        z, prior, shape = given.z, given.prior, given.batch_shape
        num_categories = z.shape[-1]
        if math.prod(shape) * num_categories > BLOCK:
            return None
        plain = type(given.heat.coldness) is float or len(shape) == 1
        if plain and (prior is None or prior.dtype.kind == "b"):
            d = np.empty((*shape, num_categories), z.dtype)
            if z.shape != d.shape:
                given = given._replace(z=np.broadcast_to(z, d.shape), top=None)
            _centre(given, d)
        else:
            d = centred(given)
        weights = np.exp(d)
        total = row_sums(as_rows(weights, shape))[:, None]
        s = total - np.float64(1)
        _sum_again(as_rows(d, shape), s)
        column = (*shape, 1)
        return cls(d, weights, total.astype(d.dtype).reshape(column), s.reshape(column))

    @quiet
    def log_probs(self) -> Any:
        """log p = d - log1p(s)."""
        return self.d - np.log1p(self.s).astype(self.d.dtype)

    @quiet
    def probs(self) -> Any:
        """p = exp(d) / Σ exp(d), so that k ties are exactly 1/k."""
        return self.weights / self.total

    @quiet
    def entropy(self) -> Any:
        """H = log1p(s) - Σ p·d."""
        terms = np.maximum(self.d, _FLOOR)
        terms *= self.weights
        mean = terms.sum(axis=-1, keepdims=True) / (1 + self.s)
        return (np.log1p(self.s) - mean)[..., 0].astype(self.d.dtype)


def log_probs(given: Inputs, workers: int = 1) -> Any:
    """log p = d - log1p(s)."""

    def by_centring(part: Inputs, out: Any) -> None:
        _centre(part, out)
        out -= np.log1p(_excess(out)).astype(out.dtype)

    def at_once(part: Inputs, out: Any) -> None:
        wrong = subtract_log_partition(part.z, out)
        if len(wrong) == len(out):
            by_centring(part, out)
        elif len(wrong):
            z = part.z[wrong]
            rows = np.empty(z.shape, z.dtype)
            by_centring(part._replace(z=z, batch_shape=z.shape[:1], top=None), rows)
            out[wrong] = rows

    heat, num_categories = given.heat, given.z.shape[-1]
    warm = type(heat.coldness) is float and heat.coldness == 1
    plain = warm and given.prior is None and num_categories >= LONG
    return _by_rows(given, at_once if plain else by_centring, workers)


def probs(given: Inputs, workers: int = 1) -> Any:
    """p = exp(d) / Σ exp(d), so that k ties are exactly 1/k."""

    def work(part: Inputs, out: Any) -> None:
        _centre(part, out)
        np.exp(out, out=out)
        out /= row_sums(out)[:, None].astype(out.dtype)

    return _by_rows(given, work, workers)


def entropy(given: Inputs) -> Any:
    """H = log1p(s) - Σ p·d, in nats."""

    def answer(d: Any) -> Any:
        mean = np.zeros((len(d), 1))
        s = _excess(d, mean)
        return (np.log1p(s) - mean / (1 + s))[:, 0]

    return _of_rows(given, answer).astype(given.z.dtype)


@quiet
def smooth_max(given: Inputs) -> Any:
    """m + log1p(s)/β, m being the extremum."""
    coldness, temperature = given.heat
    s = _of_rows(given, lambda d: _excess(d)[:, 0])
    low = np.where(given.z > -np.inf, given.z, np.inf).min(axis=-1)
    extremum = np.where(np.less(coldness, 0), low, given.z.max(axis=-1))
    # Halves, since the rise alone may overflow beside a huge extremum of the other sign.
    half = np.log1p(s) / 2
    rise = half / coldness if temperature is None else half * temperature
    # With s = 0 nothing rises above the extremum, and the product may be 0·inf.
    near = np.where(np.isinf(2 * rise), 2 * (extremum / 2 + rise), extremum + 2 * rise)
    result = np.where(s == 0, extremum, near)
    return result.astype(given.z.dtype)


def _by_rows(given: Inputs, answer: Callable[[Inputs, Any], None], workers: int = 1) -> Any:
    """An array of rows like the logits, a block at a time, so that it is done while in the cache.

    ``answer`` takes a block's inputs and its result.
    """
    shape, num_categories = given.batch_shape, given.z.shape[-1]
    rows = math.prod(shape)
    out, part = np.empty((rows, num_categories), given.z.dtype), rows_of(given)

    @quiet
    def work(block: slice) -> None:
        answer(part(block), out[block])

    share(work, blocks(rows, num_categories, block_size(num_categories, workers)), workers)
    return out.reshape(*shape, num_categories)


@quiet
def _of_rows(given: Inputs, answer: Callable[[Any], Any]) -> Any:
    """A float64 number for every row, from its d, which is not kept."""
    rows, num_categories = math.prod(given.batch_shape), given.z.shape[-1]
    out, part = np.empty(rows), rows_of(given)
    size = block_size(num_categories, 1)
    room = min(rows, max(1, size // num_categories)) * num_categories
    with Scratch(room, given.z.dtype) as memory:
        for block in blocks(rows, num_categories, size):
            d = memory[: (block.stop - block.start) * num_categories].reshape(-1, num_categories)
            _centre(part(block), d)
            out[block] = answer(d)
    return out.reshape(given.batch_shape)


def column(part: Any, shape: tuple[int, ...]) -> Any:
    """A scalar as it is, an array as a column with one value a row."""
    return np.broadcast_to(part, shape).reshape(-1, 1) if np.ndim(part) else part


@quiet
def _centre(given: Inputs, out: Any) -> None:
    """d of a 1-d batch; of any, where one temperature serves it and a prior is at most a mask."""
    z, prior, top = given.z, given.prior, given.top
    heat = given.heat
    if type(heat.coldness) is not float:
        heat = Heat(*(column(value, given.batch_shape) for value in heat))
    weights = None if prior is None or prior.dtype.kind == "b" else prior
    # In float64 with a prior, for logits and logarithms of priors may cancel.
    d = out if weights is None or out.dtype == np.float64 else np.empty(out.shape)
    limits = LIMITS[d.dtype.char]
    plain = limits.hold(heat.coldness)
    upright = plain or not np.less(heat.coldness, 0).any()
    if upright and prior is None:
        top = z.max(axis=-1, initial=-np.inf) if top is None else top
    elif upright and weights is None:  # a mask leaves out what a logit of -inf does
        _bar(prior, d)
        d += z
        z, top = d, d.max(axis=-1, initial=-np.inf)
    else:  # with the sign of β, so that the extremum is a maximum; -inf off the support
        np.copyto(d, z)
        np.negative(d, out=d, where=np.less(heat.coldness, 0) & (d > -np.inf))
        if prior is not None:
            np.copyto(d, -np.inf, where=prior == 0)
        z, top = d, d.max(axis=-1, initial=-np.inf)
    top = top[..., None]
    scale = multiply if plain else _scale
    far = top > limits.far
    if far.any():
        unit = np.where(far, d.dtype.type(0.5), d.dtype.type(1))
        np.multiply(z, unit, out=d)
        d -= top * unit
        scale(d, heat)
        d /= unit
    else:
        np.subtract(z, top, out=d)
        scale(d, heat)
    if weights is not None:
        _add_log_weights(d, weights)
    if d is not out:
        np.copyto(out, d, casting="same_kind")


def _bar(mask: Any, out: Any) -> None:
    """0 where a mask is True and -inf where it is not, without a branch on it."""
    bits = out.view(f"i{out.itemsize}")
    np.subtract(mask, 1, out=bits, dtype=bits.dtype)
    bits <<= np.finfo(out.dtype).nmant  # all ones become a sign and an exponent of ones


def _add_log_weights(d: Any, weights: Any) -> None:
    """d + log π₀ in place, shifted so that every row's largest is 0."""
    # A common factor is of no account, and smaller logarithms have smaller errors.
    heaviest = weights.max(axis=-1, keepdims=True)
    for some in blocks(d.shape[-1], len(d), CHUNK):
        d[:, some] += log_weights(weights[:, some], np, heaviest)
    d -= d.max(axis=-1, keepdims=True, initial=-np.inf)


def _scale(gap: Any, heat: Heat) -> None:
    """β·gap in place, for gaps ≤ 0 and |β|; a gap of 0 stays 0 and one of -inf stays -inf."""
    coldness = np.abs(heat.coldness)
    cold = np.isinf(np.asarray(coldness, gap.dtype))
    special = cold | (coldness == 0)
    if not special.any():
        multiply(gap, Heat(coldness, heat.temperature))
    elif special.all():
        keep = gap == 0 if cold.all() else (gap == 0) | (~cold & (gap > -np.inf))
        _bar(keep, gap)
    else:
        kept = None if heat.temperature is None else np.where(special, 1.0, heat.temperature)
        multiply(gap, Heat(np.where(special, 1.0, coldness), kept))
        rows = np.flatnonzero(special)
        some = gap[rows]
        _bar((some == 0) | (~cold[rows] & (some > -np.inf)), some)
        gap[rows] = some


def multiply(gap: Any, heat: Heat) -> None:
    """gap·β = gap/T with one rounding: the error of log p near 0 grows with each of them."""
    coldness, temperature = heat
    if type(coldness) is float and coldness == 1:
        return
    if gap.dtype == np.float64:
        if temperature is None:
            np.multiply(gap, coldness, out=gap)
        else:
            np.divide(gap, temperature, out=gap)
        return
    if type(coldness) is float:
        narrow = gap.dtype.type(coldness)
        exact = float(narrow) == coldness
    else:
        narrow = np.asarray(coldness, gap.dtype)
        exact = bool((narrow.astype(np.float64) == coldness).all())
    factor = narrow if exact else coldness
    dtype = gap.dtype if exact else np.float64
    np.multiply(gap, factor, out=gap, dtype=dtype, casting="same_kind")


def rows_of(given: Inputs) -> Callable[[slice], Inputs]:
    """Slices of the rows of a batch as inputs of their own, views of its arrays."""
    shape, prior = given.batch_shape, given.prior
    z = as_rows(given.z, shape)
    heat = Heat(*(np.ravel(column(p, shape)) if np.ndim(p) else p for p in given.heat))
    one_heat = all(np.ndim(p) == 0 for p in heat)
    priors = None if prior is None else as_rows(prior, shape)
    top = None if given.top is None else np.broadcast_to(given.top, shape).reshape(-1)

    def part(block: slice) -> Inputs:
        rows = z[block]
        own = heat if one_heat else Heat(*(p[block] if np.ndim(p) else p for p in heat))
        weights = None if priors is None else priors[block]
        tops = None if top is None else top[block]
        return Inputs(np, rows, rows, own, weights, (len(rows),), tops)

    return part


def _excess(d: Any, mean: Any = None) -> Any:
    """s = Σ exp(d) over all categories but the likeliest, (rows, 1) in float64.

    Σ exp(d)·d over all of them is added to ``mean``, and d clipped.
    """
    total = np.zeros((len(d), 1))
    size = min(d.size, SPACIOUS)
    with Scratch(size, d.dtype) as memory:
        for some in blocks(d.shape[-1], len(d), size):
            part = d[:, some]
            e = np.exp(part, out=memory[: part.size].reshape(part.shape))
            total[:, 0] += row_sums(e)
            if mean is not None:
                e *= np.maximum(part, _FLOOR, out=part)
                mean[:, 0] += row_sums(e)
    total -= 1  # the likeliest one's
    _sum_again(d, total)
    return total


def _sum_again(d: Any, s: Any) -> None:
    """The sums (rows, 1) of peaked rows, where a weight of 1 would cancel, without it."""
    few = s < 1
    if few.any():
        peaked = np.flatnonzero(few)
        rest = d[peaked]
        rest[np.arange(len(rest)), rest.argmax(axis=-1)] = -np.inf
        s[peaked, 0] = row_sums(np.exp(rest, out=rest))
