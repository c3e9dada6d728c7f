"""PyTorch and JAX arrays: NumPy's answers in kind, gradients, draws, and what automatic
differentiation and compilation can trip over.

Every test here skips where its library is not installed.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest
from scipy import stats

from questions import questions
from softargmax import (
    Categorical,
    RelaxedCategorical,
    log_softargmax,
    smooth_max,
    softargmax,
)
from softargmax._random.numpy import RowSources
from softargmax._random.torch import TorchSource
from softargmax.categorical import state_of
from softargmax.gumbel import (
    conditional_gumbels,
    gumbel_max,
    gumbel_noise,
    gumbel_top_k,
    maximal_coupling,
)
from statistical import check_counts

pytestmark = pytest.mark.frameworks
INF = np.inf
Z = np.array([[1.0, 5, 5, 2], [-INF, 0, 1, 2], [3, 3, 3, 3]])


class Torch:
    """PyTorch, seen through the few things that the tests need of a library."""

    def __init__(self):
        self.torch = pytest.importorskip("torch")

    def array(self, x, dtype=None):
        return self.torch.tensor(np.asarray(x, dtype))

    def rng(self, seed):
        return self.torch.Generator().manual_seed(seed)

    def gradients(self, function, *arrays):
        leaves = [self.array(x).requires_grad_() for x in arrays]
        return [g.numpy() for g in self.torch.autograd.grad(function(*leaves), leaves)]

    def check_gradients(self, function, *arrays):
        leaves = [self.array(x).requires_grad_() for x in arrays]
        assert self.torch.autograd.gradcheck(function, leaves)
        assert self.torch.autograd.gradgradcheck(function, leaves)

    def where(self, *arrays):
        return self.torch.where(*arrays)

    def hessian(self, function, x):
        return self.torch.autograd.functional.hessian(function, self.array(x)).numpy()


class Jax:
    """JAX, the same."""

    def __init__(self):
        self.jax = pytest.importorskip("jax")

    def array(self, x, dtype=None):
        return self.jax.numpy.asarray(np.asarray(x, dtype))

    def rng(self, seed):
        return self.jax.random.key(seed)

    def gradients(self, function, *arrays):
        found = self.jax.grad(function, tuple(range(len(arrays))))(*map(self.array, arrays))
        return [np.asarray(g) for g in found]

    def check_gradients(self, function, *arrays):
        from jax.test_util import check_grads

        def jaxs(*arrays):  # differences are taken at NumPy arrays
            return function(*map(self.jax.numpy.asarray, arrays))

        check_grads(jaxs, tuple(map(self.array, arrays)), order=2, modes=["rev"])

    def where(self, *arrays):
        return self.jax.numpy.where(*arrays)

    def hessian(self, function, x):
        return np.asarray(self.jax.hessian(function)(self.array(x)))


@pytest.fixture
def torch():
    return Torch().torch


@pytest.fixture
def jax():
    return Jax().jax


@pytest.fixture
def x64(jax):
    """JAX with float64."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(params=["torch", "jax"])
def lib(request):
    if request.param == "torch":
        return Torch()
    request.getfixturevalue("x64")
    return Jax()


def assert_same(ours, numpys, rtol):
    numpys = np.asarray(numpys)
    assert str(ours.dtype).rpartition(".")[2] == numpys.dtype.name
    np.testing.assert_allclose(np.asarray(ours), numpys, rtol=rtol, atol=rtol)


# ---------------------------------------------------------------------------- NumPy's answers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("heat", [0, 0.5, 1, INF, [0.0, 1.0, INF], {"coldness": [-1.0, -INF, 2]}])
@pytest.mark.parametrize("prior", [None, [1.0, 2, 2, 1], [True, True, True, False]])
def test_the_object_equals_numpys(lib, heat, prior, dtype):
    heat = heat if isinstance(heat, dict) else {"temperature": heat}
    z = Z.astype(dtype)
    foreign = None if prior is None else lib.array(prior)
    ours = Categorical(lib.array(z), prior=foreign, **heat)
    numpys = Categorical(z, prior=prior, **heat)
    assert ours.batch_shape == numpys.batch_shape
    for a, b in zip(questions(ours, lib.array), questions(numpys, np.asarray), strict=True):
        assert_same(a, b, 1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("coldness", [INF, 1e300, 2.0, 5e-324, 0.0, -1.0, -INF])
def test_functions_equal_numpys_at_every_coldness(lib, coldness):
    z = np.array([[1.7e308, -INF, -1.7e308, 1.7e308], [0.0, 1, 1, -40]])
    for function in (softargmax, log_softargmax, smooth_max):
        assert_same(function(lib.array(z), coldness=coldness), function(z, coldness=coldness), 1e-9)


def test_half_precision_answers_in_float32(lib):
    z = lib.array([0.0, 1.0, -INF], np.float16)
    bf = z.to(lib.torch.bfloat16) if isinstance(lib, Torch) else z.astype(lib.jax.numpy.bfloat16)
    for half in (z, bf):
        dist = Categorical(half, 0.5)
        assert_same(dist.log_probs, log_softargmax(np.float32([0, 1, -INF]), 0.5), 1e-6)
        assert int(dist.sample(rng=lib.rng(0))) in (0, 1)


def test_numpy_logits_go_where_the_temperature_is(lib):
    for z in ([0, 1], np.array([0.0, 1.0])):
        assert_same(Categorical(z, lib.array([0.0, 2.0])).probs, softargmax([0, 1], [0.0, 2.0]), 0)
    narrow = Categorical(lib.array([0.0, 1.0], np.float32), np.float64(0.7))
    assert "float32" in str(narrow.log_probs.dtype)
    assert "float32" in str(narrow.tempered(np.array([0.7, 0.1])).log_probs.dtype)


def test_jax_without_float64(jax):
    z = jax.numpy.asarray(Z)
    assert z.dtype == np.float32
    ours, numpys = Categorical(z, [0.0, 0.5, INF]), Categorical(np.float32(Z), [0.0, 0.5, INF])
    for a, b in zip(questions(ours, jax.numpy.asarray), questions(numpys, np.asarray), strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-5, atol=1e-5)
    assert ours.sample((2, 3), rng=jax.random.key(0)).dtype == np.int32
    with pytest.raises(ValueError, match="n must be in 0 … 2147483647"):
        ours.sample_counts(2**40, rng=jax.random.key(0))


# ---------------------------------------------------------------------------- gradients

POINTS = {
    "plain": ([[0.3, -1.0, 2.0], [0.0, 0.0, 0.0]], 0.7, None),
    "ladder": ([[0.3, -1.0, 2.0], [1.0, 2.0, 2.0]], [0.5, 3.0], None),
    "prior": ([[0.3, -1.0, 2.0], [1.0, 2.0, 2.0]], 0.7, [1.0, 2.0, 3.0]),
    "mask": ([[0.3, 9.0, 2.0], [0.0, 0.0, 0.0]], 0.7, None),
    "negative": ([[0.3, -1.0, 2.0], [0.0, 0.0, 1.0]], -0.7, None),
}


@pytest.mark.parametrize("name", POINTS)
def test_gradients_of_logits_temperature_and_prior(lib, name):
    z, heat, prior = POINTS[name]
    out = np.array([[False, name == "mask", False], [False] * 3])

    def value(z, heat, *prior):
        z = lib.where(lib.array(out), -INF, z)
        heat = {"coldness": heat} if name == "negative" else {"temperature": heat}
        weights = prior[0] if prior else None
        p = Categorical(z, prior=weights, **heat)
        q = Categorical(z * 1.1 + 0.3, prior=weights, **heat)
        total = p.log_prob(2).sum() + p.entropy().sum() + p.kl_divergence(q).sum()
        return total + smooth_max(z, **heat).sum() + (softargmax(z, **heat) ** 2).sum()

    lib.check_gradients(value, z, np.array(heat), *([] if prior is None else [np.array(prior)]))


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1.0, INF])
def test_gradients_are_finite_at_masks_ties_and_limits(lib, temperature):
    z = np.array([[1.0, 5, 5, -INF], [0, 0, 0, 0]])
    mask = np.array([True, True, True, False])

    def value(z, t):
        dist = Categorical(z, t, prior=lib.array(mask))
        other = Categorical(z * 2, t, prior=lib.array(mask))
        return dist.entropy().sum() + dist.log_prob(1).sum() + dist.kl_divergence(other).sum()

    for gradient in lib.gradients(value, z, np.array(temperature)):
        assert np.isfinite(gradient).all()
        if temperature != 1:
            assert not gradient.any()


def test_gradients_at_ties_are_those_of_the_formula(lib):
    """log p of one of two ties: not the gradient of a detached maximum."""
    z = np.array([1.0, 5.0, 5.0])
    (gradient,) = lib.gradients(lambda z: Categorical(z, 2.0).log_prob(1), z)
    np.testing.assert_allclose(gradient, Categorical(z, 2.0).score(1), rtol=1e-12)


def test_hessian_of_kl_is_the_fisher_information(lib):
    z = np.array([0.3, -1.0, 2.0, 2.0])
    q = Categorical(lib.array(z), 0.7)
    hessian = lib.hessian(lambda y: Categorical(y, 0.7).kl_divergence(q), z)
    np.testing.assert_allclose(hessian, Categorical(z, 0.7).fisher_information(), atol=1e-12)


@pytest.mark.parametrize("heat", [0, 0.5, 1, INF, [0.0, 1.0, INF], {"coldness": -2.0}])
def test_the_law_of_orders(lib, heat):
    heat = heat if isinstance(heat, dict) else {"temperature": heat}
    orders = np.array(list(itertools.permutations(range(4), 3)))[:, None].repeat(3, axis=1)
    for prior in (None, [1.0, 2, 0, 1]):
        ours = Categorical(lib.array(Z), prior=prior, **heat).log_prob_ordered(lib.array(orders))
        numpys = Categorical(Z, prior=prior, **heat).log_prob_ordered(orders)
        assert_same(ours, numpys, 1e-12)


def test_the_gradient_of_the_law_of_orders(lib):
    z = np.array([0.3, -1.0, 2.0])

    def total(z):
        return Categorical(z, 0.7).log_prob_ordered([2, 0])

    lib.check_gradients(total, z)
    if isinstance(lib, Jax):
        jitted = lib.jax.jit(lambda z, x: Categorical(z, 0.7).log_prob_ordered(x))
        assert float(jitted(z, np.array([2, 0]))) == pytest.approx(float(total(lib.array(z))))


def test_scores_and_gradients_in_closed_form_are_autodiffs(lib):
    z = np.array([0.3, -1.0, 2.0, -INF])
    dist = Categorical(z, 0.7)
    (score,) = lib.gradients(lambda z: Categorical(z, 0.7).log_prob(2), z)
    (slope,) = lib.gradients(lambda z: Categorical(z, 0.7).entropy(), z)
    np.testing.assert_allclose(score, dist.score(2), atol=1e-14)
    np.testing.assert_allclose(slope, dist.entropy_gradient(), atol=1e-14)


# ---------------------------------------------------------------------------- PyTorch


def test_a_first_use_without_gradients_and_two_backward_passes(torch):
    z = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    dist = Categorical(z, 0.7)
    with torch.no_grad():
        assert not dist.log_probs.requires_grad
        dist.entropy(), dist.probs, dist.sample(rng=0)
    dist.entropy().backward()
    first, z.grad = z.grad, None
    dist.entropy().backward()
    assert torch.equal(first, z.grad)
    assert first.abs().sum() > 0


def test_copies_of_an_object_within_a_graph(torch):
    z = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    dist = Categorical(z * 2, z[0].exp(), prior=torch.tensor([1.0, 2.0, 0.0]))
    twin = copy.deepcopy(dist)
    assert not twin.log_probs.requires_grad
    assert torch.equal(twin.log_probs, dist.log_probs.detach())
    assert torch.equal(pickle.loads(pickle.dumps(twin)).log_probs, twin.log_probs)
    with torch.no_grad():
        z += 1
    assert torch.equal(twin.log_probs, dist.log_probs.detach())  # a clone


def test_torch_draws_are_numpys_on_the_cpu(torch):
    z = np.float32(Z)
    ours, numpys = Categorical(torch.tensor(z), 0.7), Categorical(z, 0.7)
    for rng in (3, [1, 2, 3]):
        for size in ((), 5, (2, 3)):
            np.testing.assert_array_equal(ours.sample(size, rng=rng), numpys.sample(size, rng=rng))
    z = torch.tensor(z, requires_grad=True)
    assert Categorical(z).sample(rng=0).dtype == torch.int64


def test_a_torch_generator_as_rng(torch):
    dist = Categorical(torch.tensor([0.0, 1.0, 2.0]))
    rng = torch.Generator().manual_seed(5)
    first, second = dist.sample(1000, rng=rng), dist.sample(1000, rng=rng)
    assert not torch.equal(first, second)
    again = torch.Generator().manual_seed(5)
    assert torch.equal(first, dist.sample(1000, rng=again))
    counts = dist.sample_counts(10**6, rng=rng)
    check_counts(counts.numpy(), dist.probs.double().numpy(), detects=6e-3)
    assert dist.sample_counts(9, (2, 3), rng=rng).sum(-1).tolist() == [[9] * 3] * 2
    assert dist.sample_without_replacement(2, 4, rng=rng).shape == (4, 2)


def test_one_torch_generator_a_row(torch):
    dist = Categorical(torch.tensor(Z), 0.7)

    def rngs(order):
        return [torch.Generator().manual_seed(i) for i in order]

    rows = dist.sample(20, rng=rngs([0, 1, 2]))
    assert torch.equal(dist[[2, 0]].sample(20, rng=rngs([2, 0])), rows[:, [2, 0]])
    # As on a GPU, whose draws are made in PyTorch.
    state = state_of(dist)

    def natively(log_probs, order):
        rows = [TorchSource(rng, state.xp, state.z, ()) for rng in rngs(order)]
        return RowSources(rows, state.xp, state.z).gumbel_max(log_probs, (20,))

    native = natively(dist.log_probs, [0, 1, 2])
    assert native.shape == (20, 3)
    again = natively(dist.log_probs[[2, 0]], [2, 0])
    assert torch.equal(again, native[:, [2, 0]])
    assert not torch.isin(native[:, 1], 0).any()


def test_torch_func(torch):
    z = torch.tensor(np.where(np.isinf(Z), np.nan, Z))
    mapped = torch.func.vmap(lambda z: Categorical(z, 0.7).log_probs)(z)
    assert torch.isnan(mapped[1]).all()
    np.testing.assert_allclose(mapped[[0, 2]], log_softargmax(Z[[0, 2]], 0.7), rtol=1e-12)
    draws = torch.func.vmap(lambda z: Categorical(z, 0.7).sample(9, rng=1), randomness="different")
    assert (draws(z)[1] == -1).all()
    assert (draws(z)[0] >= 0).all()
    slopes = torch.func.vmap(torch.func.grad(lambda z: Categorical(z, 0.7).entropy()))(z[[0, 2]])
    np.testing.assert_allclose(
        slopes, Categorical(Z[[0, 2]], 0.7).entropy_gradient(), rtol=1e-10, atol=1e-15
    )
    compiled = torch.compile(lambda z: Categorical(z, 0.7).log_probs, backend="eager")
    assert torch.isnan(compiled(z)).any(-1).tolist() == [False, True, False]


def test_cuda(torch):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    z = torch.tensor(Z, device="cuda", dtype=torch.float32)
    dist = Categorical(z, 0.7)
    for answer in questions(dist, lambda x: torch.as_tensor(x, device="cuda")):
        assert answer.device.type == "cuda"
    rng = torch.Generator("cuda").manual_seed(0)
    draws = dist.sample(10**6, rng=rng)
    assert draws.device.type == "cuda"
    for row in range(3):
        counts = np.bincount(draws[:, row].cpu(), minlength=4)
        check_counts(counts, softargmax(Z[row], 0.7), detects=6e-3)
    assert dist.sample(3, rng=7).shape == (3, 3)
    assert dist.sample_counts(9, rng=rng).sum(-1).tolist() == [9] * 3
    with pytest.raises(ValueError, match="'auto' or 'gumbel'"):
        dist.sample(3, method="alias")


# ---------------------------------------------------------------------------- JAX


def test_jax_draws_follow_the_probabilities(jax):
    dist = Categorical(jax.numpy.asarray(Z), 0.7)
    n = 5 * 10**6  # in blocks
    draws = np.asarray(dist.sample(n, rng=jax.random.key(1)))
    assert draws.shape == (n, 3)
    for row in range(3):
        counts = np.bincount(draws[:, row], minlength=4)
        check_counts(counts, softargmax(Z[row], 0.7), detects=3e-3)
    assert np.abs(np.corrcoef(draws[:-1, 2], draws[1:, 2])[0, 1]) < 5 / np.sqrt(n)
    a = dist.sample((2, 5), rng=jax.random.key(2))
    b, log_p = dist.sample_and_log_prob((2, 5), rng=jax.random.PRNGKey(2))  # a raw key
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(log_p, dist.log_prob(a))


def test_one_key_a_row(jax):
    dist = Categorical(jax.numpy.asarray(Z), 0.7)
    keys = jax.random.split(jax.random.key(3), 3)
    together = dist.sample(50, rng=keys)
    np.testing.assert_array_equal(together, dist.sample(50, rng=list(keys)))
    order = np.array([2, 0, 1])
    np.testing.assert_array_equal(dist[order].sample(50, rng=keys[order]), together[:, order])
    counts = dist.sample_counts(100, rng=keys)
    np.testing.assert_array_equal(dist[order].sample_counts(100, rng=keys[order]), counts[order])
    several = dist.sample_counts(100, 4, rng=keys)
    assert several.shape == (4, *counts.shape)
    np.testing.assert_array_equal(several[0], counts)


def test_jit_compiles_once_and_takes_traced_temperatures(jax):
    traces = []

    @jax.jit
    def draw(z, key):
        traces.append(1)
        return Categorical(z, 0.7).sample(rng=key)

    z = jax.numpy.asarray(Z)
    for seed in range(4):
        eager = Categorical(z + seed, 0.7).sample(rng=jax.random.key(seed))
        np.testing.assert_array_equal(draw(z + seed, jax.random.key(seed)), eager)
    assert len(traces) == 1
    probs = jax.jit(lambda z, t: Categorical(z, t).probs)
    for t in (0.0, 0.5, INF):
        np.testing.assert_allclose(probs(z, t), softargmax(np.float32(Z), t), rtol=1e-6)
    slope = jax.jit(jax.grad(lambda t: Categorical(z, t).entropy().sum()))
    assert slope(0.0) == 0
    assert slope(INF) == 0


def test_everything_under_jit(jax):
    """Bad rows are NaN and -1 where nobody can look."""
    z = jax.numpy.asarray(np.where(np.isinf(Z), np.nan, Z))
    dist = Categorical(jax.numpy.asarray(Z), 0.7)

    def answers(z, key):
        d = Categorical(z, 0.7)
        ordered = d.sample_without_replacement(2, 3, rng=key)
        return d.log_probs, d.sample(5, rng=key), d.sample_counts(9, rng=key), ordered

    log_probs, draws, counts, ordered = jax.jit(answers)(z, jax.random.key(0))
    assert np.isnan(log_probs[1]).all()
    assert (draws[:, 1] == -1).all()
    assert (counts[1] == -1).all()
    assert (ordered[:, 1] == -1).all()
    eager = answers(dist.logits, jax.random.key(0))
    for row in (0, 2):
        np.testing.assert_allclose(log_probs[row], eager[0][row], rtol=1e-6)
        np.testing.assert_array_equal(draws[:, row], eager[1][:, row])
        np.testing.assert_array_equal(counts[row].sum(), 9)
    jitted = jax.jit(lambda z: tuple(questions(Categorical(z, 0.7), jax.numpy.asarray)))
    for a, b in zip(jitted(dist.logits), questions(dist, jax.numpy.asarray), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_first_use_inside_jit(jax):
    dist = Categorical(jax.numpy.asarray([[0.3, -1.0, 2.0]]), 0.7)
    inside = jax.jit(lambda: (dist.entropy(), dist.log_probs))()
    np.testing.assert_allclose(dist.entropy(), inside[0], rtol=1e-6)
    assert not isinstance(dist.log_probs, jax.core.Tracer)


@pytest.mark.parametrize("heat", [{"temperature": 0.7}, {"coldness": [1.0, -2.0, INF]}, {}])
def test_objects_are_pytrees(jax, heat):
    prior = jax.numpy.asarray([1.0, 2.0, 1.0, 0.5])
    dist = Categorical(jax.numpy.asarray(np.where(np.isinf(Z), 0, Z)), prior=prior, **heat)
    leaves, structure = jax.tree_util.tree_flatten(dist)
    assert [leaf.shape for leaf in leaves] == [(3, 4), (3,), (3, 4)]
    twin = jax.tree_util.tree_unflatten(structure, leaves)
    np.testing.assert_allclose(twin.log_probs, dist.log_probs, rtol=1e-6)
    jax.tree_util.tree_unflatten(structure, [object(), None, "anything"])  # validates nothing
    np.testing.assert_allclose(jax.jit(lambda d: d.entropy())(dist), dist.entropy(), rtol=1e-5)
    rows = jax.vmap(lambda d: d.entropy())(dist)
    np.testing.assert_allclose(rows, dist.entropy(), rtol=1e-5)
    keys = jax.random.split(jax.random.key(0), 3)
    assert jax.vmap(lambda d, key: d.sample(4, rng=key))(dist, keys).shape == (3, 4)
    counts = jax.vmap(lambda d, key: d.sample_counts(4, rng=key))(dist, keys)
    assert counts.sum(-1).tolist() == [4, 4, 4]
    slope = jax.grad(lambda d: d.entropy().sum())(dist)
    assert jax.numpy.isfinite(jax.tree_util.tree_leaves(slope)[0]).all()
    assert type(jax.jit(lambda d: d.tempered(2.0))(dist)) is Categorical


# ---------------------------------------------------------------------------- errors


def test_generators_of_another_library(lib):
    foreign, numpys = Categorical(lib.array([0.0, 1.0])), Categorical([0.0, 1.0])
    with pytest.raises(TypeError, match=r"rng must be NumPy's .*, got a (torch|JAX)"):
        numpys.sample(rng=lib.rng(0))
    if isinstance(lib, Jax):
        for rng in (None, 0, np.random.default_rng(0), [1, 2]):
            for draw in (foreign.sample, foreign.sample_and_log_prob):
                with pytest.raises(TypeError, match="rng must be a JAX key"):
                    draw(rng=rng)
            with pytest.raises(TypeError, match="rng must be a JAX key"):
                foreign.sample_counts(3, rng=rng)
        with pytest.raises(ValueError, match="one per row of a 1-d batch"):
            foreign.sample(rng=lib.jax.random.split(lib.rng(0), 3))
        with pytest.raises(ValueError, match="method must be 'auto' or 'gumbel'"):
            foreign.sample(rng=lib.rng(0), method="alias")


def test_bad_values_are_errors_where_they_can_be_seen(lib):
    for bad in (np.nan, INF):
        with pytest.raises(ValueError, match=r"logits must be finite or -inf.* in row 1"):
            Categorical(lib.array([[0.0, 1], [bad, 1]]))
    with pytest.raises(ValueError, match=r"temperature must be in \[0, inf\]"):
        Categorical(lib.array([0.0, 1]), lib.array(-1.0))
    with pytest.raises(ValueError, match="category must be in 0 … 1"):
        Categorical(lib.array([0.0, 1])).log_prob(lib.array(2))


# ---------------------------------------------------------------------------- Gumbel and relaxed


def test_noise_in_the_namespace_of_its_rng(lib):
    noise = gumbel_noise((300, 300), rng=lib.rng(0), dtype=lib.array(0.0, np.float32).dtype)
    assert type(noise) is type(lib.array(0.0))
    assert "float32" in str(noise.dtype)
    values = np.asarray(noise).ravel()
    # 90,000 numbers: finds a distance of 0.009 between the distributions.
    assert stats.kstest(values, stats.gumbel_r.cdf).pvalue > 1e-7
    half = gumbel_noise(2000, rng=lib.rng(1), dtype=lib.array(0.0, np.float16).dtype)
    assert np.isfinite(np.asarray(half)).all()
    with pytest.raises(TypeError, match="dtype must be a floating dtype"):
        gumbel_noise(3, rng=lib.rng(0), dtype=lib.array(0).dtype)


def test_float32_noise_passes_the_end_of_a_single_uniform(lib):
    """-log(-log(u)) of float32 uniforms ends at 16.6; 5e7 Gumbels pass it with a chance of 95 %."""
    kind = lib.array(0.0, np.float32).dtype
    best = max(float(gumbel_noise(10**7, rng=lib.rng(seed), dtype=kind).max()) for seed in range(5))
    assert 16.7 < best < 88


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, INF])
def test_winners_of_conditional_noise(lib, temperature):
    for dtype in (np.float32, np.float64):
        dist = Categorical(lib.array(Z, dtype), temperature)
        x = dist.sample(200, rng=lib.rng(0))
        noise = conditional_gumbels(dist, x, rng=lib.rng(1))
        assert tuple(noise.shape) == (200, 3, 4)
        np.testing.assert_array_equal(gumbel_max(dist.log_probs, noise), x)


def test_couplings_and_top_k(lib):
    p, q = Categorical(lib.array(Z), 1.0), Categorical(lib.array(Z), 3.0)
    x, y = maximal_coupling(p, q, 100_000, rng=lib.rng(0))
    distance = np.abs(np.asarray(p.probs) - np.asarray(q.probs)).sum(-1) / 2
    for row in range(3):
        differ = int((x != y)[:, row].sum())
        pair = [distance[row], 1 - distance[row]]
        check_counts([differ, 100_000 - differ], pair, detects=0.011)
    drawn = gumbel_top_k(p, 2, 5, rng=lib.rng(1))
    assert tuple(drawn.indices.shape) == (5, 3, 2)
    assert (np.asarray(drawn.log_inclusion) <= 0).all()


@pytest.mark.parametrize("tau", [0.5, 1.0, [0.3, 2.0]])
def test_gradients_of_relaxed_draws(lib, tau):
    z, prior = np.array([[0.3, -1.0, 2.0], [0.0, 1.0, 1.0]]), np.array([1.0, 2.0, 0.5])

    def draw(z, tau, prior):
        relaxed = RelaxedCategorical(z, tau, prior=prior)
        y, log_y = relaxed.sample(2, rng=lib.rng(3)), relaxed.log_sample(2, rng=lib.rng(3))
        return (y**2).sum() + (log_y * lib.array([1.0, 2.0, -1.0])).sum()

    lib.check_gradients(draw, z, np.array(tau), prior)

    def density(z, tau):
        y = lib.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
        return RelaxedCategorical(z, tau).log_prob(y).sum()

    lib.check_gradients(density, z, np.array(tau))


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, INF])
def test_straight_through_is_numpys_with_its_pullback(lib, tau):
    """The same noise in PyTorch and NumPy; in JAX, the gradient against the closed form."""
    z, c = np.array([[0.3, -1.0, 2.0, -INF], [0.0, 1.0, 1.0, 0.5]]), np.array([1.0, -2.0, 3.0, 4.0])
    rng = 5 if isinstance(lib, Torch) else lib.rng(5)
    for name in ("sample", "straight_through", "gumbel_rao"):
        before = (7,) if name == "gumbel_rao" else ()

        def total(z, name=name, before=before):
            draws = getattr(RelaxedCategorical(z, tau), name)(*before, rng=rng)
            return (draws * lib.array(c)).sum()

        (gradient,) = lib.gradients(total, z)
        assert np.isfinite(gradient).all()
        assert gradient[0, 3] == 0
        draws = np.asarray(getattr(RelaxedCategorical(lib.array(z), tau), name)(*before, rng=rng))
        if name == "straight_through":
            assert set(np.unique(draws)) <= {0, 1}
            again = np.asarray(RelaxedCategorical(lib.array(z), tau).sample(rng=rng))
            if tau < INF:
                np.testing.assert_array_equal(draws.argmax(-1), again.argmax(-1))
        numpys = getattr(RelaxedCategorical(z, tau), f"{name}_with_pullback")
        if isinstance(lib, Torch):
            values, pullback = numpys(*before, rng=rng)
            np.testing.assert_allclose(draws, values, atol=1e-12)
            np.testing.assert_allclose(gradient, pullback(np.tile(c, (2, 1))), atol=1e-10)
        elif name == "sample":
            beta = 0 if tau in (0, INF) else 1 / tau
            expected = beta * draws * (c - (draws * c).sum(-1, keepdims=True))
            np.testing.assert_allclose(gradient, expected, atol=1e-10)


def test_straight_through_with_the_gradient_of_p(lib):
    """Torch's OneHotCategoricalStraightThrough, by its closed form: p ⊙ (c - ⟨c, p⟩)."""
    z, c = np.array([[0.3, -1.0, 2.0, -INF], [0.0, 1.0, 1.0, 0.5]]), np.array([1.0, -2.0, 3.0, 4.0])
    p = softargmax(z)
    rng = 5 if isinstance(lib, Torch) else lib.rng(5)
    for tau in (0.0, 0.7, INF):

        def draws(z, tau=tau):
            return RelaxedCategorical(z, tau).straight_through(3, rng=rng, gradient="probs")

        (gradient,) = lib.gradients(lambda z: (draws(z) * lib.array(c)).sum(), z)
        np.testing.assert_allclose(gradient, 3 * p * (c - (p * c).sum(-1, keepdims=True)), 1e-10)
        plain = RelaxedCategorical(lib.array(z), tau).straight_through(3, rng=rng)
        np.testing.assert_array_equal(np.asarray(draws(lib.array(z))), np.asarray(plain))


def test_the_density_is_torchs_where_that_is_finite(torch):
    z = np.array([0.3, -1.0, 2.0])
    for tau in (0.3, 1.0, 3.0):
        ours = RelaxedCategorical(z, tau)
        theirs = torch.distributions.RelaxedOneHotCategorical(
            torch.tensor(tau, dtype=torch.float64), logits=torch.tensor(z)
        )
        y = ours.sample(100, rng=0)
        np.testing.assert_allclose(ours.log_prob(y), theirs.log_prob(torch.tensor(y)), rtol=1e-8)
    cold = RelaxedCategorical(torch.tensor(z, dtype=torch.float32), 0.01)
    log_y = cold.log_sample(100, rng=0)
    assert torch.isfinite(cold.log_prob_of_log(log_y)).all()
    theirs = torch.distributions.RelaxedOneHotCategorical(
        torch.tensor(0.01), logits=torch.tensor(z, dtype=torch.float32), validate_args=False
    )
    assert not torch.isfinite(theirs.log_prob(log_y.exp())).all()


def test_relaxed_objects_under_jit_and_vmap(jax):
    z = jax.numpy.asarray(np.where(np.isinf(Z), 0, Z))
    relaxed = RelaxedCategorical(z, 0.7)
    eager = relaxed.sample(2, rng=jax.random.key(0))
    jitted = jax.jit(lambda r, key: r.sample(2, rng=key))(relaxed, jax.random.key(0))
    np.testing.assert_allclose(jitted, eager, rtol=1e-5, atol=1e-7)
    keys = jax.random.split(jax.random.key(1), 3)
    mapped = jax.vmap(lambda r, key: r.straight_through(rng=key))(relaxed, keys)
    np.testing.assert_array_equal(mapped, relaxed.straight_through(rng=keys))
    tau = jax.jit(lambda t: RelaxedCategorical(z, t).sample(rng=jax.random.key(2)))
    assert set(np.unique(tau(0.0))) == {0, 1}
    bad = jax.jit(lambda z: RelaxedCategorical(z, 0.5).straight_through(rng=jax.random.key(2)))
    assert np.isnan(bad(z.at[1, 0].set(np.nan))).any(-1).tolist() == [False, True, False]
    assert gumbel_max(z, eager[0]).dtype == np.int32
    with pytest.raises(TypeError, match="rng must be a JAX key"):
        relaxed.sample(rng=0)


def test_bad_values_under_jit_are_nan_or_minus_one(jax):
    def density(z, y, t):
        return RelaxedCategorical(z, t).log_prob(y)

    z, y = np.float32([0.0, 1.0, 2.0]), np.float32([0.2, 0.3, 0.5])
    assert np.isfinite(jax.jit(density)(z, y, 0.5))
    for bad in [
        (np.float32([np.nan, 0, 0]), y, 0.5),
        (z, np.float32([np.nan, 0.5, 0.5]), 0.5),
        (z, np.float32([-0.5, 0.5, 1]), 0.5),
        (z, np.float32([0.9, 0.9, 0.9]), 0.5),
        *((z, y, t) for t in (0.0, INF, -1.0, np.nan)),
    ]:
        assert np.isnan(jax.jit(density)(*bad))
    key = jax.random.key(0)
    draw = jax.jit(lambda z, t: Categorical(z, t).sample(3, rng=key))
    assert (draw(z, -1.0) == -1).all()
    noise = jax.jit(lambda z, x: conditional_gumbels(Categorical(z), x, rng=key))
    assert np.isfinite(noise(z, 1)).all()
    for bad in [(np.float32([np.nan, 0, 0]), 1), (np.float32([-INF, 0, 0]), 0), (z, 5), (z, -1)]:
        assert np.isnan(noise(*bad)).all()
    top = jax.jit(lambda z: gumbel_top_k(Categorical(z), 2, rng=key).indices)
    assert (top(np.float32([np.nan, 0, 0])) == -1).all()
    assert (top(np.float32([-INF, -INF, 0])) == -1).all()


def test_pullbacks_are_for_numpy(lib):
    relaxed = RelaxedCategorical(lib.array([0.0, 1.0]), 0.5)
    for name in ("sample", "straight_through", "gumbel_rao"):
        with pytest.raises(TypeError, match=f"gradients flow through {name}$"):
            getattr(relaxed, f"{name}_with_pullback")(*([2] if name == "gumbel_rao" else []))


def test_deepcopy_of_a_relaxed_object_within_a_graph(torch):
    z = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    relaxed = Categorical(z * 2).relaxed(z[0].exp())
    twin = copy.deepcopy(relaxed)
    assert not twin.logits.requires_grad
    assert torch.equal(twin.sample(rng=0), relaxed.sample(rng=0).detach())
