"""Large batches and long rows: a block at a time, done while it is in the cache, nothing kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import Shape, ignore_fp_errors
from softargmax._arrays.weights import mean_by_weights
from softargmax._rows.centre import centre, excess
from softargmax._rows.few import ArrayLaw
from softargmax._rows.inversion import cumulative
from softargmax._rows.memory import Scratch, block_size, blocks
from softargmax._rows.rows import Rows
from softargmax._rows.sums import row_sums
from softargmax._rows.threads import share


class Long(ArrayLaw):
    """Rows whose d is formed anew for each answer."""

    def __init__(self, rows: Rows, batch: Shape) -> None:
        self.rows, self.batch, self.width = rows, batch, rows.z.shape[-1]

    def make_d(self) -> Any:
        return self._by_rows(centre)

    def make_log_probs(self, workers: int = 1) -> Any:
        return self._by_rows(_log_probs, workers)

    def make_probs(self, workers: int = 1) -> Any:
        return self._by_rows(_probs, workers)

    def make_entropy(self) -> Any:
        def answer(d: Any) -> Any:
            mean = np.zeros((len(d), 1))
            s = excess(d, mean)
            return (np.log1p(s) - mean / (1 + s))[:, 0]

        return number_of_rows(self.rows, answer).astype(self.rows.z.dtype).reshape(self.batch)

    def make_cdf(self) -> Any:
        """A block of rows at a time, so that the probabilities of all are never held."""
        out = np.empty((self.count, self.width))
        for block in blocks(self.count, self.width):
            part = self.rows.part(block)
            probs = np.empty(part.z.shape, part.z.dtype)
            with np.errstate(all="ignore"):
                _probs(part, probs)
            out[block] = cumulative(probs)
        return out

    def _by_rows(self, answer: Callable[[Rows, Any], None], workers: int = 1) -> Any:
        """An array like the logits, filled by ``answer(rows, out)`` a block at a time."""
        out = np.empty((self.count, self.width), self.rows.z.dtype)

        @ignore_fp_errors
        def work(block: slice) -> None:
            answer(self.rows.part(block), out[block])

        share(work, blocks(self.count, self.width, block_size(self.width, workers)), workers)
        return out.reshape(self.shape)


def _probs(rows: Rows, out: Any) -> None:
    centre(rows, out)
    np.exp(out, out=out)
    out /= row_sums(out)[:, None].astype(out.dtype)


def _log_probs(rows: Rows, out: Any) -> None:
    centre(rows, out)
    out -= np.log1p(excess(out)).astype(out.dtype)


@ignore_fp_errors
def number_of_rows(rows: Rows, answer: Callable[[Any], Any]) -> Any:
    """A float64 number for every row, ``answer(d)`` of its d, which is not kept."""
    count, width = rows.z.shape
    out, size = np.empty(count), block_size(width, 1)
    room = min(count, max(1, size // width)) * width
    with Scratch(room, rows.z.dtype) as memory:
        for block in blocks(count, width, size):
            d = memory[: (block.stop - block.start) * width].reshape(-1, width)
            centre(rows.part(block), d)
            out[block] = answer(d)
    return out


@ignore_fp_errors
def smooth_max(rows: Rows) -> Any:
    """z_t + (log1p(s) + log π_t)/β of every row, t being the likeliest category."""
    coldness, temperature = rows.temperature
    level = np.log1p(number_of_rows(rows, lambda d: excess(d)[:, 0]))
    if rows.prior is None:
        low = np.where(rows.z > -np.inf, rows.z, np.inf).min(axis=-1)
        base = np.where(np.less(coldness, 0), low, rows.z.max(axis=-1))
    else:
        likeliest = number_of_rows(rows, lambda d: d.argmax(axis=-1)).astype(np.int64)[:, None]
        base = np.take_along_axis(rows.z, likeliest, axis=-1)[:, 0]
        level += np.log(np.take_along_axis(rows.prior, likeliest, axis=-1)[:, 0].astype(np.float64))
    # Halves, since the rise alone may overflow beside a huge extremum of the other sign.
    half = level / 2
    rise = half / coldness if temperature is None else half * temperature
    # At a level of 0 nothing rises above the extremum, and the product may be 0·inf.
    near = np.where(np.isinf(2 * rise), 2 * (base / 2 + rise), base + 2 * rise)
    found = np.where(level == 0, base, near).astype(rows.z.dtype)
    if rows.prior is None or np.all(coldness):
        return found
    mean, even = mean_by_weights(rows.z, rows.prior, np)
    return np.where((coldness == 0) & even, mean, found)
