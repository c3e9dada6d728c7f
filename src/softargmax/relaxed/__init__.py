"""Gumbel-softmax: relaxed draws on the simplex, their density and gradients."""

from __future__ import annotations

from softargmax.relaxed._categorical import RelaxedCategorical

__all__ = ["RelaxedCategorical"]


def __dir__() -> list[str]:
    return __all__
