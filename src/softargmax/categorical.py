"""The categorical distribution from logits and a temperature: the face of the library.

Every public member of :class:`Categorical` is here, with its documentation; what it computes is a
function of its state, in ``_core``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, overload

import numpy as np

from softargmax._arrays.checks import check_instance
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import ArrayLike, Shape, register_pytree, scalar
from softargmax._arrays.types import A, A_co, Like, Numpy, NumpyLike
from softargmax._core import calculus, display, information, pytree, sampling, subsets, variants
from softargmax._core.batch import Batch
from softargmax._core.inputs import checked_state, energy_state, plain_state, weights_state
from softargmax._core.multinomial import entropy_counts, log_prob_counts
from softargmax._core.state import State
from softargmax._core.tails import log_cdf, log_sf, sf
from softargmax._random.sources import Rngs

if TYPE_CHECKING:
    from softargmax.relaxed import RelaxedCategorical

__all__ = ["Categorical"]

Method: TypeAlias = Literal["auto", "inverse", "gumbel", "alias"]


def __dir__() -> list[str]:
    return __all__


class Categorical(Batch, Generic[A_co]):
    r"""A categorical distribution (a batch of them) from logits and a temperature.

    .. math:: p_i \propto \pi_{0,i}\, e^{\beta z_i}, \qquad \beta = 1 / T

    on the support: the categories with a logit above -inf and a prior above 0.

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores z, the K categories on the last axis. Results have the dtype of float32 and
        float64 logits; float16 and bfloat16 give float32, integers and booleans float64.
    temperature : float or array, optional
        T in [0, inf], 1 by default. It broadcasts against the batch axes alone, so one row of
        logits and a 1-d temperature make a whole ladder.
    coldness : float or array, optional
        β = 1/T instead, any real number or ±inf; a negative one prefers small logits.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The categories that are possible: it multiplies the prior.
    prior : array, shape (..., K), optional
        Non-negative weights π₀: degeneracies, a reference policy. Default 1.
    labels : sequence of K str, optional
        Names of the categories, for reprs, tables and plots; see :meth:`labelled`.

    Raises
    ------
    ValueError
        For NaN or +inf logits or a row without support (naming the row), a negative or NaN
        temperature, a prior that is negative, NaN or infinite, a mask of other numbers than 0 and
        1, a number of labels other than K, shapes that do not fit.
    TypeError
        For both temperature and coldness, or for arguments that are not real numbers.

    Notes
    -----
    Every temperature is served by one formula, without special modes. At T = 0 (β = +inf) it is arg
    max, ties shared in proportion to the prior; at T = inf (β = 0) the prior on the support; at
    β = -inf arg min. Nothing is clamped and no epsilon is added.

    ``dist[i]`` indexes the batch as NumPy would an array of shape batch_shape; ``len`` and
    iteration follow its first axis. Objects are immutable, safe to share between threads, and
    picklable. Their arrays are computed once, on first use, and read-only.

    References
    ----------
    It is Boltzmann's distribution of states with energies -z: Landau & Lifshitz, *Statistical
    Physics* (1980), §28.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> Categorical([1.0, 5.0, 5.0], temperature=0).probs
    array([0. , 0.5, 0.5])
    >>> ladder = Categorical([0.0, 10.0], temperature=[0, 1, 100, float("inf")])
    >>> ladder
    Categorical(batch_shape=(4,), num_categories=2, dtype=float64,
                temperature=[ 0., 1., 100., inf],
                probs=[{1: 1}, {1: 1, 0: 4.54e-05}, {1: 0.525, 0: 0.475}, …])
    >>> ladder.probs.round(4)
    array([[0.   , 1.   ],
           [0.   , 1.   ],
           [0.475, 0.525],
           [0.5  , 0.5  ]])
    """

    _state: State

    @overload
    def __init__(
        self: Categorical[Numpy],
        logits: NumpyLike,
        temperature: NumpyLike | None = None,
        *,
        coldness: NumpyLike | None = None,
        mask: NumpyLike | None = None,
        prior: NumpyLike | None = None,
        labels: Sequence[object] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Categorical[A],
        logits: Like[A],
        temperature: Like[A] | None = None,
        *,
        coldness: Like[A] | None = None,
        mask: Like[A] | None = None,
        prior: Like[A] | None = None,
        labels: Sequence[object] | None = None,
    ) -> None: ...
    @explained
    def __init__(
        self,
        logits: ArrayLike,
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        prior: ArrayLike | None = None,
        labels: Sequence[object] | None = None,
    ) -> None:
        state = plain_state(logits, temperature, prior, mask) if coldness is None else None
        if state is None:
            state = checked_state(logits, temperature, coldness, prior, mask, copy=True)
        if labels is not None:
            state = variants.labelled(state, labels)
        self.__dict__["_state"] = state
        if state.xp is not np:
            _register(type(self))

    @overload
    @classmethod
    def from_weights(
        cls,
        weights: NumpyLike,
        temperature: NumpyLike | None = None,
        *,
        coldness: NumpyLike | None = None,
        mask: NumpyLike | None = None,
        normalized: bool = False,
        labels: Sequence[object] | None = None,
    ) -> Categorical[Numpy]: ...
    @overload
    @classmethod
    def from_weights(
        cls,
        weights: Like[A],
        temperature: Like[A] | None = None,
        *,
        coldness: Like[A] | None = None,
        mask: Like[A] | None = None,
        normalized: bool = False,
        labels: Sequence[object] | None = None,
    ) -> Categorical[A]: ...
    @classmethod
    @explained
    def from_weights(
        cls,
        weights: ArrayLike,
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        normalized: bool = False,
        labels: Sequence[object] | None = None,
    ) -> Categorical:
        r"""The distribution :math:`p \propto w^{\beta}` of weights that need not sum to 1.

        Its logits are log(w / max w).

        Parameters
        ----------
        weights : array, shape (..., K)
            Non-negative and finite; a weight of 0 is outside the support at every temperature.
        temperature, coldness, mask, labels
            As for the class.
        normalized : bool
            Whether to check that every row sums to 1 (before the mask), up to (K + 4) units of
            rounding of its dtype.

        Raises
        ------
        ValueError
            For a negative, NaN or infinite weight, a row without a positive one, or with another
            sum than 1 where ``normalized`` (the message names the row and the sum), a bad mask.
        TypeError
            For weights that are not real numbers.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 3, 0]).probs
        array([0.25, 0.75, 0.  ])
        """
        state = weights_state(weights, temperature, coldness, mask, normalized=normalized)
        return cls._of(variants.labelled(state, labels))

    @overload
    @classmethod
    def from_energies(
        cls,
        energies: NumpyLike,
        temperature: NumpyLike | None = None,
        *,
        coldness: NumpyLike | None = None,
        mask: NumpyLike | None = None,
        degeneracies: NumpyLike | None = None,
        labels: Sequence[object] | None = None,
    ) -> Categorical[Numpy]: ...
    @overload
    @classmethod
    def from_energies(
        cls,
        energies: Like[A],
        temperature: Like[A] | None = None,
        *,
        coldness: Like[A] | None = None,
        mask: Like[A] | None = None,
        degeneracies: Like[A] | None = None,
        labels: Sequence[object] | None = None,
    ) -> Categorical[A]: ...
    @classmethod
    @explained
    def from_energies(
        cls,
        energies: ArrayLike,
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        degeneracies: ArrayLike | None = None,
        labels: Sequence[object] | None = None,
    ) -> Categorical:
        r"""Boltzmann's distribution :math:`p \propto g\, e^{-\beta E}`; logits are -E.

        Parameters
        ----------
        energies : array, shape (..., K)
            In the units of the temperature (k_B = 1); +inf forbids a state at every temperature.
        temperature, coldness, mask, labels
            As for the class.
        degeneracies : array, shape (..., K), optional
            Non-negative weights g of the levels, the prior. Default 1.

        Raises
        ------
        ValueError
            For energies of NaN or -inf, a row without a possible state, or bad degeneracies.
        TypeError
            For energies or degeneracies that are not real numbers.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_energies([0.0, 1.0], degeneracies=[1, 2]).probs.round(4)
        array([0.5761, 0.4239])
        """
        state = energy_state(energies, temperature, coldness, degeneracies, mask)
        return cls._of(variants.labelled(state, labels))

    @classmethod
    def _of(cls, state: State) -> Self:
        """An object of a state that nobody else can change."""
        made = cls.__new__(cls)
        made.__dict__["_state"] = state
        if state.xp is not np:
            _register(cls)
        return made

    # ------------------------------------------------------------------ what it is

    @property
    def logits(self) -> A_co:
        """The logits as given (as made, by the other constructors), shape (..., K)."""
        return self._state.logits

    @property
    def temperature(self) -> A_co:
        """The temperature as given, in float64; 1/β where coldness was given."""
        return information.temperature(self._state)

    @property
    def coldness(self) -> A_co:
        """The coldness β as given, in float64; 1/T where temperature was given."""
        return scalar(self._state.coldness, self._state.xp)

    @property
    def prior(self) -> A_co | None:
        """The prior weights π₀ as given, times the masks, shape (..., K); None without any."""
        return self._state.prior

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the K categories; None without any. See :meth:`labelled`."""
        return self._state.labels

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

    def __repr__(self) -> str:
        return display.text(self._state, type(self).__name__)

    def _repr_html_(self) -> str | None:
        return display.table(self._state, type(self).__name__)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), pytree.parts_of(self._state))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._of(pytree.copy_of(self._state))

    def __getitem__(self, index: Any) -> Self:
        """Index the batch as a NumPy array of shape batch_shape; the categories stay."""
        return self._of(variants.indexed(self._state, index))

    # ------------------------------------------------------------------ its relatives

    @explained
    def tempered(
        self, temperature: ArrayLike | None = None, *, coldness: ArrayLike | None = None
    ) -> Self:
        """This distribution at another temperature, which replaces the present one.

        Parameters
        ----------
        temperature, coldness : float or array
            One of the two, as for the constructor.

        Returns
        -------
        Categorical

        Raises
        ------
        TypeError
            For both or neither.
        ValueError
            For a temperature that is negative, NaN or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([1.0, 5.0, 5.0]).tempered(0).probs
        array([0. , 0.5, 0.5])
        """
        return self._of(variants.tempered(self._state, temperature, coldness))

    def masked(self, mask: ArrayLike) -> Self:
        """This distribution on fewer categories: the prior is multiplied by a mask.

        Parameters
        ----------
        mask : array of bool (or 0 and 1), shape (..., K)
            The categories that stay; broadcasts against the batch.

        Raises
        ------
        ValueError, TypeError
            For a shape that does not fit, a row without any category left, or an invalid mask.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 0.0]).masked([True, False, True]).probs
        array([0.5, 0. , 0.5])
        """
        return self._of(variants.masked(self._state, mask))

    @explained
    def labelled(self, labels: Sequence[object]) -> Self:
        """This distribution with names of its categories, for reprs, tables and plots.

        What is made of it keeps them: other temperatures, masks, rows, truncations and edits,
        relaxations, and mixtures whose labels agree; copies and pickles too. What passes through a
        transformation of JAX or ``torch.func`` as a pytree has none afterwards.

        Parameters
        ----------
        labels : sequence of K str
            One a category, of any objects, which become ``str``.

        Returns
        -------
        Categorical

        Raises
        ------
        ValueError, TypeError
            For another number of labels, or no sequence of them.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 3]).labelled(["tea", "coffee"])
        Categorical(batch_shape=(), num_categories=2, dtype=float64, temperature=1.0,
                    probs={'coffee': 0.75, 'tea': 0.25})
        """
        return self._of(variants.labelled(self._state, labels))

    @explained
    def relaxed(self, temperature: ArrayLike) -> RelaxedCategorical[A_co]:
        """Relaxed one-hot draws of this distribution: Gumbel-softmax at a relaxation temperature.

        Parameters
        ----------
        temperature : float or array
            τ in [0, inf], the relaxation's alone; broadcasts against the batch.

        Returns
        -------
        RelaxedCategorical
            Its logits are the log-probabilities of this distribution.

        Raises
        ------
        ValueError, TypeError
            For an invalid temperature.

        References
        ----------
        Maddison, Mnih & Teh (2017), https://arxiv.org/abs/1611.00712.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 2.0]).relaxed(0).sample(rng=0)
        array([0., 0., 1.])
        """
        from softargmax.relaxed import RelaxedCategorical  # which is built on this class

        tau: Any = temperature  # of whichever library
        made = RelaxedCategorical(self.log_probs, tau)
        made._state.named(self._state)
        return made

    # ------------------------------------------------------------------ probabilities

    @property
    def log_probs(self) -> A_co:
        """log p of every category in nats, batch_shape + (K,); -inf outside the support.

        Where p merely underflows, log p is still finite, as far as the dtype reaches.
        Relative accuracy holds next to 1 too: see :func:`softargmax.log_softargmax`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, -40.0]).log_probs.tolist()
        [-4.248354255291589e-18, -40.0]
        """
        return information.log_probs(self._state)

    @property
    def probs(self) -> A_co:
        """p of every category, shape batch_shape + (K,); k ties share exactly 1/k.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0, -1.0], temperature=0).probs
        array([0.5, 0.5, 0. ])
        """
        return information.probs(self._state)

    def log_prob(self, category: ArrayLike) -> A_co:
        """log p of given categories, in nats; -inf outside the support.

        Parameters
        ----------
        category : int or array of integers
            In 0 … K-1; broadcasts against batch_shape, so move the k axis of results of :meth:`top`
            and ``sample_without_replacement`` to the front: ``np.moveaxis(x, -1, 0)``.

        Returns
        -------
        array, the broadcast of category.shape and batch_shape

        Raises
        ------
        ValueError, TypeError
            For a category out of range, of another dtype, or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([0.0, -40.0]).log_prob(0))
        -4.248354255291589e-18
        """
        return information.log_prob(self._state, category)

    def prob(self, category: ArrayLike) -> A_co:
        """P of given categories; shapes and errors as for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([1.0, 5.0, 5.0], 0).prob(2))
        0.5
        """
        return information.prob(self._state, category)

    def log_prob_counts(self, counts: ArrayLike) -> A_co:
        r"""log P of multinomial counts, such as :meth:`sample_counts` draws, in nats.

        .. math:: \log n! - \sum_i \log c_i! + \sum_i c_i \log p_i, \qquad n = \sum_i c_i

        where a count of 0 contributes 0 whatever its p.

        Parameters
        ----------
        counts : array of integers, shape (..., K)
            0 or more; the other axes broadcast against the batch. Their sum n may differ by row.

        Returns
        -------
        array, the broadcast of counts.shape[:-1] and batch_shape
            -inf where a category outside the support is counted. For a row of negative counts
            whose values are hidden, as under jit, NaN.

        Raises
        ------
        ValueError, TypeError
            For negative counts, which the message names by row, another number of categories,
            another dtype, or a shape that does not fit.

        Notes
        -----
        log n! and the like, which would cancel, are never formed: the error is a few units in the
        last place of the result and of Σ \|c_i - n p_i\|, also for an n of 10¹⁸. It is computed in
        float64 where there is one. In PyTorch and JAX the gradient in the logits is β(c - n p).

        References
        ----------
        Loader, *Fast and accurate computation of binomial probabilities* (2000).

        Examples
        --------
        >>> from softargmax import Categorical
        >>> import math
        >>> dist = Categorical.from_weights([1, 3])
        >>> round(math.exp(dist.log_prob_counts([2, 1])), 6)  # 3 · (1/4)² · 3/4
        0.140625
        >>> round(float(dist.log_prob_counts([25 * 10**16, 75 * 10**16])), 6)
        -20.805216
        """
        return log_prob_counts(self._state, counts)

    def cdf(self, category: ArrayLike) -> A_co:
        """P(X ≤ category) in the order of the indices; shapes and errors as for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 0, 3]).cdf([0, 1, 2])
        array([0.25, 0.25, 1.  ])
        """
        return information.cdf(self._state, category)

    def log_cdf(self, category: ArrayLike) -> A_co:
        """log P(X ≤ category) in nats, accurate in both tails.

        The sum runs from the tail of the category, or from the other tail where it is close to 1,
        so that neither a tiny probability nor a tiny distance from 1 is lost; where the terms
        underflow the logarithm is still finite. -inf before the first category of the support.
        Shapes and errors as for :meth:`log_prob`. One call costs as much as K categories.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([-800.0, -40.0, 0.0]).log_cdf([0, 1, 2]).tolist()
        [-800.0, -40.0, 0.0]
        >>> float(Categorical([0.0, -40.0]).log_cdf(0))
        -4.248354255291589e-18
        """
        return log_cdf(self._state, category)

    def sf(self, category: ArrayLike) -> A_co:
        """The survival function P(X > category), summed from its own side; 0 at the last category.

        1 - cdf would have no digits below 1e-16. Shapes and errors as for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, -40.0]).sf([0, 1])
        array([4.24835426e-18, 0.00000000e+00])
        """
        return sf(self._state, category)

    def log_sf(self, category: ArrayLike) -> A_co:
        """log P(X > category) in nats, as accurate as :meth:`log_cdf`; -inf at the last category.

        Shapes and errors as for :meth:`log_prob`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, -40.0, -800.0]).log_sf([0, 1, 2]).tolist()
        [-40.0, -800.0, -inf]
        """
        return log_sf(self._state, category)

    def quantile(self, u: ArrayLike) -> A_co:
        """The smallest category x with cdf(x) > u; u = 1 gives the last category with p > 0.

        A draw is quantile(u) of a uniform u, and a category with p = 0 is never returned. The sums
        are float64, which a float32 distribution's :meth:`cdf` rounds.

        Parameters
        ----------
        u : float or array
            In [0, 1]; broadcasts against batch_shape.

        Returns
        -------
        integers, the broadcast of u.shape and batch_shape

        Raises
        ------
        ValueError
            For u outside [0, 1] or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([0, 1, 3, 0]).quantile([0.0, 0.25, 1.0])
        array([1, 2, 2])
        """
        return information.quantile(self._state, u)

    def mode(self) -> A_co:
        """The likeliest category, of tied ones the lowest index; shape batch_shape.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> int(Categorical([1.0, 5.0, 5.0]).mode())
        1
        """
        return information.mode(self._state)

    @explained
    def top(self, k: int) -> tuple[A_co, A_co]:
        """The k likeliest categories in falling order, and their log-probabilities.

        Ties go by lowest index; where fewer than k are in the support the log-probabilities (in
        nats) end in -inf.

        Parameters
        ----------
        k : int
            In 0 … K.

        Returns
        -------
        indices : integers, shape batch_shape + (k,)
        log_probs : array, shape batch_shape + (k,)

        Raises
        ------
        ValueError, TypeError
            For an invalid k.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> indices, log_probs = Categorical([0.0, 2.0, 1.0]).top(2)
        >>> indices, log_probs.round(4)
        (array([1, 2]), array([-0.4076, -1.4076]))
        """
        return information.top(self._state, k)

    # ------------------------------------------------------------------ information, in nats

    def entropy(self) -> A_co:
        """Shannon's entropy H = -Σ p log p in nats, shape batch_shape.

        H = log1p(s) - Σ p·d, with d the logits centred on the likeliest one and scaled, keeps its
        digits where p is next to 1. Without a prior it lies in [log k, log K], k being the number
        of tied maximisers (minimisers for β < 0).

        References
        ----------
        Shannon (1948), https://doi.org/10.1002/j.1538-7305.1948.tb01338.x.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([0.0, -40.0]).entropy())
        1.7418252446695514e-16
        """
        return information.entropy(self._state)

    def perplexity(self) -> A_co:
        """exp(H), the effective number of categories, shape batch_shape.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical([3.0, 3.0, -float("inf")]).perplexity())
        2.0
        """
        return information.perplexity(self._state)

    def entropy_counts(self, n: int) -> A_co:
        r"""The entropy of the multinomial counts of n draws, in nats, shape batch_shape.

        .. math:: H_n = -\log n! - n \sum_i p_i \log p_i + \sum_i \sum_{x=0}^{n}
                  \binom{n}{x} p_i^x (1 - p_i)^{n - x} \log x!

        At n = 1 it is the entropy of one draw, and it grows as
        :math:`\tfrac12 \log((2 \pi e n)^{K - 1} \prod p_i)`.

        Parameters
        ----------
        n : int
            In 0 … 2⁶² draws of every row; 0 has entropy 0.

        Raises
        ------
        ValueError, TypeError
            For an n outside its range or not an integer.

        Notes
        -----
        The sum is over differences from Stirling's formula, none of which cancel: the relative
        error is about 1e-13 for any n, also close to H = 0. A category costs at most 173 terms,
        whatever n is, since a mean count of 64 and above is integrated as a smooth variable; NumPy
        holds some of these at a time, other libraries 173·K.

        References
        ----------
        Stirling's differences: Loader, *Fast and accurate computation of binomial probabilities*
        (2000). The trapezium rule: Trefethen & Weideman (2014), https://doi.org/10.1137/130932132.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> dist = Categorical.from_weights([1, 1])
        >>> [round(float(dist.entropy_counts(n)), 4) for n in (0, 1, 2, 10**18)]
        [0.0, 0.6931, 1.0397, 21.4491]
        """
        return entropy_counts(self._state, n)

    def cross_entropy(self, other: Categorical) -> A_co:
        """The cross-entropy -Σ p log q in nats, p of this distribution and q of the other.

        +inf where the other gives probability 0 to what this one can draw.

        Parameters
        ----------
        other : Categorical
            Over the same number of categories, with a batch that broadcasts.

        Returns
        -------
        array, the broadcast of the two batch shapes, in the wider of the two dtypes

        Raises
        ------
        TypeError, ValueError
            For another type, another number of categories, or a batch that does not fit.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> p, q = Categorical([0.0, 0.0]), Categorical([0.0, 1.0])
        >>> round(float(p.cross_entropy(q)), 4)
        0.8133
        """
        return information.cross_entropy(self._state, state_of(other, "other"))

    def kl_divergence(self, other: Categorical) -> A_co:
        """The divergence KL(self ‖ other) = Σ p log(p/q) in nats: never negative, 0 with itself.

        Parameters, shape, errors and limits as for :meth:`cross_entropy`.

        References
        ----------
        Kullback & Leibler (1951), https://doi.org/10.1214/aoms/1177729694.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> p, q = Categorical([0.0, 0.0]), Categorical([0.0, 1.0])
        >>> round(float(p.kl_divergence(q)), 4)
        0.1201
        """
        return information.kl_divergence(self._state, state_of(other, "other"))

    # ------------------------------------------------------------------ moments and derivatives

    def expectation(self, values: ArrayLike) -> A_co:
        """The mean Σ p·v, where terms with p = 0 contribute 0 whatever their value.

        Parameters
        ----------
        values : array, shape (..., K)
            One real number per category; broadcasts against the batch.

        Returns
        -------
        array, the broadcast of values.shape[:-1] and batch_shape
            In the distribution's dtype; the sum is formed in the wider of the two dtypes.

        Raises
        ------
        ValueError, TypeError
            For values of another shape or that are not real numbers.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical.from_weights([1, 3, 0]).expectation([0.0, 4.0, float("inf")]))
        3.0
        """
        return calculus.expectation(self._state, values)

    def variance(self, values: ArrayLike) -> A_co:
        """The variance Σ p·(v - Σ p·v)², in which terms with p = 0 count 0.

        It is computed relative to the likeliest value, and so stays accurate where p is close to 1.
        Parameters, shapes and errors are those of :meth:`expectation`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical.from_weights([1, 3]).variance([0.0, 4.0]))
        3.0
        """
        return calculus.variance(self._state, values)

    def score(self, category: ArrayLike) -> A_co:
        """The score ∂ log p(x)/∂z = β(e_x - p), the gradient that REINFORCE needs.

        z is what the user gave: the logits, log-weights or -E of this class, and the values of a
        policy of :mod:`softargmax.policies`, whatever it computes from them (with Dirichlet noise,
        the z of the policy that the noise was added to; the noise and a reference are constants).
        Of a mixture r(x)·β(e_x - q) then, q being the part that depends on z and r(x) its share of
        p(x).

        0 where β = ±inf in the distribution's dtype, for an x outside the support, and at masked
        categories. It keeps its digits where p(x) is next to 1.

        Parameters
        ----------
        category : int or array of integers
            The x; broadcasts against batch_shape.

        Returns
        -------
        array, the broadcast of category.shape and batch_shape, + (K,)

        Raises
        ------
        ValueError, TypeError
            As :meth:`log_prob`, and a ValueError where the link to what the user gave is lost: for
            what :mod:`softargmax.mixtures` made, for a stage's new log-probabilities, and for what
            ``tempered``, ``masked`` or a stage made of these or of a policy that is not a Boltzmann
            distribution.

        References
        ----------
        Williams (1992), https://doi.org/10.1007/BF00992696.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0], temperature=0.5).score(1)
        array([-1.,  1.])
        """
        return calculus.score(self._state, category)

    def entropy_gradient(self) -> A_co:
        """The gradient of the entropy, ∂H/∂z = -β p (log p + H), shape batch_shape + (K,).

        In nats per unit of z, which is as for :meth:`score`, errors included; 0 at β = ±inf and at
        masked categories.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0, 1.0]).entropy_gradient().round(4)
        array([ 0.1221,  0.1221, -0.2442])
        """
        return calculus.entropy_gradient(self._state)

    def fisher_information(self) -> A_co:
        """The Fisher information of z, β²(diag p - p pᵀ), shape batch_shape + (K, K).

        Also the Hessian of KL in z at p = q; z and errors are as for :meth:`score`. 0 at β = ±inf
        and at masked categories; where β² overflows, entries between ties are ±inf.

        References
        ----------
        Amari (1998), https://doi.org/10.1162/089976698300017746.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0]).fisher_information()
        array([[ 0.25, -0.25],
               [-0.25,  0.25]])
        """
        return calculus.fisher_information(self._state)

    # ------------------------------------------------------------------ draws

    @explained
    def sample(
        self,
        shape: int | tuple[int, ...] = (),
        *,
        rng: Rngs = None,
        method: Method = "auto",
        workers: int | None = None,
    ) -> A_co:
        """Independent draws; no category of probability 0 is ever among them.

        Parameters
        ----------
        shape : int or tuple of ints
            Draws of every row.
        rng : None, int, SeedSequence, BitGenerator, Generator or Keyed
            Source of randomness; None takes fresh entropy. A torch.Generator for PyTorch; a key,
            required, for JAX; or a sequence of them (not Keyed), one per row of a 1-d batch: each
            row's draws then depend on its own rng and its own logits alone. With
            :class:`softargmax.draws.Keyed`, draw number i depends on the seed and i alone.
        method : {"auto", "inverse", "gumbel", "alias"}
            "inverse" inverts the cumulative distribution with one uniform per draw, "alias" looks
            the uniform up in Walker's alias table, "gumbel" is Gumbel-max with K numbers per draw
            (as a race of exponential clocks, which is equivalent). "auto" is "alias" for at least
            1,024 and at least K/2 draws of every row, else "inverse"; so 1,023 draws are not the
            first of 1,024. Up to 16 draws of at least 1,024 categories are inverted by sums of
            blocks. With Keyed, "auto" is "inverse", of the whole distribution whatever the number
            of draws, and "gumbel" is not available.
        workers : int, optional
            Threads; None is 1. The draws do not depend on it.

        Returns
        -------
        integers (int64; JAX: its default integer), shape + batch_shape

        Raises
        ------
        ValueError, TypeError
            For an invalid shape, rng, method or number of workers.

        Notes
        -----
        The uniforms are multiples of 2⁻⁵³ and the sums float64, so that categories of probability
        1e-12 are drawn at their rate in float32 too. Equal rng, shape and method give equal draws.

        References
        ----------
        Walker (1977), https://doi.org/10.1145/355744.355749; Gumbel-max: Maddison, Tarlow & Minka
        (2014), https://arxiv.org/abs/1411.0030.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 2.0]).sample(8, rng=0)
        array([2, 1, 0, 0, 2, 2, 2, 2])
        """
        return sampling.sample(self._state, shape, rng, method, workers)

    @explained
    def sample_and_log_prob(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> tuple[A_co, A_co]:
        """Draw as :meth:`sample` does, and return the log-probabilities of the draws too.

        Parameters
        ----------
        shape, rng
            As for :meth:`sample`, which documents the errors too.

        Returns
        -------
        x : integers, shape + batch_shape
        log_p : array, the same shape

        Examples
        --------
        >>> from softargmax import Categorical
        >>> x, log_p = Categorical([0.0, 1.0, 2.0]).sample_and_log_prob(2, rng=0)
        >>> x, log_p.round(4)
        (array([2, 1]), array([-0.4076, -1.4076]))
        """
        return sampling.sample_and_log_prob(self._state, shape, rng)

    @explained
    def sample_counts(self, n: int, shape: int | tuple[int, ...] = (), *, rng: Rngs = None) -> A_co:
        """Multinomial counts of n draws, without making the draws.

        Parameters
        ----------
        n : int
            In 0 … 2⁶² draws of every row, at most 2³¹ - 1 in JAX without 64-bit mode; memory does
            not depend on it.
        shape : int or tuple of ints
            Independent repetitions, each of n draws of every row.
        rng
            As for :meth:`sample`, except Keyed.

        Returns
        -------
        integers, shape + batch_shape + (K,), with sum n on the last axis

        Raises
        ------
        ValueError, TypeError
            For n outside its range or not an integer, or an invalid shape or rng.

        Notes
        -----
        NumPy's multinomial, in pieces of 2⁵² draws beyond which its variances are wrong, and
        Poisson variables for categories rarer than 2⁻³⁶.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 0, 3]).sample_counts(10**18, rng=0)
        array([250000000551756859,                  0, 749999999448243141])
        >>> Categorical.from_weights([1, 0, 3]).sample_counts(100, 2, rng=1)
        array([[29,  0, 71],
               [32,  0, 68]])
        """
        return sampling.sample_counts(self._state, n, shape, rng)

    @explained
    def sample_without_replacement(
        self, k: int, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> A_co:
        """Draw k different categories in the order drawn, by Gumbel-top-k.

        Each next one is drawn from the remaining categories, in proportion to p. At T = 0 the order
        is that of the logits, ties in random order.

        Parameters
        ----------
        k : int
            From 0 to the number of categories in the support.
        shape, rng
            As for :meth:`sample`, except Keyed.

        Returns
        -------
        integers, shape + batch_shape + (k,)

        Raises
        ------
        ValueError, TypeError
            For k beyond a row's support, which the message names, or an invalid shape or rng.

        References
        ----------
        Kool, van Hoof & Welling (2019), https://arxiv.org/abs/1903.06059.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 2.0], temperature=0).sample_without_replacement(3)
        array([2, 1, 0])
        """
        return subsets.sample_without_replacement(self._state, k, shape, rng)

    def log_prob_ordered(self, indices: ArrayLike) -> A_co:
        r"""log P of drawing categories in this order without replacement (Plackett-Luce), in nats.

        .. math:: \sum_j \log \frac{p_{i_j}}{1 - \sum_{l < j} p_{i_l}}

        computed from tails summed backwards, so that nothing cancels, with its limits at T = 0.

        Parameters
        ----------
        indices : array of integers, shape (..., k)
            Distinct on the last axis; the other axes broadcast against the batch.

        Returns
        -------
        array, the broadcast of indices.shape[:-1] and batch_shape

        Raises
        ------
        ValueError, TypeError
            For a repeated index, one out of range, or a shape that does not fit.

        References
        ----------
        Plackett (1975), https://doi.org/10.2307/2346567.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> import math
        >>> dist = Categorical.from_weights([1, 2, 3])
        >>> round(math.exp(dist.log_prob_ordered([2, 1, 0])), 4)  # 3/6 · 2/3 · 1/1
        0.3333
        """
        return subsets.log_prob_ordered(self._state, indices)


def state_of(dist: Categorical, name: str = "dist") -> State:
    """The state of a distribution, which is checked to be one: for the library's own rooms."""
    check_instance(dist, Categorical, name)
    return dist._state


def of_state(state: State, kind: type[Categorical] = Categorical) -> Categorical:
    """The distribution of a state, of this class: for the library's own rooms."""
    return kind._of(state)


def _rebuilt(cls: type[Categorical], parts: tuple[Any, ...]) -> Categorical:
    """Unpickle."""
    return cls._of(pytree.state_of_parts(*parts))


def _register(cls: type[Categorical]) -> None:
    """Let JAX take objects of the class apart."""
    register_pytree(
        cls,
        lambda dist: pytree.leaves(dist._state),
        lambda name, parts: cls._of(pytree.state_of_leaves(name, parts)),
    )


_register(Categorical)  # now, or when the first array of JAX is at hand
