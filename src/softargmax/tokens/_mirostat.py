"""Mirostat: truncation with feedback, which keeps the surprise near a target."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import check_fits_within, numbers_in
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, to_namespace, unwrap
from softargmax._core import sampling
from softargmax._core.information import log_prob
from softargmax._core.state import State
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of
from softargmax.tokens._parameters import Parameters
from softargmax.tokens._truncations import EpsilonCutoff


@dataclass(frozen=True, eq=False, repr=False)
class Mirostat(Parameters):
    r"""Keep the mean surprise of the tokens near a target (Mirostat 2.0).

    Tokens with a surprise :math:`-\log p` above μ are dropped, one token is drawn, and

    .. math:: \mu \leftarrow \mu - rate \cdot (-\log p'(x) - target),

    where p' is the distribution after the truncation.

    Parameters
    ----------
    target : float or array
        In (0, inf), in nats: llama.cpp's τ, which is in bits, times log 2.
    rate : float or array
        The learning rate η, in (0, inf). Arrays have one value a row: they broadcast to the batch.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    A pair of pure functions: ``state = init()`` and ``token, state = step(dist, state, rng=rng)``.
    The state is μ: a number, or an array with one per row.

    References
    ----------
    Basu, Ramachandran, Keskar & Varshney (2021), https://arxiv.org/abs/2007.14966.

    Examples
    --------
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

    target: Any
    rate: Any = 0.1
    _intervals: ClassVar[dict[str, str]] = {"target": "(0, inf)", "rate": "(0, inf)"}

    def init(self) -> Any:
        """The initial state: μ = 2·target, a number or an array as the target is.

        Examples
        --------
        >>> from softargmax.tokens import Mirostat
        >>> Mirostat(target=1.5).init()
        3.0
        """
        return 2.0 * self.target

    @ignore_fp_errors
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
        >>> from softargmax.tokens import Mirostat
        >>> Mirostat(target=1.0).step(Categorical([9.0, 0.0]), 1.0, rng=0)
        (np.int64(0), np.float64(1.1))
        """
        before = state_of(dist)
        xp = before.xp
        mu = numbers_in(state, "state", "(-inf, inf)", xp, before.like)
        check_fits_within(tuple(mu.shape), before.batch_shape, "state")
        target, rate = (self._like(mu, name, before) for name in ("target", "rate"))
        mu = mu + 0 * target * rate  # NaN where they are: bad hidden values
        level = xp.exp(0 - xp.where(mu <= 0, xp.zeros_like(mu), mu))
        cut = EpsilonCutoff(float(level) if xp is np and level.ndim == 0 else level)(dist)
        left = state_of(cut)
        token = sampling.sample_from(left, (), sampling.source(left, rng, Tag.MIROSTAT))
        surprise = 0 - xp.astype(xp.asarray(log_prob(left, token)), mu.dtype)
        return token, unwrap(mu - rate * (surprise - target))

    def _like(self, mu: Any, name: str, state: State) -> Any:
        value = self._fitting(name, state.batch_shape)
        return to_namespace(value, state.xp, mu, mu.dtype) if hasattr(value, "shape") else value
