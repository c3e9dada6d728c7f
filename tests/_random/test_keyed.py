"""Noise by number: keyed draws, words, and reservoirs of categories that come in pieces."""

import copy
import itertools
import math
import pickle

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import stats

from softargmax import Categorical
from softargmax._random.keyed import Words, word_gumbels, words_up_to
from softargmax._random.tags import Tag
from softargmax.draws import Keyed
from softargmax.gumbel import Reservoir
from statistical import check_counts, check_draws

inf = math.inf
RNG = np.random.default_rng(0)
DISTS = {
    "3": Categorical([0.0, 1.0, 2.0]),
    "masked, float32": Categorical(np.float32([0, 1, 2, 5]), 0.7, prior=[1, 0, 2, 1]),
    "T = 0": Categorical([1.0, 5.0, 5.0], 0),
    "100": Categorical(RNG.standard_normal(100) * 3),
    "3000": Categorical(RNG.standard_normal(3000).astype(np.float32)),
    "a ladder": Categorical([0.0, 1.0, 3.0], np.linspace(0, 3, 7)),
    "batch": Categorical(RNG.standard_normal((2, 3, 20))),
}


# ---------------------------------------------------------------------------- keyed draws


@pytest.mark.parametrize("method", ["auto", "inverse", "alias"])
@pytest.mark.parametrize("name", list(DISTS))
def test_any_slice_is_the_slice_of_the_whole(name, method):
    dist = DISTS[name]
    rows, batch = math.prod(dist.batch_shape), dist.batch_shape
    n = 1000
    whole = dist.sample(n, rng=Keyed(5), method=method)
    for size in (1, 7, 16, 17, 300, 1000):
        pieces = [
            dist.sample(min(size, n - i), rng=Keyed(5, i * rows), method=method)
            for i in range(0, n, size)
        ]
        assert_array_equal(np.concatenate(pieces), whole)
    shaped = dist.sample((10, 100), rng=Keyed(5), method=method)
    assert_array_equal(shaped.reshape(n, *batch), whole)
    assert_array_equal(dist.sample(rng=Keyed(5, 3 * rows), method=method), whole[3])
    assert_array_equal(dist.sample(n, rng=Keyed(5), method=method, workers=3), whole)


def test_long_runs_go_by_blocks():
    for method in ("auto", "alias"):
        dist = DISTS["100"]
        whole = dist.sample(200_001, rng=Keyed(1), method=method)
        for start in (0, 1, 32_768, 99_999, 200_000):
            piece = dist.sample(40_000, rng=Keyed(1, start), method=method)[: 200_001 - start]
            assert_array_equal(piece, whole[start : start + 40_000])


@pytest.mark.parametrize("seed", [0, 3, 2**200])
def test_draw_i_inverts_uniform_i_of_philox(seed):
    dist = DISTS["100"]
    key = np.random.SeedSequence(seed, spawn_key=(Tag.KEYED_DRAWS,))
    u = np.random.Generator(np.random.Philox(key)).random(30)
    assert_array_equal(dist.sample(30, rng=Keyed(seed)), dist.quantile(u))


def test_keyed_draws_follow_the_law_and_differ_between_seeds():
    dist = Categorical.from_weights([1, 0, 3, 4, 2])
    draws = dist.sample(200_000, rng=Keyed(0))
    check_draws(draws, dist.probs, detects=0.01)
    other = dist.sample(200_000, rng=Keyed(1))
    same = float((draws == other).mean())
    assert same == pytest.approx(float((dist.probs**2).sum()), abs=0.01)  # 9 standard errors


def test_sample_and_log_prob_draws_the_same():
    for dist in DISTS.values():
        x, log_p = dist.sample_and_log_prob(9, rng=Keyed(2, 4))
        assert_array_equal(x, dist.sample(9, rng=Keyed(2, 4)))
        assert_array_equal(log_p, dist.log_prob(x))


def test_a_key_is_a_value():
    assert Keyed(3) == Keyed(np.int64(3), 0)
    assert repr(Keyed(3, start=5)) == "Keyed(seed=3, start=5)"
    assert pickle.loads(pickle.dumps(Keyed(3, 5))) == Keyed(3, 5)
    assert len({Keyed(1), Keyed(1, 0), Keyed(1, 1)}) == 2


def test_bad_keys():
    for arguments, error, match in (
        ((-1,), ValueError, "seed must be 0 or more, got -1"),
        ((0, -2), ValueError, "start must be 0 or more, got -2"),
        ((0.5,), TypeError, "seed must be an integer, got 0.5"),
        ((None,), TypeError, "seed must be an integer, got None"),
        ((0, True), TypeError, "start must be an integer, got True"),
    ):
        with pytest.raises(error, match=match):
            Keyed(*arguments)
    dist = DISTS["batch"]
    with pytest.raises(ValueError, match="method must be 'auto', 'inverse' or 'alias'"):
        dist.sample(3, rng=Keyed(0), method="gumbel")
    for draw in (dist.sample_counts, dist.sample_without_replacement):
        with pytest.raises(TypeError, match="rng may be Keyed only in sample"):
            draw(3, rng=Keyed(0))
    with pytest.raises(TypeError, match="rng may be Keyed only in sample"):
        DISTS["a ladder"].sample(3, rng=[Keyed(i) for i in range(7)])


@pytest.mark.frameworks
def test_torch_draws_the_same_and_jax_has_keys_of_its_own():
    torch = pytest.importorskip("torch")
    dist = DISTS["batch"]
    drawn = Categorical(torch.tensor(dist.logits)).sample(50, rng=Keyed(3, 7))
    assert isinstance(drawn, torch.Tensor)
    assert_array_equal(drawn.numpy(), dist.sample(50, rng=Keyed(3, 7)))
    jnp = pytest.importorskip("jax.numpy")
    with pytest.raises(TypeError, match="rng must be a JAX key"):
        Categorical(jnp.zeros(3)).sample(rng=Keyed(0))


# ---------------------------------------------------------------------------- words


@given(
    st.integers(0, 2**70),
    st.lists(st.tuples(st.booleans(), st.integers(0, 13)), max_size=12),
)
def test_words_are_found_by_number(start, moves):
    words, place = Words(9, Tag.RESERVOIR, start), start
    for take, n in moves:
        if take:
            alone = [int(Words(9, Tag.RESERVOIR, place + i).take(1)[0]) for i in range(n)]
            assert words.take(n).tolist() == alone
        else:
            words.skip(n)
        place += n
    assert_array_equal(words.take(3), Words(9, Tag.RESERVOIR, place).take(3))


def test_words_of_other_seeds_and_tags_differ():
    each = [Words(*key, 0).take(4).tolist() for key in ((0, 1), (1, 1), (0, 2))]
    assert len({word for row in each for word in row}) == 12


def test_gumbels_of_words():
    words = np.array([0, 1, 2**20, 2**63 - 1, 2**63, 2**64 - 2**20, 2**64 - 1], np.uint64)
    got = word_gumbels(words)
    with mpmath.workdps(60):
        for word, value in zip(words.tolist(), got.tolist(), strict=True):
            v = (mpmath.mpf(word) + mpmath.mpf("0.5")) / 2**64
            want = -mpmath.log(-mpmath.log(1 - v))
            assert abs(value - want) < 1e-15 * max(1, abs(want))
    assert (np.diff(got) <= 0).all()
    many = word_gumbels(Words(0, 0, 0).take(100_000))
    assert stats.kstest(many, stats.gumbel_r.cdf).pvalue > 1e-7  # finds a distance of 0.009


@given(st.floats(1e-30, 40))
def test_no_word_beyond_the_bound_waits_as_short(wait):
    most = words_up_to(wait)
    above = [min(most + i, 2**64 - 1) for i in (1, 2, 1000)]
    if most < 2**64 - 1:
        assert (word_gumbels(np.array(above, np.uint64)) <= -math.log(wait)).all()


# ---------------------------------------------------------------------------- reservoirs


def definition(z, k, seed):
    """The k largest of z + g, by all the noise."""
    z = np.asarray(z, np.float64)
    noise = word_gumbels(Words(seed, Tag.RESERVOIR, 0).take(len(z)))
    order = np.argsort(-(z + noise), kind="stable")
    return order[z[order] > -inf][:k]


Z = np.random.default_rng(1).standard_normal(3000) * 4
Z[::7] = -inf


@pytest.mark.parametrize("k", [1, 2, 50, 2571])
def test_a_reservoir_holds_the_best_scores(k):
    for seed in range(5):
        drawn = Reservoir(seed, k).update(Z, 0)
        assert_array_equal(drawn.indices, definition(Z, k, seed))
        assert drawn.indices.dtype == np.int64
        assert drawn.log_partition == pytest.approx(np.log(np.exp(Z).sum()), rel=1e-14)


@given(
    st.integers(1, 40),
    st.lists(st.integers(0, 3000), max_size=8),
    st.randoms(use_true_random=False),
)
def test_pieces_in_any_order_and_merged_in_any_way(k, cuts, random):
    ends = sorted({0, len(Z), *cuts})
    pieces = list(itertools.pairwise(ends))
    random.shuffle(pieces)
    empty, whole = Reservoir(3, k), Reservoir(3, k).update(Z, 0)
    one = empty
    for low, high in pieces:
        one = one.update(Z[low:high], low)
    parts = [empty.update(Z[low:high], low) for low, high in pieces]
    while len(parts) > 1:
        left, right = (parts.pop(random.randrange(len(parts))) for _ in range(2))
        parts.append(left.merge(right))
    for drawn in (one, parts[0], parts[0].merge(empty), empty.merge(one)):
        assert_array_equal(drawn.indices, whole.indices)
        assert drawn.log_partition == pytest.approx(whole.log_partition, rel=1e-13)


@pytest.mark.parametrize("shape", ["flat", "peaked first", "peaked last", "rising", "falling"])
def test_long_pieces_skip_noise_that_cannot_win(shape):
    n = 500_000
    z = np.zeros(n, np.float32)
    if shape == "peaked first":
        z[3] = 60
    elif shape == "peaked last":
        z[-5:] = [17, 15, 60, 16, 14]
    elif shape != "flat":
        z = np.linspace(0, 90 if shape == "rising" else -90, n, dtype=np.float32)
    for k in (1, 20):
        got = Reservoir(k, k).update(z[:100_003], 0).update(z[100_003:], 100_003)
        assert_array_equal(got.indices, definition(z, k, k))
        exact = float(z.max()) + math.log(np.exp(z.astype(float) - float(z.max())).sum())
        assert got.log_partition == pytest.approx(exact, abs=1e-6)


def test_the_best_have_the_law_of_draws_without_replacement():
    """The definition has it over 60,000 seeds, and reservoirs of 2,000 of them are as defined."""
    dist = Categorical.from_weights([1, 0, 3, 4, 2])
    words = np.stack([Words(seed, Tag.RESERVOIR, 0).take(5) for seed in range(60_000)])
    best = np.argsort(-(dist.logits + word_gumbels(words)), axis=1)
    for k in (1, 2, 4):
        for seed in range(2_000):
            drawn = Reservoir(seed, k).update(dist.logits[2:], 2).update(dist.logits[:2], 0)
            assert_array_equal(drawn.indices, best[seed, :k])
        orders, codes = np.array(list(itertools.permutations(range(5), k))), 5 ** np.arange(k)
        counts = np.bincount(best[:, :k] @ codes, minlength=5**k)
        check_counts(counts[orders @ codes], np.exp(dist.log_prob_ordered(orders)), detects=0.016)


def test_rare_categories_come_at_their_rate():
    """One in a thousand seeds draws one of 2,000 categories whose weights are 5e-7 each."""
    z = np.full(2001, math.log(1e-3 / 2000))
    z[0] = 0
    rare = 0
    for seed in range(20_000):
        words = Words(seed, Tag.RESERVOIR, 0).take(2001)
        best = int(words[1:].argmin()) + 1  # the lowest word has the largest noise
        common, best_noise = word_gumbels(words[[0, best]])
        wins = z[best] + best_noise > common
        rare += wins
        if wins or seed < 2_000:
            assert Reservoir(seed).update(z, 0).indices == (best if wins else 0)
    assert stats.binom.cdf(rare, 20_000, 1e-3 / 1.001) > 5e-7
    assert stats.binom.sf(rare - 1, 20_000, 1e-3 / 1.001) > 5e-7


def test_huge_logits_are_ordered_exactly():
    z = np.array([1e17, 1e17, -1e308, 1e17, 1.7e308, 1.7e308])
    drawn = Reservoir(0, 6).update(z, 0).indices
    noise = word_gumbels(Words(0, Tag.RESERVOIR, 0).take(6))
    want = sorted(range(6), key=lambda i: (-z[i], -noise[i]))
    assert drawn.tolist() == want


@pytest.mark.parametrize("size", [1e12, 1e15, 1e16, 1e17, 1e300])
def test_huge_logits_do_not_depend_on_the_order(size):
    """Scores that rounding makes equal are still ordered by their noise."""
    n = 40_000
    z = np.full(n, size)
    for seed in range(40):
        noise = word_gumbels(Words(seed, Tag.RESERVOIR, 0).take(n))
        best = int(noise.argmax())
        empty = Reservoir(seed)
        for cut in (1, 2000, 39_999):
            forth = empty.update(z[:cut], 0).update(z[cut:], cut)
            back = empty.update(z[cut:], cut).update(z[:cut], 0)
            assert forth.indices[0] == back.indices[0] == best


def test_repeats_among_the_best_are_found():
    for k in (1, 3):
        once = Reservoir(0, k).update(np.arange(6.0), 0)
        with pytest.raises(ValueError, match="categories must not come twice"):
            once.update(np.arange(6.0), 0)
        with pytest.raises(ValueError, match="categories must not come twice"):
            once.merge(once)
        for i in once.indices:
            with pytest.raises(ValueError, match=f"categories must not come twice, got {i} again"):
                once.update([float(i)], int(i))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, ">f8"])
def test_dtypes(dtype):
    z = np.arange(10).astype(dtype)
    before = z.copy()
    drawn = Reservoir(0, 4).update(z, 0)
    assert_array_equal(drawn.indices, definition(z, 4, 0))
    assert_array_equal(z, before)


def test_other_namespaces():
    for library in ("torch", "jax.numpy"):
        xp = pytest.importorskip(library)
        drawn = Reservoir(0, 4).update(xp.arange(10.0), 0)
        assert_array_equal(drawn.indices, definition(np.arange(10), 4, 0))


def test_a_reservoir_is_a_value():
    drawn = Reservoir(1, 2).update(Z, 0)
    before = drawn.indices
    with pytest.raises(ValueError, match="read-only"):
        drawn.indices[:] = 0
    drawn.update([99.0], 5000)
    assert_array_equal(drawn.indices, before)
    with pytest.raises(AttributeError):
        drawn.k = 3
    for twin in (pickle.loads(pickle.dumps(drawn)), copy.copy(drawn), copy.deepcopy(drawn)):
        assert_array_equal(twin.indices, before)
        assert twin.log_partition == drawn.log_partition
        assert_array_equal(twin.update([9.0], 5000).indices, drawn.update([9.0], 5000).indices)
    assert repr(Reservoir(1, 9)) == "Reservoir(seed=1, k=9, missing=9, log_partition=-inf)"
    assert "indices=[" in repr(drawn)


def test_bad_input():
    empty = Reservoir(0, 2)
    assert_array_equal(empty.update([], 0).update([-inf, 1.0, 2.0], 0).indices.shape, (2,))
    with pytest.raises(ValueError, match=r"k must be at most the number .* got k=2 for 1"):
        _ = empty.update([-inf, 0.0], 4).indices
    with pytest.raises(ValueError, match="logits must be finite or -inf, got nan for category 12"):
        empty.update([1.0, 2.0, math.nan], 10)
    with pytest.raises(ValueError, match="got inf for category 70000"):
        empty.update(np.where(np.arange(80_000) == 70_000, inf, 0.0), 0)
    with pytest.raises(ValueError, match=r"logits must have shape \(n,\), got shape \(1, 1\)"):
        empty.update([[1.0]], 0)
    with pytest.raises(ValueError, match="offset must be 0 or more"):
        empty.update([1.0], -1)
    with pytest.raises(TypeError, match="offset must be an integer"):
        empty.update([1.0], 0.5)
    with pytest.raises(TypeError, match="logits must be real"):
        empty.update(["a"], 0)
    with pytest.raises(ValueError, match="categories must not come twice, got 1 again"):
        empty.update([-inf, 90.0], 0).update([80.0], 1)
    full = empty.update([0.0, 1.0], 0)
    with pytest.raises(ValueError, match="categories must not come twice"):
        full.merge(full)
    with pytest.raises(ValueError, match="other must have seed=0 and k=2, got seed=1 and k=2"):
        full.merge(Reservoir(1, 2))
    with pytest.raises(TypeError, match="other must be a Reservoir, got int"):
        full.merge(3)
    with pytest.raises(ValueError, match="k must be 1 or more"):
        Reservoir(0, 0)
    with pytest.raises(TypeError, match="seed must be an integer, got None"):
        Reservoir(None)
    with pytest.raises(TypeError, match="seed"):
        Reservoir()
