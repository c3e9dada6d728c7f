"""Draws for those who outgrow one machine, on Dask: keyed by number, so that no chunk matters.

Every function returns lazy Dask arrays; what they hold depends on the distribution, n and the seed,
not on chunks, workers, schedulers or the workers that are lost on the way.
"""

from softargmax.dask._draws import Estimate, expectation, sample, sample_counts, sample_sharded

__all__ = ["Estimate", "expectation", "sample", "sample_counts", "sample_sharded"]


def __dir__() -> list[str]:
    return __all__
