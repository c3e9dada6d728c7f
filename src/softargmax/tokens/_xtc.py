"""Exclude top choices, with its coin summed over."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import check_instance, count
from softargmax._arrays.namespaces import index_dtype, quiet
from softargmax._row import Row
from softargmax._survivors import replaced, rows_left, truncated
from softargmax.categorical import Categorical
from softargmax.tokens._rows import Rows
from softargmax.tokens._stage import History, Stage

_MANY = 4096  # survivors of which whole arrays are made


@dataclass(frozen=True, eq=False, repr=False)
class XTC(Stage):
    """Where two or more tokens are likely enough, take all of them away but the least likely.

    Elsewhere a coin decides; here both outcomes are mixed, in the proportion of the coin. So the
    stage has no state, and a log-probability is that of what is drawn.

    Parameters
    ----------
    threshold : float or array
        In [0, 1]: likely enough is p ≥ threshold.
    probability : float or array
        In [0, 1], of the coin.
    min_keep : int
        Where fewer tokens would be left, all stay.
    then : Stage, optional
        What follows, applied to both outcomes before they are mixed. Nothing may follow in a chain.

    Notes
    -----
    The rule of p-e-w's XTC sampler, as llama.cpp has it.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import XTC
    >>> XTC(0.25, 1.0)(Categorical.from_weights([4, 2, 1, 1])).probs
    array([0.  , 0.5 , 0.25, 0.25])
    >>> XTC(0.25, 0.5)(Categorical.from_weights([4, 2, 1, 1])).probs
    array([0.25  , 0.375 , 0.1875, 0.1875])
    """

    threshold: Any
    probability: Any
    then: Stage | None = None
    min_keep: int = field(default=1, kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"threshold": "[0, 1]", "probability": "[0, 1]"}

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "min_keep", count(self.min_keep, "min_keep", 1, 2**62))
        if self.then is not None:
            check_instance(self.then, Stage, "then")

    @property
    def final(self) -> bool:
        """Nothing follows the mixture."""
        return True

    @quiet
    def __call__(self, dist: Categorical, history: History = None) -> Categorical:
        check_instance(dist, Categorical, "dist")
        rows = rows_left(dist)
        if rows is None:
            columns = self._columns(dist)
            rest = dist.masked(self._kept(Rows(dist), columns["threshold"]))
            whole = dist
        else:
            settings = self._row(dist)
            left = [
                _less(row, settings(i)["threshold"], self.min_keep) for i, row in enumerate(rows)
            ]
            rest = truncated(dist, left)
            whole = truncated(dist, [row.lasting() for row in rows])
        if self.then is not None:
            whole, rest = self.then(whole, history), self.then(rest, history)
        if rows is None:
            return _mixed(whole, rest, columns["probability"])
        sides = zip(rows_left(whole) or [], rows_left(rest) or [], strict=True)
        mixed = [_mixed_row(a, b, settings(i)["probability"]) for i, (a, b) in enumerate(sides)]
        return replaced(dist, mixed)

    def _kept(self, v: Rows, threshold: Any) -> Any:
        """What stays where the coin says so: all below the threshold, and the least of the rest."""
        xp = v.xp
        high = v.above(v.log(threshold) + v.log_total)
        least = xp.min(xp.where(high, v.d, math.inf), axis=-1, keepdims=True)
        stays = v.alive & (~high | (v.d <= least))
        few = xp.sum(xp.astype(stays, index_dtype(xp)), axis=-1, keepdims=True) < self.min_keep
        return v.alive & (stays | few)


def _less(row: Row, threshold: float, min_keep: int) -> Row:
    high = row.at_least(row.log(threshold) + row.log_total, 0)
    if len(high) < 2:
        return row.lasting()
    least = row.d[high].min()
    stays = np.ones(len(row), bool)
    stays[high[row.d[high] > least]] = False
    kept = np.flatnonzero(stays & (row.q > -math.inf))
    return row.take(kept) if len(kept) >= min_keep else row.lasting()


def _mixed(a: Categorical, b: Categorical, part: Any) -> Categorical:
    """log((1 - part)·p + part·q), in any namespace."""
    xp = a._given.xp
    left, right = a.log_probs, b.log_probs
    part = xp.asarray(part, dtype=left.dtype) if isinstance(part, float | int) else part
    left, right = left + xp.log1p(0 - part), right + xp.log(part)
    alive = (left > -math.inf) | (right > -math.inf)
    zero = xp.zeros_like(left)
    both = xp.logaddexp(xp.where(alive, left, zero), xp.where(alive, right, zero))
    return Categorical(Categorical(xp.where(alive, both, -math.inf)).log_probs)


def _mixed_row(a: Row, b: Row, part: float) -> Row:
    many = len(a) + len(b) > _MANY
    if many:  # a union would sort them
        categories = np.arange(max(a.categories[-1], b.categories[-1]) + 1)
    else:
        categories = np.union1d(a.categories, b.categories)
    scores = np.full(len(categories), -math.inf, a.q.dtype)
    for row, weight in ((a, 1 - part), (b, part)):
        if weight > 0:
            place = row.categories if many else categories.searchsorted(row.categories)
            log_p = row.log_probs + row.q.dtype.type(math.log(weight))
            scores[place] = np.logaddexp(scores[place], log_p)
    alive = scores > -math.inf
    mixed = Row(categories[alive], scores[alive])
    return Row(mixed.indices, mixed.log_probs)
