"""Statistical checks that say how often they fail by chance and what they detect.

``check_counts`` compares every category's count with its binomial law, by exact tails, so the
false-fail rate holds at any n and p. A category of probability 0 has to be exactly empty.
"""

from typing import Any

import numpy as np
from scipy import stats

FAIL_RATE = 1e-6  # of a whole check, by chance
MISS_RATE = 1e-2  # of a discrepancy as large as ``detectable`` says


def detectable(probs: Any, n: int, fail_rate: float = FAIL_RATE) -> Any:
    """The smallest change of each category's probability that a check of n draws detects."""
    p = np.asarray(probs, np.float64)
    cells = max(int((p > 0).sum()), 1)
    widths = stats.norm.isf(fail_rate / cells / 2) + stats.norm.isf(MISS_RATE)
    # The normal law's width, and the few counts that a rare category needs in any case.
    return widths * np.sqrt(p * (1 - p) / n) + widths**2 / n


def check_counts(counts: Any, probs: Any, *, detects: float, fail_rate: float = FAIL_RATE) -> None:
    """Fail where counts of independent draws do not follow ``probs``.

    ``detects`` states the smallest error of a probability that the check finds with a chance of
    99 %; a statement that the number of draws cannot keep is itself a failure.
    """
    counts, p = np.asarray(counts), np.asarray(probs, np.float64)
    assert counts.shape == p.shape
    n = int(counts.sum())
    power = float(detectable(p, n, fail_rate).max(initial=0.0))
    assert power <= detects, f"{n} draws detect {power:.2g}, not {detects:.2g}"
    assert not counts[p == 0].any(), "a category of probability 0 was drawn"
    cells = p > 0
    observed, expected = counts[cells], p[cells] / p.sum()
    tails = np.minimum(
        stats.binom.cdf(observed, n, expected), stats.binom.sf(observed - 1, n, expected)
    )
    worst = int(tails.argmin())
    assert 2 * tails[worst] * cells.sum() >= fail_rate, (
        f"category {np.flatnonzero(cells)[worst]}: {observed[worst]} draws of {n}, "
        f"expected {n * expected[worst]:.1f}"
    )


def check_draws(draws: Any, probs: Any, *, detects: float, fail_rate: float = FAIL_RATE) -> None:
    """The same for categories drawn, (n,), or (n, rows) with probabilities (rows, K)."""
    draws, probs = np.asarray(draws), np.asarray(probs)
    if probs.ndim == 1:
        draws, probs = draws[:, None], probs[None]
    assert draws.shape[1] == len(probs)
    for column, row in zip(draws.T, probs, strict=True):
        assert column.min() >= 0
        counts = np.bincount(column, minlength=row.size)
        check_counts(counts, row, detects=detects, fail_rate=fail_rate / len(probs))
