"""Gumbel-softmax: relaxed draws on the simplex, their density, their gradients."""

from softargmax.relaxed._categorical import RelaxedCategorical

__all__ = ["RelaxedCategorical"]


def __dir__() -> list[str]:
    return __all__
