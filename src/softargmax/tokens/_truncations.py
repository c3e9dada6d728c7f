"""Truncations: stages that keep some of the tokens, mostly the likeliest, and drop the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from softargmax._arrays.checks import check_instance, count
from softargmax._arrays.namespaces import namespace_of
from softargmax._arrays.types import A, ArrayLike
from softargmax._core import thresholds
from softargmax._core.thresholds import Rule, Rules, Scores
from softargmax._rows.memory import once
from softargmax.categorical import Categorical, of_state, state_of
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class Truncation(Stage):
    """A stage that keeps the categories whose key reaches a bound; logits and temperature stay.

    The key is d, the log-probability shifted so that the largest is 0, unless a truncation says
    otherwise. For long rows only the survivors are stored, so that the next stage and the draw
    touch only them. To add a truncation, write a subclass with a parameter and a ``_bound``.
    """

    min_keep: int = field(default=1, kw_only=True)
    _exact: ClassVar[bool] = False  # whether the bound is itself a key, compared without tolerance

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("min_keep", count(self.min_keep, "min_keep", 1, 2**62))

    def __call__(self, dist: Categorical[A], history: History = None) -> Categorical[A]:  # noqa: ARG002
        return of_state(thresholds.truncated(state_of(dist), self._own), type(dist))

    @property
    def _rules(self) -> Rules | None:
        # A subclass may do more when it is called.
        return self._own if type(self).__call__ is Truncation.__call__ else None

    @property
    def _own(self) -> Rules:
        if "_fixed" in self.__dict__ or not hasattr(self._parameter[1], "shape"):
            return self._fixed
        # Rules hold the stage by its methods. Were they kept, an array, and all that it is a
        # function of, would stay in memory until the garbage collector finds the circle.
        return self._made()

    @once
    def _fixed(self) -> Rules:
        return self._made()

    def _made(self) -> Rules:
        name, parameter = self._parameter
        least = self._least(parameter)
        return Rules((Rule(self._bound, parameter, self._key, least, self._exact, name),))

    @property
    def _parameter(self) -> tuple[str, Any]:
        """The name and the value of the one parameter, if there is one."""
        name = next(iter(self._intervals), "")
        return name, getattr(self, name) if name else None

    # The smallest key that is kept, from the scores and the parameter, which is that of one row, or
    # a column for all: a method, or one of the common bounds, which kernels know.
    _bound: ClassVar[Callable[..., Any]]
    # The key that is compared with the bound; None for d.
    _key: ClassVar[Callable[[Any, Scores], Any] | None] = None

    def _least(self, parameter: Any) -> Any:  # noqa: ARG002
        """How many of the largest keys are kept whatever the bound, besides ties with the last."""
        return self.min_keep


@dataclass(frozen=True, eq=False, repr=False)
class TopK(Truncation):
    """Keep the k likeliest tokens, and those tied with the k-th.

    Parameters
    ----------
    k : int or array
        At least 1; above K, all tokens are kept.
    min_keep : int
        At least this many of the likeliest tokens are kept.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    k: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"k": "integers [1, inf)"}

    _bound = staticmethod(thresholds.by_rank)

    def _least(self, parameter: Any) -> Any:
        if hasattr(parameter, "shape"):
            return namespace_of(parameter).clip(parameter, self.min_keep, None)
        return max(parameter, self.min_keep)


@dataclass(frozen=True, eq=False, repr=False)
class TopP(Truncation):
    """Keep the smallest set of likeliest tokens whose mass reaches p: nucleus sampling.

    A token is kept if the mass of all strictly likelier ones is below p, so ties stay together.

    Parameters
    ----------
    p : float or array
        In [0, 1]. p = 1 keeps every token, p = 0 only the likeliest.
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    p: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"p": "[0, 1]"}
    _exact: ClassVar[bool] = True
    _bound = staticmethod(thresholds.by_mass)


@dataclass(frozen=True, eq=False, repr=False)
class MinP(Truncation):
    """Keep tokens at least p times as likely as the likeliest.

    Parameters
    ----------
    p : float or array
        In [0, 1]; the comparison is between logarithms.
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    p: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"p": "[0, 1]"}

    _bound = staticmethod(thresholds.by_ratio)


@dataclass(frozen=True, eq=False, repr=False)
class Typical(Truncation):
    """Keep the smallest set of the most typical tokens whose mass reaches ``mass``.

    A token is typical if its surprise -log p is close to the entropy H. It is kept if the mass of
    all strictly more typical tokens is below ``mass``; the likeliest token may be dropped.

    Parameters
    ----------
    mass : float or array
        In [0, 1].
    min_keep : int
        At least this many of the most typical tokens are kept.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    mass: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"mass": "[0, 1]"}
    _exact: ClassVar[bool] = True

    def _key(self, scores: Scores) -> Any:
        return scores.nearness(scores.log_total - scores.entropy)

    _bound = staticmethod(thresholds.by_mass)


@dataclass(frozen=True, eq=False, repr=False)
class EpsilonCutoff(Truncation):
    """Keep tokens of probability at least ε.

    Parameters
    ----------
    eps : float or array
        ε in [0, 1].
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    eps: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"eps": "[0, 1]"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.xp.log(parameter) + scores.log_total


@dataclass(frozen=True, eq=False, repr=False)
class EtaCutoff(Truncation):
    r"""Keep tokens of probability at least :math:`\min(\varepsilon, \sqrt\varepsilon\, e^{-H})`.

    Parameters
    ----------
    eps : float or array
        ε in [0, 1]; the cutoff is lower where the entropy H is high.
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    eps: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"eps": "[0, 1]"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        log_eps = scores.xp.log(parameter)
        return scores.xp.minimum(log_eps, log_eps / 2 - scores.entropy) + scores.log_total


@dataclass(frozen=True, eq=False, repr=False)
class TopNSigma(Truncation):
    """Keep tokens whose score is within n standard deviations of the largest.

    The population standard deviation is that of the scores of tokens with p > 0. Scores and
    deviation both scale as 1/T, so the temperature does not matter.

    Parameters
    ----------
    n : float or array
        In [0, inf).
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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

    n: ArrayLike
    _intervals: ClassVar[dict[str, str]] = {"n": "[0, inf)"}

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return -parameter * scores.deviation


@dataclass(frozen=True, eq=False, repr=False)
class TopH(Truncation):
    """Keep the longest run of likeliest tokens whose entropy is at most a fraction of H.

    The entropy is that of the renormalised run, as in the paper, H that of the distribution. The
    likeliest token is always kept, and so are tokens tied with the last of the run.

    Parameters
    ----------
    fraction : float or array
        In [0, 1].
    cumulative : bool
        Whether to sum the terms -p log p of the run as they are, without renormalising.
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

    Notes
    -----
    transformers' ``top_h`` is cumulative, after a TopK(100).

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

    fraction: ArrayLike
    cumulative: bool = field(default=False, kw_only=True)
    _intervals: ClassVar[dict[str, str]] = {"fraction": "[0, 1]"}
    _exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance(self.cumulative, bool, "cumulative")

    def _bound(self, scores: Scores, parameter: Any) -> Any:
        return scores.entropy_threshold(parameter, cumulative=self.cumulative)


@dataclass(frozen=True, eq=False, repr=False)
class PLess(Truncation):
    """Keep tokens at least as likely as two draws are to agree: p ≥ Σp².

    Parameters
    ----------
    min_keep : int
        As for :class:`TopK`.

    Raises
    ------
    ValueError, TypeError
        For a parameter outside its range or of another type.

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
