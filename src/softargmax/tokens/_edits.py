"""Edits: stages that change log-probabilities and renormalise.

The result has the new log-probabilities as its logits, at temperature 1 and without a prior.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import check_fits_within, number
from softargmax._arrays.namespaces import ignore_fp_errors, is_foreign, to_namespace, to_numpy
from softargmax._core import information, renewal
from softargmax._core.renewal import Change
from softargmax._core.state import State
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._history import ids_of
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class Edit(Stage):
    """A stage that changes the log-probabilities of some ids, row by row."""

    def __call__(self, dist: Categorical, history: History = None) -> Categorical:
        state = state_of(dist)
        changes = self._changes(state, history)
        return of_state(renewal.edited(state, changes, type(self).__name__))

    @abstractmethod
    def _changes(self, state: State, history: History) -> list[Change]:
        """The changes, one for each row of the batch."""


@dataclass(frozen=True, eq=False, repr=False)
class Temperature(Stage):
    """Apply a temperature: p^(1/t), normalised over the tokens with p > 0.

    Parameters
    ----------
    t : float or array
        In [0, inf]: 0 keeps only the likeliest and its ties, inf makes tokens with p > 0 uniform.

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
        state = state_of(dist)
        t = self._fitting("t", state.batch_shape)
        return of_state(renewal.retempered(state, t, "Temperature"))


@dataclass(frozen=True, eq=False, repr=False)
class DynamicTemperature(Stage):
    r"""A temperature that follows the entropy: :math:`low + (high - low)(H / \log n)^{exponent}`.

    H is the entropy, n the number of tokens with p > 0; where n = 1, the temperature is ``low``.

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

    @ignore_fp_errors
    def __call__(self, dist: Categorical, history: History = None) -> Categorical:  # noqa: ARG002
        state = state_of(dist)
        low, high, exponent = (
            self._like_entropies(name, state) for name in ("low", "high", "exponent")
        )
        h, n = information.entropy(state), information.support_size(state)
        xp = state.xp
        h = np.asarray(h) if xp is np else h
        most = xp.log(xp.where(n > 1, n, 2 * xp.ones_like(n)))
        positive = (n > 1) & (h > 0)
        share = xp.where(positive, h, most) / most  # 1 for 0, at which the power has no slope
        share = xp.where(share > 1, xp.ones_like(share), share) ** exponent
        share = xp.where(positive, share, 0 * exponent * xp.ones_like(share))
        t = low + (high - low) * share
        return of_state(renewal.retempered(state, t, "DynamicTemperature"))

    def _like_entropies(self, name: str, state: State) -> Any:
        value = self._fitting(name, state.batch_shape)
        return to_namespace(value, state.xp, state.like) if hasattr(value, "shape") else value


@dataclass(frozen=True, eq=False, repr=False)
class LogitBias(Edit):
    """Add a bias to the log-probabilities of some tokens.

    Parameters
    ----------
    bias : mapping of ids to numbers
        In nats; -inf bans a token.

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
        ids = ids_of(list(self.bias), "bias").astype(np.int64)
        pairs = sorted(zip(ids.tolist(), self.bias.values(), strict=True))
        values = {i: float(number(b, f"bias of {i}", "[-inf, inf)")) for i, b in pairs}
        object.__setattr__(self, "bias", values)

    def _changes(self, state: State, history: History) -> list[Change]:  # noqa: ARG002
        ids = np.array(sorted(self.bias), np.int64)
        _check_ids(ids, state.num_categories, "bias")
        shift = np.array([self.bias[int(i)] for i in ids])
        return [Change(ids, None, shift)] * math.prod(state.batch_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Ban(Edit):
    """Ban tokens: they get probability 0.

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

    def _changes(self, state: State, history: History) -> list[Change]:  # noqa: ARG002
        ids = np.array(self.ids, np.int64)
        _check_ids(ids, state.num_categories, "ids")
        return [banned(ids)] * math.prod(state.batch_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Allow(Edit):
    """Allow only these tokens: all others get probability 0.

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

    def _changes(self, state: State, history: History) -> list[Change]:  # noqa: ARG002
        width, batch = state.num_categories, state.batch_shape
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
    """The change that bans these ids."""
    return Change(ids, None, np.full(len(ids), -math.inf))


def _check_ids(ids: Any, width: int, name: str) -> None:
    wrong = ids[(ids < 0) | (ids >= width)]
    if wrong.size:
        raise ValueError(f"{name} must be ids in 0 … {width - 1}, got {wrong[0]}")
