"""A few short rows: one kernel prepares all that is ever asked of them, others look it up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape, ignore_fp_errors
from softargmax._rows.compiled.maths import exp, kernel, log1p, part, short_kernel
from softargmax._rows.law import Law
from softargmax._rows.rows import Temperature

WIDTH = 256  # categories, and elements of all rows, up to which they are prepared
SIZE = 4096
UNITS = {"f": np.float32(1), "d": np.float64(1)}  # a product is made faster than a scalar
_CATEGORIES = [np.int64(i) for i in range(WIDTH)]  # making one takes as long as a draw


# What is prepared of a row, in float64: d, the running sums of weights and the logits, K of each;
# then log1p(s) and the entropy.
ARRAYS, NUMBERS = 3, 2


@part
def width_of(memory: Any) -> Any:
    """K, of rows that are prepared."""
    return np.uint64(memory.shape[1] - NUMBERS) // np.uint64(ARRAYS)


@kernel
def prepare(logits: Any, coldness: Any, value: Any, memory: Any) -> Any:
    """Prepare as many rows as ``memory`` has; ``logits`` holds them one after the other, in 1-d.

    ``value`` is the temperature, NaN where β was given. Weights that are no normal part of the sum
    are left out of the running sums. False is returned where d needs more care than here.
    """
    width, cold, tiny = width_of(memory), abs(coldness), np.float64(np.finfo(logits.dtype).tiny)
    # T = inf, or T = 0 and not a T so small that 1/T overflows.
    at_limit = cold == 0 or (cold == np.inf and not value > 0)
    if not (at_limit or 1e-30 < cold < 1e30):
        return False
    for i in range(len(memory)):
        d, weights = memory[i, :width], memory[i, width : 2 * width]
        first, z = np.uint64(i) * width, memory[i, 2 * width : 3 * width]
        top, bad = -np.inf, False
        for j in range(width):  # the one look at what another thread may change
            z[j] = np.float64(logits[first + np.uint64(j)])
        for j in range(width):
            x = z[j]
            d[j] = -x if coldness < 0 and x > -np.inf else x
            bad |= x != x
        for j in range(width):
            top = d[j] if d[j] > top else top
        if bad or not -1e300 < top < 1e300:
            return False
        if cold == 1:
            for j in range(width):
                d[j] -= top
        elif cold == np.inf:
            for j in range(width):
                d[j] = 0.0 if d[j] == top else -np.inf
        elif cold == 0:
            for j in range(width):
                d[j] = 0.0 if d[j] > -np.inf else -np.inf
        elif value == value:  # dividing saves a rounding
            for j in range(width):
                d[j] = (d[j] - top) / value
        else:
            for j in range(width):
                d[j] = (d[j] - top) * cold
        for j in range(width):
            weights[j] = exp(d[j])
        rest, mean, ties = 0.0, 0.0, 0
        for j in range(width):
            if d[j] == 0:
                ties += 1
            elif weights[j] > 0:
                rest += weights[j]
                mean += weights[j] * d[j]
            elif -np.inf < d[j] < -1e30:
                return False  # in float32 it would be -inf
        s, least, reached = rest + (ties - 1), tiny * (rest + ties), 0.0
        for j in range(width):
            reached += weights[j] if weights[j] >= least else 0.0
            weights[j] = reached
        level = log1p(s)
        memory[i, -2], memory[i, -1] = level, level - mean / (1 + s)
    return True


@short_kernel
def prepare_one(logits: Any, coldness: Any, value: Any, memory: Any) -> Any:
    """Prepare the one row that there is."""
    return prepare(logits, coldness, value, memory)


@kernel
def divide(memory: Any, out: Any) -> Any:
    """p = exp(d)/Σ exp(d), in float64."""
    width = out.shape[1]
    for i in range(len(out)):
        row, d, total = out[i], memory[i, :width], 0.0
        for j in range(width):
            row[j] = exp(d[j])
        for j in range(width):
            total += row[j]
        for j in range(width):
            row[j] /= total


@short_kernel
def pick(memory: Any, row: Any, u: Any) -> Any:
    """The first category of a row whose running sum passes a part of the whole.

    It is the last where none does, since u·total may round to the total. All are compared: branches
    on random levels, as in a search by halves, cannot be guessed.
    """
    width, passed = width_of(memory), np.int64(0)
    level, last = u * memory[row, 2 * width - np.uint64(1)], width - np.uint64(1)
    for j in range(last):
        passed += np.int64(memory[row, width + np.uint64(j)] <= level)
    return passed


@short_kernel
def pick_one(memory: Any, u: Any) -> Any:
    """The category of the one row that a uniform picks, and its log p."""
    found = pick(memory, 0, u)
    return found, memory[0, np.uint64(found)] - memory[0, -2]


@kernel
def pick_all(memory: Any, u: Any, out: Any) -> Any:
    """The categories of uniforms (n, rows)."""
    for k in range(len(u)):
        for i in range(len(memory)):
            out[k, i] = pick(memory, i, u[k, i])


@kernel
def entropies(memory: Any, out: Any) -> None:
    """H of each row, in the dtype of ``out``."""
    for i in range(len(out)):
        out[i] = memory[i, -1]


@kernel
def look_up(memory: Any, x: Any, out: Any) -> Any:
    """log p of one category of each row; False where one is out of range."""
    for i in range(len(x)):
        if not 0 <= x[i] < np.int64(width_of(memory)):
            return False
        out[i] = memory[i, x[i]] - memory[i, -2]
    return True


@ignore_fp_errors
def _cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


class Prepared(Law):
    """A few short rows, in float64 whatever the dtype."""

    def __init__(self, dtype: Any, batch: Shape, width: int, memory: Any) -> None:
        self.dtype = dtype
        self.batch = batch
        self.width = width
        self._memory = memory  # what is prepared of every row

    # ------------------------------------------------------------------ arrays like the logits

    def make_logits(self) -> Any:
        return self._home(self._memory[:, 2 * self.width : 3 * self.width])

    def make_d(self) -> Any:
        return self._home(self._d)

    def make_log_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        return self._home(self._d - self._memory[:, -2:-1])

    def make_probs(self, workers: int = 1) -> Any:  # noqa: ARG002
        out = np.empty((self.count, self.width))
        divide(self._memory, out)
        return self._home(out)

    @property
    def _d(self) -> Any:
        return self._memory[:, : self.width]

    def _home(self, x: Any) -> Any:
        made = x.copy() if x.dtype == self.dtype else _cast(x, self.dtype)
        return made.reshape((*self.batch, *x.shape[1:]))

    # ------------------------------------------------------------------ numbers of a row

    def make_entropy(self) -> Any:
        if not self.batch:
            return UNITS[self.dtype.char] * self._memory.item(0, -1)
        out = np.empty(self.batch, self.dtype)
        entropies(self._memory, out.reshape(-1))  # 1 µs less than NumPy's cast with its guard
        return out

    def log_prob(self, category: int) -> Any:
        memory = self._memory
        return UNITS[self.dtype.char] * (memory.item(0, category) - memory.item(0, -2))

    def log_prob_each(self, x: Any) -> Any:
        if x.dtype != np.int64 or not x.flags.c_contiguous:
            return None
        out = np.empty(self.batch, self.dtype)
        fine = look_up(self._memory, x.reshape(-1), out.reshape(-1))
        return out if fine else None

    # ------------------------------------------------------------------ draws

    def draw_few(self, u: Any, workers: int = 1) -> Any:  # noqa: ARG002
        out = np.empty(u.shape, np.int64)
        pick_all(self._memory, u, out)
        return out

    def draw(self, u: float) -> Any:
        return _CATEGORIES[pick(self._memory, 0, u)]

    def draw_and_log_prob(self, u: float) -> tuple[Any, Any]:
        category, log_p = pick_one(self._memory, u)  # one call takes 0.75 of the time of two
        return _CATEGORIES[category], UNITS[self.dtype.char] * log_p


def short_law(z: Any, temperature: Temperature, batch: Shape | None = None) -> Prepared | None:
    """The law of a few short rows (..., K); None of others, and where they need more care."""
    shape, size = z.shape, z.size
    width = shape[-1]
    if size > SIZE or width > WIDTH:
        return None
    memory = np.empty((size // width, ARRAYS * width + NUMBERS))
    coldness, value = temperature
    value = math.nan if value is None else value
    if type(coldness) is not float:
        fine = _each(z.reshape(-1, width), coldness, value, memory)
    elif len(shape) == 1:
        fine = prepare_one(z, coldness, value, memory)
    else:
        fine = prepare(z.reshape(-1), coldness, value, memory)
    if not fine:
        return None
    return Prepared(z.dtype, shape[:-1] if batch is None else batch, width, memory)


def _each(rows: Any, coldness: Any, value: Any, memory: Any) -> bool:
    """``prepare`` for a temperature of its own for each row."""
    both = (np.broadcast_to(x, len(rows)).tolist() for x in (coldness, value))
    return all(
        prepare_one(rows[i], cold, own, memory[i : i + 1])
        for i, (cold, own) in enumerate(zip(*both, strict=True))
    )
