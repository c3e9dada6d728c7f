"""Parameters: values that are checked, cannot be changed, and compare by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from inspect import getattr_static
from typing import Any, ClassVar, Self

import numpy as np

from softargmax._arrays.checks import check_fits_within, count, number, numbers_in
from softargmax._arrays.keywords import Explained
from softargmax._arrays.namespaces import (
    Shape,
    copied,
    is_foreign,
    is_traced,
    kind_of,
    namespace_of,
    read_only,
    to_numpy,
)
from softargmax._rows.memory import once


@dataclass(frozen=True, eq=False, repr=False)
class Parameters(metaclass=Explained):
    """A frozen dataclass whose arrays are copies of its own, read-only and compared by value."""

    # The interval of each numeric parameter: a number, or an array that fits the batch.
    _intervals: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        for name, interval in self._intervals.items():
            self._set(name, setting(getattr(self, name), name, interval))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        ordered = sorted(fields(self), key=lambda f: f.kw_only is True)
        values = ((f, getattr(self, f.name)) for f in ordered)
        shown = [f"{f.name}={x!r}" for f, x in values if hasattr(x, "shape") or x != f.default]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __deepcopy__(self, memo: Any) -> Self:
        return self  # as of all that never changes

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on first use."""
        made = [x for x in self.__dict__ if isinstance(getattr_static(type(self), x, None), once)]
        return {name: x for name, x in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: _locked(x) for name, x in state.items()})

    def _set(self, name: str, value: Any) -> None:
        """Set a field while the object is made."""
        object.__setattr__(self, name, _locked(value))

    def _identity(self) -> tuple[Any, ...]:
        """The type and the parameters, for comparison and hashing."""
        return (type(self), *(_hashable(getattr(self, f.name)) for f in fields(self)))

    def _fitting(self, name: str, batch: Shape) -> Any:
        """A parameter: a number, or an array after a check that it fits the batch."""
        value = getattr(self, name)
        if hasattr(value, "shape"):
            check_fits_within(tuple(value.shape), batch, name)
        return value

    def _of_rows(self, batch: Shape, names: tuple[str, ...]) -> Callable[[int], dict[str, Any]]:
        """A function from i to the parameters of row i, as numbers."""
        found: dict[str, Any] = {}
        for name in names:
            value = self._fitting(name, batch)
            if is_traced(value):
                raise TypeError(f"{name} must be known, got a traced array")
            if hasattr(value, "shape"):
                value = np.broadcast_to(to_numpy(value), batch).ravel().tolist()
            found[name] = value
        if not any(isinstance(value, list) for value in found.values()):
            return lambda _: found
        return lambda i: {k: v[i] if isinstance(v, list) else v for k, v in found.items()}


class FrozenMapping(Mapping[Any, float]):
    """A mapping that cannot be changed, with a hash and a pickle."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Any, float]) -> None:
        self._values: dict[Any, float] = dict(values)

    def __getitem__(self, key: Any) -> float:
        return self._values[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


def setting(x: Any, name: str, interval: str) -> Any:
    """A number, or an array of our own, checked against an interval; integers if it says so."""
    whole = interval.startswith("integers ")
    interval = interval.removeprefix("integers ")
    if whole and is_foreign(x) and not is_traced(x):
        x = to_numpy(x)
    if isinstance(x, int | float) or not (is_foreign(x) or np.ndim(x)):
        least = int(interval[1]) if whole else 0
        return count(x, name, least, 2**62) if whole else number(x, name, interval)
    xp = namespace_of(x)
    x = x if is_foreign(x) else np.asarray(x)
    kind = kind_of(x, xp)
    if kind == "b" or (whole and kind not in "iu"):
        raise TypeError(f"{name} must be {'integers' if whole else 'numbers'}, got dtype {x.dtype}")
    found = numbers_in(x, name, interval, xp, x)
    return copied(found, xp) if is_foreign(x) else found.astype(np.int64 if whole else np.float64)


def _locked(x: Any) -> Any:
    """A value whose NumPy arrays are read-only."""
    return tuple(map(_locked, x)) if type(x) is tuple else read_only(x)


def _hashable(x: Any) -> Any:
    """A parameter in a hashable form that compares by value."""
    if type(x) is tuple:
        return tuple(map(_hashable, x))
    if hasattr(x, "shape"):
        values = to_numpy(x)
        values = values.astype(np.float64) + 0.0 if values.dtype.kind == "f" else values
        return (values.shape, values.tobytes())
    return x
