"""Factors of different sizes: each a row of a padded batch, little of which is padding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from softargmax._arrays.namespaces import Array, Namespace, aligned, kind_of, to_namespace
from softargmax._core import sampling
from softargmax._core.information import quantile
from softargmax._core.state import State, support_of
from softargmax._random.source import Source
from softargmax._random.tags import Tag
from softargmax.categorical import Categorical, state_of

_FEW = 4096  # padded categories that are worth no second batch


class Group(NamedTuple):
    """Factors of similar sizes as one batch, with axes batch + (factors,)."""

    members: tuple[int, ...]  # which of all factors they are, ascending
    dist: Categorical  # padded to the largest with categories of p = 0


class Factors(NamedTuple):
    """All factors of a joint distribution; arrays of all are concatenated on their last axis."""

    sizes: tuple[int, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, state: State, sizes: tuple[int, ...], bad: Array) -> Self:
        """From logits that are concatenated on the last axis; rows that are bad (…, 1) are NaN."""
        groups = []
        legal = support_of(state.z, state.prior, state.xp)
        heat = state.temperature.mapped(lambda x: x[..., None])
        weighted = state.prior is not None and kind_of(state.prior, state.xp) != "b"
        for members in _alike(sizes):
            place, real = _places(sizes, members)
            full = (*state.batch_shape, *real.shape)

            def padded(x: Array, place: Any = place, full: Any = full) -> Array:
                index = to_namespace(place.ravel(), state.xp, state.z)
                spread = state.xp.take(x, index, axis=-1)
                spread = state.xp.reshape(spread, (*x.shape[:-1], *place.shape))
                return state.xp.broadcast_to(spread, full)

            inside, there = aligned(state.xp, padded(legal), to_namespace(real, state.xp, state.z))
            kept = inside & there
            dist = Categorical(
                state.xp.where(
                    bad[..., None], math.nan, state.xp.where(kept, padded(state.z), -math.inf)
                ),
                heat.value,
                coldness=heat.coldness if heat.value is None else None,
                prior=padded(state.prior) if weighted else None,
            )
            groups.append(Group(members, dist))
        return cls(sizes, tuple(groups))

    @property
    def first(self) -> State:
        """The state of some of the factors: what all have in common can be read from it."""
        return state_of(self.groups[0].dist)

    @property
    def _xp(self) -> Namespace:
        return self.first.xp

    def mapped(self, function: Callable[[Categorical], Categorical]) -> Self:
        """The factors after a function of each group."""
        changed = (group._replace(dist=function(group.dist)) for group in self.groups)
        return self._replace(groups=tuple(changed))

    def each(self, function: Callable[[Categorical, Any], Array]) -> Array:
        """One value a factor, (…, factors): ``function(group, its members' places)``."""
        if len(self.groups) == 1:
            return function(self.groups[0].dist, slice(None))
        found = [function(group.dist, self._index(group.members)) for group in self.groups]
        order = np.argsort(np.concatenate([group.members for group in self.groups]))
        return self._xp.take(self._xp.concat(found, axis=-1), self._index(order), axis=-1)

    def flat(self, function: Callable[[Categorical, Any], Array]) -> Array:
        """One value per category, (…, K), from arrays (…, members, largest) without the padding."""
        parts, places = [], []
        for group in self.groups:
            x = function(group.dist, self._index(group.members))
            place, real = _places(self.sizes, group.members)
            rows = self._xp.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))
            parts.append(self._xp.take(rows, self._index(np.flatnonzero(real)), axis=-1))
            places.append(place[real])
        if len(parts) == 1:
            return parts[0]
        order = np.argsort(np.concatenate(places))
        return self._xp.take(self._xp.concat(parts, axis=-1), self._index(order), axis=-1)

    def pick(self, x: Array, members: Any) -> Array:
        """The columns of some factors."""
        whole = isinstance(members, slice)
        return x if whole else self._xp.take(x, members, axis=-1)

    def _index(self, places: Any) -> Array:
        return to_namespace(np.asarray(places), self._xp, self.first.z)

    def draw(self, size: tuple[int, ...], source: Source) -> Array:
        """Independent draws, size + batch + (factors,)."""
        if len(self.groups) == 1:
            method = "whole" if source.keyed else "auto"
            return sampling.sample_from(self.first, size, source, method)
        if source.keyed:  # number i stands at place i, whichever group it is for
            shape = (*size, *self.first.batch_shape[:-1], len(self.sizes))
            u = source.home(source.generators.random(shape))
            return self.each(lambda dist, some: quantile(state_of(dist), self.pick(u, some)))
        sources = [source] * len(self.groups)
        # This source gives equal noise at every call, so each group needs a stream of its own.
        if source.native or source.hides(()):
            sources = [source, *source.streams(Tag.FACTORS, len(self.groups) - 1)]
        remaining = iter(sources)
        return self.each(
            lambda dist, _: sampling.sample_from(state_of(dist), size, next(remaining))
        )


def _alike(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Groups of factors, by the power of 4 of their sizes; one where it has little padding."""
    if len(sizes) * max(sizes) <= max(_FEW, 4 * sum(sizes)):
        return [tuple(range(len(sizes)))]
    found: dict[int, list[int]] = {}
    for i, size in enumerate(sizes):
        found.setdefault((size - 1).bit_length() // 2, []).append(i)
    return [tuple(members) for members in found.values()]


def _places(sizes: tuple[int, ...], members: tuple[int, ...]) -> tuple[Any, Any]:
    """The index in the concatenation of each padded category, and which are not padding."""
    widths = np.array(sizes)
    first = (np.cumsum(widths) - widths)[list(members), None]
    widths = widths[list(members), None]
    column = np.arange(max(sizes[i] for i in members))
    return first + np.minimum(column, widths - 1), column < widths
