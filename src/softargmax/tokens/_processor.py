"""Stages as logits processors in other libraries' generation loops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softargmax._arrays.checks import check_instance
from softargmax._arrays.namespaces import detached, is_foreign, kind_of, namespace_of, to_numpy
from softargmax.categorical import Categorical
from softargmax.tokens._history import is_sequence, rows_in
from softargmax.tokens._stage import Stage


@dataclass(frozen=True, init=False)
class LogitsProcessor:
    """A stage as transformers and llama-cpp-python call it: ``processor(input_ids, scores)``.

    Parameters
    ----------
    stage : Stage
        It receives ``input_ids`` as its history.
    prompt_length : int or array, optional
        How many of the first ids of each row are the prompt, padding included: short for
        ``stage.with_prompt(prompt_length)``.

    Notes
    -----
    It returns normalised log-probabilities, -inf off the support, in the type and dtype of the
    scores. They are valid logits for whatever the host does next, but hosts truncate again by
    default. To keep them unchanged, pass ``do_sample=True, temperature=1.0, top_k=0, top_p=1.0`` to
    transformers' ``generate``, and ``temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0,
    repeat_penalty=1.0`` to llama-cpp-python. Padding in ``input_ids`` counts as history, since
    hosts pad with a valid id.

    Adaptive stages (:class:`Mirostat`) learn from call to call, if each row has one id more than
    before. Otherwise they start afresh: for another text, or where beam search has moved rows.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.tokens import LogitsProcessor, TopK
    >>> processor = LogitsProcessor(TopK(2))
    >>> processor([7, 3], np.log(np.array([4, 2, 1, 2], np.float32))).round(4)
    array([-0.6931, -1.3863,    -inf, -1.3863], dtype=float32)
    >>> from softargmax.tokens import FrequencyPenalty
    >>> LogitsProcessor(FrequencyPenalty(0.5), prompt_length=7)
    LogitsProcessor(stage=FrequencyPenalty(alpha=0.5, prompt_length=7))
    """

    stage: Stage
    # The stage as it was at the last call, and what it was called with; empty if nothing adapts.
    _last: list[Any] = field(compare=False, repr=False)

    def __init__(self, stage: Stage, *, prompt_length: Any = None) -> None:
        check_instance(stage, Stage, "stage")
        made = stage if prompt_length is None else stage.with_prompt(prompt_length)
        object.__setattr__(self, "stage", made)
        object.__setattr__(self, "_last", [])

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Log-probabilities after the stage.

        Parameters
        ----------
        input_ids : integers, shape (t,) or (rows, t)
        scores : NumPy array or tensor, shape (K,) or (rows, K)

        Returns
        -------
        array like scores
        """
        xp = namespace_of(scores)
        scores = scores if is_foreign(scores) else np.asarray(scores)
        if kind_of(scores, xp) != "f":
            raise TypeError(f"scores must be floating, got dtype {scores.dtype}")
        dist = Categorical(detached(scores, xp))
        stage = self.stage_after(input_ids)
        if stage.adaptive:
            self._last[:] = [stage, dist, _rows(input_ids)]
        return xp.astype(stage(dist, input_ids).log_probs, scores.dtype)

    def stage_after(self, input_ids: Any) -> Stage:
        """The stage for the token after these ids, with what it has learnt from the last one.

        Parameters
        ----------
        input_ids : integers, shape (t,) or (rows, t)
            Those of the last call, and the token that each row got since.

        Returns
        -------
        Stage
            Make the next processor from it where rows join or leave. It is the initial stage where
            nothing adapts, or where these ids do not continue those of the last call.

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.tokens import LogitsProcessor, Mirostat
        >>> processor = LogitsProcessor(Mirostat(target=0.5))
        >>> _ = processor([7, 3], np.array([1.0, 1.0]))
        >>> processor.stage_after([7, 3, 0])
        Mirostat(target=0.5, state=0.9806852819440055)
        """
        if not self._last:
            return self.stage
        stage: Stage
        stage, dist, before = self._last
        rows = _rows(input_ids)
        if len(rows) != len(before):
            return self.stage
        pairs = list(zip(rows, before, strict=True))
        if all(np.array_equal(row, old) for row, old in pairs):
            return stage  # asked again
        if not all(len(row) and np.array_equal(row[:-1], old) for row, old in pairs):
            return self.stage
        token = np.array([row[-1] for row in rows]).reshape(dist.batch_shape)
        return stage.updated(dist, token, before if dist.batch_shape else before[0])


def _rows(input_ids: Any) -> list[Any]:
    """A copy of each row of ids."""
    if is_foreign(input_ids) or isinstance(input_ids, np.ndarray):
        return rows_in(np.array(to_numpy(input_ids)))
    own = any(map(is_sequence, input_ids))
    return [np.array(row, np.int64) for row in (input_ids if own else [input_ids])]
