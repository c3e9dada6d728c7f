"""The mean of a correlated series, and its standard error by batch means."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors, unwrap

BATCHES = 32  # few, so that they are long; the error is then itself uncertain by 1 / √62 = 13 %


@ignore_fp_errors
def batch_means(series: Any) -> tuple[Any, Any]:
    """The means of a series (n, ...) over its first axis, and their standard errors.

    The series is cut into 32 batches (n // 2 of shorter ones); what does not fill them is left out
    of the error, at the beginning. NaN where there are fewer than two batches, or no entries.
    """
    n, rest = len(series), series.shape[1:]
    if n == 0:
        return unwrap(np.full(rest, np.nan)), unwrap(np.full(rest, np.nan))
    mean, count = series.mean(axis=0), min(BATCHES, n // 2)
    if count < 2:
        return unwrap(mean), unwrap(np.full(rest, np.nan))
    length = n // count
    batches = series[n - count * length :].reshape(count, length, *rest).mean(axis=1)
    return unwrap(mean), unwrap(np.sqrt(batches.var(axis=0, ddof=1) * length / n))
