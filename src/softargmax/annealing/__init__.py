"""Monte Carlo runs: simulated annealing, Gibbs sampling and replica exchange."""

from softargmax.annealing._anneal import AnnealingResult, anneal
from softargmax.annealing._exchange import ExchangeResult, replica_exchange

__all__ = ["AnnealingResult", "ExchangeResult", "anneal", "replica_exchange"]


def __dir__() -> list[str]:
    return __all__
