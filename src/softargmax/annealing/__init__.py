"""Monte Carlo runs: simulated annealing, replica exchange and sequential Monte Carlo."""

from __future__ import annotations

from softargmax.annealing._anneal import AnnealingResult, anneal
from softargmax.annealing._exchange import replica_exchange
from softargmax.annealing._ladder import tune_ladder
from softargmax.annealing._record import ExchangeResult
from softargmax.annealing._smc import SMCResult, smc

__all__ = [
    "AnnealingResult",
    "ExchangeResult",
    "SMCResult",
    "anneal",
    "replica_exchange",
    "smc",
    "tune_ladder",
]


def __dir__() -> list[str]:
    return __all__
