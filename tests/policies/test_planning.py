"""Planning at the root: the peer's searches, sequential halving, completed values, edges."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.gumbel import gumbel_noise
from softargmax.policies import completed_q, gumbel_root

inf = math.inf


def search(logits, rewards, value, noise, simulations, **options):
    """A search of a bandit whose action a always pays rewards[a]: visits, and what is decided."""
    visits, rows = np.zeros(np.shape(rewards)), np.arange(len(rewards))
    for _ in range(simulations):
        root = gumbel_root(
            logits, rewards, visits, value, noise, simulations=simulations, **options
        )
        visits[rows, root.action] += 1
    return visits, gumbel_root(
        logits, rewards, visits, value, noise, simulations=simulations, **options
    )


def test_sequential_halving_by_hand():
    """4 of 6 actions in 16 simulations: 2 visits each of 4, then the best 2 share 8 by halves."""
    noise = np.array([[9.0, 8.0, 7.0, 6.0, 0.0, 1.0]])
    visits, root = search(
        np.zeros(6), np.array([[0.0, 1, 2, 3, 9, 9]]), 0.0, noise, 16, considered=4, value_scale=1.0
    )
    assert_array_equal(visits, [[2, 2, 6, 6, 0, 0]])
    assert root.action == 3
    # without values, the order of g + logits
    visits, root = search(np.zeros(6), np.zeros((1, 6)), 0.0, noise, 6, considered=6)
    assert_array_equal(visits, np.ones((1, 6)))
    assert root.action == 0


def test_completed_values_and_the_improved_policy():
    logits, q, visits = np.log([1.0, 2.0, 4.0]), [3.0, 6.0, np.nan], [2, 1, 0]
    mixed = (0.5 + 3 * (3 / 3 + 6 * 2 / 3)) / 4
    full = completed_q(logits, q, visits, 0.5)
    assert_allclose(full, [3, 6, mixed], rtol=1e-15)
    root = gumbel_root(logits, q, visits, 0.5, np.zeros(3), simulations=9)
    scaled = (50 + 2) * 0.1 * (full - 3) / 3
    assert_allclose(root.policy.probs, Categorical(logits + scaled).probs, rtol=1e-14)
    assert isinstance(root.action, np.int64)
    none = gumbel_root(logits, q, [0, 0, 0], 0.5, np.zeros(3), simulations=9)
    assert none.action == 2
    assert_allclose(none.policy.probs, np.array([1, 2, 4]) / 7, rtol=1e-14)
    forbidden = completed_q([0.0, 0.0, -math.inf], [1.0, 2.0, 3.0], [0, 0, 4], 0.5)
    assert_array_equal(forbidden, [0.5, 0.5, 0.5])


def test_the_first_choices_are_gumbel_top_k():
    """As many simulations as considered actions: these are visited once each, in their order."""
    logits, noise = np.array([0.0, 1.0, -1.0, 2.0, 0.5]), gumbel_noise(5, rng=3)
    seen, visits = [], np.zeros(5)
    for _ in range(3):
        a = gumbel_root(logits, np.zeros(5), visits, 0.0, noise, simulations=3, considered=3).action
        seen.append(int(a))
        visits[a] += 1
    assert seen == np.argsort(-(logits + noise))[:3].tolist()


def test_masks_and_batches():
    rng = np.random.default_rng(0)
    logits, rewards = rng.normal(size=(2, 20, 6))
    mask = rng.random((20, 6)) < 0.5
    mask[:, 2] |= ~mask.any(1)
    noise, value = gumbel_noise((20, 6), rng=1), rng.normal(size=20)
    visits, root = search(logits, rewards, value, noise, 13, mask=mask)
    assert (visits[~mask] == 0).all()
    assert (root.policy.probs[~mask] == 0).all()
    assert_array_equal(visits.sum(1), 13)
    assert mask[np.arange(20), root.action].all()
    bare = np.where(mask, logits, -inf)
    for i in range(20):  # a row alone
        own, alone = search(bare[i], rewards[i : i + 1], value[i], noise[i], 13)
        assert_array_equal(own[0], visits[i])
        assert alone.action == root.action[i]
        assert_allclose(alone.policy.probs[0], root.policy.probs[i], rtol=1e-13)
    empty = gumbel_root(
        np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), 0.0, np.zeros(3), simulations=4
    )
    assert empty.action.shape == (0,)
    single = gumbel_root([0.0], [1.0], [3], 0.0, [0.0], simulations=9)
    assert single.action == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visits": [-1, 1, 1]}, r"visits must be in \[0, inf\), got -1"),
        ({"q": [np.nan, 1, 1]}, "q must be finite where visits are, got nan"),
        ({"q": [1, 1]}, "q must have 3 categories on its last axis"),
        ({"noise": [np.inf, 0, 0]}, "noise must be in"),
        ({"value": np.inf}, "value must be in"),
        ({"logits": [np.nan, 0, 0]}, "logits must not be NaN|logits"),
        ({"simulations": 0}, "simulations must be in 1"),
        ({"considered": 0}, "considered must be 1 or more, got 0"),
    ],
)
def test_bad_input(change, message):
    given = {
        "logits": np.zeros(3), "q": np.ones(3), "visits": np.ones(3), "value": 0.0,
        "noise": np.zeros(3), "simulations": 9, **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        gumbel_root(**given)


@pytest.mark.frameworks
@pytest.mark.parametrize(("simulations", "considered"), [(17, 16), (32, 3)])
def test_searches_of_the_peer(simulations, considered):
    """mctx searches bandits, its own test cases the first two rows, with the same noise."""
    mctx = pytest.importorskip("mctx")
    jax = pytest.importorskip("jax")
    jnp, rng = jax.numpy, np.random.default_rng(simulations)
    logits, rewards = rng.normal(size=(2, 30, 4)).astype(np.float32) * 2
    logits[:2], rewards[:2] = [0, -1, 2, 3], [20, 3, -1, 10]
    mask = rng.random((30, 4)) < 0.7
    mask[:, 1] |= ~mask.any(1)
    mask[:2] = [[0, 1, 1, 0], [1, 1, 1, 1]]
    value = np.append([-5.0, -5.0], rng.normal(size=28)).astype(np.float32)

    def step(params, key, action, embedding):
        reward = jnp.asarray(rewards)[jnp.arange(30), action]
        reward = jnp.where(embedding > 0, 0.0, reward)
        zero = jnp.zeros_like(reward)
        return mctx.RecurrentFnOutput(
            reward=reward, discount=zero, prior_logits=jnp.zeros((30, 4)), value=zero
        ), embedding + 1

    theirs = mctx.gumbel_muzero_policy(
        params=(),
        rng_key=jax.random.PRNGKey(7),
        root=mctx.RootFnOutput(
            prior_logits=jnp.asarray(logits), value=jnp.asarray(value), embedding=jnp.zeros(30)
        ),
        recurrent_fn=step,
        num_simulations=simulations,
        invalid_actions=jnp.asarray(~mask),
        max_num_considered_actions=considered,
        qtransform=lambda *a: mctx.qtransform_completed_by_mix_value(
            *a, value_scale=0.05, maxvisit_init=60
        ),
    )
    noise = np.asarray(theirs.search_tree.extra_data.root_gumbel)
    options = {"mask": mask, "considered": considered, "value_scale": 0.05, "visit_offset": 60}
    visits, root = search(logits, rewards, value, noise, simulations, **options)
    assert_array_equal(visits, theirs.search_tree.summary().visit_counts)
    assert_array_equal(root.action, theirs.action)
    assert_allclose(root.policy.probs, theirs.action_weights, atol=2e-6)


@pytest.mark.frameworks
def test_tensors_and_hidden_values():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    rng = np.random.default_rng(1)
    given = [*rng.normal(size=(2, 5, 4)), rng.integers(0, 3, (5, 4)), np.zeros(5), np.zeros((5, 4))]
    want = gumbel_root(*given, simulations=40)
    found = gumbel_root(*map(torch.tensor, given), simulations=40)
    assert_array_equal(found.action, want.action)
    assert_allclose(found.policy.probs, want.policy.probs, rtol=1e-12)

    def both(*x):
        root = gumbel_root(*x, simulations=40)
        return root.action, root.policy.probs

    action, probs = jax.jit(both)(*given)
    assert_array_equal(action, want.action)
    assert_allclose(probs, want.policy.probs, rtol=1e-5)


def test_values_as_large_as_floats_are():
    """Nothing overflows on the way to [0, 1], nor in the mixed value."""
    q, visits = np.array([-1.7e308, 1.7e308, 0.0]), [1, 5, 0]
    assert_allclose(completed_q(np.zeros(3), q, visits, 0.0), [*q[:2], 0], atol=1e293)
    assert_allclose(completed_q(np.zeros(3), abs(q), visits, 1.7e308), 1.7e308)
    root = gumbel_root(np.zeros(3), q, visits, 0.0, np.zeros(3), simulations=9)
    same = gumbel_root(np.zeros(3), q / 1e308, visits, 0.0, np.zeros(3), simulations=9)
    assert root.action == same.action
    assert_allclose(root.policy.log_probs, same.policy.log_probs, rtol=1e-12)


@pytest.mark.parametrize("visits", [[3, 2, 0, 0], [7, 4, 2, 0], [5, 1, 0, 0], [9, 3, 7, 6]])
def test_actions_that_are_equally_good_change_nothing(visits):
    """Rounding of the mixed value, or of the caller's means, is not brought up to [0, 1]."""
    logits = np.array([0.0, 0.3, -0.2, 1.0])
    for value in (0.1, 0.3, 0.7, 1 / 3, 123.4):
        q = np.full(4, value)
        assert_array_equal(completed_q(logits, q, visits, value), q)
        for noisy in (q, q * (1 + 2e-16 * np.arange(4))):
            root = gumbel_root(logits, noisy, visits, value, np.zeros(4), simulations=50)
            assert_allclose(root.policy.log_probs, Categorical(logits).log_probs, atol=1e-5)
