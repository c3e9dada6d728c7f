"""Truncations: stages that keep the likelier tokens and let the rest go."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import count
from softargmax._core import thresholds
from softargmax._core.thresholds import Rule, Scores
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class Truncation(Stage):
    """A stage that keeps the categories whose key reaches a bound; logits and temperature stay.

    The key is d, the centred log-probability whose largest is 0, unless a truncation says
    otherwise. Where rows are long only the survivors are kept: the next stage and the draw touch
    them alone. One more truncation is a subclass with its parameter and its ``_bound``.
    """

    min_keep: int = field(default=1, kw_only=True)
    _exact: ClassVar[bool] = False  # whether the bound is a key itself, met without slack

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "min_keep", count(self.min_keep, "min_keep", 1, 2**62))

    def __call__(self, dist: Categorical, history: History = None) -> Categorical:  # noqa: ARG002
        state = state_of(dist)
        name = next(iter(self._intervals), None)
        parameter = None if name is None else self._fitting(name, state.batch_shape)
        rule = Rule(self._bound, self._key, self._least(parameter), self._exact)
        return of_state(thresholds.truncated(state, rule, parameter))

    @abstractmethod
    def _bound(self, scores: Scores, parameter: Any) -> Any:
        """The least key that stays; the parameter is one row's, or a column of all rows'."""

    # What is compared with the bound in place of d.
    _key: ClassVar[Callable[[Any, Scores], Any] | None] = None

    def _least(self, parameter: Any) -> Any:  # noqa: ARG002
        """How many of the largest keys stay whatever the bound, those tied with the last too."""
        return self.min_keep


@dataclass(frozen=True, eq=False, repr=False)
class TopK(Truncation):
    """The k likeliest tokens, those tied with the k-th included.

    Parameters
    ----------
    k : int or array
        At least 1; beyond K it keeps all.
    min_keep : int
        At least so many of the likeliest stay, here as with every truncation.

    References
    ----------
    Fan, Lewis & Dauphin (2018), https://arxiv.org/abs/1805.04833.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import TopK
    >>> TopK(2)(Categorical.from_weights([4, 2, 1, 2])).probs
    array([0.5 , 0.25, 0.  , 0.25])
    """

    k: Any
    _intervals: ClassVar[dict[str, str]] = {"k": "integers [1, inf)"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:  # noqa: ARG002
        return math.inf

    def _least(self, parameter: Any) -> Any:
        if np.ndim(parameter):
            return np.maximum(parameter, self.min_keep)
        return max(parameter, self.min_keep)


@dataclass(frozen=True, eq=False, repr=False)
class TopP(Truncation):
    """The smallest set of the likeliest tokens whose mass reaches p: nucleus sampling.

    A token stays if the mass of all strictly likelier ones is below p, so that ties stay together.

    Parameters
    ----------
    p : float or array
        In [0, 1]. p = 1 keeps every token, p = 0 the likeliest.
    min_keep : int
        As for :class:`TopK`.

    References
    ----------
    Holtzman et al. (2020), https://arxiv.org/abs/1904.09751.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import TopP
    >>> TopP(0.75)(Categorical.from_weights([4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    ])
    """

    p: Any
    _intervals: ClassVar[dict[str, str]] = {"p": "[0, 1]"}
    _exact: ClassVar[bool] = True

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.mass_threshold(parameter)


@dataclass(frozen=True, eq=False, repr=False)
class MinP(Truncation):
    """Tokens at least p times as likely as the likeliest.

    Parameters
    ----------
    p : float or array
        In [0, 1]; compared as logarithms.
    min_keep : int
        As for :class:`TopK`.

    References
    ----------
    Nguyen et al. (2024), https://arxiv.org/abs/2407.01082.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import MinP
    >>> MinP(0.5)(Categorical.from_weights([4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    ])
    """

    p: Any
    _intervals: ClassVar[dict[str, str]] = {"p": "[0, 1]"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.xp.log(parameter)


@dataclass(frozen=True, eq=False, repr=False)
class Typical(Truncation):
    """The smallest set of the most typical tokens whose mass reaches ``mass``.

    Typical is a token whose surprise -log p is near the entropy H. It stays if the mass of all
    that are strictly nearer is below ``mass``; the likeliest token may go.

    Parameters
    ----------
    mass : float or array
        In [0, 1].
    min_keep : int
        At least so many of those nearest to H stay.

    References
    ----------
    Meister, Pimentel, Wiher & Cotterell (2022), https://arxiv.org/abs/2202.00666.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import Typical
    >>> Typical(0.2)(Categorical.from_weights([8, 4, 2, 1, 1])).probs
    array([0., 1., 0., 0., 0.])
    """

    mass: Any
    _intervals: ClassVar[dict[str, str]] = {"mass": "[0, 1]"}
    _exact: ClassVar[bool] = True

    def _key(self, scores: Scores) -> Any:
        return scores.nearness(scores.log_total - scores.entropy)

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.mass_threshold(parameter)


@dataclass(frozen=True, eq=False, repr=False)
class EpsilonCutoff(Truncation):
    """Tokens of probability at least ε.

    Parameters
    ----------
    eps : float or array
        ε in [0, 1].
    min_keep : int
        As for :class:`TopK`.

    References
    ----------
    Hewitt, Manning & Liang (2022), https://arxiv.org/abs/2210.15191.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import EpsilonCutoff
    >>> EpsilonCutoff(0.25)(Categorical.from_weights([4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    ])
    """

    eps: Any
    _intervals: ClassVar[dict[str, str]] = {"eps": "[0, 1]"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.xp.log(parameter) + scores.log_total


@dataclass(frozen=True, eq=False, repr=False)
class EtaCutoff(Truncation):
    r"""Tokens of probability at least :math:`\min(\varepsilon, \sqrt\varepsilon\, e^{-H})`.

    Parameters
    ----------
    eps : float or array
        ε in [0, 1]; where the entropy H is high, less is asked.
    min_keep : int
        As for :class:`TopK`.

    References
    ----------
    Hewitt, Manning & Liang (2022), https://arxiv.org/abs/2210.15191.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import EtaCutoff
    >>> EtaCutoff(0.2)(Categorical.from_weights([4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    ])
    """

    eps: Any
    _intervals: ClassVar[dict[str, str]] = {"eps": "[0, 1]"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        log_eps = scores.xp.log(parameter)
        return scores.xp.minimum(log_eps, log_eps / 2 - scores.entropy) + scores.log_total


@dataclass(frozen=True, eq=False, repr=False)
class TopNSigma(Truncation):
    """Tokens whose score is within n standard deviations of the largest.

    The scores are those of the tokens with p > 0, the deviation that of this population; both are
    in proportion to 1/T, so that the temperature does not matter.

    Parameters
    ----------
    n : float or array
        In [0, inf).
    min_keep : int
        As for :class:`TopK`.

    References
    ----------
    Tang et al. (2024), https://arxiv.org/abs/2411.07641.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import TopNSigma
    >>> TopNSigma(1.0)(Categorical([4.0, 3.0, 2.0, 0.0])).probs.round(4)
    array([0.7311, 0.2689, 0.    , 0.    ])
    """

    n: Any
    _intervals: ClassVar[dict[str, str]] = {"n": "[0, inf)"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return -parameter * scores.deviation


@dataclass(frozen=True, eq=False, repr=False)
class TopH(Truncation):
    """The longest run of the likeliest tokens whose own entropy is at most a fraction of H.

    Own means that of the renormalised run. The likeliest token stays, and so do tokens tied with
    the last of the run.

    Parameters
    ----------
    fraction : float or array
        In [0, 1].
    min_keep : int
        As for :class:`TopK`.

    Notes
    -----
    As the paper has it. transformers' ``top_h`` sums the unnormalised terms of its 100 likeliest
    tokens, and keeps others.

    References
    ----------
    Potraghloo et al. (2025), https://arxiv.org/abs/2509.02510.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import TopH
    >>> TopH(0.6)(Categorical.from_weights([8, 4, 2, 1, 1])).probs.round(4)
    array([0.6667, 0.3333, 0.    , 0.    , 0.    ])
    """

    fraction: Any
    _intervals: ClassVar[dict[str, str]] = {"fraction": "[0, 1]"}
    _exact: ClassVar[bool] = True

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.entropy_threshold(parameter)


@dataclass(frozen=True, eq=False, repr=False)
class PLess(Truncation):
    """Tokens at least as likely as two draws are to agree: p ≥ Σp².

    Parameters
    ----------
    min_keep : int
        As for :class:`TopK`.

    References
    ----------
    Tan et al. (2025), https://arxiv.org/abs/2509.23234.

    Examples
    --------
    >>> from softargmax import Categorical
    >>> from softargmax.tokens import PLess
    >>> PLess()(Categorical.from_weights([4, 3, 2, 1])).probs.round(4)
    array([0.5714, 0.4286, 0.    , 0.    ])
    """

    def _bound(self, scores: Scores, parameter: Any) -> Any:  # noqa: ARG002
        return scores.log_collision
