"""Categorical distributions from logits and a temperature, right at every temperature."""

from softargmax.categorical import Categorical
from softargmax.functional import log_softargmax, smooth_max, softargmax
from softargmax.relaxed import RelaxedCategorical

__all__ = ["Categorical", "RelaxedCategorical", "log_softargmax", "smooth_max", "softargmax"]


def __getattr__(name: str) -> str:
    if name == "__version__":  # read on demand: importlib.metadata is slow to import
        from importlib.metadata import version

        return version("softargmax")
    raise AttributeError(f"module 'softargmax' has no attribute {name!r}")
