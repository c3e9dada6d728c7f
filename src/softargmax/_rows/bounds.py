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


@lru_cache
def table_of(rules: tuple[Any, ...]) -> Any:
    """The kinds, parameters and least counts of rules, if a kernel knows all of them."""
    if not all(rule.bound in KINDS and rule.key is None for rule in rules):
        return None
    return np.array([(KINDS[rule.bound], rule.parameter, rule.least) for rule in rules], np.float64)
