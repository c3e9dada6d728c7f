"""What survives rules of long rows, and draws from it: by kernels, or by scores of NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
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


def seen(rows: Any) -> list[tuple[Any, Any]] | None:
    """The largest logit of each row, and of groups of it; None where one is not finite."""
    fast = kernels()
    if fast is None:
        heads, tops = repeat(None), rows.max(axis=-1)
    else:
        heads, tops = fast.heads_and_top(rows)
    return list(zip(tops, heads, strict=False)) if np.isfinite(tops).all() else None


def picker(
    z: Any,
    temperature: Temperature,
    rules: Rules,
    own: Temperature,
    top: Any = None,
    heads: Any = None,
) -> Callable[[float], Any] | None:
    """A function from a uniform in [0, 1) to the category that it draws from what survives rules
    that are kernels' own, at a temperature of its own.

    The row of logits, which has no prior, is only read; ``top`` and ``heads`` are what was seen of
    it. None where its largest logit is not finite.
    """
    fast = kernels()
    pick: Callable[[float], Any] | None
    pick = None if fast is None else fast.picker(z, temperature, rules.table, own, top, heads)
    if pick is not None:
        return pick
    top = z.max() if top is None else top
    if not math.isfinite(top):
        return None
    found, some = surviving(Row(z, temperature, None, top, heads), rules)
    law = law_of(some, own, None, top=top)
    return lambda u: found[law.draw(u)]


def surviving(row: Row, rules: Rules) -> tuple[Any, Any]:
    """The ascending positions of what survives rules, one after another, and its logits."""
    fast = kernels()
    scores: Any = RowScores.of(*row[:4]) if fast is None else fast.CompiledScores.of(*row)
    if fast is None or rules.table is None:
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
