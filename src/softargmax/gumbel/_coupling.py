"""Pairs of draws that agree as often as they can."""

import math
from typing import Any

import numpy as np

from softargmax import _native
from softargmax._arrays import checks
from softargmax._arrays.namespaces import Array, Namespace, quiet, unwrap
from softargmax._noise import Rngs
from softargmax.categorical import Categorical

_COUPLING = 0x636F7570  # the tag of its streams


def residual(p: Categorical, q: Categorical) -> Categorical:
    r"""What p has beyond q, normalised: probabilities proportional to :math:`(p_i - q_i)_+`.

    The correction of rejection steps: speculative decoding, maximal coupling. Where p = q it is p
    itself.

    Parameters
    ----------
    p, q : Categorical
        Over as many categories, of batches that broadcast.

    Returns
    -------
    Categorical

    Raises
    ------
    TypeError, ValueError
        For anything else.

    References
    ----------
    Leviathan, Kalman & Matias (2023), https://arxiv.org/abs/2211.17192.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> p, q = Categorical.from_weights([5, 3, 2]), Categorical.from_weights([2, 3, 5])
    >>> residual(p, q).probs
    array([1., 0., 0.])
    """
    xp = _pair(p, q)
    return Categorical(_log_excess(p.log_probs, q.log_probs, xp))


@quiet
def _log_excess(log_p: Array, log_q: Array, xp: Namespace) -> Array:
    """log (p - q)₊, with its digits where q is next to p; log p where nothing is left."""
    log_p, log_q = xp.broadcast_arrays(log_p, log_q)
    more, zero = log_p > log_q, xp.zeros_like(log_p)
    below = xp.where(more, log_q - xp.where(more, log_p, zero), -xp.ones_like(log_p))
    left = xp.where(more, log_p + xp.log(0 - xp.expm1(below)), -math.inf)
    equal = ~xp.any(left > -math.inf, axis=-1, keepdims=True)
    bad = xp.any(xp.isnan(log_p) | xp.isnan(log_q), axis=-1, keepdims=True)
    return xp.where(bad, math.nan, xp.where(equal, log_p, left))


def maximal_coupling(
    p: Categorical, q: Categorical, *, rng: Rngs = None, shape: int | tuple[int, ...] = ()
) -> tuple[Any, Any]:
    r"""Draw x from p and y from q that differ as rarely as any two such draws can.

    .. math:: P(x \ne y) = \mathrm{TV}(p, q) = \sum_i (p_i - q_i)_+

    y is x with probability min(1, q(x)/p(x)), else a draw of :func:`residual` of q and p.

    Parameters
    ----------
    p, q : Categorical
        Over as many categories, of batches that broadcast.
    rng
        As for :meth:`Categorical.sample`, but one for all rows. Its streams are its own: the draws
        share no noise with what ``sample`` draws from an equal seed.
    shape : int or tuple of ints
        Pairs of every row.

    Returns
    -------
    x, y : integers, shape + the broadcast of the two batch shapes

    Raises
    ------
    TypeError, ValueError
        For distributions that do not fit, a shape or an rng that is none.

    References
    ----------
    Lindvall, *Lectures on the Coupling Method* (1992).

    Examples
    --------
    >>> from softargmax import Categorical
    >>> p, q = Categorical([0.0, 0.0]), Categorical([0.0, 1.0])
    >>> x, y = maximal_coupling(p, q, rng=0, shape=100_000)
    >>> float((x != y).mean()), round(float(abs(p.probs - q.probs).sum() / 2), 4)
    (0.23307, 0.2311)
    """
    xp = _pair(p, q)
    if isinstance(rng, list | tuple) or np.ndim(rng) > 0:  # type: ignore[arg-type]
        raise TypeError("rng must be one for all rows, got a sequence")
    batch = np.broadcast_shapes(p.batch_shape, q.batch_shape)
    p, q = p._spread(batch), q._spread(batch)
    first, second, third = _native.streams(p._given, rng, _COUPLING, 3)
    x = p.sample(shape, rng=first)
    other = residual(q, p).sample(shape, rng=second)
    # P(an exponential wait < log p - log q) = 1 - q/p, with its digits where q is next to p.
    wait = xp.exp(0 - _native.plain_gumbels(p._given, tuple(x.shape), third))
    keep = wait >= p.log_prob(x) - q.log_prob(x)
    return x, unwrap(xp.where(keep, x, other))


def _pair(p: Any, q: Any) -> Namespace:
    checks.check_instance(p, Categorical, "p")
    return p._pair(q, "q")  # which sees to q
