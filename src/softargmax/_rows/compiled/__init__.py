"""The rows of the engine "numba": kernels that are compiled on first use and kept on disk.

Nothing outside imports from here but ``_rows``, and only where numba is at hand. All arithmetic is
of IEEE operations in an order that the code fixes, so that every machine finds the same bits: exp
and log are polynomials of our own, sums are trees of a fixed shape, and a product is fused with a
sum only where the code says so.
"""

from __future__ import annotations

from softargmax._rows.compiled import resampling, solver, tables
from softargmax._rows.compiled.checks import copied
from softargmax._rows.compiled.law import law_of
from softargmax._rows.compiled.maths import has_fma
from softargmax._rows.compiled.prepared import SIZE, WIDTH, short_law
from softargmax._rows.compiled.race import least_waits
from softargmax._rows.compiled.thresholds import CompiledScores, heads_and_top, picker

__all__ = [
    "SIZE",
    "WIDTH",
    "CompiledScores",
    "copied",
    "has_fma",
    "heads_and_top",
    "law_of",
    "least_waits",
    "picker",
    "resampling",
    "short_law",
    "solver",
    "tables",
]
