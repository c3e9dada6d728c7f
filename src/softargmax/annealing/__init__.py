"""Monte Carlo runs: simulated annealing, Gibbs sampling and replica exchange."""

from softargmax.annealing._anneal import AnnealingResult, anneal
from softargmax.annealing._exchange import replica_exchange
from softargmax.annealing._ladder import tune_ladder
from softargmax.annealing._record import ExchangeResult

__all__ = ["AnnealingResult", "ExchangeResult", "anneal", "replica_exchange", "tune_ladder"]


def __dir__() -> list[str]:
    return __all__
