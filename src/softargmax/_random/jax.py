"""JAX: its keys, noise of two words of random bits a number, and what NumPy draws for it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    Shape,
    index_dtype,
    is_traced,
    widest_float,
)
from softargmax._random.numpy import floating_dtype, generator_of_words
from softargmax._random.source import JOBS, Job, Source
from softargmax._random.tags import Tag
from softargmax._random.torch import AT_ONCE

_LARGEST = 44.3614  # 64 log 2, the largest Gumbel of 64 random bits


def is_key(rng: object) -> bool:
    """True for a JAX key, or an array of keys, typed or raw."""
    if type(rng).__module__.partition(".")[0] not in ("jax", "jaxlib"):
        return False
    jax = sys.modules["jax"]
    if jax.dtypes.issubdtype(rng.dtype, jax.dtypes.prng_key):  # type: ignore[attr-defined]
        return True
    return bool(rng.dtype == np.uint32 and rng.ndim >= 1)  # type: ignore[attr-defined]


def keys_of(rng: Any, batch: Shape) -> Array:
    """A typed key, or an array with one for each row of a 1-d batch."""
    jax = sys.modules["jax"]
    rng = [*map(_of_numpy, rng)] if isinstance(rng, list | tuple) else _of_numpy(rng)
    if isinstance(rng, list) and rng and all(map(is_key, rng)):
        rng = jax.numpy.stack([_typed(one) for one in rng])
    if not is_key(rng):
        raise TypeError(f"rng must be a JAX key for a distribution of JAX arrays, got {rng!r}")
    keys = _typed(rng)
    if keys.ndim and (keys.ndim != 1 or keys.shape != batch):
        raise ValueError(
            "rng must be one key, or one per row of a 1-d batch; "
            f"got keys of shape {keys.shape} for batch_shape {batch}"
        )
    return keys


def _of_numpy(key: Any) -> Any:
    """A raw key in NumPy, which JAX takes for its own; anything else as it is."""
    if isinstance(key, np.ndarray) and key.dtype == np.uint32 and key.ndim >= 1:
        return sys.modules["jax"].numpy.asarray(key)
    return key


def _typed(key: Any) -> Any:
    jax = sys.modules["jax"]
    return jax.random.wrap_key_data(key) if key.dtype == np.uint32 else key


def gumbels(key: Any, shape: Shape, dtype: Any) -> Array:
    """Standard Gumbels of a key; two words of random bits each, in float32 too."""
    jax = sys.modules["jax"]
    noise = jax.random.gumbel(key, shape, dtype, mode="highest")
    # It may be inf once in 2⁶⁴.
    return jax.numpy.minimum(noise, jax.numpy.asarray(_LARGEST, dtype))


def gumbel_noise(key: Any, tag: Tag, shape: Shape, dtype: Any) -> Array:
    """Standard Gumbels of a floating dtype, JAX's widest for None."""
    jax = sys.modules["jax"]
    kind = jax.dtypes.canonicalize_dtype(floating_dtype(dtype))
    if not jax.dtypes.issubdtype(kind, np.floating):
        raise TypeError(f"dtype must be a floating dtype, got {dtype!r}")
    wide = kind if kind.itemsize >= 4 else np.float32
    own = jax.random.fold_in(keys_of(key, ()), tag)
    return gumbels(own, shape, wide).astype(kind)


class JaxSource(Source):
    """One key, or one for each row of a 1-d batch."""

    native = True

    def __init__(self, keys: Array, xp: Namespace, dtype: Any, batch: Shape) -> None:
        self.keys, self.xp, self.dtype, self.batch = keys, xp, dtype, batch

    @property
    def generators(self) -> Any:
        return _generators(_words(self.keys))

    def home(self, x: Any) -> Array:
        return self.xp.asarray(x, index_dtype(self.xp))

    def hides(self, arrays: tuple[Any, ...]) -> bool:
        return is_traced(self.keys) or any(map(is_traced, arrays))

    def hand_out(self, job: Job, batch: Shape, arrays: tuple[Any, ...]) -> Array:
        return hand_out(job, self.xp, batch, arrays, _words(self.keys))

    def rows(self) -> list[Source] | None:
        if not self.keys.ndim:
            return None
        return [JaxSource(key, self.xp, self.dtype, ()) for key in self.keys]

    def streams(self, tag: Tag, count: int = 1) -> list[Source]:
        jax = sys.modules["jax"]

        def split(key: Any) -> Any:
            own = jax.random.fold_in(key, tag)
            return own[None] if count == 1 else jax.random.split(own, count)

        keys = split(self.keys) if not self.keys.ndim else jax.vmap(split, out_axes=1)(self.keys)
        return [JaxSource(key, self.xp, self.dtype, self.batch) for key in keys]

    def gumbels(self, size: Shape, core: Shape = ()) -> Array:
        if not self.keys.ndim:
            return gumbels(self.keys, (*size, *self.batch, *core), self.dtype)
        return self._row_by_row(
            lambda key, _: gumbels(key, (*size, *core), self.dtype),
            self.xp.arange(len(self.keys)),
            len(size),
        )

    def log_gammas(self, alpha: Array, width: int) -> Array:
        jax = sys.modules["jax"]
        alpha = self.xp.asarray(alpha, self.dtype)
        if not self.keys.ndim:
            return jax.random.loggamma(self.keys, alpha, (*self.batch, width), self.dtype)
        rows = self.xp.broadcast_to(alpha, (*self.batch, 1))
        return self._row_by_row(
            lambda key, row: jax.random.loggamma(key, row, (width,), self.dtype), rows, 0
        )

    def gumbel_max(self, log_probs: Array, size: Shape) -> Array:
        if not self.keys.ndim:
            return _gumbel_max(self.keys, log_probs, size, self.xp)
        return self._row_by_row(
            lambda key, row: _gumbel_max(key, row, size, self.xp), log_probs, len(size)
        )

    def _row_by_row(self, draw: Callable[[Any, Array], Array], rows: Array, axis: int) -> Array:
        return sys.modules["jax"].vmap(draw, out_axes=axis)(self.keys, rows)


def hand_out(
    job: Job, xp: Namespace, batch: Shape, arrays: tuple[Any, ...], words: Array = None
) -> Array:
    """The answer to a job, for which JAX calls back; ``words`` are those of its keys."""
    jax = sys.modules["jax"]
    dtype = widest_float(xp) if job.real else index_dtype(xp)

    def answer(words: Any, *arrays: Any) -> Any:
        values = tuple(None if x is None else np.asarray(x) for x in arrays)
        generators = None if words is None else _generators(words)
        return np.asarray(JOBS[job.name](generators, job, batch, values)).astype(dtype)

    shape = jax.ShapeDtypeStruct((*job.size, *batch, *job.tail), dtype)
    return jax.pure_callback(answer, shape, words, *arrays, vmap_method="sequential")


def _words(keys: Array) -> Array:
    return sys.modules["jax"].random.key_data(keys)


def _generators(words: Any) -> Any:
    """A generator from the words of a key, or a list of them."""
    words = np.asarray(words)
    return generator_of_words(words) if words.ndim == 1 else [*map(generator_of_words, words)]


def _gumbel_max(key: Any, log_probs: Array, size: Shape, xp: Namespace) -> Array:
    jax = sys.modules["jax"]
    batch, n = tuple(log_probs.shape[:-1]), math.prod(size)
    once = max(1, AT_ONCE // max(1, math.prod(log_probs.shape)))

    def draw(times: Shape, source: Any) -> Array:
        noise = gumbels(source, (*times, *log_probs.shape), log_probs.dtype)
        return xp.argmax(xp.broadcast_to(log_probs, noise.shape) + noise, axis=-1)

    if n <= once:
        found = draw(size, key)
    else:  # a block at a time, so that the noise of all is never held
        keys = jax.random.split(key, -(-n // once))
        pieces = jax.lax.map(lambda one: draw((once,), one), keys)
        found = xp.reshape(xp.reshape(pieces, (-1, *batch))[:n], (*size, *batch))
    found = xp.astype(found, index_dtype(xp))
    return xp.where(xp.isnan(log_probs[..., 0]), -xp.ones_like(found), found)
