"""Draws: their laws, their support, their reproducibility."""

from itertools import permutations, product

import numpy as np
import pytest

from softargmax import Categorical
from softargmax.categorical import state_of
from statistical import check_counts, check_draws

INF = np.inf
METHODS = ["auto", "inverse", "gumbel", "alias"]
Z = np.array([[1.0, 5, 5, 2, -INF], [-INF, 0, 1, 2, 1.5], [3, 3, 3, 3, 3]])
# Each check fails by chance once in 10⁶ and finds an error of a probability of 0.01.
N = 200_000


# ---------------------------------------------------------------------------- laws


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_draws_follow_the_probabilities(method, dtype):
    dist = Categorical(Z.astype(dtype), [0.0, 1.0, 2.0], prior=[1, 2, 1, 1, 3])
    check_draws(dist.sample(N, rng=1, method=method), dist.probs, detects=0.01)
    one = dist[1]
    check_draws(one.sample(N, rng=2, method=method), one.probs, detects=0.01)


@pytest.mark.parametrize("num_categories", [1, 2, 300])
@pytest.mark.parametrize("method", METHODS)
def test_draws_of_skewed_weights(method, num_categories):
    weights = np.random.default_rng(0).random(num_categories) ** 8
    weights[num_categories // 2 + 1 :: 3] = 0
    dist = Categorical.from_weights(weights)
    check_draws(dist.sample(N, rng=3, method=method), dist.probs, detects=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_consecutive_draws_and_neighbouring_rows_are_independent(method):
    dist = Categorical(Z[1:, 1:])
    x = dist.sample(N, rng=4, method=method)
    p, q = dist.probs
    neighbours = np.bincount(x[:, 0] * 4 + x[:, 1], minlength=16)
    check_counts(neighbours, np.outer(p, q).ravel(), detects=0.01)
    consecutive = np.bincount(x[::2, 0] * 4 + x[1::2, 0], minlength=16)
    check_counts(consecutive, np.outer(p, p).ravel(), detects=0.02)


def test_rows_drawn_once_each():
    """The path of one draw a row: every row with its own uniform."""
    z = np.tile(Z, (50_000, 1))
    x = Categorical(z).sample(rng=5)
    dist = Categorical(Z)
    check_draws(x.reshape(-1, 3), dist.probs, detects=0.02)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_few_draws_of_many_categories(workers):
    """The path through sums of blocks: a batch with a ladder, a prior and a mask."""
    z = np.random.default_rng(0).standard_normal((3, 1500)).astype(np.float32)
    z[1, ::3] = -INF
    prior = np.where(np.arange(1500) % 7 == 2, 0, 2.0)
    dist = Categorical(z, [0.0, 0.05, 3.0], prior=prior)
    rng = np.random.default_rng(7)
    x = np.concatenate([dist.sample(16, rng=rng, workers=workers) for _ in range(3000)])
    assert (dist.prob(x) > 0).all()
    check_draws(x, dist.probs, detects=0.02)
    alone = Categorical(z[2], 3.0)
    x = np.array([alone.sample(rng=rng) for _ in range(20_000)])
    check_draws(x, alone.probs, detects=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_draw_of_every_row_at_every_temperature(dtype):
    """The path by columns, with blocks that it has to leave to the general formula."""
    coldness = np.array([0.0, -0.0, 0.7, -1.5, 1e300, -INF, INF, 5e-324])
    z = np.array([0.5, -INF, 2.0, 2.0, -1.0], dtype)
    many = 5_000
    plain = Categorical(np.tile(z, (many, 1)), 0.7)
    check_draws(
        np.concatenate([plain.sample(rng=r) for r in range(20)]), plain[0].probs, detects=0.02
    )
    masked = Categorical(np.tile(z, (many * 20, 1)), 0.7, prior=[0, 1, 2.5, 0, 1])
    check_draws(masked.sample(rng=3), masked[0].probs, detects=0.02)
    huge = np.finfo(dtype).max
    for rows, cold in ((z, coldness), (np.array([huge, -huge, 0], dtype), coldness)):
        dist = Categorical(np.tile(rows, (len(cold) * many, 1)), coldness=np.tile(cold, many))
        x = dist.sample(rng=1).reshape(many, len(cold))
        check_draws(x, dist[: len(cold)].probs, detects=0.07)
        np.testing.assert_array_equal(dist.sample(rng=1, workers=2), x.ravel())


def test_counts_follow_the_multinomial_law():
    dist = Categorical(Z, [1.0, 1.0, 0.5])
    counts = sum(dist.sample_counts(100, rng=r) for r in range(2000))
    for row, p in zip(counts, dist.probs, strict=True):
        check_counts(row, p, detects=0.01)
    several = dist.sample_counts(100, (20, 100), rng=1)
    assert several.shape == (20, 100, 3, 5)
    assert (several.sum(-1) == 100).all()
    for row, p in zip(several.sum((0, 1)), dist.probs, strict=True):
        check_counts(row, p, detects=0.01)
    assert dist.sample_counts(100, 0).shape == (0, 3, 5)
    # One after another: the first is that of a call for one (n is too small for pieces).
    np.testing.assert_array_equal(several[0, 0], dist.sample_counts(100, rng=1))
    by_row = dist.sample_counts(100, (2, 3), rng=[5, 6, 7])
    np.testing.assert_array_equal(by_row[:, :, 1], dist[1].sample_counts(100, (2, 3), rng=6))
    assert dist.sample_counts(0, rng=1).tolist() == np.zeros((3, 5)).tolist()
    huge = dist.sample_counts(2**62, rng=1)
    assert (huge.sum(-1) == 2**62).all()
    assert not huge[dist.probs == 0].any()
    with_rare = Categorical([0.0, -40.0, -INF]).sample_counts(2**62, rng=1)
    assert 0 < with_rare[1] < 100


def test_draws_without_replacement_follow_plackett_and_luce():
    dist = Categorical([0.0, 1.0, 0.5, -0.5], 0.8, prior=[1, 0.5, 2, 1])
    for k in (1, 2, 4):
        orders = list(permutations(range(4), k))
        p = np.exp(dist.log_prob_ordered(orders))
        assert p.sum() == pytest.approx(1)
        x = dist.sample_without_replacement(k, N, rng=6)
        codes = {order: i for i, order in enumerate(orders)}
        counts = np.bincount([codes[tuple(row)] for row in x.tolist()], minlength=len(orders))
        check_counts(counts, p, detects=0.01)


@pytest.mark.parametrize("heavy", [[0.5, 0.3], [0.02, 0.01], [1 - 1e-6, 5e-7]])
def test_draws_without_replacement_of_many_categories(heavy):
    """The path that leaves out repeats: two heavy categories, and 1,498 light ones as a third."""
    light = (1 - sum(heavy)) / 1498
    weights = np.array([*heavy, *[light] * 1498])
    dist, n = Categorical.from_weights(weights), 8_000
    x = dist.sample_without_replacement(3, n, rng=11)
    assert all(len(set(row)) == 3 for row in x.tolist())
    expected = {}
    for order in product(range(3), repeat=3):
        p, left = 1.0, [*heavy, 1498 * light]
        for group in order:
            p *= max(left[group], 0) / sum(left)
            left[group] -= light if group == 2 else left[group]
        expected[order] = p
    groups = np.minimum(x, 2) @ [9, 3, 1]
    probs = np.array(list(expected.values()))
    probs[probs < 1e-12] = 0
    check_counts(np.bincount(groups, minlength=27), probs / probs.sum(), detects=0.05)


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-300, 1e-18])
@pytest.mark.parametrize("sign", [1, -1])
def test_cold_draws_without_replacement_keep_the_order_of_the_logits(temperature, sign):
    coldness = sign / temperature if temperature > 1e-308 else sign * INF
    z = sign * np.array([0.3, 7.0, 1e-17, 2.0, 1e10])
    dist = Categorical(z, coldness=coldness)
    order = dist.sample_without_replacement(5, 100, rng=0)
    assert (order == [4, 1, 3, 0, 2]).all()
    assert dist.log_prob_ordered([4, 1, 3, 0, 2]) == 0
    assert dist.log_prob_ordered([4, 1, 0, 3, 2]) < -1e17
    # Ties are shared in proportion to the prior.
    tied = Categorical(sign * np.array([1.0, 2, 2, 0]), coldness=coldness, prior=[1, 3, 1, 1])
    orders = tied.sample_without_replacement(4, N, rng=1)
    assert (orders[:, 2:] == [0, 3]).all()
    check_counts(np.bincount(orders[:, 0], minlength=4), [0, 0.75, 0.25, 0], detects=0.01)
    assert np.exp(tied.log_prob_ordered([1, 2, 0, 3])) == pytest.approx(0.75)


def test_draws_without_replacement_never_repeat_and_stay_in_the_support():
    z = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    z[0, ::2] = -INF
    x = Categorical(z, 1e-3).sample_without_replacement(500, (3,), rng=1)
    assert x.shape == (3, 2, 500)
    assert all(len(set(row)) == 500 for row in x.reshape(6, 500).tolist())
    assert (x[:, 0] % 2 == 1).all()


# ---------------------------------------------------------------------------- the support


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alone", [0, 7, 2**17])
def test_a_single_category_among_zeros(method, alone):
    z = np.full(2**17 + 1, -INF, np.float32)
    z[alone] = -3
    dist = Categorical(z)
    assert (dist.sample(5, rng=0, method=method) == alone).all()
    assert dist.sample_counts(10, rng=0)[alone] == 10
    assert dist.sample_without_replacement(1, rng=0).tolist() == [alone]


def test_more_categories_than_float32_can_count():
    num_categories = 2**24 + 3
    z = np.zeros(num_categories, np.float32)
    z[-1] = -INF
    dist = Categorical(z)
    assert dist.quantile(np.nextafter(1, 0)) == dist.quantile(1.0) == num_categories - 2
    assert dist.quantile(0.0) == 0
    x = dist.sample(10_000, rng=0)
    assert x.max() > 2**24 - 2**14
    counts = np.bincount(x // (num_categories // 16 + 1), minlength=16)
    check_counts(counts, np.full(16, 1 / 16), detects=0.03)
    # Odd categories above 2²⁴ / 2 vanish where indices or sums are float32.
    assert 4_500 < (x % 2).sum() < 5_500


def test_probabilities_that_underflow_in_float32_are_not_drawn():
    dist = Categorical(np.array([0, -104.0, -50.0], np.float32))
    assert dist.probs[1] == 0
    for method in METHODS:
        assert (dist.sample(10_000, rng=0, method=method) == 0).all()
    assert dist.sample_counts(2**62, rng=0)[1] == 0


# ---------------------------------------------------------------------------- randomness


def sources(seed):
    return {
        "int": lambda: seed,
        "numpy int": lambda: np.int64(seed),
        "SeedSequence": lambda: np.random.SeedSequence(seed),
        "BitGenerator": lambda: np.random.PCG64(seed),
        "Generator": lambda: np.random.default_rng(seed),
    }


@pytest.mark.parametrize("name", sources(0))
def test_every_kind_of_rng_gives_the_same_draws(name):
    dist = Categorical(Z)
    expected = dist.sample(5, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(dist.sample(5, rng=sources(7)[name]()), expected)
    generator = np.random.default_rng(7)
    dist.sample(5, rng=generator)
    assert (dist.sample(5, rng=generator) != expected).any()  # a Generator moves on


def test_none_takes_fresh_entropy_and_global_state_is_left_alone():
    dist = Categorical(np.zeros(1000))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert (dist.sample(20) != dist.sample(20)).any()
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize("method", METHODS)
def test_draws_depend_on_rng_shape_and_method_alone(method):
    fresh, used = Categorical(Z), Categorical(Z)
    used.sample(10_000, rng=0), used.entropy(), used.log_probs, used.cdf(0)
    expected = fresh.sample((4, 5), rng=3, method=method)
    np.testing.assert_array_equal(used.sample((4, 5), rng=3, method=method), expected)
    big = Categorical(np.random.default_rng(0).standard_normal((7, 50)))
    for n in (1, 6_000):
        one = big.sample(n, rng=1, method=method)
        for workers in (2, 5):
            np.testing.assert_array_equal(big.sample(n, rng=1, method=method, workers=workers), one)


def test_sample_and_log_prob_draws_what_sample_draws():
    dist = Categorical(Z, 0.5)
    for shape in ((), 3, (2, 2), 5000):
        x, log_p = dist.sample_and_log_prob(shape, rng=9)
        np.testing.assert_array_equal(x, dist.sample(shape, rng=9))
        np.testing.assert_array_equal(log_p, dist.log_prob(x))


def test_a_draw_is_the_quantile_of_a_uniform():
    dist = Categorical(Z)
    u = np.random.default_rng(11).random((6, 3))
    np.testing.assert_array_equal(dist.sample(6, rng=11, method="inverse"), dist.quantile(u))


def draw_everything(dist, rngs, method):
    yield dist.sample(rng=rngs(), method=method)
    yield np.moveaxis(dist.sample((2, 3), rng=rngs(), method=method), -1, 0)
    yield np.moveaxis(dist.sample(5_000, rng=rngs(), method=method), -1, 0) if len(Z) else None
    yield dist.sample_counts(1_000, rng=rngs())
    yield np.moveaxis(dist.sample_without_replacement(2, (4,), rng=rngs()), 1, 0)


@pytest.mark.parametrize("method", METHODS)
def test_one_rng_a_row_makes_rows_independent_of_their_batch(method):
    rng = np.random.default_rng(0)
    rows, num_categories = 64, 5
    z = rng.standard_normal((rows, num_categories)).astype(np.float32)
    t = rng.random(rows)
    seeds = list(range(100, 100 + rows))
    whole = list(draw_everything(Categorical(z, t), lambda: seeds, method))
    order = rng.permutation(rows)
    permuted = draw_everything(
        Categorical(z[order], t[order]), lambda: [seeds[i] for i in order], method
    )
    for a, b in zip(whole, permuted, strict=True):
        np.testing.assert_array_equal(a[order], b)
    for size in (1, 2):
        for start in range(0, rows, 16):
            part = slice(start, start + size)
            split = draw_everything(Categorical(z[part], t[part]), lambda p=part: seeds[p], method)
            for a, b in zip(whole, split, strict=True):
                np.testing.assert_array_equal(a[part], b)
    alone = Categorical(z[3], t[3])
    np.testing.assert_array_equal(alone.sample((2, 3), rng=seeds[3], method=method), whole[1][3])


@pytest.mark.parametrize("method", METHODS)
def test_one_rng_a_row_with_a_vocabulary(method):
    rng = np.random.default_rng(1)
    rows, num_categories = 64, 128_256
    z = (3 * rng.standard_normal((rows, num_categories))).astype(np.float32)
    seeds = [np.random.SeedSequence(i) for i in range(rows)]
    chosen = [0, 63, 17, 5] if method == "gumbel" else list(range(rows))
    z, seeds = z[chosen], [seeds[i] for i in chosen]
    whole = Categorical(z, 0.8).sample(rng=seeds, method=method)
    order = rng.permutation(len(z))
    permuted = Categorical(z[order], 0.8).sample(rng=[seeds[i] for i in order], method=method)
    np.testing.assert_array_equal(whole[order], permuted)
    for size, start in product((1, 2), (0, len(z) - 2)):
        part = slice(start, start + size)
        split = Categorical(z[part], 0.8).sample(rng=seeds[part], method=method)
        np.testing.assert_array_equal(whole[part], split)


def test_a_row_of_rngs_may_be_generators_or_an_array():
    dist = Categorical(Z)
    expected = dist.sample(4, rng=[1, 2, 3])
    np.testing.assert_array_equal(dist.sample(4, rng=np.array([1, 2, 3])), expected)
    generators = tuple(np.random.default_rng(i) for i in (1, 2, 3))
    np.testing.assert_array_equal(dist.sample(4, rng=generators), expected)
    np.testing.assert_array_equal(
        dist.sample_and_log_prob(4, rng=[1, 2, 3])[1], dist.log_prob(expected)
    )
    assert Categorical(np.zeros((0, 3))).sample(4, rng=[]).shape == (4, 0)


def test_a_few_draws_of_many_rows():
    """Forgotten sums and kept ones give the same draws, and each row those of its own sums."""
    z = np.random.default_rng(0).normal(size=(400, 100)).astype(np.float32)
    many = Categorical(z, np.linspace(0, 2, 400))
    got = many.sample(3, rng=1)
    u = np.random.default_rng(1).random((3, 400))
    np.testing.assert_array_equal(got, many.quantile(u))
    np.testing.assert_array_equal(got, many.sample(3, rng=1, workers=3))


def test_draws_do_not_depend_on_workers_where_some_rows_are_extreme():
    z = (np.random.default_rng(0).normal(size=(50_000, 8)) * 8).astype(np.float32)
    heat = np.full(len(z), 0.7)
    heat[:: len(z) // 3] = 0
    dist = Categorical(z, heat)
    for seed in range(40):
        alone = dist.sample(rng=seed)
        np.testing.assert_array_equal(alone, dist.sample(rng=seed, workers=2))


def test_columns_never_warn():
    with np.errstate(all="raise"):
        assert Categorical([[0, 1e10], [0, 1]], coldness=1e300).sample(rng=0).tolist() == [1, 1]
        assert Categorical([[0, -1e3], [0, -1e3]]).sample(rng=0).tolist() == [0, 0]
        assert Categorical(np.float32([[0, 1e10]] * 2), coldness=1e37).sample(rng=0).sum() == 2


@pytest.mark.parametrize("shape", [np.int64(3), np.prod((2, 3)), np.array(3), (np.int64(2), 3)])
def test_shapes_of_numpy_integers(shape):
    dist, rng = Categorical(Z[0]), np.random.default_rng(0)
    expected = tuple(int(n) for n in shape) if isinstance(shape, tuple) else (int(shape),)
    assert dist.sample(shape, rng=rng).shape == expected
    assert dist.sample_and_log_prob(shape, rng=rng)[1].shape == expected
    assert dist.sample_without_replacement(2, shape, rng=rng).shape == (*expected, 2)


def test_workers_share_one_draw_of_every_row(monkeypatch):
    dist = Categorical(np.random.default_rng(0).normal(0, 1, (64, 3000)))
    law, seen = state_of(dist).law, []
    draw_few = type(law).draw_few
    monkeypatch.setattr(
        type(law), "draw_few", lambda *given: seen.append(given[2]) or draw_few(*given)
    )
    np.testing.assert_array_equal(dist.sample(rng=1, workers=2), dist.sample(rng=1))
    assert seen == [2, 1]
