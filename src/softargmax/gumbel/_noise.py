"""Gumbel noise, Gumbel-max draws, and noise conditioned on the winner."""

from __future__ import annotations

import math
from typing import Any, overload

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    aligned,
    ignore_fp_errors,
    index_dtype,
    namespace_of,
    unwrap,
)
from softargmax._arrays.types import A, Like, Numpy, NumpyLike
from softargmax._core import sampling
from softargmax._core.support import meet_rows
from softargmax._core.variants import spread
from softargmax._core.winners import conditional_gumbels as conditional_gumbels_of
from softargmax._random.sources import Rngs, gumbels_like_rng
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of


@explained
def gumbel_noise(
    shape: int | tuple[int, ...] = (), *, rng: Rngs = None, dtype: Any = None
) -> Array:
    r"""Independent standard Gumbels, :math:`P(g \le x) = \exp(-e^{-x})`, in the rng's library.

    Parameters
    ----------
    shape : int or tuple of ints
    rng : None, int, SeedSequence, BitGenerator, Generator, torch.Generator or JAX key
        A torch.Generator gives a tensor on its device, a JAX key a JAX array, others NumPy arrays.
    dtype : floating dtype, optional
        The library's default when None.

    Returns
    -------
    array of this shape

    Raises
    ------
    TypeError, ValueError
        For an invalid rng, shape or dtype.

    Notes
    -----
    Always finite, with a tail long enough for rare events: the noise reaches 64 log 2 = 44.4, a
    float32 -log(-log(u)) only 16.6. NumPy and PyTorch noise is computed in float64, then rounded to
    the dtype; JAX's float32 noise takes two words of random bits per number (mode "highest").

    References
    ----------
    Gumbel (1954); Maddison, Tarlow & Minka (2014), https://arxiv.org/abs/1411.0030.

    Examples
    --------
    >>> from softargmax.gumbel import gumbel_noise
    >>> gumbel_noise(3, rng=0).round(4)
    array([ 0.5631, -0.3358,  2.0966])
    """
    size = checks.sample_shape(shape)
    return unwrap(gumbels_like_rng(rng, Tag.GUMBEL_NOISE, size, dtype))


@overload
def gumbel_max(log_probs: NumpyLike, noise: NumpyLike) -> Numpy: ...
@overload
def gumbel_max(log_probs: Like[A], noise: Like[A]) -> A: ...
@ignore_fp_errors
@explained
def gumbel_max(log_probs: ArrayLike, noise: ArrayLike) -> Any:
    """The arg max of log-probabilities plus given noise: a Gumbel-max draw.

    Using the same noise for different distributions couples their draws (common random numbers):
    along a ladder of temperatures, or to ask what another distribution would have drawn.

    Parameters
    ----------
    log_probs : array, shape (..., K)
        Log-probabilities, or logits with any offset. A category at -inf is never drawn.
    noise : array, shape (..., K)
        Standard Gumbels; the batch axes broadcast against those of ``log_probs``.

    Returns
    -------
    int64 (JAX: its default integer), the broadcast of the batch axes

    Raises
    ------
    ValueError, TypeError
        For a row with NaN or without a finite log-probability, noise that is NaN or inf, or shapes
        that do not match. For hidden values, as under jit, invalid rows give -1 instead.

    References
    ----------
    Maddison, Tarlow & Minka (2014), https://arxiv.org/abs/1411.0030.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import gumbel_max, gumbel_noise
    >>> dist = Categorical([0.0, 1.0, 2.0])
    >>> noise = gumbel_noise((4, 3), rng=0)
    >>> gumbel_max(dist.log_probs, noise), gumbel_max(dist.tempered(0).log_probs, noise)
    (array([2, 1, 2, 1]), array([2, 2, 2, 2]))
    """
    xp = namespace_of(log_probs, noise)
    scores = checks.real_array(log_probs, "log_probs", xp, noise)
    added = checks.real_array(noise, "noise", xp, log_probs)
    checks.check_categories(scores, "log_probs")
    checks.check_categories(added, "noise")
    checks.check_width(tuple(added.shape), scores.shape[-1], "noise")
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
    scores, added = aligned(xp, scores, added)
    bad, bad_noise = aligned(xp, bad, bad_noise)
    found = xp.argmax(xp.where(scores > -math.inf, scores + added, -math.inf), axis=-1)
    found = xp.astype(found, index_dtype(xp))
    return unwrap(xp.where(bad | bad_noise, -xp.ones_like(found), found))


@ignore_fp_errors
@explained
def conditional_gumbels(dist: Categorical[A], category: ArrayLike, *, rng: Rngs = None) -> A:
    r"""Standard Gumbels conditioned on the category that won: ``gumbel_max`` returns it again.

    The winner's noise is M - log p, with M a standard Gumbel; that of every other category i is
    Gumbel noise truncated so that i loses:

    .. math:: g_i = -\log\bigl(e^{-g'_i} + e^{-(M - \log p_i)}\bigr), \qquad g'_i \text{ standard}.

    If x is a draw from the distribution, the noise is marginally i.i.d. standard Gumbel. So
    ``gumbel_max(other.log_probs, conditional_gumbels(dist, x))`` is what ``other`` would have drawn
    with the noise that led to x.

    Parameters
    ----------
    dist : Categorical
    category : int or array of integers
        The category drawn; broadcasts against the batch.
    rng
        As for :meth:`Categorical.sample`, except Keyed. A sequence holds one per row of the batch
        to which category and distribution broadcast.

    Returns
    -------
    array, the broadcast of category.shape and batch_shape, + (K,)
        float64 in NumPy and PyTorch, the distribution's dtype in JAX. Off the support the noise is
        unconditioned.

    Raises
    ------
    ValueError, TypeError
        For a category with p = 0, out of range, or of a shape that does not broadcast.

    References
    ----------
    Maddison & Tarlow (2017), *Gumbel machinery*; Maddison, Tarlow & Minka (2014),
    https://arxiv.org/abs/1411.0030; counterfactuals: Oberst & Sontag (2019),
    https://arxiv.org/abs/1905.05824.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.gumbel import conditional_gumbels, gumbel_max
    >>> dist = Categorical([0.0, 1.0, 2.0])
    >>> noise = conditional_gumbels(dist, [0, 1, 2], rng=0)
    >>> gumbel_max(dist.log_probs, noise)
    array([0, 1, 2])
    >>> gumbel_max(dist.tempered(0.1).log_probs, noise)
    array([2, 2, 2])
    """
    state = state_of(dist)
    x = checks.category(category, state.xp, state.z, state.num_categories)
    lead = meet_rows(tuple(x.shape), state.batch_shape, "category")
    wide = spread(state, lead[len(lead) - len(state.batch_shape) :])
    return conditional_gumbels_of(wide, x, sampling.source(wide, rng, Tag.CONDITIONAL_GUMBELS))
