"""The statistical helper: it passes the true law, and rejects what differs from it."""

import numpy as np
import pytest

from statistical import check_counts, check_draws, detectable

P = np.array([0.5, 0.3, 0.0, 0.2 - 1e-4, 1e-4])
N = 200_000


def test_passes_the_true_law_as_often_as_it_says():
    rng = np.random.default_rng(1)
    failures = 0
    for _ in range(2_000):
        counts = rng.multinomial(1_000, P)
        try:
            check_counts(counts, P, detects=1, fail_rate=0.05)
        except AssertionError:
            failures += 1
    assert failures <= 150  # 0.05 would be 100 at most; 150 is five standard deviations above


@pytest.mark.parametrize(  # the rarest category has no room below
    ("cell", "sign"), [(0, 1), (0, -1), (1, 1), (1, -1), (3, 1), (3, -1), (4, 1)]
)
def test_rejects_a_bias_as_large_as_it_says(cell, sign):
    step = float(detectable(P, N)[cell])
    biased = P.copy()
    biased[cell] += sign * step
    biased[0 if cell else 1] -= sign * step
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(100):
        try:
            check_counts(rng.multinomial(N, biased), P, detects=0.01)
        except AssertionError:
            rejected += 1
    assert rejected >= 95  # 99 or more of 100 are expected


def test_rejects_one_draw_of_an_impossible_category():
    counts = (P * N).astype(int)
    counts[2] = 1
    with pytest.raises(AssertionError, match="probability 0"):
        check_counts(counts, P, detects=0.1)


def test_rejects_draws_shifted_by_one_category():
    draws = np.random.default_rng(3).choice(5, size=N, p=P)
    check_draws(draws, P, detects=0.01)
    with pytest.raises(AssertionError):
        check_draws((draws + 1) % 5, P, detects=0.01)


def test_rejects_a_claim_that_the_number_of_draws_cannot_keep():
    with pytest.raises(AssertionError, match="detect"):
        check_counts((P * 100).astype(int), P, detects=1e-3)
