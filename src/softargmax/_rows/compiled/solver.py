"""Newton's method for the coldness of rows by kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.gaps import total_of
from softargmax._rows.compiled.maths import BLOCK, LANE, exp, kernel, log, log1p, part
from softargmax._rows.rows import LIFT

_DEEP = -800.0  # where exp is 0, and no square overflows
_EPS = 2.0**-52
_LIFT = float(LIFT)
# Where the moments of ``LANE`` rows stand in one array, after those of Σ e, and at last their β.
_FIRST, _SECOND, _THIRD, _BETA = LANE, 2 * LANE, 3 * LANE, 4 * LANE
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
        ties, total, squares, nearest, scale = 0, 0.0, 0.0, -np.inf, 1 / unit[i]
        top *= scale
        for j in range(width):
            gap = row[j] * scale - top
            inside = gap > -np.inf
            ties += gap == 0
            total += gap if inside else 0.0
            squares += gap * gap if inside else 0.0
            row[j] = gap if gap < 0 else -np.inf
            nearest = max(nearest, row[j])
        span[i], tied[i], legal[i] = top - low * scale, ties, count
        mean[i], second = total / count, squares / count
        variance[i] = max(second - mean[i] * mean[i], second * _EPS)
        if nearest > -1e-280 and span[i] < 1e250:  # 1/T may overflow
            for j in range(width):
                row[j] *= _LIFT
            span[i] *= _LIFT
            unit[i] = 1 / _LIFT


@kernel
def moments_side_by_side(columns: Any, order: Any, sums: Any) -> None:
    """Σ e and Σ e·x of ``LANE`` rows, with x = β·gap and e = exp(x); then Σ e·x² for the entropy,
    else Σ e², and Σ e²·x, which the ESS needs.

    They stand in one array, of which the compiler sees that no place is two things at once: half
    the time of five arrays.
    """
    first, second, third = np.uint64(_FIRST), np.uint64(_SECOND), np.uint64(_THIRD)
    beta = np.uint64(_BETA)
    sums[:_BETA] = 0
    for k in range(len(columns)):
        d = columns[k]
        for lane in range(LANE):
            j = np.uint64(lane)
            y = d[j] * sums[j + beta]
            x = y if y > _DEEP else _DEEP
            e = exp(x)
            f = e * x
            g = f * x if order == ENTROPY else e * e
            sums[j] += e
            sums[j + first] += f
            sums[j + second] += g
            sums[j + third] += g * x


@kernel
def moments_of_long(row: Any, order: Any, sums: Any, lane: Any) -> None:
    """The moments of one row, whose sums are trees."""
    x, e, f, g = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    s, mean, other, last = 0.0, 0.0, 0.0, 0.0
    b = sums[_BETA + lane]
    for start in range(0, len(row), BLOCK):
        some = row[start : start + BLOCK]
        width = (len(some) + LANE - 1) // LANE * LANE
        x[len(some) : width], e[len(some) : width], f[len(some) : width] = 0, 0, 0
        for place in range(len(some)):
            j = np.uint64(place)
            d = some[j] * b
            y = d if d > _DEEP else _DEEP
            v = exp(y)
            x[j], e[j], f[j] = y, v, v * y
        for k in range(width):
            g[k] = f[k] * x[k] if order == ENTROPY else e[k] * e[k]
            x[k] *= g[k]
        s += total_of(e, width)
        mean += total_of(f, width)
        other += total_of(g, width)
        last += total_of(x, width)
    sums[lane], sums[_FIRST + lane] = s, mean
    sums[_SECOND + lane], sums[_THIRD + lane] = other, last


@part
def measured(sums: Any, k: Any, order: Any, excess: Any, slope: Any) -> None:
    """A Rényi entropy minus log k of ``LANE`` rows, and its derivative with respect to log β."""
    for j in range(LANE):
        excess[j] = log1p(sums[j] / k[j])
    for j in range(LANE):
        mean, other = sums[_FIRST + j] / (k[j] + sums[j]), sums[_SECOND + j]
        slope[j] = mean
        if order == ENTROPY:
            excess[j] -= mean
            slope[j] = mean * mean - other / (k[j] + sums[j])
        elif order == ESS:
            excess[j] = 2 * excess[j] - log1p(other / k[j])
            slope[j] = 2 * (mean - sums[_THIRD + j] / (k[j] + other))


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
    """The coldness of each row, step by step as the NumPy way does for all.

    ``LANE`` rows go side by side, since one alone would wait for each of its operations.
    """
    width, columns, sums = d.shape[1], np.zeros((0, LANE)), np.ones(5 * LANE)
    if width <= BLOCK:
        columns = np.zeros((width, LANE))
    b = sums[_BETA:]  # what is written here is what the next moments are taken at
    low, high, k = np.empty(LANE), np.empty(LANE), np.empty(LANE)
    most, aim, target, y = np.empty(LANE), np.empty(LANE), np.empty(LANE), np.empty(LANE)
    excess, slope, delta, factor = np.empty(LANE), np.empty(LANE), np.empty(LANE), np.empty(LANE)
    done = np.empty(LANE, np.bool_)
    for first in range(0, len(d), LANE):
        count = min(LANE, len(d) - first)
        # Lanes without a row compute with these, to no effect.
        done[:], columns[:], b[:], k[:], most[:], aim[:] = False, 0, 1, 1, 2, 1
        for j in range(count):
            i = first + j
            row, nearest = d[i], np.inf
            for place in range(width):
                nearest = min(nearest, -row[place])
            for place in range(len(columns)):
                columns[place, j] = row[place]
            k[j], most[j], aim[j] = tied[i], cap[i], goal[i]
            high[j], low[j] = min(750 / nearest, 1e307), max(1e-18 / span[i], 1e-307)
            if span[i] > 1e100 or nearest < 1e-100:
                start = np.sqrt(low[j]) * np.sqrt(high[j])
            elif order == MAX_PROB:
                start = (most[j] - aim[j]) / -mean[i]
            else:
                start = np.sqrt((most[j] - aim[j]) * (2 if order == ENTROPY else 1) / variance[i])
            b[j] = min(max(start, low[j]), high[j])
        for j in range(LANE):
            target[j] = log(aim[j] / (most[j] - aim[j]))
        for _ in range(200):  # bisection alone would take 60
            if len(columns):
                moments_side_by_side(columns, order, sums)
            else:
                for j in range(count):
                    if not done[j]:
                        moments_of_long(d[first + j], order, sums, j)
            measured(sums, k, order, excess, slope)
            for j in range(LANE):
                y[j] = log(excess[j] / max(most[j] - excess[j], _EPS * most[j]))
            for j in range(LANE):
                rest = max(most[j] - excess[j], _EPS * most[j])
                delta[j] = (target[j] - y[j]) * excess[j] * rest / (slope[j] * most[j])
            for j in range(LANE):
                factor[j] = exp(-min(abs(delta[j]), 700.0))
            left = 0
            for j in range(count):
                now, hot, straight = b[j], excess[j] > aim[j], 1 + delta[j]
                least, greatest = now if hot else low[j], high[j] if hot else now
                low[j], high[j] = least, greatest
                bent = ((y[j] > 0) & (target[j] > 0)) | (straight < 0.5)
                stretch = factor[j] if delta[j] < 0 else 1 / factor[j]
                new = now * (stretch if bent else straight)
                inside = (least < new) & (new < greatest)
                halfway = np.sqrt(least) * np.sqrt(greatest)
                landed = min(max(now if new != new else new, least), greatest)
                close = (abs(delta[j]) < 1e-9) | (abs(excess[j] - aim[j]) <= 4 * _EPS * aim[j])
                moved = landed if close else (new if inside else halfway)
                b[j] = now if done[j] else moved
                done[j] |= close | (greatest - least <= 2 * _EPS * greatest)
                left += not done[j]
            if left == 0:
                break
        out[first : first + count] = b[:count]
