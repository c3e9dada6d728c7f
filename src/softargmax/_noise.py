"""Noise from any ``rng``: uniforms, exponentials and Gumbels.

The only file that names NumPy's random module. Noise is float64 whatever the dtype of the
distribution: NumPy's float32 exponentials contain exact zeros, and float32 uniforms are coarser
than the probabilities that they have to resolve.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softargmax._arrays import Shape

Generator: TypeAlias = np.random.Generator
Rng: TypeAlias = (
    int | np.integer[Any] | np.random.SeedSequence | np.random.BitGenerator | Generator | None
)
Rngs: TypeAlias = Rng | Sequence[Rng] | NDArray[np.integer[Any]]

# Smaller than any positive value of standard_exponential, whose exact zeros it replaces.
_TINY_WAIT = 2.0**-64


def generator(rng: Rng) -> Generator:
    """A Generator from an ``rng`` argument; None takes fresh entropy from the system."""
    if isinstance(rng, Generator):
        return rng
    if isinstance(rng, bool | np.bool_) or not isinstance(
        rng, np.random.BitGenerator | np.random.SeedSequence | int | np.integer | None
    ):
        raise TypeError(
            "rng must be None, an int, a SeedSequence, a BitGenerator or a Generator "
            f"(or a sequence of them, one a row of a 1-d batch), got {rng!r}"
        )
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must be a non-negative int, got {rng!r}")
    return np.random.default_rng(rng)


def one_a_row(rng: Any, batch_shape: Shape) -> list[Generator] | None:
    """The generators of a sequence with one rng a row; None where ``rng`` is a single one."""
    if rng is None or isinstance(rng, Generator):
        return None
    if isinstance(rng, np.ndarray) and rng.ndim == 1 and rng.dtype.kind in "iu":
        rng = rng.tolist()
    if not isinstance(rng, list | tuple):
        return None
    if len(batch_shape) != 1:
        raise ValueError(
            "rng may be a sequence, one rng a row, only for a 1-d batch; "
            f"got {len(rng)} rngs for batch_shape {batch_shape}; a list is never a seed"
        )
    if len(rng) != batch_shape[0]:
        raise ValueError(f"rng must have one entry a row, {batch_shape[0]} in all, got {len(rng)}")
    return [generator(one) for one in rng]


def uniforms(rng: Generator, shape: Shape, out: Any = None) -> Any:
    """Independent uniforms in [0, 1), multiples of 2⁻⁵³."""
    return rng.random(shape, out=out)


def uniform(rng: Generator) -> float:
    """One uniform in [0, 1)."""
    return rng.random()


def exponentials(rng: Generator, shape: Shape) -> Any:
    """Independent standard exponentials, all of them positive and finite."""
    waits = rng.standard_exponential(shape)
    return np.maximum(waits, _TINY_WAIT, out=waits)


def gumbels(rng: Generator, shape: Shape) -> Any:
    """Independent standard Gumbels, -log of an exponential: finite, from about -4 to 44."""
    noise = exponentials(rng, shape)
    np.log(noise, out=noise)
    return np.negative(noise, out=noise)
