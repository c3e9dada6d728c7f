"""Token sampling: stages that truncate or edit next-token distributions, and chains of them."""

from softargmax.tokens._edits import Allow, Ban, DynamicTemperature, LogitBias, Temperature
from softargmax.tokens._mirostat import Mirostat
from softargmax.tokens._penalties import (
    DRY,
    FrequencyPenalty,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
)
from softargmax.tokens._presets import preset
from softargmax.tokens._processor import LogitsProcessor
from softargmax.tokens._speculative import verify
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
from softargmax.tokens._xtc import XTC

__all__ = [
    "DRY",
    "XTC",
    "Allow",
    "Ban",
    "Chain",
    "DynamicTemperature",
    "EpsilonCutoff",
    "EtaCutoff",
    "FrequencyPenalty",
    "LogitBias",
    "LogitsProcessor",
    "MinP",
    "Mirostat",
    "NoRepeatNgram",
    "PLess",
    "PresencePenalty",
    "RepetitionPenalty",
    "Stage",
    "Temperature",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
    "Truncation",
    "Typical",
    "chain",
    "preset",
    "verify",
]


def __dir__() -> list[str]:
    return __all__
