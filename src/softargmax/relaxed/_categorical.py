"""Gumbel-softmax: relaxed draws on the simplex, their density and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, Literal, Self, TypeAlias, cast, overload

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Shape,
    aligned,
    detached,
    index_along,
    register_pytree,
    scalar,
    to_namespace,
    unwrap,
    widest_float,
)
from softargmax._arrays.types import A, A_co, Like, Numpy, NumpyLike
from softargmax._core import display, pytree, sampling
from softargmax._core.batch import Batch
from softargmax._core.information import log_probs
from softargmax._core.inputs import checked_state, plain_state
from softargmax._core.state import State
from softargmax._core.variants import indexed, spread, tempered
from softargmax._core.winners import conditional_gumbels
from softargmax._random.sources import Rngs
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, of_state
from softargmax.functional import log_softargmax, softargmax
from softargmax.relaxed import _density

Pullback = Callable[[ArrayLike], Any]
Gradient: TypeAlias = Literal["relaxed", "probs"]


class RelaxedCategorical(Batch, Generic[A_co]):
    r"""A Concrete (Gumbel-softmax) distribution: relaxed one-hot draws on the simplex.

    .. math:: y = \mathrm{softargmax}\bigl((\log p + g) / \tau\bigr),
              \qquad p_i \propto \pi_{0,i}\, e^{z_i}, \quad g_i \text{ standard Gumbels}

    The arg max of y is a draw of the categorical distribution p at every τ; as τ → 0, y becomes its
    one-hot vector.

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores z; -inf puts a category outside the support, where y is 0.
    temperature : float or array
        τ in [0, inf], of the relaxation, not of p; broadcasts against the batch axes. At 0 the
        draws are one-hot. (A negative 1/τ has no meaning: there is no coldness.)
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The categories that are possible: it multiplies the prior.
    prior : array, shape (..., K), optional
        Non-negative weights π₀.

    Raises
    ------
    ValueError, TypeError
        As for :class:`Categorical`.

    Notes
    -----
    With the same rng and shape, ``sample``, ``log_sample``, ``straight_through`` and their methods
    with a pullback use the same noise, which does not depend on the logits; ``gumbel_rao``, its
    method with a pullback and all other functions have other noise. PyTorch in, PyTorch out, and
    likewise for JAX: gradients flow to logits, temperature and prior. For NumPy there are the
    methods that return a pullback.

    References
    ----------
    Maddison, Mnih & Teh (2017), https://arxiv.org/abs/1611.00712; Jang, Gu & Poole (2017),
    https://arxiv.org/abs/1611.01144.

    Examples
    --------
    >>> from softargmax import RelaxedCategorical
    >>> relaxed = RelaxedCategorical([0.0, 1.0, 2.0], temperature=2.0)
    >>> relaxed.sample(2, rng=0).round(3)
    array([[0.32 , 0.308, 0.372],
           [0.137, 0.213, 0.65 ]])
    """

    _state: State  # logits and prior, at the relaxation's temperature

    @overload
    def __init__(
        self: RelaxedCategorical[Numpy],
        logits: NumpyLike,
        temperature: NumpyLike,
        *,
        mask: NumpyLike | None = None,
        prior: NumpyLike | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: RelaxedCategorical[A],
        logits: Like[A],
        temperature: Like[A],
        *,
        mask: Like[A] | None = None,
        prior: Like[A] | None = None,
    ) -> None: ...
    @explained
    def __init__(
        self,
        logits: ArrayLike,
        temperature: ArrayLike,
        *,
        mask: ArrayLike | None = None,
        prior: ArrayLike | None = None,
    ) -> None:
        if temperature is None:
            raise TypeError("temperature must be real numbers, got None")
        state = plain_state(logits, temperature, prior, mask)
        if state is None:
            state = checked_state(logits, temperature, None, prior, mask, copy=True, advise=False)
        self.__dict__["_state"] = state
        _register(type(self))

    @classmethod
    def _of(cls, state: State) -> Self:
        made = cls.__new__(cls)
        made.__dict__["_state"] = state
        return made

    # ------------------------------------------------------------------ properties

    @property
    def logits(self) -> A_co:
        """The logits as given, shape (..., K)."""
        return self._state.logits

    @property
    def temperature(self) -> A_co:
        """The relaxation's temperature τ as given."""
        return scalar(self._state.temperature.value, self._state.xp)

    @property
    def prior(self) -> A_co | None:
        """The prior weights as given, 0 where masked, or None."""
        return self._state.prior

    @property
    def num_categories(self) -> int:
        """K, the length of the last axis of the logits."""
        return self._state.num_categories

    @property
    def batch_shape(self) -> Shape:
        """The broadcast of the batch axes of logits, temperature, mask and prior."""
        return self._state.batch_shape

    @property
    def dtype(self) -> Any:
        """The dtype of results: float32 or float64."""
        return self._state.dtype

    @property
    def categorical(self) -> Categorical[A_co]:
        """The categorical distribution p whose draws are relaxed, at temperature 1.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 0.0], 0.5).categorical.probs
        array([0.5, 0.5])
        """
        return of_state(tempered(self._state, 1.0, None))

    @explained
    def tempered(self, temperature: ArrayLike) -> Self:
        """This distribution at another relaxation temperature; logits and prior are unchanged.

        Parameters
        ----------
        temperature : float or array
            τ, in [0, inf]; broadcasts against the batch axes.

        Returns
        -------
        RelaxedCategorical

        Raises
        ------
        ValueError, TypeError
            For a τ outside its range, of another type or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 1.0], 0.5).tempered(0.1).temperature
        np.float64(0.1)
        """
        return self._of(tempered(self._state, temperature, None, advise=False))

    def __repr__(self) -> str:
        return display.text(self._state, type(self).__name__, tempered(self._state, 1.0, None))

    def _repr_html_(self) -> str | None:
        return display.table(self._state, type(self).__name__, tempered(self._state, 1.0, None))

    def __getitem__(self, index: Any) -> Self:
        """Index the batch as a NumPy array of shape batch_shape; the categories stay."""
        return self._of(indexed(self._state, index))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), pytree.parts_of(self._state))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._of(pytree.copy_of(self._state))

    # ------------------------------------------------------------------ draws

    @explained
    def sample(self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None) -> A_co:
        """Relaxed draws: points y of the simplex, which sum to 1 and are 0 off the support.

        Parameters
        ----------
        shape : int or tuple of ints
            Draws for each row.
        rng
            As for :meth:`Categorical.sample`, except Keyed.

        Returns
        -------
        array, shape + batch_shape + (K,)

        Raises
        ------
        ValueError, TypeError
            For an invalid shape or rng.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 1.0, 2.0], temperature=0).sample(rng=0)
        array([0., 0., 1.])
        """
        return softargmax(self._perturbed(shape, rng), self.temperature)

    @explained
    def log_sample(self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None) -> A_co:
        """The logarithms of the draws of :meth:`sample`, finite on the support at any τ > 0.

        (JAX flushes a subnormal τ to 0.) Parameters, shape and errors are those of :meth:`sample`.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 1.0], 0.001).log_sample(rng=0).round(3)
        array([ -0.   , -77.697])
        """
        perturbed = self._perturbed(shape, rng)
        xp = self._state.xp
        log_y = log_softargmax(perturbed, self.temperature)
        floor = -float(xp.finfo(log_y.dtype).max)
        warm = self._tau(widest_float(xp)) > 0
        lost = (log_y < floor) & (perturbed > -math.inf) & warm
        return xp.where(lost, xp.full_like(log_y, floor), log_y)

    def straight_through(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None, gradient: Gradient = "relaxed"
    ) -> A_co:
        """One-hot draws with the gradient of the relaxed draws, or of p (PyTorch, JAX).

        The 1 is at the arg max of what :meth:`sample` draws. For NumPy see
        :meth:`straight_through_with_pullback`.

        Parameters
        ----------
        shape, rng
            As for :meth:`sample`, which documents the errors too.
        gradient : {"relaxed", "probs"}
            "relaxed" is the gradient of the relaxed draw y of the same noise, at τ. "probs" is that
            of the probabilities p themselves, whatever τ is: the draw is x + p - p, the last p held
            fixed.

        Returns
        -------
        array, shape + batch_shape + (K,)

        References
        ----------
        "probs": Bengio, Léonard & Courville (2013), https://arxiv.org/abs/1308.3432; "relaxed":
        Jang, Gu & Poole (2017), https://arxiv.org/abs/1611.01144.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 1.0, 2.0], 0.5).straight_through(rng=0)
        array([0., 0., 1.])
        """
        checks.one_of(gradient, "gradient", _GRADIENTS)
        perturbed = self._perturbed(shape, rng)
        xp = self._state.xp
        hard = _density.one_hot(detached(perturbed, xp), xp)
        if xp is np:
            return hard
        return _density.with_gradient(hard, self._soft(perturbed, gradient)[0], xp)

    # ------------------------------------------------------------------ density

    def log_prob(self, y: ArrayLike) -> A_co:
        r"""The log-density of a point y of the simplex, in nats.

        .. math:: \log \Gamma(n) + (n - 1) \log \tau + \sum_i (\log p_i - (\tau + 1) \log y_i)
                  - n \log \sum_i p_i y_i^{-\tau},

        where n is the size of the support, over which the sums run. The density is with respect to
        the first n - 1 coordinates.

        Parameters
        ----------
        y : array, shape (..., K)
            Non-negative, with sum 1; the other axes broadcast against the batch.

        Returns
        -------
        array, the broadcast of y.shape[:-1] and batch_shape
            -inf where y is positive off the support. Where y is 0 on the support, the limit as all
            such coordinates vanish at the same rate: inf or -inf.

        Raises
        ------
        ValueError, TypeError
            At τ = 0 or inf, where there is no density, or for a y off the simplex: negative, or
            with a sum that is off by more than 0.001 (0.02 in half precision). For hidden
            values, as under jit, the result is NaN instead.

        References
        ----------
        Maddison, Mnih & Teh (2017), https://arxiv.org/abs/1611.00712, equation 10.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> relaxed = RelaxedCategorical([0.0, 0.0], 1.0)  # uniform on the segment
        >>> relaxed.log_prob([[0.5, 0.5], [0.1, 0.9]]).round(12) + 0.0
        array([0., 0.])
        """
        point, tolerance = self._point(y, "y")
        xp = self._state.xp
        outside = xp.any(~((point >= 0) & (point < math.inf)), axis=-1)
        if checks.any_of(outside):
            raise ValueError(
                f"y must be non-negative and finite, got another number{checks.in_row(outside)}"
            )
        positive = point > 0
        log_y = xp.log(xp.where(positive, point, xp.ones_like(point)))
        log_y = xp.where(positive, log_y, -math.inf)
        return self._density(log_y, xp.sum(point, axis=-1), tolerance, "y", outside)

    def log_prob_of_log(self, log_y: ArrayLike) -> A_co:
        """The log-density of y from log y, for low temperatures, where y itself rounds to one-hot.

        It equals :meth:`log_prob` of y, and is not the density of log y: there is no Jacobian term.

        Parameters
        ----------
        log_y : array, shape (..., K)
            Logarithms, as :meth:`log_sample` draws them; -inf off the support.

        Returns
        -------
        array, as for :meth:`log_prob`

        Raises
        ------
        ValueError, TypeError
            As for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> relaxed = RelaxedCategorical([0.0, 1.0, 2.0], 0.01)
        >>> float(relaxed.log_prob_of_log(relaxed.log_sample(rng=0)).round(3))
        56.002
        """
        point, tolerance = self._point(log_y, "log_y")
        xp = self._state.xp
        outside = xp.any(~(point <= tolerance), axis=-1)
        if checks.any_of(outside):
            raise ValueError(
                "log_y must be logarithms of numbers in [0, 1], "
                f"got another number{checks.in_row(outside)}"
            )
        return self._density(point, _density.total_of(point), tolerance, "exp(log_y)", outside)

    def _density(
        self, log_y: Array, total: Array, tolerance: float, name: str, outside: Array
    ) -> Any:
        xp, base = self._state.xp, tempered(self._state, 1.0, None)
        off = xp.abs(total - 1) > tolerance
        if checks.any_of(off):
            got = checks.first_of(total, off)
            raise ValueError(f"{name} must have sum 1, got {got:g}{checks.in_row(off)}")
        wide = widest_float(xp)  # a narrower dtype may not hold τ
        tau = self._tau(wide)
        tepid = ~((tau > 0) & (tau < math.inf))[..., 0]
        if checks.any_of(tepid):
            raise ValueError(
                f"temperature must be in (0, inf) for a density, got 0 or inf{checks.in_row(tepid)}"
            )
        log_p = xp.astype(log_probs(base), wide)
        found = _density.log_density(xp.astype(log_y, wide), log_p, base.support, tau)
        # Hidden values raise nothing: bad rows give NaN.
        parts = aligned(xp, outside, off, tepid, xp.any(xp.isnan(log_p), axis=-1))
        bad = parts[0] | parts[1] | parts[2] | parts[3]
        return unwrap(xp.astype(xp.where(bad, math.nan, found), self.dtype))

    # ------------------------------------------------------------------ gradients for NumPy users

    def sample_with_pullback(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> tuple[A_co, Pullback]:
        r"""Draws of :meth:`sample`, and their vector-Jacobian product with respect to the logits.

        .. math:: \frac{\partial}{\partial z} \langle c, y \rangle
                  = \frac{1}{\tau}\, y \odot (c - \langle c, y \rangle)

        Parameters
        ----------
        shape, rng
            As for :meth:`sample`.

        Returns
        -------
        y : array, shape + batch_shape + (K,)
        pullback : callable
            Maps a cotangent with the shape of y to the gradient with respect to the logits, in
            their shape: summed over the draws and over batch axes that the logits lack. 0 at τ = 0
            and τ = inf, and off the support.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> relaxed = RelaxedCategorical([0.0, 1.0, 2.0], 1.0)
        >>> y, pullback = relaxed.sample_with_pullback(rng=0)
        >>> pullback([0.0, 0.0, 1.0]).round(4)
        array([-0.1259, -0.1165,  0.2424])
        """
        self._check_numpy("sample_with_pullback", "sample")
        y: Any = self.sample(shape, rng=rng)
        soft = y[None].copy()  # the caller may change y
        return y, lambda cotangent: self._pull(cotangent, soft, y.shape, self._state.coldness)

    def straight_through_with_pullback(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None, gradient: Gradient = "relaxed"
    ) -> tuple[A_co, Pullback]:
        """One-hot draws, and the vector-Jacobian product of the relaxed draws, or of p.

        Like :meth:`sample_with_pullback`, but for the draws of :meth:`straight_through`. With
        ``gradient="probs"`` the product is p ⊙ (c - ⟨c, p⟩) at every τ.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> relaxed = RelaxedCategorical([0.0, 1.0, 2.0], 1.0)
        >>> x, pullback = relaxed.straight_through_with_pullback(rng=0)
        >>> x, pullback([0.0, 0.0, 1.0]).round(4)
        (array([0., 0., 1.]), array([-0.1259, -0.1165,  0.2424]))
        >>> x, pullback = relaxed.straight_through_with_pullback(rng=0, gradient="probs")
        >>> pullback([0.0, 0.0, 1.0]).round(4)
        array([-0.0599, -0.1628,  0.2227])
        """
        self._check_numpy("straight_through_with_pullback", "straight_through")
        perturbed = self._perturbed(shape, rng)
        x = _density.one_hot(perturbed, np)
        soft, coldness = self._soft(perturbed, gradient)
        soft = np.broadcast_to(soft, x.shape)[None]
        return x, lambda cotangent: self._pull(cotangent, soft, x.shape, coldness)

    def gumbel_rao(self, k: int, shape: int | tuple[int, ...] = (), *, rng: Rngs = None) -> A_co:
        """One-hot draws with the Gumbel-Rao gradient, averaged over k samples (PyTorch, JAX).

        A straight-through estimator of lower variance: the relaxed Jacobian is averaged over k
        samples of the noise given the draw. For NumPy see :meth:`gumbel_rao_with_pullback`.

        Parameters
        ----------
        k : int
            At least 1; 1 has the variance of the straight-through estimator.
        shape, rng
            As for :meth:`sample`.

        Returns
        -------
        array, shape + batch_shape + (K,)

        References
        ----------
        Paulus, Maddison & Krause (2021), https://arxiv.org/abs/2010.04838.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 1.0, 2.0], 0.5).gumbel_rao(10, rng=0)
        array([1., 0., 0.])
        """
        hard, soft = self._rao(k, shape, rng)
        xp = self._state.xp
        if xp is np:
            return hard
        return _density.with_gradient(hard, xp.mean(soft, axis=0), xp)

    def gumbel_rao_with_pullback(
        self, k: int, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> tuple[A_co, Pullback]:
        """One-hot draws, and the vector-Jacobian product averaged over k noise samples.

        Like :meth:`sample_with_pullback`, but for the draws of :meth:`gumbel_rao`.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> relaxed = RelaxedCategorical([0.0, 1.0, 2.0], 1.0)
        >>> x, pullback = relaxed.gumbel_rao_with_pullback(1000, rng=0)
        >>> x, pullback([0.0, 0.0, 1.0]).round(2)
        (array([1., 0., 0.]), array([-0.12, -0.03,  0.15]))
        """
        self._check_numpy("gumbel_rao_with_pullback", "gumbel_rao")
        hard, soft = self._rao(k, shape, rng)
        return hard, lambda cotangent: self._pull(cotangent, soft, hard.shape, self._state.coldness)

    # ------------------------------------------------------------------ shared

    def _perturbed(self, shape: int | tuple[int, ...], rng: Rngs) -> Array:
        """log p + noise, shape + batch_shape + (K,); -inf off the support."""
        size, xp = checks.sample_shape(shape), self._state.xp
        source = sampling.source(self._state, rng, Tag.RELAXED)
        noise = source.gumbels(size, (self.num_categories,))
        noise = xp.astype(noise, self.dtype)
        log_p, noise = aligned(xp, self.categorical.log_probs, noise)
        return cast("Array", log_p + noise)

    def _soft(self, perturbed: Array, gradient: str) -> tuple[Any, Any]:
        """What a one-hot draw takes its gradient from, and the coldness of its logits."""
        if checks.one_of(gradient, "gradient", _GRADIENTS) == "probs":
            return self.categorical.probs, 1.0
        return softargmax(perturbed, self.temperature), self._state.coldness

    def _rao(self, k: int, shape: int | tuple[int, ...], rng: Rngs) -> tuple[Any, Any]:
        """One-hot draws, and k relaxed draws conditioned on each, along a new first axis."""
        k = checks.count(k, "k", 1, 2**31 - 1)
        size, xp = checks.sample_shape(shape), self._state.xp
        base = spread(tempered(self._state, 1.0, None), self.batch_shape)
        first, second = sampling.source(base, rng).streams(Tag.GUMBEL_RAO, 2)
        x = sampling.sample_from(base, size, first)
        log_p = log_probs(base)
        chosen = xp.asarray(x)[..., None]
        chosen = index_along(chosen, xp, self.num_categories) == chosen
        hard = xp.astype(chosen, self.dtype)
        wanted = xp.broadcast_to(xp.asarray(x), (k, *size, *self.batch_shape))
        noise = detached(conditional_gumbels(base, wanted, second), xp)
        log_p, noise = aligned(xp, log_p, xp.astype(noise, self.dtype))
        soft = softargmax(log_p + noise, self.temperature)
        return hard, soft

    def _pull(self, cotangent: ArrayLike, soft: Any, shape: Shape, coldness: Any) -> Any:
        """The pullback of relaxed draws, averaged over their first axis."""
        c = np.asarray(checks.real_array(cotangent, "cotangent", np, self.logits), soft.dtype)
        if c.shape != shape:
            raise ValueError(f"cotangent must have the shape of the draws, {shape}, got {c.shape}")
        slope = _density.pulled_back(c, soft, np.asarray(coldness)[..., None])
        return _density.summed_to(slope, self.logits.shape).astype(self.dtype)

    def _check_numpy(self, name: str, other: str) -> None:
        if self._state.xp is not np:
            raise TypeError(
                f"{name} is for NumPy arrays; in PyTorch and JAX gradients flow through {other}"
            )

    def _tau(self, dtype: Any) -> Array:
        """τ in a dtype, with a last axis of length 1 for the categories."""
        state = self._state
        tau = to_namespace(self.temperature, state.xp, state.z, dtype)
        return state.xp.reshape(tau, (*tau.shape, 1))

    def _point(self, x: ArrayLike, name: str) -> tuple[Array, float]:
        """The checked array, categories on its last axis, and how far its sum may be from 1."""
        state = self._state
        array = checks.real_array(x, name, state.xp, state.z)
        checks.check_width(tuple(array.shape), self.num_categories, name)
        checks.check_fits(tuple(array.shape[:-1]), self.batch_shape, name)
        half = getattr(array.dtype, "itemsize", 8) == 2
        return checks.cast(array, state.xp), 2e-2 if half else 1e-3


_GRADIENTS = ("relaxed", "probs")


def _rebuilt(cls: type[RelaxedCategorical], parts: tuple[Any, ...]) -> RelaxedCategorical:
    """Unpickle."""
    return cls._of(pytree.state_of_parts(*parts))


def _register(cls: type[RelaxedCategorical]) -> None:
    """Register the class as a JAX pytree, if JAX is loaded."""
    register_pytree(
        cls,
        lambda relaxed: pytree.leaves(relaxed._state),
        lambda name, parts: cls._of(pytree.state_of_leaves(name, parts)),
    )


_register(RelaxedCategorical)  # now if JAX is loaded, else with the first object made after that
