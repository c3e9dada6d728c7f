"""Token sampling: stages that truncate or edit next-token distributions, and chains of them."""

from __future__ import annotations

from softargmax.tokens._allow import Allow
from softargmax.tokens._edits import Ban, DynamicTemperature, LogitBias, Temperature
from softargmax.tokens._lengths import Force, LengthDecay, MinLength
from softargmax.tokens._mirostat import Mirostat
from softargmax.tokens._penalties import (
    DRY,
    FrequencyPenalty,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
)
from softargmax.tokens._per_row import PerRow, per_row
from softargmax.tokens._presets import preset
from softargmax.tokens._processor import LogitsProcessor
from softargmax.tokens._sequences import BanSequences, SequenceBias
from softargmax.tokens._speculative import expected_accepted, verify
from softargmax.tokens._stage import Chain, Stage, chain
from softargmax.tokens._truncations import (
    EpsilonCutoff,
    EtaCutoff,
    MinP,
    PLess,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Truncation,
    Typical,
)
from softargmax.tokens._watermark import Detection, Watermark
from softargmax.tokens._xtc import XTC

__all__ = [
    "DRY",
    "XTC",
    "Allow",
    "Ban",
    "BanSequences",
    "Chain",
    "Detection",
    "DynamicTemperature",
    "EpsilonCutoff",
    "EtaCutoff",
    "Force",
    "FrequencyPenalty",
    "LengthDecay",
    "LogitBias",
    "LogitsProcessor",
    "MinLength",
    "MinP",
    "Mirostat",
    "NoRepeatNgram",
    "PLess",
    "PerRow",
    "PresencePenalty",
    "RepetitionPenalty",
    "SequenceBias",
    "Stage",
    "Temperature",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
    "Truncation",
    "Typical",
    "Watermark",
    "chain",
    "expected_accepted",
    "per_row",
    "preset",
    "verify",
]


def __dir__() -> list[str]:
    return __all__
