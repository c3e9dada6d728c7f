"""Draws with replacement, and their counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import Array, Shape, index_dtype, seen_last, unwrap
from softargmax._core import formula
from softargmax._core.information import log_prob, log_probs, take
from softargmax._core.state import State
from softargmax._core.variants import rows_of_batch
from softargmax._random.numpy import Generator, generator
from softargmax._random.source import JOBS, Job, Source
from softargmax._random.sources import Rngs, source_of
from softargmax._random.tags import Tag
from softargmax._rows.draw import count, draw, draw_one
from softargmax._rows.rows import Temperature

_METHODS = ("auto", "inverse", "gumbel", "alias", "whole")  # 'whole' is used for Keyed only


def source(state: State, rng: Rngs, tag: Tag | None = None, *, keyed: bool = False) -> Source:
    """The source of randomness that an ``rng`` argument stands for, under the caller's tag."""
    like = state.like
    if state.kept is None:  # a sparse state hides nothing, and asking for its prior would build it
        like = seen_last(like, state.coldness, state.prior)
    made = source_of(rng, state.xp, like, state.batch_shape, keyed=keyed)
    return made if tag is None else made.streams(tag)[0]


def sample(
    state: State, shape: int | tuple[int, ...], rng: Rngs, method: str, workers: int | None
) -> Any:
    """Independent draws, shape + batch_shape."""
    one = type(shape) is tuple and not shape and method == "auto" and workers is None
    if one and type(rng) is Generator and state.xp is np:  # the common case, on a short way
        law = state.law
        return draw_one(law, rng) if state.batch_shape else law.draw(rng.random())
    size = checks.sample_shape(shape)
    method = checks.one_of(method, "method", _METHODS[:-1])
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

    job = Job("sample", size, options=(_METHODS.index(method), workers))
    return unwrap(draw_on_host(state, noise, job))


def _sample_rows(host: State, rng: Generator, job: Job) -> Any:
    size, (which, workers) = job.size, job.options
    if not size and which < 2:
        return draw_one(host.law, rng, workers)
    drawn = draw(host.law, math.prod(size), rng, _METHODS[which], workers)
    return drawn.reshape(size + host.batch_shape)


def sample_and_log_prob(state: State, shape: int | tuple[int, ...], rng: Rngs) -> tuple[Any, Any]:
    """What :func:`sample` draws, and its log-probabilities."""
    one = type(shape) is tuple and not shape and not state.batch_shape
    if one and type(rng) is Generator and state.xp is np:
        found: tuple[Any, Any] = state.law.draw_and_log_prob(rng.random())
        return found
    x = sample(state, shape, rng, "auto", None)
    if state.xp is not np or state.kept is not None or type(x) is np.int64:
        return x, log_prob(state, x)
    each = state.law.log_prob_each(x) if x.shape == state.batch_shape else None
    if each is not None:
        return x, each
    return x, unwrap(take(state, log_probs(state), np.asarray(x)))


def sample_counts(state: State, n: int, shape: int | tuple[int, ...], rng: Rngs) -> Any:
    """Multinomial counts, shape + batch_shape + (K,)."""
    xp = state.xp
    most = 2**62 if xp is np else min(2**62, int(xp.iinfo(index_dtype(xp)).max))
    n = checks.count(n, "n", 0, most)

    job = Job("counts", checks.sample_shape(shape), (state.num_categories,), (n,))
    return draw_on_host(state, source(state, rng, Tag.COUNTS), job)


def draw_on_host(state: State, noise: Source, job: Job) -> Array:
    """What NumPy draws: with one generator, or row by row with one each."""
    parts = () if state.kept is not None else (state.z, state.coldness, state.prior)
    if noise.hides(parts):
        return noise.hand_out(job, state.batch_shape, parts)
    return noise.home(_drawn(state.host(), noise.generators, job))


def host_draw(name: str, draw: Callable[[State, Generator, Job], Any]) -> None:
    """Enter what NumPy draws from a state of its own into the jobs."""

    def of_arrays(generators: Any, job: Job, batch: Shape, arrays: tuple[Any, ...]) -> Any:
        host, bad = _host_of(batch, *arrays)
        found = _drawn(host, generators, job)
        return np.where(bad.reshape((*batch, *(1 for _ in job.tail))), -1, found)

    _DRAWS[name], JOBS[name] = draw, of_arrays


_DRAWS: dict[str, Callable[[State, Generator, Job], Any]] = {}
host_draw("sample", _sample_rows)
host_draw("counts", lambda host, rng, job: count(host.law, job.options[0], rng, job.size))


def _drawn(host: State, generators: Any, job: Job) -> Any:
    draw = _DRAWS[job.name]
    if not isinstance(generators, list):
        return draw(host, generators, job)
    if not generators:
        return draw(host, generator(0), job)
    pairs = zip(rows_of_batch(host), generators, strict=True)
    return np.stack([draw(row, rng, job) for row, rng in pairs], axis=len(job.size))


def _host_of(batch: Shape, z: Any, coldness: Any, prior: Any) -> tuple[State, Any]:
    """The state of arrays that were hidden, and which of its rows are bad."""
    cold = np.asarray(coldness, np.float64)
    given = State(np, z, z, Temperature(cold, None), prior, batch)
    bad = np.broadcast_to(formula.bad_rows(given)[..., 0], batch)
    if bad.any():  # compiled code has no errors: any good row will do instead
        z = np.where(bad[..., None], 0, z)
        prior = None if prior is None else np.where(bad[..., None], 1, prior)
        cold = np.where(bad, 1, cold)
    temperature = Temperature(float(cold) if cold.ndim == 0 else cold, None)
    return State(np, z, z, temperature, prior, batch), bad
