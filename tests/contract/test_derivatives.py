"""First and second derivatives are finite everywhere, and right where there is a slope."""

import inspect
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from softargmax import Categorical, thermodynamics, tokens
from softargmax.resampling import effective_sample_size
from surface import functions_of_a_distribution

pytestmark = pytest.mark.frameworks
inf = math.inf
HISTORIES = np.tile([0, 1, 0, 1, 0], (3, 3, 1))
STAGES = [
    tokens.Allow([0, 1, 2, 4]),
    tokens.Mirostat(1.0),
    tokens.Ban([3]),
    tokens.DRY(0.8),
    tokens.DynamicTemperature(0.5, 1.5),
    tokens.EpsilonCutoff(0.1),
    tokens.EtaCutoff(0.1),
    tokens.FrequencyPenalty(0.3),
    tokens.LogitBias({2: 0.7}),
    tokens.MinLength(9, [4]),
    tokens.MinP(0.2),
    tokens.NoRepeatNgram(2),
    tokens.PLess(),
    tokens.PresencePenalty(0.3),
    tokens.RepetitionPenalty(1.3),
    tokens.Temperature(0.7),
    tokens.TopH(0.6),
    tokens.TopK(2),
    tokens.TopNSigma(1.0),
    tokens.TopP(0.8),
    tokens.Typical(0.8),
    tokens.XTC(0.1, 0.5),
    tokens.XTC(0.1, 1.0),
    tokens.XTC(0.1, 0.0),
    tokens.XTC(0.1, 0.5, then=tokens.TopK(2)),
    tokens.BanSequences([[0, 1], [2, 2, 4]]),
    tokens.Force([1], 5),
    tokens.LengthDecay(1, 1.1, [4]),
    tokens.SequenceBias({(0, 1): 0.3, (4,): -1.0}),
    tokens.Chain([tokens.Temperature(0.7), tokens.TopK(3), tokens.XTC(0.2, 0.5)]),
]
OTHERS = {"Chain", "LogitsProcessor", "PerRow", "Stage", "Truncation"}  # made of these


def test_every_stage_is_here():
    classes = {name for name in tokens.__all__ if inspect.isclass(getattr(tokens, name))}
    known = {type(stage).__name__ for stage in STAGES} | OTHERS
    stages = {name for name in classes if issubclass(getattr(tokens, name), tokens.Stage)}
    assert stages <= known, f"no derivative is tested of {stages - known}"


# A ladder with both limits, ordinary rungs, and temperatures whose inverses overflow.
LADDER = [0.0, 5e-324, 1e-310, 1e-80, 0.5, 1.0, 3.0, 1e80, inf]
ROWS = [[0.3, 1.0, 2.0, -0.5, 0.9], [0.3, 1.0, 1.0, -inf, -0.5], [0.0, 0.0, 0.0, 0.0, 0.0]]
WEIGHTS = [1.0, 2.0, 1e-30, 1e30, 0.0]


def log_p_of_survivors(xp, dist):
    log_p = dist.log_probs
    return xp.where(log_p > -inf, log_p, xp.zeros_like(log_p))


QUANTITIES = {
    **functions_of_a_distribution(thermodynamics),
    "probs": lambda dist: dist.probs,
    "H": lambda dist: dist.entropy(),
    "perplexity": lambda dist: dist.perplexity(),
    "variance": lambda dist: dist.variance([0.0, 1.0, 5.0, 2.0, 0.5]),
    "effective_sample_size": effective_sample_size,
}


def torch_derivatives(function, *values):
    """y, ∂Σy and the derivative of that in one direction, of float64 arrays."""
    import torch

    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in values]
    y = function(torch, *leaves)
    total = torch.where(torch.isfinite(y), y, 0.0).sum()
    first = torch.autograd.grad(total, leaves, create_graph=True)
    along = sum(
        (g * torch.sin(1.0 + torch.arange(g.numel()).reshape(g.shape))).sum() for g in first
    )
    second = torch.autograd.grad(along, leaves, allow_unused=True)
    return y, first, [g for g in second if g is not None]


def jax_derivatives(function, *values):
    import jax

    jnp, which = jax.numpy, tuple(range(len(values)))

    def total(*leaves):
        y = function(jnp, *leaves)
        return jnp.where(jnp.isfinite(y), y, 0.0).sum()

    def along(*leaves):
        first = jax.grad(total, which)(*leaves)
        return sum((g * jnp.sin(1.0 + jnp.arange(g.size).reshape(g.shape))).sum() for g in first)

    def everything(*leaves):
        return (
            function(jnp, *leaves),
            jax.grad(total, which)(*leaves),
            jax.grad(along, which)(*leaves),
        )

    with jax.enable_x64(True):
        return jax.jit(everything)(*(jnp.asarray(x, dtype=jnp.float64) for x in values))


def check_finite(derivatives):
    _, first, second = derivatives
    for gradient in (*first, *second):
        assert np.isfinite(
            np.asarray(gradient.detach() if hasattr(gradient, "detach") else gradient)
        ).all()


def of_ladders(derivatives, name, prior):
    def answer(_, z, t):
        return QUANTITIES[name](Categorical(z, t, prior=prior))

    return derivatives(answer, np.array(ROWS)[:, None], [LADDER])


def of_stages(derivatives, stage):
    def answer(xp, z):
        return log_p_of_survivors(xp, stage(Categorical(z, [1.0, 0.0, inf]), HISTORIES))

    return derivatives(answer, np.repeat(np.array(ROWS)[:, None], 3, 1))


@pytest.mark.parametrize("prior", [None, WEIGHTS])
@pytest.mark.parametrize("name", QUANTITIES)
def test_ladders(name, prior):
    pytest.importorskip("torch")
    check_finite(of_ladders(torch_derivatives, name, prior))


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_stages(stage):
    pytest.importorskip("torch")
    check_finite(of_stages(torch_derivatives, stage))


def test_a_rung_at_zero_leaves_the_slopes_of_the_others():
    torch = pytest.importorskip("torch")
    for name in functions_of_a_distribution(thermodynamics):
        for prior in (None, WEIGHTS):
            z = torch.tensor(ROWS[0], dtype=torch.float64, requires_grad=True)
            ladder = QUANTITIES[name](Categorical(z, [0.0, 0.5, inf, 2.0], prior=prior))
            for i, t in ((1, 0.5), (3, 2.0)):
                (together,) = torch.autograd.grad(ladder[i], z, retain_graph=True)
                (alone,) = torch.autograd.grad(QUANTITIES[name](Categorical(z, t, prior=prior)), z)
                assert_allclose(together, alone, rtol=1e-12)


def test_the_slope_of_a_ladder_in_jax():
    jax = pytest.importorskip("jax")

    def total(z):
        return thermodynamics.log_partition(Categorical(z, np.array([0.0, 1.0])))[1]

    found = jax.jit(jax.grad(total))(jax.numpy.asarray([0.5, 1.0, 2.0]))
    assert_allclose(found, Categorical([0.5, 1.0, 2.0]).probs, rtol=1e-6)


@pytest.mark.slow  # JAX compiles second derivatives for some seconds each
@pytest.mark.parametrize("name", QUANTITIES)
def test_ladders_in_jax(name):
    pytest.importorskip("jax")
    check_finite(of_ladders(jax_derivatives, name, WEIGHTS))


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_stages_in_jax(stage):
    pytest.importorskip("jax")
    check_finite(of_stages(jax_derivatives, stage))
