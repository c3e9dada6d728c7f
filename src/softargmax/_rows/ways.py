"""Which of several ways serves a shape: decided here and nowhere else."""

from typing import Any

from softargmax._arrays.namespaces import Shape
from softargmax._rows.law import Law
from softargmax._rows.long import Long
from softargmax._rows.memory import BLOCK
from softargmax._rows.rows import Rows, Temperature, rows_of
from softargmax._rows.short import SHORT, Short
from softargmax._rows.small import Small

# Up to so many draws of so many categories are worth no cumulative sum over all of these.
_FEW, MANY = 16, 1024
# One draw each of many rows up to this long goes by columns, from so many weights on.
_NARROW, _NUMEROUS = 64, 4096
# From so many draws on, and from half a draw a category on, a table pays for itself.
_TABLE = 1024


def law_of(z: Any, temperature: Temperature, prior: Any, batch: Shape = (), top: Any = None) -> Law:
    """The law of a batch of logits (..., K)."""
    if not batch and z.size <= SHORT:
        short = Short.of(z, temperature, prior)
        if short is not None:
            return short
    rows = rows_of(z, temperature, prior, batch, top)
    return Small(rows, batch) if rows.z.size <= BLOCK else Long(rows, batch)


def law_of_rows(rows: Rows) -> Law:
    """The law of rows that are at hand."""
    batch = (len(rows.z),)
    return Small(rows, batch) if rows.z.size <= BLOCK else Long(rows, batch)


def choose_method(method: str, n: int, rows: int, num_categories: int) -> str:
    """How n draws a row are made: "columns", "blocks", "rows", "inverse", "alias" or "gumbel".

    The first four are ways of the method "inverse", and "auto" is "inverse" or "alias". Nothing
    else counts, so that equal calls give equal draws. (One draw of one short row goes by Python
    floats before anyone asks.)
    """
    if method == "auto":
        method = "alias" if n >= _TABLE and 2 * n >= num_categories else "inverse"
    if method == "inverse":
        if n == 1 < rows and num_categories <= _NARROW and rows * num_categories > _NUMEROUS:
            return "columns"
        if n <= _FEW and num_categories >= MANY:
            return "blocks"
        if n <= _FEW and rows * num_categories > BLOCK:
            return "rows"
    return method
