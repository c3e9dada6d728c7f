"""Gumbel noise that knows its winner."""

from __future__ import annotations

import math

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import Array, ignore_fp_errors, index_along
from softargmax._core.information import log_probs
from softargmax._core.state import State
from softargmax._random.source import Source


@ignore_fp_errors
def conditional_gumbels(state: State, x: Array, source: Source) -> Array:
    """Gumbels of a source that is at hand, given winners whose last axes are the batch."""
    xp, width = state.xp, state.num_categories
    lead = np.broadcast_shapes(tuple(x.shape), state.batch_shape)
    x = xp.broadcast_to(x, lead)[..., None]
    free = source.gumbels(lead[: len(lead) - len(state.batch_shape)], (width,))
    log_p = xp.broadcast_to(xp.astype(log_probs(state), free.dtype), free.shape)
    chosen = index_along(x, xp, width) == x
    zero = xp.zeros_like(free)

    def at_winner(values: Array) -> Array:
        return xp.sum(xp.where(chosen, values, zero), axis=-1, keepdims=True)

    own = at_winner(log_p)
    impossible = own == -math.inf
    if checks.any_of(impossible):
        raise ValueError(
            "category must have a probability above 0, "
            f"got one with p = 0{checks.in_row(impossible[..., 0])}"
        )
    best = at_winner(free)  # a Gumbel that the winner does not need otherwise
    alive = log_p > -math.inf
    level = xp.where(alive, best - xp.where(alive, log_p, zero), math.inf)
    lost = xp.where(alive, 0 - xp.logaddexp(0 - free, 0 - xp.where(alive, level, zero)), free)
    noise = xp.where(chosen, best - own, lost)
    # Rounding may give a loser as much as the winner has.
    high = own + at_winner(noise)
    close = alive & ~chosen & (xp.where(alive, log_p, zero) + noise >= high)
    slack = 8 * xp.finfo(noise.dtype).eps * (xp.abs(high) + xp.abs(noise) + 1)
    noise = xp.where(close, high - xp.where(alive, log_p, zero) - slack, noise)
    # What is an error elsewhere is NaN for hidden values.
    bad = impossible | xp.isnan(own) | (x < 0) | (x >= width)
    return xp.where(bad, math.nan, noise)
