"""Pairs of draws that agree as often as they can."""

from typing import Any

import numpy as np

from softargmax import _checks, _native
from softargmax._arrays import Array, Namespace, quiet, unwrap
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
    return Categorical.from_weights(_excess_of(p.log_probs, q.log_probs, p.probs, xp))


@quiet
def _excess_of(log_p: Array, log_q: Array, p: Array, xp: Namespace) -> Array:
    """(p - q)₊, with its digits where q is next to p; p where nothing is left."""
    more = log_p > log_q
    ratio = xp.where(
        more,
        xp.where(more, log_q, xp.zeros_like(log_q)) - xp.where(more, log_p, xp.zeros_like(log_p)),
        xp.zeros_like(log_q),
    )
    left = p * (0 - xp.expm1(ratio))
    p = xp.broadcast_to(p, left.shape)
    return xp.where(xp.any(left > 0, axis=-1, keepdims=True), left, p)


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
    _checks.check_instance(p, Categorical, "p")
    _checks.check_instance(q, Categorical, "q")
    return p._pair(q)
