"""Temperatures that are found: for an entropy, for labels, by feedback."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, special, stats

from softargmax import Categorical
from softargmax.gumbel import gumbel_noise
from softargmax.temperatures import (
    EntropyController,
    fit_temperature,
    temperature_for_entropy,
    temperature_for_ess,
    temperature_for_max_prob,
    temperature_for_perplexity,
)

inf = math.inf
# The function, what it fixes, and the least and largest value with k ties and n legal categories.
FINDERS = {
    "entropy": (temperature_for_entropy, lambda d: d.entropy(), np.log, np.log),
    "perplexity": (temperature_for_perplexity, lambda d: d.perplexity(), float, float),
    "max_prob": (temperature_for_max_prob, lambda d: d.probs.max(-1), np.reciprocal, np.reciprocal),
    "ess": (temperature_for_ess, lambda d: 1 / (d.probs**2).sum(-1), float, float),
}


def random_rows(rng, n, width):
    """Rows of every kind of shape: normal, heavy-tailed, tied, of any scale and offset."""
    rows = rng.normal(0, 3, (n, width))
    rows[: n // 4] = rng.standard_cauchy((n // 4, width))
    rows[n // 4 : n // 2] = rng.integers(0, 3, (n // 2 - n // 4, width))
    rows[n // 2 : 3 * n // 4] *= 10.0 ** rng.uniform(-8, 8, (3 * n // 4 - n // 2, 1))
    return rows + rng.normal(0, 100, (n, 1))


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize("place", ["middle", "cold", "hot"])
def test_ten_thousand_rows(name, place):
    find, measure, *_ = FINDERS[name]
    rng = np.random.default_rng(11)
    z = random_rows(rng, 10_000, 30)
    k = (z == z.max(-1, keepdims=True)).sum(-1)
    part = rng.random(len(z))
    if place == "cold":
        part = 10.0 ** -(15 * part)
    if place == "hot":
        part = 1 - 10.0 ** -(12 * part)
    spread = np.log(k) + part * (np.log(30) - np.log(k))
    target = {"entropy": spread, "max_prob": np.exp(-spread)}.get(name, np.exp(spread))
    if name != "entropy":  # rounding must not lead outside
        target = np.clip(
            target, 1 / 30 if name == "max_prob" else k, 1 / k if name == "max_prob" else 30
        )
    found = find(z, target)
    assert found.shape == (10_000,)
    assert found.dtype == np.float64
    assert (found >= 0).all()
    got = measure(Categorical(z, found))
    assert_allclose(got, target, rtol=0, atol=1e-10 if name in ("entropy", "max_prob") else 3e-9)
    if name == "entropy":
        assert np.abs(got - target).max() < 1e-13


def test_small_entropies_keep_their_digits():
    z = np.random.default_rng(0).normal(size=(200, 5))
    target = 10.0 ** -np.linspace(1, 300, 200)
    found = temperature_for_entropy(z, target)
    assert_allclose(Categorical(z, found).entropy(), target, rtol=1e-11, atol=0)
    assert 0 < temperature_for_entropy(z[0], 5e-324) < found[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_vocabulary(dtype):
    z = np.random.default_rng(0).normal(0, 3, (2, 128_256)).astype(dtype)
    found = temperature_for_entropy(z, [0.5, 9.0])
    assert_allclose(Categorical(z.astype(float), found).entropy(), [0.5, 9.0], rtol=0, atol=1e-12)
    found = temperature_for_max_prob(z, 0.25, mask=np.arange(128_256) % 3 > 0)
    kept = Categorical(z.astype(float), found, prior=np.arange(128_256) % 3 > 0)
    assert_allclose(kept.probs.max(-1), 0.25, rtol=1e-12)


@pytest.mark.parametrize("name", FINDERS)
def test_limits_are_exact(name):
    find, _, least, largest = FINDERS[name]
    z = [[0.0, 1.0, 3.0, -inf], [0.0, 3.0, 3.0, 1.0]]
    assert_array_equal(find(z, [least(1.0), least(2.0)]), [0, 0])
    assert_array_equal(find(z, [largest(3.0), largest(4.0)]), [inf, inf])
    assert_array_equal(find(z, [largest(2.0), largest(3.0)], mask=[1, 1, 0, 1])[1], inf)
    assert find([5.0], least(1.0)) == inf  # every temperature gives it
    assert find([2.0, 2.0], largest(2.0)) == inf


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize(("ties", "legal", "row"), [(1.0, 3.0, 0), (2.0, 4.0, 1)])
@pytest.mark.parametrize("side", ["below", "above"])
def test_infeasible_targets_are_refused_with_the_range(name, ties, legal, row, side):
    find, _, least, largest = FINDERS[name]
    z = [[0.0, 1.0, 3.0, -inf], [0.0, 3.0, 3.0, 1.0]]
    ends = sorted([least(ties), largest(legal)])
    target = [0.5 * (least(2.5) + largest(2.6))] * 2  # what both can have
    target[row] = ends[0] - 1e-6 if side == "below" else ends[1] + 1e-6
    message = rf"{name} must be in \[{ends[0]:.12g}, {ends[1]:.12g}\].* got .* in row {row}"
    with pytest.raises(ValueError, match=message):
        find(z, target)


def test_a_target_below_the_ties_is_refused():
    with pytest.raises(ValueError, match=r"in \[0.69314718056, 1.09861228867\].* got 0.5"):
        temperature_for_entropy([1.0, 5.0, 5.0], 0.5)
    for bad in (math.nan, -1.0, inf):
        with pytest.raises(ValueError, match="entropy must be in"):
            temperature_for_entropy([1.0, 5.0], bad)


def test_two_levels_in_closed_form():
    # Of two categories p = 1 / (1 + exp(-gap / T)).
    p = np.array([0.5000001, 0.6, 0.9, 0.999, 1 - 1e-12])
    exact = 2.0 / (np.log(p) - np.log1p(-p))
    assert_allclose(temperature_for_max_prob([7.0, 9.0], p), exact, rtol=1e-9)
    h = special.entr(p) + special.entr(1 - p)
    assert_allclose(temperature_for_entropy([7.0, 9.0], h)[1:4], exact[1:4], rtol=1e-13)
    assert_allclose(temperature_for_ess([7.0, 9.0], 1 / (p**2 + (1 - p) ** 2))[1:4], exact[1:4])


def test_masks_and_minus_infinity_are_left_out():
    z = np.array([[9.0, 0.0, 1.0, 3.0], [0.0, 1.0, 3.0, 99.0]])
    mask = np.array([[0, 1, 1, 1], [1, 1, 1, 0]], np.int8)
    plain = temperature_for_entropy([0.0, 1.0, 3.0], 0.7)
    assert_array_equal(temperature_for_entropy(z, 0.7, mask=mask), [plain, plain])
    assert_array_equal(temperature_for_entropy(z, 0.7, mask=mask.astype(bool)), [plain, plain])
    z[mask == 0] = -inf
    assert_array_equal(temperature_for_entropy(z, 0.7), [plain, plain])
    assert mask.dtype == np.int8


def test_shapes():
    z = np.random.default_rng(0).normal(size=(4, 1, 3))
    assert temperature_for_entropy(z, 0.5).shape == (4, 1)
    assert temperature_for_entropy(z, np.full((4, 5), 0.5)).shape == (4, 5)
    assert temperature_for_entropy(z[0, 0], np.full((4, 5), 0.5)).shape == (4, 5)
    assert temperature_for_entropy(z[0, 0], 0.5, mask=np.ones((7, 3), bool)).shape == (7,)
    assert np.ndim(temperature_for_entropy(z[0, 0], 0.5)) == 0
    assert temperature_for_entropy(np.zeros((0, 3)), 0.5).shape == (0,)
    ladder = temperature_for_entropy(z[0, 0], [0.1, 0.5, 1.0])
    assert_allclose(Categorical(z[0, 0], ladder).entropy(), [0.1, 0.5, 1.0])
    whole = temperature_for_entropy(z[:, 0], 0.5)
    assert_array_equal([temperature_for_entropy(row, 0.5) for row in z[:, 0]], whole)


@given(
    hnp.arrays(np.int64, (3, 4), elements=st.integers(-400, 400)),
    st.just(0.0) | st.floats(1e-290, 1.0),  # an entropy below the normal numbers has few digits
    st.integers(-20, 20),
)
def test_shift_scale_and_order_of_categories(z, part, shift):
    z = z / 8
    k = (z == z.max(-1, keepdims=True)).sum(-1)
    target = np.log(k) + part * (np.log(4) - np.log(k))
    found = temperature_for_entropy(z, target)
    assert_allclose(Categorical(z, found).entropy(), target, rtol=0, atol=1e-10)
    assert_allclose(temperature_for_entropy(4 * z, target), 4 * found, rtol=1e-9)
    moved = temperature_for_entropy(z[:, ::-1] + shift, target)
    assert_allclose(Categorical(z, moved).entropy(), target, rtol=0, atol=1e-10)


def test_extreme_scales():
    for z in (
        [1.7e308, -1.7e308, 0.0],
        [1e-300, 0, -2e-300],
        [1e308, 9e307, -inf],
        [0, -1e-9, -1e9],
    ):
        for h in (1e-3, 0.3, 0.6):
            found = temperature_for_entropy(z, h)
            assert Categorical(z, found).entropy() == pytest.approx(h, rel=1e-12, abs=0)


def test_scores_of_very_different_sizes():
    low = np.finfo(np.float64).min
    for z, h in (
        ([0, 1, 3, low], 0.5),
        ([0, 1, 3, -1e155], 0.5),
        ([0, -1e-160, -1], 0.3),
        ([0, -1e-160, -1], 0.9),
        ([0, -1e-30, -1e300], 0.3),
        ([0, -1e-30, -1e300], 1.0),
        ([-low, 0, low], 0.5),
        ([0, -1e-100, -1e100, -1e300], 0.1),
    ):
        found = temperature_for_entropy(z, h)
        assert Categorical(z, found).entropy() == pytest.approx(h, rel=1e-12, abs=0), z
        for find, measure, *_ in FINDERS.values():
            target = measure(Categorical(np.array(z, float), found))
            again = find(z, target)
            assert Categorical(z, again).entropy() == pytest.approx(h, rel=1e-6), (z, find)
    same = temperature_for_entropy([0, 1, 3], 0.5)
    assert temperature_for_entropy([0, 1, 3, low], 0.5) == pytest.approx(same, rel=1e-14)


def test_limits_survive_rounding():
    for n in range(2, 400):
        z = np.arange(n) / n
        assert temperature_for_max_prob(z, 1 / n) == inf
        assert temperature_for_max_prob(np.r_[np.zeros(n), -1], 1 / n) == 0
        assert temperature_for_entropy(z.astype(np.float32), np.float32(np.log(n))) == inf
        assert temperature_for_ess(np.r_[np.zeros(n), -1], float(n)) == 0
    z = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    hot = Categorical(z, 1e3)
    for find, measure, *_ in FINDERS.values():  # its own float32 values are not refused
        assert (find(z, measure(hot)) > 100).all()


def test_the_callers_arrays_stay():
    z = np.array([[1.0, -inf, 3.0], [4.0, 5.0, 5.0]])
    h, mask = np.array([0.3, 0.9]), np.array([1, 1, 1])
    before = [x.copy() for x in (z, h, mask)]
    for x in (z, h, mask):
        x.flags.writeable = False
    temperature_for_entropy(z, h, mask=mask)
    for x, old in zip((z, h, mask), before, strict=True):
        assert_array_equal(x, old)


@pytest.mark.parametrize(
    ("arguments", "mask", "error", "message"),
    [
        (([[1.0, math.nan]], 0.5), None, ValueError, "logits must be finite or -inf, got nan"),
        (([[1.0, 2.0]] * 2, 0.5), [[1, 1], [0, 0]], ValueError, "none in row 1.*is masked"),
        (([1.0, 2.0], 0.5), [1, 1, 1], ValueError, "mask must have 2 categories"),
        (([1.0, 2.0], 0.5), [0.5, 1], ValueError, "mask must be booleans or numbers 0 and 1"),
        (([1.0, 2.0], 0.5), [2, 1], ValueError, "mask must be booleans .* got 2"),
        (([1.0, 2.0], "a"), None, TypeError, "entropy must be real numbers"),
        ((["a", "b"], 0.5), None, TypeError, "logits must be real numbers"),
        ((1.0, 0.5), None, ValueError, "logits must have a last axis"),
        (([[1.0, 2.0]] * 2, [0.5] * 3), None, ValueError, "entropy must fit the batch axes"),
        (([[1.0, 2.0]] * 2, [[0.5]] * 2), None, ValueError, r"pass logits\[None\]"),
    ],
)
def test_bad_input(arguments, mask, error, message):
    with pytest.raises(error, match=message):
        temperature_for_entropy(*arguments, mask=mask)


# ---------------------------------------------------------------------------- labels


def labelled(seed, n=2000, width=5, temperature=2.5):
    z = 3 * gumbel_noise((n, width), rng=seed)
    return z, Categorical(z, temperature).sample(rng=seed + 10_000)


def test_gaps_of_every_magnitude_have_their_temperature():
    """Two labels of three are right: log 2 = gap / T."""
    for gap in (1e-310, 1e-307, 1e-200, 1.0, 1e200, 5e307):
        fit = fit_temperature(np.array([[0, gap], [0, gap], [gap, 0]]), [1, 1, 1])
        assert fit.temperature == pytest.approx(gap / math.log(2), rel=1e-12)
        assert fit.log_loss_after == pytest.approx(math.log(3) - 2 / 3 * math.log(2), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 2.5, 30.0])
def test_a_known_temperature_is_recovered(temperature):
    z, y = labelled(1, 20_000, 5, temperature)
    fit = fit_temperature(z, y)
    assert abs(fit.temperature - temperature) < 5 * fit.standard_error < 0.5 * temperature
    assert fit.log_loss_after <= fit.log_loss_before
    assert fit.log_loss_before == pytest.approx(-Categorical(z).log_prob(y).mean(), rel=1e-14)


def test_the_standard_error_covers_what_it_says():
    hits = 0
    for seed in range(500):
        fit = fit_temperature(*labelled(seed, 400, 5, 2.5))
        hits += abs(fit.temperature - 2.5) < fit.standard_error
    p = stats.norm.cdf(1) - stats.norm.cdf(-1)
    # Fails by chance once in 10⁶, and finds a coverage that is off by 0.15.
    assert stats.binom.cdf(hits, 500, p) > 5e-7
    assert stats.binom.sf(hits - 1, 500, p) > 5e-7


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_scipy_finds_the_same(scale):
    z, y = labelled(3, 500)
    w = np.random.default_rng(0).random(500)
    fit = fit_temperature(scale * z, y, weights=w)

    def loss(log_beta):
        log_p = special.log_softmax(math.exp(log_beta) * z, axis=-1)
        return -(w @ log_p[np.arange(500), y]) / w.sum()

    best = optimize.minimize_scalar(loss, bracket=(-3, 1), options={"xtol": 1e-9})
    assert fit.log_loss_after == pytest.approx(best.fun, rel=0, abs=1e-12)
    assert fit.temperature / scale == pytest.approx(math.exp(-best.x), rel=1e-6)
    beta = 1 / (fit.temperature / scale)
    information = w @ Categorical(z, coldness=beta).variance(z)
    assert fit.standard_error / scale == pytest.approx(1 / beta**2 / math.sqrt(information))


def test_weights_count_rows():
    z, y = labelled(4, 300)
    w = np.arange(300) % 3
    assert_allclose(
        fit_temperature(z, y, weights=w), fit_temperature(z.repeat(w, 0), y.repeat(w)), rtol=1e-12
    )
    assert_allclose(
        fit_temperature(z, y, weights=w)[2:], fit_temperature(z, y, weights=9.0 * w)[2:]
    )
    # rows of weight 0 may be anything possible, also a label outside the support
    z[0, y[0]] = -inf
    assert fit_temperature(z, y, weights=w).temperature > 0


def test_batches_are_pooled_and_dtypes_taken():
    z, y = labelled(5, 60)
    whole = fit_temperature(z, y)
    assert fit_temperature(z.reshape(3, 20, 5), y.reshape(3, 20)) == whole
    assert all(type(x) is float for x in whole)
    assert pickle.loads(pickle.dumps(whole)) == whole
    single = fit_temperature(z.astype(np.float32), y.astype(np.uint8))
    assert single.temperature == pytest.approx(whole.temperature, rel=1e-5)
    shifted = fit_temperature(z + np.arange(60)[:, None], y)
    assert_allclose(shifted, whole, rtol=1e-9)


def test_awkward_logits_and_weights():
    low = np.finfo(np.float64).min
    z = np.array([[0, 1.0, -inf], [2.0, 0, 1], [2.0, 0, 1]])
    plain = fit_temperature(z, [0, 0, 0])
    for far in (-1e10, -1e200, -1e305, low):
        found = fit_temperature(np.where(z == -inf, far, z), [0, 0, 0])
        assert_allclose(found, plain, rtol=1e-9)
    assert fit_temperature([[0, 1e-30], [1e300, 0]], [0, 0]).temperature > 0
    for w in (1e308, 5e-324):
        found = fit_temperature(z, [0, 0, 0], weights=[w] * 3)
        assert_allclose(found[2:], plain[2:], rtol=1e-12)
        assert found.temperature == pytest.approx(plain.temperature, rel=1e-9)
    # the best β is 0, but for rounding
    assert fit_temperature([[0, 0.1, 0.3]] * 3, [0, 1, 2]).temperature == inf
    rng = np.random.default_rng(0)
    for _ in range(50):
        row = rng.normal(size=7)
        assert fit_temperature([row] * 7, range(7)).temperature == inf


def test_separable_and_worse_than_nothing():
    z = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 4.0, 4.0]])
    fit = fit_temperature(z, [1, 0, 2])
    assert (fit.temperature, fit.log_loss_after) == (0, pytest.approx(math.log(2) / 3))
    assert math.isnan(fit.standard_error)
    fit = fit_temperature(z, [2, 1, 0])
    assert (fit.temperature, fit.log_loss_after) == (inf, pytest.approx(math.log(3)))
    assert math.isnan(fit.standard_error)
    assert fit_temperature(np.zeros((4, 3)), [0, 1, 2, 0]).temperature == inf
    # nearly separable: one row of a million speaks against it
    many = fit_temperature(z[[0, 0]], [1, 2], weights=[1e6, 1])
    assert 0 < many.temperature < 0.2
    assert fit_temperature([[0.0, -inf], [0.0, 1.0]], [0, 1]).temperature == 0


@pytest.mark.parametrize(
    ("arguments", "weights", "error", "message"),
    [
        (([[1.0, 2.0]], [2]), None, ValueError, "labels must be in 0 … 1, got 2"),
        (([[1.0, 2.0]], [0.5]), None, TypeError, "labels must be integers"),
        (([[1.0, 2.0]], [0, 1]), None, ValueError, r"labels must have shape \(1,\)"),
        (([[1.0, 2.0]], 0), None, ValueError, r"labels must have shape \(1,\)"),
        (([[1.0, 2.0], [1.0, -inf]], [0, 1]), None, ValueError, "labels must have .* in row 1"),
        (([[1.0, math.nan]], [0]), None, ValueError, "logits must be finite or -inf, got nan"),
        (([[-inf, -inf]], [0]), None, ValueError, "logits must leave at least one category"),
        ((np.zeros((0, 3)), np.zeros(0, int)), None, ValueError, "one or more rows"),
        ((3.0, 0), None, ValueError, "last axis"),
        (([[1.0, 2.0]], [0]), [-1], ValueError, r"weights must be in \[0, inf\), got -1"),
        (([[1.0, 2.0]], [0]), [0], ValueError, "weights must have a positive entry"),
        (([[1.0, 2.0]], [0]), [1, 2], ValueError, r"weights must have shape \(1,\)"),
    ],
)
def test_bad_labels(arguments, weights, error, message):
    with pytest.raises(error, match=message):
        fit_temperature(*arguments, weights=weights)


# ---------------------------------------------------------------------------- feedback


def test_the_controller_in_closed_form():
    controller = EntropyController(target=0.9, rate=0.1)
    assert controller.init() == 0.0
    temperature, state = controller.step(0.2, 0.5, num_legal=6)
    assert state == pytest.approx(0.5 + 0.1 * (0.9 * math.log(6) - 0.2), rel=1e-15)
    assert temperature == pytest.approx(math.exp(state), rel=1e-15)
    rows, states = controller.step(np.array([0.2, 0.0]), controller.init(), num_legal=[6, 1])
    assert_allclose(states, [0.1 * (0.9 * math.log(6) - 0.2), 0.0])
    assert_allclose(rows, np.exp(states))
    assert eval(repr(controller)) == pickle.loads(pickle.dumps(controller)) == controller


def test_the_controller_reaches_its_target_and_goes_on_after_a_pickle():
    z = np.array([0.0, 1.0, 3.0, -2.0])
    controller = EntropyController(target=0.4, rate=0.3)

    def run(state, steps):
        temperature = math.exp(state)
        for _ in range(steps):
            entropy = Categorical(z, temperature).entropy()
            temperature, state = controller.step(entropy, state, num_legal=4)
        return temperature, state

    temperature, state = run(controller.init(), 300)
    assert Categorical(z, temperature).entropy() == pytest.approx(0.4 * math.log(4), abs=1e-9)
    assert run(pickle.loads(pickle.dumps(run(controller.init(), 120)[1])), 180)[1] == state


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EntropyController(1.5, 0.1), r"target must be in \[0, 1\], got 1.5"),
        (lambda: EntropyController(0.5, 0), r"rate must be in \(0, inf\), got 0"),
        (lambda: EntropyController(0.5, 1).step(inf, 0.0, num_legal=2), "entropy must be in"),
        (lambda: EntropyController(0.5, 1).step([1, 2], [0, 0, 0], num_legal=2), "that broadcast"),
        (lambda: EntropyController(0.5, 1).step(1, math.nan, num_legal=2), "state must be in"),
        (lambda: EntropyController(0.5, 1).step(1, 0.0, num_legal=0), r"num_legal must be in \[1"),
    ],
)
def test_bad_controllers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------------- other namespaces


@pytest.mark.frameworks
def test_torch_tensors_are_answered_in_kind():
    torch = pytest.importorskip("torch")
    z = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.0, 1.0]], requires_grad=True)
    mask = torch.tensor([True, True, True])
    found = temperature_for_entropy(z, torch.tensor([0.5, 0.9]), mask=mask)
    assert found.dtype == torch.float64
    assert not found.requires_grad
    assert_allclose(found, temperature_for_entropy(z.detach().numpy(), np.float32([0.5, 0.9])))
    assert isinstance(temperature_for_ess([0.0, 1.0, 3.0], torch.tensor(2.0)), torch.Tensor)
    with pytest.raises(ValueError, match=r"got 1\.2.* in row 0"):
        temperature_for_entropy(z, torch.tensor([1.2, 0.9]))
    assert fit_temperature(z, torch.tensor([2, 0])) == fit_temperature(z.detach().numpy(), [2, 0])
    leaf = torch.tensor(0.3, requires_grad=True)
    temperature, state = EntropyController(0.5, 0.1).step(leaf * 1, 0.0, num_legal=4)
    assert isinstance(temperature, torch.Tensor)
    assert not temperature.requires_grad
    assert not state.requires_grad
    assert temperature_for_entropy(torch.tensor([0.0, 1, 3]), torch.log(torch.tensor(3.0))) == inf
    mapped = torch.func.vmap(lambda row: temperature_for_entropy(row, 0.5))(z.detach())
    assert torch.equal(mapped, temperature_for_entropy(z.detach(), 0.5))
    assert float(state) == pytest.approx(0.1 * (0.5 * math.log(4) - 0.3), rel=1e-6)


@pytest.mark.frameworks
def test_jax_arrays_are_answered_in_kind_and_under_jit():
    jax = pytest.importorskip("jax")
    z = jax.numpy.asarray([[0.0, 1.0, 3.0], [0.0, 0.0, 1.0]])
    target = jax.numpy.asarray([0.5, 0.9])
    exact = temperature_for_entropy(np.asarray(z), np.asarray(target))
    for found in (temperature_for_entropy(z, target), jax.jit(temperature_for_entropy)(z, target)):
        assert isinstance(found, jax.Array)
        assert_allclose(found, exact, rtol=1e-6)
    masked = jax.jit(lambda m: temperature_for_entropy(z, target, mask=m))(z < 4)
    assert_allclose(masked, exact, rtol=1e-6)
    assert_allclose(jax.vmap(temperature_for_entropy)(z, target), exact, rtol=1e-6)
    # What is an error where values can be seen is NaN under jit.
    lost = jax.jit(temperature_for_entropy)(z, jax.numpy.asarray([1.2, 0.9]))
    assert_array_equal(np.isnan(lost), [True, False])
    with pytest.raises(ValueError, match="entropy must be in"):
        temperature_for_entropy(z, 1.2)
    assert np.isnan(jax.jit(temperature_for_entropy)(jax.numpy.asarray([0, np.nan, 1]), 0.5))
    assert temperature_for_entropy(z[0], jax.numpy.log(3.0)) == inf

    def held(row):
        return Categorical(row, temperature_for_entropy(row, 0.5)).log_prob(0)

    assert np.isfinite(jax.grad(held)(z[0])).all()
    assert np.isfinite(jax.jit(jax.grad(held))(z[0])).all()
    with pytest.raises(TypeError, match="must be known, got a traced array"):
        jax.jit(lambda row: fit_temperature(row, np.array([0, 1])).temperature)(z)
    step = jax.jit(lambda h, s: EntropyController(0.5, 0.1).step(h, s, num_legal=4))
    assert_allclose(
        step(0.3, 0.0), EntropyController(0.5, 0.1).step(0.3, 0.0, num_legal=4), rtol=1e-6
    )


@pytest.mark.parametrize("name", FINDERS)
def test_gaps_so_small_that_a_coldness_overflows(name):
    find, value, *_ = FINDERS[name]
    row = np.array([0.0, 3.0, 7.0])
    t = 2.0
    goal = value(Categorical(row, t))
    for unit in (2.0**-1025, 2.0**-1040, 2.0**-930):
        found = find(row * unit, goal)
        assert found == pytest.approx(t * unit, rel=1e-8)
        # a category that is far away, or a tie, does not hide the small gaps
        far = find([*(row * unit), -1e200], goal)
        assert far == pytest.approx(t * unit, rel=1e-8)
    assert_allclose(find([row, row * 2.0**-1030], goal), [t, t * 2.0**-1030], rtol=1e-8)
