"""The tags of streams of random numbers: every function that draws has one of its own.

An equal rng gives equal noise under an equal tag, and independent noise under another. ``sample``
and its family have none: they draw from the rng itself. A tag is a readable word of four letters.
"""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Tag(IntEnum):
    """The words, as integers of 32 bits."""

    ANNEALING = int.from_bytes(b"annl")
    BOLTZMANN_GUMBEL = int.from_bytes(b"bogu")
    CONDITIONAL_GUMBELS = int.from_bytes(b"cond")
    COUNTS = int.from_bytes(b"coun")
    COUPLING = int.from_bytes(b"coup")
    DIRICHLET = int.from_bytes(b"diri")
    EXCHANGE = int.from_bytes(b"exch")
    FACTORS = int.from_bytes(b"fact")
    GUMBEL_NOISE = int.from_bytes(b"gumb")
    GUMBEL_RAO = int.from_bytes(b"grao")
    GUMBEL_TOP_K = int.from_bytes(b"topk")
    KEYED_DRAWS = int.from_bytes(b"draw")
    MIROSTAT = int.from_bytes(b"miro")
    RACE = int.from_bytes(b"race")
    RELAXED = int.from_bytes(b"rela")  # draws of RelaxedCategorical share their noise
    RESAMPLING = int.from_bytes(b"samp")
    RESERVOIR = int.from_bytes(b"resv")
    SMC = int.from_bytes(b"smcs")
    VERIFICATION = int.from_bytes(b"veri")
    WITHOUT_REPLACEMENT = int.from_bytes(b"wour")
