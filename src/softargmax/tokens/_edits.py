"""Edits: stages that change log-probabilities, and normalise them again.

An edit returns logits that are the new log-probabilities, at temperature 1 and without a prior.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from softargmax._arrays.checks import any_of, check_fits_within, check_instance, in_row, number
from softargmax._arrays.namespaces import is_foreign, namespace_of, quiet, to_namespace, to_numpy
from softargmax._inputs import Heat
from softargmax._row import Row
from softargmax._survivors import replaced, rows_left
from softargmax.categorical import Categorical
from softargmax.tokens._stage import History, Stage


class Change(NamedTuple):
    """New log-probabilities of some ids: log p·factor + shift."""

    ids: Any  # distinct, ascending
    factor: Any  # of each, or None for 1
    shift: Any  # of each, or None for 0


@dataclass(frozen=True, eq=False, repr=False)
class Edit(Stage):
    """A stage that changes the log-probabilities of some ids, row by row."""

    @quiet
    def __call__(self, dist: Categorical, history: History = None) -> Categorical:
        check_instance(dist, Categorical, "dist")
        changes = self._changes(dist, history)
        rows = rows_left(dist)
        if rows is None:
            return self._dense(dist, changes)
        left = []
        for row, change in zip(rows, changes, strict=True):
            log_p, categories = row.log_probs.copy(), row.categories
            place = np.minimum(categories.searchsorted(change.ids), len(row) - 1)
            hit = categories[place] == change.ids
            place = place[hit]
            if change.factor is not None:
                log_p[place] *= change.factor[hit]
            if change.shift is not None:
                log_p[place] += change.shift[hit]
                np.minimum(log_p, np.finfo(log_p.dtype).max, out=log_p)
            left.append((categories, log_p))
        return renewed(dist, left, type(self).__name__)

    @abstractmethod
    def _changes(self, dist: Categorical, history: History) -> list[Change]:
        """What changes, for every row of the batch."""

    def _dense(self, dist: Categorical, changes: list[Change]) -> Categorical:
        """The same for whole arrays, in any namespace."""
        given, xp = dist._given, dist._given.xp
        full = (len(changes), dist.num_categories)
        factor, shift = np.ones(full), np.zeros(full)
        for i, change in enumerate(changes):
            if change.factor is not None:
                factor[i, change.ids] = change.factor
            if change.shift is not None:
                shift[i, change.ids] = change.shift
        shape = (*dist.batch_shape, full[1])
        log_p = dist.log_probs
        factor, shift = (
            to_namespace(x.reshape(shape), xp, given.z, log_p.dtype) for x in (factor, shift)
        )
        alive = log_p > -math.inf
        kept = alive & (shift > -math.inf)
        zero = xp.zeros_like(log_p)
        new = xp.where(kept, log_p, zero) * factor + xp.where(kept, shift, zero)
        new = xp.clip(new, max=float(xp.finfo(new.dtype).max))
        return normalised(xp.where(kept, new, -math.inf), type(self).__name__)


def normalised(scores: Any, stage: str, temperature: Any = None) -> Categorical:
    """Log-probabilities of scores as the logits of a distribution at temperature 1."""
    xp = namespace_of(scores)
    empty = ~xp.any(scores > -math.inf, axis=-1)
    if any_of(empty):
        raise ValueError(f"{stage} must leave a token, got none{in_row(empty)}")
    return Categorical(Categorical(scores, temperature).log_probs)


def renewed(dist: Categorical, left: Iterable[tuple[Any, Any]], stage: str) -> Categorical:
    """Rows of categories and scores, those of -inf dropped, normalised."""
    rows = []
    for i, (categories, scores) in enumerate(left):
        alive = scores > -math.inf
        if not alive.any():
            mask = np.arange(math.prod(dist.batch_shape)).reshape(dist.batch_shape) == i
            raise ValueError(f"{stage} must leave a token, got none{in_row(mask)}")
        if not alive.all():
            categories, scores = categories[alive], scores[alive]
        row = Row(categories, scores)
        rows.append(Row(categories, row.log_probs))
    return replaced(dist, rows)


@dataclass(frozen=True, eq=False, repr=False)
class Temperature(Stage):
    """Rescale what is left: p^(1/t), on the tokens with p > 0.

    Parameters
    ----------
    t : float or array
        In [0, inf]: 0 leaves the likeliest, ties shared, inf makes all tokens that are left alike.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Temperature
    >>> Temperature(0.5)(Categorical.from_weights([3, 1, 0])).probs
    array([0.9, 0.1, 0. ])
    """

    t: Any
    _intervals: ClassVar[dict[str, str]] = {"t": "[0, inf]"}

    def __call__(self, dist: Categorical, history: History = None) -> Categorical:  # noqa: ARG002
        check_instance(dist, Categorical, "dist")
        rows = rows_left(dist)
        if rows is None:
            columns = self._columns(dist)["t"]
            # The scores before their rounding to log-probabilities.
            return normalised(
                dist._ranking, "Temperature", columns[..., 0] if np.ndim(columns) else columns
            )
        settings = self._row(dist)
        left = [_tempered(row, settings(i)["t"]) for i, row in enumerate(rows)]
        return renewed(dist, left, "Temperature")


@quiet
def _tempered(row: Row, t: float) -> tuple[Any, Any]:
    """Categories and scores at another temperature."""
    if 1e-30 < t < 1e30:
        return row.categories, Row(None, row.d, Heat(1 / t, t)).d
    return row.categories, Categorical(row.d, t)._d


@dataclass(frozen=True, eq=False, repr=False)
class DynamicTemperature(Stage):
    r"""A temperature that follows the entropy: :math:`low + (high - low)(H / \log n)^{exponent}`.

    n is the number of tokens left; where it is 1 the temperature is low.

    Parameters
    ----------
    low, high : float or array
        In [0, inf).
    exponent : float or array
        In (0, inf).

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import DynamicTemperature
    >>> DynamicTemperature(0.5, 1.0)(Categorical.from_weights([1, 1, 0])).probs
    array([0.5, 0.5, 0. ])
    """

    low: Any
    high: Any
    exponent: Any = 1.0
    _intervals: ClassVar[dict[str, str]] = {
        "low": "[0, inf)",
        "high": "[0, inf)",
        "exponent": "(0, inf)",
    }

    @quiet
    def __call__(self, dist: Categorical, history: History = None) -> Categorical:  # noqa: ARG002
        check_instance(dist, Categorical, "dist")
        rows = rows_left(dist)
        if rows is not None:
            settings = self._row(dist)
            left = []
            for i, row in enumerate(rows):
                n = int(np.count_nonzero(row.d > -math.inf))
                t = _dynamic(row.entropy, math.log(n), **settings(i))
                left.append(_tempered(row, t))
            return renewed(dist, left, "DynamicTemperature")
        xp = dist._given.xp
        log_p = dist.log_probs
        n = xp.sum(xp.astype(log_p > -math.inf, log_p.dtype), axis=-1)
        columns = {k: v[..., 0] if np.ndim(v) else v for k, v in self._columns(dist).items()}
        h = xp.asarray(dist.entropy()) if xp is np else dist.entropy()
        most = xp.log(xp.where(n > 1, n, 2 * xp.ones_like(n)))
        positive = (n > 1) & (h > 0)
        share = xp.where(positive, h, most) / most  # 1 stands in where the power has no slope
        share = xp.where(share > 1, xp.ones_like(share), share) ** columns["exponent"]
        share = xp.where(positive, share, xp.zeros_like(share))
        t = columns["low"] + (columns["high"] - columns["low"]) * share
        return normalised(dist._ranking, "DynamicTemperature", t)


def _dynamic(h: float, most: float, low: float, high: float, exponent: float) -> float:
    return low + (high - low) * min(1.0, h / most) ** exponent if most > 0 else low


@dataclass(frozen=True, eq=False, repr=False)
class LogitBias(Edit):
    """Add to the log-probabilities of some ids.

    Parameters
    ----------
    bias : mapping of ids to numbers
        In nats; -inf bans an id.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import LogitBias
    >>> LogitBias({0: np.log(3.0)})(Categorical.from_weights([1, 1])).probs
    array([0.75, 0.25])
    """

    bias: Mapping[int, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.bias, Mapping):
            raise TypeError(f"bias must be a mapping of ids to numbers, got {self.bias!r}")
        ids = ids_of(list(self.bias), "bias")
        pairs = sorted(zip(ids.tolist(), self.bias.values(), strict=True))
        values = {i: float(number(b, f"bias of {i}", "[-inf, inf)")) for i, b in pairs}
        object.__setattr__(self, "bias", values)

    def _changes(self, dist: Categorical, history: History) -> list[Change]:  # noqa: ARG002
        ids = np.array(sorted(self.bias), np.int64)
        _check_ids(ids, dist.num_categories, "bias")
        shift = np.array([self.bias[int(i)] for i in ids])
        return [Change(ids, None, shift)] * math.prod(dist.batch_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Ban(Edit):
    """Tokens that must not come.

    Parameters
    ----------
    ids : sequence of ids

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Ban
    >>> Ban([0])(Categorical.from_weights([2, 1, 1])).probs
    array([0. , 0.5, 0.5])
    """

    ids: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "ids", tuple(sorted(set(ids_of(self.ids, "ids").tolist()))))

    def _changes(self, dist: Categorical, history: History) -> list[Change]:  # noqa: ARG002
        ids = np.array(self.ids, np.int64)
        _check_ids(ids, dist.num_categories, "ids")
        return [banned(ids)] * math.prod(dist.batch_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Allow(Edit):
    """Tokens of which one has to come: all others are banned.

    Parameters
    ----------
    ids : sequence of ids, or array of bool, shape (..., K)
        A mask may differ from row to row.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Allow
    >>> Allow([1, 2])(Categorical.from_weights([2, 1, 1])).probs
    array([0. , 0.5, 0.5])
    """

    ids: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        array = np.asarray(to_numpy(self.ids)) if is_foreign(self.ids) else np.asarray(self.ids)
        if array.dtype == bool and array.ndim:
            found: Any = array.copy()
        else:
            found = tuple(sorted(set(ids_of(self.ids, "ids").tolist())))
        object.__setattr__(self, "ids", found)

    def _changes(self, dist: Categorical, history: History) -> list[Change]:  # noqa: ARG002
        width, batch = dist.num_categories, dist.batch_shape
        if isinstance(self.ids, tuple):
            ids = np.array(self.ids, np.int64)
            _check_ids(ids, width, "ids")
            others = np.ones(width, bool)
            others[ids] = False
            return [banned(np.flatnonzero(others))] * math.prod(batch)
        if self.ids.shape[-1] != width:
            raise ValueError(f"ids must be a mask of {width} tokens, got shape {self.ids.shape}")
        check_fits_within(self.ids.shape[:-1], batch, "ids")
        masks = np.broadcast_to(self.ids, (*batch, width)).reshape(-1, width)
        return [banned(np.flatnonzero(~mask)) for mask in masks]


def banned(ids: Any) -> Change:
    """The change that takes ids away."""
    return Change(ids, None, np.full(len(ids), -math.inf))


def ids_of(x: Any, name: str) -> Any:
    """A 1-d array of ids."""
    if isinstance(x, set | frozenset):
        x = sorted(x)
    found = np.asarray(to_numpy(x) if is_foreign(x) else x)
    if found.size == 0:
        return np.empty(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a sequence of integer ids, got {x!r}")
    return found.astype(np.int64)


def _check_ids(ids: Any, width: int, name: str) -> None:
    wrong = ids[(ids < 0) | (ids >= width)]
    if wrong.size:
        raise ValueError(f"{name} must be ids in 0 … {width - 1}, got {wrong[0]}")
