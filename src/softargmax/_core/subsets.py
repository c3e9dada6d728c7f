"""Draws without replacement and their law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    Shape,
    aligned,
    device_of,
    ignore_fp_errors,
    index_along,
    unwrap,
)
from softargmax._arrays.weights import log_weights
from softargmax._core.formula import bad_rows
from softargmax._core.information import log_probs
from softargmax._core.sampling import draw_on_host, host_draw, source
from softargmax._core.state import State, support_of
from softargmax._core.support import meet_rows
from softargmax._core.variants import spread
from softargmax._random.numpy import Generator, gumbels, uniforms
from softargmax._random.source import Job
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax._rows import orders
from softargmax._rows.few import MANY
from softargmax._rows.memory import blocks
from softargmax._rows.rows import LIFT, as_rows


def sample_without_replacement(
    state: State, k: int, shape: int | tuple[int, ...], rng: Rngs
) -> Any:
    """k different categories in the order drawn, shape + batch_shape + (k,); -1 beyond the
    support where its values are hidden.
    """
    k = checks.count(k, "k", 0, 2**62)
    size = checks.sample_shape(shape)
    looks_later = not state.batch_shape and _by_draws(state, k)  # only where it finds too few
    if not looks_later:
        checks.check_subset(k, state.support)
    noise = source(state, rng, Tag.WITHOUT_REPLACEMENT)
    found = draw_on_host(state, noise, Job("order", size, (k,)))
    if looks_later and checks.any_of(found < 0):
        checks.check_subset(k, state.support)
    return found


def log_prob_ordered(state: State, indices: Given) -> Any:
    """log P of drawing categories in this order without replacement."""
    xp = state.xp
    x = checks.category(indices, xp, state.like, state.num_categories, "indices")
    if x.ndim == 0:
        raise ValueError("indices must have an axis of categories, got shape ()")
    twice = _repeated(x, xp)
    lead = meet_rows(tuple(x.shape[:-1]), state.batch_shape, "indices")
    if xp is np:
        return _log_prob_rows(state, x)
    found = _log_prob_one_by_one(state, x, lead)
    wrong, bad = aligned(xp, twice | xp.any(x < 0, axis=-1), bad_rows(state)[..., 0])
    return xp.where(wrong | bad, math.nan, found)


def _repeated(indices: Array, xp: Namespace) -> Array:
    """Where an index stands twice on the last axis, which is an error unless hidden."""
    ordered = xp.sort(indices, axis=-1)
    twice = xp.any(ordered[..., 1:] == ordered[..., :-1], axis=-1)
    if checks.any_of(twice):
        raise ValueError(
            f"indices must be distinct on the last axis, got a repeat{checks.in_row(twice)}"
        )
    return twice


def _log_prob_one_by_one(state: State, x: Array, lead: Shape) -> Array:
    """Where gradients may be wanted: each choice's log p among what is left."""
    xp, state = state.xp, spread(state, lead)
    full = (*lead, state.num_categories)
    weights = xp.ones(full, dtype=xp.bool, device=device_of(state.z))
    weights = weights if state.prior is None else xp.broadcast_to(state.prior, full)
    index = index_along(x, xp, state.num_categories)
    support = xp.broadcast_to(support_of(state.z, state.prior, xp), full)
    left, total = xp.ones_like(support), xp.zeros(lead, dtype=state.dtype, device=device_of(x))
    for j in range(x.shape[-1]):
        chosen = xp.broadcast_to(index == x[..., j : j + 1], full)
        over = ~xp.any(support & left, axis=-1)  # what is off the support is never drawn
        kept = xp.where(left | over[..., None], weights, xp.zeros_like(weights))
        log_p = log_probs(state.replace(prior=kept))
        own = xp.sum(xp.where(chosen, log_p, xp.zeros_like(log_p)), axis=-1)
        total = total + xp.where(over, -math.inf, own)
        left = left & ~chosen
    return total


# ---------------------------------------------------------------------------- NumPy rows


def _order_rows(state: State, rng: Generator, job: Job) -> Any:
    size, (k,) = job.size, job.tail
    n, rows, num_categories = math.prod(size), math.prod(state.batch_shape), state.num_categories
    shape = (*size, *state.batch_shape, k)
    if rows == 1 and _by_draws(state, k):
        found = [_order_by_draws(state, k, rng) for _ in range(n)]
        return np.reshape(np.array(found, np.int64), shape)
    z, coldness, log_prior = _ordering(state)
    out = np.empty((n * rows, k), np.int64)
    for block in blocks(n * rows, num_categories):
        row = np.arange(block.start, block.stop) % rows
        noise = gumbels(rng, (len(row), num_categories)) + log_prior[row]
        out[block] = _largest(z[row], coldness[row], noise, k)
    return out.reshape(shape)


host_draw("order", _order_rows)


def _largest(z: Any, coldness: Any, noise: Any, k: int) -> Any:
    """The first k of every row in falling order of β·z + noise; -1 where the noise is -inf."""
    found = orders.largest(orders.ordered_keys(z, coldness, noise), k)
    found[np.take_along_axis(noise, found, axis=-1) == -np.inf] = -1
    return found


def _by_draws(state: State, k: int) -> bool:
    """Whether k of so many categories come mostly without repeats."""
    return state.num_categories >= MANY and 8 * k <= state.num_categories


def _order_by_draws(state: State, k: int, rng: Generator) -> list[int]:
    """Draws with replacement, repeats left out: distributed alike, with less noise than K Gumbels.

    What these draws do not find is drawn from the categories that are left, by Gumbel-top-k.
    """
    drawn = state.law.draw_few(uniforms(rng, (k + k // 4 + 8, 1)))
    found = list(dict.fromkeys(drawn.ravel().tolist()))[:k]
    if len(found) == k:
        return found
    z, coldness, log_prior = _ordering(state)
    noise = gumbels(rng, z.shape) + log_prior
    noise[0, found] = -np.inf
    return [*found, *_largest(z, coldness, noise, k - len(found))[0].tolist()]


@ignore_fp_errors
def _log_prob_rows(state: State, x: Any) -> Any:
    z, coldness, log_prior = _ordering(state)
    k, batch = x.shape[-1], state.batch_shape
    lead = np.broadcast_shapes(x.shape[:-1], batch)
    x = np.broadcast_to(x, (*lead, k)).reshape(math.prod(lead), k)
    row = np.broadcast_to(np.arange(len(z)).reshape(batch), lead).ravel()
    out = np.empty(len(x))
    for block in blocks(len(x), z.shape[-1]):
        r = row[block]
        out[block] = orders.log_prob_ordered(z[r], coldness[r], log_prior[r], x[block])
    return unwrap(out.reshape(lead).astype(state.dtype))


@ignore_fp_errors
def _ordering(state: State) -> Any:
    """Rows for ordered draws in float64: β's sign times z, |β| (rows, 1), log π₀ or -inf; kept."""
    memo = state.memo
    if "ordering" not in memo:
        batch, prior = state.batch_shape, state.prior
        cold = np.broadcast_to(np.asarray(state.coldness), batch).reshape(-1, 1)
        support = as_rows(state.support, batch)
        z = as_rows(state.z, batch).astype(np.float64)
        z = np.where(support, np.where(cold < 0, -z, z), -np.inf)
        if prior is None or prior.dtype.kind == "b":
            level = np.zeros(z.shape)
        else:
            level = as_rows(log_weights(prior, np), batch)
        finite = ~np.broadcast_to(state.temperature.infinite, batch).reshape(-1, 1)
        beyond = (finite & np.isinf(cold))[:, 0]
        if beyond.any():  # 1/T has overflowed: gaps and T in smaller units
            t = np.broadcast_to(state.temperature.value, batch).reshape(-1, 1)
            gap = (z[beyond] - z[beyond].max(axis=-1, keepdims=True)) * LIFT
            z[beyond] = np.where(
                support[beyond], np.maximum(gap, -np.finfo(gap.dtype).max), -np.inf
            )
            cold = np.where(beyond[:, None], 1 / (t * LIFT), cold)
        memo["ordering"] = z, np.abs(cold), np.where(support, level, -np.inf)
    return memo["ordering"]
