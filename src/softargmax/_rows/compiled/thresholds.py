"""Scores of one long row by kernels: no array of d is formed, and of weights only for a mass."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, Self

import numpy as np

from softargmax._rows.compiled.crossing import crossing
from softargmax._rows.compiled.gaps import COLDEST, PLAIN, RATIO, TIMES, WIDE
from softargmax._rows.compiled.heads import (
    between,
    groups_in,
    heads_of,
    heads_of_rows,
    largest,
    reaching,
)
from softargmax._rows.compiled.law import law_of
from softargmax._rows.compiled.masses import measure, spread, sum_of_squares, weigh
from softargmax._rows.compiled.maths import frozen
from softargmax._rows.compiled.prepared import UNITS
from softargmax._rows.compiled.surviving import pick_survivor, surviving, survivors_of
from softargmax._rows.few import MANY
from softargmax._rows.memory import Scratch, once
from softargmax._rows.rows import LIMITS, ONE, Temperature
from softargmax._rows.rules import BY_MASS
from softargmax._rows.thresholds import EPS, RowScores


class Nearness(NamedTuple):
    """A key that is not formed: -|d - level|."""

    level: Any


class CompiledScores(RowScores):
    """What truncations ask of a long row, by one or two kernels each."""

    def __init__(
        self, q: Any, temperature: Temperature = ONE, top: Any = None, heads: Any = None
    ) -> None:
        q = frozen(q)
        super().__init__(q, temperature, top)
        if heads is not None:
            self.__dict__["heads"] = heads
        self._way = (self.top, *_way_of(q.dtype.char, temperature))

    def among(self, scores: Any) -> Self:
        some = object.__new__(type(self))
        some.q = q = frozen(scores)
        some.temperature, some.top, some.own_key, some._taken = self.temperature, q.max(), None, []
        some._way = (some.top, *self._way[1:])
        return some

    @once
    def heads(self) -> Any:
        """The largest scores of groups; none of a short row, which is looked at as a whole."""
        if len(self.q) < MANY:
            return np.empty(0, self.q.dtype)
        return heads_and_top(self.q)[0]

    # ------------------------------------------------------------------ what is known of the row

    @once
    def _measured(self) -> list[float]:
        """Sums over the row; d and the weights stay as well."""
        d, w, sums = self._memory(self.q.dtype), self._memory(self.q.dtype), np.empty(2)
        measure(self.q, *self._way, d, w, sums)
        self.__dict__["_weighed"] = d, w, 1 + float(sums[0])
        return sums.tolist()

    @once
    def _weighed(self) -> tuple[Any, Any, float]:
        """d, the weights and their sum."""
        d, w = self._memory(self.q.dtype), self._memory(self.q.dtype)
        return d, w, weigh(self.q, *self._way, d, w)

    @once
    def d(self) -> Any:
        return self._weighed[0]

    @once
    def weights(self) -> Any:
        return self._weighed[1]

    @once
    def _excess(self) -> float:
        return self._measured[0]

    @once
    def entropy(self) -> float:
        return self.log_total - self._measured[1] / (1 + self._excess)

    @property
    def log_collision(self) -> float:
        return math.log(sum_of_squares(self.weights)) - self.log_total

    @property
    def deviation(self) -> float:
        return float(spread(self.q, *self._way))

    def nearness(self, level: float) -> Any:
        return Nearness(self.q.dtype.type(level))

    # ------------------------------------------------------------------ thresholds

    def mass_threshold(self, mass: float) -> float:
        if mass >= 1:
            return -math.inf
        d, w, total = self._weighed
        return float(crossing(d, w, self._level, (1 - mass) * total * (1 + 8 * EPS)))

    @property
    def _level(self) -> Any:
        return self.q.dtype.type(0) if self.own_key is None else self.own_key.level

    # ------------------------------------------------------------------ which are kept

    def keep(self, bound: float, least: int, *, exact: bool) -> tuple[Any, Any]:
        if not isinstance(self.own_key, Nearness | None):
            return super().keep(bound, least, exact=exact)
        dtype = self.q.dtype
        if bound == -math.inf:
            return between(self.q, self.heads, -np.finfo(dtype).max, dtype.type(math.inf))
        if bound < math.inf:
            bound = float(bound) if exact else self._with_slack(float(bound))
            found = reaching(self.q, self.heads, *self._way, self._level, dtype.type(bound))
            if len(found[0]) >= least:
                return found
        if self.own_key is None:
            return largest(self.q, self.heads, min(least, len(self.q)))
        self.own_key = super().nearness(self.own_key.level)
        return super().keep(bound, least, exact=True)

    # ------------------------------------------------------------------ rules at once

    def surviving(self, rules: Any) -> tuple[Any, Any]:
        """Positions and scores of what survives rules (kind, parameter, least), by one kernel.

        What Python does between two kernels takes longer than the kernels themselves where few
        scores survive the first.
        """
        if rules[0, 0] == BY_MASS:
            with self:
                d, w = self._memory(self.q.dtype), self._memory(self.q.dtype)
                found, scores = surviving(self.q, self.heads, *self._way, rules, d, w)
        else:
            none = _NONE[self.q.dtype.char]
            found, scores = surviving(self.q, self.heads, *self._way, rules, none, none)
        scores.setflags(False)  # as kernels take arrays
        return found, scores


def picker(
    z: Any,
    temperature: Temperature,
    rules: Any,
    own: Temperature,
    top: Any = None,
    heads: Any = None,
) -> Callable[[float], Any] | None:
    """A function from a uniform to the category that it draws from what survives rules (kind,
    parameter, least) of one row, at a temperature of its own.

    None where the row is not fine, or its d takes more care.
    """
    char = z.dtype.char
    setting = _setting(char, temperature, own)
    if setting is None:
        return None
    way, scale, coldness, value = setting
    none, unit = _NONE[char], UNITS[char]
    if heads is None:
        heads, top = none, unit
    if rules.item(0, 0) == BY_MASS:
        with Scratch(len(z), z.dtype) as d, Scratch(len(z), z.dtype) as w:
            number, few, found, some = survivors_of(
                frozen(z), heads, top, way, scale, rules, d, w, coldness, value
            )
    else:
        number, few, found, some = survivors_of(
            frozen(z), heads, top, way, scale, rules, none, none, coldness, value
        )
    if few is not None:
        return partial(pick_survivor, few)
    if found is None:
        return None
    law = law_of(some, own, None, (), unit * number)
    return lambda u: found[law.draw(u)]


@lru_cache
def _setting(
    char: str, temperature: Temperature, own: Temperature
) -> tuple[int, float, float, float] | None:
    """How d follows from the gaps, and the temperature of the draw; None with more care."""
    if not (temperature.infinite or LIMITS[char].hold(temperature.coldness)):
        return None
    return (*_way_of(char, temperature), own.coldness, math.nan if own.value is None else own.value)


_NONE = {char: np.empty(0, char) for char in "fd"}  # no memory


@lru_cache
def _way_of(char: str, temperature: Temperature) -> tuple[int, float]:
    """How d follows from the gaps, rounded once."""
    coldness, value = temperature
    if coldness == 1:
        return PLAIN, 1.0
    if temperature.infinite:
        return COLDEST, coldness
    if char == "d":
        return (TIMES, coldness) if value is None else (RATIO, value)
    return TIMES if float(np.float32(coldness)) == coldness else WIDE, coldness


def heads_and_top(x: Any, z: Any = None) -> tuple[Any, Any]:
    """The largest scores of groups of each contiguous row (..., K), and of the whole row; ``z``
    becomes a copy.
    """
    if x.ndim == 1:  # several array calls sooner
        heads = np.empty(groups_in(len(x)), x.dtype)
        top = heads_of(frozen(x), z, heads)
        return heads, x.max() if top != top else x.dtype.type(top)
    rows, batch = x.reshape(-1, x.shape[-1]), x.shape[:-1]
    heads, top = np.empty((len(rows), groups_in(rows.shape[1])), x.dtype), np.empty(batch, x.dtype)
    tops = top.reshape(-1)
    heads_of_rows(frozen(rows), None if z is None else z.reshape(rows.shape), heads, tops)
    if np.isnan(tops).any():
        rows.max(axis=-1, out=tops)
    return heads.reshape(*batch, heads.shape[1]), top
