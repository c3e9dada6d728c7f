"""Rules of truncations: what has a key of at least some bound stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import Shape, to_numpy
from softargmax._rows.memory import once


class Rule(NamedTuple):
    """A truncation: what has a key of at least the bound stays."""

    bound: Callable[[Any, Any], Any]  # from the scores and the rule's one parameter
    parameter: Any = None  # a number, or an array that fits the batch
    key: Callable[[Any], Any] | None = None  # what is compared with the bound; None for d
    least: Any = 1  # so many of the largest keys stay in any case, ties with the last included
    exact: bool = False  # whether the bound is a key itself, to be met without slack
    name: str = ""  # of the parameter, for the error where it does not fit the batch


class Rules(tuple[Rule, ...]):
    """Rules, one after another, each of which sees what the last one left."""

    @once
    def of_numbers(self) -> bool:
        """Whether no parameter or least count is an array, so that they serve every row."""
        return not any(hasattr(x, "shape") for one in self for x in (one.parameter, one.least))

    @once
    def keep_the_likeliest(self) -> bool:
        """Whether the key of each is d, the largest of which stays."""
        return all(one.key is None for one in self)

    @once
    def are_kernels_own(self) -> bool:
        """Whether a kernel knows all of them."""
        return self.keep_the_likeliest and all(one.bound in KERNELS_OWN for one in self)

    @once
    def table(self) -> Any:
        """Kind, parameter and least count of each, if a kernel knows all of them; else None."""
        return next(self._tables([self]))

    def of_each_row(self, batch: Shape) -> Iterable[Rules]:
        """The rules of each row of a batch, whose parameters and least counts are numbers."""
        if self.of_numbers:
            return repeat(self)
        rows = [Rules(own) for own in zip(*(_numbers(one, batch) for one in self), strict=False)]
        for own, table in zip(rows, self._tables(rows), strict=False):
            own.__dict__["table"] = table  # all made at once
        return rows

    def _tables(self, rows: list[Rules]) -> Iterator[Any]:
        """The tables of rules that differ from these in their numbers alone."""
        if not self.are_kernels_own:
            return repeat(None)
        kinds = [KERNELS_OWN[one.bound] for one in self]
        numbers = [[(one.parameter, one.least) for one in own] for own in rows]
        tables = np.empty((len(rows), len(self), 3))
        tables[..., 0], tables[..., 1:] = kinds, np.reshape(numbers, (*tables.shape[:2], 2))
        return iter(tables)


def _numbers(rule: Rule, batch: Shape) -> Iterable[Rule]:
    """A rule for each row, whose parameter and least are numbers."""
    arrays = {
        name: np.broadcast_to(to_numpy(x), batch).ravel().tolist()
        for name in ("parameter", "least")
        if hasattr(x := getattr(rule, name), "shape")
    }
    if not arrays:
        return repeat(rule)
    return [
        rule._replace(**dict(zip(arrays, own, strict=True)))
        for own in zip(*arrays.values(), strict=True)
    ]


# ---------------------------------------------------------------------------- bounds


def by_rank(_scores: Any, _parameter: Any) -> Any:
    """No key: what stays is the least count."""
    return math.inf


def by_ratio(scores: Any, ratio: Any) -> Any:
    """The key of what is so many times as likely as the likeliest."""
    return scores.xp.log(ratio)


def by_mass(scores: Any, mass: Any) -> Any:
    """The last key of the smallest set of the largest keys with this mass."""
    return scores.mass_threshold(mass)


BY_RANK, BY_RATIO, BY_MASS = range(3)
# Those that a kernel computes itself, and their kinds.
KERNELS_OWN: dict[Any, int] = {by_rank: BY_RANK, by_ratio: BY_RATIO, by_mass: BY_MASS}
