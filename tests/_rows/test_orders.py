"""The k largest, draws without replacement with chosen noise, and their law."""

import numpy as np
import pytest

from softargmax._rows import orders


@pytest.mark.parametrize("k", [0, 1, 3, 100, 1000])
def test_largest_orders_by_all_its_keys(k):
    rng = np.random.default_rng(1)
    keys = (*rng.integers(0, 4, (2, 3, 1000)), rng.random((3, 1000)))
    got = orders.largest(keys, k)
    for row in range(3):
        order = sorted(range(1000), key=lambda i: tuple(-key[row, i] for key in keys))
        assert got[row].tolist() == order[:k]


def order_of(z, coldness, noise):
    z, noise = np.array([z], float), np.array([noise], float)
    keys = orders.ordered_keys(z, np.array([[coldness]]), noise)
    return orders.largest(keys, z.shape[1])[0].tolist()


def test_ordered_keys_are_exact_where_noise_is_lost_in_rounding():
    inf = np.inf
    assert order_of([0, 1, 2], 1.0, [0, 0, 0]) == [2, 1, 0]
    assert order_of([0, 1, 2], 1.0, [5, 3, 0]) == [0, 1, 2]
    assert order_of([1, 1, 2], inf, [0.1, 0.2, -9]) == [2, 1, 0]
    assert order_of([1, 1, 2], 1e18, [0.1, 0.2, -9]) == [2, 1, 0]
    assert order_of([1e300, 1e300, 0], 1.0, [0.1, 0.2, 40]) == [1, 0, 2]
    assert order_of([1e-17, 2e-17, 1], 1e18, [3, -3, 0]) == [2, 1, 0]  # 10 apart: noise loses
    assert order_of([1e-17, 1.5e-18, 1], 1e18, [-9, 1, 0]) == [2, 1, 0]  # 8.5 apart: it wins
    below = np.nextafter(1.0, 0.0)  # 1.1e-16 less, 11.1 in units of T: noise of 10 loses
    assert order_of([1, below], 1e17, [0, 10]) == [0, 1]
    assert order_of([1, below], 1e17, [0, 12]) == [1, 0]
    assert order_of([9, 1, 2], 0.0, [1, 3, 2]) == [1, 2, 0]
    assert order_of([1.7e308, -1.7e308, 0], 1e-300, [0, 40, 3]) == [0, 2, 1]
    assert order_of([1.7e308, -1.7e308, 0], 1e-308, [-4, 4, 0]) == [1, 2, 0]
    assert order_of([1.7e308, -1.7e308, 0], 1e-308, [0, 0, 0]) == [0, 2, 1]
    assert order_of([1.79e308, -1.79e308], 5e-309, [0, 1.7]) == [0, 1]  # 1.79 apart
    assert order_of([1.79e308, -1.79e308], 5e-309, [0, 1.9]) == [1, 0]
    assert order_of([-inf, 1, 0], 1.0, [-inf, 0, 0]) == [1, 2, 0]


def test_log_prob_ordered_meets_enumeration_and_its_limits():
    w = np.array([[3.0, 1.0, 2.0, 0.5]])
    x = np.array([[2, 0, 3]])
    zero = np.zeros((1, 4))
    expected = np.log(2 / 6.5 * 3 / 4.5 * 0.5 / 1.5)
    got = orders.log_prob_ordered(np.log(w), np.ones((1, 1)), zero, x)
    assert got[0] == pytest.approx(expected, rel=1e-14, abs=0)
    # The same as a prior at β = 0, and as ties at β = inf.
    for coldness in (0.0, np.inf):
        got = orders.log_prob_ordered(zero, np.full((1, 1), coldness), np.log(w), x)
        assert got[0] == pytest.approx(expected, rel=1e-14, abs=0)
    # What is off the support is never drawn, not even when nothing else is left.
    masked = np.array([[0.0, -np.inf]])
    level = np.array([[0.0, -np.inf]])
    got = orders.log_prob_ordered(masked, np.ones((1, 1)), level, np.array([[0, 1]]))
    assert got[0] == -np.inf
    # Nearly certain orders keep their digits.
    z = np.array([[0.0, -40.0, -80.0]])
    got = orders.log_prob_ordered(z, np.ones((1, 1)), np.zeros((1, 3)), np.array([[0, 1, 2]]))
    assert got[0] == pytest.approx(-2 * np.exp(-40.0), rel=1e-14, abs=0)
