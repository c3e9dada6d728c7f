"""Sparse states: what truncations leave answers and draws as the dense distribution does."""

import copy
import pickle

import numpy as np
import pytest

from softargmax import Categorical
from softargmax.draws import Keyed
from softargmax.tokens import LogitBias, Mirostat, TopK, TopP, chain

K = 2_000
B = np.random.default_rng(0).normal(0, 2, (3, K))


@pytest.fixture
def sparse():
    return TopK(50)(Categorical(B[0], 0.8))


@pytest.fixture
def dense(sparse):
    """The distribution with a mask in place of the survivors."""
    return Categorical(B[0], 0.8, prior=sparse.probs > 0)


def test_keyed_draws_as_the_dense_twin(sparse, dense):
    for shape in ((), 3, 2_000):
        for method in ("auto", "inverse", "alias"):
            drawn = sparse.sample(shape, rng=Keyed(7), method=method)
            np.testing.assert_array_equal(drawn, dense.sample(shape, rng=Keyed(7), method=method))
    whole = sparse.sample(30, rng=Keyed(7))
    np.testing.assert_array_equal(sparse.sample(10, rng=Keyed(7, 20)), whole[20:])


@pytest.mark.parametrize("method", ["auto", "inverse", "gumbel", "alias"])
@pytest.mark.parametrize("shape", [(), 3, (2, 8), 999, 1_000, 1_200])
def test_pickles_copies_and_dense_twins_draw_alike(sparse, dense, shape, method):
    drawn = sparse.sample(shape, rng=0, method=method)
    for other in (
        pickle.loads(pickle.dumps(sparse)),
        copy.copy(sparse),
        copy.deepcopy(sparse),
        dense,
    ):
        np.testing.assert_array_equal(other.sample(shape, rng=0, method=method), drawn)


@pytest.mark.parametrize("method", ["auto", "inverse", "gumbel", "alias"])
@pytest.mark.parametrize("n", [1, 20, 2_000])
def test_a_row_draws_as_in_its_batch(n, method):
    for stage in (TopK(50), TopP(0.7), chain(TopK(200), TopP(0.5)), LogitBias({3: -np.inf})):
        batch = stage(Categorical(B, [0.5, 1.0, 2.0]))
        drawn = batch.sample(n, rng=[1, 2, 3], method=method)
        for i in range(3):
            row = batch[i].sample(n, rng=i + 1, method=method)
            np.testing.assert_array_equal(drawn[:, i], row)
            alone = stage(Categorical(B[i], [0.5, 1.0, 2.0][i]))
            np.testing.assert_array_equal(alone.sample(n, rng=i + 1, method=method), row)


def test_counts_and_orders_of_survivors(sparse, dense):
    np.testing.assert_array_equal(sparse.sample_counts(99, rng=0), dense.sample_counts(99, rng=0))
    drawn = sparse.sample_without_replacement(50, rng=0)
    assert sorted(drawn) == np.flatnonzero(dense.probs).tolist()
    np.testing.assert_allclose(
        sparse.log_prob_ordered(drawn), dense.log_prob_ordered(drawn), rtol=1e-12
    )
    with pytest.raises(ValueError, match=r"k must be at most .* got k=51 for 50"):
        sparse.sample_without_replacement(51, rng=0)


def test_errors_and_notebooks_speak_of_a_categorical(sparse, dense):
    assert type(sparse) is Categorical
    assert repr(sparse) == repr(dense)
    assert sparse._repr_html_() == dense._repr_html_()
    with pytest.raises(TypeError, match="a Categorical without batch axes"):
        len(sparse)
    with pytest.raises(AttributeError, match="'Categorical' object has no attribute 'other'"):
        sparse.other  # noqa: B018


def test_little_is_made_that_has_the_size_of_the_vocabulary(monkeypatch):
    """A repr and a step of Mirostat look at shapes and survivors alone."""
    from softargmax._core.state import State

    dist = chain(TopK(50), LogitBias({3: 1.0}))(Categorical(B[0]))
    for name in ("logits", "z", "prior"):
        monkeypatch.setattr(vars(State)[name], "compute", lambda state: pytest.fail("made"))
    assert "num_categories=2000" in repr(dist)
    token, state = Mirostat(target=2.0).step(dist, 4.0, rng=0)
    assert dist.log_prob(token) > -np.inf
    assert state > 0


def test_indexing_and_other_temperatures_keep_the_survivors():
    batch = TopK(9)(Categorical(B[:, None], [[0.5, 2.0]]))
    assert batch.batch_shape == (3, 2)
    whole = batch.probs
    for index in (1, (1, 0), (slice(None), 1), ..., [2, 0], np.array([True, False, True])):
        np.testing.assert_allclose(batch[index].probs, whole[index], rtol=1e-13)
    np.testing.assert_allclose(batch[..., 0].probs, whole[:, 0], rtol=1e-13)
    warm = batch.tempered(1.0)
    np.testing.assert_allclose(
        warm.probs, Categorical(B[:, None], 1.0, prior=batch.prior).probs, rtol=1e-12
    )
    np.testing.assert_array_equal(batch.prior, whole > 0)
    assert batch[1, 0].logits.shape == (K,)


@pytest.mark.frameworks
def test_tensors_on_the_cpu_keep_survivors_and_gradients_stay():
    torch = pytest.importorskip("torch")
    from softargmax.categorical import state_of
    from softargmax.tokens import XTC, Temperature

    z = torch.tensor(B)
    stages = chain(TopK(50), TopP(0.9), LogitBias({3: 1.0}), Temperature(0.7))
    found, expected = stages(Categorical(z, 0.8)), stages(Categorical(B, 0.8))
    assert state_of(found).kept is not None
    for ours, numpys in (
        (found.log_probs, expected.log_probs),
        (found.probs, expected.probs),
        (found.entropy(), expected.entropy()),
        (found.log_prob(torch.arange(3)), expected.log_prob(np.arange(3))),
        (found.mode(), expected.mode()),
        (found.top(3)[0], expected.top(3)[0]),
        (found.logits, expected.logits),
        (found.sample(99, rng=0), expected.sample(99, rng=0)),
        (found.sample(rng=[1, 2, 3]), expected.sample(rng=[1, 2, 3])),
        (found[1].sample(9, rng=0), expected[1].sample(9, rng=0)),
        (found.expectation(torch.arange(K)), expected.expectation(np.arange(K))),
    ):
        assert isinstance(ours, torch.Tensor)
        np.testing.assert_allclose(ours, numpys, rtol=1e-12)
    assert found.dtype == torch.float64
    again = pickle.loads(pickle.dumps(found))
    assert torch.equal(again.probs, found.probs)
    assert repr(found) == repr(expected).replace("float64", "torch.float64")
    leaf = torch.tensor(B, requires_grad=True)
    TopK(50)(Categorical(leaf)).entropy().sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.any()
    # A gradient in a parameter alone, or in a temperature given later, is kept too.
    t = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    for dist in (
        Temperature(t)(Categorical(z)),
        XTC(0.1, t)(Categorical(z)),
        TopK(50)(Categorical(z)).tempered(t),
        TopK(50)(Categorical(z, t)),
    ):
        (slope,) = torch.autograd.grad(dist.entropy().sum(), t)
        assert torch.isfinite(slope)
        assert slope != 0


def test_unpickled_survivors_are_read_only_and_notebooks_know_their_prior():
    batch = TopK(3)(Categorical(B, [1.0, 2.0, 3.0], prior=np.arange(1.0, K + 1)))
    for dist in (batch, pickle.loads(pickle.dumps(batch)), copy.copy(batch), copy.deepcopy(batch)):
        for array in (dist.logits, dist.temperature, dist.coldness, dist.prior, dist.probs):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    edited = LogitBias({1: 3.0})(TopK(20)(Categorical(B[0])))
    assert "given" not in edited._repr_html_()
    assert "given" in batch._repr_html_()


def test_truncations_keep_the_class_and_orders_are_the_dense_ones(sparse, dense):
    class Sub(Categorical):
        pass

    for width in (3, K):
        assert type(TopK(2)(Sub(B[0, :width]))) is Sub
    for seed in range(20):
        np.testing.assert_array_equal(
            sparse.sample_without_replacement(20, 3, rng=seed),
            dense.sample_without_replacement(20, 3, rng=seed),
        )


@pytest.mark.parametrize("shape", [(5, 3), (5, 1_200), (20_000, 3), (3, 2, 1_200), (2, 9_000, 5)])
def test_a_temperature_of_one_row_serves_all(shape):
    z = np.random.default_rng(0).normal(size=shape)
    for one in ([2.0], np.full((1,) * (len(shape) - 1), 2.0)):
        dist, scalar = Categorical(z, one), Categorical(z, 2.0)
        assert dist.batch_shape == shape[:-1]
        np.testing.assert_array_equal(dist.log_probs, scalar.log_probs)
        np.testing.assert_array_equal(dist.probs, scalar.probs)
        np.testing.assert_array_equal(dist.entropy(), scalar.entropy())
        for n in ((), 3, 1_500):
            if np.prod(shape) * np.prod(n) < 10**7:
                np.testing.assert_array_equal(dist.sample(n, rng=0), scalar.sample(n, rng=0))
        np.testing.assert_array_equal(TopK(2)(dist).probs, TopK(2)(scalar).probs)


@pytest.mark.frameworks
@pytest.mark.parametrize("width", [3, 100, 2_000])
def test_tensors_without_axes_as_temperatures(width):
    torch = pytest.importorskip("torch")
    from softargmax.resampling import resample
    from softargmax.tokens import RepetitionPenalty, Temperature

    z = B[0, :width]
    numpys = Categorical(z, 2.0)
    for heat in (
        {"temperature": torch.tensor(2.0, dtype=torch.float64)},
        {"coldness": torch.tensor(0.5, dtype=torch.float64)},
        {"temperature": torch.tensor(2.0, dtype=torch.float64, requires_grad=True)},
    ):
        dist = Categorical(torch.tensor(z), **heat)
        for shape in ((), 3, 2_000):
            for more in ({"method": "auto"}, {"method": "alias"}, {"method": "gumbel"}):
                ours = dist.sample(shape, rng=0, **more)
                np.testing.assert_array_equal(ours, numpys.sample(shape, rng=0, **more))
        np.testing.assert_array_equal(dist.sample(3, rng=Keyed(1)), numpys.sample(3, rng=Keyed(1)))
        np.testing.assert_array_equal(
            dist.sample_counts(99, rng=0), numpys.sample_counts(99, rng=0)
        )
        np.testing.assert_array_equal(
            dist.sample_without_replacement(2, rng=0), numpys.sample_without_replacement(2, rng=0)
        )
        np.testing.assert_array_equal(resample(dist, 9, rng=0), resample(numpys, 9, rng=0))
        for stage in (Temperature(0.5), RepetitionPenalty(1.5), TopP(0.5)):
            np.testing.assert_allclose(
                stage(dist, [1]).probs.detach(), stage(numpys, [1]).probs, rtol=1e-12
            )
    rows = Categorical(torch.tensor(B[:, :width]), torch.tensor([1.0, 2.0, 3.0]))
    assert rows[1].sample(rng=0) == Categorical(B[1, :width], 2.0).sample(rng=0)
