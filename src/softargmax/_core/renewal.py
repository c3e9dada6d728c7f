"""New log-probabilities for a distribution: edited, or at another temperature, and normalised.

The new state has them as its logits, at temperature 1 and without a prior; or its logits are
edited, and temperature and prior stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    ignore_fp_errors,
    is_plain,
    namespace_of,
    read_only,
    to_namespace,
    to_numpy,
)
from softargmax._core.information import log_probs, ranking
from softargmax._core.inputs import checked_temperature, inverse
from softargmax._core.scored import check_left, lost, normalised, of_rows, scored
from softargmax._core.state import State
from softargmax._core.support import is_weighted
from softargmax._core.thresholds import goes_row_by_row, survivors
from softargmax._core.variants import at_temperature
from softargmax._rows.rows import LIMITS, Temperature, as_rows


class Change(NamedTuple):
    """New scores of some categories of a row, log-probabilities or logits: score·factor + shift.

    Factors and shifts are a number for all ids, or an array with one for each.
    """

    ids: Any  # in any order, repeats with equal changes; where ``forced`` distinct and ascending
    factor: Any  # None for 1
    shift: Any  # None for 0
    forced: bool = False  # whether these alone are left, with the shift for a score
    above: Any = None  # the factor where a score is above 0, as no log-probability is; None: same


_NO_IDS = np.empty(0, np.int64)


@ignore_fp_errors
def edited(state: State, changes: list[Change], stage: str) -> State:
    """Log-probabilities after a change for each row of the batch.

    What is banned goes first, which leaves the logits of the others and their temperature: at T = 0
    the next best is left, whose log-probability was -inf. Where no score is to be changed, that is
    all.
    """
    bans = [_banned(change) for change in changes]
    if any(map(len, bans)):
        state = _without(state, bans, stage)
        changes = [_rest(change, ids) for change, ids in zip(changes, bans, strict=True)]
    if not any(change.forced or len(change.ids) for change in changes):
        return state
    if not goes_row_by_row(state):
        return normalised(_checked(_changed(log_probs(state), changes), stage)).named(state)
    rows = scored(state, "log_probs")
    for i, change in enumerate(changes):
        if change.forced:
            rows[i] = (change.ids, np.full(len(change.ids), change.shift, rows[i][1].dtype))
        else:
            _apply(change, *rows[i])
    return of_rows(state, rows, stage)


@ignore_fp_errors
def edited_logits(state: State, changes: list[Change], stage: str) -> State:
    """The state with other logits, after a change for each row of the batch."""
    xp, full = state.xp, (*state.batch_shape, state.num_categories)
    if xp is np or goes_row_by_row(state):
        given = to_numpy(state.z)
        z = np.empty(full, given.dtype)
        z[...] = given
        for change, row in zip(changes, as_rows(z, state.batch_shape), strict=True):
            if change.forced:
                row[:] = -math.inf
                row[change.ids] = change.shift
            else:
                _apply(change, None, row)
        z = state.at_home(z)
    else:
        z = _changed(xp.broadcast_to(state.z, full), changes)
    prior = state.prior
    left = z if prior is None else xp.where(xp.astype(prior, xp.bool), z, -math.inf)
    top = _checked_top(left, stage)
    made = lost(state.replace(logits=read_only(z), z=z))
    if xp is np and prior is None:  # the memo is NumPy's, and of what no prior hides
        made.memo["top"] = top
    return made


def _banned(change: Change) -> Any:
    """The ids that a change bans."""
    shift = change.shift
    if change.forced or shift is None:
        return _NO_IDS
    if not isinstance(shift, np.ndarray):
        return change.ids if shift == -math.inf else _NO_IDS
    return change.ids[shift == -math.inf]


def _rest(change: Change, banned: Any) -> Change:
    """A change without what it bans."""
    if not len(banned):
        return change
    stays: Any = slice(0)
    if len(banned) < len(change.ids):
        stays = change.shift > -math.inf
    return Change(*(x[stays] if isinstance(x, np.ndarray) else x for x in change))


def _without(state: State, bans: list[Any], stage: str) -> State:
    """The state without some categories of each row."""
    width = state.num_categories
    most = goes_row_by_row(state) and all(2 * len(ids) > width for ids in bans)
    if state.kept is None and not most:
        return edited_logits(state, [Change(ids, None, -math.inf) for ids in bans], stage)
    masks = np.ones((len(bans), width), bool)
    for mask, ids in zip(masks, bans, strict=True):
        mask[ids] = False
    return allowed(state, masks, stage)


def allowed(state: State, masks: Iterable[Any], stage: str) -> State:
    """What masks (K,), one for each row, leave of a state that goes row by row."""
    found = [
        np.flatnonzero(mask[own] & alive)
        for mask, (own, alive) in zip(masks, _alive(state), strict=True)
    ]
    check_left(np.array([len(x) > 0 for x in found], bool).reshape(state.batch_shape), stage)
    return survivors(state, found)


def _alive(state: State) -> Iterator[tuple[Any, Any]]:
    """The categories that each row has, as an index, and whether they have p > 0."""
    state = state.host()
    if state.kept is not None:
        for row in state.kept.rows():
            yield state.kept.indices[row], True
    else:
        for alive in as_rows(state.support, state.batch_shape):
            yield slice(None), alive


def _changed(old: Array, changes: list[Change]) -> Array:
    """Scores (…, K) in any library after a change for each row."""
    xp, batch = namespace_of(old), old.shape[:-1]
    factor = np.ones((len(changes), old.shape[-1]))
    shift, above = np.zeros_like(factor), np.ones_like(factor)
    for i, change in enumerate(changes):
        if change.forced:
            factor[i], above[i], shift[i] = 0, 0, -math.inf
        if change.factor is not None:
            factor[i, change.ids] = change.factor
            above[i, change.ids] = change.factor if change.above is None else change.above
        if change.shift is not None:
            shift[i, change.ids] = change.shift
    # A factor beyond the range would be inf, and 0·inf no number.
    most = float(xp.finfo(old.dtype).max)
    factor, above = np.minimum(factor, most), np.minimum(above, most)
    factor, shift, above = (
        to_namespace(x.reshape(old.shape), xp, old, old.dtype) for x in (factor, shift, above)
    )
    zero, stays = xp.zeros_like(old), old > -math.inf
    score = xp.where(stays, old, zero)
    if any(change.forced for change in changes):
        forced = np.array([change.forced for change in changes]).reshape(*batch, 1)
        stays = stays | (to_namespace(forced, xp, old) & (old == old))
    stays = stays & (shift > -math.inf)
    score = xp.where(stays, score, zero)
    new = score * xp.where(score > 0, above, factor) + xp.where(stays, shift, zero)
    new = xp.clip(new, max=most)
    return xp.where(stays, new, -math.inf)


def _apply(change: Change, indices: Any, scores: Any) -> None:
    """Change the scores of categories in place; ``indices`` is None where they are all.

    All are read before any is written, so that an id that comes twice is changed once.
    """
    place, hit = change.ids, slice(None)
    if indices is not None:
        place = np.minimum(indices.searchsorted(change.ids), len(indices) - 1)
        hit = indices[place] == change.ids
        place = place[hit]
    factor, above, shift = (
        x[hit] if isinstance(x, np.ndarray) else x  # one for each id, or one for all
        for x in (change.factor, change.above, change.shift)
    )
    old = new = scores[place].astype(np.float64, copy=False)
    if factor is not None:
        factor = factor if above is None else np.where(old > 0, above, factor)
        new = np.where(old > -math.inf, old * factor, -math.inf)
    if shift is not None:
        new = new + shift
    scores[place] = np.minimum(new, LIMITS[scores.dtype.char].max)


@ignore_fp_errors
def retempered(state: State, temperature: Any, stage: str) -> State:
    """p^(1/t) on the support; ``temperature`` is one, or one per row.

    The logits stay where no prior has weights. Else the new ones are log-probabilities.
    """
    heat = checked_temperature(temperature, None, state.xp, state.like)
    if not is_weighted(state):
        return at_temperature(state, product(state.temperature, heat, state.xp))
    if not (goes_row_by_row(state) and is_plain(temperature)):
        # The scores before their rounding to log-probabilities.
        return normalised(_checked(ranking(state), stage), heat).named(state)
    t = np.broadcast_to(to_numpy(temperature), state.batch_shape).ravel().tolist()
    temperatures = [Temperature(1 / x if x else math.inf, x) for x in t]
    return of_rows(state, scored(state, "d"), stage, temperatures)


def product(temperature: Temperature, factor: Temperature, xp: Any) -> Temperature:
    """A temperature times a factor; one of 0 or inf stays what it is, whatever the factor."""
    given, by = temperature.value, factor.value
    if given is None:
        given, by = temperature.coldness, factor.coldness
    at_limit = (given == 0) | (abs(given) == math.inf)
    if type(given) is not float:  # both branches of each ``where`` have finite derivatives
        by = to_namespace(by, xp, given, given.dtype)
        one, endless = xp.ones_like(given), xp.abs(by) == math.inf
        made: Any = xp.where(at_limit, one, given) * xp.where(endless, one, by)
        far = xp.where(given > 0, math.inf * one, -math.inf * one)
        made = xp.where(at_limit, given, xp.where(endless, far, made))
    elif at_limit:
        made = given if type(by) is float else xp.full_like(by, given)
    else:
        made = given * by
    if temperature.value is None:
        return Temperature(made, None)
    return Temperature(inverse(made, xp), made)


def _checked(scores: Array, stage: str) -> Array:
    _checked_top(scores, stage)
    return scores


def _checked_top(scores: Array, stage: str) -> Array:
    """The largest score of every row, which must have one."""
    top = namespace_of(scores).max(scores, axis=-1)
    check_left(top != -math.inf, stage)  # NaN, where values are hidden, is left
    return top
