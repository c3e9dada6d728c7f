"""Low-level draws: pure functions from NumPy rows of weights and noise to categories.

None of them ever returns a category of weight 0, whatever the noise. :class:`Keyed` is an ``rng``
for counter-based draws, each of which depends only on the seed and its own number.
"""

from __future__ import annotations

from softargmax._random.keyed import Keyed
from softargmax._rows.alias import AliasTable
from softargmax._rows.inversion import cumulative, invert
from softargmax._rows.race import race

__all__ = ["AliasTable", "Keyed", "cumulative", "invert", "race"]


def __dir__() -> list[str]:
    return __all__
