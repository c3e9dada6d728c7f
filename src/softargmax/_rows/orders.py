"""Orders: the k largest, Gumbel-top-k at any temperature, and the Plackett-Luce law."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors

# In shorter rows a sort costs less than finding the candidates for the top k first.
_SORTED_ROW = 256


@ignore_fp_errors
def ordered_keys(z: Any, coldness: Any, noise: Any) -> tuple[Any, Any, Any]:
    """Keys that order categories exactly as β·z + noise does, β ≥ 0; the first decides first.

    At a tiny temperature the noise vanishes in the rounding of β·z + noise. So the sum is scaled to
    z + T·noise and kept with its rounding error (Knuth's two-sum), and what is still equal, as all
    ties are at T = 0, is left to the noise. Noise of -inf puts a category last.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.orders import largest, ordered_keys
    >>> z, noise = np.array([[1.0, 1.0, 0.0]]), np.array([[0.1, 0.2, 9.0]])
    >>> largest(ordered_keys(z, np.array([[1e300]]), noise), 3)
    array([[1, 0, 2]])
    """
    hot = coldness < 1e-300  # there T·noise could overflow, and β·z is of no more than 9 digits
    temperature = np.where(hot, 1, 1 / coldness)
    scale = np.where(temperature > 1e290, 2.0**-40, 1.0)  # so that z + T·noise cannot overflow
    a = np.where(hot, coldness * z, z * scale)
    b = np.where(hot, noise, temperature * scale * noise)
    high = a + b
    rest = high - a
    low = (a - (high - rest)) + (b - rest)
    out = noise == -np.inf
    return np.where(out, -np.inf, high), np.where(out, 0, low), noise


def largest(keys: tuple[Any, ...], k: int) -> Any:
    """Indices of the k largest of each row in falling order, int64; the first key decides first.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.orders import largest
    >>> largest((np.array([[1, 3, 3]]), np.array([[0, 1, 2]])), 2)
    array([[2, 1]])
    """
    first = keys[0]
    num_categories = first.shape[-1]
    if num_categories <= _SORTED_ROW or 4 * k >= num_categories or k == 0:
        return np.lexsort(keys[::-1], axis=-1)[..., ::-1][..., :k].astype(np.int64, copy=False)
    out = np.empty((len(first), k), np.int64)
    for row in range(len(first)):
        threshold = np.partition(first[row], num_categories - k)[num_categories - k]
        kept = np.flatnonzero(first[row] >= threshold)
        order = np.lexsort([key[row][kept] for key in keys[::-1]])
        out[row] = kept[order[::-1][:k]]
    return out


@ignore_fp_errors
def log_prob_ordered(z: Any, coldness: Any, log_prior: Any, x: Any) -> Any:
    """log P of the order ``x`` (rows, k) drawn without replacement; float64, (rows,).

    ``z`` (rows, K) are logits, -inf off the support, ``coldness`` (rows, 1) is ≥ 0. The categories
    that remain after the last choice are summed once; then the choices join the sum, from the last
    to the first. It is kept as exp(level) at its largest logit, so that every step has its limit at
    T = 0.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax._rows.orders import log_prob_ordered
    >>> z, zero = np.log([[1.0, 2.0, 3.0]]), np.zeros((1, 3))
    >>> np.exp(log_prob_ordered(z, np.ones((1, 1)), zero, np.array([[2, 1]]))).round(4)
    array([0.3333])
    """
    coldness = coldness[:, 0]
    left = z.copy()
    np.put_along_axis(left, x, -np.inf, axis=-1)
    total = np.zeros(len(z))
    best = left.max(axis=-1)
    terms = _rise(left, best[:, None], coldness[:, None]) + log_prior
    terms = np.where(left == -np.inf, -np.inf, terms)
    peak = terms.max(axis=-1)
    base = np.where(peak == -np.inf, 0, peak)
    level = base + np.log(np.exp(terms - base[:, None]).sum(axis=-1))
    for choice in x.T[::-1]:
        own = np.take_along_axis(z, choice[:, None], axis=-1)[:, 0]
        own_level = np.take_along_axis(log_prior, choice[:, None], axis=-1)[:, 0]
        rest = _rise(best, own, coldness) + (level - own_level)
        total -= np.where(own == -np.inf, np.inf, np.logaddexp(0, rest))
        joint = np.maximum(best, own)
        level = np.logaddexp(
            _rise(best, joint, coldness) + level, _rise(own, joint, coldness) + own_level
        )
        best = joint
    return total


def _rise(a: Any, b: Any, coldness: Any) -> Any:
    """β(a - b) with its limits: 0 where a = b, at β = inf too; -inf where a = -inf."""
    gap = a - b
    rise = np.where(np.isinf(gap), 2 * (coldness * (a / 2 - b / 2)), coldness * gap)
    rise = np.where(a == b, 0, np.where(b == -np.inf, np.inf, rise))
    return np.where(a == -np.inf, -np.inf, rise)
