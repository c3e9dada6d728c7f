"""Weights for draws, formed from the logits where they are needed."""

from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import as_rows, quiet
from softargmax._inputs import Inputs
from softargmax._kernels import LIMITS, centred, column


class Scores(NamedTuple):
    """Rows whose weights exp(coldness·(z - top)) are formed where they are needed.

    For draws: the largest weight of a row is 1, and β is in the logits' dtype, less exact.
    """

    z: Any  # (rows, K): the logits, or d, whose top is 0 and coldness 1
    top: Any  # (rows, 1)
    coldness: Any  # (rows, 1) or a scalar, of z's dtype; only a scalar may be 0 or inf

    @classmethod
    @quiet
    def of(cls, given: Inputs) -> "Scores":
        """The logits themselves, or d where a prior, β or a gap asks for more care."""
        shape = given.batch_shape
        if given.prior is None and given.z.shape[:-1] == shape:
            z = as_rows(given.z, shape)
            top = z.max(axis=-1, initial=-np.inf) if given.top is None else given.top
            top = top.reshape(-1, 1)
            coldness = given.heat.coldness
            at_limit = type(coldness) is float and coldness in (0, np.inf)
            coldness = z.dtype.type(coldness) if at_limit else plain_coldness(given, top)
            if coldness is not None:
                return cls(z, top, column(coldness, shape))
        z = as_rows(centred(given), shape)
        return cls(z, np.zeros((len(z), 1), z.dtype), z.dtype.type(1))

    def weigh(self, rows: Any, z: Any, out: Any) -> Any:
        """The weights of logits ``z`` (rows, …) that are those of the given rows."""
        coldness = self.coldness if self.coldness.ndim == 0 else self.coldness[rows]
        if coldness.ndim == 0 and coldness in (0, np.inf):
            np.copyto(out, z == self.top[rows] if coldness else z > -np.inf)
            return out
        np.subtract(z, self.top[rows], out=out)
        if coldness.ndim or coldness != 1:
            out *= coldness
        return np.exp(out, out=out)


@quiet
def columns(given: Inputs) -> Any:
    """exp(β·gap)·π₀ of a 1-d batch of short rows as columns, (K, rows), the largest 1.

    With many short rows, an operation on a column costs less than one on a row.
    """
    if given.prior is None and given.z.shape[:-1] == given.batch_shape:
        z = given.z.T.copy()
        top = z.max(axis=0)
        coldness = plain_coldness(given, top)
        if coldness is not None:
            z -= top
            z *= coldness
            return np.exp(z, out=z)
    d = centred(given)
    return np.exp(d, out=d).T


def plain_coldness(given: Inputs, top: Any) -> Any:
    """β in the logits' dtype; None where it is extreme, or a gap below ``top`` may be."""
    limits, coldness = LIMITS[given.z.dtype.char], given.heat.coldness
    if (top > limits.far).any() or not limits.hold(coldness):
        return None
    return (
        given.z.dtype.type(coldness) if type(coldness) is float else coldness.astype(given.z.dtype)
    )
