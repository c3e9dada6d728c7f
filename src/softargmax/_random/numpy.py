"""NumPy's generators and their noise, and the sources that are made of them.

Noise is float64 whatever the dtype of the distribution: NumPy's float32 exponentials contain exact
zeros, and float32 uniforms are coarser than the probabilities that they have to resolve.
"""

from __future__ import annotations

import struct
from functools import partial
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from softargmax._arrays.namespaces import Array, Namespace, Shape, to_namespace, to_numpy
from softargmax._random.keyed import Keyed
from softargmax._random.source import CORES, Job, Source
from softargmax._random.tags import Tag

Generator: TypeAlias = np.random.Generator

# Smaller than any positive value of standard_exponential, whose exact zeros it replaces.
TINY_WAIT = 2.0**-64


def generator(rng: Any) -> Generator:
    """A Generator from an ``rng`` argument; None takes fresh entropy from the system."""
    if isinstance(rng, Generator):
        return rng
    if isinstance(rng, Keyed):
        raise TypeError(
            "rng may be Keyed only in sample and sample_and_log_prob, of NumPy arrays and PyTorch "
            f"tensors on the CPU; got {rng!r}"
        )
    if isinstance(rng, bool | np.bool_) or not isinstance(
        rng, np.random.BitGenerator | np.random.SeedSequence | int | np.integer | None
    ):
        raise TypeError(
            "rng must be None, an int, a SeedSequence, a BitGenerator or a Generator "
            f"(or a sequence of them, one per row of a 1-d batch), got {rng!r}"
        )
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must be a non-negative int, got {rng!r}")
    return np.random.default_rng(rng)


def generator_of_words(words: Any) -> Generator:
    """A generator whose seed is made of integers."""
    return np.random.default_rng([int(word) for word in words])


class _Seed(ISeedSequence):
    """What seeds a bit generator: the 32 bytes of a hash, without hashing them once more."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> Any:  # noqa: ARG002
        """The four words that PCG64 asks for."""
        return np.frombuffer(self.digest, "<u8").astype(dtype)


_hashed = struct.Struct("<2Q2d").pack


def tagged(rng: Generator, tag: Tag, count: int = 1, first: int = 0) -> list[Generator]:
    """Generators whose noise nothing but this tag shares with an equal generator.

    Their states are hashes of the tag and of two uniforms: an eighth of the time of SeedSequence.
    """
    words = rng.random(), rng.random()
    found = []
    for i in range(first, first + count):
        digest = blake2b(_hashed(tag, i, *words), digest_size=32).digest()
        found.append(Generator(np.random.PCG64(_Seed(digest))))  # type: ignore[arg-type]
    return found


def is_sequence(rng: Any) -> bool:
    """Whether an ``rng`` argument has one entry for each row of a batch."""
    if isinstance(rng, np.ndarray):
        return rng.ndim == 1 and rng.dtype.kind in "iu"
    return isinstance(rng, list | tuple)


def per_row(rng: Any, batch: Shape) -> list[Any]:
    """The entries of a sequence with one rng for each row of a 1-d batch."""
    rngs = rng.tolist() if isinstance(rng, np.ndarray) else list(rng)
    if len(batch) != 1:
        raise ValueError(
            "rng may be a sequence, one rng a row, only for a 1-d batch; "
            f"got {len(rngs)} rngs for batch_shape {batch}; a list is never a seed"
        )
    if len(rngs) != batch[0]:
        raise ValueError(f"rng must have one entry a row, {batch[0]} in all, got {len(rngs)}")
    return rngs


# ---------------------------------------------------------------------------- noise


def uniforms(rng: Generator, shape: Shape, out: Any = None) -> Any:
    """Independent uniforms in [0, 1), multiples of 2⁻⁵³."""
    return rng.random(shape, out=out)


def uniform(rng: Generator) -> float:
    """One uniform in [0, 1)."""
    return rng.random()


def exponentials(rng: Generator, shape: Shape) -> Any:
    """Independent standard exponentials, all of them positive and finite."""
    waits = rng.standard_exponential(shape)
    return np.maximum(waits, TINY_WAIT, out=waits)


def gumbels(rng: Generator, shape: Shape) -> Any:
    """Independent standard Gumbels, -log of an exponential: finite, from about -4 to 44."""
    noise = exponentials(rng, shape)
    np.log(noise, out=noise)
    return np.negative(noise, out=noise)


def log_gammas(rng: Generator, alpha: Any, shape: Shape) -> Any:
    """Logarithms of independent Gamma(alpha) variates, finite for the smallest alpha too.

    A Gamma(α) variate is a Gamma(α + 1) variate times a uniform to the power 1/α.
    """
    high = np.log(rng.standard_gamma(alpha + 1, shape))
    return np.maximum(high - exponentials(rng, shape) / alpha, -1e308)


def gumbel_noise(rng: Any, tag: Tag, shape: Shape, dtype: Any) -> Any:
    """Standard Gumbels of a floating dtype, float64 for None."""
    kind = floating_dtype(dtype)
    if not (kind.kind == "f" or kind.name == "bfloat16"):
        raise TypeError(f"dtype must be a floating dtype, got {dtype!r}")
    own = tagged(generator(rng), tag)[0]
    return gumbels(own, shape).astype(kind, copy=False)


def floating_dtype(dtype: Any) -> Any:
    """A dtype of NumPy's, float64 for None."""
    try:
        return np.dtype(np.float64 if dtype is None else dtype)
    except TypeError:
        raise TypeError(f"dtype must be a floating dtype, got {dtype!r}") from None


# ---------------------------------------------------------------------------- sources


class HostSource(Source):
    """One generator for all rows; results go to the namespace and the device of ``like``."""

    def __init__(self, rng: Generator, xp: Namespace, like: Array, batch: Shape) -> None:
        self.generator, self.xp, self.like, self.batch = rng, xp, like, batch

    @property
    def generators(self) -> Generator:
        return self.generator

    def streams(self, tag: Tag, count: int = 1) -> list[Source]:
        made = tagged(self.generator, tag, count)
        return [HostSource(rng, self.xp, self.like, self.batch) for rng in made]

    def gumbels(self, size: Shape, core: Shape = ()) -> Array:
        return self.home(gumbels(self.generator, (*size, *self.batch, *core)))

    def log_gammas(self, alpha: Array, width: int) -> Array:
        shape = (*self.batch, width)
        return self.home(log_gammas(self.generator, to_numpy(alpha), shape))


class RowSources(Source):
    """A source of its own for each row of a 1-d batch."""

    def __init__(self, rows: list[Source], xp: Namespace, like: Array) -> None:
        self.sources, self.xp, self.like, self.batch = rows, xp, like, (len(rows),)
        self.native = bool(rows) and rows[0].native

    @property
    def generators(self) -> list[Generator]:
        return [one.generators for one in self.sources]

    def rows(self) -> list[Source]:
        return self.sources

    def streams(self, tag: Tag, count: int = 1) -> list[Source]:
        found = [source.streams(tag, count) for source in self.sources]
        return [RowSources([row[i] for row in found], self.xp, self.like) for i in range(count)]

    def gumbels(self, size: Shape, core: Shape = ()) -> Array:
        if not self.sources:
            return to_namespace(np.empty((*size, 0, *core)), self.xp, self.like)
        return self.xp.stack([one.gumbels(size, core) for one in self.sources], axis=len(size))

    def log_gammas(self, alpha: Array, width: int) -> Array:
        if not self.sources:
            return to_namespace(np.empty((0, width)), self.xp, self.like)
        rows = self.xp.broadcast_to(alpha, (*self.batch, 1))
        found = [one.log_gammas(rows[i], width) for i, one in enumerate(self.sources)]
        return self.xp.stack(found, axis=0)

    def gumbel_max(self, log_probs: Array, size: Shape) -> Array:
        found = [one.gumbel_max(log_probs[i], size) for i, one in enumerate(self.sources)]
        return self.xp.stack(found, axis=len(size))

    def hides(self, arrays: tuple[Any, ...]) -> bool:
        return any(one.hides(arrays) for one in self.sources)

    def hand_out(self, job: Job, batch: Shape, arrays: tuple[Any, ...]) -> Array:
        def row(i: int, x: Any, core: int) -> Any:
            if not hasattr(x, "shape"):
                return x
            return self.xp.broadcast_to(x, (*batch, *x.shape[x.ndim - core :]))[i]

        found = [
            one.hand_out(job, (), tuple(map(partial(row, i), arrays, CORES)))
            for i, one in enumerate(self.sources)
        ]
        return self.xp.stack(found, axis=len(job.size))
