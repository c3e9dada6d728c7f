"""One batch of many requests: a chain a row, and stages that adapt."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.tokens import (
    XTC,
    Allow,
    FrequencyPenalty,
    LogitsProcessor,
    Mirostat,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    chain,
    per_row,
    preset,
)

CHAINS = [
    chain(),
    chain(TopK(5), Temperature(0.5)),
    chain(RepetitionPenalty(1.3, on="logits"), FrequencyPenalty(0.5), TopP(0.8)),
    chain(Allow(lambda tokens: [0, 3, 5, len(tokens)]), XTC(0.1, 0.5)),
    preset("llama.cpp", defaults=True, repeat_penalty=1.2),
    Temperature(0),
]
HISTORIES = [[], [1, 2], [3, 3, 3], [5], [1, 2, 3, 4, 5, 4, 3], [2]]


@pytest.mark.parametrize("width", [30, 2000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_as_alone(width, dtype):
    z = np.random.default_rng(0).normal(0, 2, (6, width)).astype(dtype)
    z += np.arange(-600, 600, 200, dtype)[:, None]
    z[:, 7] = -np.inf
    dist = Categorical(z, [1.0, 0.5, 1.0, 2.0, 1.0, 1.0])
    for stages in (CHAINS, CHAINS[1:3] * 3, [TopK(3)] * 6):
        found = per_row(stages)(dist, HISTORIES)
        assert found.dtype == dtype
        assert found.batch_shape == (6,)
        for i, stage in enumerate(stages):
            alone = stage(dist[i], HISTORIES[i])
            assert_allclose(
                found.probs[i], alone.probs, rtol=1e-6 if dtype == np.float32 else 1e-13
            )
            assert_array_equal(found.probs[i] > 0, alone.probs > 0)
        drawn = found.sample(rng=list(range(6)))
        assert (found.prob(drawn) > 0).all()
    plain = Categorical(z)
    for row, p in zip(plain, per_row([TopP(0.999)] * 6)(plain).probs, strict=True):
        assert_allclose(p, TopP(0.999)(row).probs, rtol=1e-6 if dtype == np.float32 else 1e-13)
    padded = np.full((6, 7), -1)
    for row, tokens in zip(padded, HISTORIES, strict=True):
        row[7 - len(tokens) :] = tokens
    again = per_row(CHAINS)(dist, padded)
    assert_array_equal(again.probs, per_row(CHAINS)(dist, HISTORIES).probs)
    assert per_row([])(Categorical(np.zeros((0, width)))).batch_shape == (0,)


def test_rows_as_a_value_and_with_prompts():
    stage = per_row(CHAINS[:3])
    assert stage == per_row(tuple(CHAINS[:3])) != per_row(CHAINS[1:4])
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert chain(stage, TopK(2)).stages[0] == stage
    told = per_row([FrequencyPenalty(0.5), TopK(2), FrequencyPenalty(0.25)])
    lengths = [
        FrequencyPenalty(0.5, prompt_length=4),
        TopK(2),
        FrequencyPenalty(0.25, prompt_length=6),
    ]
    assert told.with_prompt(np.array([4, 5, 6])) == per_row(lengths)
    assert chain(told).with_prompt(3).stages[0].stages[2].prompt_length == 3
    for wrong, error, message in (
        (lambda: stage(Categorical(np.zeros((2, 9)))), ValueError, "one row for each of 3 stages"),
        (lambda: stage(Categorical(np.zeros(9))), ValueError, r"got batch \(\)"),
        (lambda: per_row([TopK(2), None]), TypeError, "stages must be a Stage, got NoneType"),
        (lambda: per_row(TopK(2)), TypeError, "stages must be one for each row, got TopK alone"),
        (lambda: stage(Categorical(np.zeros((3, 9)))), ValueError, "history must be given"),
        (lambda: told.with_prompt([1, 2]), ValueError, "prompt_length must have one .* 3 stages"),
        (lambda: XTC(0.1, 0.5, then=Mirostat(1.0)), ValueError, "then must not be adaptive"),
    ):
        with pytest.raises(error, match=message):
            wrong()


# ---------------------------------------------------------------------------- what adapts


@pytest.mark.parametrize("version", [1, 2])
def test_the_stage_and_the_pair_of_functions_agree(version):
    rng, sampler = np.random.default_rng(0), Mirostat(1.5, 0.3, version=version)
    state, stage = sampler.init(), chain(TopK(30), sampler)
    for seed in range(15):
        dist = Categorical(rng.normal(0, 2, 50))
        token, state = sampler.step(TopK(30)(dist), state, rng=seed)
        assert stage(dist).prob(token) > 0
        stage = stage.updated(dist, token)
        assert stage.stages[1].state == pytest.approx(state, rel=1e-12)
    assert stage.stages[1] == Mirostat(1.5, 0.3, version=version, state=stage.stages[1].state)
    assert TopK(3).updated(dist, 1) == TopK(3)
    out = int(np.flatnonzero(stage(dist).probs == 0)[0])  # padding, say
    assert stage.updated(dist, out) == stage


def test_the_first_mirostat_holds_its_target():
    dist, stage = Categorical(np.linspace(0.0, 8.0, 200)), Mirostat(1.5, 0.1, version=1)
    rng, surprise = np.random.default_rng(1), []
    for _ in range(300):
        left = stage(dist)
        token = left.sample(rng=rng)
        surprise.append(-left.log_prob(token))
        stage = stage.updated(dist, token)
    # the mean error is what μ moved, over rate times steps: an identity, not a chance
    assert np.mean(surprise) == pytest.approx(1.5 + (3.0 - stage.state) / 30, rel=1e-9)
    assert abs(stage.state - 3.0) < 3


def test_the_first_mirostat_at_the_edges():
    for z in ([3.0], [0.0, -np.inf, -np.inf], np.zeros(50), [0.0, -800.0, -1600.0]):
        for mu in (-50.0, 0.0, 1.0, 50.0):
            left = Mirostat(1.0, version=1, state=mu)(Categorical(z))
            assert 1 <= (left.probs > 0).sum() <= len(z)
    few = Mirostat(1.0, version=1, state=[0.1, 30.0])(
        Categorical(np.linspace(0, 9, 60)[None][[0, 0]])
    )
    assert (few.probs > 0).sum(-1).tolist() == [1, 60]


def test_rows_join_and_leave():
    rng = np.random.default_rng(0)
    stage = per_row([Mirostat(1.0), TopK(3), chain(Temperature(0.8), Mirostat(2.0, 0.5))])
    alone = list(stage.stages)
    for step in range(6):
        if step == 3:  # the first leaves, another joins
            alone = [*alone[1:], Mirostat(0.5)]
            stage = per_row([*stage.stages[1:], Mirostat(0.5)])
        dist = Categorical(rng.normal(0, 2, (3, 40)))
        token = stage(dist).sample(rng=rng)
        stage = stage.updated(dist, token)
        alone = [s.updated(dist[i], token[i]) for i, s in enumerate(alone)]
        assert stage == per_row(alone)
        stage = pickle.loads(pickle.dumps(stage))


def test_a_processor_adapts():
    rng = np.random.default_rng(0)
    stage = per_row([chain(TopK(20), Mirostat(1.0)), RepetitionPenalty(1.2)])
    processor = LogitsProcessor(stage)
    for _ in range(2):  # a new text begins where it began
        ids, now = np.array([[3, 4], [5, 6]]), stage
        for _ in range(5):
            z = rng.normal(0, 2, (2, 30))
            assert processor.stage_after(ids) == now
            log_p = processor(ids, z)
            assert_allclose(log_p, now(Categorical(z), ids).log_probs, rtol=1e-12)
            assert_array_equal(processor(ids, z), log_p)  # asked again
            token = Categorical(log_p).sample(rng=rng)
            now = now.updated(Categorical(z), token, ids)
            ids = np.concatenate([ids, token[:, None]], axis=1)
            processor = pickle.loads(pickle.dumps(processor))
    assert processor.stage == stage
    assert processor == LogitsProcessor(stage)
    # rows leave between steps
    after = processor.stage_after(ids)
    assert after == now
    rest = LogitsProcessor(per_row(after.stages[:1]))
    z = rng.normal(0, 2, (1, 30))
    assert_allclose(rest(ids[:1], z), now.stages[0](Categorical(z), ids[:1]).log_probs, rtol=1e-12)
    assert LogitsProcessor(TopK(3)).stage_after([1]) == TopK(3)


def test_a_processor_adapts_from_the_first_token():
    dist, nothing = Categorical([[0.0, 1.0], [2.0, 0.0]]), np.empty((2, 0), np.int64)
    processor = LogitsProcessor(per_row([Mirostat(1.0)] * 2))
    processor(nothing, dist.logits)
    wanted = processor.stage.updated(dist, [1, 0], nothing)
    assert processor.stage_after(np.array([[1], [0]])) == wanted


def test_no_stage_follows_a_mixture_in_a_row():
    rows = per_row([TopK(2), chain(TopK(3), XTC(0.1, 0.5))])
    for before in (rows, chain(rows), per_row([rows])):
        with pytest.raises(ValueError, match="stages must end with XTC, got TopP after it"):
            chain(before, TopP(0.5))


def test_each_row_gets_a_token():
    stage, dist = per_row([Mirostat(1.0), TopK(1)]), Categorical(np.zeros((2, 3)))
    for token in (1, [1], [1, 2, 0], [[1, 2]]):
        with pytest.raises(
            ValueError, match=r"token must have shape \(2,\), one per row, got shape"
        ):
            stage.updated(dist, token)


@pytest.mark.frameworks
@pytest.mark.parametrize("width", [30, 1200])
def test_rows_of_other_libraries(width):
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    z = np.random.default_rng(0).normal(0, 2, (6, width)).astype(np.float32)
    wanted = per_row(CHAINS)(Categorical(z), HISTORIES).probs
    leaf = torch.tensor(z, requires_grad=True)
    for x in (torch.tensor(z), leaf, jax.numpy.asarray(z)):
        found = per_row(CHAINS)(Categorical(x), HISTORIES).probs
        assert_allclose(
            np.asarray(found.detach() if x is leaf else found), wanted, rtol=1e-4, atol=1e-6
        )
    per_row(CHAINS)(Categorical(leaf), HISTORIES).probs[:, 3].sum().backward()
    assert torch.isfinite(leaf.grad).all()
    stage = per_row([Mirostat(1.0), Mirostat(2.0, version=1)])
    for x in (torch.tensor(z[:2]), jax.numpy.asarray(z[:2])):
        token = stage(Categorical(x)).mode()
        same = stage.updated(Categorical(z[:2]), np.asarray(token))
        for a, b in zip(stage.updated(Categorical(x), token).stages, same.stages, strict=True):
            assert float(a.state) == pytest.approx(float(b.state), rel=1e-4)


@pytest.mark.parametrize("width", [9, 2000])
def test_a_row_does_not_depend_on_its_neighbours(width):
    dist = Categorical(np.random.default_rng(0).normal(size=(2, width)), 2.0)
    penalty = FrequencyPenalty(1.0, on="logits")
    history = [[int(dist.mode()[0])], [0]]
    alone = chain(TopK(5), penalty)(dist[0], history[0])
    for other in (TopK(5), chain(), Temperature(0.5), FrequencyPenalty(0.5)):
        found = chain(per_row([TopK(5), other]), penalty)(dist, history)
        assert_allclose(found[0].probs, alone.probs, rtol=1e-13)
        assert found[0].temperature == 2.0


@pytest.mark.parametrize("width", [9, 2000])
def test_rows_keep_their_logits_and_temperatures(width):
    z = np.random.default_rng(0).normal(size=(4, width))
    z[2, 1] = -np.inf
    stages = [TopK(5), chain(), TopP(0.5), FrequencyPenalty(0.5)]
    dist, history = Categorical(z, [2.0, 0.0, np.inf, 0.5]), [[0]] * 4
    found = per_row(stages)(dist, history)
    assert_array_equal(found.temperature, [2.0, 0.0, np.inf, 1.0])
    for i in range(3):
        assert_array_equal(found.probs[i], stages[i](dist[i]).probs)
        own = found.probs[i] > 0
        assert_array_equal(found.logits[i][own], z[i][own])
    assert_allclose(found.logits[3], found.log_probs[3], rtol=1e-12)
    assert not found.temperature.flags.writeable
    assert not found.coldness.flags.writeable
    assert per_row([TopK(5)] * 4)(dist[[0] * 4]).temperature == 2.0
    for other in (
        Categorical(z, coldness=[1.0, -1.0, np.inf, 0.0]),
        Categorical(z, 2.0, prior=1 + np.arange(width)),
    ):
        found = per_row(stages)(other, history)
        assert found.temperature == 1.0
        for i in range(4):
            assert_allclose(found.probs[i], stages[i](other[i], [0]).probs, rtol=1e-12)
    masked = Categorical(z, 2.0, mask=np.arange(width) > 3)
    assert_array_equal(per_row(stages[:1] * 4)(masked).temperature, 2.0)
    assert_allclose(per_row(stages[:1] * 4)(masked).probs, TopK(5)(masked).probs, rtol=1e-14)
