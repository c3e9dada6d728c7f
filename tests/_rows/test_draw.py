"""No way of drawing gives a weight of 0."""

import numpy as np
import pytest

from softargmax import draws
from softargmax._rows.counts import draw_counts
from softargmax._rows.inversion import last_positive, search

BELOW_ONE = np.nextafter(1.0, 0.0)
AWKWARD = [
    [1.0],
    [0.0, 1.0],
    [1.0, 0.0],
    [0.0, 0.0, 1.0, 0.0, 0.0],
    [0.0, 1e-30, 1.0, 1e-30, 0.0],
    [1.0, 1e-17, 0.0],
    [0.1] * 10 + [0.0],
    list(np.float32([0.1] * 7 + [0.0])),
]


def invert(weights, u):
    w = np.asarray(weights)[None]
    return search(draws.cumulative(w), last_positive(w), np.asarray(u), 0)


@pytest.mark.parametrize("weights", AWKWARD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_noise_draws_a_weight_of_zero(weights, dtype):
    w = np.array(weights, dtype)
    u = np.array([0.0, 2.0**-53, 0.5, 1 - 2.0**-24, BELOW_ONE])
    assert (w[invert(w, u)] > 0).all()
    assert (w[invert(w, [1.0])] > 0).all()
    assert (w[draws.AliasTable.build(w).take(u)] > 0).all()
    for wait in (2.0**-64, 1.0, 45.0):
        waits = np.full((len(w), 1, len(w)), 45.0)
        waits[np.arange(len(w)), 0, np.arange(len(w))] = wait
        assert (w[draws.race(w[None], waits)] > 0).all()
    counts = draw_counts(np.random.default_rng(0), w[None].astype(float), 2**62, 1)[0]
    assert not counts[0, w == 0].any()
    assert counts.sum() == 2**62
