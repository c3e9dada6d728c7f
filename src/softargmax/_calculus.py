"""Moments of values over the categories, and derivatives in the logits."""

import math
from typing import Any

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import Array, ArrayLike, device_of, quiet, to_namespace, unwrap
from softargmax._information import Information


class Calculus(Information):
    """Expectations, variances and gradients in closed form, for those without autodiff."""

    # ------------------------------------------------------------------ moments

    @quiet
    def expectation(self, values: ArrayLike) -> Any:
        """The mean Σ p·v, where terms with p = 0 count 0 whatever their value.

        Parameters
        ----------
        values : array, shape (..., K)
            One real number a category; broadcasts against the batch.

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
        xp = self._given.xp
        p, v = self._weighted(values)
        return self._narrowed(xp.sum(p * v, axis=-1))

    @quiet
    def variance(self, values: ArrayLike) -> Any:
        """The variance Σ p·(v - Σ p·v)², in which terms with p = 0 count 0.

        It is measured from the likeliest value, so that it keeps its digits where p is next to 1.
        Parameters, shapes and errors are those of :meth:`expectation`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> float(Categorical.from_weights([1, 3]).variance([0.0, 4.0]))
        3.0
        """
        xp = self._given.xp
        p, v = self._weighted(values)
        index = xp.arange(self.num_categories, device=device_of(self._given.z))
        likeliest = index == xp.argmax(self._ranking, axis=-1, keepdims=True)
        base = xp.sum(xp.where(likeliest, v, xp.zeros_like(v)), axis=-1, keepdims=True)
        v = xp.where(p > 0, v - base, xp.zeros_like(v))
        v = v - xp.sum(p * v, axis=-1, keepdims=True)
        return self._narrowed(xp.sum(p * v * v, axis=-1))

    # ------------------------------------------------------------------ calculus

    @quiet
    def score(self, category: ArrayLike) -> Any:
        """The score ∂ log p(x)/∂z = β(e_x - p), the gradient that REINFORCE needs.

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
            As :meth:`log_prob`.

        References
        ----------
        Williams (1992), https://doi.org/10.1007/BF00992696.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0], temperature=0.5).score(1)
        array([-1.,  1.])
        """
        given, xp = self._given, self._given.xp
        x = checks.category(category, xp, given.z, self.num_categories)
        index = xp.arange(self.num_categories, device=device_of(given.z))
        chosen = index == x[..., None]
        possible = self._take(xp.astype(self._support, xp.int8), x)[..., None] > 0
        p, log_p = self.probs, self.log_probs
        rise = 0 - xp.expm1(log_p)  # 1 - p, with its digits where p is next to 1
        slope = self._beta() * xp.where(chosen, rise, 0 - p)
        return xp.where(possible, slope + 0.0, xp.zeros_like(slope))

    @quiet
    def entropy_gradient(self) -> Any:
        """The gradient of the entropy, ∂H/∂z = -β p (log p + H), shape batch_shape + (K,).

        In nats per unit of the logits; 0 at β = ±inf and at masked categories.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0, 1.0]).entropy_gradient().round(4)
        array([ 0.1221,  0.1221, -0.2442])
        """
        xp, p, ranking = self._given.xp, self.probs, self._ranking
        d = xp.where(p > 0, ranking, xp.zeros_like(p))
        mean = xp.sum(p * d, axis=-1, keepdims=True)
        return self._beta() * (p * (mean - d)) + 0.0

    @quiet
    def fisher_information(self) -> Any:
        """The Fisher information of the logits, β²(diag p - p pᵀ), shape batch_shape + (K, K).

        Also the Hessian of KL in the logits at p = q. 0 at β = ±inf and at masked categories; where
        β² overflows, entries between ties are ±inf.

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
        xp, p = self._given.xp, self.probs
        index = xp.arange(self.num_categories, device=device_of(self._given.z))
        diagonal = index[:, None] == index
        own = (p * (0 - xp.expm1(self.log_probs)))[..., None]
        matrix = xp.where(diagonal, own, 0 - p[..., :, None] * p[..., None, :])
        beta = self._beta()[..., None]
        return beta * (beta * matrix) + 0.0

    @quiet
    def _beta(self) -> Array:
        """β in the working dtype, shape (…, 1), 0 where infinite: no derivative passes there."""
        given = self._given
        beta = to_namespace(given.heat.coldness, given.xp, given.z, self.dtype)
        beta = given.xp.where(given.xp.abs(beta) == math.inf, given.xp.zeros_like(beta), beta)
        return given.xp.reshape(beta, (*beta.shape, 1))

    def _weighted(self, values: ArrayLike) -> tuple[Any, Any]:
        """Probabilities, and the values that count: 0 where p = 0."""
        given, xp, p = self._given, self._given.xp, self.probs
        v = checks.values_of_categories(values, xp, given.z, self.batch_shape)
        return p, xp.where(p > 0, v, xp.zeros_like(v))

    def _narrowed(self, x: Array) -> Any:
        """A result in the distribution's dtype, whatever the dtype of the values was."""
        xp = self._given.xp
        return unwrap(np.asarray(x, self.dtype)) if xp is np else xp.astype(x, self.dtype)
