"""Parameters of stages: numbers of every kind; values that cannot be changed, and are hashed."""

import copy
import math
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, fields

import numpy as np
import pytest
from numpy.testing import assert_allclose

from softargmax import Categorical
from softargmax.tokens import (
    DRY,
    XTC,
    Allow,
    Ban,
    BanSequences,
    DynamicTemperature,
    EpsilonCutoff,
    EtaCutoff,
    Force,
    FrequencyPenalty,
    LengthDecay,
    LogitBias,
    LogitsProcessor,
    MinLength,
    MinP,
    Mirostat,
    NoRepeatNgram,
    PLess,
    PresencePenalty,
    RepetitionPenalty,
    SequenceBias,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    chain,
)

inf = math.inf

# What is made with one number, of which 1 is always a legal value.
BY_NUMBER = [
    Temperature,
    lambda x: DynamicTemperature(x, 2.0),
    lambda x: DynamicTemperature(0.5, 2.0, x),
    TopP,
    MinP,
    Typical,
    TopH,
    TopNSigma,
    EpsilonCutoff,
    EtaCutoff,
    TopK,
    lambda x: TopP(0.5, min_keep=x),
    lambda x: XTC(x, 0.5),
    lambda x: XTC(0.1, x),
    lambda x: XTC(0.1, 0.5, min_keep=x),
    RepetitionPenalty,
    FrequencyPenalty,
    PresencePenalty,
    NoRepeatNgram,
    DRY,
    lambda x: DRY(0.5, x),
    lambda x: DRY(0.5, 1.5, x),
    lambda x: FrequencyPenalty(0.5, last=x),
    lambda x: FrequencyPenalty(0.5, prompt_length=x),
    lambda x: MinLength(x, 0),
    lambda x: Force(0, x),
    lambda x: LengthDecay(x, 1.5, 0),
    lambda x: LengthDecay(2, x, 0),
    lambda x: LogitBias({3: x}),
    lambda x: SequenceBias({(3, 4): x}),
    Mirostat,
    lambda x: Mirostat(2.0, x),
]


@pytest.mark.parametrize("make", BY_NUMBER)
def test_arrays_without_axes_are_numbers(make):
    for one in (np.array(1), np.int8(1), np.uint64(1)):
        assert make(one) == make(1)
        assert hash(make(one)) == hash(make(1))
        assert repr(make(one)) == repr(make(1))
    for wrong in (True, np.True_, np.array(True), "1", np.array("1"), np.array([[True]]), ["1"]):
        with pytest.raises(TypeError, match="must be"):
            make(wrong)


@pytest.mark.parametrize("make", [TopP, Temperature, FrequencyPenalty, Mirostat])
def test_floats_without_axes_are_numbers(make):
    for half in (np.array(0.5), np.float32(0.5), np.float16(0.5), np.array(0.5, object)):
        assert make(half) == make(0.5)
        assert repr(make(half)) == repr(make(0.5))


# One of each class, with arrays and mappings wherever it takes them, and what it was made of.
ARRAYS = {name: np.array([0.25, 0.5]) for name in ("a", "b")}
WHOLE, MASK, IDS = np.array([3, 1]), np.array([[True, False, True]] * 2), np.array([2, 1])
BIAS, LONGER = {1: 2.0, 0: -inf}, {(1, 2): 2.0, (0,): -inf}
MADE = [
    lambda a, b: Temperature(a),
    lambda a, b: DynamicTemperature(a, b, 2.0),
    *((lambda a, b, make=make: make(a)) for make in (TopP, MinP, Typical, TopH, TopNSigma)),
    *((lambda a, b, make=make: make(a)) for make in (EpsilonCutoff, EtaCutoff, Mirostat)),
    lambda a, b: TopK(WHOLE),
    lambda a, b: PLess(),
    lambda a, b: XTC(a, b, then=TopP(a)),
    lambda a, b: RepetitionPenalty(a, of=IDS, prompt_length=WHOLE),
    lambda a, b: FrequencyPenalty(a, of=[IDS, IDS]),
    lambda a, b: PresencePenalty(a, prompt_length=WHOLE),
    lambda a, b: NoRepeatNgram(2, of=IDS),
    lambda a, b: DRY(a, 1 + b, 2, breakers=IDS),
    lambda a, b: MinLength(WHOLE, IDS),
    lambda a, b: Force(IDS, WHOLE),
    lambda a, b: LengthDecay(WHOLE, a, IDS),
    lambda a, b: LogitBias(BIAS),
    lambda a, b: LogitBias([BIAS, {}]),
    lambda a, b: SequenceBias(LONGER),
    lambda a, b: SequenceBias([LONGER, {}]),
    lambda a, b: BanSequences([IDS, [0]]),
    lambda a, b: Ban(IDS),
    lambda a, b: Ban([IDS, []]),
    lambda a, b: Ban(MASK),
    lambda a, b: Allow(MASK),
    lambda a, b: chain(TopP(a), LogitBias(BIAS)),
]


def parts_of(x):
    """All that an object holds."""
    yield x
    if isinstance(x, Mapping):
        x = tuple(x.values())
    if isinstance(x, tuple):
        for item in x:
            yield from parts_of(item)
    elif hasattr(x, "__dataclass_fields__"):
        for f in fields(x):
            yield from parts_of(getattr(x, f.name))


@dataclass(frozen=True, eq=False, repr=False)
class Hidden(TopK):
    """A stage of a user, with a field and an attribute of its own."""

    _scale: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "_known", self._scale + 1)


def test_what_is_made_on_first_use_alone_is_not_pickled():
    stage = Hidden(3, 7.0)
    chain(stage)(Categorical(np.zeros(5)))
    for other in (pickle.loads(pickle.dumps(stage)), copy.copy(stage)):
        assert other == stage
        assert (other._scale, other._known) == (7.0, 8.0)
        assert vars(stage).keys() - vars(other).keys() == {"_fixed"}


@pytest.mark.parametrize("make", MADE)
def test_stages_cannot_be_changed(make):
    given = [x.copy() for x in ARRAYS.values()]
    stage = make(*given)
    before = hash(stage), repr(stage)
    copies = [
        make(*given),
        pickle.loads(pickle.dumps(stage)),
        copy.deepcopy(stage),
        copy.copy(stage),
    ]
    for x in given:  # what the caller keeps is no part of it
        x += 0.125
    for other in (stage, *copies):
        assert other == stage
        assert (hash(other), repr(other)) == before
        for part in parts_of(other):
            assert not isinstance(part, dict | list | set)
            assert not isinstance(part, np.ndarray) or not part.flags.writeable
            if isinstance(part, Mapping):
                with pytest.raises(TypeError):
                    part[1] = 3.0
        for f in fields(other):
            with pytest.raises(FrozenInstanceError):
                setattr(other, f.name, 1)
    if given and any(
        isinstance(part, np.ndarray) and part.dtype == float for part in parts_of(stage)
    ):
        assert make(*given) != stage


def test_the_callers_mapping_may_change():
    bias = {1: 2.0}
    stage = LogitBias(bias)
    before = hash(stage)
    bias[1] = 9.0
    assert stage == LogitBias({1: 2}) != LogitBias(bias)
    assert hash(stage) == before
    assert dict(stage.bias) == {1: 2.0}


@pytest.mark.parametrize(
    "stage",
    [
        LogitBias({3: 2.5, 1: 1}),
        LogitBias([{3: 2.5}, {}]),
        SequenceBias({(3, 1): 2.5, 1: 1.0}, of="output"),
        BanSequences([[3, 1], [2]], prompt_length=4),
        BanSequences([[[3, 1], [2]], []]),
        Ban([3, 1, 3]),
        Ban([[3, 1], []]),
        MinLength(3, [2, 1]),
        Force(4, 2),
        LengthDecay(2, 1.5, 4, of="all"),
        FrequencyPenalty(0.5, of="prompt", prompt_length=2, last=3),
        Mirostat(2.0),
        LogitsProcessor(FrequencyPenalty(0.5), prompt_length=2),
    ],
    ids=repr,
)
def test_reprs_read(stage):
    assert eval(repr(stage)) == stage


def test_values_compare_by_what_they_are():
    assert TopP([0.1, 0.2]) == TopP(np.array([0.1, 0.2])) != TopP([0.2, 0.1])
    assert Temperature([0.0, 1]) == Temperature([-0.0, 1.0])
    assert hash(Temperature([0.0, 1])) == hash(Temperature([-0.0, 1.0]))
    assert Ban(MASK) != Allow(MASK) != Allow(~MASK)
    assert NoRepeatNgram(2, of=[1, 2]) == NoRepeatNgram(2, of=IDS[::-1]) != NoRepeatNgram(2)
    assert Mirostat([1.0, 2.0]) == Mirostat(np.array([1, 2])) != Mirostat(1.0)
    assert len({LogitBias({1: 1, 2: 2}), LogitBias({2: 2.0, 1: 1.0}), LogitBias({1: 1})}) == 2


@pytest.mark.frameworks
def test_arrays_of_other_libraries():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    for one in (torch.tensor(2), jax.numpy.asarray(2)):
        assert TopK(one) == TopK(2)
        assert MinLength(one, 0) == MinLength(2, 0)
        assert LogitBias({1: one}) == LogitBias({1: 2})
    for wrong in (torch.tensor(True), torch.tensor([True]), jax.numpy.asarray(True)):
        for make in (TopK, TopP, NoRepeatNgram):
            with pytest.raises(TypeError, match="must be"):
                make(wrong)
    heat = torch.tensor([0.5, 2.0], dtype=torch.float64)
    stage = Temperature(heat)
    before = hash(stage)
    heat += 1
    assert hash(stage) == before == hash(Temperature([0.5, 2.0]))
    assert_allclose(stage(Categorical(np.eye(2))).probs, Temperature([0.5, 2.0])(
        Categorical(np.eye(2))).probs)  # fmt: skip
    for make, name in ((MinLength, "n"), (lambda x, _: RepetitionPenalty(x), "theta")):
        with pytest.raises(TypeError, match=f"{name} must be known, got a traced array"):
            jax.jit(lambda x, f=make: f(x, 0)(Categorical(np.eye(2)), [[1], [1]]).probs)(2)
