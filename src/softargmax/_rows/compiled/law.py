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
        self.dtype = z.dtype
        if rows.prior is not None and rows.prior.dtype.kind == "b":
            z = _masked(z, rows.prior)
            rows = Rows(z, temperature)
        ways = None
        if rows.prior is None:
            one = type(temperature.coldness) is float
            ways = (_ways_of_one if one else _ways)(z.dtype, temperature)
        if ways is not None:
            if len(z) > 1 and z.strides[0] == 0:
                z = z[:1]  # one row of logits at many temperatures
            z = frozen(z)
            known = rows.top is not None and ways.rising  # else the smallest
            top = rows.top if known else _tops(z, ways.factor, self.count)
            if not _near(top, LIMITS[z.dtype.char].far):
                ways = None
        if ways is None:  # a prior, or a gap or β at the edge of the range: with more care
            d = np.empty(rows.z.shape, rows.z.dtype)
            centre(rows, d)
            z, top, ways = d, np.zeros(len(d), d.dtype), _ONE
        # One kind of array, so that kernels are compiled once.
        z, top = frozen(z), frozen(top)
        self._careful = z, top, ways.way, ways.scale
        self._quick = z, top, ways.quick, ways.factor
        self._tiny = LIMITS[z.dtype.char].tiny

    # ------------------------------------------------------------------ arrays like the logits

    def make_d(self) -> Any:
        return self._filled(fill_d)

    def make_log_probs(self, workers: int = 1) -> Any:
        return self._filled(log_probs, workers)

    def make_probs(self, workers: int = 1) -> Any:
        return self._filled(probs, workers)

    def _filled(self, answer: Callable[..., None], workers: int = 1) -> Any:
        out = np.empty((self.count, self.width), self.dtype)
        self._call(answer, *self._careful, out, workers=workers)
        return out.reshape(self.shape)

    # ------------------------------------------------------------------ numbers of a row

    @once
    def _numbers(self) -> tuple[Any, Any]:
        """s and H of every row, in float64."""
        s, entropy = np.empty(self.count), np.empty(self.count)
        numbers(0, self.count, *self._careful, s, entropy)
        return s, entropy

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
        out = np.empty(u.shape, np.int64)
        if self.width <= BLOCK:
            way = invert_together if len(u) == 1 else invert_short
            self._call(way, *self._quick, self._tiny, u, out, workers=workers)
        else:
            running = self._running(workers)
            self._call(invert, *self._quick, running, self._tiny, u, out, workers=workers)
        return out

    def draw(self, u: float) -> Any:
        if self.width <= BLOCK:
            return np.int64(invert_one_short(*self._quick, self._tiny, u))
        found = self.__dict__.get("_sums")
        if found is not None:
            return np.int64(invert_one(*self._quick, found, self._tiny, u))
        found = self._space_for_sums()
        drawn = np.int64(sum_and_invert_one(*self._quick, found, self._tiny, u))
        self.__dict__["_sums"] = found
        return drawn

    def _running(self, workers: int = 1) -> Any:
        """The running sums of blocks, which are kept, since they are few."""
        found = self.__dict__.get("_sums")
        if found is None:
            found = self._space_for_sums()
            self._call(sums, *self._quick, found, workers=workers)
            self.__dict__["_sums"] = found
        return found

    def _space_for_sums(self) -> Any:
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
