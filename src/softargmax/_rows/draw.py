"""Draws from the law of rows, by the way that serves their shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape
from softargmax._random.numpy import Generator, uniform, uniforms
from softargmax._rows.alias import draw_by_alias
from softargmax._rows.counts import draw_counts
from softargmax._rows.inversion import invert
from softargmax._rows.law import Law
from softargmax._rows.race import draw_by_race
from softargmax._rows.rows import as_rows
from softargmax._rows.sparse import Sparse
from softargmax._rows.threads import by_blocks_of_noise
from softargmax._rows.ways import choose_method


def draw(law: Law, n: int, rng: Generator, method: str, workers: int = 1) -> Any:
    """n draws of every row, int64 (n, rows).

    ``method`` is one of those of ``Categorical.sample``, or "whole", which inverts the whole
    cumulative distribution whatever n is, as counter-based draws need.
    """
    match choose_method(method, n, law.width):
        case "alias":
            return draw_by_alias(rng, law.tables, n, workers)
        case "gumbel":
            return draw_by_race(rng, as_rows(law.probs, law.batch), n, workers)
        case way if way == "few" or isinstance(law, Sparse):
            return law.draw_few(uniforms(rng, (n, law.count)), workers)
    out = np.empty((n, law.count), np.int64)

    def work(block: slice, u: Any) -> None:
        out[block] = invert(law.cdf, u)

    by_blocks_of_noise(work, n, law.count, lambda size: uniforms(rng, (size, law.count)), workers)
    return out


def count(law: Law, n: int, rng: Generator, size: Shape) -> Any:
    """How often each category comes in n draws of every row, int64, size + batch + (K,)."""
    weights = as_rows(law.probs, law.batch).astype(np.float64)
    return draw_counts(rng, weights, n, math.prod(size)).reshape(size + law.shape)


def draw_one(law: Law, rng: Generator, workers: int = 1) -> Any:
    """One draw of every row by inversion, of shape batch."""
    if not law.batch:
        return law.draw(uniform(rng))
    return law.draw_few(uniforms(rng, (1, law.count)), workers).reshape(law.batch)
