"""Draws of arrays that are not NumPy's: in their namespace by Gumbel-max, or in NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax import _noise
from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    Shape,
    device_of,
    index_dtype,
    is_jax,
    is_torch,
    is_traced,
    to_namespace,
    to_numpy,
)
from softargmax._inputs import Heat, Inputs, support_of

# Elements of noise that are made at once.
_AT_ONCE = 2**22


def is_native(x: Array, xp: Namespace) -> bool:
    """Whether draws are made where x lives: JAX, PyTorch on a GPU or within torch.func."""
    if is_torch(xp):
        return is_traced(x) or x.device.type != "cpu"
    return is_jax(xp)


def sample(log_probs: Array, size: Shape, rng: Any, xp: Namespace) -> Array:
    """Gumbel-max draws of shape ``size`` + batch from log_probs (…, K); -1 in rows of NaN."""
    batch = tuple(log_probs.shape[:-1])
    if not is_jax(xp):
        device = device_of(log_probs)
        if not isinstance(rng, list | tuple):
            return _gumbel_max(log_probs, size, _noise.in_torch(rng, device), xp)
        rows = _noise.one_a_row(_noise.on_host(rng), batch) or []
        found = [
            _gumbel_max(log_p, size, _noise.in_torch(row, device), xp)
            for log_p, row in zip(log_probs, rows, strict=True)
        ]
        return xp.stack(found, axis=len(size))
    keys, one_a_row = _noise.keys_of(rng, batch)
    if not one_a_row:
        return _gumbel_max(log_probs, size, keys, xp)
    return _noise.row_by_row(
        lambda key, row: _gumbel_max(row, size, key, xp), keys, log_probs, len(size)
    )


def _gumbel_max(log_probs: Array, size: Shape, rng: Any, xp: Namespace) -> Array:
    batch, n, device = tuple(log_probs.shape[:-1]), math.prod(size), device_of(log_probs)
    once = max(1, _AT_ONCE // max(1, math.prod(log_probs.shape)))

    def draw(times: Shape, source: Any) -> Array:
        shape = (*times, *log_probs.shape)
        noise = _noise.native_gumbels(source, shape, log_probs.dtype, xp, device)
        return xp.argmax(log_probs + noise, axis=-1)

    if n <= once:
        found = draw(size, rng)
    else:
        pieces = _noise.repeated(lambda source: draw((once,), source), rng, -(-n // once), xp)
        found = xp.reshape(xp.reshape(pieces, (-1, *batch))[:n], (*size, *batch))
    found = xp.astype(found, index_dtype(xp))
    return xp.where(xp.isnan(log_probs[..., 0]), -xp.ones_like(found), found)


def gumbels(given: Inputs, size: Shape, rng: Any) -> Array:
    """Standard Gumbels for every category, ``size`` + batch + (K,), never of the logits' making.

    In float64 in NumPy and PyTorch, in the dtype of the distribution in JAX.
    """
    xp, batch = given.xp, given.batch_shape
    row = (*size, given.z.shape[-1])
    if is_jax(xp):
        keys, one_a_row = _noise.keys_of(rng, batch)
        if one_a_row:

            def draw(key: Any, _: Any) -> Array:
                return _noise.native_gumbels(key, row, given.z.dtype, xp, None)

            return _noise.row_by_row(draw, keys, xp.arange(len(keys)), len(size))
        return plain_gumbels(given, (*size, *batch, row[-1]), keys)
    sources = _noise.one_a_row(_noise.on_host(rng), batch) if xp is np or is_torch(xp) else None
    if sources is None:
        return plain_gumbels(given, (*size, *batch, row[-1]), rng)
    noise = [_noise.gumbels(source, row) for source in sources]
    stacked = np.stack(noise, axis=-2) if noise else np.empty((*size, 0, row[-1]))
    return to_namespace(stacked, xp, given.z)


def plain_gumbels(given: Inputs, shape: Shape, rng: Any) -> Array:
    """Standard Gumbels of any shape, where the distribution lives."""
    xp, z = given.xp, given.z
    if is_jax(xp):
        return _noise.native_gumbels(_noise.keys_of(rng, ())[0], shape, z.dtype, xp, None)
    if is_native(z, xp):
        source = _noise.in_torch(rng, z.device)
        return _noise.native_gumbels(source, shape, xp.float64, xp, z.device)
    source = _noise.generator(_noise.on_host(rng) if is_torch(xp) else rng)
    return to_namespace(_noise.gumbels(source, shape), xp, z)


def log_gammas(given: Inputs, alpha: Array, source: Any) -> Array:
    """Logarithms of Gamma(alpha) variates for every category, batch + (K,); alpha is (…, 1).

    The source is a stream, or a list of them, one a row.
    """
    xp, shape = given.xp, (*given.batch_shape, given.z.shape[-1])
    if is_jax(xp):
        keys, one_a_row = _noise.keys_of(source, given.batch_shape)
        if not one_a_row:
            return _noise.native_log_gammas(keys, alpha, shape, given.z.dtype)
        rows = xp.broadcast_to(alpha, (*given.batch_shape, 1))
        return _noise.row_by_row(
            lambda key, row: _noise.native_log_gammas(key, row, shape[-1:], given.z.dtype),
            keys,
            rows,
            0,
        )
    host = to_numpy(alpha)
    if not isinstance(source, list):
        return to_namespace(_noise.log_gammas(source, host, shape), xp, given.z)
    found = np.empty(shape)
    for i, one in enumerate(source):
        found[i] = _noise.log_gammas(one, np.broadcast_to(host, (*shape[:-1], 1))[i], shape[-1:])
    return to_namespace(found, xp, given.z)


def streams(given: Inputs, rng: Any, tag: int, count: int) -> list[Any]:
    """Sources of noise that nothing else shares with an equal rng."""
    if is_jax(given.xp):
        return _noise.tagged_keys(rng, given.batch_shape, tag, count)
    source = _noise.on_host(rng) if is_torch(given.xp) else rng
    rows = _noise.one_a_row(source, given.batch_shape)
    if rows is None:
        return list(_noise.tagged(source, tag, count))
    found = [_noise.tagged(row, tag, count) for row in rows]
    return [[row[i] for row in found] for i in range(count)]


# ---------------------------------------------------------------------------- in NumPy


def host_inputs(given: Inputs) -> Inputs:
    """The same inputs as NumPy arrays, without a copy where the namespace allows it."""
    if given.xp is np:
        return given
    return given.mapped(to_numpy)._replace(xp=np)


def in_numpy(given: Inputs, rng: Any, draw: Callable[[Inputs, Any], Any], shape: Shape) -> Array:
    """What NumPy draws from JAX arrays with a key, or with one a row, also under jit and vmap."""
    xp, batch = given.xp, given.batch_shape
    keys, one_a_row = _noise.keys_of(rng, batch)
    dtype = index_dtype(xp)

    def call(words: Any, z: Any, coldness: Any, prior: Any) -> Any:
        words, z, cold = np.asarray(words), np.asarray(z), np.asarray(coldness, np.float64)
        prior = None if prior is None else np.asarray(prior)
        bad = (np.isnan(z) | (z == math.inf)).any(axis=-1) | np.isnan(cold)
        bad = np.broadcast_to(bad | ~support_of(z, prior, np).any(axis=-1), batch)
        if bad.any():  # nobody could look before, and compiled code has no errors
            z = np.where(bad[..., None], 0, z)
            prior = None if prior is None else np.where(bad[..., None], 1, prior)
            cold = np.where(bad, 1, cold)
        heat = Heat(float(cold) if cold.ndim == 0 else cold, None)
        source = [_noise.of_words(row) for row in words] if one_a_row else _noise.of_words(words)
        found = draw(Inputs(np, z, z, heat, prior, batch), source)
        return np.where(bad[..., None], -1, found).astype(dtype)

    arrays = (_noise.key_words(keys), given.z, given.heat.coldness, given.prior)
    if any(is_traced(x) for x in arrays):
        return _noise.called_back(call, shape, dtype, *arrays)
    return xp.asarray(call(*arrays))
