"""Find a temperature: for a given entropy, for calibrated probabilities, by feedback."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from softargmax import _noise
from softargmax._arrays.checks import in_row, number, numbers_in, real_array
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    as_rows,
    detached,
    is_foreign,
    is_jax,
    is_torch,
    is_traced,
    kind_of,
    namespace_of,
    quiet,
    to_namespace,
    to_numpy,
    unwrap,
    widest_float,
)
from softargmax._inputs import inputs, meet_batch
from softargmax.temperatures import _solver

_Ends = Callable[[Any, Any], tuple[Any, Any]]  # the range, from the ties k and the legal n


def temperature_for_entropy(
    logits: ArrayLike, entropy: ArrayLike, *, mask: ArrayLike | None = None
) -> Any:
    r"""The temperature at which the entropy of softargmax(logits / T) has a given value.

    .. math:: T: \quad -\sum_i p_i \log p_i = H, \qquad p \propto e^{z / T}

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores; -inf puts a category outside the support.
    entropy : float or array
        H in nats, in [log k, log n]: n categories are legal, k of them tied for the largest logit.
        It meets the batch as a temperature does.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal categories. (With any other prior the entropy need not rise with T.)

    Returns
    -------
    float or array, the broadcast of the batch axes
        Temperatures in [0, inf], in float64 where there is one: 0 where H = log k, inf where
        H = log n. No gradient flows through them.

    Raises
    ------
    ValueError
        For an H that no temperature has, with the range that there is, or for bad logits or masks.
    TypeError
        For arguments that are not real numbers.

    Notes
    -----
    The entropy rises strictly with T between its limits. It is found by Newton's method on log β
    within a bracket, in float64, to a few units in its last place.

    References
    ----------
    The perplexities of t-SNE are set so: van der Maaten & Hinton (2008), *Visualizing data using
    t-SNE*, JMLR 9.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.temperatures import temperature_for_entropy
    >>> t = temperature_for_entropy([0.0, 1.0, 3.0], 0.5)
    >>> round(float(t), 4)
    0.9665
    >>> round(float(Categorical([0.0, 1.0, 3.0], t).entropy()), 12)
    0.5
    """
    return _temperature(
        "1", logits, entropy, mask, "entropy", lambda h, k: h - np.log(k), _logarithms
    )


def temperature_for_perplexity(
    logits: ArrayLike, perplexity: ArrayLike, *, mask: ArrayLike | None = None
) -> Any:
    r"""The temperature at which the perplexity :math:`e^H` has a given value.

    Parameters
    ----------
    logits, mask
        As for :func:`temperature_for_entropy`.
    perplexity : float or array
        In [k, n], n the legal categories, k those of them that are tied for the largest logit.

    Returns
    -------
    float or array
        As :func:`temperature_for_entropy` does.

    Raises
    ------
    ValueError, TypeError
        As :func:`temperature_for_entropy` does.

    Examples
    --------
    >>> from softargmax.temperatures import temperature_for_perplexity
    >>> temperature_for_perplexity([0.0, 1.0, 3.0], [1, 2, 3]).round(4)
    array([0.   , 1.287,   inf])
    """
    return _temperature(
        "1", logits, perplexity, mask, "perplexity", lambda x, k: np.log(x / k), _counts
    )


def temperature_for_max_prob(
    logits: ArrayLike, max_prob: ArrayLike, *, mask: ArrayLike | None = None
) -> Any:
    r"""The temperature at which the largest probability has a given value.

    Parameters
    ----------
    logits, mask
        As for :func:`temperature_for_entropy`.
    max_prob : float or array
        In [1/n, 1/k], n the legal categories, k those of them that are tied for the largest logit.

    Returns
    -------
    float or array
        As :func:`temperature_for_entropy` does.

    Raises
    ------
    ValueError, TypeError
        As :func:`temperature_for_entropy` does.

    Examples
    --------
    >>> from softargmax import softargmax
    >>> from softargmax.temperatures import temperature_for_max_prob
    >>> softargmax([0.0, 1.0, 3.0], temperature_for_max_prob([0.0, 1.0, 3.0], 0.9)).round(4)
    array([0.0227, 0.0773, 0.9   ])
    """
    return _temperature(
        "inf",
        logits,
        max_prob,
        mask,
        "max_prob",
        lambda p, k: -np.log(p) - np.log(k),
        lambda k, n: (1 / n, 1 / k),
    )


def temperature_for_ess(logits: ArrayLike, ess: ArrayLike, *, mask: ArrayLike | None = None) -> Any:
    r"""The temperature at which the effective sample size :math:`1 / \sum p_i^2` has a given value.

    Parameters
    ----------
    logits, mask
        As for :func:`temperature_for_entropy`; here the logits are log-weights of particles.
    ess : float or array
        In [k, n], n the legal categories, k those of them that are tied for the largest logit.

    Returns
    -------
    float or array
        As :func:`temperature_for_entropy` does.

    Raises
    ------
    ValueError, TypeError
        As :func:`temperature_for_entropy` does.

    References
    ----------
    Kong, Liu & Wong (1994), https://doi.org/10.1080/01621459.1994.10476469.

    Examples
    --------
    >>> from softargmax import softargmax
    >>> from softargmax.temperatures import temperature_for_ess
    >>> p = softargmax([0.0, 1.0, 3.0], temperature_for_ess([0.0, 1.0, 3.0], 2.0))
    >>> round(float(1 / (p**2).sum()), 12)
    2.0
    """
    return _temperature("2", logits, ess, mask, "ess", lambda x, k: np.log(x / k), _counts)


def _logarithms(k: Any, n: Any) -> tuple[Any, Any]:
    return np.log(k), np.log(n)


def _counts(k: Any, n: Any) -> tuple[Any, Any]:
    return k, n


@quiet
def _temperature(
    order: _solver.Order,
    logits: ArrayLike,
    target: ArrayLike,
    mask: ArrayLike | None,
    name: str,
    excess: Callable[[Any, Any], Any],
    ends: _Ends,
) -> Any:
    """Temperatures where the Rényi entropy less log k is ``excess(target, k)``."""
    given = inputs(logits, None, None, mask, copy=False, prior_name="mask", beside=(target,))
    xp = given.xp
    goal = real_array(target, name, xp, given.z)
    if is_torch(xp) and any(map(is_traced, (logits, target, mask))):
        raise TypeError(f"logits and {name} must be known, torch.func hides their values")
    # A target of a narrow dtype is as exact as that dtype.
    eps = float(xp.finfo(goal.dtype).eps) if kind_of(goal, xp) == "f" else 0.0
    shape = meet_batch(tuple(goal.shape), tuple(given.z.shape[:-1]), name)
    shape = meet_batch(shape, given.batch_shape, name) if given.batch_shape else shape

    def solve(z: Any, goal: Any, keep: Any = None) -> _solver.Match:
        z, keep = np.asarray(z), None if keep is None else np.asarray(keep)
        goals = np.broadcast_to(np.asarray(goal, np.float64), shape).ravel()
        rows = None if keep is None else as_rows(keep, shape)
        found = _solver.match(
            as_rows(z, shape), rows, lambda k, block: excess(goals[block], k), order, eps
        )
        return _solver.Match(*(part.reshape(shape) for part in found))

    arrays = [detached(x, xp) for x in (given.z, goal, given.prior) if x is not None]
    wide = widest_float(xp)
    if is_jax(xp) and any(map(is_traced, arrays)):
        return _noise.called_back(
            lambda *values: solve(*values).temperature.astype(wide), shape, wide, *arrays
        )
    found = solve(*map(to_numpy, arrays))
    lost = np.isnan(found.temperature)
    if lost.any():
        low, high = (np.asarray(end)[lost][0] for end in ends(found.tied, found.legal))
        got = np.broadcast_to(to_numpy(goal), shape)[lost][0]
        raise ValueError(
            f"{name} must be in [{low:.12g}, {high:.12g}], what these logits can have, "
            f"got {got:.12g}{in_row(lost)}"
        )
    if xp is np:
        return unwrap(found.temperature)
    return to_namespace(found.temperature, xp, given.z, wide)


@dataclass(frozen=True)
class EntropyController:
    r"""A temperature that keeps the entropy of a policy near a target, by feedback.

    .. math:: \log T \leftarrow \log T + rate \cdot (target \cdot \log n - H)

    Parameters
    ----------
    target : float
        In [0, 1]: the entropy wanted, as a part of the largest possible, log n.
    rate : float
        In (0, inf), the step size.

    Notes
    -----
    A pair of pure functions: ``state = init()`` and ``temperature, state = step(entropy, state,
    num_legal=n)``. The state is log T, a number, or an array with one a row.

    References
    ----------
    The dual ascent of discrete soft actor-critic: Haarnoja et al. (2018),
    https://arxiv.org/abs/1812.05905; Christodoulou (2019), https://arxiv.org/abs/1910.07207.

    Examples
    --------
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
        """The state to begin with: log T = 0.

        Examples
        --------
        >>> from softargmax.temperatures import EntropyController
        >>> EntropyController(target=0.5, rate=0.2).init()
        0.0
        """
        return 0.0

    @quiet
    def step(
        self, entropy: ArrayLike, state: ArrayLike, *, num_legal: ArrayLike
    ) -> tuple[Any, Any]:
        """The next temperature and the next state.

        Parameters
        ----------
        entropy : float or array
            The entropy H in nats of the policy at the present temperature.
        state : float or array
            log T, from :meth:`init` or from the step before.
        num_legal : int or array
            n, how many actions are legal. The three broadcast.

        Returns
        -------
        temperature, state
            T and log T; no gradient flows through them.

        Raises
        ------
        ValueError, TypeError
            For an entropy or a state that is not finite, no legal action, shapes that do not
            broadcast, or what is not a real number.

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
