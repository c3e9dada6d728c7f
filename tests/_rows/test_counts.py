"""Multinomial counts where NumPy's are wrong."""

import numpy as np

from softargmax._rows.counts import draw_counts
from statistical import check_counts


def test_counts_beyond_what_numpy_can():
    """Variances at n = 2⁶², where NumPy's are 5 % off, and rare categories."""
    rng = np.random.default_rng(8)
    p = np.array([[0.3, 0.7, 0.0]])
    n, repeats = 2**62, 40_000
    means = (p[0] * 2**62).astype(np.int64)
    deviations = draw_counts(rng, np.repeat(p, repeats, axis=0), n) - means
    ratio = deviations[:, :2].astype(float).var(0) / (n * p[0, :2] * (1 - p[0, :2]))
    # Variance ratios are 1 ± √(2/40000) = 0.7 %; five of those (6e-7) is what a failure means.
    assert (np.abs(ratio - 1) < 5 * np.sqrt(2 / repeats)).all(), ratio
    assert not deviations[:, 2].any()
    # p = 4e-18 at n = 2⁶²: 19.6 expected, 400 times; the binomial of NumPy 2.2 gives 0.
    rare = np.full((400, 2), [1.0, np.exp(-40.0)])
    total = int(draw_counts(rng, rare, n)[:, 1].sum())
    expected = 400 * 2.0**62 * np.exp(-40.0)
    assert abs(total - expected) < 5 * np.sqrt(expected)


def test_counts_of_many_rare_categories():
    rng = np.random.default_rng(9)
    weights = np.concatenate([[1.0], np.full(300, 1e-12), [1e-15], np.zeros(5)])
    n = 2**52
    counts = draw_counts(rng, weights[None], n)[0]
    assert counts.sum() == n
    # Finds errors of 3e-12 of the common category, of 1.5e-13 of a rare one's 1e-12.
    check_counts(counts, weights / weights.sum(), detects=3e-12)
    assert abs(counts[1:301].sum() - 300e-12 * n) < 5 * np.sqrt(300e-12 * n)
