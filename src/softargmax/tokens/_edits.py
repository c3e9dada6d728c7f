"""Edits: stages that change log-probabilities and renormalise, or change the logits as they are.

The result of the first has the new log-probabilities as its logits, at temperature 1 and without a
prior; the second keep temperature, mask and prior, and so do bans, and temperatures where no prior
has weights.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from softargmax._arrays.checks import check_fits_within, number, one_of
from softargmax._arrays.namespaces import ignore_fp_errors, is_traced, to_namespace, to_numpy
from softargmax._arrays.types import A, ArrayLike
from softargmax._core import information, renewal
from softargmax._core.renewal import Change
from softargmax._core.scored import lost
from softargmax._core.state import State
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._history import check_ids, each_row, id_rows, ids_of
from softargmax.tokens._parameters import FrozenMapping
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class Edit(Stage):
    """A stage that changes the scores of some ids, row by row: log-probabilities, or logits."""

    on: Literal["log_probs", "logits"] = field(default="log_probs", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.on, "on", ("log_probs", "logits"))

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:
        state = state_of(dist)
        changes = self._changes(state, history)
        edit = renewal.edited if self.on == "log_probs" else renewal.edited_logits
        return of_state(edit(state, changes, type(self).__name__))

    @abstractmethod
    def _changes(self, state: State, history: History) -> list[Change]:
        """The changes, one for each row of the batch."""


@dataclass(frozen=True, eq=False, repr=False)
class Temperature(Stage):
    """Apply a temperature: p^(1/t), normalised over the tokens with p > 0.

    It multiplies the temperature of the distribution and leaves its logits. (Where a prior has
    weights, these are raised to 1/t too, and log-probabilities become the logits.) Penalties after
    a low temperature hardly matter: put them before it.

    Parameters
    ----------
    t : float or array
        In [0, inf]: 0 keeps only the likeliest and its ties, inf makes tokens with p > 0 uniform.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Temperature
    >>> Temperature(0.5)(Categorical.from_weights([3, 1, 0])).probs
    array([0.9, 0.1, 0. ])
    """

    t: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"t": "[0, inf]"}

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:  # noqa: ARG002
        state = state_of(dist)
        t = self._fitting("t", state.batch_shape)
        return of_state(renewal.retempered(state, t, "Temperature"))

    @property
    def _factor(self) -> float | None:
        plain = type(self) is Temperature and isinstance(self.t, int | float)
        return float(self.t) if plain else None  # type: ignore[arg-type]


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

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import DynamicTemperature
    >>> DynamicTemperature(0.5, 1.0)(Categorical.from_weights([1, 1, 0])).probs
    array([0.5, 0.5, 0. ])
    """

    low: ArrayLike
    high: ArrayLike
    exponent: ArrayLike = 1.0
    _intervals: ClassVar[dict[str, str]] = {
        "low": "[0, inf)",
        "high": "[0, inf)",
        "exponent": "(0, inf)",
    }

    @ignore_fp_errors
    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:  # noqa: ARG002
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
        # Derivatives in the logits would miss those of the temperature.
        return of_state(lost(renewal.retempered(state, t, "DynamicTemperature")))

    def _like_entropies(self, name: str, state: State) -> Any:
        value = self._fitting(name, state.batch_shape)
        return to_namespace(value, state.xp, state.like) if hasattr(value, "shape") else value


@dataclass(frozen=True, eq=False, repr=False)
class LogitBias(Edit):
    r"""Add a bias to the log-probabilities of some tokens.

    .. math:: \log p_i \leftarrow \log p_i + b_i

    Parameters
    ----------
    bias : mapping of ids to numbers, or a sequence of such mappings
        In nats; -inf bans a token. A sequence has one mapping for each row of a 1-d batch.
    on : {"log_probs", "logits"}
        As for :class:`RepetitionPenalty`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import LogitBias
    >>> LogitBias({0: np.log(3.0)})(Categorical.from_weights([1, 1])).probs
    array([0.75, 0.25])
    >>> LogitBias([{0: np.log(3.0)}, {}])(Categorical.from_weights([[1, 1], [1, 1]])).probs
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """

    bias: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("bias", mappings(self.bias, "bias", "ids", _biases))

    def _changes(self, state: State, history: History) -> list[Change]:  # noqa: ARG002
        batch, own = state.batch_shape, isinstance(self.bias, tuple)
        found = []
        for bias in self.bias if own else (self.bias,):
            ids = np.array(list(bias), np.int64)
            check_ids(ids, state.num_categories, "bias")
            found.append(Change(ids, None, np.array(list(bias.values()))))
        return list(each_row(found if own else found[0], batch, "bias", own=own))


def mappings(
    x: Any, name: str, keys: str, checked: Callable[[Mapping[Any, Any], str], dict[Any, float]]
) -> Any:
    """A mapping that stays as it is, or a tuple of one per row."""
    if isinstance(x, Mapping):
        return FrozenMapping(checked(x, name))
    if not (isinstance(x, list | tuple) and all(isinstance(row, Mapping) for row in x)):
        raise TypeError(f"{name} must be a mapping of {keys} to numbers, or one per row, got {x!r}")
    return tuple(FrozenMapping(checked(row, name)) for row in x)


def _biases(bias: Mapping[Any, Any], name: str) -> dict[int, float]:
    """Biases by ascending id."""
    ids = ids_of(list(bias), name).tolist()
    pairs = sorted(zip(ids, bias.values(), strict=True), key=lambda pair: pair[0])
    return {i: float(number(b, f"{name} of {i}", "[-inf, inf)")) for i, b in pairs}


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Edit):
    """An edit that bans some ids, or all others; for every row the same, or each its own."""

    ids: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_traced(self.ids):
            raise TypeError("ids must be known, got a traced array")
        try:
            array = to_numpy(self.ids)
        except ValueError:  # rows of ids that differ in length
            array = None
        if array is not None and array.dtype == bool and array.ndim:
            self._set("ids", np.array(array))
        else:
            found = id_rows(self.ids, "ids")
            own = bool(found) and isinstance(found[0], tuple)
            self._set("ids", tuple(map(_distinct, found)) if own else _distinct(found))

    def _changes(self, state: State, history: History) -> list[Change]:  # noqa: ARG002
        width, batch = state.num_categories, state.batch_shape
        if isinstance(self.ids, tuple):
            own = isinstance(next(iter(self.ids), None), tuple)
            rows = self.ids if own else (self.ids,)
            for row in rows:
                check_ids(row, width, "ids")
            found = [banned(self._of_ids(list(row), width)) for row in rows]
            return list(each_row(found if own else found[0], batch, "ids", own=own))
        if self.ids.shape[-1] != width:
            raise ValueError(f"ids must be a mask of {width} tokens, got shape {self.ids.shape}")
        check_fits_within(self.ids.shape[:-1], batch, "ids")
        masks = np.broadcast_to(self.ids, (*batch, width)).reshape(-1, width)
        return [banned(self._of_mask(mask)) for mask in masks]

    @abstractmethod
    def _of_ids(self, ids: list[int], width: int) -> Any:
        """What these ids ban."""

    @abstractmethod
    def _of_mask(self, mask: Any) -> Any:
        """What a mask bans."""


def _distinct(ids: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(ids)))


@dataclass(frozen=True, eq=False, repr=False)
class Ban(Choice):
    """Ban tokens: they get probability 0.

    Parameters
    ----------
    ids : sequence of ids, a sequence of those, or array of bool, shape (..., K)
        A sequence of sequences has one for each row of a 1-d batch, and so may a mask.
    on : {"log_probs", "logits"}
        As for :class:`RepetitionPenalty`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Ban
    >>> Ban([0])(Categorical.from_weights([2, 1, 1])).probs
    array([0. , 0.5, 0.5])
    >>> Ban([[0], [1, 2]])(Categorical.from_weights([[2, 1, 1], [2, 1, 1]])).probs
    array([[0. , 0.5, 0.5],
           [1. , 0. , 0. ]])
    """

    def _of_ids(self, ids: list[int], width: int) -> Any:  # noqa: ARG002
        return np.array(ids, np.int64)

    def _of_mask(self, mask: Any) -> Any:
        return np.flatnonzero(mask)


def banned(ids: Any) -> Change:
    """The change that bans these ids."""
    return Change(ids, None, -math.inf)
