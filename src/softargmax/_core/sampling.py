"""Draws with replacement, and their counts."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    Shape,
    check_seen,
    index_dtype,
    unwrap,
)
from softargmax._core import formula
from softargmax._core.information import log_prob, log_probs, take
from softargmax._core.state import State
from softargmax._core.variants import rows_of_batch
from softargmax._random.numpy import Generator, generator, uniform
from softargmax._random.source import Source
from softargmax._random.sources import Rngs, source_of
from softargmax._random.tags import Tag
from softargmax._rows.draw import count, draw, draw_one
from softargmax._rows.rows import Temperature
from softargmax._rows.short import Short

_METHODS = ("auto", "inverse", "gumbel", "alias")


def source(state: State, rng: Rngs, tag: Tag | None = None, *, keyed: bool = False) -> Source:
    """The source of randomness that an ``rng`` argument stands for, under the caller's tag."""
    made = source_of(rng, state.xp, state.like, state.batch_shape, keyed=keyed)
    return made if tag is None else made.streams(tag)[0]


def sample(
    state: State, shape: int | tuple[int, ...], rng: Rngs, method: str, workers: int | None
) -> Any:
    """Independent draws, shape + batch_shape."""
    plain = type(shape) is tuple and not shape and method == "auto" and workers is None
    if plain and type(rng) is Generator and state.xp is np:
        drawn = draw_one(state.law, rng)
        if drawn is not None:
            return drawn
    size = checks.sample_shape(shape)
    method = checks.one_of(method, "method", _METHODS)
    threads = checks.check_workers(workers)
    noise = source(state, rng, keyed=True)
    if noise.keyed:
        if method == "gumbel":
            raise ValueError("method must be 'auto', 'inverse' or 'alias' with Keyed draws")
        method = "alias" if method == "alias" else "whole"
    return sample_from(state, size, noise, method, threads)


def sample_from(
    state: State, size: Shape, noise: Source, method: str = "auto", workers: int = 1
) -> Any:
    """Independent draws from a source that is at hand."""
    if noise.native:
        if method not in ("auto", "gumbel"):
            raise ValueError(f"method must be 'auto' or 'gumbel' for these arrays, got {method!r}")
        return noise.gumbel_max(log_probs(state), size)

    def draw_rows(host: State, rng: Generator) -> Any:
        if not size and method in ("auto", "inverse"):
            drawn = draw_one(host.law, rng)
            if drawn is not None:
                return drawn
        drawn = draw(host.law, math.prod(size), rng, method, workers)
        return drawn.reshape(size + host.batch_shape)

    return unwrap(draw_on_host(state, noise, draw_rows, len(size), (*size, *state.batch_shape)))


def sample_and_log_prob(state: State, shape: int | tuple[int, ...], rng: Rngs) -> tuple[Any, Any]:
    """What :func:`sample` draws, and its log-probabilities."""
    if state.xp is np and type(rng) is Generator and type(shape) is tuple and not shape:
        law = state.law
        if type(law) is Short:
            drawn = law.draw(uniform(rng))
            return np.int64(drawn), law.log_prob(drawn)
    x = sample(state, shape, rng, "auto", None)
    if state.xp is not np or state.kept is not None:
        return x, log_prob(state, x)
    if type(x) is np.int64:
        return x, log_prob(state, x)
    return x, unwrap(take(state, log_probs(state), np.asarray(x)))


def sample_counts(state: State, n: int, rng: Rngs) -> Any:
    """Multinomial counts, batch_shape + (K,)."""
    xp = state.xp
    most = 2**62 if xp is np else min(2**62, int(xp.iinfo(index_dtype(xp)).max))
    n = checks.count(n, "n", 0, most)

    shape = (*state.batch_shape, state.num_categories)
    return draw_on_host(
        state, source(state, rng, Tag.COUNTS), lambda host, rng: count(host.law, n, rng), 0, shape
    )


def draw_on_host(
    state: State,
    noise: Source,
    draw: Callable[[State, Generator], Any],
    axis: int,
    shape: Shape,
) -> Array:
    """What NumPy draws: with one generator, or row by row with one each, stacked on ``axis``."""

    def call(generators: Any, arrays: Any = None) -> Any:
        host, bad = (state.host(), None) if arrays is None else _host_of(state, *arrays)
        if not isinstance(generators, list):
            found = draw(host, generators)
        elif generators:
            pairs = zip(rows_of_batch(host), generators, strict=True)
            found = np.stack([draw(row, rng) for row, rng in pairs], axis=axis)
        else:
            found = draw(host, generator(0))
        return found if bad is None else np.where(bad[..., None], -1, found)

    arrays = () if state.kept is not None else (state.z, state.coldness, state.prior)
    check_seen("logits", state.xp, *arrays)
    return noise.on_host(call, arrays, shape)


def _host_of(state: State, z: Any, coldness: Any, prior: Any) -> tuple[State, Any]:
    """The state of arrays that JAX hands to NumPy, and which rows nobody could check before."""
    batch, cold = state.batch_shape, np.asarray(coldness, np.float64)
    given = State(np, z, z, Temperature(cold, None), prior, batch)
    bad = np.broadcast_to(formula.bad_rows(given)[..., 0], batch)
    if bad.any():  # compiled code has no errors: any good row will do instead
        z = np.where(bad[..., None], 0, z)
        prior = None if prior is None else np.where(bad[..., None], 1, prior)
        cold = np.where(bad, 1, cold)
    temperature = Temperature(float(cold) if cold.ndim == 0 else cold, None)
    return State(np, z, z, temperature, prior, batch), bad
