"""Types for annotations: what functions take as arrays and as sources of randomness.

``Categorical[A]`` is a distribution whose arrays are of type A: ``Categorical[NDArray[Any]]``,
``Categorical[torch.Tensor]``, ``Categorical[jax.Array]``; ``Categorical`` alone is of any library.
"""

from __future__ import annotations

from typing import TypeAlias

from softargmax._arrays import types
from softargmax._arrays.types import ArrayProtocol
from softargmax._random import sources

__all__ = ["ArrayLike", "ArrayProtocol", "NumpyLike", "Rng", "Rngs"]

#: What functions take as an array: a number, an array of any library, or lists of them; no string.
ArrayLike: TypeAlias = types.ArrayLike
#: What NumPy answers: a number, an array of its own, or lists of them.
NumpyLike: TypeAlias = types.NumpyLike
#: One source of randomness: a seed, a NumPy generator or what it is made of, ``Keyed``, or None.
Rng: TypeAlias = sources.Rng
#: ``Rng``, a ``torch.Generator``, a key of JAX's, or a sequence of these, one a row.
Rngs: TypeAlias = sources.Rngs


def __dir__() -> list[str]:
    return __all__
