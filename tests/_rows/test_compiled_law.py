"""The law by kernels against NumPy's, from equal noise, at sizes on both sides of every border."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("numba", reason="the engine of kernels needs numba")

from softargmax._rows.compiled import answers, inversion, together
from softargmax._rows.compiled.law import Compiled
from softargmax._rows.compiled.prepared import WIDTH, Prepared, short_law
from softargmax._rows.engine import use
from softargmax._rows.rows import Temperature, rows_of
from softargmax._rows.ways import law_of

ENGINES = ("numba",)
HEATS = [1.0, 0.7, 0.0, np.inf, 1e-3, 3e5]
LOW = np.array([[0.0] * 5, [np.nextafter(1, 0)] * 5])


def rows(dtype, width):
    z = (np.random.default_rng(width).normal(size=(5, width)) * 5).astype(dtype)
    z[1, : width // 2] = -np.inf
    z[2] = 0
    return z


def temperature(heat):
    return Temperature(1 / heat if heat else np.inf, heat)


def numpys(z, heat, batch):
    use("numpy")
    law = law_of(z, heat, None, batch)
    use("numba")
    return law


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 255, 256, 257, 512, 1000, 3000])
@pytest.mark.parametrize("kind", [Prepared, Compiled])
def test_both_answer_alike(dtype, width, kind):
    z = rows(dtype, width)
    u = np.concatenate([LOW, np.random.default_rng(0).random((30, 5))])
    for heat in map(temperature, HEATS):
        plain = numpys(z, heat, (5,))
        if kind is Prepared:
            if width > WIDTH:
                continue
            frozen = z.copy()
            frozen.flags.writeable = False
            law = short_law(frozen, heat, (5,))
        else:
            law = Compiled(rows_of(z, heat, None, (5,)), (5,))
        close = {"rtol": 100 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).tiny}
        assert_allclose(law.d, plain.d, **close)
        assert_allclose(law.probs, plain.probs, **close)
        assert_allclose(law.log_probs, plain.log_probs, rtol=close["rtol"], atol=close["rtol"])
        assert_allclose(law.entropy, plain.entropy, rtol=close["rtol"], atol=close["rtol"])
        x = law.draw_few(u)
        assert (np.take_along_axis(law.probs, x.T, axis=-1) > 0).all()
        assert (x != plain.draw_few(u)).mean() < 0.01
        assert_array_equal(law.draw_few(u, workers=2), x)
        for one in u[:4]:  # one uniform a row goes another way
            assert_array_equal(law.draw_few(one[None])[0], law.draw_few(np.stack([one, one]))[0])
        assert_array_equal(law.log_prob_each(x[0]), law.log_probs[np.arange(5), x[0]])
        assert law.log_prob_each(np.full(5, width)) is None
        assert law.log_prob_each(np.full(5, -1)) is None


@pytest.mark.parametrize("kind", ["Prepared", "Compiled"])
def test_one_row_draws_what_it_draws_in_a_batch(kind):
    width = 100 if kind == "Prepared" else 5000
    z = np.random.default_rng(3).normal(size=width)
    law = law_of(z, temperature(0.5), None)
    assert type(law).__name__ == kind
    for u in (0.0, 0.3, 0.9, np.nextafter(1, 0)):
        assert law.draw(u) == law.draw_few(np.array([[u]]))[0, 0]
        assert law.log_prob(law.draw(u)) == law.log_probs[law.draw(u)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [257, 512, 1000])
def test_log_probabilities_of_a_row_in_any_batch(dtype, width):
    """A row is written while the next is read, whatever the two are."""
    rng = np.random.default_rng(width)
    heats = np.array([1.0, 0.5, 0.0, 2.0, 2.0, np.inf, 1e-4, 3.0, 1.0])
    z = rng.normal(size=(9, width)).astype(dtype)
    z[4, : width // 2], z[8, 1:] = -np.inf, -300  # sums below what needs no care
    with np.errstate(divide="ignore"):
        cold = 1 / heats
    for _ in range(4):
        order = rng.permutation(9)
        some = rows_of(z[order], Temperature(cold[order], heats[order]), None, (9,))
        law = Compiled(some, (9,))
        for i, own in enumerate(order):
            heat = Temperature(cold[own], heats[own])
            alone = Compiled(rows_of(z[own], heat, None, ()), ())
            assert_array_equal(law.log_probs[i], alone.log_probs)
            assert np.isfinite(law.log_probs[i]).any()
        assert_array_equal(law.make_log_probs(2), law.log_probs)


def test_every_kind_of_temperature_is_served_by_one_compilation():
    """A kernel is compiled for each kind of array that it meets, which takes seconds."""
    kernels = [together.numbers_together, answers.fill_d, inversion.invert_short]
    z, given, found = rows(np.float64, 30), np.array([0.5, 1.0, 2.0, 3.0, 4.0]), []
    shared = np.broadcast_to(0.5, 5)
    for heat in (0.5, 1.0, given, given[::-1], shared):
        for prior in (None, np.ones(30)):
            law = Compiled(rows_of(z, Temperature(1 / heat, heat), prior, (5,)), (5,))
            law.entropy, law.d, law.draw_few(np.full((3, 5), 0.5))
            found.append([{str(own) for own in one.signatures} for one in kernels])
    assert all(own == found[0] for own in found)


def test_rows_of_hidden_faults_are_nan_alone():
    z = rows(np.float32, 300)
    z[3, 7] = np.nan
    law = Compiled(rows_of(z, temperature(1.0), None, (5,)), (5,))
    for name in ("log_probs", "probs"):
        assert_array_equal(np.isnan(getattr(law, name)).all(-1), np.arange(5) == 3)
        assert_array_equal(np.isnan(getattr(law, name)).any(-1), np.arange(5) == 3)
    assert_array_equal(np.isnan(law.entropy), np.arange(5) == 3)


def test_what_needs_more_care_is_left_to_it():
    z = np.array([[1.7e308, -1.7e308]])
    z.flags.writeable = False
    assert short_law(z, temperature(1.0), (1,)) is None
    assert_allclose(law_of(z, temperature(1e308), None, (1,)).probs[0, 0], 0.9677, atol=1e-4)
