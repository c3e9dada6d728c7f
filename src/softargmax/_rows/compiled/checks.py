"""What is looked at when logits come in: they are copied, their tops found and checked."""

from typing import Any

import numpy as np

from softargmax._rows.compiled.maths import LANE, frozen, kernel


def copied(logits: Any, z: Any, top: Any) -> bool:
    """Copy logits (..., K), find the largest of each row, and say whether all are finite."""
    width = z.shape[-1]
    given = frozen(logits).reshape(-1, width)
    return bool(_copied(given, z.reshape(-1, width), top.reshape(-1)))


@kernel
def _copied(given: Any, z: Any, top: Any) -> Any:
    width, flat, into = np.uint64(z.shape[1]), given.reshape(-1), z.reshape(-1)
    best, fine, whole = np.empty(LANE, z.dtype), True, len(z) // LANE * LANE
    for k in range(len(flat)):
        into[np.uint64(k)] = flat[np.uint64(k)]
    for start in range(0, whole, LANE):  # rows side by side: twice as fast and more
        best[:] = -np.inf
        for j in range(width):
            at = np.uint64(start) * width + np.uint64(j)
            for r in range(LANE):
                x, b = into[at + np.uint64(r) * width], best[r]
                best[r] = x if x > b or x != x else b
        for r in range(LANE):
            top[start + r] = best[r]
    for i in range(whole, len(z)):
        b = z[i, 0]
        for j in range(width):
            x = z[i, j]
            b = x if x > b or x != x else b
        top[i] = b
    for i in range(len(z)):
        fine &= -np.inf < top[i] < np.inf
    return fine
