"""Stages: functions from distributions to distributions, and chains of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import check_fits_within, check_instance, count, number, numbers_in
from softargmax._arrays.namespaces import (
    Shape,
    is_foreign,
    is_traced,
    kind_of,
    namespace_of,
    to_numpy,
)
from softargmax.categorical import Categorical

History = Any


@dataclass(frozen=True, eq=False, repr=False)
class Stage(ABC):
    """A function ``stage(dist, history=None) -> Categorical``; chains of stages are stages.

    ``history`` holds the tokens so far, which penalties need: integer ids (..., t), oldest first,
    with the batch axes of the distribution, or a sequence with one 1-d array per row. Negative ids
    are padding.
    """

    # The interval of each numeric parameter: a number, or an array that fits the batch.
    _intervals: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        for name, interval in self._intervals.items():
            object.__setattr__(self, name, _setting(getattr(self, name), name, interval))

    @abstractmethod
    def __call__(self, dist: Categorical, history: History = None) -> Categorical:
        """The distribution after this stage, over the same categories."""

    @property
    def final(self) -> bool:
        """Whether no other stage may follow this one in a chain."""
        return False

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._identity() == other._identity()

    def __repr__(self) -> str:
        ordered = sorted(fields(self), key=lambda f: f.kw_only is True)
        values = ((f, getattr(self, f.name)) for f in ordered)
        shown = [f"{f.name}={x!r}" for f, x in values if np.ndim(x) or x != f.default]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        """The type and the parameters, for comparison and hashing."""
        return (type(self), *(_hashable(getattr(self, f.name)) for f in fields(self)))

    def _fitting(self, name: str, batch: Shape) -> Any:
        """A parameter: a number, or an array after a check that it fits the batch."""
        value = getattr(self, name)
        if hasattr(value, "shape"):
            check_fits_within(tuple(value.shape), batch, name)
        return value

    def _of_rows(self, batch: Shape) -> Callable[[int], dict[str, Any]]:
        """A function from i to the parameters of row i, as numbers."""
        found: dict[str, Any] = {}
        for name in self._intervals:
            value = self._fitting(name, batch)
            if hasattr(value, "shape"):
                value = np.broadcast_to(to_numpy(value), batch).ravel().tolist()
            found[name] = value
        if not any(isinstance(value, list) for value in found.values()):
            return lambda _: found
        return lambda i: {k: v[i] if isinstance(v, list) else v for k, v in found.items()}


def _setting(x: Any, name: str, interval: str) -> Any:
    """A number or an array checked against an interval; integers if the interval says so."""
    whole = interval.startswith("integers ")
    interval = interval.removeprefix("integers ")
    if np.ndim(x) or is_foreign(x):
        if whole:
            x = x if is_traced(x) else np.asarray(to_numpy(x) if is_foreign(x) else x)
            if kind_of(x, namespace_of(x)) not in "iu":
                raise TypeError(f"{name} must be integers, got dtype {x.dtype}")
        xp = namespace_of(x)
        found = numbers_in(x, name, interval, xp, x)
        return found if is_foreign(x) else found.astype(np.int64 if whole else np.float64)
    return count(x, name, 1, 2**62) if whole else number(x, name, interval)


def _hashable(x: Any) -> Any:
    """A parameter in a hashable form that compares by value."""
    if isinstance(x, dict):
        return frozenset(x.items())
    if hasattr(x, "shape"):
        values = to_numpy(x)
        return (values.shape, *values.ravel().tolist())
    return x


@dataclass(frozen=True, eq=False, repr=False)
class Chain(Stage):
    """Stages applied one after the other; made by :func:`chain`.

    Parameters
    ----------
    stages : tuple of Stage

    Examples
    --------
    >>> from softargmax.tokens import TopK, TopP, chain
    >>> chain(TopK(50), TopP(0.9))
    Chain(stages=(TopK(k=50), TopP(p=0.9)))
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        super().__post_init__()
        for i, stage in enumerate(self.stages):
            check_instance(stage, Stage, "stages")
            if stage.final and i < len(self.stages) - 1:
                last = stage
                while isinstance(last, Chain):
                    last = last.stages[-1]
                raise ValueError(
                    f"stages must end with {type(last).__name__}, got "
                    f"{type(self.stages[i + 1]).__name__} after it; pass it as then="
                )

    @property
    def final(self) -> bool:
        """Whether the last stage is final."""
        return bool(self.stages) and self.stages[-1].final

    def __call__(self, dist: Categorical, history: History = None) -> Categorical:
        check_instance(dist, Categorical, "dist")
        for stage in self.stages:
            dist = stage(dist, history)
        return dist


def chain(*stages: Stage) -> Chain:
    """One stage that applies the given stages from left to right.

    Parameters
    ----------
    *stages : Stage
        Each receives the normalised distribution that the previous one returned. An empty chain
        returns its input.

    Returns
    -------
    Chain

    Raises
    ------
    TypeError
        For anything that is not a stage.
    ValueError
        For a stage after :class:`XTC`, also in nested chains: pass it to XTC as ``then``.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import MinP, TopK, chain
    >>> chain(TopK(3), MinP(0.3))(Categorical.from_weights([8, 4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    , 0.    ])
    """
    return Chain(stages)
