"""The categorical distribution from logits and a temperature."""

from typing import TYPE_CHECKING, Self

from softargmax._arrays.checks import checked_weights
from softargmax._arrays.namespaces import (
    ArrayLike,
    namespace_of,
    quiet,
    register_pytree,
    working_dtype,
)
from softargmax._inputs import checked_energies, inputs, log_weights
from softargmax._subsets import Subsets

if TYPE_CHECKING:
    from softargmax.relaxed import RelaxedCategorical

__all__ = ["Categorical"]


def __dir__() -> list[str]:
    return __all__


class Categorical(Subsets):
    r"""A categorical distribution (a batch of them) from logits and a temperature.

    .. math:: p_i \propto \pi_{0,i}\, e^{\beta z_i}, \qquad \beta = 1 / T

    on the support: the categories with a logit above -inf and a prior above 0.

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores z, the K categories on the last axis. float32 and float64 rule the dtype of
        results; float16 and bfloat16 answer in float32, integers and booleans in float64.
    temperature : float or array, optional
        T in [0, inf], 1 by default. It broadcasts against the batch axes alone, so one row of
        logits and a 1-d temperature make a whole ladder.
    coldness : float or array, optional
        β = 1/T instead, any real number or ±inf; a negative one prefers small logits.
    prior : array, shape (..., K), optional
        Non-negative weights π₀: a mask (0/1), degeneracies, a reference policy. Default 1.

    Raises
    ------
    ValueError
        For NaN or +inf logits or a row without support (naming the row), a negative or NaN
        temperature, a prior that is negative, NaN or infinite, shapes that do not fit.
    TypeError
        For both temperature and coldness, or for arguments that are not real numbers.

    Notes
    -----
    Temperature is a value of one formula, not a mode. At T = 0 (β = +inf) it is arg max, ties
    shared in proportion to the prior; at T = inf (β = 0) the prior on the support; at β = -inf
    arg min. Nothing is clamped and no epsilon is added.

    ``dist[i]`` indexes the batch as NumPy would an array of shape batch_shape; ``len`` and
    iteration follow its first axis. Objects are immutable, safe to share between threads, and
    picklable. Their arrays are computed once, on first use, and read-only.

    References
    ----------
    The same law is Boltzmann's distribution of states with energies -z; Landau & Lifshitz,
    *Statistical Physics* (1980), §28.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> Categorical([1.0, 5.0, 5.0], temperature=0).probs
    array([0. , 0.5, 0.5])
    >>> ladder = Categorical([0.0, 10.0], temperature=[0, 1, 100, float("inf")])
    >>> ladder
    Categorical(batch_shape=(4,), num_categories=2, dtype=float64,
                temperature=[  0.,   1., 100.,  inf])
    >>> ladder.probs.round(4)
    array([[0.   , 1.   ],
           [0.   , 1.   ],
           [0.475, 0.525],
           [0.5  , 0.5  ]])
    """

    @classmethod
    @quiet
    def from_weights(
        cls,
        weights: ArrayLike,
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
    ) -> Self:
        r"""The distribution :math:`p \propto w^{\beta}` of weights that need not sum to 1.

        Its logits are log(w / max w).

        Parameters
        ----------
        weights : array, shape (..., K)
            Non-negative and finite; a weight of 0 is outside the support at every temperature.
        temperature, coldness
            As for the class.

        Raises
        ------
        ValueError
            For a negative, NaN or infinite weight, or a row without a positive one.
        TypeError
            For weights that are not real numbers.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical.from_weights([1, 3, 0]).probs
        array([0.25, 0.75, 0.  ])
        """
        xp = namespace_of(weights, temperature if coldness is None else coldness)
        given = checked_weights(weights, "weights", xp, weights)
        logits = xp.astype(log_weights(given, xp), working_dtype(given, xp))
        return cls(logits, temperature, coldness=coldness)

    def relaxed(self, temperature: ArrayLike) -> "RelaxedCategorical":
        """Relaxed one-hot draws of this distribution: Gumbel-softmax at a relaxation temperature.

        Parameters
        ----------
        temperature : float or array
            τ in [0, inf], the relaxation's alone; broadcasts against the batch.

        Returns
        -------
        RelaxedCategorical
            Whose logits are these log-probabilities.

        Raises
        ------
        ValueError, TypeError
            For another temperature.

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

        return RelaxedCategorical(self.log_probs, temperature)

    @classmethod
    def from_energies(
        cls,
        energies: ArrayLike,
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
        degeneracies: ArrayLike | None = None,
    ) -> Self:
        r"""Boltzmann's distribution :math:`p \propto g\, e^{-\beta E}`; logits are -E.

        Parameters
        ----------
        energies : array, shape (..., K)
            In the units of the temperature (k_B = 1); +inf forbids a state at every temperature.
        temperature, coldness
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
        logits = 0 - checked_energies(energies)
        return cls._of(
            inputs(
                logits,
                temperature,
                coldness,
                degeneracies,
                copy=True,
                name="energies",
                prior_name="degeneracies",
            )
        )

    def _repr_html_(self) -> str | None:
        from softargmax._html import table  # for notebooks alone

        return table(self)


register_pytree(Categorical)  # now, or when the first array of JAX is at hand
