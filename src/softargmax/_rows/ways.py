"""Which of several ways serves a shape: decided here and nowhere else."""

from __future__ import annotations

from typing import Any

from softargmax._arrays.namespaces import Shape
from softargmax._rows.engine import kernels
from softargmax._rows.law import Law
from softargmax._rows.long import Long
from softargmax._rows.memory import BLOCK
from softargmax._rows.rows import Temperature, rows_of
from softargmax._rows.short import SHORT, Short
from softargmax._rows.small import Small

# Up to so many draws a row are few: no cumulative distribution is formed for them where it is long.
_FEW = 16
# From so many draws on, and from half a draw a category on, a table pays for itself.
_TABLE = 1024


def law_of(z: Any, temperature: Temperature, prior: Any, batch: Shape = (), top: Any = None) -> Law:
    """The law of a batch of logits (..., K)."""
    fast = kernels()
    if fast is not None:
        found: Law = fast.law_of(z, temperature, prior, batch, top)
        return found
    if not batch and z.size <= SHORT:
        short = Short.of(z, temperature, prior)
        if short is not None:
            return short
    rows = rows_of(z, temperature, prior, batch, top)
    return Small(rows, batch) if rows.z.size <= BLOCK else Long(rows, batch)


def law_of_few(logits: Any, temperature: Temperature) -> Law | None:
    """The law of a few short rows of NumPy's native floats, which holds a copy of them.

    None of more or longer ones, of those that need more care, and where no kernels are.
    """
    fast = kernels()
    return None if fast is None else fast.short_law(logits, temperature)


def choose_method(method: str, n: int, num_categories: int) -> str:
    """How n draws a row are made: "few", "inverse", "alias" or "gumbel".

    The first is a way of the method "inverse", and "auto" is "inverse" or "alias". Nothing else
    counts, so that equal calls give equal draws.
    """
    if method == "auto":
        method = "alias" if n >= _TABLE and 2 * n >= num_categories else "inverse"
    return "few" if method == "inverse" and n <= _FEW else method
