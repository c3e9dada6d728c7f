"""Rows of scores: what a distribution is while its log-probabilities are changed, and after it.

Long rows of NumPy arrays, and of CPU tensors without gradient, keep only the categories that have a
score. ``stacked`` makes a batch of single rows.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from softargmax._arrays.checks import any_of, in_row
from softargmax._arrays.namespaces import (
    Array,
    Shape,
    namespace_of,
    read_only,
    to_namespace,
    widest_float,
)
from softargmax._core.information import log_probs
from softargmax._core.state import LOST, Kept, State, joined, of_logits, starts_of
from softargmax._core.support import is_weighted
from softargmax._core.thresholds import goes_row_by_row
from softargmax._rows.rows import ONE, Temperature, as_rows
from softargmax._rows.sparse import Sparse
from softargmax._rows.ways import law_of

# The categories of a row, None where they are all, and scores of theirs.
Scored: TypeAlias = tuple[Any, Any]


def scored(state: State, name: str) -> list[Scored]:
    """The categories of every row, None where they are all, and scores of theirs to be changed."""
    law = state.host().law
    if isinstance(law, Sparse):
        own = zip(law.indices, law.laws, strict=True)
        return [(indices, getattr(one, name).copy()) for indices, one in own]
    made = getattr(law, f"make_{name}")()
    return [(None, row) for row in as_rows(made, state.batch_shape)]


def of_rows(
    state: State,
    rows: list[Scored],
    stage: str,
    temperatures: list[Temperature] | None = None,
    batch: Shape | None = None,
) -> State:
    """Rows of scores, normalised at a temperature of theirs; what has p = 0 is dropped.

    They are of the state's library and number of categories, and of its batch unless one is given.
    """
    batch, found = state.batch_shape if batch is None else batch, []
    left = [bool((scores > -math.inf).any()) for _, scores in rows]
    check_left(np.array(left, bool).reshape(batch), stage)
    for i, (indices, scores) in enumerate(rows):
        log_p = law_of(
            scores, ONE if temperatures is None else temperatures[i], None
        ).make_log_probs()
        found.append(_living(indices, log_p))
    return _joined_rows(state, found, batch)


def stacked(state: State, rows: list[State]) -> State:
    """Distributions without batch axes as the rows of such a batch.

    A row keeps its logits and temperature, with -inf for what a mask leaves out. One with a prior,
    or with β in place of a temperature, is replaced by its log-probabilities at temperature 1.
    """
    if not rows:
        return state
    plain = all(map(goes_row_by_row, rows))
    found, heats, tops = zip(*(_logits_of(row, plain) for row in rows), strict=True)
    heat = _of_each(state, heats)
    if plain:
        made = _joined_rows(state, [*found], state.batch_shape, heat)
        if all(top is not None for top in tops):
            made.memo["top"] = np.array(tops)
        return made
    return lost(of_logits(state.xp.stack([z for _, z in found]), state.xp, heat)).named(state)


def _logits_of(row: State, plain: bool) -> tuple[Scored, Temperature, Any]:
    """The categories of a row and their logits, its temperature, and its top, where it is known.

    With ``plain`` all rows of the batch go row by row, in NumPy.
    """
    host = row.host() if plain else row
    kept = host.kept if plain else None
    prior = host.prior if kept is None else kept.prior
    if is_weighted(row) or row.temperature.value is None:
        scores = _living(*scored(row, "log_probs")[0]) if plain else (None, log_probs(row))
        return scores, ONE, None
    top = row.memo.get("top") if prior is None else None
    if kept is not None:  # what a mask leaves out has not survived
        return (kept.indices, kept.z), row.temperature, top
    z = host.z if prior is None else host.xp.where(prior, host.z, -math.inf)
    return (_living(None, z) if plain else (None, z)), row.temperature, top


def _of_each(state: State, heats: tuple[Temperature, ...]) -> Temperature:
    """The temperature of a batch from those of its rows; a number where it is one."""
    if all(type(heat.value) is float and heat == heats[0] for heat in heats):
        return heats[0]
    xp, like = state.xp, state.like
    columns = (
        [to_namespace(x, xp, like, widest_float(xp)) for x in own]
        for own in zip(*heats, strict=True)
    )
    return Temperature(*(read_only(xp.stack(column)) for column in columns))


def _living(indices: Any, scores: Any) -> Scored:
    """The categories with scores above -inf, and these."""
    alive = scores > -math.inf
    if alive.all():
        return indices, scores
    return (np.flatnonzero(alive) if indices is None else indices[alive]), scores[alive]


def _joined_rows(state: State, found: list[Scored], batch: Shape, heat: Temperature = ONE) -> State:
    """Rows of scores as a batch, in the library of ``state``."""
    width = state.num_categories
    if all(indices is None for indices, _ in found):
        z = np.stack([z for _, z in found]) if found else np.empty(0, state.host().dtype)
        z = state.at_home(z.reshape(*batch, width))
        return lost(of_logits(z, state.xp, heat)).named(state)
    places = [np.arange(width) if own is None else own for own, _ in found]
    kept = Kept(
        joined(places, np.int64),
        starts_of(places),
        joined([z for _, z in found], np.float64),
        None,
        width,
    )
    return lost(State.of_survivors(state.xp, heat, batch, kept)).named(state)


def normalised(scores: Array, heat: Temperature = ONE) -> State:
    """Log-probabilities of scores in any library."""
    xp = namespace_of(scores)
    return lost(of_logits(log_probs(of_logits(scores, xp, heat)), xp))


def lost(state: State) -> State:
    """A new state whose logits are the library's."""
    state.origin = LOST
    return state


def check_left(left: Any, stage: str) -> None:
    """Check that every row has a category left."""
    if any_of(~left):
        raise ValueError(f"{stage} must leave a token, got none{in_row(~left)}")
