"""Categorical distributions from logits and a temperature, right at every temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softargmax._rows.engine import engine
from softargmax.categorical import Categorical
from softargmax.functional import log_softargmax, smooth_max, softargmax

if TYPE_CHECKING:
    from softargmax.relaxed import RelaxedCategorical

__all__ = [
    "Categorical",
    "RelaxedCategorical",
    "engine",
    "log_softargmax",
    "smooth_max",
    "softargmax",
]
_MODULES = (
    *("annealing", "dask", "draws", "functional", "gumbel", "mixtures", "plotting", "policies"),
    *("relaxed", "resampling", "schedules", "temperatures", "thermodynamics", "tokens", "typing"),
)


def __dir__() -> list[str]:
    return [*__all__, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:  # lazily: importing everything is slow
    if name == "RelaxedCategorical":
        from softargmax.relaxed import RelaxedCategorical

        return RelaxedCategorical
    if name == "__version__":
        from importlib.metadata import version

        return version("softargmax")
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"softargmax.{name}")
    raise AttributeError(f"module 'softargmax' has no attribute {name!r}")
