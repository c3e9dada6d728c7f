"""Categories of one long row, and all else about them on demand."""

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import quiet
from softargmax._blocks import BlockSums
from softargmax._inputs import ONE, Heat, Inputs
from softargmax._kernels import LIMITS, centred, multiply
from softargmax._scores import Scores, plain_coldness
from softargmax._sums import LONG, WIDTH, row_sums

_GROUP = 32  # scores that are compared before the k largest are looked for
_SPACIOUS = 2**18  # elements of an intermediate array that is kept
_EPS = float(np.finfo(np.float64).eps)
SLACK = 4  # units in the last place within which a score is taken to be on its bound


class Space(threading.local):
    """Memory for the intermediate arrays of a long row, kept by every thread.

    Unlike :class:`softargmax._arrays.Scratch` it has names, under which one stage finds what the
    one before has left.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.owner: object = None  # the mark of the row whose d and weights they hold

    def get(self, name: str, size: int, dtype: Any) -> Any:
        """An array that nobody else of this thread uses by that name."""
        if size > _SPACIOUS:
            return np.empty(size, dtype)
        key = name + np.dtype(dtype).char
        array = self.arrays.get(key)
        if array is None or len(array) < size:
            array = self.arrays[key] = np.empty(size, dtype)
        return array[:size]


_SPACE = Space()


class Row:
    """Categories of one row, scores that order them, and what follows from these when asked for.

    The scores q are logits, of a finite positive coldness, or d = β·gap + log π₀ themselves; those
    of probability 0 may be among them only as -inf.
    """

    def __init__(
        self, indices: Any, q: Any, heat: Heat = ONE, top: Any = None, *, passing: bool = False
    ) -> None:
        self.indices = indices  # ascending; None where they are all
        # Used by one stage alone, and so in memory that is kept; the mark says whose it is.
        self.passing = object() if passing else None
        self.q = q
        self.heat = heat
        self.top = q.max() if top is None else top

    @classmethod
    def of(cls, given: Inputs) -> "Row":
        """One row of inputs, without batch axes or with those of :func:`_kernels.rows_of`."""
        z, heat = given.z.reshape(-1), given.heat
        if type(heat.coldness) is not float:
            heat = Heat(*(None if x is None else float(np.ravel(x)[0]) for x in heat))
        if given.prior is None:
            top = z.max() if given.top is None else np.ravel(given.top)[0]
            if plain_coldness(given._replace(heat=heat), top) is not None:
                return cls(None, z, heat, top, passing=True)
        return cls(None, centred(given).reshape(-1), passing=True)

    def __len__(self) -> int:
        return len(self.q)

    def take(self, positions: Any) -> "Row":
        """Fewer of them, by ascending positions."""
        if len(positions) == len(self.q):
            return self.lasting()
        indices = positions if self.indices is None else self.indices[positions]
        return Row(indices, self.q[positions], self.heat)

    def lasting(self) -> "Row":
        """All of them, in memory of their own."""
        return Row(self.indices, self.q, self.heat, self.top) if self.passing else self

    def _kept(self, name: str, compute: Callable[[], Any]) -> Any:
        state = self.__dict__
        if name not in state:
            state[name] = compute()
        return state[name]

    def _space(self, name: str, dtype: Any = None) -> Any:
        dtype = self.q.dtype if dtype is None else dtype
        if self.passing is not None:
            return _SPACE.get(name, len(self.q), dtype)
        return np.empty(len(self.q), dtype)

    @property
    def categories(self) -> Any:
        return (
            self._kept("_all", lambda: np.arange(len(self.q)))
            if self.indices is None
            else self.indices
        )

    @property
    @quiet
    def d(self) -> Any:
        """β·gap + log π₀, the largest 0."""

        def centre() -> Any:
            gap = np.subtract(self.q, self.top, out=self._space("d"))
            multiply(gap, self.heat)
            return gap

        if self.passing is not _SPACE.owner and self.passing is not None:
            for name in ("_d", "_weights"):
                self.__dict__.pop(name, None)
            _SPACE.owner = self.passing
        return self._kept("_d", centre)

    @property
    @quiet
    def weights(self) -> Any:
        """exp(d)."""
        d = self.d
        return self._kept("_weights", lambda: np.exp(d, out=self._space("weights")))

    @property
    def total(self) -> Any:
        """Σ exp(d)."""
        return self._kept("_total", lambda: float(row_sums(self.weights[None])[0]))

    @property
    @quiet
    def excess(self) -> Any:
        """Σ exp(d) over all but the likeliest."""

        def add() -> Any:
            rest = self.total - 1
            if rest < 1:  # there 1 would cancel
                others = self.weights.copy()
                others[self.d.argmax()] = 0
                rest = float(row_sums(others[None])[0])
            return rest

        return self._kept("_excess", add)

    @property
    @quiet
    def log_total(self) -> float:
        """log Σ exp(d)."""
        return float(np.log1p(self.excess))

    @property
    @quiet
    def entropy(self) -> Any:
        """H in nats."""

        def mean() -> Any:
            d = self.d if self.d.min() > -math.inf else np.maximum(self.d, -800)
            return self.log_total - _dot(self.weights, d) / (1 + self.excess)

        return self._kept("_entropy", mean)

    @property
    @quiet
    def log_collision(self) -> float:
        """log Σp² + log Σ exp(d)."""
        return math.log(_dot(self.weights, self.weights)) - self.log_total

    @property
    @quiet
    def deviation(self) -> float:
        """The population standard deviation of d over the categories with p > 0."""
        d = self.d[self.d > -math.inf] if self.d.min() == -math.inf else self.d
        return float(d.std(dtype=np.float64))

    @staticmethod
    def log(x: float) -> float:
        """The logarithm, -inf at 0."""
        return math.log(x) if x > 0 else -math.inf

    @staticmethod
    def lesser(a: float, b: float) -> float:
        """The lesser."""
        return min(a, b)

    @property
    @quiet
    def log_probs(self) -> Any:
        """log p of these categories."""
        return self.d - self.d.dtype.type(self.log_total)

    @property
    @quiet
    def probs(self) -> Any:
        """p of these categories."""
        return self.weights / self.weights.dtype.type(self.total)

    # ------------------------------------------------------------------ which are kept

    @quiet
    def at_least(self, bound: float, min_keep: int = 1, *, exact: bool = False) -> Any:
        """Positions where d ≥ bound, up to rounding, and of the ``min_keep`` largest."""
        if not exact:
            bound -= SLACK * float(np.finfo(self.q.dtype).eps) * (1 + abs(bound))
        if bound == -math.inf:
            found = np.flatnonzero(self.q > bound)
        elif "_d" in self.__dict__ or bound < -1e30:
            found = np.flatnonzero(np.greater_equal(self.d, bound, out=self._space("keep", bool)))
        else:  # a look at the scores, a little below the bound, leaves few to be centred
            rise = bound / self.heat.coldness
            level = float(self.top) + rise
            level -= 8 * float(np.finfo(self.q.dtype).eps) * (abs(float(self.top)) + abs(rise))
            near = np.flatnonzero(self.q >= level)
            gap = self.q[near] - self.top
            multiply(gap, self.heat)
            kept = gap >= bound
            found = near if kept.all() else near[kept]
        return found if len(found) >= min_keep else self.largest(min_keep)

    def largest(self, k: int) -> Any:
        """Positions of the k largest scores and of those that are tied with the last of them."""
        q = self.q
        groups = len(q) // _GROUP
        if k >= len(q):
            return np.flatnonzero(q > -math.inf)
        if k * 4 > groups:
            level = _kth(q, k)
            return np.flatnonzero(q >= level if level > -math.inf else q > level)
        # The k largest are in groups whose maximum is among the k largest of these. A group is
        # every n-th score, so that whole rows of memory are compared at once.
        table = q[: groups * _GROUP].reshape(_GROUP, groups)
        maxima = table.max(axis=0)
        kept = np.flatnonzero(maxima >= _kth(maxima, k))
        some = np.concatenate([table.take(kept, axis=1).ravel(), q[groups * _GROUP :]])
        level = _kth(some, k)
        if level == -math.inf:
            return np.flatnonzero(q > level)
        place = np.flatnonzero(some >= level)
        row, column = np.divmod(place, len(kept))
        inside = row < _GROUP
        found = np.where(inside, row * groups + kept[column], place)
        found[~inside] += groups * _GROUP - _GROUP * len(kept)
        return found

    @quiet
    def nearest(self, level: float, mass: float, min_keep: int) -> Any:
        """Positions of the smallest set of the d nearest to a level that holds this mass."""
        if mass >= 1:
            return np.flatnonzero(self.q > -math.inf)
        key = np.subtract(self.d, self.d.dtype.type(level), out=self._space("key"))
        np.negative(np.abs(key, out=key), out=key)
        bound = max(self.crossing(key, mass), -LIMITS["f"].max)
        found = np.flatnonzero(np.greater_equal(key, bound, out=self._space("keep", bool)))
        if len(found) < min_keep:
            alive = np.flatnonzero(self.q > -math.inf)
            key = key[alive]
            found = alive[key >= _kth(key, min(min_keep, len(key)))]
        return found

    @quiet
    def prefix(self, fraction: float) -> float:
        """The last d of the longest falling prefix whose own entropy is ≤ fraction·H."""
        d = np.sort(self.d)[::-1].astype(np.float64)
        d = d[: np.count_nonzero(d > -745)]
        weights = np.exp(d)
        total = weights.cumsum()
        own = np.log(total) - (weights * d).cumsum() / total
        goal = fraction * self.entropy
        beyond = own > goal + 4 * _EPS * (1 + goal)
        place = int(beyond.argmax()) if beyond.any() else len(d)
        return float(d[max(place - 1, 0)])

    @quiet
    def crossing(self, key: Any, part: float) -> float:
        """The largest key such that those from it on hold more than 1 - part of the mass below.

        That is: the smallest set of the largest keys, ties together, whose mass reaches ``part``.
        """
        goal = (1 - part) * self.total * (1 + 8 * _EPS)
        if len(key) < LONG:
            some, mass, below = key, self.weights, 0.0
        else:
            low, high, below = self._bracket(key, goal)
            # What has no probability needs no order.
            above = np.greater if low == -math.inf else np.greater_equal
            inside = above(key, low, out=self._space("keep", bool))
            inside &= np.less(key, high, out=self._space("less", bool))
            near = np.flatnonzero(inside)
            some, mass = key[near], self.weights[near]
            if not len(near):
                return high
        order = np.argsort(some)
        tail = below + np.cumsum(mass[order], dtype=np.float64)
        place = int(tail.searchsorted(goal, side="right"))
        if place == len(tail):
            return math.inf if len(key) < LONG else high
        return float(some[order[place]])

    def _bracket(self, key: Any, goal: float) -> tuple[float, float, float]:
        """Keys between which the tail passes the goal, and the mass below the lower of them.

        A sample of the row says where to look, and the row whether that is right.
        """
        step = len(key) // 1024
        some, mass = key[::step], self.weights[::step]
        order = np.argsort(some)
        middle = int(np.cumsum(mass[order], dtype=np.float64).searchsorted(goal / step))
        low, high, below = -math.inf, math.inf, 0.0
        reach = 24
        while True:
            left, right = middle - reach, middle + reach
            if left >= 0 and low == -math.inf:
                bound = float(some[order[min(left, len(order) - 1)]])
                under = self._mass_below(key, bound)
                low, below, high = (bound, under, high) if under <= goal else (low, below, bound)
            if right < len(order) and high == math.inf:
                bound = float(some[order[max(right, 0)]])
                under = self._mass_below(key, bound)
                low, below, high = (bound, under, high) if under <= goal else (low, below, bound)
            done = (low > -math.inf or left < 0) and (high < math.inf or right >= len(order))
            if done:
                return low, high, below
            reach *= 4

    def _mass_below(self, key: Any, bound: float) -> float:
        return _dot(self.weights, np.less(key, bound, out=self._space("less", bool)))

    # ------------------------------------------------------------------ draws

    @quiet
    def draw(self, u: Any) -> Any:
        """Categories for uniforms in [0, 1)."""
        if len(self.q) >= LONG and np.ndim(u) == 0:
            sums = self._kept("_sums", self._block_sums)
            return self.categories[sums.invert_one(float(u))]
        cdf = self._kept("_cdf", self._cumulative)
        return self.categories[cdf.searchsorted(u, side="right")]

    def _block_sums(self) -> BlockSums:
        beta = self.q.dtype.type(self.heat.coldness)
        return BlockSums.build(Scores(self.q[None], np.full((1, 1), self.top), beta))

    def _cumulative(self) -> Any:
        """Of the weights that are no subnormal probabilities; it ends in 1."""
        weights = self.weights
        least = LIMITS[self.q.dtype.char].tiny * self.total
        if weights.min() < least:
            weights = np.where(weights < least, 0, weights)
        cdf = weights.cumsum(dtype=np.float64)
        cdf /= cdf[-1]
        return cdf


def _dot(a: Any, b: Any) -> float:
    """Σ a·b, by blocks that are added up in float64."""
    whole = len(a) // WIDTH * WIDTH
    parts = np.vecdot(a[:whole].reshape(-1, WIDTH), b[:whole].reshape(-1, WIDTH))
    return float(parts.sum(dtype=np.float64) + np.vecdot(a[whole:], b[whole:]))


def _kth(x: Any, k: int) -> Any:
    """The k-th largest."""
    return np.partition(x, len(x) - k)[len(x) - k]
