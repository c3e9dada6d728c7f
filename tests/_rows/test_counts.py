"""Multinomial counts where NumPy's are wrong."""

import numpy as np

from softargmax._rows.counts import draw_counts
from statistical import check_counts


class Pieces(np.random.Generator):
    """A Generator that notes how large the multinomials are that it is asked for."""

    def multinomial(self, n, pvals, size=None):
        self.asked.append(n)
        return super().multinomial(n, pvals, size)


def variance_ratio(counts, p, n):
    """Of counts (rows, 2) to the binomial law's, and its standard error."""
    deviations = (counts - (p * n).astype(np.int64)).astype(float)
    return deviations.var(0) / (n * p * (1 - p)), np.sqrt(2 / len(counts))


def test_counts_beyond_what_numpy_can():
    """At n = 2⁶² NumPy's variances are 5 % off: independent pieces of 2⁵², where they are right."""
    rng = Pieces(np.random.PCG64(8))
    rng.asked = []
    p, n = np.array([0.3, 0.7, 0.0]), 2**62
    counts = draw_counts(rng, np.tile(p, (2_000, 1)), n, 1)[0]
    assert sum(rng.asked) == n
    assert max(rng.asked) <= 2**52
    assert (counts.sum(1) == n).all()
    assert not counts[:, 2].any()
    # Five standard errors (6e-7 by chance): 16 % here, and 1.1 % of a single piece.
    ratio, error = variance_ratio(counts[:, :2], p[:2], n)
    assert (np.abs(ratio - 1) < 5 * error).all(), ratio
    counts = draw_counts(rng, np.tile(p, (400_000, 1)), 2**52, 1)[0]
    ratio, error = variance_ratio(counts[:, :2], p[:2], 2**52)
    assert (np.abs(ratio - 1) < 5 * error).all(), ratio


def test_rare_counts_beyond_what_numpy_can():
    """p = 4e-18 at n = 2⁶²: 19.6 expected, 400 times; the binomial of NumPy 2.2 gives 0."""
    rng, n = np.random.default_rng(8), 2**62
    weights = np.full((20, 21), [1.0, *[np.exp(-40.0)] * 20])
    counts = draw_counts(rng, weights, n, 1)[0][:, 1:]
    check_counts(counts.sum(0), np.full(20, 0.05), detects=0.03)
    expected = 400 * 2.0**62 * np.exp(-40.0)
    assert abs(counts.sum() - expected) < 5 * np.sqrt(expected)
    alone = draw_counts(rng, weights[:4, :2], n, 1)[0][:, 1]
    assert abs(alone.sum() - expected / 100) < 5 * np.sqrt(expected / 100)


def test_counts_of_many_rare_categories():
    rng = np.random.default_rng(9)
    weights = np.concatenate([[1.0], np.full(300, 1e-12), [1e-15], np.zeros(5)])
    n = 2**52
    counts = draw_counts(rng, weights[None], n, 1)[0][0]
    assert counts.sum() == n
    # Finds errors of 3e-12 of the common category, of 1.5e-13 of a rare one's 1e-12.
    check_counts(counts, weights / weights.sum(), detects=3e-12)
    assert abs(counts[1:301].sum() - 300e-12 * n) < 5 * np.sqrt(300e-12 * n)
