"""Bounds of truncations that are common enough for a kernel to know them."""

import math
from functools import lru_cache
from typing import Any

import numpy as np


def by_rank(_scores: Any, _parameter: Any) -> Any:
    """No key: what stays is the least count."""
    return math.inf


def by_ratio(scores: Any, ratio: Any) -> Any:
    """The key of what is so many times as likely as the likeliest."""
    return scores.xp.log(ratio)


def by_mass(scores: Any, mass: Any) -> Any:
    """The last key of the smallest set of the largest keys with this mass."""
    return scores.mass_threshold(mass)


BY_RANK, BY_RATIO, BY_MASS = range(3)
KINDS = {by_rank: BY_RANK, by_ratio: BY_RATIO, by_mass: BY_MASS}  # bounds that a kernel knows


def table_of(rules: tuple[Any, ...]) -> Any:
    """The kinds, parameters and least counts of rules, if a kernel knows all of them."""
    known = []
    for bound, parameter, key, least, _ in rules:
        kind = KINDS.get(bound)
        if kind is None or key is not None:
            return None
        known.append((kind, parameter, least))
    return _table(tuple(known))


@lru_cache
def _table(known: tuple[tuple[float, ...], ...]) -> Any:
    return np.array(known, np.float64)
