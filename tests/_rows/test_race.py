"""Races of exponential clocks, with chosen waits."""

import numpy as np

from softargmax import draws
from softargmax._random.numpy import exponentials
from softargmax._rows.memory import BLOCK
from softargmax._rows.race import draw_by_race


def test_race_is_won_by_the_smallest_wait_over_weight():
    weights = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    waits = np.array([[[1.0, 1.9, 1e-9], [1e-9, 1.0, 0.5]]])
    assert draws.race(weights, waits).tolist() == [[1, 2]]


def test_a_long_race_has_the_winner_of_one_heat():
    weights = np.random.default_rng(0).random((2, 2 * BLOCK + 5))
    weights[:, :BLOCK] = 0
    for seed in range(5):
        waits = exponentials(np.random.default_rng(seed), (3, *weights.shape))
        got = draw_by_race(np.random.default_rng(seed), weights, 3, 1)
        np.testing.assert_array_equal(got, draws.race(weights, waits))
