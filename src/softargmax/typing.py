"""Types for annotations: what functions take as arrays and as sources of randomness.

``Categorical[A]`` is a distribution whose arrays are of type A: ``Categorical[Numpy]``,
``Categorical[torch.Tensor]``, ``Categorical[jax.Array]``; ``Categorical`` alone is of any library.
"""

from softargmax._arrays.types import ArrayLike, ArrayProtocol, Numpy, NumpyLike
from softargmax._random.sources import Rng, Rngs

__all__ = ["ArrayLike", "ArrayProtocol", "Numpy", "NumpyLike", "Rng", "Rngs"]


def __dir__() -> list[str]:
    return __all__
