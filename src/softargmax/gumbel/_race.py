"""Races of exponential clocks: who rings first, and when."""

import math
from typing import Any, NamedTuple

import numpy as np

from softargmax import _native, _noise, draws
from softargmax._arrays import checks
from softargmax._arrays.namespaces import ArrayLike, Shape, as_rows, is_jax, quiet, unwrap
from softargmax._inputs import Inputs, inputs
from softargmax._noise import Generator, Rngs
from softargmax.categorical import Categorical

_RACE = 0x72616365  # the tag of its streams


class Race(NamedTuple):
    """Who won a race of exponential clocks, and how long it took.

    Examples
    --------
    >>> from softargmax.gumbel import exponential_race
    >>> race = exponential_race([0.0, 50.0], rng=0)
    >>> int(race.winner), bool(race.time < 1e-18)
    (1, True)
    """

    winner: Any  # integers, shape + batch
    time: Any  # the same shape, in units of 1 over the rates


@quiet
def exponential_race(
    log_rates: ArrayLike, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
) -> Race:
    r"""The first of independent exponential clocks, and its waiting time.

    .. math:: P(\text{winner} = i) = r_i / R, \qquad P(\text{time} > t) = e^{-R t}, \qquad
        R = \sum_i r_i

    independently of each other. It is a step of kinetic Monte Carlo by the n-fold way: r are the
    rates of all moves out of a state, and the state weighs in averages by the time it lasts.

    Parameters
    ----------
    log_rates : array, shape (..., K)
        Logarithms of the rates r; -inf is a move that never happens.
    shape : int or tuple of ints
        Races of every row.
    rng
        As for :meth:`Categorical.sample`, but not Keyed. A NumPy Generator is drawn from as it is,
        so one of them serves a whole walk; of anything else the streams share no noise with what
        ``sample`` draws from an equal seed.

    Returns
    -------
    Race
        winner, integers, and time, both of shape + batch shape. The time is float64 in NumPy and
        PyTorch, of the rates' dtype in JAX; it is 0 or inf where 1/R is beyond the dtype.

    Raises
    ------
    ValueError, TypeError
        For log-rates of NaN or +inf, a row with no move at all (a state that lasts for ever), or an
        rng or shape that is none.

    References
    ----------
    Bortz, Kalos & Lebowitz (1975), https://doi.org/10.1016/0021-9991(75)90060-1; Gillespie (1977),
    https://doi.org/10.1021/j100540a008.

    Examples
    --------
    >>> import numpy as np
    >>> winner, time = exponential_race(np.log([1.0, 3.0]), 100_000, rng=0)
    >>> float(winner.mean().round(2)), float(time.mean().round(2))
    (0.75, 0.25)

    The n-fold way through the Ising states of four spins in a ring, by rates min(1, exp(-βΔE)).
    Averages over time have Boltzmann's law: here ⟨E⟩ = -4(w² - w⁻²)/(w² + w⁻² + 6), w = exp(2β).

    >>> from numpy.random import default_rng
    >>> rng, spins, total, clock = default_rng(0), np.ones(4), 0.0, 0.0
    >>> for _ in range(20_000):
    ...     fields = np.roll(spins, 1) + np.roll(spins, -1)
    ...     winner, time = exponential_race(np.minimum(0, -0.3 * 2 * spins * fields), rng=rng)
    ...     total, clock = total - time * (spins * fields).sum() / 2, clock + time
    ...     spins[winner] *= -1
    >>> w = np.exp(0.6)
    >>> round(float(total / clock), 2), round(float(-4 * (w**2 - w**-2) / (w**2 + w**-2 + 6)), 2)
    (-1.27, -1.26)
    """
    size = checks.sample_shape(shape)
    dist = Categorical._of(inputs(log_rates, None, None, None, copy=False, name="log_rates"))
    given, xp = dist._given, dist._given.xp
    if isinstance(rng, Generator) and not is_jax(xp):
        first, second = rng, rng
    else:
        first, second = _native.streams(given, rng, _RACE, 2)
    if xp is np and not isinstance(first, list) and dist.num_categories < draws.MANY:
        return _of_short_rows(given, size, first, second)
    winner = dist.sample(size, rng=first)
    if isinstance(second, list) or getattr(second, "ndim", 0) > 0:  # one a row
        one = Categorical(xp.zeros_like(given.z[..., :1]))
        luck = _native.gumbels(one._given, size, second)[..., 0]
    else:
        luck = _native.plain_gumbels(given, (*size, *dist.batch_shape), second)
    top, own = (xp.astype(xp.max(x, axis=-1), luck.dtype) for x in (given.z, dist.log_probs))
    return Race(winner, unwrap(xp.exp(own - top - luck)))  # luck: -log of a wait at rate 1


def _of_short_rows(given: Inputs, size: Shape, first: Generator, second: Generator) -> Race:
    """The same in one pass over the rows."""
    z = as_rows(given.z, given.batch_shape)
    shape = (math.prod(size), len(z))
    top = z.max(axis=-1, keepdims=True, initial=-math.inf)
    reached = np.cumsum(np.exp(z - top), axis=-1, dtype=np.float64)
    total = reached[:, -1:].copy()
    reached /= total
    winner = draws.invert_rows(reached, _noise.uniforms(first, shape))
    luck = _noise.gumbels(second, shape)
    time = np.exp(-luck - (top + np.log(total))[:, 0])
    full = (*size, *given.batch_shape)
    return Race(unwrap(winner.reshape(full)), unwrap(time.reshape(full)))
