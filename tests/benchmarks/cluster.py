"""A billion draws, and a draw from 10⁸ logits in chunks, by one process and by two.

    python tests/benchmarks/cluster.py

Extra ``dask``. It prints the wall time, the largest memory of a worker, and whether the answers of
different chunks and numbers of workers are the same.
"""

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster

from softargmax import Categorical
from softargmax.dask import expectation, sample_counts, sample_sharded

DRAWS = 1_000_000_000
SHARDED = 100_000_000
DIST = Categorical(np.random.default_rng(0).standard_normal(1000) * 2)


def logits(chunks: int) -> Any:
    """10⁸ float32 logits that are computed where they are read."""
    numbers = da.arange(SHARDED, chunks=chunks)
    mixed = (numbers * 2654435761) % 1_000_003
    return mixed.astype(np.float32) / np.float32(5e4)


def jobs() -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "10⁹ draws of K = 1,000, counted", lambda: sample_counts(DIST, DRAWS, seed=0)
    yield (
        "the same in chunks of 7,777,777",
        lambda: sample_counts(DIST, DRAWS, chunks=7_777_777, seed=0),
    )
    yield (
        "10⁹ draws, the mean of their square roots",
        lambda: da.stack(list(expectation(DIST, np.sqrt, DRAWS, seed=0))),
    )
    yield (
        "10⁸ logits in 16 chunks, one draw",
        lambda: sample_sharded(logits(SHARDED // 16), seed=0),
    )
    yield (
        "10⁸ logits in 23 chunks, ten draws",
        lambda: sample_sharded(logits(SHARDED // 23 + 1), k=10, seed=0)[:1][0],
    )
    yield "10⁸ logits in 16 chunks, computed alone", lambda: logits(SHARDED // 16).max()


def memory() -> int:
    """MiB that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    print("| | workers | seconds | MiB a worker | answer |")
    print("|---|---|---|---|---|")
    for workers in (1, 2):
        for title, job in jobs():
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                before = max(client.run(memory).values())
                start = time.perf_counter()
                answer = client.compute(job()).result()
                seconds = time.perf_counter() - start
                most = max(client.run(memory).values())
            name = dask.base.tokenize(answer)[:6] if np.ndim(answer) else int(answer)
            shown = np.array2string(np.asarray(answer).ravel()[:2], precision=8)
            print(f"| {title} | {workers} | {seconds:.1f} | {before} → {most} | {shown} {name} |")


if __name__ == "__main__":
    main()
