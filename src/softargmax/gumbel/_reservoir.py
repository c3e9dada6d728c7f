"""Sampling of categories that arrive in pieces: Gumbel-top-k as a reduction."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import ArrayLike, ignore_fp_errors, read_only, to_numpy
from softargmax._random.keyed import Words, word_gumbels, words_up_to
from softargmax._random.tags import Tag
from softargmax._rows import orders
from softargmax._rows.memory import BLOCK, blocks
from softargmax._rows.sums import row_sums

_MOST = 45.06  # upper bound of the Gumbel noise


@dataclass(frozen=True, eq=False, repr=False)
class Reservoir:
    r"""A draw of k categories without replacement from logits that arrive in chunks.

    Category i has the score z_i + g_i, with a Gumbel g_i that depends only on the seed and i, and
    the k best scores are the draw (Gumbel-top-k). So chunks may have any size and come in any
    order, and reservoirs filled from different chunks, even on different machines, can be merged.

    Parameters
    ----------
    seed : int
        Non-negative, of any size.
    k : int
        How many categories to draw, at least 1. The first is a plain draw from all categories.

    Attributes
    ----------
    indices : int64, shape (k,)
        In the order drawn; a ``ValueError`` while fewer than k categories have a logit above -inf.
    log_partition : float
        log Σ exp(z) over all logits seen, -inf if none; so log p of a draw is z - log_partition.

    Raises
    ------
    ValueError, TypeError
        For an invalid seed or k.

    Notes
    -----
    The same seed couples the draws from two sets of logits (common random numbers); independent
    draws need different seeds.

    Objects are immutable and picklable: ``update`` and ``merge`` return new ones. Merging is
    associative and commutative: exactly for the draws, up to rounding for ``log_partition``. Noise
    is generated only where a category can still be among the best.

    References
    ----------
    Kool, van Hoof & Welling (2019), https://arxiv.org/abs/1903.06059; in one pass: Efraimidis &
    Spirakis (2006), https://doi.org/10.1016/j.ipl.2005.11.003.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.gumbel import Reservoir
    >>> logits = np.linspace(0, 8, 1000)
    >>> Reservoir(0, 3).update(logits, 0).indices
    array([952, 793, 909])
    >>> left = Reservoir(0, 3).update(logits[:700], 0)
    >>> right = Reservoir(0, 3).update(logits[700:], 700)
    >>> right.merge(left)
    Reservoir(seed=0, k=3, indices=[952, 793, 909], log_partition=12.831)
    """

    seed: int
    k: int = 1
    log_partition: float = field(default=-math.inf, init=False)
    # Scores and their rounding errors, (2, m) with m ≤ k, best first; and their categories.
    _keys: Any = field(default_factory=lambda: np.empty((2, 0)), init=False)
    _index: Any = field(default_factory=lambda: np.empty(0, np.int64), init=False)

    def __post_init__(self) -> None:
        vars(self)["seed"] = checks.natural(self.seed, "seed")
        vars(self)["k"] = checks.count(self.k, "k", 1, 2**62)

    def __repr__(self) -> str:
        parts = [f"seed={self.seed}", f"k={self.k}"]
        if len(self._index) < self.k:
            parts.append(f"missing={self.k - len(self._index)}")
        elif self.k <= 8:
            parts.append(f"indices={self._index.tolist()}")
        parts.append(f"log_partition={self.log_partition:.6g}")
        return f"Reservoir({', '.join(parts)})"

    @property
    def indices(self) -> Any:
        """The k categories, in the order drawn."""
        if len(self._index) < self.k:
            raise ValueError(
                f"k must be at most the number of categories with a logit above -inf, got "
                f"k={self.k} for {len(self._index)}"
            )
        return read_only(self._index)

    def update(self, logits: ArrayLike, offset: int) -> Self:
        """A new reservoir that has also seen the categories offset, offset + 1, …

        Parameters
        ----------
        logits : array, shape (n,)
            Logits, already divided by the temperature; -inf is never drawn.
        offset : int
            The index of the first of these categories. No category may be given twice.

        Returns
        -------
        Reservoir

        Raises
        ------
        ValueError
            For NaN or +inf (the message names the category), a wrong shape, a negative offset, or a
            category that is given again while it is among the best.
        TypeError
            For logits that are not real numbers, or an offset that is not an integer.

        Examples
        --------
        >>> from softargmax.gumbel import Reservoir
        >>> Reservoir(0).update([0.0, 1.0], 0).update([2.0, 3.0], 2).indices
        array([3])
        """
        given = checks.real_array(logits, "logits", np, logits)
        if given.ndim != 1:
            raise ValueError(f"logits must have shape (n,), got shape {given.shape}")
        z = checks.cast(to_numpy(given), np)
        first = checks.count(offset, "offset", 0, 2**63 - 1 - len(z))
        words = Words(self.seed, Tag.RESERVOIR, first)
        new = self
        for some in blocks(len(z), 1, max(BLOCK, 4 * self.k)):
            new = new._seen(z[some], first + some.start, words)
        return new

    @ignore_fp_errors
    def _seen(self, z: Any, first: int, words: Words) -> Self:
        """A new reservoir with one more block; ``words`` are the random words of its categories."""
        top = z.max()
        if not top < math.inf:
            wrong = int(np.flatnonzero(~(z < math.inf))[0])
            raise ValueError(
                f"logits must be finite or -inf, got {z[wrong]} for category {first + wrong}"
            )
        level = total = float(top)
        if level > -math.inf:
            total += math.log(float(row_sums(np.exp(z - top)[None])[0]))
        bound = float(self._keys[0, -1]) if len(self._index) == self.k else -math.inf
        # Lowered by as much as rounding may have raised the k-th best score.
        least = bound - 4 * float(np.spacing(abs(bound))) if bound > -math.inf else bound
        if level == -math.inf or level + _MOST < least:  # the latter: none can be among the best
            words.skip(len(z))
            return self._joined(self._keys[:, :0], self._index[:0], total)
        noise = words.take(len(z))
        room = level - least  # waits up to exp(room) may still be among the best
        found = np.arange(len(z))
        if room < -0.7:
            found = np.flatnonzero(noise <= words_up_to(math.exp(room)))
            noise = noise[found]
        score = z[found].astype(np.float64)
        high, low, _ = orders.ordered_keys(score[None], np.ones((1, 1)), word_gumbels(noise)[None])
        near = (high[0] >= bound) & (score > -math.inf)
        keys = np.concatenate([high, low])[:, near]
        return self._joined(keys, found[near] + first, total)

    def merge(self, other: Reservoir) -> Self:
        """A new reservoir that has seen the categories of both.

        Parameters
        ----------
        other : Reservoir
            With the same seed and k, and filled from other categories.

        Returns
        -------
        Reservoir

        Raises
        ------
        ValueError, TypeError
            For a different seed or k, a category drawn by both, or anything but a Reservoir.

        Examples
        --------
        >>> from softargmax.gumbel import Reservoir
        >>> left = Reservoir(0).update([0.0, 1.0], 0)
        >>> left.merge(Reservoir(0).update([2.0, 3.0], 2)).indices
        array([3])
        """
        checks.check_instance(other, Reservoir, "other")
        if (self.seed, self.k) != (other.seed, other.k):
            raise ValueError(
                f"other must have seed={self.seed} and k={self.k}, "
                f"got seed={other.seed} and k={other.k}"
            )
        return self._joined(other._keys, other._index, other.log_partition)

    def _joined(self, keys: Any, index: Any, level: float) -> Self:
        """A new reservoir with more candidates; ``level`` is the log-partition of their piece."""
        new = copy(self)
        vars(new)["log_partition"] = float(np.logaddexp(self.log_partition, level))
        if not len(index):
            return new
        twice = index[np.isin(index, self._index)]
        if len(twice):
            raise ValueError(
                f"categories must not come twice, got {twice[0]} again: pieces may not overlap"
            )
        order = _ranked(keys, index, self.k)
        keys, index = keys[:, order], index[order]
        place = np.searchsorted(-self._keys[0], -keys[0])
        tied = np.append(self._keys[0], math.nan)[place] == keys[0]
        if tied.any():
            keys = np.concatenate([self._keys, keys], axis=1)
            index = np.concatenate([self._index, index])
            order = _ranked(keys, index, self.k)
            keys, index = keys[:, order], index[order]
        else:
            keys = np.insert(self._keys, place, keys, axis=1)[:, : self.k]
            index = np.insert(self._index, place, index)[: self.k]
        vars(new).update(_keys=keys, _index=index)
        return new


def _ranked(keys: Any, index: Any, k: int) -> Any:
    """The order of the k best; ties, which are rare, go by category, not by order of arrival."""
    return orders.largest((keys[:1], keys[1:], -index[None]), min(k, len(index)))[0]
