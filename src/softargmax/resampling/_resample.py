"""Resample particles by six schemes, and their effective sample size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    detached,
    ignore_fp_errors,
    unwrap,
    widest_float,
)
from softargmax._arrays.types import A
from softargmax._core import sampling
from softargmax._core.information import probs
from softargmax._core.state import State
from softargmax._random.numpy import Generator, exponentials, uniforms
from softargmax._random.source import Job
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax._rows import resampling as ways
from softargmax._rows.memory import blocks
from softargmax._rows.rows import as_rows
from softargmax.categorical import Categorical, state_of

_Scheme = Literal["multinomial", "stratified", "systematic", "residual", "ssp", "killing"]
# Probabilities (rows, K) → parents (rows, n); each scheme draws noise of the shape it needs.
_SCHEMES: dict[str, Callable[[Any, int, Generator, float], Any]] = {
    "multinomial": lambda p, n, rng, _: ways.multinomial(p, exponentials(rng, (len(p), n + 1))),
    "stratified": lambda p, n, rng, _: ways.stratified(p, uniforms(rng, (len(p), n))),
    "systematic": lambda p, n, rng, slack: ways.systematic(p, n, uniforms(rng, (len(p), 1)), slack),
    "residual": lambda p, n, rng, slack: ways.residual(
        p, n, lambda m: exponentials(rng, (len(p), m + 1)), slack
    ),
    "ssp": lambda p, n, rng, slack: ways.ssp(p, n, uniforms(rng, (len(p), p.shape[-1] - 1)), slack),
    "killing": lambda p, _, rng, __: ways.killing(
        p, uniforms(rng, p.shape), lambda m: exponentials(rng, (len(p), m + 1))
    ),
}


@explained
def resample(
    dist: Categorical[A], n: int, *, rng: Rngs = None, scheme: _Scheme = "systematic"
) -> A:
    r"""Draw the parents of n particles; category i has :math:`n p_i` offspring on average.

    ======================  ==================================================================
    scheme                  offspring of i
    ======================  ==================================================================
    ``"multinomial"``       n independent draws
    ``"stratified"``        one draw from each n-th part of the cumulative distribution
    ``"systematic"``        stratified with one uniform for all parts: ⌊np⌋ or ⌈np⌉
    ``"residual"``          ⌊np⌋, and the remainder by independent draws
    ``"ssp"``               ⌊np⌋ or ⌈np⌉, negatively associated (Srinivasan's process)
    ``"killing"``           its own place with probability p / max p; each place that is freed is
                            redrawn from p
    ======================  ==================================================================

    Parameters
    ----------
    dist : Categorical
        Its logits are log-weights, with the particles on the last axis.
    n : int
        The number of offspring, 0 or more; it may differ from K, but not for "killing".
    rng
        As for :meth:`Categorical.sample`, except Keyed.
    scheme : str
        One of the six above.

    Returns
    -------
    integers, shape batch_shape + (n,)
        The parents, in increasing order on the last axis; a particle of weight 0 is never one. The
        n come last, unlike the independent draws of :meth:`Categorical.sample`, which come first:
        they are one draw of a new population, whose particles take the axis of the old ones.

    Raises
    ------
    ValueError, TypeError
        For a negative n, or one that is not K for "killing", an unknown scheme, an invalid rng, or
        a dist that is not a Categorical.

    Notes
    -----
    All are unbiased. Stratified and residual resampling have no larger variance than multinomial
    resampling, for any function of the particles; ssp is consistent in any order of the particles.
    Systematic resampling can be worse than multinomial: of four equal weights it draws (0, 2) or
    (1, 3) for n = 2, so the mean of f = (1, 0, 1, 0) over the offspring is 1 or 0: its variance is
    1/4, against 1/8 with independent draws. Sorting particles by a one-dimensional state avoids it.
    Killing replaces the fewest: where weights are all but equal, as between close observations in
    time, nearly all particles stay, which keeps its noise small as the time steps go to 0.

    The indices are sorted, so that offspring of one parent are adjacent; permute them where a
    random order is needed.

    References
    ----------
    Douc, Cappé & Moulines (2005), https://arxiv.org/abs/cs/0507025; Gerber, Chopin & Whiteley
    (2019), https://arxiv.org/abs/1708.02230; Srinivasan (2001),
    https://doi.org/10.1109/SFCS.2001.959935. Killing: Chopin, Singh, Soto & Vihola (2022),
    https://arxiv.org/abs/2203.10037; Del Moral, *Feynman-Kac Formulae* (2004), §2.5.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.resampling import resample
    >>> particles = Categorical.from_weights([1, 0, 4, 3])
    >>> resample(particles, 8, rng=0)
    array([0, 2, 2, 2, 2, 3, 3, 3])
    >>> resample(particles, 8, scheme="multinomial", rng=0)
    array([2, 2, 3, 3, 3, 3, 3, 3])
    """
    state = state_of(dist)
    n = checks.count(n, "n", 0, 2**62)
    names = tuple(_SCHEMES)
    which = names.index(checks.one_of(scheme, "scheme", names))
    if scheme == "killing" and n != state.num_categories:
        raise ValueError(
            "n must be the number of particles for scheme='killing', "
            f"{state.num_categories}, got {n}"
        )
    job = Job("parents", tail=(n,), options=(which,))
    return sampling.draw_on_host(state, sampling.source(state, rng, Tag.RESAMPLING), job)


def _parents(host: State, rng: Generator, job: Job) -> Any:
    (n,), (which,) = job.tail, job.options
    draw = list(_SCHEMES.values())[which]
    p = as_rows(probs(host), host.batch_shape)
    slack = 8 * float(np.finfo(p.dtype).eps)
    found = [np.empty((0, n), np.int64)]
    for some in blocks(len(p), p.shape[-1] + n) if n else ():
        rows = p[some].astype(np.float64, copy=False)
        if p.dtype != np.float64:
            rows /= rows.sum(axis=-1, keepdims=True)
        found.append(draw(rows, n, rng, slack))
    parents = found[-1] if len(found) < 3 else np.concatenate(found)
    return parents.reshape(*host.batch_shape, n)


sampling.host_draw("parents", _parents)


@explained
@ignore_fp_errors
def effective_sample_size(dist: Categorical[A]) -> A:
    r"""The effective sample size of weighted particles, :math:`1 / \sum_i p_i^2`.

    Parameters
    ----------
    dist : Categorical
        Its logits are log-weights.

    Returns
    -------
    float or array, shape batch_shape
        From 1 (one particle has all the weight) to K (all weights are equal). Particle filters
        often resample only where it is below K/2; after resampling all weights are equal.

    Raises
    ------
    TypeError
        For a dist that is not a Categorical.

    References
    ----------
    Kong, Liu & Wong (1994), https://doi.org/10.1080/01621459.1994.10476469.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.resampling import effective_sample_size
    >>> effective_sample_size(Categorical([[0.0, 0.0], [0.0, 1.0], [0.0, 100.0]])).round(4)
    array([2.    , 1.6481, 1.    ])
    """
    state = state_of(dist)
    xp = state.xp
    p = xp.astype(probs(state), widest_float(xp))
    # Relative to the largest, so that n equal weights are 1 each and give exactly n.
    w = p / detached(xp.max(p, axis=-1, keepdims=True), xp)
    total = xp.sum(w, axis=-1)
    size = total / (xp.sum(w * w, axis=-1) / total)
    most = xp.full_like(size, float(state.num_categories))
    return unwrap(xp.astype(xp.where(size > most, most, size), state.dtype))
