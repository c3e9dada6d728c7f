"""Maximal coupling: pairs of draws that agree as often as possible."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import Array, Namespace, ignore_fp_errors, unwrap
from softargmax._arrays.types import A
from softargmax._core import sampling
from softargmax._core.information import check_pair, log_prob, log_probs
from softargmax._core.inputs import checked_state
from softargmax._core.state import State
from softargmax._core.variants import spread
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, of_state, state_of


@explained
def residual(p: Categorical[A], q: Categorical[A]) -> Categorical[A]:
    r"""The normalised excess of p over q: probabilities proportional to :math:`(p_i - q_i)_+`.

    The distribution to draw from after a rejection, in speculative decoding and maximal coupling.
    Where p = q, it is p itself.

    Parameters
    ----------
    p, q : Categorical
        Over the same number of categories, with batch shapes that broadcast.

    Returns
    -------
    Categorical

    Raises
    ------
    TypeError, ValueError
        For anything that is not a Categorical, or a pair that does not match.

    References
    ----------
    Leviathan, Kalman & Matias (2023), https://arxiv.org/abs/2211.17192.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import residual
    >>> p, q = Categorical.from_weights([5, 3, 2]), Categorical.from_weights([2, 3, 5])
    >>> residual(p, q).probs
    array([1., 0., 0.])
    """
    return of_state(residual_of(*_pair(p, q)))


def residual_of(p: State, q: State) -> State:
    """The normalised excess of p over q."""
    logits = _log_excess(log_probs(p), log_probs(q), p.xp)
    return checked_state(logits, copy=True)


@ignore_fp_errors
def _log_excess(log_p: Array, log_q: Array, xp: Namespace) -> Array:
    """log (p - q)₊, accurate where q is close to p; log p in rows without any excess."""
    log_p, log_q = xp.broadcast_arrays(log_p, log_q)
    more, zero = log_p > log_q, xp.zeros_like(log_p)
    below = xp.where(more, log_q - xp.where(more, log_p, zero), -xp.ones_like(log_p))
    left = xp.where(more, log_p + xp.log(0 - xp.expm1(below)), -math.inf)
    equal = ~xp.any(left > -math.inf, axis=-1, keepdims=True)
    bad = xp.any(xp.isnan(log_p) | xp.isnan(log_q), axis=-1, keepdims=True)
    return xp.where(bad, math.nan, xp.where(equal, log_p, left))


@explained
def maximal_coupling(
    p: Categorical[A], q: Categorical[A], shape: int | tuple[int, ...] = (), *, rng: Rngs = None
) -> tuple[A, A]:
    r"""Draw x from p and y from q such that they differ as rarely as possible.

    .. math:: P(x \ne y) = \mathrm{TV}(p, q) = \sum_i (p_i - q_i)_+

    y is x with probability min(1, q(x)/p(x)), else a draw from the :func:`residual` of q over p.

    Parameters
    ----------
    p, q : Categorical
        Over the same number of categories, with batch shapes that broadcast.
    shape : int or tuple of ints
        Pairs drawn for each row.
    rng
        As for :meth:`Categorical.sample`, except Keyed. One rng for all rows.

    Returns
    -------
    x, y : integers, shape + the broadcast of the two batch shapes

    Raises
    ------
    TypeError, ValueError
        For distributions that do not match, or an invalid shape or rng.

    References
    ----------
    Lindvall, *Lectures on the Coupling Method* (1992).

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import maximal_coupling
    >>> p, q = Categorical([0.0, 0.0]), Categorical([0.0, 1.0])
    >>> x, y = maximal_coupling(p, q, 100_000, rng=0)
    >>> float((x != y).mean()), round(float(abs(p.probs - q.probs).sum() / 2), 4)
    (0.22814, 0.2311)
    """
    own, other = _pair(p, q)
    if isinstance(rng, list | tuple) or getattr(rng, "ndim", 0) > 0:
        raise TypeError("rng must be one for all rows, got a sequence")
    size, xp = checks.sample_shape(shape), own.xp
    batch = np.broadcast_shapes(own.batch_shape, other.batch_shape)
    own, other = spread(own, batch), spread(other, batch)
    first, second, third = sampling.source(own, rng).streams(Tag.COUPLING, 3)
    x = sampling.sample_from(own, size, first)
    y = sampling.sample_from(residual_of(other, own), size, second)
    # P(an exponential wait < log p - log q) = 1 - q/p, accurate where q is close to p.
    wait = xp.exp(0 - third.gumbels(size))
    same = wait >= log_prob(own, x) - log_prob(other, x)
    y = xp.where(same, x, y)
    if xp is not np:  # a bad row of hidden values: -1 in both
        x, y = xp.where(y < 0, y, x), xp.where(x < 0, x, y)
    return x, unwrap(y)


def _pair(p: Any, q: Any) -> tuple[State, State]:
    own, other = state_of(p, "p"), state_of(q, "q")
    check_pair(own, other, "q")
    return own, other
