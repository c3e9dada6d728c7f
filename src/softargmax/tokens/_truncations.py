"""Truncations: stages that keep the likelier tokens and let the rest go."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from softargmax._arrays.checks import check_instance, count
from softargmax._survivors import rows_left, truncated
from softargmax.categorical import Categorical
from softargmax.tokens._rows import Rows
from softargmax.tokens._stage import History, Stage


@dataclass(frozen=True, eq=False, repr=False)
class Truncation(Stage):
    """A stage that keeps some categories: their logits, temperature and prior stay.

    Where rows are long, what is left is compact: the next stage and the draw touch it alone.
    """

    min_keep: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "min_keep", count(self.min_keep, "min_keep", 1, 2**62))

    def __call__(self, dist: Categorical, history: History = None) -> Categorical:  # noqa: ARG002
        check_instance(dist, Categorical, "dist")
        rows = rows_left(dist)
        with np.errstate(all="ignore"):
            if rows is None:
                return dist.masked(self._keep(Rows(dist), **self._columns(dist)))
            settings = self._row(dist)
            left = [row.take(self._keep(row, **settings(i))) for i, row in enumerate(rows)]
        return truncated(dist, left)

    @abstractmethod
    def _keep(self, v: Any, **settings: Any) -> Any:
        """What is kept: a mask of :class:`Rows`, or positions of a ``Row``."""


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

    def _keep(self, v: Any, *, k: Any) -> Any:  # type: ignore[override]
        return v.largest(np.maximum(k, self.min_keep) if np.ndim(k) else max(k, self.min_keep))


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

    def _keep(self, v: Any, *, p: Any) -> Any:  # type: ignore[override]
        if isinstance(p, float | int) and p >= 1:
            return v.at_least(-math.inf, self.min_keep, exact=True)
        return v.at_least(v.crossing(v.d, p), self.min_keep, exact=True)


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

    def _keep(self, v: Any, *, p: Any) -> Any:  # type: ignore[override]
        return v.at_least(v.log(p), self.min_keep)


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

    def _keep(self, v: Any, *, mass: Any) -> Any:  # type: ignore[override]
        return v.nearest(v.log_total - v.entropy, mass, self.min_keep)


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

    def _keep(self, v: Any, *, eps: Any) -> Any:  # type: ignore[override]
        return v.at_least(v.log(eps) + v.log_total, self.min_keep)


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

    def _keep(self, v: Any, *, eps: Any) -> Any:  # type: ignore[override]
        log_eps = v.log(eps)
        bound = v.lesser(log_eps, log_eps / 2 - v.entropy)
        return v.at_least(bound + v.log_total, self.min_keep)


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

    def _keep(self, v: Any, *, n: Any) -> Any:  # type: ignore[override]
        return v.at_least(-n * v.deviation, self.min_keep)


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

    def _keep(self, v: Any, *, fraction: Any) -> Any:  # type: ignore[override]
        if isinstance(fraction, float | int) and fraction >= 1:
            return v.at_least(-math.inf, self.min_keep, exact=True)
        return v.at_least(v.prefix(fraction), self.min_keep, exact=True)


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

    def _keep(self, v: Any) -> Any:  # type: ignore[override]
        return v.at_least(v.log_collision, self.min_keep)
