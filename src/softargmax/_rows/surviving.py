"""What survives rules of long rows, and draws from it: by kernels, or by scores of NumPy arrays."""

from __future__ import annotations

from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.engine import kernels
from softargmax._rows.rows import Temperature
from softargmax._rows.rules import Rules
from softargmax._rows.thresholds import RowScores
from softargmax._rows.ways import law_of


class Row(NamedTuple):
    """One row (K,) of logits, and what is known of it."""

    z: Any
    temperature: Temperature
    prior: Any = None
    top: Any = None
    heads: Any = None  # the largest of groups


def seen(z: Any, temperature: Temperature) -> list[Row]:
    """Long rows, with what one look at their logits tells; a top is not finite where one is bad."""
    fast, z = kernels(), z.view() if z.ndim == 1 else z.reshape(-1, z.shape[-1])
    z.setflags(False)  # as kernels take arrays
    heads, top = (None, z.max(axis=-1)) if fast is None else fast.heads_and_top(z)
    if z.ndim == 1:
        return [Row(z, temperature, None, top, heads)]
    each = zip(z, top, repeat(None) if heads is None else heads, strict=False)
    return [Row(row, temperature, None, *own) for row, *own in each]


def surviving(row: Row, rules: Rules) -> tuple[Any, Any]:
    """The ascending positions of what survives rules, one after another, and its logits."""
    return _survivors(row, _scores(row), rules)


def surviving_one(row: Row, rules: Rules, temperature: Temperature, u: float) -> Any:
    """The category of a uniform among what survives rules that are kernels' own, drawn at a
    temperature of its own.
    """
    scores = _scores(row)
    if kernels() is not None and scores.are_logits:
        drawn, found, z = scores.surviving_one(rules.table, temperature, u)
        if drawn >= 0:
            return np.int64(drawn)
    else:
        found, z = _survivors(row, scores, rules)
    return found[law_of(z, temperature, None, top=row.top).draw(u)]


def _scores(row: Row) -> Any:
    fast = kernels()
    return RowScores.of(*row[:4]) if fast is None else fast.CompiledScores.of(*row)


def _survivors(row: Row, scores: Any, rules: Rules) -> tuple[Any, Any]:
    if kernels() is None or rules.table is None:
        found, some = _staying(scores, rules)
    else:
        found, some = scores.surviving(rules.table)
    return found, some if scores.are_logits else row.z.take(found)


@ignore_fp_errors
def _staying(scores: RowScores, rules: Rules) -> tuple[Any, Any]:
    """The ascending positions of what survives rules, and its scores."""
    found = some = None
    for rule in rules:
        if found is not None:
            scores = scores.among(some)
        with scores:
            if rule.key is not None:
                scores.own_key = rule.key(scores)
            bound = rule.bound(scores, rule.parameter)
            stay, some = scores.keep(bound, rule.least, exact=rule.exact)
        found = stay if found is None else found[stay]
    return found, some
