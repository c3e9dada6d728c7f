"""Alias tables by kernels: one merge of light and heavy columns, then two look-ups a draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.maths import kernel


@kernel
def pair_up(share: Any, alias: Any) -> None:
    """Make thresholds of shares K·p, one of them at least 1, and write aliases: as NumPy's bits.

    Each step settles one column: the next light one, or the heavy one that is used up. Which of
    the two is noise, and so chosen without a branch.
    """
    width = len(share)
    if width == 0:
        return
    light, heavy = np.empty(width + 1, alias.dtype), np.empty(width + 1, alias.dtype)
    few, many = 0, 0
    for i in range(width):
        light[few] = i
        heavy[many] = i
        few += share[i] < 1
        many += not share[i] < 1
    k, j, last = 0, 0, many - 1
    deficit, supply = 0.0, share[heavy[0]] - 1
    while k < few or (few > 0 and j < last and supply <= deficit):
        used = ((supply <= deficit) & (j < last)) | (k == few)
        own, giver, after = light[min(k, few - 1)], heavy[j], heavy[min(j + 1, last)]
        column = giver if used else own
        lack = share[own]
        share[column] = 1 - min(deficit - supply, 1.0) if used else lack
        alias[column] = after if used else giver
        deficit += 0.0 if used else 1 - lack
        supply += share[after] - 1 if used else 0.0
        j += used
        k += not used
    for i in range(j, many):  # as they are: what lacks is rounding
        share[heavy[i]] = 1
        alias[heavy[i]] = heavy[i]


@kernel
def look_up(u: Any, row: Any, threshold: Any, alias: Any, out: Any) -> Any:
    """Write the categories of a row's uniforms (n, rows), and say whether all are in [0, 1)."""
    width, farthest = np.uint64(min(len(threshold), len(alias))), np.uint64(0)
    if width == 0:
        return len(u) == 0
    for i in range(len(u)):
        column = u[i, row] * len(threshold)
        index = np.int64(column)
        place = np.uint64(index)  # of what is below 0, a number that is too large
        farthest = max(farthest, place)
        place = min(place, width - np.uint64(1))
        # A product, since a branch on noise is mispredicted every other time.
        out[i, row] = index + (alias[place] - index) * (column - index >= threshold[place])
    return farthest < width
