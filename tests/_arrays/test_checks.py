"""Bad input: each a clear error that says the name, what it must be and what it got."""

import math

import numpy as np
import pytest

from softargmax import Categorical, RelaxedCategorical, log_softargmax, smooth_max, softargmax
from softargmax._arrays.checks import count, natural, number
from softargmax.schedules import Linear
from softargmax.temperatures import EntropyController
from softargmax.tokens import TopK

NAN, INF = np.nan, np.inf
BATCH = np.zeros((3, 4))
DIST = Categorical(BATCH)


def with_row(row, value):
    z = np.zeros((3, 4))
    z[row] = value
    return z


CASES = [
    # logits
    (lambda: Categorical(with_row((1, 2), NAN)), ValueError, r"logits.*nan in row 1$"),
    (lambda: Categorical(with_row((2, 0), INF)), ValueError, r"logits.*inf in row 2$"),
    (lambda: Categorical(with_row(1, -INF)), ValueError, r"logits.*none in row 1: every"),
    (lambda: Categorical(with_row((1, 2), NAN)[:, None]), ValueError, r"in row \(1, 0\)"),
    (lambda: Categorical([NAN, 1.0]), ValueError, r"finite or -inf, got nan$"),
    (lambda: Categorical([NAN, 1.0], prior=[0, 1]), ValueError, r"got nan$"),
    (lambda: Categorical([-INF, -INF]), ValueError, "at least one category"),
    (lambda: Categorical(BATCH, mask=with_row(1, 2)), ValueError, "0 and 1, got 2 in row 1$"),
    (lambda: Categorical([0, 1], mask=[1, 0]).masked([0, 1]), ValueError, "-inf or is masked$"),
    (
        lambda: Categorical.from_energies([0, 1], degeneracies=[0, 0]),
        ValueError,
        "has energy inf or has degeneracy 0$",
    ),
    (lambda: Categorical(3.0), ValueError, r"got shape \(\)"),
    (lambda: Categorical(np.zeros((3, 0))), ValueError, r"got shape \(3, 0\)"),
    (lambda: Categorical("abc"), TypeError, "logits must be real numbers, got dtype <U3"),
    (lambda: Categorical([1j, 0]), TypeError, "got dtype complex128"),
    (lambda: Categorical([None, 1]), TypeError, "got dtype object"),
    (lambda: Categorical([[1, 2], [3]]), ValueError, "logits must be a rectangular array"),
    (lambda: Categorical(np.ma.masked_less([1, 2], 2)), TypeError, "masked array; pass mask="),
    # temperature and coldness
    (
        lambda: Categorical(BATCH, -0.5),
        ValueError,
        r"temperature must be in \[0, inf\], got -0.5; for small logits pass coldness=-2.0 ",
    ),
    (
        lambda: Categorical(BATCH, NAN),
        ValueError,
        r"in \[0, inf\], got nan$",
    ),
    (lambda: Categorical(BATCH, -INF), ValueError, "got -inf; for small logits pass coldness=-inf"),
    (lambda: Categorical(BATCH, [1, NAN, 1]), ValueError, "got nan in row 1"),
    (lambda: Categorical(BATCH, coldness=NAN), ValueError, "coldness must be a number"),
    (lambda: Categorical(BATCH, 1, coldness=1), TypeError, "temperature or coldness, not both"),
    (lambda: Categorical(BATCH, "hot"), TypeError, "temperature must be real numbers"),
    (lambda: Categorical(BATCH, True), TypeError, "temperature must be real numbers, got.*bool"),
    (lambda: Categorical(BATCH, 1j), TypeError, "temperature must be real"),
    (lambda: Categorical(BATCH, [1, 2]), ValueError, r"temperature must fit the batch axes \(3,\)"),
    (
        lambda: Categorical(BATCH, [[1], [2], [3]]),
        ValueError,
        r"got shape \(3, 1\).*logits\[None\]",
    ),
    (lambda: Categorical(BATCH, coldness=[[1]]), ValueError, r"coldness.*got shape \(1, 1\)"),
    (lambda: DIST.tempered(), TypeError, "got neither"),
    (lambda: DIST.tempered(1, coldness=1), TypeError, "not both"),
    (lambda: DIST.tempered(-1), ValueError, "temperature must be"),
    # priors, masks and weights
    (lambda: Categorical(BATCH, prior=[1, -1, 1, 1]), ValueError, "prior.*non-neg.*got -1$"),
    (lambda: Categorical(BATCH, prior=with_row((2, 1), NAN)), ValueError, "prior.*nan in row 2"),
    (lambda: Categorical(BATCH, prior=with_row((1, 1), INF)), ValueError, "prior.*inf in row 1"),
    (lambda: Categorical(BATCH, prior=[1, 1]), ValueError, r"prior must have 4 cat.*shape \(2,\)"),
    (lambda: Categorical(BATCH, prior=1), ValueError, r"prior must have a last axis.*shape \(\)"),
    (lambda: Categorical(BATCH, prior=-1), ValueError, r"prior must have a last axis"),
    (lambda: Categorical(BATCH, prior=np.ones((2, 4))), ValueError, "prior must fit the batch"),
    (lambda: Categorical(BATCH, prior=np.eye(4)[:3] * 0), ValueError, "row 0.* or has prior 0"),
    (
        lambda: Categorical([-INF, 1], prior=[1, 0]),
        ValueError,
        "got none: every category has logit -inf or",
    ),
    (lambda: DIST.masked([1, 0]), ValueError, "mask must have 4 categories"),
    (lambda: DIST.masked([0.5, 1, 1, 1]), ValueError, "mask must be booleans"),
    (lambda: DIST.masked([2, 1, 1, 1]), ValueError, "mask must be booleans.*got 2"),
    (
        lambda: DIST.masked(with_row(1, 1) == 0),
        ValueError,
        "mask must.*none in row 1.*-inf or is masked$",
    ),
    (lambda: DIST.masked(np.ones((2, 4), bool)), ValueError, r"mask must fit.*\(2, 4\)"),
    (lambda: Categorical(BATCH, mask=[2, 1, 1, 1]), ValueError, "mask must be booleans.*got 2"),
    (lambda: Categorical(BATCH, mask=[1, 1]), ValueError, r"mask must have 4 cat.*shape \(2,\)"),
    (lambda: Categorical(BATCH, mask=np.ones((2, 4))), ValueError, "mask must fit the batch"),
    (
        lambda: Categorical(BATCH, mask=[0] * 4),
        ValueError,
        "row 0: every category.*-inf or is masked$",
    ),
    (
        lambda: Categorical(BATCH, mask=[0, 0, 1, 1], prior=[1, 1, 0, 0]),
        ValueError,
        "has logit -inf or is masked or has prior 0$",
    ),
    (lambda: Categorical([-INF] * 2), ValueError, "every category has logit -inf$"),
    (lambda: Categorical.from_weights([[1, 1], [0, 0]]), ValueError, "weights.*none in row 1"),
    (lambda: Categorical.from_weights([1, -1]), ValueError, "weights.*non-negative.*got -1"),
    (
        lambda: Categorical.from_weights(np.ones((3, 4)), [1, 2]),
        ValueError,
        r"temperature must fit the batch axes \(3,\) of the weights",
    ),
    (lambda: RelaxedCategorical(BATCH, -1), ValueError, r"temperature must be .*, got -1.0$"),
    (lambda: Categorical.from_weights([1, NAN]), ValueError, "weights.*got nan"),
    (lambda: Categorical.from_weights([1, INF]), ValueError, "weights.*got inf"),
    (lambda: Categorical.from_weights(2), ValueError, "weights must have a last axis"),
    (lambda: Categorical.from_weights("ab"), TypeError, "weights must be real"),
    (lambda: Categorical.from_energies([1, -INF]), ValueError, "energies.*got -inf"),
    (lambda: Categorical.from_energies(3.0), ValueError, "energies must have a last axis"),
    (lambda: Categorical.from_energies([1, NAN]), ValueError, "energies.*got nan"),
    (lambda: Categorical.from_energies([INF, INF]), ValueError, "energies.*has energy inf"),
    (
        lambda: Categorical.from_energies([1, 2], degeneracies=[1, -1]),
        ValueError,
        "degeneracies must be non-negative",
    ),
    # categories and other arguments of the methods
    (lambda: DIST.log_prob(4), ValueError, "category must be in 0 … 3, got 4"),
    (lambda: DIST.log_prob(-1), ValueError, "category must be in 0 … 3, got -1"),
    (lambda: DIST.log_prob(1.0), TypeError, "category must be integers, got dtype float64"),
    (lambda: DIST.log_prob("a"), TypeError, "category must be integers"),
    (lambda: DIST.log_prob(2**70), ValueError, "category must be in 0 … 3, got 1180591620717"),
    (lambda: DIST.quantile(10**400), ValueError, "u must fit float64"),
    (lambda: DIST.log_prob(True), TypeError, "category must be integers, got dtype bool"),
    (lambda: DIST.log_prob([0, 1]), ValueError, r"category must fit the batch axes \(3,\)"),
    (lambda: DIST.score(7), ValueError, "category must be in"),
    (lambda: DIST.cdf(9), ValueError, "category must be in"),
    (lambda: DIST.quantile(1.5), ValueError, r"u must be in \[0, 1\], got 1.5"),
    (lambda: DIST.quantile(NAN), ValueError, r"u must be in \[0, 1\], got nan"),
    (lambda: DIST.quantile([0.5, 0.5]), ValueError, "u must fit the batch"),
    (lambda: DIST.top(5), ValueError, "k must be in 0 … 4, got 5"),
    (lambda: DIST.top(1.5), TypeError, "k must be an integer, got 1.5"),
    (lambda: DIST.top(True), TypeError, "k must be an integer, got True"),
    (lambda: DIST.expectation([1, 2]), ValueError, "values must have 4 categories"),
    (lambda: DIST.expectation(np.zeros((2, 4))), ValueError, "values must fit the batch"),
    (lambda: DIST.expectation([1j] * 4), TypeError, "values must be real"),
    (lambda: DIST.variance(1.0), ValueError, "values must have 4 categories"),
    (lambda: DIST.kl_divergence([0.25] * 4), TypeError, "other must be a Categorical, got list"),
    (lambda: DIST.cross_entropy(Categorical([0, 0])), ValueError, "4 categories, got 2"),
    (lambda: DIST.kl_divergence(Categorical(np.zeros((2, 4)))), ValueError, "other must fit"),
    (lambda: DIST.log_prob_ordered([1, 1]), ValueError, "indices must be distinct"),
    (lambda: DIST.log_prob_ordered([1, 4]), ValueError, "indices must be in 0 … 3, got 4"),
    (lambda: DIST.log_prob_ordered([1.0]), TypeError, "indices must be integers"),
    (lambda: DIST.log_prob_ordered(1), ValueError, "indices must have an axis"),
    (lambda: DIST.log_prob_ordered([[0], [1]]), ValueError, "indices must fit"),
    # draws
    (lambda: DIST.sample(-1), ValueError, "shape must be non-negative, got -1"),
    (lambda: DIST.sample(2.5), TypeError, "shape must be an int or a tuple of ints, got 2.5"),
    (lambda: DIST.sample((2, "a")), TypeError, "shape must be an int or a tuple"),
    (lambda: DIST.sample(method="best"), ValueError, "method must be one of 'auto', .*got 'best'"),
    (lambda: DIST.sample(workers=0), ValueError, "workers must be in"),
    (lambda: softargmax(BATCH, workers=1.5), TypeError, "workers must be an integer"),
    (lambda: DIST.sample(rng="x"), TypeError, "rng must be None, an int, .*got 'x'"),
    (lambda: DIST.sample(rng=1.5), TypeError, "rng must be None"),
    (lambda: DIST.sample(rng=True), TypeError, "rng must be None"),
    (lambda: DIST.sample(rng=-1), ValueError, "rng must be a non-negative int, got -1"),
    (lambda: DIST.sample(rng=[1, 2]), ValueError, "rng must have one entry a row, 3 in all, got 2"),
    (lambda: DIST.sample(rng=[1, 2, "x"]), TypeError, "rng must be None"),
    (lambda: DIST[0].sample(rng=[1]), ValueError, r"1-d batch; got 1 rngs.*a list is never a seed"),
    (lambda: Categorical(np.zeros((2, 2, 4))).sample(rng=[1, 2]), ValueError, "1-d batch"),
    (lambda: DIST.sample_counts(-1), ValueError, "n must be 0 or more"),
    (lambda: DIST.sample_counts(2**62 + 1), ValueError, "n must be at most"),
    (lambda: DIST.sample_counts(1.0), TypeError, "n must be an integer"),
    (lambda: DIST.sample_without_replacement(5), ValueError, "got k=5 for 4 in row 0"),
    (
        lambda: Categorical(with_row((1, 2), -INF)).sample_without_replacement(4),
        ValueError,
        "k must be at most the number.*got k=4 for 3 in row 1",
    ),
    (lambda: DIST.sample_without_replacement(-1), ValueError, "k must be 0 or more"),
    # the batch
    (lambda: DIST[3], IndexError, "out of bounds"),
    (lambda: DIST[0, 0], IndexError, "too many indices"),
    (lambda: DIST[0][0], IndexError, "too many indices"),
    (lambda: len(DIST[0]), TypeError, "no len"),
    (lambda: list(DIST[0]), TypeError, "no len"),
    (lambda: setattr(DIST, "temperature", 2), AttributeError, "immutable"),
    (lambda: delattr(DIST, "_state"), AttributeError, "immutable"),
    # functions
    (lambda: log_softargmax([NAN]), ValueError, "logits.*nan"),
    (lambda: smooth_max([[0, 1], [NAN, 0]]), ValueError, "nan in row 1"),
    (lambda: smooth_max([0, 1], -1), ValueError, "temperature"),
]


@pytest.mark.parametrize(("call", "error", "message"), CASES)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_long_doubles_and_long_integers_must_fit_float64():
    huge = np.array(["1e4000", "1"]).astype(np.longdouble)
    for call in (
        lambda: Categorical([0, 1], prior=huge),
        lambda: Categorical.from_weights(huge),
        lambda: Categorical(-huge),
        lambda: Categorical([10**400, 1]),
    ):
        with pytest.raises(ValueError, match="must fit float64"):
            call()
    inside = np.array([-INF, 1], np.longdouble)
    assert Categorical(inside).logits.dtype == np.float64
    assert Categorical([2**70, 0]).probs.tolist() == [1, 0]
    by_prior = Categorical([0, 0], prior=[3 * 2**70, 2**70])
    assert by_prior.probs == pytest.approx([0.75, 0.25], rel=1e-15, abs=0)


def test_integers_beyond_float64_are_limits():
    assert softargmax([0, 1], 10**400).tolist() == [0.5, 0.5]
    assert softargmax([0, 1], coldness=-(10**400)).tolist() == [1, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("temperature", [None, 1, 0.5, 1e-310, np.inf])
@pytest.mark.parametrize("shape", [(6,), (20,), (300,), (3, 6), (3, 300), (40, 1000)])
def test_a_bad_row_is_named_wherever_it_stands(bad, temperature, shape):
    x = np.linspace(0, 1, math.prod(shape)).reshape(shape)
    row = x if x.ndim == 1 else x[-1]
    for place in (0, 1, shape[-1] - 1):
        row[...] = -np.inf if bad == -np.inf else 0.5
        row[place] = bad
        for make in (Categorical, softargmax, log_softargmax):
            with pytest.raises(ValueError, match="logits must") as caught:
                make(x, temperature)
            assert x.ndim == 1 or f"in row {shape[0] - 1}" in str(caught.value)


def test_k_beyond_the_support_of_many_categories():
    z = np.full(5000, -np.inf)
    z[:7] = [0, 1, 2, 3, 4, 5, 6]
    dist = Categorical(z)
    assert sorted(dist.sample_without_replacement(7, rng=0).tolist()) == list(range(7))
    with pytest.raises(ValueError, match="got k=8 for 7"):
        dist.sample_without_replacement(8)


def test_hints_for_what_is_often_meant():
    from softargmax.resampling import resample
    from softargmax.schedules import Geometric

    with pytest.raises(
        TypeError, match=r"temperature must be real .* call a schedule with the step"
    ):
        Categorical([0.0, 1.0], Geometric(1.0, 0.1, steps=10))
    with pytest.raises(TypeError, match=r"got list; Categorical\(logits\) makes one"):
        resample([0.5, 0.5], 3)


def test_counts_without_an_upper_limit_name_none():
    with pytest.raises(ValueError, match="k must be 1 or more, got 0"):
        TopK(0)
    with pytest.raises(ValueError, match=f"n must be at most {2**62}, got {2**63}"):
        DIST.sample_counts(2**63)
    with pytest.raises(ValueError, match="workers must be in 1 … 1024, got 0"):
        DIST.sample(workers=0)


def test_masks_of_zeros_and_ones_in_any_dtype():
    expected = Categorical(np.zeros(3)).masked([True, False, True])
    for dtype in (np.int8, np.uint64, np.float16, np.float64):
        got = Categorical(np.zeros(3)).masked(np.array([1, 0, 1], dtype))
        assert got.prior.dtype == bool
        np.testing.assert_array_equal(got.probs, expected.probs)
    for value in (np.nan, -np.inf, 0.25, -1):
        with pytest.raises(ValueError, match="mask must be booleans or numbers 0 and 1, got"):
            Categorical(np.zeros(3)).masked([1, 0, value])


def test_arrays_without_axes_are_numbers():
    """Wherever one number is asked for, and none of these is a bool."""
    for half in (np.array(0.5), np.float32(0.5), np.array(0.5, np.float16), np.array(0.5, object)):
        assert number(half, "x", "[0, 1]") == 0.5
        assert type(number(half, "x", "[0, 1]")) is float
    for three in (np.array(3), np.uint8(3), np.array(3, object)):
        assert number(three, "x", "[0, 9]") == count(three, "x", 0, 9) == natural(three, "x") == 3
        assert type(number(three, "x", "[0, 9]")) is type(count(three, "x", 0, 9)) is int
    for wrong in (np.array(True), np.True_, np.array("1"), np.array([1.0]), np.array([1]), True):
        for check in (lambda x: number(x, "x", "[0, 1]"), lambda x: count(x, "x", 0, 1)):
            with pytest.raises(TypeError, match=r"x must be an? (number|integer), got"):
                check(wrong)
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got 1.5$"):
        number(np.array(1.5), "x", "[0, 1]")


def test_what_takes_a_number_takes_an_array_without_axes():
    two = np.array(2.0)
    assert Linear(np.array(1.0), two, np.array(10)) == Linear(1.0, 2.0, 10)
    assert EntropyController(np.array(0.5), two) == EntropyController(0.5, 2.0)
    assert DIST[0].top(np.array(2))[0].tolist() == [0, 1]
