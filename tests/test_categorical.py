"""The object: shapes, dtypes, immutability, indexing, relatives."""

import copy
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax import Categorical, log_softargmax, softargmax

Z = np.array([[1.0, 5, 5, 2], [-np.inf, 0, 1, 2], [3, 3, 3, 3]])
LOGITS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    elements=st.floats(-50, 50),
)


# ---------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("logits", "temperature", "prior", "batch"),
    [
        ((4,), (), None, ()),
        ((4,), (6,), None, (6,)),
        ((4,), (2, 3), None, (2, 3)),
        ((3, 4), (), None, (3,)),
        ((3, 4), (3,), None, (3,)),
        ((1, 4), (5,), None, (5,)),
        ((2, 1, 4), (3,), None, (2, 3)),
        ((1, 3, 4), (3, 1), None, (3, 3)),
        ((4,), (), (3, 4), (3,)),
        ((4,), (5, 1), (3, 4), (5, 3)),
        ((3, 4), (), (2, 1, 4), (2, 3)),
        ((0, 4), (), None, (0,)),
    ],
)
def test_batch_shape_is_the_broadcast(logits, temperature, prior, batch):
    rng = np.random.default_rng(0)
    z = rng.standard_normal(logits)
    t = rng.random(temperature)
    weights = None if prior is None else rng.random(prior)
    dist = Categorical(z, t, prior=weights)
    assert dist.batch_shape == batch
    assert dist.num_categories == 4
    full = (*batch, 4)
    per_category = [dist.probs, dist.log_probs, dist.score(0), dist.entropy_gradient()]
    assert all(x.shape == full for x in per_category)
    per_row = [
        dist.entropy(),
        dist.perplexity(),
        dist.mode(),
        dist.log_prob(1),
        dist.prob(1),
        dist.cdf(1),
        dist.quantile(0.5),
        dist.expectation(np.arange(4)),
        dist.variance(np.arange(4)),
        dist.kl_divergence(dist),
        dist.cross_entropy(dist),
        dist.log_prob_ordered([1, 0]),
        dist.sample(rng=0),
    ]
    assert all(np.shape(x) == batch for x in per_row)
    assert dist.fisher_information().shape == (*full, 4)
    assert dist.sample((7, 2), rng=0).shape == (7, 2, *batch)
    assert dist.sample(7, rng=0).shape == (7, *batch)
    assert dist.sample(0, rng=0).shape == (0, *batch)
    assert dist.sample_counts(5, rng=0).shape == full
    assert dist.sample_without_replacement(2, (7,), rng=0).shape == (7, *batch, 2)
    assert all(x.shape == (*batch, 2) for x in dist.top(2))
    # Each row is what it would be alone.
    expanded = np.broadcast_to(z, full), np.broadcast_to(t, batch)
    for i in np.ndindex(batch):
        row = None if weights is None else np.broadcast_to(weights, full)[i]
        alone = softargmax(expanded[0][i], expanded[1][i], prior=row)
        np.testing.assert_allclose(dist.probs[i], alone, rtol=1e-14)
        np.testing.assert_array_equal(dist[i].probs, alone)


def test_categories_and_levels_broadcast_against_the_batch():
    dist = Categorical(Z)
    x = np.array([[0, 1, 2], [3, 3, 3]])
    np.testing.assert_array_equal(dist.log_prob(x)[1], dist.log_probs[:, 3])
    assert dist.score(x).shape == (2, 3, 4)
    assert dist.quantile(np.full((5, 3), 0.5)).shape == (5, 3)
    assert Categorical(Z[0]).log_prob(x).shape == (2, 3)
    assert Categorical(Z[0]).log_prob([]).shape == (0,)
    assert dist.expectation(np.ones((2, 1, 4))).shape == (2, 3)


@pytest.mark.parametrize(("batch", "asked"), [((1,), (3,)), ((2, 1), (2, 4)), ((1, 2), (5, 3, 2))])
def test_batch_axes_of_length_one_broadcast_too(batch, asked):
    rng = np.random.default_rng(6)
    dist = Categorical(rng.standard_normal((*batch, 4)))
    x, u = rng.integers(0, 4, asked), rng.random(asked)
    got = [f(x) for f in (dist.log_prob, dist.prob, dist.cdf, dist.score)] + [dist.quantile(u)]
    got.append(dist.log_prob_ordered(x[..., None]))
    got.append(dist.expectation(np.broadcast_to(np.arange(4), (*asked, 4))))
    assert all(array.shape[: len(asked)] == asked for array in got)
    for i in np.ndindex(asked):
        own = dist[tuple(0 if n == 1 else j for j, n in zip(i[-len(batch) :], batch, strict=True))]
        assert got[0][i] == own.log_prob(x[i]) == pytest.approx(got[5][i], rel=1e-14, abs=0)
        assert got[4][i] == own.quantile(u[i])


def test_without_a_batch_results_are_numpy_scalars():
    dist = Categorical(Z[0].astype(np.float32), np.array(0.5))
    for value in (dist.entropy(), dist.log_prob(0), dist.kl_divergence(dist), dist.cdf(2)):
        assert type(value) is np.float32
    for value in (dist.sample(rng=0), dist.mode(), dist.quantile(0.1)):
        assert type(value) is np.int64


# ---------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize(
    ("given_dtype", "result"),
    [
        (np.float16, np.float32),
        (ml_dtypes.bfloat16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (">f4", np.float32),
        (np.longdouble, np.float64),
        (np.int8, np.float64),
        (np.uint64, np.float64),
        (bool, np.float64),
    ],
)
def test_the_logits_rule_the_dtype(given_dtype, result):
    z = np.array([0, 1, 1], dtype=given_dtype)
    for temperature in (0.5, np.float64(0.5), np.array(0.5), np.array([0.5])):
        dist = Categorical(z, temperature, prior=np.array([1.0, 2.0, 3.0]))
        assert dist.dtype == result
        assert dist.logits.dtype == (z.dtype if z.dtype != np.longdouble else np.float64)
        for value in (
            dist.log_probs,
            dist.probs,
            dist.entropy(),
            dist.cdf(1),
            dist.score(1),
            dist.fisher_information(),
            dist.expectation([1, 2, 3]),
            dist.variance(np.array([1.0, 2.0, 3.0])),
            dist.log_prob_ordered([1]),
        ):
            assert value.dtype == result
        assert dist.sample(3, rng=0).dtype == np.int64
        assert dist.sample_counts(3, rng=0).dtype == np.int64
    weights = Categorical.from_weights(z)
    energies = Categorical.from_energies(z)
    assert weights.dtype == energies.dtype == result


def test_lists_and_integers_are_exact():
    assert Categorical([1, 5, 5], 0).probs.tolist() == [0, 0.5, 0.5]
    n = 7
    assert (softargmax(np.zeros(n)) == 1 / n).all()
    energies = Categorical.from_energies(np.array([0, 1], np.uint8))
    assert energies.probs[1] == pytest.approx(1 / (1 + np.e))


# ---------------------------------------------------------------------------- immutable


def test_nobody_can_change_a_distribution():
    z, t, prior = Z.copy(), np.array([1.0, 2.0, 0.5]), np.ones((3, 4))
    dist = Categorical(z, t, prior=prior)
    before = dist.probs.copy()
    z[:], t[:], prior[:] = 0, 9, 5
    again = dist.tempered(dist.temperature)
    np.testing.assert_array_equal(again.probs, before)
    arrays = [dist.logits, dist.temperature, dist.coldness, dist.prior, dist.probs, dist.log_probs]
    arrays += [dist.masked([1, 1, 1, 0]).prior, dist[1:].logits, dist[1:].temperature]
    arrays += [dist[[0, 1]].prior]
    for array in arrays:
        while array is not None:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
            array = array.base  # nor through what it is a view of
    with pytest.raises(AttributeError):
        dist.extra = 1


@given(LOGITS)
def test_the_callers_arrays_are_untouched(z):
    z.flags.writeable = False  # an attempt to write would raise
    copy_of_z = z.copy()
    dist = Categorical(z, 0.5)
    dist.sample(rng=0), dist.entropy(), dist.log_probs, dist.tempered(2).probs
    softargmax(z), log_softargmax(z, workers=2)
    np.testing.assert_array_equal(z, copy_of_z)


def test_derived_arrays_are_computed_once():
    dist = Categorical(Z)
    assert dist.probs is dist.probs
    assert dist.log_probs is dist.log_probs


def test_pickle_and_copies_leave_caches_out():
    dist = Categorical(Z, coldness=[-1, 0, np.inf], prior=[1, 2, 3, 0.5])
    empty = len(pickle.dumps(dist))
    dist.sample(5000, rng=0, method="alias")
    assert len(pickle.dumps(dist)) == empty
    for twin in (pickle.loads(pickle.dumps(dist)), copy.copy(dist), copy.deepcopy(dist)):
        assert type(twin) is Categorical
        np.testing.assert_array_equal(twin.probs, dist.probs)
        np.testing.assert_array_equal(twin.coldness, dist.coldness)
        assert twin != dist  # equality is identity


def test_threads_share_an_object():
    dist = Categorical(np.random.default_rng(0).standard_normal((50, 200)))
    expected = Categorical(dist.logits).sample(20, rng=1)
    results = [None] * 8

    def work(i):
        results[i] = dist.sample(20, rng=1)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((r == expected).all() for r in results)


def test_repr_shows_shapes_dtype_and_temperature():
    assert repr(Categorical(Z, 0.7)).startswith(
        "Categorical(batch_shape=(3,), num_categories=4, dtype=float64, temperature=0.7, probs=[{"
    )
    assert "coldness=-inf" in repr(Categorical(Z, coldness=-np.inf))
    assert "temperature=[0. , 0.5, inf]" in repr(Categorical(Z, [0, 0.5, np.inf]))
    assert len(repr(Categorical(Z[0], np.linspace(0, 1, 10**5)))) < 300


# ---------------------------------------------------------------------------- what was given


def test_properties_are_as_given():
    dist = Categorical([1, 2], 0.25)
    assert (dist.temperature, dist.coldness, dist.prior) == (0.25, 4.0, None)
    assert dist.logits.tolist() == [1, 2]
    assert dist.logits.dtype == np.int64
    assert Categorical([1, 2]).temperature == 1
    cold = Categorical([1, 2], coldness=-4)
    assert (cold.temperature, cold.coldness) == (-0.25, -4.0)
    assert Categorical([1, 2], coldness=0).temperature == np.inf
    assert Categorical([1, 2], 0).coldness == np.inf
    mask = np.array([True, False])
    assert Categorical([1, 2], prior=mask).prior.dtype == bool
    np.testing.assert_array_equal(Categorical([1, 2], coldness=[-2, 4]).temperature, [-0.5, 0.25])


def test_weights_need_no_normalisation():
    w = np.array([3.0, 0.0, 1.0])
    np.testing.assert_array_equal(Categorical.from_weights(w).probs, [0.75, 0, 0.25])
    np.testing.assert_allclose(Categorical.from_weights(w, 0.5).probs, [0.9, 0, 0.1], rtol=1e-14)
    np.testing.assert_array_equal(Categorical.from_weights(w, coldness=-np.inf).probs, [0, 0, 1])
    np.testing.assert_array_equal(Categorical.from_weights(w, np.inf).probs, [0.5, 0, 0.5])
    tiny = Categorical.from_weights([5e-324, 1e-310, 1e308])
    assert (tiny.logits > -np.inf).all()
    assert tiny.logits[0] == pytest.approx(np.log(5e-324) - np.log(1e308))
    near = Categorical.from_weights([1.0, 1 + 1e-12])
    assert near.logits[0] == pytest.approx(-np.log1p((1 + 1e-12) - 1), rel=1e-14, abs=0)
    assert Categorical.from_weights(np.array([1, 1e-12], np.float32)).dtype == np.float32


def test_energies_have_the_physicists_sign():
    e, g = [0.0, 1.0, np.inf], [1, 2, 5]
    dist = Categorical.from_energies(e, 0.5, degeneracies=g)
    expected = np.array([1, 2 * np.exp(-2), 0])
    np.testing.assert_allclose(dist.probs, expected / expected.sum(), rtol=1e-14)
    assert dist.logits.tolist() == [0, -1, -np.inf]
    assert Categorical.from_energies(e, coldness=-np.inf).mode() == 1  # inf stays forbidden


# ---------------------------------------------------------------------------- relatives


@given(LOGITS, st.floats(0.05, 20), st.floats(0.05, 20))
def test_tempering_replaces_the_temperature(z, t1, t2):
    np.testing.assert_array_equal(Categorical(z, t1).tempered(t2).probs, softargmax(z, t2))
    # Tempering log-probabilities multiplies temperatures.
    twice = softargmax(log_softargmax(z, t1), t2)
    np.testing.assert_allclose(twice, softargmax(z, t1 * t2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("width", [5, 300, 5000])
@pytest.mark.parametrize("coldness", [-0.16, [-0.16], [2.0, -1.0, -np.inf]])
def test_what_is_known_of_the_largest_logit_is_not_used_below_zero(width, coldness, rows_engine):
    """Long rows know their largest logit when they are made; where β < 0 the smallest counts."""
    z = np.random.default_rng(0).normal(size=width) * 3
    got, want = Categorical(z).tempered(coldness=coldness), Categorical(z, coldness=coldness)
    np.testing.assert_allclose(got.entropy(), want.entropy(), rtol=1e-13)
    np.testing.assert_allclose(got.log_probs, want.log_probs, rtol=1e-13)
    np.testing.assert_allclose(got.probs.sum(axis=-1), 1, rtol=1e-13)


@given(LOGITS, st.floats(-100, 100), st.floats(-20, 20))
def test_shifting_the_logits_changes_nothing(z, shift, coldness):
    shifted = softargmax(z + shift, coldness=coldness)
    np.testing.assert_allclose(shifted, softargmax(z, coldness=coldness), rtol=1e-9, atol=1e-12)


@given(LOGITS, st.randoms(use_true_random=False))
def test_permuting_the_categories_permutes_the_probabilities(z, random):
    order = list(range(z.shape[-1]))
    random.shuffle(order)
    np.testing.assert_allclose(softargmax(z[..., order]), softargmax(z)[..., order], rtol=1e-13)


@given(LOGITS)
def test_strided_and_reversed_input(z):
    wide = np.repeat(z, 2, axis=-1)
    np.testing.assert_array_equal(softargmax(wide[..., ::2]), softargmax(z))
    backwards = softargmax(z[..., ::-1])[..., ::-1]
    np.testing.assert_allclose(backwards, softargmax(z), rtol=1e-13)
    np.testing.assert_array_equal(softargmax(np.asfortranarray(z)), softargmax(z))


def test_masks_of_weights_and_energies_multiply_too():
    mask = [True, False, True]
    weights = Categorical.from_weights([[1, 2, 3], [0, 1, 4]], [1, 0], mask=mask)
    np.testing.assert_allclose(weights.probs, [[0.25, 0, 0.75], [0, 0, 1]], rtol=1e-15)
    energies = Categorical.from_energies([0, 0, 0], degeneracies=[1, 2, 3], mask=mask)
    np.testing.assert_allclose(energies.probs, [0.25, 0, 0.75], rtol=1e-15)
    np.testing.assert_array_equal(energies.prior, [1, 0, 3])
    for make in (Categorical.from_weights, Categorical.from_energies):
        with pytest.raises(ValueError, match="mask must be booleans or numbers 0 and 1, got 2"):
            make([1.0, 1.0], mask=[0, 2])
        with pytest.raises(TypeError, match="mask must be real numbers"):
            make([1.0, 1.0], mask=["yes", "no"])
    with pytest.raises(ValueError, match=r"weights must leave .* weight 0 or is masked"):
        Categorical.from_weights([1, 0], mask=[False, True])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_weights_that_should_sum_to_1_are_checked_up_to_rounding(dtype):
    p = np.random.default_rng(0).dirichlet(np.ones(3000), 20)
    dist = Categorical.from_weights(p.astype(dtype), normalized=True)
    assert dist.batch_shape == (20,)
    theirs = p.astype(dtype) / p.astype(dtype).sum(-1, keepdims=True)  # others' float arithmetic
    Categorical.from_weights(theirs, normalized=True)
    Categorical.from_weights([0, 1], normalized=True)
    rows = np.array([[0.5, 0.5], [0.5, 0.75]], dtype)
    with pytest.raises(ValueError, match=r"weights must sum to 1 in every row, got 1.25 in row 1"):
        Categorical.from_weights(rows, normalized=True)
    with pytest.raises(ValueError, match=r"got 4$"):
        Categorical.from_weights([1, 3], normalized=True)


def test_masks_multiply_the_prior():
    dist = Categorical(Z, 0.5, prior=[1, 2, 3, 4])
    once = dist.masked([True, True, False, True])
    twice = once.masked(np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 1, 1, 0]], np.int8))
    np.testing.assert_array_equal(once.prior, [1, 2, 0, 4])
    np.testing.assert_array_equal(twice.prior, [[1, 2, 0, 4], [1, 2, 0, 0], [0, 2, 0, 0]])
    assert (once.temperature, once.logits is dist.logits) == (0.5, True)
    for coldness in (-np.inf, -3, 0, 3, np.inf):  # a mask holds at every coldness
        assert not once.tempered(coldness=coldness).probs[:, 2].any()
    single = Categorical(Z[0]).masked(np.eye(4, dtype=bool))
    assert single.batch_shape == (4,)
    np.testing.assert_array_equal(single.probs, np.eye(4))


def test_a_ladder_is_one_object():
    ladder = Categorical([0, 10], [0, 1, 100, np.inf])
    np.testing.assert_allclose(
        ladder.probs, [[0, 1], [0.0000454, 0.9999546], [0.475, 0.525], [0.5, 0.5]], atol=1e-4
    )
    assert ladder[2].temperature == 100
    assert ladder[1:].temperature.tolist() == [1, 100, np.inf]
    assert [row.temperature for row in ladder] == [0, 1, 100, np.inf]


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int64(1),
        slice(None, None, 2),
        [0, 2],
        np.array([True, False, True]),
        ...,
        None,
        (..., 1),
        (1, None),
        (slice(None), [0, 0, 1]),
        (0, 1),
    ],
)
def test_indexing_follows_the_batch(index):
    rng = np.random.default_rng(5)
    z, t = rng.standard_normal((3, 2, 4)), rng.random((3, 1))
    dist = Categorical(z, t, prior=rng.random((2, 4)))
    part = dist[index]
    position = np.arange(6).reshape(3, 2)[index]
    expected = dist.probs.reshape(6, 4)[position]
    assert part.batch_shape == expected.shape[:-1]
    np.testing.assert_allclose(part.probs, expected, rtol=1e-14)


@pytest.mark.parametrize("index", [None, (None, None), (None, ...)])
@pytest.mark.parametrize("temperature", [0.5, [1.0, 2.0]])
def test_an_axis_added_by_an_index_stays(index, temperature):
    dist = Categorical([0.0, 1.0, 2.0], temperature, prior=[1, 2, 3])
    part = dist[index]
    assert part.batch_shape == np.empty(dist.batch_shape)[index].shape
    relatives = [pickle.loads(pickle.dumps(part)), copy.copy(part), part.masked([1, 1, 0])]
    if temperature == 0.5:
        relatives.append(part.tempered(2.0))
    assert all(other.batch_shape == part.batch_shape for other in relatives)
    np.testing.assert_array_equal(part.probs, dist.probs[index])


def test_length_iteration_and_truth():
    dist = Categorical(Z)
    assert len(dist) == len(list(dist)) == 3
    assert bool(Categorical(Z[0]))
    assert bool(Categorical(np.zeros((0, 4))))


def test_rows_far_from_0_and_from_each_other():
    offsets = np.float64([[1e300], [-1e300], [0], [1e5]])
    x = offsets + np.linspace(0, 1e-3, 10_000) * np.maximum(np.abs(offsets), 1)
    dist = Categorical(x, 0.7)
    for row, log_p in zip(x, dist.log_probs, strict=True):
        np.testing.assert_array_equal(log_softargmax(row, 0.7), log_p)
        np.testing.assert_allclose(Categorical(row.tolist(), [0.7]).log_probs[0], log_p, rtol=1e-12)


@pytest.mark.parametrize("num_categories", [257, 300, 2000])
def test_a_scalar_temperature_is_that_of_every_row(num_categories):
    """In float32 too, where the product is formed in float64."""
    z = (np.random.default_rng(0).normal(size=(200, num_categories)) * 10).astype(np.float32)
    every = Categorical(z, np.full(200, 0.7))
    np.testing.assert_array_equal(log_softargmax(z, 0.7), every.log_probs)
    np.testing.assert_array_equal(Categorical(z[5], 0.7).probs, every.probs[5])


def test_an_empty_batch_of_many_categories_is_quick():
    dist = Categorical(np.empty((0, 10**6)))
    assert dist.log_probs.shape == (0, 10**6)
    assert dist.entropy().shape == dist.sample(rng=0).shape == (0,)


@pytest.mark.parametrize("shape", [(6,), (100,), (3, 8), (3, 100), (2, 2000), (2, 40_000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("every", [True, False])
def test_a_mask_leaves_out_what_a_logit_of_minus_infinity_does(shape, dtype, every):
    rng = np.random.default_rng(0)
    z = rng.normal(size=shape).astype(dtype)
    z[..., 2] = 50  # the likeliest of all is left out
    mask = rng.random(shape if every else shape[-1:]) < 0.6
    mask[..., :3] = [True, True, False]
    expected = Categorical(np.where(mask, z, -np.inf).astype(dtype), 0.5)
    dist = Categorical(z, 0.5, prior=mask)
    np.testing.assert_array_equal(dist.prior, mask)
    before = mask.copy()
    mask[:] = False
    for got in (dist, Categorical(z, 0.5).masked(before)):
        np.testing.assert_array_equal(got.log_probs, expected.log_probs)
        np.testing.assert_array_equal(got.probs, expected.probs)
        np.testing.assert_array_equal(got.entropy(), expected.entropy())
        np.testing.assert_array_equal(got.sample(rng=1), expected.sample(rng=1))
    with pytest.raises(ValueError, match="read-only"):
        dist.prior[..., 0] = False


def test_masks_of_rows_without_a_possible_category():
    z = np.zeros((3, 5))
    mask = np.ones((3, 5), bool)
    mask[1] = False
    with pytest.raises(ValueError, match=r"got none in row 1: .* has prior 0"):
        Categorical(z, prior=mask)
    z[2, 1:], mask[1:], mask[2, 0] = -np.inf, True, False
    with pytest.raises(ValueError, match=r"got none in row 2: .* has prior 0"):
        Categorical(z, prior=mask)
    with pytest.raises(ValueError, match=r"got none: .* has prior 0"):
        Categorical(np.zeros(5), prior=np.zeros(5, bool))
    with pytest.raises(ValueError, match="logits must be finite or -inf, got nan"):
        Categorical([0.0, np.nan], prior=np.array([True, False]))


@pytest.mark.parametrize(("rows", "num_categories"), [(1, 70), (3, 70), (8, 18), (60, 1000)])
def test_one_draw_of_each_row_is_the_same_by_every_call(rows, num_categories):
    z = np.random.default_rng(0).normal(size=(rows, num_categories))
    for dist in (Categorical(z), Categorical(z[0]) if num_categories > 64 else Categorical(z)):
        one = dist.sample(rng=7)
        assert one.dtype == np.int64
        for other in (
            dist.sample(rng=np.random.default_rng(7)),
            dist.sample(1, rng=7)[0],
            dist.sample(rng=7, method="inverse", workers=2),
            dist.sample_and_log_prob(rng=np.random.default_rng(7))[0],
        ):
            np.testing.assert_array_equal(other, one)
        x, log_p = dist.sample_and_log_prob(rng=7)
        np.testing.assert_array_equal(log_p, dist.log_prob(x))
        assert type(log_p) is type(dist.log_prob(x))
