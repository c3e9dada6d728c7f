"""The state of a relaxed distribution: what defines it, its shapes."""

import copy
from typing import Any, NoReturn, Self

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import Array, ArrayLike, Shape, register_pytree, to_namespace
from softargmax.categorical import Categorical


class Relaxation:
    """Logits, prior, and the temperature of the relaxation."""

    _held: Categorical  # logits and prior, with the relaxation's temperature as its own

    def __init__(
        self, logits: ArrayLike, temperature: ArrayLike, *, prior: ArrayLike | None = None
    ) -> None:
        if temperature is None:
            raise TypeError("temperature must be real numbers, got None")
        self.__dict__["_held"] = Categorical(logits, temperature, prior=prior)
        register_pytree(type(self))

    @classmethod
    def _of(cls, held: Categorical) -> Self:
        made = cls.__new__(cls)
        made.__dict__["_held"] = held
        return made

    # ------------------------------------------------------------------ what it is

    @property
    def logits(self) -> Array:
        """The logits as given, shape (..., K)."""
        return self._held.logits

    @property
    def temperature(self) -> Any:
        """The relaxation's temperature τ as given."""
        return self._held.temperature

    @property
    def prior(self) -> Array | None:
        """The prior weights as given; None without any."""
        return self._held.prior

    @property
    def num_categories(self) -> int:
        """K, the length of the last axis of the logits."""
        return self._held.num_categories

    @property
    def batch_shape(self) -> Shape:
        """The broadcast of the batch axes of logits, temperature and prior."""
        return self._held.batch_shape

    @property
    def dtype(self) -> Any:
        """The dtype of results: float32 or float64."""
        return self._held.dtype

    @property
    def categorical(self) -> Categorical:
        """The categorical distribution p whose draws are relaxed; at its own temperature, 1.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 0.0], 0.5).categorical.probs
        array([0.5, 0.5])
        """
        return self._held.tempered(1.0)

    def tempered(self, temperature: ArrayLike) -> Self:
        """The same logits and prior at another relaxation temperature.

        Examples
        --------
        >>> from softargmax import RelaxedCategorical
        >>> RelaxedCategorical([0.0, 1.0], 0.5).tempered(0.1).temperature
        0.1
        """
        return self._of(self._held.tempered(temperature))

    def __repr__(self) -> str:
        return repr(self._held).replace(type(self._held).__name__, type(self).__name__, 1)

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError(f"a {type(self).__name__} without batch axes has no len()")
        return self.batch_shape[0]

    def __getitem__(self, index: Any) -> Self:
        """Index the batch."""
        return self._of(self._held[index])

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} is immutable: tempered(…) returns a new one")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._of, (self._held,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._of(copy.deepcopy(self._held, memo))

    def _leaves(self) -> tuple[tuple[Any, ...], str]:
        """For JAX's transformations."""
        return self._held._leaves()

    @classmethod
    def _of_leaves(cls, name: str, leaves: tuple[Any, ...]) -> Self:
        return cls._of(Categorical._of_leaves(name, leaves))

    # ------------------------------------------------------------------ shared

    def _check_numpy(self, name: str, other: str) -> None:
        if self._held._given.xp is not np:
            raise TypeError(
                f"{name} is for NumPy arrays; in PyTorch and JAX gradients flow through {other}"
            )

    def _tau(self, dtype: Any) -> Array:
        """τ in a dtype, with an axis of 1 for the categories."""
        given = self._held._given
        tau = to_namespace(self.temperature, given.xp, given.z, dtype)
        return given.xp.reshape(tau, (*tau.shape, 1))

    def _point(self, x: ArrayLike, name: str) -> tuple[Array, float]:
        """An array with the categories on its last axis, and how far its sum may be from 1."""
        given = self._held._given
        array = checks.real_array(x, name, given.xp, given.z)
        if array.ndim == 0 or array.shape[-1] != self.num_categories:
            raise ValueError(
                f"{name} must have {self.num_categories} categories on its last axis, "
                f"got shape {tuple(array.shape)}"
            )
        checks.check_fits(tuple(array.shape[:-1]), self.batch_shape, name)
        half = getattr(array.dtype, "itemsize", 8) == 2
        return checks.cast(array, given.xp), 2e-2 if half else 1e-3
