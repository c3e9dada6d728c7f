"""Reference values, exact for every float, and errors in units of the last place."""

import itertools
import math
from typing import Any, NamedTuple

import mpmath
import numpy as np

MP = mpmath.mp.clone()
MP.prec = 160  # the largest cancellation left, d - log1p(s), costs no more than a few bits

# Terms below exp(-2000) cannot reach the digits of a normal float64.
_NEGLIGIBLE = -2000.0


class Exact(NamedTuple):
    log_probs: list[Any]
    probs: list[Any]
    entropy: Any
    top: int
    gap: float  # β times the distance of the likeliest category's logit to the second one's


def law(logits: Any, temperature: Any = 1, prior: Any = None) -> Exact:
    """log p, p and H of one row, the inputs taken as exact; T is finite and positive."""
    t = MP.mpf(float(temperature))
    d = [MP.mpf(float(z)) / t if z > -np.inf else None for z in logits]
    if prior is not None:
        d = [
            None if x is None or w == 0 else x + MP.log(MP.mpf(float(w)))
            for x, w in zip(d, prior, strict=True)
        ]
    alive = [i for i, x in enumerate(d) if x is not None]
    top = max(alive, key=lambda i: d[i])
    d = [None if x is None else x - d[top] for x in d]
    e = [MP.zero if x is None or x < _NEGLIGIBLE else MP.exp(x) for x in d]
    s = MP.fsum(x for i, x in enumerate(e) if i != top)
    level = MP.log1p(s)
    log_probs = [-MP.inf if x is None else x - level for x in d]
    probs = [x / (1 + s) for x in e]
    mean = MP.fsum(p * x for p, x in zip(probs, d, strict=True) if x is not None)
    others = [float(-d[i]) for i in alive if i != top]
    return Exact(log_probs, probs, level - mean, top, min(others, default=0.0))


def ulps(got: Any, exact: Any, dtype: Any) -> float:
    """|got - exact| in units of the last place of ``exact`` in ``dtype``."""
    with np.errstate(under="ignore"):
        unit = np.spacing(abs(np.array(float(exact)).astype(dtype)))
    return abs(float((MP.mpf(float(got)) - exact) / MP.mpf(float(unit))))


# ---------------------------------------------------------------- many rows, in pairs of floats
#
# A number is the sum of two floats (Dekker 1971, https://doi.org/10.1007/BF01397083): about 100
# bits, at NumPy's speed. ``test_accuracy.py`` holds these laws equal to those above.


class Pair(NamedTuple):
    high: Any
    low: Any


def two_sum(a: Any, b: Any) -> Pair:
    high = a + b
    other = high - a
    return Pair(high, (a - (high - other)) + (b - other))


def two_product(a: Any, b: Any) -> Pair:
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    high = a * b
    return Pair(high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2)


def _halves(a: Any) -> Pair:
    """Two floats of 26 bits each, whose products are exact."""
    shifted = a * (2.0**27 + 1)
    high = shifted - (shifted - a)
    return Pair(high, a - high)


def add(x: Pair, y: Pair) -> Pair:
    high, low = two_sum(x.high, y.high)
    return two_sum(high, low + (x.low + y.low))


def times(x: Pair, y: Pair) -> Pair:
    high, low = two_product(x.high, y.high)
    return two_sum(high, low + (x.high * y.low + x.low * y.high))


def over(x: Pair, t: Any) -> Pair:
    quotient = x.high / t
    high, low = two_product(quotient, t)
    return two_sum(quotient, ((x.high - high) - low + x.low) / t)


def pair(x: Any) -> Pair:
    """The nearest pair to a number of mpmath."""
    return Pair(float(x), float(x - MP.mpf(float(x))))


_LOG_2 = (  # in 41 + 41 bits, so that products with an exponent are exact, and the rest
    float(MP.floor(MP.ln2 * 2**41)) / 2.0**41,
    float(MP.floor(MP.ln2 * 2**82) - MP.floor(MP.ln2 * 2**41) * 2**41) / 2.0**82,
    float(MP.ln2 - MP.floor(MP.ln2 * 2**82) / 2**82),
)
_SQUARINGS = 8
_INVERSE_FACTORIALS = [pair(1 / MP.factorial(i)) for i in range(10, 0, -1)]


def exp(x: Pair) -> Pair:
    """e^x for x from -2000 to 700."""
    power = np.rint(x.high / _LOG_2[0])
    for part in _LOG_2:
        x = add(x, two_product(-power, np.float64(part)))
    x = Pair(*(part * 2.0**-_SQUARINGS for part in x))
    # e^x - 1 by its series, then of twice x, again and again: e² + 2e.
    grown = _INVERSE_FACTORIALS[0]
    for term in _INVERSE_FACTORIALS[1:]:
        grown = add(times(grown, x), term)
    grown = times(grown, x)
    for _ in range(_SQUARINGS):
        grown = add(times(grown, grown), Pair(2 * grown.high, 2 * grown.low))
    grown = add(grown, Pair(1.0, 0.0))
    return Pair(*(np.ldexp(part, power.astype(int)) for part in grown))


class Laws:
    """The laws of many rows, which stand one after another in flat arrays."""

    def __init__(self, rows: list[Any], temperatures: Any) -> None:
        rows = [np.asarray(row, np.float64) for row in rows]
        sizes = [row.size for row in rows]
        self.ends = np.cumsum([0, *sizes])
        self.tops = [int(row.argmax()) for row in rows]
        first = np.repeat([row.max() for row in rows], sizes)
        others = [np.sort(row)[-2:].min() for row in rows]
        t = np.repeat(temperatures, sizes)
        self.d = over(two_sum(np.concatenate(rows), -first), t)  # from the likeliest category
        second = over(two_sum(np.repeat(others, sizes), -first), t)
        self.gaps = [-float(x) for x in second.high[self.ends[:-1]]]
        rise = add(self.d, Pair(-second.high, -second.low))
        # Weights but the likeliest's, over the second one's, lest they fall below the floats.
        counts = rise.high > _NEGLIGIBLE
        counts[self.ends[:-1] + self.tops] = False
        weights = exp(Pair(*(np.where(counts, part, 0.0) for part in rise)))
        self.weights = Pair(*(np.where(counts, part, 0.0) for part in weights))
        self.scales = [
            MP.exp(MP.mpf(float(high)) + MP.mpf(float(low)))
            for high, low in zip(*(part[self.ends[:-1]] for part in second), strict=True)
        ]
        self.sums = [a * b for a, b in zip(self.scales, self._sums(self.weights), strict=True)]
        self.levels = [MP.log1p(s) for s in self.sums]
        means = self.means(self.d)
        self.entropies = [a - b for a, b in zip(self.levels, means, strict=True)]

    def _sums(self, x: Pair) -> list[Any]:
        """Of each row's pairs."""
        sums = []
        for start, end in itertools.pairwise(self.ends):
            parts = [*x.high[start:end].tolist(), *x.low[start:end].tolist()]
            high = math.fsum(parts)
            sums.append(MP.mpf(high) + MP.mpf(math.fsum([*parts, -high])))
        return sums

    def means(self, x: Pair) -> list[Any]:
        """Of numbers, one a category, as pairs."""
        return [
            (MP.mpf(float(x.high[top])) + MP.mpf(float(x.low[top])) + scale * rest) / (1 + s)
            for top, scale, rest, s in zip(
                self.ends[:-1] + self.tops,
                self.scales,
                self._sums(times(self.weights, x)),
                self.sums,
                strict=True,
            )
        ]

    @property
    def log_probs(self) -> list[Any]:
        """Rounded to float64."""
        levels = [pair(-x) for x in self.levels]
        level = Pair(*(np.repeat(part, np.diff(self.ends)) for part in zip(*levels, strict=True)))
        return np.split(add(self.d, level).high, self.ends[1:-1])

    def cross_entropies(self, other: "Laws") -> list[Any]:
        return [a - b for a, b in zip(other.levels, self.means(other.d), strict=True)]
