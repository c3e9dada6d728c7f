"""What PyTorch and JAX transform: draws and gradients by torch.compile, torch.func, jit, and JAX
told to promote no ranks. That everything compiles whole is seen in ``test_hidden_values.py``.
"""

import numpy as np
import pytest

from questions import questions
from softargmax import Categorical, RelaxedCategorical, smooth_max
from softargmax import thermodynamics as thermo
from softargmax.gumbel import conditional_gumbels, exponential_race, gumbel_top_k, maximal_coupling
from softargmax.policies import (
    MultiCategorical,
    boltzmann_gumbel,
    kl_regularized,
    with_dirichlet_noise,
)
from softargmax.resampling import resample
from softargmax.tokens import Temperature, TopH, TopK, TopP, Typical, verify
from surface import functions_of_a_distribution

pytestmark = pytest.mark.frameworks
Z = np.array([[0.0, 1, 2, 0.5], [5, 0, 0, -1], [0, 0, 3, 2]])
LADDER = np.array([0.5, 1.0, 2.0])
PRIOR = np.array([1.0, 2.0, 0.5, 1.0])


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.compiler.reset()
    yield torch
    torch.compiler.reset()


@pytest.fixture
def jax():
    return pytest.importorskip("jax")


def compiled(torch, function, backend="eager"):
    return torch.compile(function, fullgraph=True, backend=backend)


def draws(torch, z, rng):
    """What is drawn, by every way that noise takes."""
    dist = Categorical(z, torch.as_tensor(LADDER), prior=torch.as_tensor(PRIOR))
    yield from (dist.sample(rng=rng), dist.sample((2, 5), rng=rng))
    yield from (dist.sample_counts(9, rng=rng), dist.sample_counts(9, 2, rng=rng))
    yield from (dist.sample(9, rng=rng, method="alias"), *dist.sample_and_log_prob(3, rng=rng))
    yield from (dist.sample_without_replacement(2, 3, rng=rng), resample(dist, 5, rng=rng))
    yield from (dist.relaxed(0.5).sample(2, rng=rng), *gumbel_top_k(dist, 2, rng=rng))
    yield from (*maximal_coupling(dist, dist.tempered(2.0), rng=rng), *exponential_race(z, rng=rng))
    yield conditional_gumbels(dist, dist.mode(), rng=rng)
    yield with_dirichlet_noise(dist, 0.3, 0.25, rng=rng).probs
    yield MultiCategorical(z, (2, 2)).sample(3, rng=rng)
    yield from verify([0, 1], dist[:2], dist, rng=rng)


# ---------------------------------------------------------------------------- torch.compile


def test_gradients_through_compiled_code(torch):
    def total(z):
        dist = Categorical(z, 0.7)
        drawn = RelaxedCategorical(z, 0.5).sample(2, rng=3)
        total = dist.entropy().sum() + dist.kl_divergence(dist.tempered(2.0)).sum()
        return total + dist.log_prob(dist.sample(rng=1)).sum() + (drawn**2).sum()

    z = torch.tensor(Z, requires_grad=True)
    (eager,) = torch.autograd.grad(total(z), z)
    (ours,) = torch.autograd.grad(compiled(torch, total, "aot_eager")(z), z)
    torch.testing.assert_close(ours, eager)


def test_draws_of_an_int_compile_to_the_eager_ones(torch):
    z = torch.tensor(Z)
    function = compiled(torch, lambda z, seed: tuple(draws(torch, z, seed)))
    for ours, eager in zip(function(z, 7), draws(torch, z, 7), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-12, atol=1e-12)


def test_seeds_of_any_size_and_rows(torch):
    dist = Categorical(torch.tensor(Z))
    for seed in (0, 2**40 + 1, 2**62, 2**200 + 5, [1, 2, 3]):
        drawn = compiled(torch, lambda z, rng=seed: Categorical(z).sample(20, rng=rng))
        assert torch.equal(drawn(torch.tensor(Z)), dist.sample(20, rng=seed))


def test_a_seed_may_change_without_a_new_graph(torch):
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    drawn = torch.compile(
        lambda z, seed: Categorical(z).sample(20, rng=seed), backend=backend, dynamic=True
    )
    for seed in (5, 6, 99):
        z = torch.tensor(Z)
        assert torch.equal(drawn(z, seed), Categorical(z).sample(20, rng=seed))
    assert len(graphs) == 1


def test_fresh_entropy_is_fresh_in_every_call_and_place(torch):
    """Equal draws of 60 numbers have a chance below 1e-9."""
    pair = compiled(
        torch, lambda z: (Categorical(z * 0).sample(20), Categorical(z * 0).sample(20)), "aot_eager"
    )
    (a, b), (c, _) = pair(torch.tensor(Z)), pair(torch.tensor(Z))
    assert not torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_bad_row_is_minus_one_in_compiled_draws(torch):
    z = torch.tensor(np.where(Z == 5, np.nan, Z))

    def function(z):
        dist = Categorical(z)
        return dist.sample(4, rng=1).T, dist.sample_counts(4, rng=1), resample(dist, 4, rng=1)

    for drawn in compiled(torch, function)(z):
        assert (drawn < 0).all(-1).tolist() == [False, True, False]
        assert (drawn >= 0).all(-1).tolist() == [True, False, True]


def test_other_rngs_are_named_in_compiled_code(torch):
    for rng in (torch.Generator(), -1, True):
        drawn = compiled(torch, lambda z, rng=rng: Categorical(z).sample(rng=rng))
        with pytest.raises(Exception, match="rng must be None or an int of 0 or more in compiled"):
            drawn(torch.tensor(Z))


@pytest.mark.slow
def test_the_default_backend(torch):
    z = torch.tensor(Z)

    def function(z):
        dist = Categorical(z, 0.7)
        return dist.log_probs, dist.entropy(), dist.sample(9, rng=3), dist.sample_counts(9, rng=3)

    for ours, eager in zip(compiled(torch, function, "inductor")(z), function(z), strict=True):
        torch.testing.assert_close(ours, eager)


# ---------------------------------------------------------------------------- torch.func

DRAWS = {
    "draws": lambda z: Categorical(z).sample(40, rng=3),
    "counts": lambda z: Categorical(z).sample_counts(40, rng=3),
    "orders": lambda z: Categorical(z).sample_without_replacement(2, 20, rng=3),
    "parents": lambda z: resample(Categorical(z), 40, scheme="multinomial", rng=3),
    "relaxed": lambda z: RelaxedCategorical(z, 0.5).sample(2, rng=3),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_within_vmap(torch, name):
    """The same noise is that of each row alone; different noise differs between equal rows."""
    draw, z = DRAWS[name], torch.tensor(Z)
    vmap = torch.func.vmap
    same = vmap(draw, randomness="same")(z)
    torch.testing.assert_close(same, torch.stack([draw(row) for row in z]))
    assert torch.equal(vmap(draw, in_dims=1, randomness="same")(z.T), same)
    different = vmap(draw, randomness="different")(z[:1].expand(3, -1))
    assert different.shape == same.shape
    assert not torch.equal(different[0], different[1])
    nested = vmap(vmap(draw, randomness="different"), randomness="different")(z.expand(2, 3, 4))
    assert nested.shape == (2, *same.shape)
    with pytest.raises(RuntimeError, match="vmap must have randomness='different' or 'same'"):
        vmap(draw)(z)


def test_vmap_over_temperatures_alone(torch):
    z = torch.tensor(Z)

    def counts(t):
        return Categorical(z, t).sample_counts(9, rng=3)

    found = torch.func.vmap(counts, randomness="same")(torch.tensor(LADDER))
    assert torch.equal(found, torch.stack([counts(t) for t in LADDER]))


def test_gradients_of_draws_within_torch_func(torch):
    def total(z):
        return (RelaxedCategorical(z, 0.5).sample(2, rng=3) ** 2).sum()

    z = torch.tensor(Z, requires_grad=True)
    (eager,) = torch.autograd.grad(total(z), z)
    torch.testing.assert_close(torch.func.grad(total)(z.detach()), eager)


# ---------------------------------------------------------------------------- JAX


def test_a_traced_index(jax):
    array = jax.numpy.asarray
    dist = Categorical(array(Z), array(LADDER), prior=array(PRIOR))
    taken = jax.jit(lambda dist, i, key: (dist[i].log_probs, dist[i].sample(5, rng=key)))
    key = jax.random.key(0)
    for i in (0, 2, -1):
        log_probs, drawn = taken(dist, i, key)
        np.testing.assert_allclose(log_probs, dist[i].log_probs, rtol=1e-6)
        np.testing.assert_array_equal(drawn, dist[i].sample(5, rng=key))
    for i in (3, -4):
        log_probs, drawn = taken(dist, i, key)
        assert np.isnan(log_probs).all()
        assert (drawn == -1).all()
    some = np.array([2, 7, 0])
    log_probs, _ = taken(dist, some, key)
    assert np.isnan(log_probs).any(-1).tolist() == [False, True, False]
    np.testing.assert_allclose(log_probs[::2], dist.log_probs[some[::2]], rtol=1e-6)
    np.testing.assert_allclose(
        jax.vmap(lambda i: Categorical(Z, LADDER)[i].entropy())(np.arange(3)),
        Categorical(Z, LADDER).entropy(),
        rtol=1e-5,
    )


def test_a_hidden_index_in_pytorch(torch):
    dist = Categorical(torch.tensor(Z), torch.tensor(LADDER))
    index = torch.tensor([2, 0, -1, 3])

    def taken(i):
        return dist[i].probs

    for function in (compiled(torch, taken), torch.func.vmap(taken)):
        found = function(index)
        assert torch.isnan(found).any(-1).tolist() == [False, False, False, True]
        torch.testing.assert_close(found[:3], dist.probs[index[:3]])


def test_raw_keys_of_numpy(jax):
    dist = Categorical(jax.numpy.asarray(Z))
    raw = np.asarray(jax.random.PRNGKey(7))
    wanted = dist.sample(9, rng=jax.random.key(7))
    np.testing.assert_array_equal(dist.sample(9, rng=raw), wanted)
    rows = np.stack([raw, raw + 1, raw + 2])
    np.testing.assert_array_equal(dist.sample(9, rng=rows), dist.sample(9, rng=list(rows)))
    np.testing.assert_array_equal(
        dist.sample_counts(9, rng=raw), dist.sample_counts(9, rng=jax.random.key(7))
    )


def test_no_rank_is_promoted(jax):
    """With logits, temperatures and a prior of different ranks."""
    array, key = jax.numpy.asarray, jax.random.key(0)
    with jax.numpy_rank_promotion("raise"):
        dist = Categorical(array(Z[0]), array(LADDER), prior=array(PRIOR))
        assert len(list(questions(dist, array))) > 20
        other = Categorical(array(Z[0]), 2.0)
        assert dist.kl_divergence(other).shape == (3,)
        assert dist.log_prob_ordered(array([[[2, 0]] * 3, [[1, 0]] * 3])).shape == (2, 3)
        for function in functions_of_a_distribution(thermo).values():
            assert function(dist).shape == (3,)
        for stage in (TopK(2), TopP(array(LADDER / 4)), Typical(0.9), TopH(0.5), Temperature(0.5)):
            assert stage(dist).probs.shape == (3, 4)
        x, _ = dist.sample_and_log_prob((2, 3), rng=key)
        assert x.shape == (2, 3, 3)
        assert dist.sample_counts(9, rng=key).shape == (3, 4)
        relaxed = dist.relaxed(0.5)
        assert relaxed.log_prob(relaxed.sample(2, rng=key)).shape == (2, 3)
        assert relaxed.gumbel_rao(3, 2, rng=key).shape == (2, 3, 4)
        assert conditional_gumbels(other, dist.mode(), rng=key).shape == (3, 4)
        assert gumbel_top_k(dist, 2, 5, rng=key).indices.shape == (5, 3, 2)
        assert maximal_coupling(dist, other, rng=key)[0].shape == (3,)
        multi = MultiCategorical(array(Z), (2, 2))
        assert multi.sample_and_log_prob(2, rng=key)[1].shape == (2, 3)
        assert verify(array([0, 1]), dist[:2], dist, rng=key)[0].shape == ()


def test_no_rank_is_promoted_beside_a_batch(jax):
    """Where the logits have the batch, and what meets them has none."""
    z, key = jax.numpy.asarray(Z[:, :3]), jax.random.key(0)
    weights, mask = z[0] + 1, z[0] > 0
    with jax.numpy_rank_promotion("raise"):
        dist = Categorical(z)
        assert dist.entropy_counts(3).shape == (3,)
        assert dist.fisher_information().shape == (3, 3, 3)
        assert dist.entropy_gradient().shape == (3, 3)
        assert verify(jax.numpy.asarray([[0, 1]]), dist[None, :2], dist[None], lengths=1, rng=key)
        assert exponential_race(z, (4,), rng=key).time.shape == (4, 3)
        assert smooth_max(z, prior=weights).shape == smooth_max(z, mask=mask).shape == (3,)
        assert boltzmann_gumbel(z, weights, 1.0, rng=key).batch_shape == (3,)
        assert kl_regularized(z, Categorical(z[0]), weights).batch_shape == (3,)
        assert kl_regularized(z[0], dist, 0.5).batch_shape == (3,)
