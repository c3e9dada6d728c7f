"""From an ``rng`` argument to the source that serves a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from softargmax._arrays.namespaces import Array, Namespace, Shape, is_jax, is_torch, is_traced
from softargmax._arrays.types import ArrayProtocol
from softargmax._random import jax, torch
from softargmax._random.keyed import Keyed
from softargmax._random.numpy import (
    Generator,
    HostSource,
    RowSources,
    generator,
    gumbel_noise,
    is_sequence,
    per_row,
)
from softargmax._random.source import Job, Source
from softargmax._random.tags import Tag


class TorchGenerator(Protocol):
    """What a torch.Generator has, whether PyTorch is installed or not."""

    def initial_seed(self) -> int: ...
    def seed(self) -> int: ...


Rng: TypeAlias = (
    int
    | np.integer[Any]
    | np.random.SeedSequence
    | np.random.BitGenerator
    | Generator
    | Keyed
    | None
)
# A key of JAX's, or one or more seeds, are an array.
_One: TypeAlias = Rng | TorchGenerator | ArrayProtocol
Rngs: TypeAlias = _One | Sequence[_One]


def source_of(
    rng: Any, xp: Namespace, like: Array | None, batch: Shape, *, keyed: bool = False
) -> Source:
    """The source of an ``rng`` argument, for a batch of arrays on the device of ``like``.

    Keyed counter-based draws are taken where ``keyed`` says so, and only on the host.
    """
    if is_jax(xp):
        assert like is not None  # a sparse state is never JAX's
        return jax.JaxSource(jax.keys_of(rng, batch), xp, like.dtype, batch)
    if is_sequence(rng):
        rows = [_single(one, xp, like, ()) for one in per_row(rng, batch)]
        return RowSources(rows, xp, like)
    if keyed and isinstance(rng, Keyed) and not (torch.is_native(like, xp) or is_traced(like)):
        source = HostSource(rng.generator(), xp, like, batch)
        source.keyed = True
        return source
    return _single(rng, xp, like, batch)


def _single(rng: Any, xp: Namespace, like: Array, batch: Shape) -> Source:
    if is_torch(xp) and is_traced(like):
        from softargmax._random.torch_op import HiddenSource  # which loads torch

        return HiddenSource.of(rng, xp, like, batch)
    if is_torch(xp):
        return torch.visible_source(rng, xp, like, batch)
    if torch.is_torch_generator(rng) or jax.is_key(rng):
        kind = "torch.Generator" if torch.is_torch_generator(rng) else "JAX key"
        raise TypeError(f"rng must be NumPy's for a distribution of NumPy arrays, got a {kind}")
    return HostSource(generator(rng), xp, like, batch)


def hand_out(job: Job, xp: Namespace, batch: Shape, arrays: tuple[Any, ...]) -> Array:
    """The answer to a job in which nothing is random, for arrays whose values are hidden."""
    if is_jax(xp):
        return jax.hand_out(job, xp, batch, arrays)
    from softargmax._random.torch_op import HiddenSource

    return HiddenSource((), (), xp, arrays[0], batch).hand_out(job, batch, arrays)


def gumbels_like_rng(rng: Any, tag: Tag, shape: Shape, dtype: Any) -> Array:
    """Standard Gumbels in the namespace of the rng, of a dtype or of the namespace's default."""
    if torch.is_torch_generator(rng):
        return torch.gumbel_noise(rng, tag, shape, dtype)
    if jax.is_key(rng):
        return jax.gumbel_noise(rng, tag, shape, dtype)
    return gumbel_noise(rng, tag, shape, dtype)
