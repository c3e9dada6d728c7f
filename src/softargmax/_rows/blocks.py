"""Draws from weights that are formed where they are needed, and not kept.

A few draws from many categories take the sums of blocks, then look into one block.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.centre import CHUNK, centre
from softargmax._rows.inversion import invert
from softargmax._rows.memory import Scratch, block_size, blocks
from softargmax._rows.rows import LIMITS, Rows
from softargmax._rows.sums import WIDTH, block_sums
from softargmax._rows.threads import share

BELOW_ONE = 1 - 2.0**-53  # to which a quotient below 1 may round up


class Weights(NamedTuple):
    """The weights exp(coldness·(z - top)) of rows, the largest of each 1.

    β is in the logits' dtype: good enough for draws, if less exact than in log-probabilities.
    """

    z: Any  # (rows, K): the logits, or d, whose top is 0 and coldness 1
    top: Any  # (rows, 1)
    coldness: Any  # (rows, 1) or a scalar, of z's dtype; only a scalar may be 0 or inf

    @classmethod
    def of(cls, rows: Rows) -> Weights:
        """Of the logits themselves, or of d where a prior, β or a gap asks for more care."""
        if rows.prior is None:
            z = rows.z
            top = z.max(axis=-1, initial=-np.inf) if rows.top is None else rows.top
            coldness = rows.temperature.coldness
            if type(coldness) is float and (
                coldness == 0 or (coldness == np.inf and rows.temperature.infinite)
            ):
                return cls(z, top[:, None], z.dtype.type(coldness))
            coldness = _plain_coldness(rows, top)
            if coldness is not None:
                return cls(z, top[:, None], coldness[:, None] if coldness.ndim else coldness)
        d = np.empty(rows.z.shape, rows.z.dtype)
        centre(rows, d)
        return cls(d, np.zeros((len(d), 1), d.dtype), d.dtype.type(1))

    def of_logits(self, rows: Any, z: Any, out: Any) -> Any:
        """The weights of logits ``z`` (rows, …) that are those of the given rows."""
        coldness = self.coldness if self.coldness.ndim == 0 else self.coldness[rows]
        if coldness.ndim == 0 and coldness in (0, np.inf):
            np.copyto(out, z == self.top[rows] if coldness else z > -np.inf)
            return out
        np.subtract(z, self.top[rows], out=out)
        if coldness.ndim or coldness != 1:
            out *= coldness
        return np.exp(out, out=out)


@ignore_fp_errors
def columns(rows: Rows) -> Any:
    """The weights of many short rows as columns, (K, rows), the largest of each 1.

    With many short rows, an operation on a column costs less than one on a row.
    """
    if rows.prior is None:
        z = rows.z.T.copy()
        top = z.max(axis=0)
        coldness = _plain_coldness(rows, top)
        if coldness is not None:
            z -= top
            z *= coldness
            return np.exp(z, out=z)
    d = np.empty(rows.z.shape, rows.z.dtype)
    centre(rows, d)
    return np.exp(d, out=d).T


def _plain_coldness(rows: Rows, top: Any) -> Any:
    """β in the logits' dtype; None where it is extreme, or a gap below ``top`` may be."""
    limits, coldness = LIMITS[rows.z.dtype.char], rows.temperature.coldness
    if top.max(initial=-np.inf) > limits.far or not limits.hold(coldness):
        return None
    return rows.z.dtype.type(coldness) if type(coldness) is float else coldness.astype(rows.z.dtype)


class BlockSums(NamedTuple):
    """The cumulative sums of blocks of weights, for a few draws a row: no weight itself is kept."""

    weights: Weights
    cdf: Any  # (rows, blocks) in float64, ending in 1
    floor: Any  # (rows, 1) the weight below which a probability is no normal float, or 0

    @classmethod
    def build(cls, rows: Rows, workers: int = 1) -> BlockSums:
        """One pass over the logits; the last block of a row may be shorter."""
        return cls.of(Weights.of(rows), workers)

    @classmethod
    @ignore_fp_errors
    def of(cls, weights: Weights, workers: int = 1) -> BlockSums:
        """The sums of weights that are at hand."""
        rows, num_categories = weights.z.shape
        cdf = np.empty((rows, -(-num_categories // WIDTH)))
        width, size = min(num_categories, CHUNK), block_size(num_categories, workers)

        @ignore_fp_errors
        def work(block: slice) -> None:
            with Scratch(max(width, min(size, rows * width)), weights.z.dtype) as memory:
                for left in range(0, num_categories, width):
                    z = weights.z[block, left : left + width]
                    some = weights.of_logits(block, z, memory[: z.size].reshape(z.shape))
                    last = -(-(left + z.shape[1]) // WIDTH)
                    block_sums(some, cdf[block, left // WIDTH : last])
            np.cumsum(cdf[block], axis=-1, out=cdf[block])

        share(work, blocks(rows, num_categories, size), workers)
        total = cdf[:, -1:].copy()
        cdf /= total
        return cls(weights, cdf, LIMITS[weights.z.dtype.char].tiny * total)

    @ignore_fp_errors
    def invert(self, u: Any) -> Any:
        """Categories for uniforms (n, rows) in [0, 1): pick the block, then scan it alone."""
        z = self.weights.z
        if u.size == 1 and len(z) == 1:
            return np.array([[self.invert_one(float(u[0, 0]))]])
        rows, num_categories = np.arange(len(z)), z.shape[1]
        block = invert(self.cdf, u)
        before = np.where(block > 0, self.cdf[rows, block - 1], 0)
        inside = np.minimum((u - before) / (self.cdf[rows, block] - before), BELOW_ONE)
        whole = num_categories // WIDTH
        near = np.empty((*block.shape, WIDTH), z.dtype)
        if whole:
            parts = z[:, : whole * WIDTH].reshape(len(rows), whole, WIDTH)
            near[...] = parts[rows, np.minimum(block, whole - 1)]
        in_rest = block == whole
        if in_rest.any():
            near[in_rest] = -np.inf
            near[in_rest, : num_categories % WIDTH] = z[np.nonzero(in_rest)[1], whole * WIDTH :]
        weights = self.weights.of_logits(rows, near, near)
        weights *= weights >= self.floor
        total = np.cumsum(weights, axis=-1, dtype=np.float64)
        # ``inside`` is below 1, and so is its product with a sum below that sum.
        place = (total > (inside * total[..., -1])[..., None]).argmax(axis=-1)
        found = block * WIDTH + place
        empty = total[..., -1] == 0
        if empty.any():  # a first block below the floor, at u = 0: the likeliest stands in
            found = np.where(empty, z.argmax(axis=-1), found)
        return found

    @ignore_fp_errors
    def invert_one(self, u: float) -> int:
        """The category of one uniform and one row, by slices instead of index arrays."""
        cdf = self.cdf[0]
        block = int(cdf.searchsorted(u, side="right"))
        before = float(cdf[block - 1]) if block else 0.0
        inside = min((u - before) / (float(cdf[block]) - before), BELOW_ONE)
        z = self.weights.z[:, block * WIDTH : (block + 1) * WIDTH]
        weights = self.weights.of_logits(slice(1), z, np.empty(z.shape, z.dtype))[0]
        weights *= weights >= self.floor[0]
        total = weights.cumsum(dtype=np.float64)
        if total[-1] == 0:
            return int(self.weights.z.argmax())
        return block * WIDTH + int(total.searchsorted(inside * total[-1], side="right"))
