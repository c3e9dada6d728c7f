"""Scores of one long row: what truncations ask of it, and which categories stay.

Nothing is computed before it is asked for: the k largest need no exponential, a bound on d few.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from softargmax._rows.centre import FLOOR, centre, multiply
from softargmax._rows.memory import Scratch, once
from softargmax._rows.rows import LIFT, LIMITS, ONE, Rows, Temperature
from softargmax._rows.sums import LONG, dot, row_sums

GROUP = 32  # scores that are compared before the k largest are looked for
EPS = float(np.finfo(np.float64).eps)
SLACK = 4  # units in the last place within which a score is taken to be on its bound


class RowScores:
    """``with RowScores.of(z, temperature, prior) as scores``: categories of one row, in order.

    The scores q are logits, of a finite positive coldness, or d = β·gap + log π₀ themselves; those
    of probability 0 are -inf. Intermediate arrays last until the end of the ``with`` block, within
    which floating-point errors are to be ignored.
    """

    xp = np
    are_logits = True  # whether the scores are the logits themselves

    def __init__(self, q: Any, temperature: Temperature = ONE, top: Any = None) -> None:
        self.q = q
        self.temperature = temperature
        self.top = q.max() if top is None else top
        self.own_key: Any = None  # what is compared with bounds in place of d
        self._taken: list[Scratch] = []

    @classmethod
    def of(cls, z: Any, temperature: Temperature, prior: Any, top: Any = None, *known: Any) -> Self:
        """Of one row (K,) of logits, by themselves where no prior, β or gap asks for more care."""
        if prior is None:
            top = z.max() if top is None else top
            limits = LIMITS[z.dtype.char]
            if top <= limits.far and limits.hold(temperature.coldness):
                return cls(z, temperature, top, *known)
        d = np.empty((1, len(z)), z.dtype)
        weights = None if prior is None else prior[None]
        centre(Rows(z[None], temperature, weights), d)
        made = cls(d[0])
        made.are_logits = False
        return made

    def among(self, scores: Any) -> Self:
        """The table of some of these categories, which have these scores."""
        return type(self)(scores, self.temperature)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        while self._taken:
            self._taken.pop().__exit__()

    def _memory(self, dtype: Any) -> Any:
        scratch = Scratch(len(self.q), dtype)
        self._taken.append(scratch)
        return scratch.__enter__()

    # ------------------------------------------------------------------ what is known of the row

    @once
    def d(self) -> Any:
        """β·gap + log π₀, the largest 0."""
        gap = np.subtract(self.q, self.top, out=self._memory(self.q.dtype))
        multiply(gap, self.temperature)
        return gap

    @once
    def weights(self) -> Any:
        """exp(d)."""
        return np.exp(self.d, out=self._memory(self.q.dtype))

    @once
    def _total(self) -> float:
        return float(row_sums(self.weights[None])[0])

    @once
    def _excess(self) -> float:
        """Σ exp(d) over all but the likeliest."""
        rest = self._total - 1
        if rest < 1:  # there 1 would cancel
            others = self.weights.copy()
            others[self.d.argmax()] = 0
            rest = float(row_sums(others[None])[0])
        return rest

    @once
    def log_total(self) -> float:
        """log Σ exp(d)."""
        return math.log1p(self._excess)

    @once
    def entropy(self) -> float:
        """H in nats."""
        d = self.d if self.d.min() > -math.inf else np.maximum(self.d, FLOOR)
        return self.log_total - dot(self.weights, d) / (1 + self._excess)

    @property
    def log_collision(self) -> float:
        """log Σp² + log Σ exp(d)."""
        return math.log(dot(self.weights, self.weights)) - self.log_total

    @property
    def deviation(self) -> float:
        """The population standard deviation of d over the categories with p > 0."""
        d = self.d[self.d > -math.inf] if self.d.min() == -math.inf else self.d
        found = float(d.std(dtype=np.float64))
        return found if found < math.inf else float((d * LIFT**-5).std()) * LIFT**5

    def nearness(self, level: float) -> Any:
        """-|d - level|, written over d, which is gone afterwards."""
        _, key = self.weights, self.d
        del self.__dict__["d"]
        np.subtract(key, key.dtype.type(level), out=key)
        return np.negative(np.abs(key, out=key), out=key)

    def lowest_from(self, bound: float) -> float:
        """The lowest d that is at least a bound, up to rounding; inf where none is."""
        if bound > -math.inf:
            bound = self._with_slack(bound)
            high = self.d[self.d >= bound]
        else:
            high = self.d[self.d > bound]
        return float(high.min(initial=math.inf))

    def count_up_to(self, level: float) -> int:
        """How many categories with p > 0 have d ≤ level."""
        return int(np.count_nonzero((self.d <= level) & (self.d > -math.inf)))

    def _with_slack(self, bound: float) -> float:
        """A computed bound, on which a key within a few units of the last place is taken to be."""
        return bound - SLACK * float(np.finfo(self.q.dtype).eps) * (1 + abs(bound))

    # ------------------------------------------------------------------ thresholds

    def mass_threshold(self, mass: float) -> float:
        """The key of the last category of the smallest set of the largest keys with this mass.

        That is the largest key such that what has a smaller key has less than 1 - mass. Ties stay
        together.
        """
        if mass >= 1:
            return -math.inf
        key = self.d if self.own_key is None else self.own_key
        goal = (1 - mass) * self._total * (1 + 8 * EPS)
        if len(key) < LONG:
            some, weights, below = key, self.weights, 0.0
        else:
            low, high, below = self._bracket(key, goal)
            # What has no probability needs no order.
            above = np.greater if low == -math.inf else np.greater_equal
            with Scratch(len(key), bool) as inside, Scratch(len(key), bool) as less:
                above(key, low, out=inside)
                inside &= np.less(key, high, out=less)
                near = np.flatnonzero(inside)
            if not len(near):
                return high
            some, weights = key[near], self.weights[near]
        order = np.argsort(some)
        tail = below + np.cumsum(weights[order], dtype=np.float64)
        place = int(tail.searchsorted(goal, side="right"))
        if place == len(tail):
            return math.inf if len(key) < LONG else high
        return float(some[order[place]])

    def _bracket(self, key: Any, goal: float) -> tuple[float, float, float]:
        """Keys between which the mass below passes the goal, and the mass below the lower of them.

        A sample of the row says where to look, and the row whether that is right.
        """
        step = len(key) // 1024
        some, weights = key[::step], self.weights[::step]
        order = np.argsort(some)
        middle = int(np.cumsum(weights[order], dtype=np.float64).searchsorted(goal / step))
        low, high, below = -math.inf, math.inf, 0.0
        reach = 24
        while True:
            left, right = middle - reach, middle + reach
            if left >= 0 and low == -math.inf:
                bound = float(some[order[min(left, len(order) - 1)]])
                under = self._mass_below(key, bound)
                low, below, high = (bound, under, high) if under <= goal else (low, below, bound)
            if right < len(order) and high == math.inf:
                bound = float(some[order[max(right, 0)]])
                under = self._mass_below(key, bound)
                low, below, high = (bound, under, high) if under <= goal else (low, below, bound)
            done = (low > -math.inf or left < 0) and (high < math.inf or right >= len(order))
            if done:
                return low, high, below
            reach *= 4

    def _mass_below(self, key: Any, bound: float) -> float:
        with Scratch(len(key), bool) as less:
            return dot(self.weights, np.less(key, bound, out=less))

    def entropy_threshold(self, fraction: float, *, cumulative: bool) -> float:
        """The last d of the longest falling prefix whose entropy is ≤ fraction·H.

        It is the prefix's own, or with ``cumulative`` the sum of its terms -p log p.
        """
        if fraction >= 1:
            return -math.inf
        d = np.sort(self.d)[::-1].astype(np.float64)
        d = d[: np.count_nonzero(d > -745)]
        weights = np.exp(d)
        rest = np.concatenate([[0.0], weights[1:].cumsum()])  # beside 1, the first, it drowns
        others = rest[-1] if cumulative else rest
        own = np.log1p(others) * ((1 + rest) / (1 + others))
        own = own - (weights * d).cumsum() / (1 + others)
        beyond = own > fraction * self.entropy * (1 + 8 * EPS)
        place = int(beyond.argmax()) if beyond.any() else len(d)
        return float(d[max(place - 1, 0)])

    # ------------------------------------------------------------------ which are kept

    def keep(self, bound: float, least: int, *, exact: bool) -> tuple[Any, Any]:
        """Positions and scores of the keys ≥ bound and of the ``least`` largest, ties with the last
        included.

        A bound that is not ``exact`` has been computed, and a key within a few units of its last
        place is on it.
        """
        stay = self._places(bound, least, exact=exact)
        return stay, self.q[stay]

    def _places(self, bound: float, least: int, *, exact: bool) -> Any:
        """The positions of ``keep``."""
        key = self.own_key
        if bound == -math.inf:
            return np.flatnonzero(self.q > -math.inf)
        bound = float(bound)
        if not exact:
            bound = self._with_slack(bound)
        if key is not None:
            with Scratch(len(key), bool) as stays:
                found = np.flatnonzero(np.greater_equal(key, bound, out=stays))
            if len(found) < least:
                alive = np.flatnonzero(self.q > -math.inf)
                found = alive[key[alive] >= _kth(key[alive], min(least, len(alive)))]
            return found
        stay: Any = self._at_least(bound) if bound < math.inf else ()
        return stay if len(stay) >= least else self._largest(least)

    def _at_least(self, bound: float) -> Any:
        """Positions where d ≥ bound."""
        if "d" in self.__dict__ or bound < -1e30:
            with Scratch(len(self.q), bool) as stays:
                return np.flatnonzero(np.greater_equal(self.d, bound, out=stays))
        # The scores tell, but for those so close to the bound that rounding matters.
        rise = bound / self.temperature.coldness
        level = float(self.top) + rise
        rounding = 8 * float(np.finfo(self.q.dtype).eps) * (abs(float(self.top)) + abs(rise))
        near = np.flatnonzero(self.q >= level - rounding)
        scores = self.q[near]
        if scores.min(initial=math.inf) > level + rounding:
            return near
        gap = scores - self.top
        multiply(gap, self.temperature)
        return near[gap >= bound]

    def _largest(self, k: int) -> Any:
        """Positions of the k largest scores and of those that are tied with the last of them."""
        q = self.q
        groups = len(q) // GROUP
        if k >= len(q):
            return np.flatnonzero(q > -math.inf)
        if k * 4 > groups:
            level = _kth(q, k)
            return np.flatnonzero(q >= level if level > -math.inf else q > level)
        # The k largest are in groups whose maximum is among the k largest of these. A group is
        # every n-th score, so that whole rows of memory are compared at once.
        table = q[: groups * GROUP].reshape(GROUP, groups)
        maxima = table.max(axis=0)
        chosen = np.flatnonzero(maxima >= _kth(maxima, k))
        some = np.concatenate([table.take(chosen, axis=1).ravel(), q[groups * GROUP :]])
        level = _kth(some, k)
        if level == -math.inf:
            return np.flatnonzero(q > level)
        place = np.flatnonzero(some >= level)
        row, column = np.divmod(place, len(chosen))
        inside = row < GROUP
        found = np.where(inside, row * groups + chosen[column], place)
        found[~inside] += groups * GROUP - GROUP * len(chosen)
        return found


def _kth(x: Any, k: int) -> Any:
    """The k-th largest."""
    return np.partition(x, len(x) - k)[len(x) - k]
