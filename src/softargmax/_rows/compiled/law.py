"""The law of rows by kernels, whatever their shape: one pass or two over the logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import Shape
from softargmax._rows.centre import centre
from softargmax._rows.compiled.answers import (
    each_log_prob,
    fill_d,
    log_probs,
    numbers,
    one_log_prob,
    probs,
    tops,
)
from softargmax._rows.compiled.gaps import COLDEST, HOT, PLAIN, RATIO, TIMES, WIDE
from softargmax._rows.compiled.inversion import (
    invert,
    invert_one,
    invert_one_short,
    invert_short,
    invert_together,
    sum_and_invert_one,
    sums,
)
from softargmax._rows.compiled.maths import BLOCK, frozen
from softargmax._rows.compiled.prepared import SIZE, WIDTH, short_law
from softargmax._rows.compiled.together import (
    NARROW,
    log_probs_together,
    numbers_together,
    probs_together,
)
from softargmax._rows.law import Law
from softargmax._rows.memory import blocks, once
from softargmax._rows.rows import LIMITS, Rows, Temperature, rows_of
from softargmax._rows.threads import share

_SHARED = 2**15  # elements of a block of rows that a worker takes, at least
_TOGETHER = 8  # long rows that it takes, of which one is written while the next is read


class _Ways(NamedTuple):
    """How d follows from the gaps of all rows, or of each: carefully and quickly.

    Its arrays are frozen, so that kernels are compiled once.
    """

    way: Any
    scale: Any  # β or T
    quick: Any
    factor: Any  # β
    rising: bool = True  # whether no β is negative


class Compiled(Law):
    """Rows whose every answer is one call of a kernel."""

    def __init__(self, rows: Rows, batch: Shape) -> None:
        self.batch, self.width = batch, rows.z.shape[-1]
        z, temperature = rows.z, rows.temperature
        self.dtype, self._limits = z.dtype, LIMITS[z.dtype.char]
        if rows.prior is not None and rows.prior.dtype.kind == "b":
            z = _masked(z, rows.prior)
            rows = Rows(z, temperature)
        self._ways = None
        if rows.prior is None:
            one = type(temperature.coldness) is float
            self._ways = (_ways_of_one if one else _ways)(z.dtype, temperature)
            if len(z) > 1 and z.strides[0] == 0:
                z = z[:1]  # one row of logits at many temperatures
        self._rows, self._z = rows, frozen(z)
        known = self._ways is not None and self._ways.rising  # else the smallest
        self._top = rows.top if known else None

    @once
    def _given(self) -> tuple[Any, Any, _Ways]:
        """Logits, the top of each row and the ways to d; or d itself, where it takes more care."""
        ways = self._ways
        if ways is not None:
            top = _tops(self._z, ways.factor, self.count) if self._top is None else self._top
            if _near(top, self._limits.far):
                return self._z, frozen(top), ways
        # A prior, or a gap or β at the edge of the range.
        d = np.empty(self._rows.z.shape, self.dtype)
        centre(self._rows, d)
        return frozen(d), frozen(np.zeros(len(d), d.dtype)), _ONE

    @once
    def _careful(self) -> tuple[Any, Any, Any, Any]:
        z, top, ways = self._given
        return z, top, ways.way, ways.scale

    @once
    def _quick(self) -> tuple[Any, Any, Any, Any]:
        z, top, ways = self._given
        return z, top, ways.quick, ways.factor

    # ------------------------------------------------------------------ arrays like the logits

    def make_d(self) -> Any:
        return self._filled(fill_d)

    def make_log_probs(self, workers: int = 1) -> Any:
        return self._filled(log_probs_together if self.width <= NARROW else log_probs, workers)

    def make_probs(self, workers: int = 1) -> Any:
        return self._filled(probs_together if self.width <= NARROW else probs, workers)

    def _filled(self, answer: Callable[..., None], workers: int = 1) -> Any:
        out = None if workers == 1 else self._filled_in_passing(answer, workers)
        if out is None:
            given = self._careful  # which may take memory of its own for a while
            out = np.empty((self.count, self.width), self.dtype)
            self._call(answer, *given, out, workers=workers)
        return out.reshape(self.shape)

    def _filled_in_passing(self, answer: Callable[..., None], workers: int) -> Any:
        """Fill long rows whose tops are found on the way, while the rows are in the cache.

        Two workers take 0.7 to 0.95 of the time that they need where all tops are found first; one
        gains nothing. None where the tops are known, or another way has to be gone.
        """
        z, ways = self._z, self._ways
        if self._top is not None or ways is None or not ways.rising:
            return None
        if self.width <= BLOCK or len(z) < self.count:
            return None
        top, out = np.empty(self.count, self.dtype), np.empty((self.count, self.width), self.dtype)
        seen, far = frozen(top), []

        def work(first: int, last: int) -> None:
            own = z[first:last].max(axis=-1, out=top[first:last])
            if not _near(own, self._limits.far):
                far.append(first)
            if not far:
                answer(first, last, z, seen, ways.way, ways.scale, out)

        self._call(work, workers=workers)
        self._top = seen
        return None if far else out

    # ------------------------------------------------------------------ numbers of a row

    @once
    def _numbers(self) -> tuple[Any, Any]:
        """log1p(s) and H of every row, in float64."""
        level, entropy = np.empty(self.count), np.empty(self.count)
        answer = numbers_together if self.width <= NARROW else numbers
        answer(0, self.count, *self._careful, level, entropy)
        return level, entropy

    def make_entropy(self) -> Any:
        found = self._numbers[1]
        if not self.batch:
            return self.dtype.type(found[0])
        return found.astype(self.dtype).reshape(self.batch)

    def log_prob(self, category: int) -> Any:
        return self.dtype.type(one_log_prob(*self._careful, self._numbers[0], category))

    def log_prob_each(self, x: Any) -> Any:
        if x.dtype != np.int64 or not x.flags.c_contiguous:
            return None
        out = np.empty(self.batch, self.dtype)
        args = self._careful, self._numbers[0], x.reshape(-1), out.reshape(-1)
        return out if each_log_prob(*args[0], *args[1:]) else None

    # ------------------------------------------------------------------ draws

    def draw_few(self, u: Any, workers: int = 1) -> Any:
        out, tiny, quick = np.empty(u.shape, np.int64), self._limits.tiny, self._quick
        if self.width <= BLOCK:
            way = invert_together if len(u) == 1 else invert_short
            self._call(way, *quick, tiny, u, out, workers=workers)
            return out
        found = self.__dict__.get("_sums")
        running = self._space_for_sums() if found is None else found

        def answer(first: int, last: int) -> None:
            if found is None:
                sums(first, last, *quick, running)
            invert(first, last, *quick, running, tiny, u, out)

        self._call(answer, workers=workers)
        self.__dict__["_sums"] = running
        return out

    def draw(self, u: float) -> Any:
        tiny = self._limits.tiny
        if self.width <= BLOCK:
            return np.int64(invert_one_short(*self._quick, tiny, u))
        found = self.__dict__.get("_sums")
        if found is not None:
            return np.int64(invert_one(*self._quick, found, tiny, u))
        found = self._space_for_sums()
        drawn = np.int64(sum_and_invert_one(*self._quick, found, tiny, u))
        self.__dict__["_sums"] = found
        return drawn

    def _space_for_sums(self) -> Any:
        """For the running sums of blocks, which are kept, since they are few."""
        return np.empty((self.count, -(-self.width // BLOCK)))

    def _call(self, answer: Callable[..., None], *args: Any, workers: int) -> None:
        """Call a kernel for all rows, or for a few of them at a time."""
        if workers == 1:
            answer(0, self.count, *args)
            return
        together = min(_TOGETHER, self.count // (4 * workers)) * self.width
        parts = blocks(self.count, self.width, max(_SHARED, together))
        share(lambda rows: answer(rows.start, rows.stop, *args), parts, workers)


_PLAIN_WAY, _UNIT = frozen(np.array([PLAIN], np.int8)), frozen(np.ones(1))
_ONE = _Ways(_PLAIN_WAY, _UNIT, _PLAIN_WAY, _UNIT)


def law_of(z: Any, temperature: Temperature, prior: Any, batch: Shape, top: Any = None) -> Law:
    """The law of a batch of logits (..., K)."""
    width = z.shape[-1]
    short = width <= WIDTH and width * math.prod(batch) <= SIZE
    if short and (prior is None or prior.dtype.kind == "b"):
        if batch or prior is not None:
            rows = rows_of(z, temperature, prior, batch)
            logits = frozen(rows.z) if prior is None else _masked(rows.z, rows.prior)
            law = short_law(logits, rows.temperature, batch)
        else:  # one row, the common case after a truncation
            law = short_law(frozen(z), temperature, batch)
        if law is not None:
            return law
    return Compiled(rows_of(z, temperature, prior, batch, top), batch)


def _masked(z: Any, mask: Any) -> Any:
    """Without what a mask leaves out, as a logit of -inf does."""
    return frozen(np.where(mask, z, z.dtype.type(-np.inf)))


def _ways(dtype: Any, temperature: Temperature) -> _Ways | None:
    """How d follows from the gaps; None where some β is too extreme for a product."""
    limits, value = LIMITS[dtype.char], temperature.value
    coldness = np.atleast_1d(temperature.coldness)
    cold, size = np.atleast_1d(temperature.infinite), np.abs(coldness)
    limit = cold | (coldness == 0)
    if not (limit | ((limits.tiny <= size) & (size <= limits.max))).all():
        return None
    if value is None or dtype == np.float32:
        exact = dtype == np.float64 or coldness.astype(dtype) == coldness
        way, scale = np.where(exact, TIMES, WIDE), coldness
    else:
        way, scale = np.full(coldness.shape, RATIO), np.atleast_1d(value)
    quick = np.where(coldness == 0, HOT, np.where(cold, COLDEST, TIMES))
    quick = np.where(coldness == 1, PLAIN, quick)
    way = np.where(limit | (coldness == 1), quick, way)
    rising = not (coldness < 0).any()
    way, quick = frozen(way.astype(np.int8)), frozen(quick.astype(np.int8))
    return _Ways(way, frozen(scale), quick, frozen(coldness), rising)


_ways_of_one = lru_cache(_ways)  # ten array calls cost as much as some kernels


def _tops(z: Any, coldness: Any, count: int) -> Any:
    top = np.empty(count, z.dtype)
    if z.shape[1] > BLOCK and (coldness >= 0).all():
        top[:] = z.max(axis=-1)  # the one pass that NumPy does as fast
    else:
        tops(z, coldness, top)
    return top


def _near(top: Any, far: float) -> bool:
    """Whether no gap to a top can overflow."""
    if len(top) == 1:
        return not abs(float(top[0])) > far
    return not (np.abs(top) > far).any()
