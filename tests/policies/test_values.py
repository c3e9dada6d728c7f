"""Derivatives of policies in the values that were given: finite differences, limits, objects."""

import copy
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax._core.mixtures import mixed
from softargmax._core.state import of_logits
from softargmax.categorical import state_of
from softargmax.mixtures import mix, pool
from softargmax.policies import (
    MultiCategorical,
    boltzmann,
    boltzmann_gumbel,
    epsilon_greedy,
    greedy,
    kl_regularized,
    ucb,
    with_dirichlet_noise,
)
from softargmax.policies._values import linked
from softargmax.tokens import LogitBias, Temperature, TopK

inf = math.inf
Q = np.array([[0.1, 0.5, 0.2, -0.4], [1.0, 1.0, -2.0, 0.3], [0.0, 0.7, -inf, 0.9]])
MASK = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]])
REFERENCE = Categorical([0.0, 1.0, 2.0, 0.5], 0.8, prior=[1, 1, 2, 1])
TEMPERATURES = [0.3, 1.0, 2.0]


def noisy(policy, seed=0):
    return with_dirichlet_noise(policy, 0.4, [0.0, 0.25, 0.6], rng=seed)


SMOOTH = {
    "boltzmann": lambda q: boltzmann(q, TEMPERATURES, mask=MASK),
    "boltzmann, weighted": lambda q: boltzmann(q, coldness=[2.0, -1.0, 0.0], prior=[1, 2, 3, 1]),
    "kl": lambda q: kl_regularized(q, REFERENCE, TEMPERATURES, mask=MASK),
    "kl, colder than cold": lambda q: kl_regularized(q, REFERENCE, coldness=-1.5),
    "kl of a ladder": lambda q: kl_regularized(q[1], REFERENCE, TEMPERATURES),
    "dirichlet": lambda q: noisy(boltzmann(q, TEMPERATURES, mask=MASK)),
    "dirichlet of kl": lambda q: noisy(kl_regularized(q, REFERENCE, 0.5)),
    "dirichlet twice": lambda q: noisy(noisy(boltzmann(q, 0.5, mask=MASK)), 1),
}
FLAT = {
    "greedy": lambda q: greedy(q, mask=MASK),
    "greedy, weighted": lambda q: greedy(q, prior=[1, 2, 3, 4]),
    "epsilon": lambda q: epsilon_greedy(q, 0.1, mask=MASK),
    "epsilon of each": lambda q: epsilon_greedy(q, [0.0, 0.5, 1.0], prior=[1, 2, 3, 4]),
    "epsilon of a ladder": lambda q: epsilon_greedy(q[1], [0.0, 0.5, 1.0]),
    "boltzmann": lambda q: boltzmann(q, 0),
    "kl": lambda q: kl_regularized(q, REFERENCE, 0),
    "gumbel": lambda q: boltzmann_gumbel(q, np.ones(4), 1.0, rng=0),
    "dirichlet": lambda q: noisy(greedy(q)),
    "dirichlet of epsilon": lambda q: noisy(epsilon_greedy(q, 0.1)),
}


def differences(make, ask, h=1e-5):
    """The derivative of an answer in the four values of each row, on a new last axis."""
    slopes = []
    for step in h * np.eye(4):
        up, down = (np.asarray(ask(make(q))) for q in (Q + step, Q - step))
        slopes.append(np.where(up == down, 0, (up - np.where(up == down, up, down)) / (2 * h)))
    return np.stack(slopes, -1)


def finite(x):
    return np.where(x > -inf, x, 0)


@pytest.mark.parametrize("name", SMOOTH)
def test_finite_differences_in_the_values(name):
    make = SMOOTH[name]
    policy = make(Q)
    want = np.moveaxis(differences(make, lambda dist: finite(dist.log_probs)), 1, 0)
    assert_allclose(
        policy.score(np.tile(np.arange(4)[:, None], policy.batch_shape)), want, atol=1e-8
    )
    fisher = np.einsum("ix,xik,xil->ikl", policy.probs, want, want)
    assert_allclose(policy.fisher_information(), fisher, atol=1e-8)
    slope = differences(make, lambda dist: dist.entropy())
    assert_allclose(policy.entropy_gradient(), slope, atol=1e-8)


def test_finite_differences_of_several_dimensions():
    def make(q):
        mask = [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]
        return MultiCategorical(q, (2, 2), TEMPERATURES, mask=mask)

    policy, action = make(Q), [[0, 1], [1, 0], [1, 1]]
    want = differences(make, lambda dist: dist.log_prob(action))
    assert_allclose(policy.score(action), want, atol=1e-8)
    slope = differences(make, lambda dist: dist.entropy())
    assert_allclose(policy.entropy_gradient(), slope, atol=1e-8)
    again = pickle.loads(pickle.dumps(policy))[1]
    assert_array_equal(again.score(action[1]), policy.score(action)[1])


@pytest.mark.parametrize("name", FLAT)
def test_what_arg_max_decides_does_not_move(name):
    policy = FLAT[name](Q)
    for answer in (
        policy.score(np.tile(np.arange(4)[:, None], policy.batch_shape)),
        policy.entropy_gradient(),
        policy.fisher_information(),
    ):
        assert_array_equal(answer, 0)
    assert policy.score(0).shape == (3, 4)


def test_digits_where_a_category_is_nearly_certain():
    policy = with_dirichlet_noise(boltzmann([0.0, -40.0], 1.0), 1.0, 1e-18, rng=0)
    plain = boltzmann([0.0, -40.0], 1.0)
    assert_allclose(policy.score(0), plain.score(0), rtol=1e-12)
    share = plain.probs[1] / policy.probs[1]
    assert_allclose(policy.score(1), share * plain.score(1), rtol=1e-12)
    assert 0 < share < 0.9
    # Σ p s² is a positive sum: that of the rare category is all that there is
    s = np.stack([policy.score(x) for x in (0, 1)])
    want = np.einsum("x,xk,xl->kl", policy.probs, s, s)
    assert_allclose(policy.fisher_information(), want, rtol=1e-12)


LINKED = {**SMOOTH, **{f"flat {name}": make for name, make in FLAT.items()}}


@pytest.mark.parametrize("name", LINKED)
def test_the_link_survives_pickles_copies_and_indexing(name):
    policy = LINKED[name](Q)
    score, fisher = policy.score(1), policy.fisher_information()
    for same in (pickle.loads(pickle.dumps(policy)), copy.copy(policy), copy.deepcopy(policy)):
        assert_array_equal(same.score(1), score)
        assert_array_equal(same.fisher_information(), fisher)
    for index in (1, -1, [2, 0], slice(None, None, -1), None, ..., np.array([True, False, True])):
        assert_allclose(policy[index].score(1), score[index], rtol=1e-14)
        assert_allclose(policy[index].fisher_information(), fisher[index], rtol=1e-14)
    assert policy[:0].entropy_gradient().shape == (0, 4)


LOST = {
    "tempered": lambda d: d.tempered(2.0),
    "of coldness": lambda d: d.tempered(coldness=1.0),
    "masked": lambda d: d.masked([1, 1, 0, 1]),
    "a truncation": TopK(3),
    "temperatures": Temperature(0.7),
    "biases": LogitBias({0: 1.0}),
    "a mixture": lambda d: mix([d, d], [0.5, 0.5]),
    "a pool": lambda d: pool([d], [1]),
    "noise after them": lambda d: noisy(TopK(3)(d)),
    "pickled": lambda d: pickle.loads(pickle.dumps(d.tempered(2.0)))[1],
    "another rule": lambda d: ucb(Q, np.ones((3, 4)), 1.0),
    "copied": lambda d: copy.deepcopy(d.tempered(2.0)),
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_link_is_an_error_that_says_so(name):
    for make in (LINKED["kl"], LINKED["dirichlet"], LINKED["flat epsilon"], FLAT["gumbel"]):
        if make is FLAT["gumbel"] and name == "a truncation":
            continue
        lost = LOST[name](make(Q))
        for word, call in (
            ("score", lambda dist=lost: dist.score(0)),
            ("entropy_gradient", lost.entropy_gradient),
            ("fisher_information", lost.fisher_information),
        ):
            with pytest.raises(ValueError, match=f"^{word} is .* no link to them"):
                call()
        assert lost.entropy().shape == lost.batch_shape  # all else is answered


def test_logits_that_stay_the_users_keep_their_derivatives():
    dist = boltzmann(Q, TEMPERATURES)
    for same in (
        *(dist.tempered(2.0), Temperature(0.5)(dist), greedy(Q).tempered(2.0)),
        *(dist.masked(MASK), TopK(2)(dist)),
    ):
        p = same.probs
        want = (np.eye(4)[1] - p) / np.reshape(same.temperature, (-1, 1))
        want = np.where((p[:, 1:2] > 0) & (p > 0), want, 0)
        assert_allclose(same.score(1), want, atol=1e-15)
    with pytest.raises(ValueError, match="no link to them"):
        LogitBias({0: 1.0})(dist).score(0)


def test_values_that_change_afterwards():
    for make in LINKED.values():
        values = Q.copy()
        policy, want = make(values), make(Q)
        values[:] = 7
        assert_array_equal(policy.score(1), want.score(1))
        assert_array_equal(policy.log_probs, want.log_probs)


def test_long_rows_of_few_survivors():
    z = np.random.default_rng(0).normal(size=(2, 3000)) * 3
    few = TopK(5)(Categorical(z))
    noisy_few = with_dirichlet_noise(few, 0.3, 0.25, rng=0)
    x = few.mode()
    share = 0.75 * few.prob(x) / noisy_few.prob(x)
    assert_allclose(noisy_few.score(x), share[:, None] * few.score(x), rtol=1e-12)
    again = pickle.loads(pickle.dumps(noisy_few))
    assert_array_equal(again[1].score(x[1]), noisy_few.score(x)[1])
    with pytest.raises(ValueError, match="no link"):
        TopK(3)(noisy_few).score(x)


@pytest.mark.frameworks
def test_torch_agrees_by_autodiff():
    torch = pytest.importorskip("torch")
    q = torch.tensor(Q, requires_grad=True)
    for make in (
        lambda q: kl_regularized(q, REFERENCE, 0.5, mask=MASK),
        lambda q: with_dirichlet_noise(kl_regularized(q, REFERENCE, 0.5), 0.4, 0.25, rng=0),
        lambda q: epsilon_greedy(q, 0.1),
    ):
        policy = make(q)
        for answer, slope in (
            (policy.log_prob(1), policy.score(1)),
            (policy.entropy(), policy.entropy_gradient()),
        ):
            (grad,) = torch.autograd.grad(answer.sum(), q, retain_graph=True)
            assert_allclose(slope.detach(), grad, atol=1e-12)
        same = pickle.loads(pickle.dumps(make(q.detach())))
        assert_array_equal(same.score(1), policy.score(1).detach())


@pytest.mark.frameworks
def test_jax_takes_policies_apart():
    jax = pytest.importorskip("jax")

    def made(z, xp):  # as Dirichlet noise does, whose draws take long to compile
        law = state_of(Categorical(z, 0.5))
        sides = xp.log(xp.asarray([0.75, 0.25]))
        return linked(mixed([law, state_of(Categorical(0 * z))], sides), law, of_logits(sides, xp))

    with jax.enable_x64(True):
        policy, want = made(jax.numpy.asarray(Q[:2]), jax.numpy), made(Q[:2], np).score(1)
        leaves, tree = jax.tree.flatten(policy)
        assert_allclose(jax.tree.unflatten(tree, leaves).score(1), want, rtol=1e-13)
        plain = Categorical(jax.numpy.asarray(Q[:2]))
        assert jax.tree.structure(plain.tempered(2.0)) == jax.tree.structure(plain)
        row = jax.tree.map(lambda x: x[1], policy)
        assert_allclose(row.score(1), want[1], rtol=1e-13)
        lost = jax.tree.map(lambda x: x, policy.tempered(2.0))
        with pytest.raises(ValueError, match="no link"):
            lost.score(1)
