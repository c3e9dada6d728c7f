"""How time and memory grow with the categories K, the rows of a batch and the draws n."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softargmax import Categorical, log_softargmax

Call = Callable[[], Any]


def seconds_a_call(call: Call, budget: float) -> float:
    """The median of as many calls as fit, three at least."""
    call()
    times: list[float] = []
    stop = time.perf_counter() + budget
    while len(times) < 3 or (time.perf_counter() < stop and len(times) < 1000):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def by_categories(num_categories: int) -> dict[str, Call]:
    x = np.random.default_rng(0).standard_normal(num_categories).astype(np.float32)
    dist, rng = Categorical(x), np.random.default_rng(1)
    return {
        "object and one draw": lambda: Categorical(x).sample(rng=rng),
        "another draw of one object": lambda: dist.sample(rng=rng),
        "object and `log_probs`": lambda: Categorical(x).log_probs,
        "object and K draws": lambda: Categorical(x).sample(num_categories, rng=rng),
    }


def by_rows(rows: int) -> dict[str, Call]:
    x = np.random.default_rng(0).standard_normal((rows, 18)).astype(np.float32)
    rng = np.random.default_rng(1)

    def action() -> Any:
        dist = Categorical(x)
        return *dist.sample_and_log_prob(rng=rng), dist.entropy()

    return {
        "one draw of each row, K = 18": lambda: Categorical(x).sample(rng=rng),
        "draw, log-probability, entropy": action,
        "`log_softargmax`": lambda: log_softargmax(x),
    }


def by_draws(n: int) -> dict[str, Call]:
    x = np.random.default_rng(0).standard_normal((10, 100)).astype(np.float32)
    one, rows, rng = Categorical(x.ravel()), Categorical(x), np.random.default_rng(1)
    calls: dict[str, Call] = {
        "n draws of one row, K = 1,000": lambda: one.sample(n, rng=rng),
        "`sample_counts(n)`": lambda: one.sample_counts(n, rng=rng),
    }
    if n <= 10**6:
        calls["n draws of each of 10 rows, K = 100"] = lambda: rows.sample(n, rng=rng)
    return calls


TABLES: list[tuple[str, Callable[[int], dict[str, Call]], list[int]]] = [
    ("K", by_categories, [10**i for i in range(1, 8)]),
    ("rows", by_rows, [10**i for i in range(7)]),
    ("n", by_draws, [10**i for i in range(8)]),
]


def growth(show: Callable[[float], str], budget: float) -> Iterator[str]:
    """A table for each of K, rows and n; slopes are those of log time between its last sizes."""
    for name, calls, sizes in TABLES:
        columns: dict[str, list[float]] = {}
        for size in sizes:
            for job, call in calls(size).items():
                columns.setdefault(job, []).append(seconds_a_call(call, budget))
        yield f"| {name} | " + " | ".join(columns) + " |"
        yield "|---|" + "---|" * len(columns)
        for i, size in enumerate(sizes):
            cells = [show(column[i]) if i < len(column) else "" for column in columns.values()]
            yield f"| {size:,} | " + " | ".join(cells) + " |"
        slopes = [slope(sizes, column) for column in columns.values()]
        yield "| slope at the end | " + " | ".join(slopes) + " |"
        yield ""


def slope(sizes: list[int], column: list[float]) -> str:
    """d log time / d log size over the last two decades that were measured."""
    last = len(column) - 1
    rise = np.log(column[last] / column[last - 2])
    return f"{rise / np.log(sizes[last] / sizes[last - 2]):.2f}"


# ---------------------------------------------------------------------------- memory


def memory() -> Iterator[str]:
    """Peak memory of a call, in units of what it is given or gives back."""
    x = np.random.default_rng(0).standard_normal(10**7).astype(np.float32)
    batch = x[: 64 * 128_256].reshape(64, -1)
    dist = Categorical(x[:1000])
    n = 10**7
    yield "| call | peak beyond the result | in arrays of the logits' size |"
    yield "|---|---|---|"
    for job, call, given in [
        ("10,000,000 draws, K = 1,000", lambda: dist.sample(n, rng=0), None),
        ("one draw, K = 10,000,000", lambda: Categorical(x).sample(rng=0), x),
        (
            'the same, `method="gumbel"`',
            lambda: Categorical(x).sample(rng=0, method="gumbel"),
            x,
        ),
        (
            "the same with a prior",
            lambda: Categorical(x, prior=np.ones(len(x), bool)).sample(rng=0),
            x,
        ),
        ("64 × 128,256, one draw each", lambda: Categorical(batch).sample(rng=0), batch),
        ("`log_softargmax` of 64 × 128,256", lambda: log_softargmax(batch), batch),
    ]:
        call()
        tracemalloc.start()
        result = call()
        peak = tracemalloc.get_traced_memory()[1] - getattr(result, "nbytes", 0)
        tracemalloc.stop()
        share = "" if given is None else f"{peak / given.nbytes:.2f}"
        yield f"| {job} | {peak / 2**20:.1f} MiB | {share} |"
