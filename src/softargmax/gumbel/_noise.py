"""Gumbel noise, arg max draws with it, and noise that knows its winner."""

import math
from typing import Any

from softargmax._arrays import checks
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    ignore_fp_errors,
    index_dtype,
    namespace_of,
    unwrap,
)
from softargmax._core import sampling
from softargmax._core.variants import spread
from softargmax._core.winners import conditional_gumbels as conditional_gumbels_of
from softargmax._random.sources import Rngs, gumbels_like_rng
from softargmax.categorical import Categorical, state_of


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
    return gumbels_like_rng(rng, size, dtype)


@ignore_fp_errors
def gumbel_max(log_probs: ArrayLike, noise: ArrayLike) -> Any:
    """The category of the largest log-probability plus noise: a draw, with the noise given.

    With the same noise, the draws of different distributions are coupled (common random numbers): a
    ladder of temperatures, or "what would have been drawn, with the same noise".

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
    added = checks.real_array(noise, "noise", xp, log_probs)
    checks.check_categories(scores, "log_probs")
    checks.check_categories(added, "noise")
    if scores.shape[-1] != added.shape[-1]:
        raise ValueError(
            f"noise must have {scores.shape[-1]} categories on its last axis, "
            f"got shape {tuple(added.shape)}"
        )
    checks.check_fits(tuple(added.shape[:-1]), tuple(scores.shape[:-1]), "noise")
    top = xp.max(scores, axis=-1)
    bad = ~((top > -math.inf) & (top < math.inf))
    if checks.any_of(bad):
        raise ValueError(
            "log_probs must be finite or -inf, with a finite one in every row, "
            f"got none{checks.in_row(bad)}"
        )
    bad_noise = ~xp.all((added > -math.inf) & (added < math.inf), axis=-1)
    if checks.any_of(bad_noise):
        raise ValueError(f"noise must be finite, got nan or inf{checks.in_row(bad_noise)}")
    found = xp.argmax(xp.where(scores > -math.inf, scores + added, -math.inf), axis=-1)
    found = xp.astype(found, index_dtype(xp))
    return unwrap(xp.where(bad | bad_noise, -xp.ones_like(found), found))


@ignore_fp_errors
def conditional_gumbels(dist: Categorical, category: ArrayLike, *, rng: Rngs = None) -> Array:
    r"""Standard Gumbels given that a category won, so that ``gumbel_max`` of them gives it.

    The winner's is M - log p, M a standard Gumbel, and each other one is Gumbel noise truncated so
    that it loses:

    .. math:: g_i = -\log\bigl(e^{-g'_i} + e^{-(M - \log p_i)}\bigr), \qquad g'_i \text{ standard}.

    Mixed over the draws of the distribution, they are plain independent Gumbels. So
    ``gumbel_max(other.log_probs, conditional_gumbels(dist, x))`` answers "what would have been
    drawn by the other, with the noise that led to x".

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
    state = state_of(dist)
    x = checks.category(category, state.xp, state.z, state.num_categories)
    lead = checks.check_fits(tuple(x.shape), state.batch_shape, "category")
    wide = spread(state, lead[len(lead) - len(state.batch_shape) :])
    return conditional_gumbels_of(wide, x, sampling.source(wide, rng))
