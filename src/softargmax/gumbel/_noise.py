"""Gumbel noise: arg max draws, noise that knows its winner, coupling, Gumbel-top-k, races."""

import math
from typing import Any

from softargmax import _native, _noise
from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    device_of,
    index_dtype,
    namespace_of,
    quiet,
    unwrap,
)
from softargmax._noise import Rngs
from softargmax.categorical import Categorical


def gumbel_noise(
    shape: int | tuple[int, ...] = (), *, rng: Rngs = None, dtype: Any = None
) -> Array:
    r"""Independent standard Gumbels, :math:`P(g \le x) = \exp(-e^{-x})`, in the rng's namespace.

    Parameters
    ----------
    shape : int or tuple of ints
    rng : None, int, SeedSequence, BitGenerator, Generator, torch.Generator or JAX key
        A torch.Generator gives a tensor on its device, a key a JAX array, all others NumPy's.
    dtype : floating dtype, optional
        The namespace's default when None.

    Returns
    -------
    array of this shape

    Raises
    ------
    TypeError, ValueError
        For an rng, a shape or a dtype that is none.

    Notes
    -----
    Always finite, and fine enough for rare events: the noise ends at 64 log 2 = 44.4, where a
    float32 -log(-log(u)) ends at 16.6. NumPy's and PyTorch's is made in float64, then rounded to
    the dtype; JAX's float32 noise has two words of random bits a number (mode "highest").

    References
    ----------
    Gumbel (1954); Maddison, Tarlow & Minka (2014), https://arxiv.org/abs/1411.0030.

    Examples
    --------
    >>> gumbel_noise(3, rng=0).round(4)
    array([ 0.3858, -0.0194,  3.9217])
    """
    size = checks.sample_shape(shape)
    return _noise.gumbels_in_kind(rng, size, dtype)


@quiet
def gumbel_max(log_probs: ArrayLike, noise: ArrayLike) -> Any:
    """The category of the largest log-probability plus noise: a draw, with the luck given.

    With the same noise, the draws of different distributions are coupled (common random numbers): a
    ladder of temperatures, or "what would have been drawn, with the same luck".

    Parameters
    ----------
    log_probs : array, shape (..., K)
        Log-probabilities, or logits of any offset. -inf is never the answer.
    noise : array, shape (..., K)
        Standard Gumbels; the batch axes of the two broadcast.

    Returns
    -------
    int64 (JAX: its default integer), the broadcast of the batch axes

    Raises
    ------
    ValueError, TypeError
        For a row with NaN or without a finite log-probability (where values cannot be seen, as
        under jit, the answer is -1), noise of NaN or inf, or shapes that do not fit.

    References
    ----------
    Maddison, Tarlow & Minka (2014), https://arxiv.org/abs/1411.0030.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> dist = Categorical([0.0, 1.0, 2.0])
    >>> noise = gumbel_noise((4, 3), rng=0)
    >>> gumbel_max(dist.log_probs, noise), gumbel_max(dist.tempered(0).log_probs, noise)
    (array([2, 0, 1, 2]), array([2, 2, 2, 2]))
    """
    xp = namespace_of(log_probs, noise)
    scores = checks.real_array(log_probs, "log_probs", xp, noise)
    luck = checks.real_array(noise, "noise", xp, log_probs)
    checks.check_categories(scores, "log_probs")
    checks.check_categories(luck, "noise")
    if scores.shape[-1] != luck.shape[-1]:
        raise ValueError(
            f"noise must have {scores.shape[-1]} categories on its last axis, "
            f"got shape {tuple(luck.shape)}"
        )
    checks.check_fits(tuple(luck.shape[:-1]), tuple(scores.shape[:-1]), "noise")
    top = xp.max(scores, axis=-1)
    bad = ~((top > -math.inf) & (top < math.inf))
    if checks.any_of(bad):
        raise ValueError(
            "log_probs must be finite or -inf, with a finite one in every row, "
            f"got none{checks.in_row(bad)}"
        )
    unlucky = ~xp.all((luck > -math.inf) & (luck < math.inf), axis=-1)
    if checks.any_of(unlucky):
        raise ValueError(f"noise must be finite, got nan or inf{checks.in_row(unlucky)}")
    found = xp.argmax(xp.where(scores > -math.inf, scores + luck, -math.inf), axis=-1)
    found = xp.astype(found, index_dtype(xp))
    return unwrap(xp.where(bad | unlucky, -xp.ones_like(found), found))


@quiet
def conditional_gumbels(dist: Categorical, category: ArrayLike, *, rng: Rngs = None) -> Array:
    r"""Standard Gumbels given that a category won, so that ``gumbel_max`` of them gives it.

    The winner's is M - log p, M a standard Gumbel, and each other one is Gumbel noise truncated so
    that it loses:

    .. math:: g_i = -\log\bigl(e^{-g'_i} + e^{-(M - \log p_i)}\bigr), \qquad g'_i \text{ standard}.

    Mixed over the draws of the distribution, they are plain independent Gumbels. So
    ``gumbel_max(other.log_probs, conditional_gumbels(dist, x))`` answers "what would have been
    drawn by the other, with the luck that led to x".

    Parameters
    ----------
    dist : Categorical
    category : int or array of integers
        What was drawn; broadcasts against the batch.
    rng
        As for :meth:`Categorical.sample`; a sequence has one a row of the batch that category and
        distribution broadcast to.

    Returns
    -------
    array, the broadcast of category.shape and batch_shape, + (K,)
        float64 in NumPy and PyTorch; in JAX of the distribution's dtype. Free noise off the
        support.

    Raises
    ------
    ValueError, TypeError
        For a category with p = 0, out of range, or of a shape that does not fit.

    References
    ----------
    Maddison & Tarlow (2017), *Gumbel machinery*; Maddison, Tarlow & Minka (2014),
    https://arxiv.org/abs/1411.0030; counterfactuals: Oberst & Sontag (2019),
    https://arxiv.org/abs/1905.05824.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> dist = Categorical([0.0, 1.0, 2.0])
    >>> noise = conditional_gumbels(dist, [0, 1, 2], rng=0)
    >>> gumbel_max(dist.log_probs, noise)
    array([0, 1, 2])
    >>> gumbel_max(dist.tempered(0.1).log_probs, noise)
    array([2, 2, 2])
    """
    checks.check_instance(dist, Categorical, "dist")
    given, xp = dist._given, dist._given.xp
    x = checks.category(category, xp, given.z, dist.num_categories)
    lead = checks.check_fits(tuple(x.shape), dist.batch_shape, "category")
    x = xp.broadcast_to(x, lead)[..., None]
    size = lead[: len(lead) - len(dist.batch_shape)]
    wide = dist._spread(lead[len(size) :])
    free = _native.gumbels(wide._given, size, rng)
    log_p = xp.broadcast_to(xp.astype(dist.log_probs, free.dtype), free.shape)
    chosen = xp.arange(dist.num_categories, device=device_of(given.z)) == x
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
    # What is an error where values can be seen is NaN elsewhere.
    bad = impossible | xp.isnan(own) | (x < 0) | (x >= dist.num_categories)
    return xp.where(bad, math.nan, noise)
