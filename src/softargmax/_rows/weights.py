"""Weights for draws, formed from the logits where they are needed, and not kept."""

from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import ignore_fp_errors
from softargmax._rows.centre import centre
from softargmax._rows.rows import LIMITS, Rows


class Weights(NamedTuple):
    """The weights exp(coldness·(z - top)) of rows, the largest of each 1.

    β is in the logits' dtype: good enough for draws, if less exact than in log-probabilities.
    """

    z: Any  # (rows, K): the logits, or d, whose top is 0 and coldness 1
    top: Any  # (rows, 1)
    coldness: Any  # (rows, 1) or a scalar, of z's dtype; only a scalar may be 0 or inf

    @classmethod
    @ignore_fp_errors
    def of(cls, rows: Rows) -> "Weights":
        """Of the logits themselves, or of d where a prior, β or a gap asks for more care."""
        if rows.prior is None:
            z = rows.z
            top = z.max(axis=-1, initial=-np.inf) if rows.top is None else rows.top
            coldness = rows.temperature.coldness
            if type(coldness) is float and coldness in (0, np.inf):
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
    if (top > limits.far).any() or not limits.hold(coldness):
        return None
    return rows.z.dtype.type(coldness) if type(coldness) is float else coldness.astype(rows.z.dtype)
