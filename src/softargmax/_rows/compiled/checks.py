"""What is looked at when logits come in: they are copied, their tops found and checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from softargmax._rows.compiled.answers import highest
from softargmax._rows.compiled.maths import frozen, kernel


def copied(logits: Any, z: Any, top: Any) -> bool:
    """Copy logits (..., K), find the largest of each row, and say whether all are finite."""
    width = z.shape[-1]
    given = frozen(logits).reshape(-1, width)
    return bool(_copied(given, z.reshape(-1, width), top.reshape(-1)))


@kernel
def _copied(given: Any, z: Any, top: Any) -> Any:
    fine, flat, into = True, given.reshape(-1), z.reshape(-1)
    for k in range(len(flat)):
        into[np.uint64(k)] = flat[np.uint64(k)]
    highest(z, top)
    for i in range(len(z)):
        fine &= -np.inf < top[i] < np.inf
    return fine
