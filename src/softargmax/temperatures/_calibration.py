"""Temperature scaling: the maximum-likelihood temperature of logits, given labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.checks import (
    any_of,
    cast,
    category,
    check_categories,
    in_row,
    numbers_in,
    real_array,
)
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    ArrayLike,
    ignore_fp_errors,
    is_traced,
    namespace_of,
    to_numpy,
)
from softargmax._arrays.weights import checked_mask
from softargmax._core.support import check_support, meet_categories
from softargmax._rows.rows import as_rows
from softargmax.categorical import Categorical


class FittedTemperature(NamedTuple):
    """A temperature fitted to labels, and how well it fits.

    Examples
    --------
    >>> from softargmax.temperatures import fit_temperature
    >>> fit = fit_temperature([[3.0, 0.0]] * 4, [0, 0, 0, 1])  # 3 of 4: p = 3/4 where 3/T = log 3
    >>> round(fit.temperature, 4), round(fit.log_loss_before, 4), round(fit.log_loss_after, 4)
    (2.7307, 0.7986, 0.5623)
    """

    temperature: float  # 0 if every label is an arg max, inf if the optimal 1/T is not positive
    standard_error: float  # of T; NaN where T is 0 or inf
    log_loss_before: float  # mean of -log p(label) in nats at T = 1
    log_loss_after: float  # the mean log loss at the fitted temperature


@ignore_fp_errors
@explained
def fit_temperature(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> FittedTemperature:
    r"""The maximum-likelihood temperature, which calibrates a classifier's logits.

    .. math:: T = \arg\min_T \; -\sum_r w_r \log p_r(y_r), \qquad p_r \propto e^{z_r / T}

    Parameters
    ----------
    logits : array, shape (..., K)
        One row of scores for each label.
    labels : array of integers, shape (...)
        The correct categories, in 0 … K-1, each with a logit above -inf and not masked.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The categories that are possible.
    weights : array, shape (...), optional
        How many times each row counts, 1 by default.

    Returns
    -------
    FittedTemperature
        ``temperature``; its ``standard_error`` from the Fisher information,
        :math:`T^2 / \sqrt{\sum w \operatorname{Var} z}`; ``log_loss_before`` at T = 1 and
        ``log_loss_after``, weighted means in nats.

    Raises
    ------
    ValueError
        For labels outside 0 … K-1 or the support, shapes that do not fit, negative weights or
        none above 0, or invalid logits.
    TypeError
        For labels that are not integers.

    Notes
    -----
    The loss is convex in β = 1/T; its minimum is found in float64 by SciPy's ``brentq`` on the
    derivative. T = 0 means that every label has the largest logit of its row, so the likelihood
    never stops increasing with β; T = inf that the optimal β is not positive: the logits are
    uninformative or misleading. The labels are assumed independent.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), https://arxiv.org/abs/1706.04599.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import gumbel_noise
    >>> from softargmax.temperatures import fit_temperature
    >>> logits = 3 * gumbel_noise((2000, 5), rng=0)
    >>> fit = fit_temperature(logits, Categorical(logits, 2.5).sample(rng=1))
    >>> round(fit.temperature, 2), round(fit.standard_error, 2)
    (2.45, 0.07)
    """
    rows, chosen, counts = _data(logits, labels, mask, weights)
    heaviest = counts.max()
    counts = counts / heaviest
    total = counts.sum()

    def loss(dist: Categorical) -> float:
        return float(counts @ (0 - dist.log_prob(chosen)) / total)

    before = loss(Categorical(rows))
    top = rows.max(axis=-1, keepdims=True)
    d, unit = rows - top, 1.0
    if (np.isinf(d) & (rows > -math.inf)).any():  # a gap has overflowed
        d, unit = rows / 2 - top / 2, 2.0
    widest, power = float(-d.min(initial=0, where=d > -math.inf)), 0
    if 0 < widest < 1e-100:  # where the coldness may overflow
        power = int(np.frexp(widest)[1])
        d = np.ldexp(d, -power)
    own = np.take_along_axis(d, chosen[:, None], axis=-1)[:, 0]

    def mean(b: float) -> Any:
        return Categorical(d, coldness=b).expectation(d)

    def slope(b: float) -> float:
        return float(counts @ (mean(b) - own))

    # How far rounding may move a slope that is exactly 0.
    flat = mean(0.0)
    rounding = 8 * np.finfo(np.float64).eps * float(counts @ (0 - flat - own))
    if float(counts @ (flat - own)) >= -rounding:
        return FittedTemperature(math.inf, math.nan, before, loss(Categorical(rows, math.inf)))
    if not own.any():
        return FittedTemperature(0.0, math.nan, before, loss(Categorical(rows, 0)))
    b = _root(slope, d)
    near = np.maximum(d * b, -1000)  # further below, the probability is 0
    information = float(counts @ Categorical(near).variance(near)) * heaviest  # about log β
    temperature = float(np.ldexp(unit / b, power))
    error = temperature / math.sqrt(information) if information else math.inf
    return FittedTemperature(temperature, error, before, loss(Categorical(rows, temperature)))


def _data(logits: Any, labels: Any, mask: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Rows of logits in float64 with their labels and weights, without those of weight 0."""
    xp = namespace_of(logits)
    if any(map(is_traced, (logits, labels, mask, weights))):
        raise TypeError("logits, labels, mask and weights must be known, got a traced array")
    z = to_numpy(cast(real_array(logits, "logits", xp, logits), xp)).astype(np.float64)
    check_categories(z, "logits")
    batch = z.shape[:-1]
    possible = None
    if mask is not None:
        possible = checked_mask(mask, "mask", np, z)
        if meet_categories(possible.shape, z.shape[-1], batch, "mask") != batch:
            raise ValueError(f"mask must fit the batch axes {batch}, got shape {possible.shape}")
    check_support(z, possible, np, masked=mask is not None)
    z = z if possible is None else np.where(possible, z, -math.inf)
    chosen = category(labels, np, z, z.shape[-1], "labels")
    if chosen.shape != batch:
        raise ValueError(f"labels must have shape {batch}, one per row, got shape {chosen.shape}")
    counts = np.ones(batch)
    if weights is not None:
        counts = numbers_in(weights, "weights", "[0, inf)", np, z)
        if counts.shape != batch:
            raise ValueError(
                f"weights must have shape {batch}, one per row, got shape {counts.shape}"
            )
    if not counts.any():
        raise ValueError(
            f"weights must have a positive entry, got none in {counts.size} rows"
            if counts.size
            else f"logits must have one or more rows, got shape {z.shape}"
        )
    impossible = (np.take_along_axis(z, chosen[..., None], axis=-1)[..., 0] == -math.inf) & (
        counts > 0
    )
    if any_of(impossible):
        raise ValueError(
            f"labels must have a logit above -inf, got one without{in_row(impossible)}"
        )
    kept = counts.ravel() > 0
    return as_rows(z, batch)[kept], chosen.ravel()[kept], counts.ravel()[kept]


def _root(slope: Callable[[float], float], d: Any) -> float:
    """The root b > 0 of an increasing function, negative at 0; ``d`` sets the search's scale."""
    from scipy.optimize import brentq  # slow to load, and rarely needed

    gaps = -d[(d < 0) & (d > -math.inf)]
    start = -math.log(float(np.median(gaps)))
    side, reach = slope(math.exp(start)) < 0, 2.0
    end = start
    while (slope(math.exp(end)) < 0) == side and abs(end) < 740:
        start, end = end, max(-744.0, min(709.0, end + (reach if side else -reach)))
        reach *= 2
    low, high = sorted((start, end))
    return math.exp(float(brentq(lambda x: slope(math.exp(x)), low, high, xtol=1e-14)))
