"""The heart of the formula for NumPy rows: d = β·gap + log π₀, shifted so that its largest is 0.

With s = Σ exp(d) over all categories but the likeliest one,

    log p = d - log1p(s)    and    H = log1p(s) - Σ p·d

are free of cancellation, so they keep their digits where p is next to 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._arrays.weights import log_weights
from softargmax._rows.memory import SPACIOUS, Scratch, blocks
from softargmax._rows.rows import LIMITS, Rows, Temperature
from softargmax._rows.sums import row_sums

# exp(d) is exactly 0 below this, so that d may be clipped there: 0·log 0 = 0 without a branch.
FLOOR = -800.0
CHUNK = 2**17  # elements of an intermediate array that has to share the cache with a row


@ignore_fp_errors
def centre(rows: Rows, out: Any) -> None:
    """Write d of every row into ``out`` (rows, K); -inf off the support."""
    z, prior, top = rows.z, rows.prior, rows.top
    if rows.even:  # no gap has to be known
        if prior is not None:
            z, top = np.where(prior, z, -np.inf), None
        if rows.temperature.coldness:
            top = z.max(axis=-1, initial=-np.inf) if top is None else top
            _bar(z == top[..., None], out)
        else:
            _bar(z > -np.inf, out)
        return
    temperature = rows.temperature.mapped(lambda x: x[:, None])
    weights = None if prior is None or prior.dtype.kind == "b" else prior
    # In float64 with weights, since logits and their logarithms may cancel.
    d = out if weights is None or out.dtype == np.float64 else np.empty(out.shape)
    limits = LIMITS[d.dtype.char]
    normal = limits.hold(temperature.coldness)
    upright = normal or not np.less(temperature.coldness, 0).any()
    if upright and prior is None:
        top = z.max(axis=-1, initial=-np.inf) if top is None else top
    elif upright and weights is None:  # a mask leaves out what a logit of -inf does
        _bar(prior, d)
        d += z
        z, top = d, d.max(axis=-1, initial=-np.inf)
    else:  # with the sign of β, so that the extremum is a maximum; -inf off the support
        np.copyto(d, z)
        np.negative(d, out=d, where=np.less(temperature.coldness, 0) & (d > -np.inf))
        if prior is not None:
            np.copyto(d, -np.inf, where=prior == 0)
        z, top = d, d.max(axis=-1, initial=-np.inf)
    top = top[..., None]
    scale = multiply if normal else _scale
    far = top > limits.far
    if far.any():  # halve the logits, so that no gap overflows before it is scaled
        unit = np.where(far, d.dtype.type(0.5), d.dtype.type(1))
        np.multiply(z, unit, out=d)
        d -= top * unit
        scale(d, temperature)
        d /= unit
    else:
        np.subtract(z, top, out=d)
        scale(d, temperature)
    if weights is not None:
        _add_log_weights(d, weights)
    if d is not out:
        np.copyto(out, d, casting="same_kind")


def _bar(mask: Any, out: Any) -> None:
    """Write 0 where a mask is True and -inf where it is not, without a branch."""
    bits = out.view(f"i{out.itemsize}")
    np.subtract(mask, 1, out=bits, dtype=bits.dtype)
    bits <<= np.finfo(out.dtype).nmant  # all ones become a sign and an exponent of ones


def _add_log_weights(d: Any, weights: Any) -> None:
    """Add log π₀ in place, and shift every row so that its largest is 0."""
    # A common factor does not matter, and smaller logarithms have smaller errors.
    heaviest = weights.max(axis=-1, keepdims=True)
    for some in blocks(d.shape[-1], len(d), CHUNK):
        d[:, some] += log_weights(weights[:, some], np, heaviest)
    d -= d.max(axis=-1, keepdims=True, initial=-np.inf)


def _scale(gap: Any, temperature: Temperature) -> None:
    """β·gap in place, for gaps ≤ 0 and |β|; a gap of 0 stays 0 and one of -inf stays -inf."""
    coldness = np.abs(temperature.coldness)
    cold = np.asarray(temperature.infinite)
    special = cold | (coldness == 0)
    if not special.any():
        multiply(gap, Temperature(coldness, temperature.value))
    elif special.all():
        keep = gap == 0 if cold.all() else (gap == 0) | (~cold & (gap > -np.inf))
        _bar(keep, gap)
    else:
        value = None if temperature.value is None else np.where(special, 1.0, temperature.value)
        multiply(gap, Temperature(np.where(special, 1.0, coldness), value))
        rows = np.flatnonzero(special)
        some = gap[rows]
        _bar((some == 0) | (~cold[rows] & (some > -np.inf)), some)
        gap[rows] = some


def multiply(gap: Any, temperature: Temperature) -> None:
    """β·gap = gap/T in place with one rounding: each adds to the error of a log p near 0."""
    coldness, value = temperature
    if type(coldness) is float and coldness == 1:
        return
    if gap.dtype == np.float64:
        if value is None:
            np.multiply(gap, coldness, out=gap)
        else:
            np.divide(gap, value, out=gap)
        return
    if type(coldness) is float:
        narrow = gap.dtype.type(coldness)
        exact = float(narrow) == coldness
    else:
        narrow = np.asarray(coldness, gap.dtype)
        exact = bool((narrow.astype(np.float64) == coldness).all())
    if value is not None and np.isinf(coldness).any():  # 1/T has overflowed
        np.divide(gap, value, out=gap, dtype=np.float64, casting="same_kind")
        return
    factor = narrow if exact else coldness
    dtype = gap.dtype if exact else np.float64
    np.multiply(gap, factor, out=gap, dtype=dtype, casting="same_kind")


def excess(d: Any, mean: Any = None) -> Any:
    """s = Σ exp(d) over all categories but the likeliest, (rows, 1) in float64.

    Where ``mean`` is given, Σ exp(d)·d over all categories is added to it, and d is clipped.
    """
    total = np.zeros((len(d), 1))
    size = min(d.size, SPACIOUS)
    with Scratch(size, d.dtype) as memory:
        for some in blocks(d.shape[-1], len(d), size):
            part = d[:, some]
            e = np.exp(part, out=memory[: part.size].reshape(part.shape))
            total[:, 0] += row_sums(e)
            if mean is not None:
                e *= np.maximum(part, FLOOR, out=part)
                mean[:, 0] += row_sums(e)
    total -= 1  # the weight of the likeliest
    add_peaked_again(d, total)
    return total


def add_peaked_again(d: Any, s: Any) -> None:
    """Form the sums s (rows, 1) of peaked rows without the weight of 1, which would cancel."""
    few = s < 1
    if few.any():
        peaked = np.flatnonzero(few)
        rest = d[peaked]
        rest[np.arange(len(rest)), rest.argmax(axis=-1)] = -math.inf
        s[peaked, 0] = row_sums(np.exp(rest, out=rest))
