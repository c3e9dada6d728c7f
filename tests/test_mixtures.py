"""Mixtures and pools: enumeration, limits, digits, survivors, every library, derivatives."""

import math
import pickle

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.categorical import state_of
from softargmax.mixtures import mix, pool
from softargmax.policies import epsilon_greedy, kl_regularized
from softargmax.tokens import XTC, MinP, TopK

inf = math.inf
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(3, 4))
MASK = np.array([1, 1, 0, 1])
DISTS = {
    "one row": Categorical(Z[0]),
    "masked": Categorical(Z[1], 0.5, mask=MASK),
    "weighted": Categorical(Z[2], coldness=-2.0, prior=[1, 2, 3, 0.5]),
    "a batch": Categorical(Z, [0.5, 1.0, 2.0]),
    "a column": Categorical(Z[:, None], 0.3),
    "arg max": Categorical([1.0, 3.0, 3.0, 0.0], 0),
    "uniform": Categorical([1.0, 3.0, 3.0, 0.0], inf),
}
WEIGHTS = [[0.2, 0.8], [3, 1], [0, 2], [1e-30, 1.0], RNG.random((3, 2)), RNG.random((1, 3, 2))]
PAIRS = [(a, b) for a in DISTS for b in DISTS if a <= b]


def shared(names, weights):
    """Whether weights have no more axes than the batch, if that has any."""
    batch = np.broadcast_shapes(*(DISTS[name].batch_shape for name in names))
    return not batch or np.ndim(weights) - 1 <= len(batch)


@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
@pytest.mark.parametrize("weights", WEIGHTS, ids=range(len(WEIGHTS)))
def test_both_are_their_formulas(names, weights):
    dists = [DISTS[name] for name in names]
    if not shared(names, weights):
        with pytest.raises(ValueError, match="weights must fit the batch axes"):
            mix(dists, weights)
        return
    w = np.asarray(weights, float)
    p = np.stack(np.broadcast_arrays(*(dist.probs for dist in dists)), -1)
    found = mix(dists, weights)
    want = (p * w[..., None, :]).sum(-1) / w.sum(-1)[..., None]
    assert_allclose(found.probs, np.broadcast_to(want, found.probs.shape), rtol=1e-13, atol=0)
    assert found.temperature == 1
    assert found.prior is None
    assert_allclose(found.logits, found.log_probs, rtol=1e-15, atol=0)
    score = np.prod(p ** w[..., None, :], axis=-1)  # 0⁰ is 1
    if not score.sum(-1).all():
        with pytest.raises(ValueError, match="in common under positive weights, got none"):
            pool(dists, weights)
        return
    found = pool(dists, weights)
    want = score / score.sum(-1, keepdims=True)
    assert_allclose(found.probs, np.broadcast_to(want, found.probs.shape), rtol=1e-13, atol=0)


def test_log_p_next_to_0_and_tiny_weights_keep_their_digits():
    near, far = Categorical([0.0, -40.0, -800.0]), Categorical([0.0, -50.0, -3.0])
    with mpmath.workdps(400):
        p, q = ([mpmath.exp(z) for z in d.logits.tolist()] for d in (near, far))
        p, q = ([x / mpmath.fsum(y) for x in y] for y in (p, q))
        for w in ((0.25, 0.75), (1.0, 1e-300), (1.0, 1e-20), (1e300, 1e-9)):
            mixed = [w[0] * a + w[1] * b for a, b in zip(p, q, strict=True)]
            want = [float(mpmath.log(x / mpmath.fsum(mixed))) for x in mixed]
            assert_allclose(mix([near, far], w).log_probs, want, rtol=3e-13)
        for w in ((1, 1), (2.5, -1), (-0.3, 1), (1e-20, 1), (30, -2)):
            pooled = [a ** w[0] * b ** w[1] for a, b in zip(p, q, strict=True)]
            want = [float(mpmath.log(x / mpmath.fsum(pooled))) for x in pooled]
            assert_allclose(pool([near, far], w).log_probs, want, rtol=3e-13)
    assert float(mix([near, near], [1, 1]).log_probs[0]) == pytest.approx(-math.exp(-40))


def test_weight_0_ignores_and_p_0_has_its_limits():
    a, b = Categorical([0.0, 1.0, -inf]), Categorical([0.0, -inf, 1.0])
    assert_array_equal(mix([a, b], [1, 0]).probs, a.probs)
    assert_allclose(pool([a, b], [1, 0]).probs, a.probs, rtol=1e-15)
    assert_array_equal(pool([a, b], [1, 1]).probs, [1, 0, 0])
    assert_array_equal(pool([a, b], [0, 0]).probs, [1 / 3] * 3)
    both = Categorical([0.0, 1.0, -inf])  # 0 under both signs: by the positive weight
    assert_allclose(pool([both, a], [2, -1]).probs, a.probs, rtol=1e-15)
    for weights, category in (([1, -1], 1), ([0, -1], 1), ([-1, 0], 2)):
        with pytest.raises(ValueError, match=f"p = 0 under negative .* got category {category}$"):
            pool([a, b], weights)
    batch = Categorical([[0.0, 0.0, 0.0], [0.0, 0.0, -inf]])
    with pytest.raises(ValueError, match="alone, got category 2 in row 1"):
        pool([Categorical([0.0, 0.0, 0.0]), batch], [1, -1])


def test_weights_and_gaps_of_every_size():
    a, b = Categorical([0.0, -10.0, -3.0]), Categorical([-10.0, 0.0, -4.0])
    for big in (1e3, 1e150, 1e308, 1.7e308):
        assert_array_equal(pool([a, b], [big, -big]).probs, [1, 0, 0])
        assert_allclose(pool([a, b], [big, big]).probs, [0, 0, 1], atol=1e-300)
        assert_array_equal(pool([a] * 4, [big, big, -big, -big]).probs, [1 / 3] * 3)
        assert_array_equal(mix([a, a], [big, big]).probs.round(14), a.probs.round(14))
    assert_allclose(pool([a, a], [5e-324, 1.0]).probs, a.probs, rtol=1e-15)
    wide = Categorical([0.0, -1.7e308])
    assert_array_equal(pool([wide] * 4, [1, 1, -1, -1]).probs, [0.5, 0.5])
    assert_array_equal(pool([wide] * 3, [1, 1, -1]).probs, [1, 0])


def test_a_pool_of_one_is_a_temperature_and_of_policies_a_prior():
    dist = Categorical(Z, mask=MASK)
    for w in (0.5, 1.0, 3.0):
        assert_allclose(pool([dist], [w]).probs, dist.tempered(1 / w).probs, rtol=1e-14)
    reference = Categorical(Z[::-1])
    want = kl_regularized(Z, reference, 0.5).probs
    assert_allclose(pool([Categorical(Z), reference], [2, 1]).probs, want, rtol=1e-13)
    inner = mix([dist, reference], [0.4, 0.6])
    whole = mix([dist, reference, Categorical(Z[1])], [0.2, 0.3, 0.5])
    assert_allclose(mix([inner, Categorical(Z[1])], [0.5, 0.5]).probs, whole.probs, rtol=1e-14)


def test_what_draws_by_a_coin_is_a_mixture():
    best, hot = Categorical(Z, 0, mask=MASK), Categorical(Z, inf, mask=MASK)
    assert_array_equal(
        mix([best, hot], [0.9, 0.1]).log_probs, epsilon_greedy(Z, 0.1, mask=MASK).log_probs
    )
    dist = Categorical([2.0, 1.0, 0.0, -1.0])
    both = [XTC(0.1, part)(dist) for part in (0.0, 1.0)]
    assert_allclose(mix(both, [0.7, 0.3]).probs, XTC(0.1, 0.3)(dist).probs, rtol=1e-14)


def test_no_other_category_is_ever_drawn():
    found = mix(
        [Categorical([0.0, 5.0, 5.0, -inf], 0), Categorical([0.0, 0.0, 9.0, 1.0], 0)], [1, 0]
    )
    assert_array_equal(np.unique(found.sample(2000, rng=0)), [1, 2])


# ---------------------------------------------------------------------------- survivors

LONG = np.random.default_rng(1).normal(size=(3, 3000)) * 3


def test_survivors_stay_few():
    dists = [TopK(50)(Categorical(LONG)), MinP(0.5)(Categorical(-LONG[0])), Categorical(LONG * 0.1)]
    p = np.stack(np.broadcast_arrays(*(dist.probs for dist in dists)), -1)
    for function, weights, few in (
        (mix, [0.5, 2.0, 0.0], True),
        (mix, [0.5, 0.0, 0.5], False),
        (mix, [1.0, 0.0, 0.0], True),
        (pool, [1.0, 0.0, 0.5], True),
        (pool, [0.5, 0.0, -1.0], True),
        (pool, [0.0, 0.0, 1.0], False),
    ):
        found = function(dists, weights)
        kept, w = state_of(found).kept, np.array(weights)
        assert (kept is not None) == few
        if function is mix:
            want = (p * w).sum(-1) / w.sum()
        else:
            want = np.where(w == 0, 1.0, np.where(p > 0, p, 1) ** w)
            want = np.where(((p == 0) & (w > 0)).any(-1), 0, want.prod(-1))
            want /= want.sum(-1, keepdims=True)
        assert_allclose(found.probs, want, rtol=1e-12)
        if few:
            assert kept.indices.size == np.count_nonzero(want)
        again = pickle.loads(pickle.dumps(found))
        assert_array_equal(again[1].log_probs, found.log_probs[1])
    with pytest.raises(ValueError, match=r"negative weights alone, got category \d+ in row 0"):
        pool(dists, [-1, 0, 1])
    with pytest.raises(ValueError, match="in common under positive weights, got none in row 0"):
        pool(dists, [1, 1, 0])
    each = mix(dists[:2], [[1, 0], [0, 1], [1, 1]])
    assert_allclose(each.probs[1], dists[1].probs, rtol=1e-13)
    assert_allclose(each.probs[2], (p[2, :, 0] + p[2, :, 1]) / 2, rtol=1e-13)
    assert mix([dist[:0] for dist in (dists[0], dists[2])], [1, 1]).probs.shape == (0, 3000)


# ---------------------------------------------------------------------------- arguments


def test_dtypes_shapes_and_the_callers_arrays():
    low, wide = Categorical(Z.astype(np.float32)), Categorical(Z)
    weights = np.array([0.2, 0.8])
    for function in (mix, pool):
        assert function([low, low], weights).dtype == np.float32
        assert function([low, wide], weights).dtype == np.float64
        assert function([wide[:0], low[:0]], weights).probs.shape == (0, 4)
        assert function([wide[0]], [[1], [2]]).batch_shape == (2,)
        assert_array_equal(function(wide, [1, 0, 0]).probs, function([wide[0]], [1]).probs)
    assert_array_equal(weights, [0.2, 0.8])
    assert_allclose(mix([low, low], [1e-300, 1e-300]).probs, low.probs, rtol=1e-6)  # no float32


@pytest.mark.parametrize("function", [mix, pool])
@pytest.mark.parametrize(
    ("dists", "weights", "error", "message"),
    [
        ([], [], ValueError, "dists must have one distribution at least, got none"),
        ([3], [1], TypeError, "dists must be a Categorical, got int"),
        (3, [1], TypeError, "dists must be a sequence of Categorical, got int"),
        (Categorical(Z[0]), [1], TypeError, "must be a sequence of Categorical, got one; put"),
        ([Z], [1], TypeError, "dists must be a Categorical, got ndarray"),
        ([Categorical([0.0]), Categorical(Z)], [1, 1], ValueError, r"equal .*, got \[1, 4\]"),
        ([Categorical(Z)], [1, 1], ValueError, r"each of the 1 distributions .* got shape \(2,\)"),
        ([Categorical(Z)], 1.0, ValueError, r"each of the 1 .* got shape \(\)"),
        (
            [Categorical(Z)],
            [[1]] * 2,
            ValueError,
            r"batch axes \(3,\) of the dists, got .*\(2, 1\)",
        ),
        ([Categorical(Z)], [[[1]]], ValueError, r"weights must fit the batch axes \(3,\)"),
        ([Categorical(Z), Categorical(Z[:2])], [1, 1], ValueError, "dists must have batches that"),
        ([Categorical(Z)], ["a"], TypeError, "weights must be real numbers"),
        ([Categorical(Z)], [1j], TypeError, "weights must be real numbers"),
        ([Categorical(Z)], [inf], ValueError, "weights must be .*, got inf"),
        ([Categorical(Z)], [math.nan], ValueError, "weights must be .*, got nan"),
    ],
)
def test_bad_arguments(function, dists, weights, error, message):
    with pytest.raises(error, match=message):
        function(dists, weights)


def test_weights_of_mixtures_are_weights():
    dists = [Categorical(Z), Categorical(Z)]
    with pytest.raises(ValueError, match="weights must be non-negative and finite, got -1"):
        mix(dists, [1, -1])
    with pytest.raises(ValueError, match="positive entry in every row, got none in row 1"):
        mix(dists, [[1, 0], [0, 0], [1, 1]])


# ---------------------------------------------------------------------------- other libraries

LEFT = np.array([[0.3, 1.0, -inf, 2.0], [1.0, 1.0, 0.0, -1.0]])
RIGHT = np.array([0.5, -0.5, 1.0, -inf])


def both_ways(xp, left, right, w):
    """log p of mixtures and pools, where finite, and a limit beside them."""
    best = Categorical(right, 0)
    found = [
        mix([Categorical(left), Categorical(right, 0.5), best], w),
        pool([Categorical(left), Categorical(right, 0.5), best], xp.stack([w[0], w[1], 0 * w[2]])),
        pool([Categorical(right), Categorical(right, 3.0)], xp.stack([1 + w[1], -w[1]])),
    ]
    parts = [xp.where(dist.log_probs > -inf, dist.log_probs, 0.0) for dist in found]
    return xp.stack([xp.broadcast_to(part, (2, 4)) for part in parts])


WEIGHT = np.array([0.3, 0.6, 0.1])


def slopes(index, i, h=1e-6):
    """The derivative of Σ sin(1, 2, …)·both_ways in one entry, by central differences."""
    signs = np.sin(1.0 + np.arange(24)).reshape(3, 2, 4)
    values = []
    for step in (h, -h):
        given = [LEFT.copy(), RIGHT.copy(), WEIGHT.copy()]
        given[index].reshape(-1)[i] += step
        values.append((signs * both_ways(np, *given)).sum())
    return (values[0] - values[1]) / (2 * h)


def check_gradients(gradients):
    for index, found in enumerate(gradients):
        for i, slope in enumerate(np.asarray(found).ravel()):
            given = (LEFT, RIGHT, WEIGHT)[index].ravel()[i]
            want = slopes(index, i) if given > -inf else 0
            assert slope == pytest.approx(want, abs=2e-8), (index, i)


@pytest.mark.frameworks
def test_torch():
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(x, requires_grad=True) for x in (LEFT, RIGHT, WEIGHT)]
    found = both_ways(torch, *leaves)
    assert_allclose(found.detach(), both_ways(np, LEFT, RIGHT, WEIGHT), rtol=1e-12, atol=1e-14)
    signs = torch.sin(1.0 + torch.arange(24, dtype=torch.float64)).reshape(3, 2, 4)
    check_gradients(torch.autograd.grad((signs * found).sum(), leaves))
    p, q = Categorical(torch.tensor(LEFT[1])), Categorical(torch.tensor(RIGHT))
    w = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(mix([p, q], w).probs[0], w)
    assert slope.tolist() == [0, 0]
    # NumPy's distributions and weights stand beside tensors; few survivors stay few.
    beside = mix([Categorical(LEFT), q], WEIGHT[:2])
    assert isinstance(beside.probs, torch.Tensor)
    few = mix([TopK(5)(Categorical(torch.tensor(LONG))), TopK(9)(Categorical(LONG))], [1, 1])
    assert state_of(few).kept is None or state_of(few).kept.indices.size == 27
    sparse = pool([TopK(5)(Categorical(torch.tensor(LONG)))] * 2, [1, 0.5])
    assert state_of(sparse).kept.indices.size == 15


@pytest.mark.frameworks
def test_jax():
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    p, q = (Categorical(x) for x in (LEFT[1], RIGHT))
    with jax.enable_x64(True):
        jnp = jax.numpy
        left, right = jnp.asarray(LEFT[1]), jnp.asarray(RIGHT)

        def chosen(w, z):
            both = [Categorical(z), Categorical(left)]
            return pool(both, w).log_probs[1] + mix(both, w).probs[1]

        by_weight, by_logit = jax.grad(chosen, (0, 1))(jnp.asarray([2.0, 0.0]), right)
        same = pool([q, p], [2, 0])
        fall = same.expectation(np.append(RIGHT[:3], 0)), same.expectation(LEFT[1])
        want = [RIGHT[1] - fall[0], LEFT[1, 1] - fall[1]]
        assert_allclose(by_weight, want, rtol=1e-12)
        e = np.eye(4)[1]
        want = 2 * (e - same.probs) + q.probs[1] * (e - q.probs)
        assert_allclose(by_logit, want, atol=1e-14)
        with pytest.raises(TypeError, match="dists must hold arrays of one library"):
            mix([Categorical(right), Categorical(torch.tensor(RIGHT))], [1, 1])


def test_array_api_strict():
    strict = pytest.importorskip("array_api_strict")
    z, w = strict.asarray(Z), strict.asarray([0.2, 0.8])
    for function in (mix, pool):
        found = function([Categorical(z), Categorical(Z[0])], w)
        want = function([Categorical(Z), Categorical(Z[0])], [0.2, 0.8])
        assert type(found.probs) is type(z)
        assert_allclose(np.from_dlpack(found.probs), want.probs, rtol=1e-13)
