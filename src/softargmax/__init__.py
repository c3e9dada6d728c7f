"""Categorical distributions from logits and a temperature, right at every temperature."""

from softargmax.categorical import Categorical
from softargmax.functional import log_softargmax, smooth_max, softargmax

__all__ = ["Categorical", "log_softargmax", "smooth_max", "softargmax"]
