"""What draws cost in memory, beyond the objects that they come from."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from softargmax import Categorical, log_softargmax
from softargmax._rows.memory import Scratch
from softargmax.policies import MultiCategorical

MIB = 2**20


def peak(call):
    """Bytes allocated at the worst moment of a call."""
    call()  # what is loaded on first use stays
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", ["inverse", "gumbel", "alias"])
@pytest.mark.parametrize("workers", [1, 2])
def test_many_draws_cost_their_output_and_a_bounded_block(method, workers):
    dist = Categorical(np.linspace(0, 3, 10))
    n = 1_000_000
    assert peak(lambda: dist.sample(n, rng=0, method=method, workers=workers)) < 8 * n + 4 * MIB


def test_counts_cost_no_draws():
    dist = Categorical(np.linspace(0, 3, 10))
    assert peak(lambda: dist.sample_counts(2**62, rng=0)) < MIB


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["auto", "gumbel"])
@pytest.mark.parametrize(("weighted", "arrays"), [(False, 3), (True, 6)])
def test_one_draw_costs_a_few_arrays(dtype, method, weighted, arrays):
    x = np.linspace(0, 9, 2**21, dtype=dtype)
    prior = x if weighted else None  # an array more, and its logarithms are float64
    got = peak(lambda: Categorical(x, 0.7, prior=prior).sample(rng=0, method=method))
    assert got < arrays * x.nbytes + 4 * MIB


def test_an_auto_draw_keeps_nothing_but_its_logits_and_the_sums_of_blocks():
    x = np.linspace(0, 9, 2**21, dtype=np.float32)
    assert peak(lambda: Categorical(x, 0.7).sample(rng=0)) < 1.2 * x.nbytes + MIB


@pytest.mark.parametrize("workers", [1, 2])
def test_log_probabilities_cost_themselves_and_a_block(workers):
    x = np.linspace(0, 9, 2**22, dtype=np.float32).reshape(32, -1)
    assert peak(lambda: log_softargmax(x, 0.7, workers=workers)) < x.nbytes + 8 * MIB


@pytest.mark.parametrize("num_categories", [50, 500])
def test_a_few_draws_of_many_rows_keep_no_sums(num_categories):
    ladder = Categorical(np.linspace(0, 3, num_categories), np.linspace(0.1, 2, 10_000))
    assert peak(lambda: ladder.tempered(ladder.temperature).sample(2, rng=0)) < 4 * MIB


def test_a_row_of_a_batch_costs_its_own():
    """Not a copy of what the rows of the batch share, in any library."""
    xp = pytest.importorskip("array_api_strict")
    rows, width = 300, 1000
    z, mask = np.zeros((rows, width)), np.ones((1, width), bool)
    for dist in (Categorical(z, prior=mask), Categorical(xp.asarray(z), prior=xp.asarray(mask))):
        for index in (7, slice(3, 5), [7, 8]):
            assert peak(lambda dist=dist, index=index: dist[index]) < 40 * width * 8


def test_quantiles_cost_their_points_and_one_row():
    xp = pytest.importorskip("array_api_strict")
    n, width = 2000, 5000
    dist = Categorical(xp.asarray(np.linspace(0, 3, width)))
    u = xp.asarray(np.linspace(0, 1, n))
    assert peak(lambda: dist.quantile(u)) < 20 * 8 * (n + width)  # 80 MB where they are combined


@pytest.mark.parametrize("sizes", [[2] * 4000 + [4000], [*range(1, 120)] * 2])
def test_factors_of_different_sizes_cost_little_more_than_their_logits(sizes):
    logits = np.zeros(sum(sizes))
    action = np.zeros(len(sizes), int)

    def use():
        policy = MultiCategorical(logits, sizes)
        return policy.probs, policy.sample_and_log_prob(rng=0), policy.score(action)

    assert peak(use) < 60 * logits.nbytes


def taken(size, dtype=np.float64):
    with Scratch(size, dtype) as memory:
        assert (len(memory), memory.dtype) == (size, dtype)
        return memory


def test_intermediate_memory_serves_one_at_a_time():
    size = 2**17
    with Scratch(size, np.float64) as first, Scratch(size, np.float64) as second:
        assert not np.shares_memory(first, second)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(taken, size).result()
        assert not np.shares_memory(first, other)
        assert not np.shares_memory(second, other)
    again = taken(size // 2)
    assert np.shares_memory(again, first) or np.shares_memory(again, second)
    taken(size + 1)
    taken(size, np.float32)


def test_little_intermediate_memory_is_kept():
    def nested(depth):
        with Scratch(2**18, np.float64), Scratch(2**22, np.float64):
            if depth:
                nested(depth - 1)

    tracemalloc.start()
    try:
        nested(5)
        assert tracemalloc.get_traced_memory()[0] < 2 * 2**18 * 8 + MIB
    finally:
        tracemalloc.stop()
