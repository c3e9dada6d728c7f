"""Draws from the law of rows, by the way that serves their shape."""

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._random.numpy import Generator, uniform, uniforms
from softargmax._rows.alias import draw_by_alias
from softargmax._rows.blocks import columns
from softargmax._rows.counts import draw_counts
from softargmax._rows.inversion import cumulative, invert, invert_columns
from softargmax._rows.law import Law
from softargmax._rows.memory import blocks
from softargmax._rows.race import draw_by_race
from softargmax._rows.rows import Rows, as_rows
from softargmax._rows.short import Short
from softargmax._rows.sparse import Sparse
from softargmax._rows.threads import by_blocks_of_noise, share
from softargmax._rows.ways import MANY, choose_method, law_of_rows


def draw(law: Law, n: int, rng: Generator, method: str, workers: int = 1) -> Any:
    """n draws of every row, int64 (n, rows).

    ``method`` is one of those of ``Categorical.sample``, or "whole", which inverts the whole
    cumulative distribution whatever n is, as counter-based draws need.
    """
    way = choose_method(method, n, law.count, law.width)
    match way:
        case "alias":
            return draw_by_alias(rng, law.tables, n, workers)
        case "gumbel":
            return draw_by_race(rng, as_rows(law.probs, law.batch), n, workers)
        case _ if isinstance(law, Sparse):
            return law.invert(uniforms(rng, (n, law.count)))
        case "columns":
            return _forgetting(law.rows, uniforms(rng, (n, law.count)), workers, _by_columns)
        case "blocks":
            return law.sums(workers).invert(uniforms(rng, (n, law.count)))
        case "rows":
            return _forgetting(law.rows, uniforms(rng, (n, law.count)), workers, _by_rows)
    out = np.empty((n, law.count), np.int64)

    def work(block: slice, u: Any) -> None:
        out[block] = invert(law.cdf, u)

    by_blocks_of_noise(work, n, law.count, lambda size: uniforms(rng, (size, law.count)), workers)
    return out


def count(law: Law, n: int, rng: Generator) -> Any:
    """How often each category comes in n draws of every row, int64, batch + (K,)."""
    weights = as_rows(law.probs, law.batch).astype(np.float64)
    return draw_counts(rng, weights, n).reshape(law.shape)


def draw_one(law: Law, rng: Generator) -> Any:
    """One draw of every row by inversion, of shape batch, where that has a shorter way; or None."""
    if type(law) is Short:
        return np.int64(law.draw(uniform(rng)))
    if not law.batch:
        u = uniform(rng)
        if isinstance(law, Sparse):
            return law.invert_one(u)
        if law.width >= MANY:
            return np.int64(law.sums().invert_one(u))
        return np.int64(law.cdf[0].searchsorted(u, side="right"))
    if isinstance(law, Sparse) or choose_method("inverse", 1, law.count, law.width) != "inverse":
        return None
    u = uniforms(rng, (law.count, 1))
    return (law.cdf > u).argmax(axis=-1).reshape(law.batch)


def _forgetting(rows: Rows, u: Any, workers: int, invert: Callable[[Rows, Any], Any]) -> Any:
    """Draws (n, rows) for uniforms, a block of rows at a time, whose sums are not kept."""
    found = np.empty(u.shape, np.int64)

    def work(block: slice) -> None:
        found[:, block] = invert(rows.part(block), u[:, block])

    share(work, blocks(*rows.z.shape), workers)
    return found


def _by_columns(rows: Rows, u: Any) -> Any:
    return invert_columns(columns(rows), u[0])


def _by_rows(rows: Rows, u: Any) -> Any:
    return invert(cumulative(law_of_rows(rows).make_probs()), u)
