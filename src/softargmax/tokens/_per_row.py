"""A batch of requests, each with a chain of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softargmax._arrays.checks import check_instance
from softargmax._arrays.keywords import explained
from softargmax._arrays.namespaces import is_foreign, to_numpy
from softargmax._arrays.types import A
from softargmax._core import scored
from softargmax._core.variants import rows_of_batch
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._history import tokens_of
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class PerRow(Stage):
    """A stage for each row of a batch; made by :func:`per_row`.

    Parameters
    ----------
    stages : tuple of Stage

    Examples
    --------
    >>> from softargmax.tokens import TopK, TopP, per_row
    >>> per_row([TopK(50), TopP(0.9)])
    PerRow(stages=(TopK(k=50), TopP(p=0.9)))
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if isinstance(self.stages, Stage):
            raise TypeError(
                f"stages must be one for each row, got {type(self.stages).__name__} alone"
            )
        self._set("stages", tuple(self.stages))
        super().__post_init__()
        for stage in self.stages:
            check_instance(stage, Stage, "stages")

    @property
    def adaptive(self) -> bool:
        """Whether any of the stages is."""
        return any(stage.adaptive for stage in self.stages)

    @property
    def final(self) -> bool:
        """Whether any of the stages is."""
        return any(stage.final for stage in self.stages)

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:
        rows = [state_of(stage(row, own)) for stage, row, own in self._rows(dist, history)]
        return of_state(scored.stacked(state_of(dist), rows))

    def updated(self, dist: Categorical, token: Any, history: History = None) -> PerRow:
        """The stages for the next tokens, each updated with the token of its row.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.tokens import Mirostat, TopK, per_row
        >>> stage = per_row([TopK(1), Mirostat(target=1.0)])
        >>> new = stage.updated(Categorical([[0.0, -9.0], [0.0, -9.0]]), [0, 0])
        >>> round(new.stages[1].state, 4)
        2.1
        """
        if not self.adaptive:
            return self
        rows = self._rows(dist, history)
        token = token if is_foreign(token) else np.asarray(token)
        if tuple(token.shape) != (len(self.stages),):
            raise ValueError(
                f"token must have shape ({len(self.stages)},), one per row, "
                f"got shape {tuple(token.shape)}"
            )
        pairs = zip(rows, token, strict=True)
        return PerRow(tuple(stage.updated(row, x, own) for (stage, row, own), x in pairs))

    def with_prompt(self, prompt_length: Any) -> PerRow:
        """The same stages, each with the length of the prompt of its row.

        Examples
        --------
        >>> from softargmax.tokens import PresencePenalty, TopK, per_row
        >>> per_row([TopK(1), PresencePenalty(0.5)]).with_prompt([2, 7])
        PerRow(stages=(TopK(k=1), PresencePenalty(alpha=0.5, prompt_length=7)))
        """
        given = np.asarray(to_numpy(prompt_length) if is_foreign(prompt_length) else prompt_length)
        n = len(self.stages)
        if given.shape not in ((), (n,)):
            raise ValueError(
                f"prompt_length must have one number for all, or one for each of {n} stages, "
                f"got shape {given.shape}"
            )
        lengths = [prompt_length] * n if given.ndim == 0 else given.tolist()
        pairs = zip(self.stages, lengths, strict=True)
        return PerRow(tuple(stage.with_prompt(length) for stage, length in pairs))

    def _rows(
        self, dist: Categorical, history: History
    ) -> Iterator[tuple[Stage, Categorical, Any]]:
        """Each stage with its row and the history of that."""
        check_instance(dist, Categorical, "dist")
        state, n = state_of(dist), len(self.stages)
        if state.batch_shape != (n,):
            raise ValueError(
                f"dist must have one row for each of {n} stages, got batch {state.batch_shape}"
            )
        histories = [None] * n if history is None else tokens_of(history, state, "per_row")
        rows = map(of_state, rows_of_batch(state))
        return zip(self.stages, rows, histories, strict=True)


@explained
def per_row(stages: Sequence[Stage]) -> PerRow:
    """One stage for a batch of requests, which applies another stage to each row.

    Parameters
    ----------
    stages : sequence of Stage
        Chains, presets or single stages, one for each row of a 1-d batch. A row is a distribution
        without batch axes to its stage, and its history is that row's alone.

    Returns
    -------
    PerRow
        It returns a batch of what its stages return: rows of logits, each at a temperature of its
        own, with -inf for what a mask leaves out. (A row with a prior is one of log-probabilities
        at temperature 1, on which a later stage with ``on="logits"`` then acts, and so is a row
        whose coldness was given.) For requests that join or leave, make another one:
        ``per_row([*stage.stages[1:], new])``. An adaptive stage, such as :class:`Mirostat`, holds
        its state and so takes it along. Where a row ends with :class:`XTC`, no stage may follow.

    Raises
    ------
    TypeError
        For anything that is not a stage.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import FrequencyPenalty, TopK, per_row
    >>> stage = per_row([TopK(1), FrequencyPenalty(np.log(2))])
    >>> stage(Categorical.from_weights([[2, 1, 1], [2, 1, 1]]), [[], [2, 0, 0]]).probs.round(4)
    array([[1.  , 0.  , 0.  ],
           [0.25, 0.5 , 0.25]])
    """
    return PerRow(stages)  # type: ignore[arg-type]
