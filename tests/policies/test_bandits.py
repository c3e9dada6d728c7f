"""Bandits: exact tables, ties, masks, unbiased estimates, bad input."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax.policies import exp3, exp3_update, thompson, ucb

inf = math.inf


def test_ucb_is_the_formula():
    q, n = np.array([[0.2, 0.5, 0.4], [0.9, 0.9, 0.0]]), np.array([[5, 20, 3], [4, 4, 400]])
    bound = q + math.sqrt(2) * np.sqrt(np.log(n.sum(1, keepdims=True)) / n)
    assert_array_equal(ucb(q, n).mode(), bound.argmax(1))
    assert_array_equal(ucb(q, n).probs[1], [0.5, 0.5, 0])
    assert_array_equal(ucb(q, n, 0.0).probs[0], [0, 1, 0])
    assert_array_equal(ucb(q, [1, 0, 0]).probs, [[0, 0.5, 0.5]] * 2)
    assert_array_equal(ucb(q, [1, 0, 0], mask=[1, 0, 1]).probs, [[0, 0, 1]] * 2)
    assert_array_equal(ucb([1.7e308, 1e308, 0.0], [4, 4, 4], 1.5e308).probs, [1, 0, 0])
    assert_array_equal(ucb([0.0, 1.0, 5.0], [1, 2, 10**6], 1.7e308).probs, [1, 0, 0])
    assert ucb(np.zeros((0, 3)), np.ones(3)).batch_shape == (0,)


def test_thompson_counts_the_best():
    samples = np.random.default_rng(0).normal([0.0, 0.5, 1.0], 1, (500, 2, 3))
    got = thompson(samples)
    assert got.batch_shape == (2,)
    best = samples.argmax(-1)
    assert_allclose(got.probs, [np.bincount(b, minlength=3) / 500 for b in best.T], rtol=1e-14)
    masked = thompson(samples, mask=[1, 1, 0])
    assert_allclose(masked.probs[:, 1], (samples[..., 1] > samples[..., 0]).mean(0), rtol=1e-14)
    assert_array_equal(masked.probs[:, 2], 0)
    assert_array_equal(thompson([[1.0, 1.0, 0.0]]).probs, [0.5, 0.5, 0])


def test_exp3_is_the_formula_and_its_estimates_are_unbiased():
    gains, gamma = np.array([3.0, 0.0, 40.0, -inf]), 0.3
    w = np.exp(gamma * gains / 3)
    want = 0.7 * w / w.sum() + np.where(w > 0, gamma / 3, 0)
    policy = exp3(gains, gamma)
    assert_allclose(policy.probs, want, rtol=1e-14)
    assert_allclose(exp3([1e300, 0.0], [0.2, 1.0]).probs, [[0.9, 0.1], [0.5, 0.5]], rtol=1e-14)
    pays = np.array([0.2, 0.7, 1.0])
    mean = sum(policy.probs[a] * exp3_update(np.zeros(4), policy, a, pays[a]) for a in range(3))
    assert_allclose(mean[:3], pays, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ucb([0.0, 1.0], [-1, 0]), "counts must be in"),
        (lambda: ucb([0.0, 1.0], [1, 1], -1.0), "c must be in"),
        (lambda: thompson([0.0, 1.0]), "samples must have shape"),
        (lambda: exp3([0.0, 1.0], 0.0), "gamma must be in"),
        (lambda: exp3_update([0.0, 0.0], exp3([0.0, 0.0], 0.5), 2, 0.5), "must be in 0 … 1"),
        (lambda: exp3_update([0.0, 0.0], exp3([0.0, 0.0], 0.5), 0, 2.0), "reward must be in"),
        (lambda: exp3_update([0.0, 0.0], exp3([0.0, -inf], 0.5), 1, 1.0), "probability above 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_ucb_of_a_strict_array_library():
    xp = pytest.importorskip("array_api_strict")
    q, n = np.array([[0.6, 0.5, 0.0], [0.6, 0.5, 0.5]]), np.array([[100, 4, 0], [100, 4, 4]])
    found = ucb(xp.asarray(q), xp.asarray(n), mask=xp.asarray([True, True, True]))
    assert_array_equal(np.from_dlpack(found.probs), ucb(q, n).probs)
