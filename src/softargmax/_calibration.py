"""Temperature scaling: the temperature that makes probabilities fit labels best."""

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import ArrayLike, as_rows, namespace_of, quiet, to_numpy
from softargmax._checks import any_of, cast, category, in_row, numbers_in, real_array
from softargmax._inputs import check_support
from softargmax.categorical import Categorical


class FittedTemperature(NamedTuple):
    """A temperature fitted to labels, and how well it fits."""

    temperature: float  # 0 where the labels are separable, inf where no T helps
    standard_error: float  # of T; NaN where T is 0 or inf
    log_loss_before: float  # mean of -log p(label) in nats at T = 1
    log_loss_after: float  # the same at the fitted temperature


@quiet
def fit_temperature(
    logits: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None
) -> FittedTemperature:
    r"""The temperature of the highest likelihood: the calibration of a classifier's logits.

    .. math:: T = \arg\min_T \; -\sum_r w_r \log p_r(y_r), \qquad p_r \propto e^{z_r / T}

    Parameters
    ----------
    logits : array, shape (..., K)
        A row of scores for each label.
    labels : array of integers, shape (...)
        What was right, in 0 … K-1, with a logit above -inf.
    weights : array, shape (...), optional
        How many times each row counts, 1 by default.

    Returns
    -------
    FittedTemperature
        ``temperature``; its ``standard_error`` by the Fisher information,
        :math:`T^2 / \sqrt{\sum w \operatorname{Var} z}`; ``log_loss_before`` at T = 1 and
        ``log_loss_after``, weighted means in nats.

    Raises
    ------
    ValueError
        For labels outside 0 … K-1 or the support, shapes that do not fit, negative weights or
        none above 0, bad logits.
    TypeError
        For labels that are no integers.

    Notes
    -----
    The loss is convex in β = 1/T and its one minimum is found by SciPy's ``brentq`` on its slope,
    in float64. T = 0 says that every label has the largest logit of its row, where the likelihood
    rises for ever; T = inf that the best β is not positive: the logits say less than nothing.
    Labels of the rows are taken as independent.

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
    (2.55, 0.07)
    """
    rows, chosen, counts = _data(logits, labels, weights)
    total = counts.sum()

    def loss(dist: Categorical) -> float:
        return float(counts @ (0 - dist.log_prob(chosen)) / total)

    before = loss(Categorical(rows))
    # Scores from 0 down to -1, so that any scale of logits is searched alike.
    d = rows / 2 - rows.max(axis=-1, keepdims=True) / 2
    scale = -d[d > -math.inf].min()
    if scale > 0:
        d /= scale
    own = np.take_along_axis(d, chosen[:, None], axis=-1)[:, 0]

    def slope(b: float) -> float:
        mean: Any = Categorical(d, coldness=b).expectation(d)
        return float(counts @ (mean - own))

    if slope(0.0) >= 0:
        return FittedTemperature(math.inf, math.nan, before, loss(Categorical(rows, math.inf)))
    if not own.any():
        return FittedTemperature(0.0, math.nan, before, loss(Categorical(rows, 0)))
    b = _root(slope)
    temperature = 2 * (scale / b)
    information = counts @ np.asarray(Categorical(d, coldness=b).variance(d))
    error = float(temperature / b / math.sqrt(information))
    return FittedTemperature(
        float(temperature), error, before, loss(Categorical(rows, temperature))
    )


def _data(logits: Any, labels: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Rows of logits in float64, their labels and weights, those of weight 0 left out."""
    xp = namespace_of(logits)
    z = to_numpy(cast(real_array(logits, "logits", xp, logits), xp)).astype(np.float64)
    if z.ndim == 0 or z.shape[-1] == 0:
        raise ValueError(
            f"logits must have a last axis of one or more categories, got shape {z.shape}"
        )
    check_support(z, None, np)
    batch = z.shape[:-1]
    chosen = category(labels, np, z, z.shape[-1], "labels")
    if chosen.shape != batch:
        raise ValueError(f"labels must have shape {batch}, one a row, got shape {chosen.shape}")
    counts = np.ones(batch)
    if weights is not None:
        counts = numbers_in(weights, "weights", "[0, inf)", np, z)
        if counts.shape != batch:
            raise ValueError(
                f"weights must have shape {batch}, one a row, got shape {counts.shape}"
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


def _root(slope: Any) -> float:
    """Where a rising function of b > 0, negative at 0, is 0."""
    from scipy.optimize import brentq  # slow to load, and not for everyone

    high = 1.0
    while slope(high) < 0 and high < 1e300:
        high *= 16
    low = high / 16
    while slope(low) >= 0 and low > 1e-300:
        low /= 16
    found = brentq(lambda x: slope(math.exp(x)), math.log(low), math.log(high), xtol=1e-14)
    return math.exp(float(found))
