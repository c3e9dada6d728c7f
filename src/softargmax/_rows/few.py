"""A few draws of every row by NumPy, in the way that serves their shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softargmax._rows.blocks import BlockSums, columns
from softargmax._rows.inversion import cumulative, invert, invert_columns
from softargmax._rows.law import Law
from softargmax._rows.memory import BLOCK, blocks
from softargmax._rows.rows import Rows
from softargmax._rows.threads import share

# So many categories are worth no cumulative sum over all of them for a few draws.
MANY = 1024
# One draw each of many rows up to this long goes by columns, from so many weights on.
_NARROW, _NUMEROUS = 64, 4096


class ArrayLaw(Law):
    """A law by array calls, which draws by what it answers."""

    rows: Rows

    def draw_few(self, u: Any, workers: int = 1) -> Any:
        way = choose_way(len(u), self.count, self.width)
        if way == "blocks":
            return self._sums(workers).invert(u)
        if way == "columns":
            return self._forgetting(lambda rows, u: invert_columns(columns(rows), u[0]), u, workers)
        if way == "rows":
            return self._forgetting(self._through_cdf, u, workers)
        return invert(self.cdf, u)

    def draw(self, u: float) -> Any:
        if self.width >= MANY:
            return np.int64(self._sums().invert_one(u))
        return np.int64(self.cdf[0].searchsorted(u, side="right"))

    def _sums(self, workers: int = 1) -> BlockSums:
        """The sums of blocks of every row, which are kept, since they are few."""
        found = self.__dict__.get("_block_sums")
        if found is None:
            found = self.__dict__["_block_sums"] = BlockSums.build(self.rows, workers)
        return found

    def _through_cdf(self, rows: Rows, u: Any) -> Any:
        law = type(self)(rows, (len(rows.z),))  # type: ignore[call-arg]
        return invert(cumulative(law.make_probs()), u)

    def _forgetting(self, invert: Callable[[Rows, Any], Any], u: Any, workers: int) -> Any:
        """Draws for uniforms, a block of rows at a time, whose sums are not kept."""
        found = np.empty(u.shape, np.int64)

        def work(block: slice) -> None:
            found[:, block] = invert(self.rows.part(block), u[:, block])

        share(work, blocks(*self.rows.z.shape), workers)
        return found


def choose_way(n: int, rows: int, num_categories: int) -> str:
    """How a few draws a row are made: by "columns", "blocks", "rows", or the whole "cdf"."""
    if num_categories >= MANY:
        return "blocks"
    if n == 1 < rows and num_categories <= _NARROW and rows * num_categories > _NUMEROUS:
        return "columns"
    return "rows" if rows * num_categories > BLOCK else "cdf"
