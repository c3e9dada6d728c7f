"""The engine of truncations: what has a key of at least some bound stays.

One rule serves single rows and batches, dense and sparse states, and every library. Long rows of
NumPy arrays, and of CPU tensors without gradient, are asked one by one, and their survivors alone
make the new state; of all others a mask is multiplied into the prior.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np

from softargmax._arrays.checks import check_fits_within
from softargmax._arrays.namespaces import (
    Array,
    Shape,
    ignore_fp_errors,
    index_along,
    index_dtype,
    is_foreign,
    is_plain,
    is_traced,
    running_sum,
    to_namespace,
    widest_float,
)
from softargmax._core.information import ranking
from softargmax._core.state import SEEN, Kept, State, Whole, joined, starts_of
from softargmax._core.support import is_weighted
from softargmax._core.variants import masked
from softargmax._rows.few import MANY
from softargmax._rows.memory import once
from softargmax._rows.rows import as_rows
from softargmax._rows.rules import Rule, Rules, by_mass, by_rank, by_ratio
from softargmax._rows.surviving import Row, surviving
from softargmax._rows.thresholds import SLACK, RowScores

__all__ = ["Rule", "Rules", "Scores", "by_mass", "by_rank", "by_ratio", "survivors", "truncated"]


class ArrayScores:
    """The scores of all rows at once, in any library; masks say what is kept."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.xp = state.xp
        self.d = ranking(state)
        self.alive = self.d > -math.inf
        self.own_key: Any = None
        self._eps = float(self.xp.finfo(self.d.dtype).eps)

    @property
    def _scores(self) -> Array:
        """What orders the categories as d does, before its rounding; -inf where p = 0."""
        state, xp = self.state, self.xp
        if is_weighted(state):
            return self.d
        cold = to_namespace(state.coldness, xp, state.z)[..., None]
        usual = (cold > 1e-30) & (cold < 1e30)
        return xp.where(self.alive, xp.where(usual, state.z, self.d), -math.inf)

    @once
    def _weights(self) -> Array:
        return self.xp.exp(self.d)

    @once
    def log_total(self) -> Array:
        """log Σ exp(d), (…, 1)."""
        return self.xp.log(self._sum(self._weights))

    @property
    def entropy(self) -> Array:
        """H in nats, (…, 1)."""
        return self.log_total - self._sum(self._weights * self._finite) / self._sum(self._weights)

    @property
    def log_collision(self) -> Array:
        """log Σp² + log Σ exp(d), (…, 1)."""
        return self.xp.log(self._sum(self._weights**2)) - self.log_total

    @property
    def deviation(self) -> Array:
        """The population standard deviation of d over the categories with p > 0, (…, 1)."""
        xp, wide = self.xp, widest_float(self.xp)
        n = self._sum(xp.astype(self.alive, wide))
        gap = xp.astype(self._finite, wide)
        size = xp.max(abs(gap), axis=-1, keepdims=True)
        unit = xp.where(size > 1e15, size, xp.ones_like(size))  # lest squares overflow
        gap = gap / unit
        gap = xp.where(self.alive, gap - self._sum(gap) / n, xp.zeros_like(gap))
        return xp.astype(unit * xp.sqrt(self._sum(gap * gap) / n), self.d.dtype)

    def nearness(self, level: Array) -> Array:
        """-|d - level|, -inf where p = 0."""
        return self.xp.where(self.alive, 0 - abs(self.d - level), -math.inf)

    def lowest_from(self, bound: Any) -> Array:
        """The lowest d that is at least a bound, up to rounding; inf where none is, (…, 1)."""
        xp = self.xp
        high = self.alive & (self.d >= bound - SLACK * self._eps * (1 + abs(bound)))
        return xp.min(xp.where(high, self.d, math.inf), axis=-1, keepdims=True)

    def count_up_to(self, level: Any) -> Array:
        """How many categories with p > 0 have d ≤ level, (…, 1)."""
        return self._sum(self.xp.astype(self.alive & (self.d <= level), index_dtype(self.xp)))

    @property
    def _finite(self) -> Array:
        return self.xp.where(self.alive, self.d, self.xp.zeros_like(self.d))

    def _sum(self, x: Array) -> Array:
        return self.xp.sum(x, axis=-1, keepdims=True)

    # ------------------------------------------------------------------ thresholds

    def mass_threshold(self, mass: Any) -> Array:
        """The last key of the smallest set of the largest keys with this mass, (…, 1)."""
        xp, key = self.xp, self.d if self.own_key is None else self.own_key
        order = xp.argsort(key, axis=-1)
        tail = running_sum(xp.take_along_axis(self._weights, order, axis=-1), xp)
        goal = (1 - mass) * tail[..., -1:] * (1 + 8 * self._eps)
        ordered = xp.take_along_axis(key, order, axis=-1)
        found = xp.min(xp.where(tail > goal, ordered, math.inf), axis=-1, keepdims=True)
        return xp.where(mass >= 1, xp.full_like(found, -math.inf), found)

    def entropy_threshold(self, fraction: Any, *, cumulative: bool) -> Array:
        """The last d of the longest falling prefix whose entropy is ≤ fraction·H, (…, 1).

        It is the prefix's own, or with ``cumulative`` the sum of its terms -p log p.
        """
        xp = self.xp
        wide = widest_float(xp)
        given = xp.flip(xp.sort(self.d, axis=-1), axis=-1)
        ordered = xp.astype(given, wide)
        eps = float(xp.finfo(wide).eps)
        weights = xp.exp(ordered)
        finite = xp.where(ordered > -math.inf, ordered, xp.zeros_like(ordered))
        first = index_along(weights, xp) == 0
        others = xp.where(first, xp.zeros_like(weights), weights)
        rest = running_sum(others, xp)  # without the first, 1, beside which it drowns
        total = rest[..., -1:] if cumulative else rest
        own = xp.log1p(total) * ((1 + rest) / (1 + total))
        own = own - running_sum(weights * finite, xp) / (1 + total)
        goal = xp.astype(fraction * own[..., -1:], wide)
        within = own <= goal * (1 + 8 * eps)
        within = within & (running_sum(xp.astype(~within, index_dtype(xp)), xp) == 0)
        within = within & (weights > 0)
        found = xp.min(xp.where(within, given, xp.zeros_like(given)), axis=-1, keepdims=True)
        return xp.where(fraction >= 1, xp.full_like(found, -math.inf), found)

    # ------------------------------------------------------------------ which are kept

    def keep(self, bound: Any, least: Any, *, exact: bool) -> Array:
        """Where a key ≥ bound, or is among the ``least`` largest, ties with the last included."""
        key, ranked = (self.d, self._scores) if self.own_key is None else (self.own_key,) * 2
        if not exact:
            bound = bound - SLACK * self._eps * (1 + abs(bound))
        return self.alive & ((key >= bound) | (ranked >= self._kth(ranked, least)))

    def _kth(self, key: Array, k: Any) -> Array:
        """The k-th largest of every row, (…, 1)."""
        xp, width = self.xp, key.shape[-1]
        if isinstance(k, int) and k == 1:
            return xp.max(key, axis=-1, keepdims=True)
        ordered = xp.sort(key, axis=-1)
        if is_foreign(k):
            place = xp.where(k > width, width, k)
        else:
            place = min(k, width) if isinstance(k, int) else np.minimum(k, width)
            place = place if isinstance(k, int) else to_namespace(place, xp, key)
        chosen = index_along(key, xp) == width - place
        return xp.max(xp.where(chosen, ordered, -math.inf), axis=-1, keepdims=True)


# What a rule may ask: of one row numbers and arrays (K,), of a batch columns (…, 1) and (…, K).
# d is β·gap + log π₀, whose largest is 0, and p = exp(d - log_total).
Scores: TypeAlias = RowScores | ArrayScores


def goes_row_by_row(state: State) -> bool:
    """Whether survivors are kept: for long rows that NumPy can read, without gradient."""
    if state.kept is not None:
        return True
    if state.z.shape[-1] < MANY:
        return False
    return state.xp is np or all(map(is_plain, (state.logits, *state.temperature, state.prior)))


def check_rules(rules: Rules, batch: Shape) -> None:
    """Check that arrays of parameters fit the batch."""
    if not rules.of_numbers:
        for rule in rules:
            check_fits_within(tuple(getattr(rule.parameter, "shape", ())), batch, rule.name)


def truncated(state: State, rules: Rules) -> State:
    """What survives of a distribution after rules, each of which sees what the last one left."""
    batch = state.batch_shape
    check_rules(rules, batch)
    if not goes_row_by_row(state):
        for rule in rules:
            state = _masked_by(rule, state)
        return state
    positions, logits = [], []
    for row, own in zip(_rows(state), rules.of_each_row(batch), strict=False):
        found, z = surviving(row, own)
        positions.append(found)
        logits.append(z)
    made = survivors(state, positions, logits)
    dense = state.kept is None and state.prior is None
    if dense and rules.keep_the_likeliest and "top" in state.memo:
        # The largest logit survives every rule on d; where β < 0 the law does not use it.
        made.memo["top"] = state.memo["top"]
    return made


@ignore_fp_errors
def _masked_by(rule: Rule, state: State) -> State:
    """One rule for all rows at once."""
    xp, table = state.xp, ArrayScores(state)
    least = rule.least[..., None] if hasattr(rule.least, "shape") else rule.least
    table.own_key = None if rule.key is None else rule.key(table)
    column = _column(rule.parameter, state)
    keep = table.keep(rule.bound(table, column), least, exact=rule.exact)
    if is_traced(column):  # bad numbers of hidden values are NaN
        keep = xp.where(xp.isnan(column), math.nan, xp.astype(keep, column.dtype))
    return masked(state, keep)


def _column(x: Any, state: State) -> Any:
    """A parameter as an array that broadcasts against (…, K)."""
    if x is None:
        return None
    found = to_namespace(x, state.xp, state.z, widest_float(state.xp))
    return found[..., None] if found.ndim else found


def _rows(state: State) -> list[Row]:
    """The rows of a state that goes row by row."""
    state = state.host()
    kept, batch, memo = state.kept, state.batch_shape, state.memo
    tops: Iterable[Any]
    heads: Iterable[Any]
    if kept is None and not batch:
        return [Row(state.z, state.temperature, state.prior, memo.get("top"), memo.get("heads"))]
    if kept is not None:
        rows = kept.rows()
        priors = repeat(None) if kept.prior is None else map(kept.prior.__getitem__, rows)
        z = map(kept.z.__getitem__, rows)
        tops = heads = repeat(None)
    else:
        z = as_rows(state.z, batch)
        priors = repeat(None) if state.prior is None else as_rows(state.prior, batch)
        tops, heads = (repeat(None) if x is None else x for x in map(state.known, SEEN))
    each = zip(z, priors, tops, heads, strict=False)
    return [Row(row, state.row_temperature(i), *known) for i, (row, *known) in enumerate(each)]


def survivors(state: State, positions: list[Any], logits: list[Any] | None = None) -> State:
    """The state on some categories of every row, by their ascending positions among the present.

    ``logits``, of each row, spare gathering them; those of a sparse state are among what it keeps.
    """
    batch, old = state.batch_shape, state.kept
    if old is not None:
        starts = old.starts
        own = (
            positions
            if len(positions) == 1
            else [found + start for found, start in zip(positions, starts, strict=False)]
        )
        made = State.of_survivors(state.xp, state.temperature, batch, old.take(own))
        return made.after(state)
    host = state.host()
    z, prior = host.z, host.prior
    new = Kept(
        joined(positions, np.int64),
        starts_of(positions),
        _gathered(z, batch, positions) if logits is None else joined(logits, z.dtype),
        None if prior is None else _gathered(prior, batch, positions),
        z.shape[-1],
        Whole(state.logits, state.z, state.prior),
    )
    return State.of_survivors(state.xp, state.temperature, batch, new).after(state)


def _gathered(x: Any, batch: Shape, positions: list[Any]) -> Any:
    """The entries of each row of a batch at some positions, one row after another."""
    rows = as_rows(x, batch)
    if len(positions) == 1:
        return rows[0].take(positions[0])
    return joined([row.take(found) for row, found in zip(rows, positions, strict=True)], x.dtype)
