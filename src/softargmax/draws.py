"""Draws by hand: weights and noise to categories, as pure functions of NumPy rows.

None of them can return a category of weight 0, whatever the noise. :class:`Keyed` is an ``rng`` for
draws that depend on their number alone.
"""

from softargmax._random.keyed import Keyed
from softargmax._rows.alias import AliasTable
from softargmax._rows.inversion import cumulative, invert
from softargmax._rows.race import race

__all__ = ["AliasTable", "Keyed", "cumulative", "invert", "race"]


def __dir__() -> list[str]:
    return __all__
