"""Stages: functions from distributions to distributions, and chains of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from softargmax._arrays.checks import check_instance
from softargmax._arrays.keywords import explained
from softargmax._arrays.types import A, ArrayLike
from softargmax._core.thresholds import Rules, truncated
from softargmax._random.sources import Rngs
from softargmax._rows.memory import once
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._at_once import Plan, draw_at_once, in_place
from softargmax.tokens._parameters import Parameters

History = Any


@dataclass(frozen=True, eq=False, repr=False)
class Stage(Parameters):
    """A function ``stage(dist, history=None) -> Categorical``; chains of stages are stages.

    ``history`` holds the tokens so far, which penalties need: integer ids (..., t), oldest first,
    with the batch axes of the distribution, or a sequence with one 1-d array per row. Negative ids
    are padding.
    """

    @abstractmethod
    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:
        """The distribution after this stage, over the same categories."""

    @explained
    def sample(
        self,
        logits: ArrayLike,
        temperature: ArrayLike | None = None,
        history: History = None,
        shape: int | tuple[int, ...] = (),
        *,
        coldness: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        prior: ArrayLike | None = None,
        rng: Rngs = None,
    ) -> Any:
        """Draw the next token from logits: ``stage(Categorical(logits), history).sample(rng=rng)``.

        The tokens are those, drawn sooner: where all stages are :class:`TopK`, :class:`TopP` or
        :class:`MinP`, with a temperature before or after them, and the logits are long rows of
        NumPy or of PyTorch on the CPU, no distribution is made, nor a copy that it would keep.

        Parameters
        ----------
        logits, temperature, coldness, mask, prior
            As for :class:`Categorical`.
        history : integers, optional
            The tokens so far, as for the call of a stage.
        shape, rng
            As for :meth:`Categorical.sample`.

        Returns
        -------
        int64 or array of ints, shape + batch_shape

        Raises
        ------
        ValueError, TypeError
            As from :class:`Categorical` and the stage.

        Notes
        -----
        The token's probability, and what an adaptive stage is updated with, need the distribution.

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.tokens import MinP, TopK, chain
        >>> logits = np.linspace(-9, 9, 50_000)
        >>> chain(TopK(50), MinP(0.1)).sample(logits, temperature=0.8, rng=1)
        np.int64(49975)
        """
        one = type(shape) is tuple and not shape
        plain = one and coldness is None and mask is None and prior is None
        z = in_place(logits) if plain else None
        plan = None if z is None else self._plan
        token = None if plan is None else draw_at_once(z, logits, temperature, plan, rng)
        if token is not None:
            return token
        law: Any = {"coldness": coldness, "mask": mask, "prior": prior}
        return self(Categorical(logits, temperature, **law), history).sample(shape, rng=rng)

    @property
    def final(self) -> bool:
        """Whether no other stage may follow this one in a chain."""
        return False

    @property
    def _rules(self) -> Rules | None:
        """What the stage keeps, where it is a truncation and nothing else."""
        return None

    @property
    def _factor(self) -> float | None:
        """By what the stage multiplies the temperature, where it does nothing else."""
        return None

    @once
    def _plan(self) -> Plan | None:
        """How long rows are drawn from at once, where they can be."""
        rules = self._rules
        return None if rules is None or not rules.are_kernels_own else Plan(rules)

    @property
    def adaptive(self) -> bool:
        """Whether tokens that are drawn after this stage change it, as they change Mirostat."""
        return False

    def updated(
        self,
        dist: Categorical,  # noqa: ARG002
        token: Any,  # noqa: ARG002
        history: History = None,  # noqa: ARG002
    ) -> Stage:
        """The stage for the next token, after one was drawn from ``stage(dist, history)``.

        Parameters
        ----------
        dist : Categorical
            What the stage was called with.
        token : int or array of ints, shape batch_shape
        history : integers, optional
            What the stage was called with.

        Returns
        -------
        Stage
            The same stage where it is not adaptive.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.tokens import Mirostat, TopK, chain
        >>> stage = chain(TopK(2), Mirostat(target=1.0, rate=0.5))
        >>> new = stage.updated(Categorical([0.0, 0.0, -1.0]), 1)
        >>> round(new.stages[1].state, 4)  # μ, which began at 2
        2.1534
        """
        return self

    def with_prompt(self, prompt_length: Any) -> Self:
        """The same stage with the length of the prompt, which starts the history.

        Parameters
        ----------
        prompt_length : int or array
            At least 0, padding not counted; for every stage of a chain that tells the prompt from
            the output after it.

        Returns
        -------
        Stage

        Raises
        ------
        ValueError, TypeError
            For a length that is not an integer of 0 or more.

        Examples
        --------
        >>> from softargmax.tokens import FrequencyPenalty, TopK, chain
        >>> chain(FrequencyPenalty(0.5), TopK(9)).with_prompt(3)
        Chain(stages=(FrequencyPenalty(alpha=0.5, prompt_length=3), TopK(k=9)))
        """
        new: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "prompt_length":
                new[f.name] = prompt_length
            elif isinstance(value, Stage):
                new[f.name] = value.with_prompt(prompt_length)
            elif isinstance(value, tuple) and value and isinstance(value[0], Stage):
                new[f.name] = tuple(stage.with_prompt(prompt_length) for stage in value)
        return replace(self, **new) if new else self


@dataclass(frozen=True, eq=False, repr=False)
class Chain(Stage):
    """Stages applied one after the other; made by :func:`chain`.

    Parameters
    ----------
    stages : tuple of Stage

    Examples
    --------
    >>> from softargmax.tokens import TopK, TopP, chain
    >>> chain(TopK(50), TopP(0.9))
    Chain(stages=(TopK(k=50), TopP(p=0.9)))
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        self._set("stages", tuple(self.stages))
        super().__post_init__()
        for i, stage in enumerate(self.stages):
            check_instance(stage, Stage, "stages")
            if stage.final and i < len(self.stages) - 1:
                last = stage
                while inner := getattr(last, "stages", ()):
                    last = next(one for one in inner if one.final)
                raise ValueError(
                    f"stages must end with {type(last).__name__}, got "
                    f"{type(self.stages[i + 1]).__name__} after it; pass it as then="
                )

    @property
    def final(self) -> bool:
        """Whether the last stage is final."""
        return bool(self.stages) and self.stages[-1].final

    @property
    def adaptive(self) -> bool:
        """Whether any of the stages is."""
        return any(stage.adaptive for stage in self.stages)

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:
        check_instance(dist, Categorical, "dist")
        for step in self._steps:
            if isinstance(step, Rules):
                dist = of_state(truncated(state_of(dist), step), type(dist))
            else:
                dist = step(dist, history)
        return dist

    @once
    def _steps(self) -> tuple[Stage | Rules, ...]:
        """The stages; truncations in a row are one step, and make no distribution between them."""
        steps: list[Stage | Rules] = []
        for stage in self.stages:
            rules = stage._rules
            own = (stage,) if rules is None else (rules,)
            for step in stage._steps if type(stage) is Chain else own:
                if isinstance(step, Rules) and steps and isinstance(steps[-1], Rules):
                    steps[-1] = Rules((*steps[-1], *step))
                else:
                    steps.append(step)
        return tuple(steps)

    @once
    def _plan(self) -> Plan | None:
        if type(self) is not Chain:  # which may do more when it is called
            return None
        match [step if isinstance(step, Rules) else step._factor for step in self._steps]:
            case [Rules() as rules]:
                plan = Plan(rules)
            case [float() as before, Rules() as rules]:
                plan = Plan(rules, before)
            case [Rules() as rules, float() as after]:
                plan = Plan(rules, after=after)
            case [float() as before, Rules() as rules, float() as after]:
                plan = Plan(rules, before, after)
            case _:
                return None
        return plan if plan.rules.are_kernels_own else None

    def updated(self, dist: Categorical, token: Any, history: History = None) -> Stage:
        """The chain for the next token: each of its stages updated.

        Examples
        --------
        >>> from softargmax import Categorical
        >>> from softargmax.tokens import TopK, chain
        >>> chain(TopK(2)).updated(Categorical([0.0, 0.0, -1.0]), 1)
        Chain(stages=(TopK(k=2),))
        """
        made, rest = [], self
        while rest.adaptive:
            first, rest = rest.stages[0], Chain(rest.stages[1:])
            made.append(first.updated(dist, token, history))
            dist = first(dist, history) if rest.adaptive else dist
        return Chain((*made, *rest.stages))


def chain(*stages: Stage) -> Chain:
    """One stage that applies the given stages from left to right.

    Parameters
    ----------
    *stages : Stage
        Each receives the normalised distribution that the previous one returned. An empty chain
        returns its input.

    Returns
    -------
    Chain

    Raises
    ------
    TypeError
        For anything that is not a stage.
    ValueError
        For a stage after :class:`XTC`, also in nested chains: pass it to XTC as ``then``.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import MinP, TopK, chain
    >>> chain(TopK(3), MinP(0.3))(Categorical.from_weights([8, 4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    , 0.    ])
    """
    return Chain(stages)
