"""Solve for the temperature at which a row has a given entropy, largest probability or ESS.

All three are Rényi entropies, R_α = log Σ p^α / (1 - α): the entropy is α = 1, log 1/Σp² is
α = 2 and log 1/max p is α = ∞. Each falls from log n at coldness 0 to log k at infinite coldness,
with n legal categories, k of them tied for the maximum. The solver is Newton's method in a bracket.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.engine import kernels
from softargmax._rows.memory import blocks
from softargmax._rows.rows import LIFT

Order = Literal["1", "2", "inf"]

_EPS = float(np.finfo(np.float64).eps)
_DEAD = -1e122  # exp(β·_DEAD) is 0 at every coldness β tried
_COLDEST = 1e307
_HOTTEST = 1e-18  # over the span of a row: at this coldness entropies equal log n up to rounding


class Match(NamedTuple):
    """Temperatures, NaN where no solution exists, and the numbers of tied and legal categories."""

    temperature: Any
    tied: Any
    legal: Any


@ignore_fp_errors
def match(
    z: Any, keep: Any, excess: Callable[[Any, slice], Any], order: Order, eps: float = 0.0
) -> Match:
    """The temperature of every row (rows, K) at which its Rényi entropy has a target value.

    ``excess(k, rows)`` is that value minus log k, for a slice of the rows and their numbers k of
    ties; ``eps`` is the relative precision of the target if it is coarser than float64's.
    """
    rows, width = z.shape
    found = Match(np.empty(rows), np.empty(rows), np.empty(rows))
    for block in blocks(rows, width):
        legal = None if keep is None else keep[block]
        ladder = _Ladder.of(z[block].astype(np.float64), legal)
        goal = excess(ladder.tied, block)
        found.temperature[block] = _solve(ladder, goal, order, max(eps, _EPS))
        found.tied[block], found.legal[block] = ladder.tied, ladder.legal
    return found


class _Ladder(NamedTuple):
    """Scores relative to the maximum of their row; tied maxima and illegal ones are excluded."""

    d: Any  # the scores, in units of ``unit``; _DEAD (-inf in wild rows) where excluded
    unit: Any  # 1, more where a difference might overflow, less where a coldness might
    span: Any  # from the maximum to the lowest legal score
    tied: Any  # k, how many are tied for the maximum
    legal: Any  # n, how many are legal
    mean: Any  # of the legal scores
    variance: Any
    wild: bool  # scores of such different magnitudes that their squares may overflow

    @classmethod
    def of(cls, z: Any, keep: Any) -> _Ladder:
        """Make one from rows in float64, which are overwritten."""
        rows, width = z.shape
        fast = kernels()
        if fast is not None:
            d = z if keep is None else np.where(keep, z, -math.inf)
            unit, span, tied, legal, mean, variance = np.empty((6, rows))
            fast.solver.ladder(d, unit, span, tied, legal, mean, variance)
            return cls(d, unit, span, tied, legal, mean, variance, False)
        top, low = z.max(axis=-1), z.min(axis=-1)
        legal = np.full(rows, float(width))
        if keep is not None or not (low > -math.inf).all():
            dead = z == -math.inf if keep is None else ~keep | (z == -math.inf)
            legal -= np.count_nonzero(dead, axis=-1)
            np.copyto(z, -math.inf, where=dead)
            top = z.max(axis=-1)
            np.copyto(z, top[:, None], where=dead)
            low = z.min(axis=-1)
        span, unit = top - low, np.ones(rows)
        if (span > 1e280).any():  # a difference might overflow, or a coldness underflow
            unit[span > 1e280] = 2.0**64
            z /= unit[:, None]
            top, low = top / unit, low / unit
            span = top - low
        z -= top[:, None]
        tied = z == 0
        ties = np.count_nonzero(tied, axis=-1) - (width - legal)
        mean, second = z.sum(axis=-1) / legal, np.vecdot(z, z) / legal
        np.copyto(z, _DEAD, where=tied)
        nearest = -z.max(axis=-1)
        wild = bool((span > 1e100).any() or (nearest < 1e-100).any())
        if wild:
            np.copyto(z, -math.inf, where=tied)
            tiny = (nearest < 1e-280) & (span < 1e250)  # 1/T may overflow
            z[tiny] *= LIFT
            span[tiny] *= LIFT
            unit[tiny] = 1 / LIFT
        variance = np.maximum(second - mean * mean, second * _EPS)
        return cls(z, unit, span, ties, legal, mean, variance, wild)

    def rows(self, chosen: Any) -> _Ladder:
        """The chosen rows alone."""
        if chosen.all():
            return self
        parts = {name: part[chosen] for name, part in self._asdict().items() if name != "wild"}
        return self._replace(**parts)


def _solve(ladder: _Ladder, excess: Any, order: Order, eps: float) -> Any:
    """Temperatures for the excess over log k; NaN where no solution exists."""
    cap = np.log1p((ladder.legal - ladder.tied) / ladder.tied)
    slack = 4 * eps * (1 + np.log(ladder.legal))
    # Where k = 1, log k = 0 is exact and so are small excesses; elsewhere log k was rounded.
    cold = (excess <= np.where(ladder.tied == 1, 0, slack)) & (excess >= -slack)
    hot = np.abs(excess - cap) <= slack
    temperature = np.full(len(excess), math.nan)
    temperature[cold] = 0
    temperature[hot] = math.inf
    todo = (excess > 0) & (excess < cap) & ~cold & ~hot
    if todo.any():
        coldness = _coldness(ladder.rows(todo), cap[todo], excess[todo], order)
        temperature[todo] = ladder.unit[todo] / coldness
    return temperature


def _coldness(ladder: _Ladder, cap: Any, goal: Any, order: Order) -> Any:
    """Where each row's entropy is log k above the goal, which is below the cap."""
    fast = kernels()
    if fast is None:
        return _Newton(ladder, cap, goal, order).solve()
    found = np.empty(len(cap))
    of_rows = ladder.span, ladder.tied, ladder.mean, ladder.variance
    which = {"1": fast.solver.ENTROPY, "2": fast.solver.ESS, "inf": fast.solver.MAX_PROB}[order]
    fast.solver.newton(ladder.d, *of_rows, cap, goal, which, found)
    return found


class _Newton:
    """Newton's method on log β for many rows at once; rows are dropped as they converge."""

    def __init__(self, ladder: _Ladder, cap: Any, goal: Any, order: Order) -> None:
        self.d, self.tied, self.wild = ladder.d, ladder.tied, ladder.wild
        self.cap, self.goal, self.order = cap, goal, order
        self.squares = self.d * self.d if order == "1" and not self.wild else self.d
        self.buffer = np.empty_like(self.d)
        nearest = -self.d.max(axis=-1)
        self.high = np.minimum(750 / nearest, _COLDEST)  # where every exp is 0
        self.low = np.maximum(_HOTTEST / ladder.span, 1 / _COLDEST)
        if self.wild:
            self.b = np.sqrt(self.low) * np.sqrt(self.high)
            return
        # Initial guess: the expansion about β = 0.
        if order == "inf":
            first = (cap - goal) / -ladder.mean
        else:
            first = np.sqrt((cap - goal) * (2 if order == "1" else 1) / ladder.variance)
        self.b = np.clip(first, self.low, self.high)

    def solve(self) -> Any:
        result = self.b.copy()
        rows = np.arange(len(result))
        for _ in range(200):  # bisection alone would take 60
            excess, slope = self._measure()
            done = self._step(excess, slope)
            result[rows] = self.b
            if done.all():
                break
            if done.any():
                rows = rows[~done]
                self._keep(~done)
        return result

    def _measure(self) -> tuple[Any, Any]:
        """The Rényi entropy minus log k, and its derivative with respect to log β."""
        b, k, e = self.b, self.tied, self.buffer[: len(self.d)]
        np.multiply(self.d, b[:, None], out=e)
        if self.wild:
            x = np.maximum(e, -800)  # β·d, clipped so that no square overflows
            scale, d = 1.0, x
            squares = x * x if self.order == "1" else x
        else:
            scale, d, squares = b, self.d, self.squares
        np.exp(e, out=e)
        s = e.sum(axis=-1)
        mean = scale * np.vecdot(e, d) / (k + s)
        if self.order == "1":
            second = scale * scale * np.vecdot(e, squares) / (k + s)
            return np.log1p(s / k) - mean, mean * mean - second
        if self.order == "inf":
            return np.log1p(s / k), mean
        np.multiply(e, e, out=e)
        s2 = e.sum(axis=-1)
        mean2 = scale * np.vecdot(e, d) / (k + s2)
        return 2 * np.log1p(s / k) - np.log1p(s2 / k), 2 * (mean - mean2)

    def _step(self, excess: Any, slope: Any) -> Any:
        """Move to a better coldness within the bracket; return which rows have converged."""
        b, cap, goal = self.b, self.cap, self.goal
        hot = excess > goal
        self.low = np.where(hot, b, self.low)
        self.high = np.where(hot, self.high, b)
        # y = log(excess / (cap - excess)) is linear in log β at high temperature (y > 0), and in β
        # at low temperature.
        rest = np.maximum(cap - excess, _EPS * cap)
        y, aim = np.log(excess) - np.log(rest), np.log(goal) - np.log(cap - goal)
        delta = (aim - y) * excess * rest / (slope * cap)
        straight = 1 + delta
        bent = ((y > 0) & (aim > 0)) | (straight < 0.5)
        new = b * np.where(bent, np.exp(np.minimum(delta, 700)), straight)
        inside = (new > self.low) & (new < self.high)
        halfway = np.sqrt(self.low) * np.sqrt(self.high)
        # The error after this step is about delta², or the excess is exact up to rounding.
        close = (np.abs(delta) < 1e-9) | (np.abs(excess - goal) <= 4 * _EPS * goal)
        narrow = self.high - self.low <= 2 * _EPS * self.high
        landed = np.clip(np.where(np.isnan(new), b, new), self.low, self.high)
        self.b = np.where(close, landed, np.where(inside, new, halfway))
        return close | narrow

    def _keep(self, rows: Any) -> None:
        for name in ("d", "squares", "tied", "cap", "goal", "b", "low", "high"):
            setattr(self, name, getattr(self, name)[rows])
