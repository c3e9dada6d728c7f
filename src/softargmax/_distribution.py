"""The state of a categorical distribution: what defines it, its shapes, what follows from it."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

import numpy as np

from softargmax import _formula, _kernels
from softargmax._arrays.checks import check_fits, keep_mask
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Namespace,
    Shape,
    copied,
    is_foreign,
    namespace_of,
    read_only,
    register_pytree,
    to_namespace,
    to_numpy,
)
from softargmax._copies import Copies
from softargmax._floats import ShortRow
from softargmax._inputs import (
    Heat,
    Inputs,
    batch_shape,
    check_support,
    checked_heat,
    inputs,
    inverse,
    plain_inputs,
    support_of,
)


def derived(compute: Callable[[Any], Any]) -> Any:
    """A property computed once and read-only in NumPy, anew elsewhere.

    A cached graph would break no_grad, a second backward pass and jit.
    """
    name = compute.__name__

    def get(self: "Distribution") -> Any:
        state = self.__dict__
        if name in state:
            return state[name]
        if self._given.xp is not np:
            return compute(self)
        return self._kept(name, lambda: compute(self))

    return property(get, doc=compute.__doc__)


class Distribution(Copies):
    """Logits, temperature and prior, and the arrays that follow from them."""

    _given: Inputs

    def __init__(
        self,
        logits: ArrayLike,
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
        prior: ArrayLike | None = None,
    ) -> None:
        given = None
        if coldness is None:
            given = plain_inputs(logits, temperature, prior)
        if given is None:
            given = inputs(logits, temperature, coldness, prior, copy=True)
        self.__dict__["_given"] = given
        if given.xp is not np:
            register_pytree(type(self))

    def _kept(self, name: str, compute: Callable[[], Any]) -> Any:
        """What follows from the state, computed once; two threads may both, to the same result."""
        state = self.__dict__
        if name not in state:
            state[name] = read_only(compute())
        return state[name]

    # ------------------------------------------------------------------ what it is

    @property
    def logits(self) -> Array:
        """The logits as given (as made, by the other constructors), shape (..., K)."""
        return self._given.logits

    @property
    def temperature(self) -> Any:
        """The temperature as given, in float64; 1/β where coldness was given."""
        coldness, temperature = self._given.heat
        if temperature is not None:
            return temperature
        return read_only(inverse(coldness, self._given.xp))

    @property
    def coldness(self) -> Any:
        """The coldness β as given, in float64; 1/T where temperature was given."""
        return self._given.heat.coldness

    @property
    def prior(self) -> Array | None:
        """The prior weights π₀ as given, times the masks, shape (..., K); None without any."""
        return self._given.prior

    @property
    def num_categories(self) -> int:
        """K, the length of the last axis of the logits."""
        return int(self._given.logits.shape[-1])

    @property
    def batch_shape(self) -> Shape:
        """The broadcast of the batch axes of logits, temperature and prior."""
        return self._given.batch_shape

    @property
    def dtype(self) -> Any:
        """The dtype of results: float32 or float64."""
        return self._given.z.dtype

    def _named_heat(self) -> tuple[str, str]:
        """What was given, temperature or coldness, and its value."""
        coldness, temperature = self._given.heat
        name, value = (
            ("coldness", coldness) if temperature is None else ("temperature", temperature)
        )
        if not isinstance(value, float):
            value = np.array2string(to_numpy(value), threshold=8, precision=4, separator=", ")
            value = " ".join(value.split())
        return name, str(value)

    def __repr__(self) -> str:
        name, value = self._named_heat()
        return (
            f"{type(self).__name__}(batch_shape={self.batch_shape}, "
            f"num_categories={self.num_categories}, dtype={self.dtype}, {name}={value})"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a {type(self).__name__} is immutable: tempered(…) and masked(…) return new ones"
        )

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    # ------------------------------------------------------------------ its batch

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError(f"a {type(self).__name__} without batch axes has no len()")
        return self.batch_shape[0]

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Self:
        """Index the batch as a NumPy array of shape batch_shape, K left alone."""
        given, batch = self._given, self.batch_shape
        if is_foreign(index):
            index = to_numpy(index)
        position = np.arange(math.prod(batch)).reshape(batch)[index]
        logits, z = given.logits, given.z
        if logits.ndim > 1:
            logits = _gather(logits, batch, position, 1)
            z = logits if given.z is given.logits else _gather(z, batch, position, 1)
        heat = Heat(
            *(_gather(part, batch, position, 0) if np.ndim(part) else part for part in given.heat)
        )
        prior = given.prior
        if prior is not None and prior.ndim > 1:
            prior = _gather(prior, batch, position, 1)
        shape = np.shape(position)
        if batch_shape(tuple(logits.shape), heat, prior) != shape:  # an axis that none of them has
            logits = _gather(logits, (), np.zeros(shape, np.int64), 1)
            z = logits if given.z is given.logits else _gather(z, (), np.zeros(shape, np.int64), 1)
        return self._of(Inputs(given.xp, logits, z, heat, prior, shape))

    def _spread(self, shape: Shape) -> Self:
        """The same over a larger batch that its own broadcasts to."""
        given = self._given
        if shape == given.batch_shape:
            return self
        full = (*shape, self.num_categories)
        logits, z = (given.xp.broadcast_to(x, full) for x in (given.logits, given.z))
        return self._of(given._replace(logits=logits, z=z, batch_shape=shape, top=None))

    # ------------------------------------------------------------------ its relatives

    def tempered(
        self, temperature: ArrayLike | None = None, *, coldness: ArrayLike | None = None
    ) -> Self:
        """The same logits and prior at another temperature, which replaces the present one.

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
        if temperature is None and coldness is None:
            raise TypeError("pass temperature or coldness, got neither")
        given = self._given
        new = temperature if coldness is None else coldness
        if given.xp is np and is_foreign(new):
            return type(self)(given.logits, temperature, coldness=coldness, prior=given.prior)
        heat = checked_heat(temperature, coldness, given.xp, given.logits)
        for part in heat:
            read_only(part)
        shape = batch_shape(tuple(given.logits.shape), heat, given.prior)
        return self._of(given._replace(heat=heat, batch_shape=shape))

    def masked(self, keep: ArrayLike) -> Self:
        """The same distribution on fewer categories: the prior is multiplied by a mask.

        Parameters
        ----------
        keep : array of bool (or 0 and 1), shape (..., K)
            The categories that stay; broadcasts against the batch.

        Raises
        ------
        ValueError, TypeError
            For a shape that does not fit, a row that would keep nothing, or what is no mask.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 1.0, 0.0]).masked([True, False, True]).probs
        array([0.5, 0. , 0.5])
        """
        given, xp = self._given, namespace_of(keep)
        if given.xp is np and xp is not np:  # as the constructor would, go where the mask lives
            coldness, temperature = given.heat
            logits = to_namespace(np.array(given.logits), xp, keep)  # which is read-only
            cold = coldness if temperature is None else None
            moved = type(self)(logits, temperature, coldness=cold, prior=given.prior)
            return moved.masked(keep)
        mask = keep_mask(keep, "keep", given.xp, given.logits)
        if mask.shape[-1] != self.num_categories:
            raise ValueError(
                f"keep must have {self.num_categories} categories on its last axis, "
                f"got shape {tuple(mask.shape)}"
            )
        shape = check_fits(tuple(mask.shape[:-1]), self.batch_shape, "keep")
        if given.prior is None:
            prior = copied(mask, given.xp)
        else:
            prior = given.xp.where(mask, given.prior, given.xp.zeros_like(given.prior))
        check_support(given.z, prior, given.xp, "keep")
        return self._of(given._replace(prior=read_only(prior), batch_shape=shape))

    # ------------------------------------------------------------------ what follows

    @derived
    def log_probs(self) -> Any:
        """log p of every category in nats, batch_shape + (K,); -inf outside the support.

        Where p merely underflows, log p is still finite, as far as the dtype reaches.
        Relative accuracy holds next to 1 too: see :func:`softargmax.log_softargmax`.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, -40.0]).log_probs.tolist()
        [-4.248354255291589e-18, -40.0]
        """
        xp, short = self._given.xp, self._short
        if short is not None:
            return np.array(short.log_probs(), self.dtype)
        if xp is not np:
            return _formula.log_probs(self._law, xp)
        terms = self._terms
        return _kernels.log_probs(self._given) if terms is None else terms.log_probs()

    @derived
    def probs(self) -> Any:
        """p of every category, shape batch_shape + (K,); k ties share exactly 1/k.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> Categorical([0.0, 0.0, -1.0], temperature=0).probs
        array([0.5, 0.5, 0. ])
        """
        xp, short = self._given.xp, self._short
        if short is not None:
            return np.array(short.probs(), self.dtype)
        if xp is not np:
            return _formula.probs(self._law, xp)
        terms = self._terms
        return _kernels.probs(self._given) if terms is None else terms.probs()

    @derived
    def _short(self) -> Any:
        """NumPy: the law of one short row in Python floats, None for all others."""
        return ShortRow.of(self._given) if self._given.xp is np else None

    @derived
    def _terms(self) -> Any:
        """NumPy: d and s of a small batch, None for all others."""
        return _kernels.Terms.of(self._given)

    @derived
    def _d(self) -> Any:
        """NumPy: β·gap + log π₀, the largest 0; -inf off the support."""
        if self._short is not None:
            return np.array(self._short.d, self.dtype)
        return _kernels.centred(self._given) if self._terms is None else read_only(self._terms.d)

    @property
    def _law(self) -> _formula.Law:
        """Elsewhere: the formula's terms."""
        return _formula.law(self._given)

    @derived
    def _support(self) -> Any:
        """Where a category has a logit above -inf and a prior above 0, batch_shape + (K,)."""
        given, full = self._given, (*self.batch_shape, self.num_categories)
        return given.xp.broadcast_to(support_of(given.z, given.prior, given.xp), full)


def _gather(x: Array, batch: Shape, position: Any, core: int) -> Array:
    """The rows of ``x`` (batch axes, then ``core`` axes) at flat positions, as a new array."""
    xp: Namespace = namespace_of(x)
    tail = tuple(x.shape[x.ndim - core :])
    rows = xp.reshape(xp.broadcast_to(x, (*batch, *tail)), (math.prod(batch), *tail))
    flat = to_namespace(np.ravel(position), xp, x)
    taken = xp.reshape(xp.take(rows, flat, axis=0), (*np.shape(position), *tail))
    if taken.ndim == 0 and xp is np:
        return float(taken)
    return read_only(taken)
