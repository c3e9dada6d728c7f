"""Waits of exponential clocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.maths import frozen, kernel


def least_waits(words: Any, p: Any) -> Any:
    """(word + ¼)/2⁶⁴/p, of words without their lowest bit."""
    waits = np.empty(len(p))
    _least_waits(words, frozen(p), waits)
    return waits


@kernel
def _least_waits(words: Any, p: Any, out: Any) -> None:
    for j in range(len(out)):
        i = np.uint64(j)
        half = np.int64(words[i] >> np.uint64(1))
        out[i] = (np.float64(half) * 2.0**-63 + 2.0**-66) / p[i]
