"""Newton's method for the coldness of rows by kernels, each row on its own.

Rows are filled up with -inf to a multiple of ``STEP``, so that loops have no rest.
"""

from typing import Any

import numpy as np

from softargmax._rows.compiled.maths import BLOCK, exp, kernel, log, log1p, part, weight
from softargmax._rows.rows import LIFT

STEP = 4
_EPS = 2.0**-52
_LIFT = float(LIFT)
ENTROPY, ESS, MAX_PROB = 1, 2, 0  # Rényi entropies of order 1, 2 and infinity


@kernel
def ladder(z: Any, unit: Any, span: Any, tied: Any, legal: Any, mean: Any, variance: Any) -> None:
    """What the NumPy way knows of its rows; scores become gaps, -inf where they are excluded."""
    rows, width = z.shape
    for i in range(rows):
        row = z[i]
        top, low, count = -np.inf, np.inf, 0
        for j in range(width):
            x = row[j]
            top = max(top, x)
            low = x if -np.inf < x < low else low
            count += x > -np.inf
        unit[i] = 2.0**64 if top - low > 1e280 else 1.0  # lest a difference overflow
        ties, total, squares, nearest = 0, 0.0, 0.0, -np.inf
        for j in range(width):
            gap = row[j] / unit[i] - top / unit[i]
            inside = gap > -np.inf
            ties += gap == 0
            total += gap if inside else 0.0
            squares += gap * gap if inside else 0.0
            row[j] = gap if gap < 0 else -np.inf
            nearest = max(nearest, row[j])
        span[i], tied[i], legal[i] = top / unit[i] - low / unit[i], ties, count
        mean[i], second = total / count, squares / count
        variance[i] = max(second - mean[i] * mean[i], second * _EPS)
        if nearest > -1e-280 and span[i] < 1e250:  # 1/T may overflow
            for j in range(width):
                row[j] *= _LIFT
            span[i] *= _LIFT
            unit[i] = 1 / _LIFT


@part
def added(x: Any, width: Any) -> Any:
    """The sum of x, ``STEP`` at a time."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for j in range(0, width, STEP):
        k = np.uint64(j)
        a += x[k]
        b += x[k + np.uint64(1)]
        c += x[k + np.uint64(2)]
        d += x[k + np.uint64(3)]
    return (a + b) + (c + d)


@part
def measured(
    row: Any, b: Any, k: Any, order: Any, tiny: Any, x: Any, e: Any, f: Any, g: Any
) -> Any:
    """A Rényi entropy minus log k at coldness b, and its derivative with respect to log b."""
    s, mean, other, last = 0.0, 0.0, 0.0, 0.0
    for start in range(0, len(row), BLOCK):
        some = row[start : start + BLOCK]
        width = len(some)
        for j in range(width):
            d = some[j] * b
            x[j] = d if d > -800.0 else -800.0  # where exp is 0; no square overflows
        if tiny:
            for j in range(width):
                e[j] = exp(x[j])
        else:
            for j in range(width):
                e[j] = weight(x[j])
        for j in range(width):
            f[j] = e[j] * x[j]
        if order == ENTROPY:
            for j in range(width):
                g[j] = f[j] * x[j]
            other += added(g, width)
        elif order == ESS:
            for j in range(width):
                g[j] = e[j] * e[j]
                x[j] *= g[j]
            other += added(g, width)
            last += added(x, width)
        s += added(e, width)
        mean += added(f, width)
    mean /= k + s
    excess, slope = log_rise(s / k), mean
    if order == ENTROPY:
        excess, slope = excess - mean, mean * mean - other / (k + s)
    elif order == ESS:
        excess, slope = 2 * excess - log_rise(other / k), 2 * (mean - last / (k + other))
    return excess, slope


@kernel
def log_rise(x: Any) -> Any:
    """log(1 + x)."""
    return log1p(x)


@kernel
def log_ratio(a: Any, b: Any) -> Any:
    """log(a / b)."""
    return log(a / b)


@kernel
def stretch(x: Any) -> Any:
    """exp(x), up to x = 700."""
    factor = exp(-min(abs(x), 700.0))
    return factor if x < 0 else 1 / factor


@kernel
def newton(
    d: Any,
    span: Any,
    tied: Any,
    mean: Any,
    variance: Any,
    cap: Any,
    goal: Any,
    order: Any,
    out: Any,
) -> None:
    """The coldness of each row, step by step as the NumPy way does for all."""
    x, e, f, g = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for i in range(len(d)):
        row, k, most, aim = d[i], tied[i], cap[i], goal[i]
        tiny = aim < 1e-280  # and so are the weights that matter
        nearest = np.inf
        for j in range(len(row)):
            nearest = min(nearest, -row[j])
        high, low = min(750 / nearest, 1e307), max(1e-18 / span[i], 1e-307)
        if span[i] > 1e100 or nearest < 1e-100:
            b = np.sqrt(low) * np.sqrt(high)
        elif order == MAX_PROB:
            b = (most - aim) / -mean[i]
        else:
            b = np.sqrt((most - aim) * (2 if order == ENTROPY else 1) / variance[i])
        b = min(max(b, low), high)
        target = log_ratio(aim, most - aim)
        for _ in range(200):  # bisection alone would take 60
            excess, slope = measured(row, b, k, order, tiny, x, e, f, g)
            if excess > aim:
                low = b
            else:
                high = b
            rest = max(most - excess, _EPS * most)
            y = log_ratio(excess, rest)
            delta = (target - y) * excess * rest / (slope * most)
            new = b * (1 + delta)
            if (y > 0 and target > 0) or 1 + delta < 0.5:
                new = b * stretch(delta)
            close = abs(delta) < 1e-9 or abs(excess - aim) <= 4 * _EPS * aim
            done = close or high - low <= 2 * _EPS * high
            if close:
                b = min(max(b if new != new else new, low), high)
            else:
                b = new if low < new < high else np.sqrt(low) * np.sqrt(high)
            if done:
                break
        out[i] = b
