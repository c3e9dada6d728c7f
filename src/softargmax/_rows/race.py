"""Draws by a race of exponential clocks: Gumbel-max without logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._random.numpy import Generator, exponentials
from softargmax._rows.engine import kernels
from softargmax._rows.memory import BLOCK, blocks
from softargmax._rows.threads import by_blocks_of_noise


@ignore_fp_errors
def race(weights: Any, waits: Any) -> Any:
    """The winner of independent exponential clocks, argmin waits/weights: Gumbel-max without logs.

    Parameters
    ----------
    weights : array, shape (rows, K)
        Non-negative, one of each row above 0.
    waits : array, shape (n, rows, K)
        Standard exponentials, above 0.

    Returns
    -------
    int64, shape (n, rows)

    Raises
    ------
    ValueError
        For shapes that do not fit. The values are not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.draws import race
    >>> race(np.array([[1.0, 4.0, 0.0]]), np.array([[[1.0, 2.0, 1e-9]]]))
    array([[1]])
    """
    return np.argmin(waits / weights, axis=-1).astype(np.int64, copy=False)


@ignore_fp_errors
def least_waits(words: Any, p: Any) -> Any:
    """u/p for the numbers u that words of 64 bits stand for, no longer than the wait -log(1 - u)/p.

    A kernel takes a fifth of the time of NumPy's five passes.
    """
    fast = kernels()
    if fast is not None:
        return fast.least_waits(words, p)
    waits = (words >> np.uint64(1)).view(np.int64) * 2.0**-63
    waits += 2.0**-66  # 0 / 0 is no wait
    waits /= p
    return waits


def draw_by_race(rng: Generator, weights: Any, n: int, workers: int) -> Any:
    """n draws a row, (n, rows), from weights (rows, K)."""
    rows, num_categories = weights.shape
    if num_categories > BLOCK:
        return np.array([[_long_race(rng, row) for row in weights] for _ in range(n)], np.int64)
    out = np.empty(n * rows, np.int64)

    def work(block: slice, waits: Any) -> None:
        row = np.arange(block.start, block.stop) % rows
        out[block] = race(weights if rows == 1 else weights[row], waits)

    def noise(size: int) -> Any:
        return exponentials(rng, (size, num_categories))

    by_blocks_of_noise(work, n * rows, num_categories, noise, workers)
    return out.reshape(n, rows)


@ignore_fp_errors
def _long_race(rng: Generator, weights: Any) -> int:
    """The winner among many categories, a part of them at a time."""
    best, winner = np.inf, int(weights.argmax())
    for part in blocks(len(weights), 1):
        times = exponentials(rng, weights[part].shape)
        times /= weights[part]
        first = int(times.argmin())
        if times[first] < best:
            best, winner = float(times[first]), part.start + first
    return winner
