"""An algebra of distributions: mixtures Σ wⱼ pⱼ, and pools Π pⱼ^wⱼ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from softargmax._arrays.checks import numbers_in, real_array
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import Array, ArrayLike, Namespace, namespace_of
from softargmax._arrays.types import A
from softargmax._arrays.weights import check_positive_rows, checked_weights, log_weights
from softargmax._core.information import log_probs
from softargmax._core.mixtures import mixed, pooled
from softargmax._core.state import State, of_logits
from softargmax.categorical import Categorical, of_state, state_of

__all__ = ["mix", "pool"]


def __dir__() -> list[str]:
    return __all__


@explained
def mix(dists: Iterable[Categorical[A]], weights: ArrayLike) -> Categorical[A]:
    r"""The mixture of distributions, which draws from one of them at random.

    .. math:: p = \frac{\sum_j w_j \, p_j}{\sum_j w_j}

    Parameters
    ----------
    dists : sequence of m Categorical
        Over the same K categories, with batches that broadcast; PyTorch's or JAX's may be mixed
        with NumPy's. A batch is the sequence of what stands along its first axis.
    weights : array, shape (..., m)
        Non-negative and finite, one positive in every row at least; they need not sum to 1. The
        other axes broadcast against the batch.

    Returns
    -------
    Categorical
        At temperature 1; its logits are its log-probabilities. Its support is the union of the
        supports of the distributions with a positive weight.

    Raises
    ------
    ValueError
        For no distribution, other numbers of categories, a negative, NaN or infinite weight, a row
        of zeros, or shapes that do not fit.
    TypeError
        For anything but distributions of one library, or weights that are not real numbers.

    Notes
    -----
    A distribution of weight 0 is ignored, and no derivative passes through it. Everything is
    computed in logarithms, so that weights and probabilities as small as 1e-300 count, and log p
    stays accurate close to 0. In PyTorch and JAX derivatives flow to the weights and to what the
    distributions were made from.

    There is no single array of values that a mixture was made from: its ``score``,
    ``entropy_gradient`` and ``fisher_information`` are a ValueError.

    References
    ----------
    The linear opinion pool: Stone (1961), https://doi.org/10.1214/aoms/1177704873.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.mixtures import mix
    >>> greedy, uniform = Categorical([0.0, 3.0, 1.0], 0), Categorical([0.0, 0.0, 0.0])
    >>> mix([greedy, uniform], [0.7, 0.3]).probs.round(4)
    array([0.1, 0.8, 0.1])
    """
    states, xp, given = _given(dists, weights)
    given = checked_weights(given, "weights", xp, given)
    check_positive_rows(given, xp)
    shares = log_probs(of_logits(log_weights(given, xp), xp))
    return of_state(mixed(states, shares))


@explained
def pool(dists: Iterable[Categorical[A]], weights: ArrayLike) -> Categorical[A]:
    r"""The product of distributions, each to the power of its weight: a logarithmic pool.

    .. math:: p \propto \prod_j p_j^{w_j}

    With weights 1 it is a product of experts, with weights of sum 1 a geometric mean; (1 + g, -g)
    of a conditional and an unconditional distribution is classifier-free guidance, (1, -λ) of
    an expert and an amateur is contrastive decoding.

    Parameters
    ----------
    dists : sequence of m Categorical
        As for :func:`mix`.
    weights : array, shape (..., m)
        Any finite numbers; the other axes broadcast against the batch.

    Returns
    -------
    Categorical
        At temperature 1; its logits are its log-probabilities. A category with p = 0 under a
        positive weight has p = 0, whatever the others say.

    Raises
    ------
    ValueError
        As :func:`mix` does; for a category with p = 0 under negative weights alone, where p would
        be infinite; and for a row where the distributions of positive weight have no category in
        common. The message names the row.
    TypeError
        As :func:`mix` does.

    Notes
    -----
    A distribution of weight 0 is ignored; where all weights are 0 the product is empty, and the
    result uniform. Derivatives flow as for :func:`mix`, through weights of 0 too, and ``score`` is
    an error as there.

    References
    ----------
    Hinton (2002), https://doi.org/10.1162/089976602760128018; guidance: Sanchez et al. (2023),
    https://arxiv.org/abs/2306.17806; contrastive decoding: Li et al. (2022),
    https://arxiv.org/abs/2210.15097.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.mixtures import pool
    >>> expert, amateur = Categorical.from_weights([6, 3, 1]), Categorical.from_weights([6, 1, 3])
    >>> pool([expert, amateur], [1, 1]).probs.round(4)
    array([0.8571, 0.0714, 0.0714])
    >>> pool([expert, amateur], [1, -1]).probs.round(4)
    array([0.2308, 0.6923, 0.0769])
    """
    states, xp, given = _given(dists, weights)
    return of_state(pooled(states, numbers_in(given, "weights", "(-inf, inf)", xp, given)))


def _given(
    dists: Iterable[Categorical], weights: ArrayLike
) -> tuple[list[State], Namespace, Array]:
    """The states of distributions that fit, their library, and weights of the right shape."""
    if isinstance(dists, Categorical) and not dists.batch_shape:
        raise TypeError("dists must be a sequence of Categorical, got one; put it in a list")
    try:
        each = iter(dists)
    except TypeError:
        got = type(dists).__name__
        raise TypeError(f"dists must be a sequence of Categorical, got {got}") from None
    states = [state_of(dist, "dists") for dist in each]
    if not states:
        raise ValueError("dists must have one distribution at least, got none")
    widths = {state.num_categories: None for state in states}
    if len(widths) > 1:
        raise ValueError(f"dists must have equal numbers of categories, got {[*widths]}")
    foreign: Any = next((state for state in states if state.xp is not np), None)
    xp = namespace_of(weights) if foreign is None else foreign.xp
    like = weights if foreign is None else foreign.like
    given = real_array(weights, "weights", xp, like)
    shape = tuple(given.shape)
    if not shape or shape[-1] != len(states):
        raise ValueError(
            f"weights must have one number for each of the {len(states)} distributions on their "
            f"last axis, got shape {shape}"
        )
    batches = [state.batch_shape for state in states]
    try:
        batch = np.broadcast_shapes(*batches)
    except ValueError:
        raise ValueError(f"dists must have batches that broadcast, got {batches}") from None
    try:
        fits = not batch or len(shape) - 1 <= len(batch)
        np.broadcast_shapes(batch, shape[:-1])
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"weights must fit the batch axes {batch} of the dists, got shape {shape}")
    return states, xp, given
