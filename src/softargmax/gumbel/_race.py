"""Races of exponential clocks: which one rings first, and when."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, Shape, aligned, ignore_fp_errors, unwrap
from softargmax._core import sampling
from softargmax._core.information import log_probs
from softargmax._core.inputs import checked_state
from softargmax._core.state import State
from softargmax._random.numpy import Generator, HostSource, gumbels, uniforms
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax._rows.few import MANY
from softargmax._rows.inversion import invert
from softargmax._rows.rows import as_rows


class Race(NamedTuple):
    """The winner of a race of exponential clocks, and its waiting time.

    Examples
    --------
    >>> from softargmax.gumbel import exponential_race
    >>> race = exponential_race([0.0, 50.0], rng=0)
    >>> int(race.winner), bool(race.time < 1e-18)
    (1, True)
    """

    winner: Any  # integers, shape + batch
    time: Any  # the same shape, in units of 1/rate


@ignore_fp_errors
@explained
def exponential_race(
    log_rates: ArrayLike, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
) -> Race:
    r"""The first of several independent exponential clocks to ring, and its waiting time.

    .. math:: P(\text{winner} = i) = r_i / R, \qquad P(\text{time} > t) = e^{-R t}, \qquad
        R = \sum_i r_i

    with winner and time independent of each other. This is one step of kinetic Monte Carlo by the
    n-fold way: r are the rates of all moves out of a state, and averages weight the state by the
    time it lasts.

    Parameters
    ----------
    log_rates : array, shape (..., K)
        Logarithms of the rates r; -inf is a move that never happens.
    shape : int or tuple of ints
        Races run for each row.
    rng
        As for :meth:`Categorical.sample`, except Keyed.

    Returns
    -------
    Race
        winner (integers) and time, both of shape + batch shape. The time is float64 in NumPy and
        PyTorch, and of the rates' dtype in JAX; it is 0 or inf where 1/R under- or overflows.

    Raises
    ------
    ValueError, TypeError
        For log-rates of NaN or +inf, a row without any possible move (an absorbing state), or an
        invalid rng or shape.

    References
    ----------
    Bortz, Kalos & Lebowitz (1975), https://doi.org/10.1016/0021-9991(75)90060-1; Gillespie (1977),
    https://doi.org/10.1021/j100540a008.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.gumbel import exponential_race
    >>> winner, time = exponential_race(np.log([1.0, 3.0]), 100_000, rng=0)
    >>> float(winner.mean().round(2)), float(time.mean().round(2))
    (0.75, 0.25)

    The n-fold way for four Ising spins on a ring, with Metropolis rates min(1, exp(-βΔE)). Time
    averages are Boltzmann averages: here ⟨E⟩ = -4(w² - w⁻²)/(w² + w⁻² + 6), w = exp(2β).

    >>> from numpy.random import default_rng
    >>> rng, spins, total, clock = default_rng(3), np.ones(4), 0.0, 0.0
    >>> for _ in range(20_000):
    ...     fields = np.roll(spins, 1) + np.roll(spins, -1)
    ...     winner, time = exponential_race(np.minimum(0, -0.3 * 2 * spins * fields), rng=rng)
    ...     total, clock = total - time * (spins * fields).sum() / 2, clock + time
    ...     spins[winner] *= -1
    >>> w = np.exp(0.6)
    >>> round(float(total / clock), 2), round(float(-4 * (w**2 - w**-2) / (w**2 + w**-2 + 6)), 2)
    (-1.25, -1.26)
    """
    size = checks.sample_shape(shape)
    state = checked_state(log_rates, copy=False, name="log_rates")
    xp, (first, second) = state.xp, sampling.source(state, rng).streams(Tag.RACE, 2)
    short = xp is np and state.num_categories < MANY
    if short and isinstance(first, HostSource) and isinstance(second, HostSource):
        return _of_short_rows(state, size, first.generator, second.generator)
    winner = sampling.sample_from(state, size, first)
    noise = second.gumbels(size)  # each is -log of a wait at rate 1
    top, own = (xp.astype(xp.max(x, axis=-1), noise.dtype) for x in (state.z, log_probs(state)))
    level, noise = aligned(xp, own - top, noise)
    return Race(winner, unwrap(xp.exp(level - noise)))


def _of_short_rows(state: State, size: Shape, first: Generator, second: Generator) -> Race:
    """Races in one pass over short rows: 0.4 of the general path's time for 6 rates."""
    z = as_rows(state.z, state.batch_shape)
    shape = (math.prod(size), len(z))
    top = z.max(axis=-1, keepdims=True, initial=-math.inf)
    reached = np.cumsum(np.exp(z - top), axis=-1, dtype=np.float64)
    total = reached[:, -1:].copy()
    reached /= total
    winner = invert(reached, uniforms(first, shape))
    time = np.exp(-gumbels(second, shape) - (top + np.log(total))[:, 0])
    full = (*size, *state.batch_shape)
    return Race(unwrap(winner.reshape(full)), unwrap(time.reshape(full)))
