"""Stages as logits processors in other libraries' generation loops."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from softargmax._arrays.checks import check_instance
from softargmax._arrays.namespaces import detached, is_foreign, kind_of, namespace_of
from softargmax.categorical import Categorical
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

    Examples
    --------
    >>> from softargmax.tokens import LogitsProcessor, TopK
    >>> processor = LogitsProcessor(TopK(2))
    >>> processor([7, 3], np.log(np.array([4, 2, 1, 2], np.float32))).round(4)
    array([-0.6931, -1.3863,    -inf, -1.3863], dtype=float32)
    >>> from softargmax.tokens import FrequencyPenalty
    >>> LogitsProcessor(FrequencyPenalty(0.5), prompt_length=7)
    LogitsProcessor(stage=FrequencyPenalty(alpha=0.5, prompt_length=7))
    """

    stage: Stage

    def __init__(self, stage: Stage, *, prompt_length: Any = None) -> None:
        check_instance(stage, Stage, "stage")
        made = stage if prompt_length is None else stage.with_prompt(prompt_length)
        object.__setattr__(self, "stage", made)

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
        found = self.stage(Categorical(detached(scores, xp)), input_ids).log_probs
        return xp.astype(found, scores.dtype)
