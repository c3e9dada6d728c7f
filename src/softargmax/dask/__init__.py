"""Distributed draws on Dask: counter-based, so that they do not depend on the chunks.

Every function returns lazy Dask arrays; their values depend on the distribution, n and the seed,
not on chunks, workers or schedulers, nor on the loss of workers during the computation.
"""

from __future__ import annotations

from softargmax.dask._draws import Estimate, expectation, sample, sample_counts, sample_sharded

__all__ = ["Estimate", "expectation", "sample", "sample_counts", "sample_sharded"]


def __dir__() -> list[str]:
    return __all__
