"""Several categorical variables at once: the actions of a MultiDiscrete space."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, Generic, Self, overload

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import (
    Array,
    ArrayLike,
    Shape,
    aligned,
    device_of,
    is_foreign,
    namespace_of,
    read_only,
    register_pytree,
    to_namespace,
    unwrap,
)
from softargmax._arrays.types import A, A_co, Like, Numpy, NumpyLike
from softargmax._core import display
from softargmax._core.batch import Batch
from softargmax._core.formula import bad_rows
from softargmax._core.inputs import check_one, checked_state, meet_batch
from softargmax._core.state import State, support_of
from softargmax._core.support import impossible, meet_rows
from softargmax._core.variants import spread
from softargmax._random.sources import Rngs, source_of
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.policies._factors import Factors, Group

_SHOWN = 10  # dimensions that notebooks show


class MultiCategorical(Batch, Generic[A_co]):
    r"""Independent categorical variables that form one action, with joint log-probabilities.

    .. math:: \log \pi(a) = \sum_d \log p_d(a_d), \qquad H = \sum_d H_d

    Parameters
    ----------
    logits : array, shape (..., K)
        Real scores of all dimensions, concatenated on the last axis: K is the sum of sizes.
    sizes : sequence of ints
        The number of categories of each dimension, as in Gymnasium's ``MultiDiscrete.nvec``.
    temperature : float or array, optional
        T in [0, inf], 1 by default; broadcasts against the batch axes alone.
    coldness : float or array, optional
        β = 1/T instead, any real number or ±inf; a negative one prefers small logits.
    mask : array of bool (or 0 and 1), shape (..., K), optional
        The legal categories, concatenated as the logits are.
    prior : array, shape (..., K), optional
        Non-negative weights π₀, concatenated likewise. Default 1.

    Raises
    ------
    ValueError
        For sizes that do not sum to K, a dimension without a legal category (the message names
        it), NaN or +inf logits, or shapes that do not fit.
    TypeError
        For arguments of the wrong type.

    Examples
    --------
    >>> from softargmax.policies import MultiCategorical
    >>> policy = MultiCategorical([0.0, 0.0, 1.0, 2.0, 3.0], sizes=(2, 3))
    >>> policy
    MultiCategorical(batch_shape=(), sizes=(2, 3), dtype=float64)
    >>> action, log_p = policy.sample_and_log_prob(rng=0)
    >>> action, float(log_p.round(4))
    (array([1, 1]), -2.1008)
    """

    _factors: Factors

    @overload
    def __init__(
        self: MultiCategorical[Numpy],
        logits: NumpyLike,
        sizes: Iterable[int],
        temperature: NumpyLike | None = None,
        *,
        coldness: NumpyLike | None = None,
        mask: NumpyLike | None = None,
        prior: NumpyLike | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiCategorical[A],
        logits: Like[A],
        sizes: Iterable[int],
        temperature: Like[A] | None = None,
        *,
        coldness: Like[A] | None = None,
        mask: Like[A] | None = None,
        prior: Like[A] | None = None,
    ) -> None: ...
    @explained
    def __init__(
        self,
        logits: ArrayLike,
        sizes: Iterable[int],
        temperature: ArrayLike | None = None,
        *,
        coldness: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        prior: ArrayLike | None = None,
    ) -> None:
        given = checked_state(logits, temperature, coldness, prior, mask, copy=False)
        xp = given.xp
        widths = _sizes(sizes, given.z.shape[-1])
        legal, weighted = support_of(given.z, given.prior, xp), "" if prior is None else "prior"
        illegal = _check_dimensions(legal, widths, masked=mask is not None, weighted=weighted)
        bad, illegal = aligned(xp, bad_rows(given), illegal)
        bad = bad | illegal  # bad rows of hidden values
        self.__dict__.update(_factors=Factors.of(given, widths, bad))
        if xp is not np:
            _register(type(self))

    @classmethod
    def _of(cls, factors: Factors) -> Self:
        made = cls.__new__(cls)
        made.__dict__.update(_factors=factors)
        return made

    @property
    def _state(self) -> State:
        """What all dimensions have in common."""
        return self._factors.first

    def __repr__(self) -> str:
        return (
            f"MultiCategorical(batch_shape={self.batch_shape}, sizes={self.sizes}, "
            f"dtype={self._state.dtype})"
        )

    def _repr_html_(self) -> str | None:
        if display.is_hidden(self._state):
            return None
        facts = [("batch shape", str(self.batch_shape)), ("sizes", str(self.sizes))]
        shown = range(min(len(self.sizes), _SHOWN))
        body = [display.likeliest(state_of(self.dimension(d)), f"{d}: ") for d in shown]
        facts.append(("dtype", str(self._state.dtype)))
        return display.framed(type(self).__name__, facts, "".join(body))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of categories of each dimension."""
        return self._factors.sizes

    @property
    def batch_shape(self) -> Shape:
        """The broadcast of the batch axes of logits, temperature, mask and prior."""
        return self._state.batch_shape[:-1]

    def __getitem__(self, index: Any) -> Self:
        """Index the batch as a NumPy array of shape batch_shape; the categories stay."""
        index = index if isinstance(index, tuple) else (index,)
        dots = () if any(part is Ellipsis for part in index) else (Ellipsis,)
        return self._of(self._factors.mapped(lambda dist: dist[(*index, *dots, slice(None))]))

    def dimension(self, d: int) -> Categorical[A_co]:
        """The distribution of one dimension, padded to the largest size with categories of p = 0.

        Parameters
        ----------
        d : int
            In 0 … len(sizes) - 1.

        Returns
        -------
        Categorical
            With max(sizes) categories.

        Raises
        ------
        ValueError, TypeError
            For d outside its range or not an integer.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([0.0, 0.0, 0.0, 0.0, 0.0], sizes=(2, 3)).dimension(0).probs
        array([0.5, 0.5, 0. ])
        """
        d = checks.count(d, "d", 0, len(self.sizes) - 1)
        group = next(group for group in self._factors.groups if d in group.members)
        found = group.dist[..., group.members.index(d)]
        missing = max(self.sizes) - found.num_categories
        if not missing:
            return found
        state = state_of(found)
        shape = (*state.z.shape[:-1], missing)
        none = state.xp.full(shape, -math.inf, dtype=state.z.dtype, device=device_of(state.z))
        z = state.xp.concat([state.z, none], axis=-1)
        return of_state(state.replace(logits=read_only(z), z=z))

    @property
    def probs(self) -> A_co:
        """The probabilities of all dimensions, concatenated as the logits are, batch + (K,)."""
        return read_only(self._factors.flat(lambda dist, _: dist.probs))

    @property
    def log_probs(self) -> A_co:
        """The log-probabilities in nats, laid out as :attr:`probs`."""
        return read_only(self._factors.flat(lambda dist, _: dist.log_probs))

    @explained
    def tempered(
        self, temperature: ArrayLike | None = None, *, coldness: ArrayLike | None = None
    ) -> Self:
        """This distribution at another temperature (or coldness), which replaces the current one.

        Parameters
        ----------
        temperature, coldness : float or array, optional
            As for :meth:`Categorical.tempered`; an array holds one for each row of the batch.

        Returns
        -------
        MultiCategorical

        Raises
        ------
        ValueError, TypeError
            For both or neither, or values outside their range or of a shape that does not fit.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([1.0, 5.0, 7.0, 7.0], sizes=(2, 2)).tempered(0).probs
        array([0. , 1. , 0.5, 0.5])
        """
        check_one(temperature, coldness)
        name = "temperature" if coldness is None else "coldness"
        new: Any = temperature if coldness is None else coldness
        known = is_foreign(new) or isinstance(new, float | int)  # torch.compile sees no further
        given: Any = new if known else np.asarray(new)
        if not getattr(given, "ndim", 0) or (temperature is not None and coldness is not None):
            return self._of(
                self._factors.mapped(lambda dist: dist.tempered(temperature, coldness=coldness))
            )
        batch = tuple(self._state.z.shape[:-2])
        shape = meet_batch(tuple(given.shape), batch, name)

        def tempered(dist: Categorical) -> Categorical:
            whole = of_state(spread(state_of(dist), (*shape, dist.batch_shape[-1])))
            return whole.tempered(**{name: given[..., None]})

        return self._of(self._factors.mapped(tempered))

    # ------------------------------------------------------------------ draws

    @explained
    def sample(self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None) -> A_co:
        """Independent draws of actions.

        Parameters
        ----------
        shape : int or tuple of ints
        rng
            As for :meth:`Categorical.sample`; a sequence has one rng per row of a 1-d batch.

        Returns
        -------
        integers, shape + batch_shape + (len(sizes),)

        Raises
        ------
        ValueError, TypeError
            For an invalid shape or rng.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([0.0, 0.0, 0.0, 0.0, 0.0], sizes=(2, 3)).sample(2, rng=0)
        array([[1, 0],
               [0, 0]])
        """
        size, joint = checks.sample_shape(shape), self._state
        source = source_of(rng, joint.xp, joint.z, self.batch_shape, keyed=True)
        rows = source.rows()
        if not rows:  # one source for the whole batch, or an empty batch
            return self._factors.draw(size, source)
        drawn = [row._factors.draw(size, one) for row, one in zip(self, rows, strict=True)]
        return joint.xp.stack(drawn, axis=len(size))

    @explained
    def sample_and_log_prob(
        self, shape: int | tuple[int, ...] = (), *, rng: Rngs = None
    ) -> tuple[A_co, A_co]:
        """Draw actions as :meth:`sample` does, and return them with their joint log-probabilities.

        Parameters
        ----------
        shape, rng
            As for :meth:`sample`, which documents the errors too.

        Returns
        -------
        action : integers, shape + batch_shape + (len(sizes),)
        log_p : array, shape + batch_shape

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> action, log_p = MultiCategorical(
        ...     [0.0, 0.0, 0.0, 0.0, 0.0], sizes=(2, 3)
        ... ).sample_and_log_prob(rng=0)
        >>> action, float(log_p.round(4))
        (array([1, 0]), -1.7918)
        """
        action = self.sample(shape, rng=rng)
        return action, self.log_prob(action)

    def mode(self) -> A_co:
        """The likeliest action, batch_shape + (len(sizes),); ties go to the lowest index.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([0.0, 1.0, 2.0, 0.0, 0.0], sizes=(2, 3)).mode()
        array([1, 0])
        """
        return self._factors.each(lambda dist, _: dist.mode())

    # ------------------------------------------------------------------ information

    def log_prob(self, action: ArrayLike) -> A_co:
        """The joint log-probability of actions in nats.

        Parameters
        ----------
        action : array of integers, shape (..., len(sizes))
            As ``sample`` returns them; broadcasts against the batch.

        Returns
        -------
        array, action.shape[:-1] broadcast with batch_shape

        Raises
        ------
        ValueError, TypeError
            For a category outside its dimension, a shape that does not fit, or non-integers.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> policy = MultiCategorical([0.0, 0.0, 0.0, 0.0, 0.0], sizes=(2, 3))
        >>> policy.log_prob([[0, 2], [1, 1]]).round(4)
        array([-1.7918, -1.7918])
        """
        x, factors = self._action(action), self._factors
        return self._summed(factors.each(lambda dist, some: dist.log_prob(factors.pick(x, some))))

    def entropy(self) -> A_co:
        """The joint entropy in nats, shape batch_shape.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([0.0, 0.0, 0.0, 0.0, 0.0], sizes=(2, 3)).entropy().round(4)
        np.float64(1.7918)
        """
        return self._summed(self._factors.each(lambda dist, _: dist.entropy()))

    def kl_divergence(self, other: MultiCategorical) -> A_co:
        """KL(self ‖ other) in nats, for two distributions of equal sizes.

        Parameters
        ----------
        other : MultiCategorical
            Of equal sizes; its batch shape broadcasts with this one's.

        Returns
        -------
        array, the broadcast of the two batch shapes

        Raises
        ------
        ValueError, TypeError
            For other sizes or a batch shape that does not fit, or another type.

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> p = MultiCategorical([0.0, 0.0, 1.0, 1.0], sizes=(2, 2))
        >>> p.kl_divergence(MultiCategorical([0.0, 1.0, 0.0, 1.0], sizes=(2, 2))).round(4)
        np.float64(0.2402)
        """
        checks.check_instance(other, MultiCategorical, "other")
        if other.sizes != self.sizes:
            raise ValueError(f"other must have sizes {self.sizes}, got {other.sizes}")
        others = iter(other._factors.groups)
        return self._summed(
            self._factors.each(lambda dist, _: dist.kl_divergence(next(others).dist))
        )

    def score(self, action: ArrayLike) -> A_co:
        """The gradient of the joint log-probability, ∂ log π(action)/∂ logits, (..., K).

        In the logits as given, at every temperature and with every mask.

        Parameters
        ----------
        action : array of integers, shape (..., len(sizes))
            As for :meth:`log_prob`, which documents the errors too.

        Returns
        -------
        array, action.shape[:-1] broadcast with batch_shape, + (K,)

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([0.0, 0.0, 1.0, 1.0], sizes=(2, 2)).score([0, 1])
        array([ 0.5, -0.5, -0.5,  0.5])
        """
        x, factors = self._action(action), self._factors
        return factors.flat(lambda dist, some: dist.score(factors.pick(x, some)))

    def entropy_gradient(self) -> A_co:
        """The gradient of the joint entropy, ∂H/∂ logits as given, batch_shape + (K,).

        Examples
        --------
        >>> from softargmax.policies import MultiCategorical
        >>> MultiCategorical([0.0, 1.0, 1.0, 1.0], sizes=(2, 2)).entropy_gradient().round(4)
        array([ 0.1966, -0.1966,  0.    ,  0.    ])
        """
        return self._factors.flat(lambda dist, _: dist.entropy_gradient())

    def _summed(self, x: Array) -> Any:
        return unwrap(self._state.xp.sum(x, axis=-1))

    def _action(self, action: ArrayLike) -> Array:
        joint = self._state
        x = checks.category(action, joint.xp, joint.z, max(self.sizes), "action")
        if x.ndim == 0 or x.shape[-1] != len(self.sizes):
            raise ValueError(
                f"action must have {len(self.sizes)} dimensions on its last axis, "
                f"got shape {tuple(x.shape)}"
            )
        meet_rows(tuple(x.shape[:-1]), self.batch_shape, "action")
        for d, size in enumerate(self.sizes):
            wrong = x[..., d] >= size
            if checks.any_of(wrong):
                raise ValueError(
                    f"action must be in 0 … {size - 1} in dimension {d}, "
                    f"got {checks.first_of(x[..., d], wrong):.0f}"
                )
        xp = joint.xp
        if xp is np:
            return x
        x, sizes = aligned(xp, x, to_namespace(np.array(self.sizes), xp, joint.z))
        inside = xp.all((x >= 0) & (x < sizes), axis=-1, keepdims=True)
        return xp.where(inside, x, -xp.ones_like(x))


def _sizes(sizes: Any, num_categories: int) -> tuple[int, ...]:
    try:
        found = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"sizes must be a sequence of ints, got {sizes!r}") from None
    if not found or min(found) < 1:
        raise ValueError(f"sizes must be positive, one or more, got {found}")
    if sum(found) != num_categories:
        raise ValueError(
            f"sizes must sum to the {num_categories} categories of the logits, "
            f"got {found}, in all {sum(found)}"
        )
    return found


def _check_dimensions(
    legal: Array, sizes: tuple[int, ...], *, masked: bool, weighted: str
) -> Array:
    """Where a dimension has no legal category, which is an error unless hidden, (…, 1)."""
    first = 0
    xp = namespace_of(legal)
    illegal = ~xp.any(legal, axis=-1, keepdims=True)
    for d, size in enumerate(sizes):
        alive = xp.any(legal[..., first : first + size], axis=-1)
        if checks.any_of(~alive):
            why = impossible("logits", masked=masked, weighted=weighted)
            raise ValueError(
                f"logits must leave a legal category in every dimension, got none in dimension {d}"
                f"{checks.in_row(~alive)}: {why}"
            )
        illegal = illegal | ~alive[..., None]
        first += size
    return illegal


def _register(cls: type[MultiCategorical]) -> None:
    """Register the class as a JAX pytree."""
    register_pytree(
        cls,
        lambda multi: (
            tuple(group.dist for group in multi._factors.groups),
            (multi.sizes, tuple(group.members for group in multi._factors.groups)),
        ),
        lambda known, parts: cls._of(Factors(known[0], tuple(map(Group, known[1], parts)))),
    )


_register(MultiCategorical)  # if JAX is loaded; else with the first JAX array
