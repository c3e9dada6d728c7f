"""Find a temperature: for a given entropy, by calibration on labels, or by feedback."""

from __future__ import annotations

from softargmax.temperatures._calibration import FittedTemperature, fit_temperature
from softargmax.temperatures._calibrator import TemperatureCalibrator
from softargmax.temperatures._controller import EntropyController
from softargmax.temperatures._targets import (
    temperature_for_entropy,
    temperature_for_ess,
    temperature_for_max_prob,
    temperature_for_perplexity,
)

__all__ = [
    "EntropyController",
    "FittedTemperature",
    "TemperatureCalibrator",
    "fit_temperature",
    "temperature_for_entropy",
    "temperature_for_ess",
    "temperature_for_max_prob",
    "temperature_for_perplexity",
]


def __dir__() -> list[str]:
    return __all__
