"""Walker's alias method: one table, then two look-ups a draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._random.numpy import Generator, uniforms
from softargmax._rows.engine import kernels
from softargmax._rows.memory import BLOCK, blocks
from softargmax._rows.threads import by_blocks_of_noise


class AliasTable(NamedTuple):
    """Walker's alias table of one row: column i keeps i below its threshold, else its alias.

    Built by prefix sums: light columns (K·p < 1) and heavy ones lie along one line each, the
    deficits of the light ones filled by the excesses of the heavy ones in turn. A heavy column that
    is used up becomes light for the next one (Vose, 1991, https://doi.org/10.1109/32.92917).

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.draws import AliasTable
    >>> table = AliasTable.build(np.array([1.0, 0.0, 3.0]))
    >>> table.take(np.array([0.0, 0.3, 0.5, 0.99])).tolist()
    [0, 2, 2, 2]
    """

    threshold: Any  # (K,) in [0, 1]
    alias: Any  # (K,) int32 where that suffices

    @classmethod
    @ignore_fp_errors
    def build(cls, weights: Any) -> AliasTable:
        """The table of the weights, shape (K,).

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.draws import AliasTable
        >>> AliasTable.build(np.array([1.0, 0.0, 3.0])).threshold
        array([0.75, 0.  , 1.  ])
        """
        num_categories = len(weights)
        share = np.asarray(weights, np.float64)
        share = share * (num_categories / share.sum())  # K·p, so that 1 is the column's height
        # Half the bytes of int64, and so twice the columns in the cache.
        dtype = np.int32 if num_categories <= 2**31 - 1 else np.int64
        # Rounding can leave every share just below 1; then the heaviest serves as the heavy one.
        if num_categories and not (share >= 1).any():
            share[share.argmax()] = 1
        fast = kernels()
        if fast is not None:
            alias = np.empty(num_categories, dtype)
            fast.tables.pair_up(share, alias)
            return cls(share, alias)
        light = np.flatnonzero(share < 1)
        heavy = np.flatnonzero(share >= 1)
        threshold, alias = np.ones(num_categories), np.arange(num_categories, dtype=dtype)
        if len(light) == 0:
            return cls(threshold, alias)
        deficit = np.concatenate([[0.0], np.cumsum(1 - share[light])])
        supply = np.cumsum(share[heavy] - 1)  # what the heavy columns up to this one can give
        # A light column takes from the heavy one in whose supply its deficit starts.
        giver = np.searchsorted(supply, deficit[:-1], side="right").clip(max=len(heavy) - 1)
        threshold[light], alias[light] = share[light], heavy[giver]
        # Heavy column j is overdrawn by the light column that crosses its supply; the next heavy
        # column tops it up. Columns at the end, short by rounding alone, stay as they are.
        crossing = np.searchsorted(deficit, supply[:-1], side="left")
        crossed = crossing < len(deficit)
        overdrawn = deficit[crossing[crossed]] - supply[:-1][crossed]
        donors = heavy[:-1][crossed]
        threshold[donors] = 1 - np.clip(overdrawn, 0, 1)
        alias[donors] = heavy[1:][crossed]
        return cls(threshold, alias)

    @ignore_fp_errors
    def take(self, u: Any) -> Any:
        """The categories that uniforms in [0, 1) select, of u's shape.

        Examples
        --------
        >>> import numpy as np
        >>> from softargmax.draws import AliasTable
        >>> AliasTable.build(np.array([1.0, 0.0, 3.0])).take(np.array([0.1, 0.3, 0.9]))
        array([0, 2, 2], dtype=int32)
        """
        fast = kernels()
        if fast is not None and isinstance(u, np.ndarray) and u.dtype == np.float64:
            found = np.empty((u.size, 1), np.int64)
            self._look_up(fast, u.reshape(-1, 1), 0, found)
            return found.reshape(u.shape).astype(self.alias.dtype, copy=False)
        column = u * len(self.threshold)
        index = column.astype(self.alias.dtype)
        column -= index
        alias = self.alias.take(index)
        alias -= index
        alias *= column >= self.threshold.take(index)
        return index + alias

    def _look_up(self, fast: Any, u: Any, row: int, out: Any) -> None:
        """Write the categories of a row's uniforms (n, rows), contiguous as ``out`` is."""
        if not fast.tables.look_up(u, row, self.threshold, self.alias, out):
            raise IndexError("uniforms must be in [0, 1)")


def draw_by_alias(rng: Generator, tables: list[AliasTable], n: int, workers: int) -> Any:
    """n draws a row, (n, rows), by one alias table a row."""
    rows, fast = len(tables), kernels()
    out = np.empty((n, rows), np.int64)
    if rows == 1 and workers == 1 and fast is None:
        _fill(rng, tables[0], out[:, 0])
        return out

    def work(block: slice, u: Any) -> None:
        for row, table in enumerate(tables):
            if fast is not None:
                table._look_up(fast, u, row, out[block])
            else:
                out[block, row] = table.take(u[:, row])

    # One thread has used a block's noise before it makes the next.
    memory = np.empty((min(n, max(1, BLOCK // max(rows, 1))), rows)) if workers == 1 else None

    def noise(size: int) -> Any:
        return uniforms(rng, (size, rows), out=None if memory is None else memory[:size])

    by_blocks_of_noise(work, n, rows, noise, workers)
    return out


@ignore_fp_errors
def _fill(rng: Generator, table: AliasTable, out: Any) -> None:
    """The draws of ``table.take`` from one stream, without an allocation in the loop."""
    size = min(len(out), BLOCK)
    u, threshold = np.empty(size), np.empty(size)
    index, alias = np.empty((2, size), table.alias.dtype)
    lost = np.empty(size, bool)
    for block in blocks(len(out), 1):
        if block.stop - block.start < size:
            out[block] = table.take(uniforms(rng, out[block].shape))
            return
        uniforms(rng, u.shape, out=u)
        u *= len(table.threshold)
        np.copyto(index, u, casting="unsafe")
        u -= index
        table.threshold.take(index, out=threshold, mode="clip")  # "raise" would copy first
        np.greater_equal(u, threshold, out=lost)
        table.alias.take(index, out=alias, mode="clip")
        alias -= index  # a product, since a branch on noise is mispredicted every other time
        alias *= lost
        np.add(index, alias, out=out[block])
