"""Draws on Dask: the same for every chunking, scheduler and worker, also when one is killed."""

import math
import os
import signal
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax import dask as here
from softargmax.draws import Keyed
from softargmax.gumbel import Reservoir
from statistical import check_counts

da = pytest.importorskip("dask.array")
cloudpickle = pytest.importorskip("cloudpickle")
dask = pytest.importorskip("dask")

inf = math.inf
RNG = np.random.default_rng(0)
DIST = Categorical(RNG.standard_normal(50) * 2)
BATCH = Categorical(RNG.standard_normal((2, 3, 7)).astype(np.float32), prior=[1, 1, 0, 1, 2, 1, 1])
CHUNKS = (1, 7, 1000, -1, "auto", (300, 0, 700))


@pytest.fixture(autouse=True)
def _in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


# ---------------------------------------------------------------------------- draws


@pytest.mark.parametrize("dist", [DIST, BATCH, DIST.tempered(0)], ids=["row", "batch", "T = 0"])
def test_draws_are_the_same_for_all_chunks(dist):
    want = dist.sample(1000, rng=Keyed(3), method="alias")
    for chunks in CHUNKS:
        got = here.sample(dist, 1000, chunks=chunks, seed=3)
        assert got.shape == (1000, *dist.batch_shape)
        assert got.dtype == np.int64
        assert_array_equal(got.compute(), want)
    assert_array_equal(here.sample(dist, 1000, seed=3).compute(scheduler="threads"), want)
    assert_array_equal(here.sample(dist, 30, seed=3).compute(), want[:30])
    assert here.sample(dist, 1000, chunks=7, seed=3)[500:503].compute().shape[0] == 3


def test_no_draws_and_no_rows():
    assert here.sample(DIST, 0, seed=0).compute().shape == (0,)
    assert here.sample_counts(DIST, 0, seed=0).compute().sum() == 0
    empty = Categorical(np.zeros((0, 4)))
    assert here.sample_counts(empty, 5, seed=0).compute().shape == (0, 4)
    assert here.sample(empty, 5, seed=0).compute().shape == (5, 0)


@pytest.mark.parametrize("dist", [DIST, BATCH], ids=["row", "batch"])
def test_counts_are_those_of_the_draws(dist):
    for n in (1000, 700_001):
        draws = dist.sample(n, rng=Keyed(1), method="alias")
        want = np.moveaxis([(draws == k).sum(axis=0) for k in range(dist.num_categories)], 0, -1)
        for chunks in (7, 1000, -1) if n == 1000 else (123_456, -1):
            assert_array_equal(here.sample_counts(dist, n, chunks=chunks, seed=1).compute(), want)


def test_counts_follow_the_law():
    counts = here.sample_counts(DIST, 2_000_000, chunks=300_000, seed=5).compute()
    check_counts(counts, DIST.probs, detects=0.003)


def test_expectation_and_its_error():
    for dist in (DIST, BATCH):
        n = 600_001
        draws = dist.sample(n, rng=Keyed(2), method="alias")

        def f(x):
            return np.stack([np.sqrt(x + 1.0), x**2], axis=-1)

        values = f(draws)
        for chunks in (7919, 250_000, -1):
            found = here.expectation(dist, f, n, chunks=chunks, seed=2)
            assert found.mean.shape == values.shape[1:]
            mean, error = dask.compute(*found)
            assert_allclose(mean, values.mean(axis=0), rtol=1e-11)
            assert_allclose(error, values.std(axis=0, ddof=1) / math.sqrt(n), rtol=1e-9)
    mean, error = dask.compute(*here.expectation(DIST, lambda x: x, n, seed=0))
    assert abs(mean - DIST.expectation(np.arange(50))) < 6 * error
    assert error == pytest.approx(math.sqrt(DIST.variance(np.arange(50)) / n), rel=0.02)


def test_the_error_keeps_its_digits_far_from_zero():
    mean, error = dask.compute(
        *here.expectation(DIST, lambda x: 1e9 + x, 10_000, chunks=33, seed=0)
    )
    draws = DIST.sample(10_000, rng=Keyed(0), method="alias")
    assert error == pytest.approx(draws.std(ddof=1) / 100, rel=1e-6)
    assert mean - 1e9 == pytest.approx(draws.mean(), rel=1e-6)


def test_chunks_may_be_empty_and_values_of_any_real_dtype():
    draws = DIST.sample(10, rng=Keyed(0), method="alias")
    for chunks in ((5, 0, 5), (0, 0, 5, 5), (10, 0)):
        assert_array_equal(here.sample(DIST, 10, chunks=chunks, seed=0).compute(), draws)
        counts = here.sample_counts(DIST, 10, chunks=chunks, seed=0).compute()
        assert_array_equal(counts, np.bincount(draws, minlength=50))
        for f in (lambda x: x, lambda x: x > 20, lambda x: np.float32(0.1) * x.astype(np.float32)):
            mean, error = dask.compute(*here.expectation(DIST, f, 10, chunks=chunks, seed=0))
            values = f(draws).astype(float)
            assert mean == pytest.approx(values.mean(), rel=1e-12)
            assert error == pytest.approx(values.std(ddof=1) / math.sqrt(10), rel=1e-12)


def test_infinite_values_do_not_warn():
    found = here.expectation(DIST, lambda x: np.where(x > 20, inf, 0), 1000, chunks=100, seed=0)
    mean, error = dask.compute(*found)
    assert mean == inf
    assert math.isnan(error)


def test_workers_look_at_the_shape_of_values():
    found = here.expectation(DIST, lambda x: np.zeros((len(x), 1 + (len(x) > 1))), 10, seed=0)
    with pytest.raises(ValueError, match="f must return values of one shape"):
        dask.compute(*found)


def test_arrays_of_different_seeds_are_computed_together():
    each = [here.sample(DIST, 100, chunks=30, seed=seed) for seed in (1, 2)]
    each += [here.sample_counts(DIST, 100, seed=seed) for seed in (1, 2)]
    one, two, first, second = dask.compute(*each)
    for seed, draws, counts in ((1, one, first), (2, two, second)):
        assert_array_equal(draws, DIST.sample(100, rng=Keyed(seed), method="alias"))
        assert_array_equal(counts, np.bincount(draws, minlength=50))


def test_arrays_of_different_distributions_are_computed_together():
    dists = DIST, DIST.tempered(0.1), DIST.tempered(9.0)
    found = dask.compute(*[here.sample(dist, 100, seed=1) for dist in dists])
    for dist, draws in zip(dists, found, strict=True):
        assert_array_equal(draws, dist.sample(100, rng=Keyed(1), method="alias"))


def test_the_distribution_and_f_are_in_the_graph_once():
    big = Categorical(np.zeros(100_000))
    table = np.ones(100_000)
    made = (
        here.sample(big, 1000, chunks=10, seed=0),
        here.sample_counts(big, 1000, chunks=10, seed=0),
        here.expectation(big, lambda x: table[x], 1000, chunks=10, seed=0).mean,
    )
    for array in made:
        heavy = sum(len(cloudpickle.dumps(task)) > 500_000 for task in dict(array.dask).values())
        assert heavy <= 2
        # And merging is a tree.
        assert max(map(len, array.dask.get_all_dependencies().values())) <= 10


def test_chunks_by_default_are_enough_for_many_workers():
    assert here.sample(DIST, 10**9, seed=0).npartitions == 60
    counts = here.sample_counts(DIST, 10**8, seed=0)
    assert sum("counted" in str(key) for key in counts.dask.to_dict()) == 64


@pytest.mark.frameworks
def test_other_namespaces_draw_the_same():
    torch = pytest.importorskip("torch")
    same = Categorical(torch.tensor(DIST.logits))
    assert_array_equal(
        here.sample(same, 500, seed=1).compute(), here.sample(DIST, 500, seed=1).compute()
    )


# ---------------------------------------------------------------------------- shards


Z = np.random.default_rng(1).standard_normal(5000) * 3
Z[::9] = -inf


@pytest.mark.parametrize("k", [None, 1, 40, 4444])
def test_sharded_draws_are_the_same_for_all_chunks(k):
    want = Reservoir(2, k or 1).update(Z, 0).indices
    for chunks in (5000, 1000, 333, (1, 4000, 999)):
        found = here.sample_sharded(da.from_array(Z, chunks=chunks), k=k, seed=2)
        assert found.shape == (() if k is None else (k,))
        assert found.dtype == np.int64
        assert_array_equal(found.compute(), want[0] if k is None else want)
    assert np.ndim(here.sample_sharded(da.from_array(Z), seed=2).compute()) == 0


def test_a_sharded_draw_is_the_reservoirs():
    """Whose law is tested where it lives."""
    dist = Categorical.from_weights([1, 0, 3, 4, 2])
    logits = da.from_array(dist.logits, chunks=2)
    draws = dask.compute(*[here.sample_sharded(logits, seed=seed) for seed in range(100)])
    want = [Reservoir(seed).update(dist.logits, 0).indices[0] for seed in range(100)]
    assert_array_equal(draws, want)
    assert set(draws) == {0, 2, 3, 4}


def test_many_shards_that_are_made_where_they_are_read():
    """10⁷ float32 logits that no worker holds at once, in two chunkings."""

    def logits(chunk):
        numbers = da.arange(10_000_000, chunks=chunk)
        return ((numbers * 2654435761) % 1_000_003).astype(np.float32) / 1e5

    want = here.sample_sharded(logits(1_000_000), k=5, seed=0).compute()
    assert_array_equal(here.sample_sharded(logits(777_777), k=5, seed=0).compute(), want)
    whole = np.asarray(logits(10_000_000))
    assert_array_equal(Reservoir(0, 5).update(whole, 0).indices, want)


# ---------------------------------------------------------------------------- two processes


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    patient = {"distributed.worker.daemon": False, "distributed.comm.timeouts.connect": "120s"}
    with (
        dask.config.set(patient),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_two_processes_draw_the_same(client):
    for dist in (DIST, BATCH):
        want = dist.sample(1000, rng=Keyed(3), method="alias")
        for chunks in (7, 300, -1):
            got = client.compute(here.sample(dist, 1000, chunks=chunks, seed=3)).result()
            assert_array_equal(got, want)
    counts = client.compute(here.sample_counts(DIST, 100_000, chunks=999, seed=1)).result()
    assert_array_equal(counts, here.sample_counts(DIST, 100_000, seed=1).compute())
    found = here.expectation(DIST, np.sqrt, 100_000, chunks=999, seed=1)
    mean, error = client.gather(client.compute(list(found)))
    assert_allclose((mean, error), dask.compute(*found), rtol=1e-12)
    logits = da.from_array(Z, chunks=700)
    got = client.compute(here.sample_sharded(logits, k=9, seed=2)).result()
    assert_array_equal(got, Reservoir(2, 9).update(Z, 0).indices)


def slowly(x):
    time.sleep(0.05)
    return x


def test_a_killed_worker_costs_a_recomputation_and_changes_no_draw(client):
    draws = here.sample(DIST, 4000, chunks=100, seed=8)
    future = client.compute(draws.map_blocks(slowly, dtype=np.int64))
    time.sleep(0.4)
    before = client.run(os.getpid)
    os.kill(next(iter(before.values())), signal.SIGKILL)
    assert_array_equal(future.result(timeout=60), DIST.sample(4000, rng=Keyed(8), method="alias"))
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != set(before.values())


# ---------------------------------------------------------------------------- bad input


def test_bad_input():
    for call in (
        here.sample,
        here.sample_counts,
        lambda d, n, **o: here.expectation(d, abs, n, **o),
    ):
        with pytest.raises(ValueError, match=r"n must be .* or more, got -1"):
            call(DIST, -1, seed=0)
        with pytest.raises(TypeError, match="n must be an integer"):
            call(DIST, 1.5, seed=0)
        with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
            call(DIST, 9, seed=-1)
        with pytest.raises(TypeError, match="seed must be an integer, got None"):
            call(DIST, 9, seed=None)
        with pytest.raises(TypeError, match="dist must be a Categorical, got list"):
            call([0.5, 0.5], 9, seed=0)
        for chunks in ((3, 3), 0, -2, "three", (True, 8), (4.5, 4.5), (-5, 14)):
            with pytest.raises(ValueError, match="chunks must be 'auto', -1, or positive ints"):
                call(DIST, 9, chunks=chunks, seed=0)
        for chunks in (True, 1.5, None, {0: 3}):
            with pytest.raises(TypeError, match="chunks must be 'auto', -1, or positive ints"):
                call(DIST, 9, chunks=chunks, seed=0)
    with pytest.raises(ValueError, match="n must be 2 or more"):
        here.expectation(DIST, abs, 1, seed=0)
    with pytest.raises(TypeError, match="f must be callable, got 3"):
        here.expectation(DIST, 3, 9, seed=0)
    with pytest.raises(ValueError, match="f must return one value for each draw"):
        here.expectation(DIST, np.sum, 9, seed=0)
    with pytest.raises(TypeError, match="values of f must be real numbers"):
        here.expectation(DIST, lambda x: None, 9, seed=0)


def test_bad_shards():
    logits = da.from_array(Z, chunks=1000)
    for bad, error, match in (
        (Z, TypeError, "logits must be a Dask array, got ndarray"),
        (logits[None], ValueError, r"logits must have shape \(K,\), got shape \(1, 5000\)"),
        (logits[logits > 0], ValueError, "logits must have known chunks"),
        (logits.astype(complex), TypeError, "logits must be real numbers, got dtype complex128"),
    ):
        with pytest.raises(error, match=match):
            here.sample_sharded(bad, seed=0)
    for k in (0, 5001):
        with pytest.raises(ValueError, match="k must be in 1 … 5000"):
            here.sample_sharded(logits, k=k, seed=0)
    with pytest.raises(ValueError, match="k must be at most the number of categories"):
        here.sample_sharded(logits, k=4999, seed=0).compute()
    with pytest.raises(ValueError, match="got nan for category 1234"):
        here.sample_sharded(da.where(da.arange(5000) == 1234, np.nan, logits), seed=0).compute()
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        here.sample_sharded(logits, seed=-3)


def test_without_dask(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask.array", None)
    with pytest.raises(ImportError, match=r"softargmax.dask needs Dask: pip install 'softargmax"):
        here.sample(DIST, 3, seed=0)
