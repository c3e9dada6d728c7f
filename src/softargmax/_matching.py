"""The temperature at which a row's entropy, likeliest probability or effective size has a value.

All of them are Rényi entropies, R_α = log Σ p^α / (1 - α): the entropy is α = 1, log 1/Σp² is
α = 2 and log 1/max p is α = ∞. Each falls from log n at coldness 0, n the legal categories, to
log k at infinite coldness, k the tied maximisers. It is solved for by Newton steps in a bracket.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from softargmax._arrays import blocks, quiet

Order = Literal["1", "2", "inf"]

_EPS = float(np.finfo(np.float64).eps)
_DEAD = -1e22  # of the unit of d: its exp is 0 at every coldness that is tried
_COLDEST = 1e300
_HOTTEST = 1e-18  # where entropies differ from log n by less than their rounding


class Match(NamedTuple):
    """Temperatures, NaN where there is none, and how many categories are tied and legal."""

    temperature: Any
    tied: Any
    legal: Any


@quiet
def match(z: Any, keep: Any, excess: Callable[[Any, slice], Any], order: Order) -> Match:
    """The temperature of every row (rows, K) at which its Rényi entropy has a value.

    The value is given by its excess over log k, a function of the ties k of some rows and their
    slice.
    """
    rows, width = z.shape
    found = Match(np.empty(rows), np.empty(rows), np.empty(rows))
    for block in blocks(rows, width):
        legal = None if keep is None else keep[block]
        ladder = _Ladder.of(z[block].astype(np.float64), legal)
        found.temperature[block] = _solve(ladder, excess(ladder.tied, block), order)
        found.tied[block], found.legal[block] = ladder.tied, ladder.legal
    return found


class _Ladder(NamedTuple):
    """Rows of scores, from 0 at the top to -1 at the lowest legal one."""

    d: Any  # the ties of the top and what is not legal are at _DEAD: the sums begin with k
    span: Any  # of a row's scores, in half units
    tied: Any  # k, how many share the top
    legal: Any  # n
    mean: Any  # of the scores
    variance: Any

    @classmethod
    def of(cls, z: Any, keep: Any) -> "_Ladder":
        """From rows in float64, which are overwritten."""
        rows, width = z.shape
        top, low = z.max(axis=-1), z.min(axis=-1)
        legal = np.full(rows, float(width))
        dead = None
        if keep is not None or not (low > -math.inf).all():
            dead = z == -math.inf if keep is None else ~keep | (z == -math.inf)
            legal -= np.count_nonzero(dead, axis=-1)
            np.copyto(z, -math.inf, where=dead)
            top = z.max(axis=-1)
            np.copyto(z, top[:, None], where=dead)
            low = z.min(axis=-1)
        span = top / 2 - low / 2
        if (span > 1e307).any():  # a difference might overflow
            z /= 2
            z -= top[:, None] / 2
            z /= np.where(span > 0, span, 1)[:, None]
        else:
            z -= top[:, None]
            z /= np.where(span > 0, 2 * span, 1)[:, None]
        mean = z.sum(axis=-1) / legal
        second = np.vecdot(z, z) / legal
        tied = z == 0
        ties = np.count_nonzero(tied, axis=-1) - (width - legal)
        np.copyto(z, _DEAD, where=tied)
        return cls(z, span, ties, legal, mean, np.maximum(second - mean * mean, second * _EPS))

    def rows(self, chosen: Any) -> "_Ladder":
        return self if chosen.all() else _Ladder(*(part[chosen] for part in self))


def _solve(ladder: _Ladder, excess: Any, order: Order) -> Any:
    """Temperatures for the excess over log k; NaN where no temperature has it."""
    cap = np.log1p((ladder.legal - ladder.tied) / ladder.tied)
    slack = 4 * _EPS * (1 + np.log(ladder.legal))
    temperature = np.full(len(excess), math.nan)
    temperature[(excess <= 0) & (excess >= -slack)] = 0
    temperature[(excess >= cap) & (excess <= cap + slack)] = math.inf
    todo = (excess > 0) & (excess < cap)
    if todo.any():
        coldness = _Newton(ladder.rows(todo), cap[todo], excess[todo], order).solve()
        temperature[todo] = 2 * (ladder.span[todo] / coldness)
    return temperature


class _Newton:
    """Newton's method on log β for some rows, those that have converged dropped."""

    def __init__(self, ladder: _Ladder, cap: Any, goal: Any, order: Order) -> None:
        self.d, self.tied = ladder.d, ladder.tied
        self.cap, self.goal, self.order = cap, goal, order
        self.squares = self.d * self.d if order == "1" else self.d
        self.buffer = np.empty_like(self.d)
        # What an expansion about β = 0 says.
        if order == "inf":
            first = (cap - goal) / -ladder.mean
        else:
            first = np.sqrt((cap - goal) * (2 if order == "1" else 1) / ladder.variance)
        self.high = np.minimum(750 / -self.d.max(axis=-1), _COLDEST)  # every exp is 0
        self.low = np.full_like(first, _HOTTEST)
        self.b = np.clip(first, self.low, self.high)

    def solve(self) -> Any:
        result = self.b.copy()
        rows = np.arange(len(result))
        for _ in range(200):  # a bisection of the bracket would take 60
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
        """The Rényi entropy less log k, and its derivative in log β."""
        b, k, e = self.b, self.tied, self.buffer[: len(self.d)]
        np.exp(np.multiply(self.d, b[:, None], out=e), out=e)
        s = e.sum(axis=-1)
        mean = np.vecdot(e, self.d) / (k + s)
        if self.order == "1":
            second = np.vecdot(e, self.squares) / (k + s)
            return np.log1p(s / k) - b * mean, -b * b * (second - mean * mean)
        if self.order == "inf":
            return np.log1p(s / k), b * mean
        np.multiply(e, e, out=e)
        s2 = e.sum(axis=-1)
        mean2 = np.vecdot(e, self.d) / (k + s2)
        return 2 * np.log1p(s / k) - np.log1p(s2 / k), 2 * b * (mean - mean2)

    def _step(self, excess: Any, slope: Any) -> Any:
        """Move on to a better coldness, within the bracket; which rows have converged."""
        b, cap, goal = self.b, self.cap, self.goal
        hot = excess > goal
        self.low = np.where(hot, b, self.low)
        self.high = np.where(hot, self.high, b)
        # y = log(excess / (cap - excess)) is straight in log β where it is hot (y > 0), and in β
        # where it is cold.
        rest = np.maximum(cap - excess, _EPS * cap)
        y, aim = np.log(excess) - np.log(rest), np.log(goal) - np.log(cap - goal)
        delta = (aim - y) * excess * rest / (slope * cap)
        straight = 1 + delta
        bent = ((y > 0) & (aim > 0)) | (straight < 0.5)
        new = b * np.where(bent, np.exp(np.minimum(delta, 700)), straight)
        inside = (new > self.low) & (new < self.high)
        halfway = np.sqrt(self.low) * np.sqrt(self.high)
        # One step more, and the error is its square; or no digits are left to gain.
        close = (np.abs(delta) < 1e-9) | (np.abs(excess - goal) <= 4 * _EPS * goal)
        narrow = self.high - self.low <= 2 * _EPS * self.high
        landed = np.clip(np.where(np.isnan(new), b, new), self.low, self.high)
        self.b = np.where(close, landed, np.where(inside, new, halfway))
        return close | narrow

    def _keep(self, rows: Any) -> None:
        for name in ("d", "squares", "tied", "cap", "goal", "b", "low", "high"):
            setattr(self, name, getattr(self, name)[rows])
