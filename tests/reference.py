"""Reference values in mpmath, and errors in units of the last place."""

from typing import Any, NamedTuple

import mpmath
import numpy as np

MP = mpmath.mp.clone()
MP.prec = 160  # the largest cancellation left, d - log1p(s), costs no more than a few bits

# Terms below exp(-2000) cannot reach the digits of a normal float64.
_NEGLIGIBLE = -2000.0


class Exact(NamedTuple):
    log_probs: list[Any]
    probs: list[Any]
    entropy: Any
    top: int
    gap: float  # β times the distance of the likeliest category's logit to the second one's


def law(logits: Any, temperature: Any = 1, prior: Any = None) -> Exact:
    """log p, p and H of one row, the inputs taken as exact; T is finite and positive."""
    t = MP.mpf(float(temperature))
    d = [MP.mpf(float(z)) / t if z > -np.inf else None for z in logits]
    if prior is not None:
        d = [
            None if x is None or w == 0 else x + MP.log(MP.mpf(float(w)))
            for x, w in zip(d, prior, strict=True)
        ]
    alive = [i for i, x in enumerate(d) if x is not None]
    top = max(alive, key=lambda i: d[i])
    d = [None if x is None else x - d[top] for x in d]
    e = [MP.zero if x is None or x < _NEGLIGIBLE else MP.exp(x) for x in d]
    s = MP.fsum(x for i, x in enumerate(e) if i != top)
    level = MP.log1p(s)
    log_probs = [-MP.inf if x is None else x - level for x in d]
    probs = [x / (1 + s) for x in e]
    mean = MP.fsum(p * x for p, x in zip(probs, d, strict=True) if x is not None)
    others = [float(-d[i]) for i in alive if i != top]
    return Exact(log_probs, probs, level - mean, top, min(others, default=0.0))


def ulps(got: Any, exact: Any, dtype: Any) -> float:
    """|got - exact| in units of the last place of ``exact`` in ``dtype``."""
    with np.errstate(under="ignore"):
        unit = np.spacing(abs(np.array(float(exact)).astype(dtype)))
    return abs(float((MP.mpf(float(got)) - exact) / MP.mpf(float(unit))))
