"""Policies: functions of action values that return a distribution over actions.

One object, a :class:`softargmax.Categorical` over the legal actions, both samples actions and gives
their log-probabilities. Its ``score``, ``entropy_gradient`` and ``fisher_information`` are
derivatives in the values that were given, or an error where there are none, as in UCB1's.
"""

from __future__ import annotations

from softargmax.policies._bandits import exp3, exp3_update, thompson, ucb
from softargmax.policies._exploration import boltzmann_gumbel, with_dirichlet_noise
from softargmax.policies._masks import action_mask_from_info
from softargmax.policies._multi import MultiCategorical
from softargmax.policies._planning import GumbelRoot, completed_q, gumbel_root
from softargmax.policies._policies import boltzmann, epsilon_greedy, greedy, kl_regularized

__all__ = [
    "GumbelRoot",
    "MultiCategorical",
    "action_mask_from_info",
    "boltzmann",
    "boltzmann_gumbel",
    "completed_q",
    "epsilon_greedy",
    "exp3",
    "exp3_update",
    "greedy",
    "gumbel_root",
    "kl_regularized",
    "thompson",
    "ucb",
    "with_dirichlet_noise",
]


def __dir__() -> list[str]:
    return __all__
