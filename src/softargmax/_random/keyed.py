"""Counter-based noise: number i depends on a seed and on i alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from softargmax._arrays.checks import count, natural
from softargmax._random.tags import Tag


@dataclass(frozen=True)
class Keyed:
    """An rng for ``sample`` by which draw number i depends on the seed and on i alone.

    Draws are numbered in C order over sample_shape + batch_shape, so that any slice of an array of
    draws can be made without the others, by whichever worker, and in pieces of any size.

    Parameters
    ----------
    seed : int
        Non-negative, of any size.
    start : int
        The number of the first draw, up to 2⁶⁴.

    Raises
    ------
    ValueError, TypeError
        For a seed or start that is negative or not an integer.

    Notes
    -----
    Draw i inverts the cumulative distribution (or looks up the alias table) at uniform number i of
    NumPy's counter-based generator Philox-4x64, whose key is made of the seed. For long runs,
    ``method="alias"`` is faster. Keyed works for NumPy arrays, and for PyTorch tensors on the CPU;
    in JAX, ``fold_in`` the number into the key.

    References
    ----------
    Salmon, Moraes, Dror & Shaw (2011), https://doi.org/10.1145/2063384.2063405.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.draws import Keyed
    >>> dist = Categorical([0.0, 1.0, 2.0])
    >>> dist.sample(10, rng=Keyed(7))
    array([2, 0, 2, 2, 2, 2, 1, 2, 2, 2])
    >>> dist.sample(4, rng=Keyed(7, start=6))
    array([1, 2, 2, 2])
    """

    seed: int
    start: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", natural(self.seed, "seed"))
        object.__setattr__(self, "start", count(self.start, "start", 0, 2**64))

    def generator(self) -> np.random.Generator:
        """A Generator whose next uniform is that of the first draw.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.draws import Keyed
        >>> dist = Categorical([0.0, 1.0, 2.0])
        >>> bool(dist.quantile(Keyed(7).generator().random()) == dist.sample(rng=Keyed(7)))
        True
        """
        return Words(self.seed, Tag.KEYED_DRAWS, self.start).generator()


class Words:
    """A stream of random 64-bit words; word i depends on the seed, the tag and i alone."""

    def __init__(self, seed: int, tag: Tag, start: int) -> None:
        self._bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(tag,)))
        self._place = 0
        self.skip(start)

    def generator(self) -> np.random.Generator:
        """A Generator that takes the next word of the stream for each uniform."""
        return np.random.Generator(self._bits)

    def take(self, n: int) -> Any:
        """The next n words, uint64."""
        self._place += n
        return self._bits.random_raw(n)

    def skip(self, n: int) -> None:
        """Skip n words without making them: each count of the generator yields four."""
        made, end = -(-self._place // 4), self._place + n
        if end >= 4 * made:
            self._bits.advance(end // 4 - made)  # and discards the rest of the last four
            n = end % 4
        if n:
            self._bits.random_raw(n)
        self._place = end


def words_of_key(key: bytes) -> Callable[[int], Any]:
    """A function that takes the next n words, uint64, of the stream of a key of 16 bytes."""
    taken: Callable[[int], Any] = np.random.Philox(key=np.frombuffer(key, "<u8")).random_raw
    return taken


def words_at(keys: list[bytes], numbers: Any) -> Any:
    """Word number i of the stream of each key, for one number a key or one key for all."""
    k0, k1 = np.frombuffer(b"".join(keys), "<u8").astype(np.uint64).reshape(-1, 2).T
    numbers = np.asarray(numbers, np.uint64)
    x0, place = numbers // 4 + 1, numbers % 4  # each count of the generator yields four words
    x1, x2, x3 = (np.zeros_like(x0) for _ in range(3))
    for i in range(10):
        step = np.array([i], np.uint64)
        (high0, low0), (high1, low1) = _product(x0, _FACTORS[0]), _product(x2, _FACTORS[1])
        x0, x2 = high1 ^ x1 ^ (k0 + step * _STEPS[0]), high0 ^ x3 ^ (k1 + step * _STEPS[1])
        x1, x3 = low1, low0
    return np.choose(place.astype(np.int64), (x0, x1, x2, x3))


# The constants of Philox-4x64 (Salmon, Moraes, Dror & Shaw, 2011).
_FACTORS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_STEPS = np.array([[0x9E3779B97F4A7C15], [0xBB67AE8584CAA73B]], np.uint64)


def _product(x: Any, factor: int) -> tuple[Any, Any]:
    """The high and the low word of products with a constant."""
    half, low = np.uint64(32), np.uint64(2**32 - 1)
    above, below = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    left, right = x >> half, x & low
    cross = left * below
    middle = (right * below >> half) + (cross & low) + right * above
    return left * above + (cross >> half) + (middle >> half), x * np.uint64(factor)


def word_gumbels(words: Any) -> Any:
    """Standard Gumbels, one a word: -log(-log(1 - v)), falling in v = (word + ½)/2⁶⁴.

    Both tails are as fine as the words: from -3.8 to 45.1.
    """
    small = words < 2**63
    v = (np.where(small, words, ~words).astype(np.float64) + 0.5) * 2.0**-64
    waits = np.where(small, -np.log1p(-v), -np.log(v))
    return -np.log(waits)


def words_up_to(wait: float) -> int:
    """The largest word whose wait -log(1 - v) is at most ``wait``, rounded up."""
    return min(int(-np.expm1(-wait) * (1 + 1e-12) * 2.0**64) + 1, 2**64 - 1)
