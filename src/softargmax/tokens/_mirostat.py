"""Mirostat: truncation with feedback, which keeps the surprise near a target."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import check_fits_within, count, numbers_in
from softargmax._arrays.namespaces import (
    ArrayLike,
    ignore_fp_errors,
    index_dtype,
    to_namespace,
    unwrap,
)
from softargmax._arrays.types import A
from softargmax._core import sampling
from softargmax._core.information import log_prob, top
from softargmax._core.state import State
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of
from softargmax.tokens._parameters import setting
from softargmax.tokens._stage import History, Stage
from softargmax.tokens._truncations import EpsilonCutoff, TopK

_ZIPF = 100  # how many of the likeliest tokens the first Mirostat looks at, as llama.cpp does


@dataclass(frozen=True, eq=False, repr=False)
class Mirostat(Stage):
    r"""Keep the mean surprise of the tokens near a target (Mirostat 2.0, or the first).

    Tokens with a surprise :math:`-\log p` above μ are dropped, one token is drawn, and

    .. math:: \mu \leftarrow \mu - rate \cdot (-\log p'(x) - target),

    where p' is the distribution after the truncation. The first Mirostat (``version=1``) drops all
    but the k likeliest, with a k that follows from μ and from a Zipf law fitted to the likeliest
    100 tokens.

    Parameters
    ----------
    target : float or array
        In (0, inf), in nats: llama.cpp's τ, which is in bits, times log 2.
    rate : float or array
        The learning rate η, in (0, inf). Arrays hold one value per row and broadcast.
    version : {2, 1}
    state : float or array, optional
        μ, where it begins; :meth:`init` by default.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    A pair of pure functions: ``state = init()`` and ``token, state = step(dist, state, rng=rng)``.
    The state is μ: a number, or an array with one per row. Where another program draws, use it as a
    stage: ``stage(dist)`` is the distribution to draw from, and ``stage.updated(dist, token)`` the
    stage for the next token; :class:`LogitsProcessor` does that by itself. A token that had
    probability 0, such as padding, leaves μ as it is.

    References
    ----------
    Basu, Ramachandran, Keskar & Varshney (2021), https://arxiv.org/abs/2007.14966.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Mirostat
    >>> sampler = Mirostat(target=1.5, rate=0.1)
    >>> state, surprise = sampler.init(), []
    >>> dist = Categorical(np.linspace(0.0, 8.0, 1000))
    >>> for seed in range(2000):
    ...     token, new = sampler.step(dist, state, rng=seed)
    ...     surprise.append(float(sampler.target - (new - state) / sampler.rate))
    ...     state = new
    >>> round(sum(surprise) / 2000, 1)
    1.5
    """

    target: ArrayLike
    rate: ArrayLike = 0.1
    version: int = field(default=2, kw_only=True)
    state: Any = field(default=None, kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"target": "(0, inf)", "rate": "(0, inf)"}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("version", count(self.version, "version", 1, 2))
        if self.state is not None:
            self._set("state", setting(self.state, "state", "(-inf, inf)"))

    @property
    def adaptive(self) -> bool:
        """True: every token moves μ."""
        return True

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:  # noqa: ARG002
        return self._left(dist, self._mu(dist, self._state()))

    def updated(self, dist: Categorical, token: Any, history: History = None) -> Mirostat:  # noqa: ARG002
        """The stage for the next token, with the μ that follows from this one.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.tokens import Mirostat
        >>> round(Mirostat(target=1.0).updated(Categorical([0.0, -9.0]), 0).state, 4)
        2.1
        """
        mu = self._mu(dist, self._state())
        return replace(self, state=self._moved(self._left(dist, mu), token, mu))

    def _state(self) -> Any:
        return self.init() if self.state is None else self.state

    def init(self) -> Any:
        """The initial state: μ = 2·target, a number or an array as the target is.

        Examples
        --------
        >>> from softargmax.tokens import Mirostat
        >>> Mirostat(target=1.5).init()
        3.0
        """
        target: Any = self.target
        return 2.0 * target

    def step(self, dist: Categorical, state: ArrayLike, *, rng: Rngs = None) -> tuple[Any, Any]:
        """Draw a token for each row, and return it with the next state.

        Parameters
        ----------
        dist : Categorical
        state : float or array, which broadcasts to the batch
            μ, from :meth:`init` or the previous step.
        rng
            As for :meth:`Categorical.sample`, except Keyed.

        Returns
        -------
        token, state
            Integers and numbers, both of shape batch_shape.

        Raises
        ------
        ValueError, TypeError
            For a state that is not finite or does not fit the batch, or other invalid arguments.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.tokens import Mirostat
        >>> Mirostat(target=1.0).step(Categorical([9.0, 0.0]), 1.0, rng=0)
        (np.int64(0), np.float64(1.1))
        """
        mu = self._mu(dist, state)
        cut = self._left(dist, mu)
        left = state_of(cut)
        token = sampling.sample_from(left, (), sampling.source(left, rng, Tag.MIROSTAT))
        return token, self._moved(cut, token, mu)

    def _mu(self, dist: Categorical, state: ArrayLike) -> Any:
        before = state_of(dist)
        mu = numbers_in(state, "state", "(-inf, inf)", before.xp, before.like)
        check_fits_within(tuple(mu.shape), before.batch_shape, "state")
        # NaN where they are: bad hidden values
        return mu + 0 * self._like(mu, "target", before) * self._like(mu, "rate", before)

    @ignore_fp_errors
    def _left(self, dist: Categorical, mu: Any) -> Categorical:
        xp = state_of(dist).xp
        if self.version == 1:
            return TopK(self._k(state_of(dist), mu))(dist)
        level = xp.exp(0 - xp.where(mu <= 0, xp.zeros_like(mu), mu))
        return EpsilonCutoff(float(level) if xp is np and level.ndim == 0 else level)(dist)

    def _k(self, state: State, mu: Any) -> Any:
        """How many tokens of a Zipf law have together the expected surprise μ."""
        xp, width = state.xp, state.num_categories
        log_p = xp.astype(top(state, min(_ZIPF, width))[1], mu.dtype)
        place = xp.cumulative_sum(xp.ones_like(log_p), axis=-1)
        here = log_p[..., 1:] > -math.inf
        step = xp.log((place[..., :-1] + 1) / place[..., :-1])
        fall = xp.where(here, log_p[..., :-1] - log_p[..., 1:], xp.zeros_like(step))
        weight = xp.where(here, step, xp.zeros_like(step)) ** 2
        s = xp.sum(step * fall, axis=-1) / xp.sum(weight, axis=-1)
        excess, scale = s - 1, math.log(max(width, 2))
        far = abs(excess) > 1e-6
        excess = xp.where(far, excess, xp.ones_like(excess))
        part = xp.where(far, excess / (0 - xp.expm1(0 - excess * scale)), 1 / scale)
        k = xp.floor(xp.exp((xp.log(part) + mu) / s))
        k = xp.where(k >= 1, k, xp.ones_like(k))  # one where a single token has p > 0
        return xp.astype(xp.where(k <= width, k, width * xp.ones_like(k)), index_dtype(xp))

    @ignore_fp_errors
    def _moved(self, left: Categorical, token: Any, mu: Any) -> Any:
        state = state_of(left)
        surprise = 0 - state.xp.astype(state.xp.asarray(log_prob(state, token)), mu.dtype)
        target, rate = (self._like(mu, name, state) for name in ("target", "rate"))
        # Bad rows of hidden values are NaN.
        return unwrap(state.xp.where(surprise == math.inf, mu, mu - rate * (surprise - target)))

    def _like(self, mu: Any, name: str, state: State) -> Any:
        value = self._fitting(name, state.batch_shape)
        return to_namespace(value, state.xp, mu, mu.dtype) if hasattr(value, "shape") else value
