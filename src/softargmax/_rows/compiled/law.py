"""The law of rows by kernels, whatever their shape: one pass or two over the logits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import Shape
from softargmax._rows.blocks import BELOW_ONE
from softargmax._rows.centre import centre
from softargmax._rows.compiled.maths import BLOCK, LANE, exp, frozen, kernel, log1p, part, weight
from softargmax._rows.compiled.prepared import SIZE, WIDTH, Prepared
from softargmax._rows.law import Law
from softargmax._rows.memory import blocks, kept
from softargmax._rows.rows import LIMITS, Rows, Temperature, rows_of
from softargmax._rows.threads import share

# How d follows from the gap to the top. The careful ones round once.
_PLAIN = 0  # β = 1
_TIMES = 1  # β·gap in the dtype
_WIDE = 2  # β·gap in float64
_RATIO = 3  # gap/T in float64
_COLDEST = 4  # T = 0
_HOT = 5  # β = 0
_SHARED = 2**15  # elements of a block of rows that a worker takes


@part
def fill(z: Any, top: Any, way: Any, scale: Any, d: Any) -> Any:
    """Write d of some logits of a row to the front of ``d``, filled up with -inf to whole lanes.

    The number of elements written is returned.
    """
    count = len(z)
    d[0] = -np.inf
    d[1] = scale
    d[2] = 0.0
    void, factor, zero = d[0], d[1], d[2]
    if way == _PLAIN:
        for j in range(count):
            d[j] = z[j] - top
    elif way == _TIMES:
        for j in range(count):
            x = z[j]
            d[j] = (x - top) * factor if x > void else void
    elif way == _WIDE:
        for j in range(count):
            x = z[j]
            d[j] = np.float64(x - top) * scale if x > void else -np.inf
    elif way == _RATIO:
        for j in range(count):
            d[j] = np.float64(z[j] - top) / scale
    elif way == _COLDEST:
        for j in range(count):
            d[j] = zero if z[j] == top else void
    else:
        for j in range(count):
            d[j] = zero if z[j] > void else void
    width = (count + LANE - 1) // LANE * LANE
    for j in range(count, width):
        d[j] = void
    return width


@part
def total_of(e: Any, width: Any) -> Any:
    """The sum of whole lanes of e, as a tree whose shape depends on the width alone; e is lost."""
    n = width // LANE
    while n > 1:
        half = (n + 1) // 2
        for j in range((n - half) * LANE):
            e[j] += e[half * LANE + j]
        n = half
    n = LANE
    while n > 1:
        n //= 2
        for j in range(n):
            e[j] += e[n + j]
    return np.float64(e[0])


@part
def below(d: Any, n: Any, e: Any, ties: Any) -> Any:
    """Weights of what is below the top, and a count of what is at the top."""
    e[0] = 0.0
    e[1] = 1.0
    zero, one = e[0], e[1]
    for j in range(n):
        e[j] = weight(d[j]) if d[j] < zero else zero
        ties[j] += one if d[j] == zero else zero


@part
def ties_but_one(ties: Any, lanes: Any) -> Any:
    """How many categories are at the top, but one; NaN where none is, as in a row with a NaN."""
    count = total_of(ties, lanes)
    return count - 1.0 if count > 0 else np.nan


@kernel
def tops(z: Any, coldness: Any, top: Any) -> Any:
    """The largest logit of each row; where β < 0 the smallest above -inf. NaN where one is NaN."""
    rows, width = z.shape
    for i in range(rows):
        row, best = z[i], z[i, 0]
        if coldness[i if len(coldness) > 1 else 0] >= 0:
            for j in range(width):
                best = row[j] if row[j] > best or row[j] != row[j] else best
        else:
            for j in range(width):
                lower = best == -np.inf or -np.inf < row[j] < best
                best = row[j] if lower or row[j] != row[j] else best
        top[i] = best


@kernel
def numbers(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, s: Any, entropy: Any
) -> Any:
    """s = Σ exp(d) of each row over all categories but one at the top, and its entropy."""
    width = z.shape[1]
    d, e, ties = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        rest, mean = 0.0, 0.0
        lanes = min(BLOCK, (width + LANE - 1) // LANE * LANE)
        ties[:lanes] = 0
        for start in range(0, width, BLOCK):
            n = fill(z[i, start : start + BLOCK], top[i], way[own], scale[own], d)
            below(d, n, e, ties)
            for j in range(n):
                d[j] = e[j] * d[j] if e[j] > 0 else e[j]
            rest += total_of(e, n)
            mean += total_of(d, n)
        s[i] = rest + ties_but_one(ties, lanes)
        entropy[i] = log1p(s[i]) - mean / (1 + s[i])


@kernel
def fill_d(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """d."""
    width = z.shape[1]
    d = np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        for start in range(0, width, BLOCK):
            count = min(BLOCK, width - start)
            fill(z[i, start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(count):
                out[i, start + j] = d[j]


@kernel
def log_probs(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """log p = d - log1p(s)."""
    width = z.shape[1]
    d, e, ties = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        rest = 0.0
        lanes = min(BLOCK, (width + LANE - 1) // LANE * LANE)
        ties[:lanes] = 0
        for start in range(0, width, BLOCK):
            count = min(BLOCK, width - start)
            n = fill(z[i, start : start + BLOCK], top[i], way[own], scale[own], d)
            below(d, n, e, ties)
            rest += total_of(e, n)
        e[0] = log1p(rest + ties_but_one(ties, lanes))
        level = e[0]
        for start in range(0, width, BLOCK):
            count = min(BLOCK, width - start)
            fill(z[i, start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(count):
                out[i, start + j] = d[j] - level


@kernel
def probs(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """p = exp(d)/Σ exp(d)."""
    width = z.shape[1]
    d, e = np.empty(BLOCK, z.dtype), np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        total = 0.0
        for start in range(0, width, BLOCK):
            count = min(BLOCK, width - start)
            n = fill(z[i, start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(n):
                e[j] = exp(d[j])
            for j in range(count):
                out[i, start + j] = e[j]
            total += total_of(e, n)
        e[0] = total if total >= 1 else np.nan
        divisor = e[0]
        for j in range(width):
            out[i, j] /= divisor


@kernel
def sums(first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, out: Any) -> Any:
    """The running sums (rows, ⌈K/BLOCK⌉) of blocks of weights, in float64."""
    width = z.shape[1]
    d = np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        total = 0.0
        for start in range(0, width, BLOCK):
            n = fill(z[i, start : start + BLOCK], top[i], way[own], scale[own], d)
            for j in range(n):
                d[j] = weight(d[j])
            total += total_of(d, n)
            out[i, start // BLOCK] = total


@part
def pick(z: Any, top: Any, way: Any, scale: Any, running: Any, tiny: Any, u: Any, d: Any) -> Any:
    """The category of a uniform in one row: a block by the running sums, then within the block."""
    end = len(running) - 1
    level, low, high = u * running[end], 0, end
    while low < high:
        middle = (low + high) // 2
        if running[middle] > level:
            high = middle
        else:
            low = middle + 1
    before = running[low - 1] if low else 0.0
    inside = min((level - before) / (running[low] - before), BELOW_ONE)
    some = z[low * BLOCK : (low + 1) * BLOCK]
    n = fill(some, top, way, scale, d)
    for j in range(n):
        d[j] = weight(d[j])
    found = scan(d, len(some), inside, tiny * running[end])
    if found >= 0:
        return low * BLOCK + found
    found = 0  # all are below the floor, as they can be at u = 0: the likeliest stands in
    while z[found] != top:
        found += 1
    return found


@part
def scan(weights: Any, count: Any, inside: Any, least: Any) -> Any:
    """The first category whose running sum passes a part of the whole; -1 where all weights are
    below the least, which is as good as 0.
    """
    total, reached = 0.0, 0.0
    for j in range(count):
        total += weights[j] if weights[j] >= least else 0.0
    goal = inside * total
    for j in range(count):
        reached += weights[j] if weights[j] >= least else 0.0
        if reached > goal:
            return j
    return -1


@kernel
def invert(
    first: Any,
    last: Any,
    z: Any,
    top: Any,
    way: Any,
    scale: Any,
    running: Any,
    tiny: Any,
    u: Any,
    out: Any,
) -> Any:
    """The categories of uniforms (n, rows) in [0, 1), by the running sums of blocks."""
    d = np.empty(BLOCK, z.dtype)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        for k in range(len(u)):
            out[k, i] = pick(z[i], top[i], way[own], scale[own], running[i], tiny, u[k, i], d)


@kernel
def invert_one(z: Any, top: Any, way: Any, scale: Any, running: Any, tiny: Any, u: Any) -> Any:
    """The category of one uniform and one row, by the running sums of blocks."""
    d = np.empty(BLOCK, z.dtype)
    return pick(z[0], top[0], way[0], scale[0], running[0], tiny, u, d)


@kernel
def invert_short(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, tiny: Any, u: Any, out: Any
) -> Any:
    """The categories of uniforms (n, rows) in [0, 1), for rows that are one block."""
    width = z.shape[1]
    d, reached = np.empty(BLOCK, z.dtype), np.empty(BLOCK)
    for i in range(first, last):
        own = i if len(way) > 1 else 0
        total = add_up(z[i], top[i], way[own], scale[own], tiny * width, d, reached)
        for k in range(len(u)):
            level, j = u[k, i] * total, 0
            while reached[j] <= level:
                j += 1
            out[k, i] = j


@kernel
def invert_together(
    first: Any, last: Any, z: Any, top: Any, way: Any, scale: Any, tiny: Any, u: Any, out: Any
) -> Any:
    """As ``invert_short`` for one uniform a row, by columns of LANE rows, summed together."""
    width = z.shape[1]
    d = np.empty(BLOCK, z.dtype)
    d[0] = tiny * width
    # One product for all rows at once: a third of the time of ``fill`` row by row.
    simple = len(way) == 1 and way[0] <= _TIMES and scale[0] > 0
    d[1] = scale[0] if simple else 1.0
    least, factor = d[0], d[1]
    flat, total, passed = np.zeros(width * LANE, z.dtype), np.empty(LANE), np.empty(LANE)
    weights = flat.reshape(width, LANE)
    for start in range(first, last, LANE):
        rows = min(LANE, last - start)
        for r in range(rows):
            i = start + r
            if simple:
                row, own_top = z[i], top[i]
                for j in range(width):
                    weights[j, r] = row[j] - own_top
            else:
                own = i if len(way) > 1 else 0
                fill(z[i], top[i], way[own], scale[own], d)
                for j in range(width):
                    weights[j, r] = d[j]
        for j in range(len(flat)):
            w = weight(flat[j] * factor)
            flat[j] = w if w >= least else w - w
        for r in range(LANE):
            whole = 0.0
            for j in range(width):
                whole += weights[j, r]
            total[r] = whole
        for r in range(rows):
            total[r] *= u[0, start + r]
        for r in range(LANE):
            level, reached, found = total[r], 0.0, 0
            for j in range(width):
                reached += weights[j, r]
                found += reached <= level
            passed[r] = found
        for r in range(rows):
            out[0, start + r] = np.int64(passed[r])


@kernel
def invert_one_short(z: Any, top: Any, way: Any, scale: Any, tiny: Any, u: Any) -> Any:
    """The category of one uniform, for one row that is one block."""
    d, reached = np.empty(BLOCK, z.dtype), np.empty(BLOCK)
    total = add_up(z[0], top[0], way[0], scale[0], tiny * z.shape[1], d, reached)
    level, j = u * total, 0
    while reached[j] <= level:
        j += 1
    return j


@part
def add_up(z: Any, top: Any, way: Any, scale: Any, least: Any, d: Any, reached: Any) -> Any:
    """The running sums of a row's weights, without those below the least; the last is returned."""
    n, total = fill(z, top, way, scale, d), 0.0
    for j in range(n):
        d[j] = weight(d[j])
    for j in range(len(z)):
        total += d[j] if d[j] >= least else 0.0
        reached[j] = total
    return total


@kernel
def one_log_prob(z: Any, top: Any, way: Any, scale: Any, s: Any, x: Any) -> Any:
    """log p of one category of one row."""
    d = np.empty(LANE, z.dtype)
    fill(z[0, x : x + 1], top[0], way[0], scale[0], d)
    d[1] = log1p(s[0])
    return np.float64(d[0] - d[1])


@kernel
def each_log_prob(z: Any, top: Any, way: Any, scale: Any, s: Any, x: Any, out: Any) -> Any:
    """log p of one category of each row; False where one is out of range."""
    d = np.empty(LANE, z.dtype)
    for i in range(len(x)):
        own = i if len(way) > 1 else 0
        if not 0 <= x[i] < z.shape[1]:
            return False
        fill(z[i, x[i] : x[i] + 1], top[i], way[own], scale[own], d)
        d[1] = log1p(s[i])
        out[i] = d[0] - d[1]
    return True


class _Ways(NamedTuple):
    """How d follows from the gaps of all rows, or of each: carefully and quickly."""

    way: Any
    scale: Any  # β or T
    quick: Any
    factor: Any  # β


class Compiled(Law):
    """Rows whose every answer is one call of a kernel."""

    def __init__(self, rows: Rows, batch: Shape) -> None:
        self.batch, self.width = batch, rows.z.shape[-1]
        z, temperature = rows.z, rows.temperature
        self.dtype = z.dtype
        if rows.prior is not None and rows.prior.dtype.kind == "b":
            z = _masked(z, rows.prior)
            rows = Rows(z, temperature)
        ways = None if rows.prior is not None else _ways(z.dtype, temperature)
        if ways is not None:
            z = np.ascontiguousarray(z)
            top = _tops(z, ways.factor) if rows.top is None else rows.top
            if not _near(top, LIMITS[z.dtype.char].far):
                ways = None
        if ways is None:  # a prior, or a gap or β at the edge of the range: with more care
            d = np.empty(z.shape, z.dtype)
            centre(rows, d)
            z, top, ways = d, np.zeros(len(z), z.dtype), _ONE
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

    @kept
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
        return np.int64(invert_one(*self._quick, self._running(), self._tiny, u))

    def _running(self, workers: int = 1) -> Any:
        """The running sums of blocks, which are kept, since they are few."""
        found = self.__dict__.get("_sums")
        if found is None:
            found = np.empty((self.count, -(-self.width // BLOCK)))
            self._call(sums, *self._quick, found, workers=workers)
            self.__dict__["_sums"] = found
        return found

    def _call(self, answer: Callable[..., None], *args: Any, workers: int) -> None:
        """Call a kernel for all rows, or for a few of them at a time."""
        if workers == 1:
            answer(0, self.count, *args)
            return
        parts = blocks(self.count, self.width, _SHARED)
        share(lambda rows: answer(rows.start, rows.stop, *args), parts, workers)


_PLAIN_WAY = np.array([_PLAIN], np.int8)
_ONE = _Ways(_PLAIN_WAY, np.ones(1), _PLAIN_WAY, np.ones(1))


def law_of(z: Any, temperature: Temperature, prior: Any, batch: Shape, top: Any = None) -> Law:
    """The law of a batch of logits (..., K)."""
    rows = rows_of(z, temperature, prior, batch, top)
    if rows.z.size <= SIZE and z.shape[-1] <= WIDTH and (prior is None or prior.dtype.kind == "b"):
        logits = frozen(rows.z) if prior is None else _masked(rows.z, rows.prior)
        law = Prepared.of(logits, temperature, batch)
        if law is not None:
            return law
    return Compiled(rows, batch)


def _masked(z: Any, mask: Any) -> Any:
    """Without what a mask leaves out, as a logit of -inf does."""
    return frozen(np.where(mask, z, z.dtype.type(-np.inf)))


def _ways(dtype: Any, temperature: Temperature) -> _Ways | None:
    """How d follows from the gaps; None where some β is too extreme for a product."""
    coldness, value = temperature
    if type(coldness) is float and coldness == 1:
        return _ONE
    limits, coldness = LIMITS[dtype.char], np.atleast_1d(coldness)
    cold, size = np.atleast_1d(temperature.infinite), np.abs(coldness)
    limit = cold | (coldness == 0)
    if not (limit | ((limits.tiny <= size) & (size <= limits.max))).all():
        return None
    if value is None or dtype == np.float32:
        exact = dtype == np.float64 or coldness.astype(dtype) == coldness
        way, scale = np.where(exact, _TIMES, _WIDE), coldness
    else:
        way, scale = np.full(coldness.shape, _RATIO), np.atleast_1d(value)
    quick = np.where(coldness == 0, _HOT, np.where(cold, _COLDEST, _TIMES))
    way = np.where(limit, quick, way)
    return _Ways(way.astype(np.int8), scale, quick.astype(np.int8), coldness)


def _tops(z: Any, coldness: Any) -> Any:
    if z.shape[1] > BLOCK and (coldness >= 0).all():
        return z.max(axis=-1)  # the one pass that NumPy does as fast
    top = np.empty(len(z), z.dtype)
    tops(frozen(z), coldness, top)
    return top


def _near(top: Any, far: float) -> bool:
    """Whether no gap to a top can overflow."""
    if len(top) == 1:
        return not abs(float(top[0])) > far
    return not (np.abs(top) > far).any()
