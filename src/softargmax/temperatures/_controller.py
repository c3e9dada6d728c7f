"""Feedback control of a temperature, which keeps an entropy near a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softargmax._arrays.checks import number, numbers_in
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    detached,
    ignore_fp_errors,
    is_foreign,
    namespace_of,
    unwrap,
)


@dataclass(frozen=True)
class EntropyController:
    r"""A feedback controller: its temperature keeps the entropy of a policy near a target.

    .. math:: \log T \leftarrow \log T + rate \cdot (target \cdot \log n - H)

    Parameters
    ----------
    target : float
        In [0, 1]: the target entropy as a fraction of its maximum, log n.
    rate : float
        In (0, inf), the step size.

    Notes
    -----
    A pair of pure functions: ``state = init()`` and ``temperature, state = step(entropy, state,
    num_legal=n)``. The state is log T: a number, or an array with one per row.

    References
    ----------
    The dual ascent of discrete soft actor-critic: Haarnoja et al. (2018),
    https://arxiv.org/abs/1812.05905; Christodoulou (2019), https://arxiv.org/abs/1910.07207.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.temperatures import EntropyController
    >>> controller = EntropyController(target=0.5, rate=0.2)
    >>> state, temperature = controller.init(), 1.0
    >>> for _ in range(200):
    ...     entropy = Categorical([0.0, 1.0, 3.0], temperature).entropy()
    ...     temperature, state = controller.step(entropy, state, num_legal=3)
    >>> round(float(entropy / np.log(3)), 6)
    0.5
    """

    target: float
    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", number(self.target, "target", "[0, 1]"))
        object.__setattr__(self, "rate", number(self.rate, "rate", "(0, inf)"))

    def init(self) -> float:
        """The initial state: log T = 0.

        Examples
        --------
        >>> from softargmax.temperatures import EntropyController
        >>> EntropyController(target=0.5, rate=0.2).init()
        0.0
        """
        return 0.0

    @ignore_fp_errors
    def step(
        self, entropy: ArrayLike, state: ArrayLike, *, num_legal: ArrayLike
    ) -> tuple[Any, Any]:
        """The next temperature and the next state.

        Parameters
        ----------
        entropy : float or array
            The entropy H in nats of the policy at the current temperature.
        state : float or array
            log T, from :meth:`init` or the previous step.
        num_legal : int or array
            n, the number of legal actions. The three arguments broadcast.

        Returns
        -------
        temperature, state
            T and log T; no gradient flows through them.

        Raises
        ------
        ValueError, TypeError
            For an entropy or a state that is not finite, a num_legal below 1, shapes that do not
            broadcast, or arguments that are not real numbers.

        Examples
        --------
        >>> from softargmax.temperatures import EntropyController
        >>> EntropyController(target=1.0, rate=0.5).step(0.0, 0.0, num_legal=2)[0].round(4)
        np.float64(1.4142)
        """
        xp = namespace_of(entropy, state, num_legal)
        like = next((x for x in (entropy, state, num_legal) if is_foreign(x)), entropy)
        h = detached(numbers_in(entropy, "entropy", "(-inf, inf)", xp, like), xp)
        log_t = detached(numbers_in(state, "state", "(-inf, inf)", xp, like), xp)
        n = numbers_in(num_legal, "num_legal", "[1, inf)", xp, like)
        try:
            np.broadcast_shapes(h.shape, log_t.shape, n.shape)
        except ValueError:
            raise ValueError(
                "entropy, state and num_legal must have shapes that broadcast, "
                f"got {tuple(h.shape)}, {tuple(log_t.shape)} and {tuple(n.shape)}"
            ) from None
        new: Array = unwrap(log_t + self.rate * (self.target * xp.log(n) - h))
        return unwrap(xp.exp(new)), new
