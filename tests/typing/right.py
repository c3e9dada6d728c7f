"""Right calls, in which type checkers find nothing; read by test_typing.py, never run."""

from collections.abc import Sequence
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from softargmax import Categorical, RelaxedCategorical, log_softargmax, smooth_max, softargmax
from softargmax.draws import Keyed
from softargmax.gumbel import (
    conditional_gumbels,
    gumbel_max,
    gumbel_noise,
    gumbel_top_k,
    maximal_coupling,
    residual,
)
from softargmax.mixtures import mix, pool
from softargmax.policies import (
    MultiCategorical,
    boltzmann,
    boltzmann_gumbel,
    completed_q,
    epsilon_greedy,
    exp3,
    greedy,
    kl_regularized,
    thompson,
    ucb,
    with_dirichlet_noise,
)
from softargmax.resampling import effective_sample_size, resample
from softargmax.schedules import Constant, Cosine, Geometric, Linear, LinearColdness, Polynomial
from softargmax.temperatures import temperature_for_entropy, temperature_for_ess
from softargmax.thermodynamics import free_energy, internal_energy
from softargmax.tokens import (
    FrequencyPenalty,
    LogitBias,
    Mirostat,
    Temperature,
    TopK,
    TopP,
    chain,
    preset,
)
from softargmax.typing import ArrayLike, ArrayProtocol, NumpyLike, Rng, Rngs

Numpy = NDArray[Any]


class Tensor:
    """An array of a library that is not installed."""

    shape: tuple[int, ...]
    dtype: object
    ndim: int

    def backward(self) -> None: ...


class Key:
    """A torch.Generator, where PyTorch is not installed."""

    def initial_seed(self) -> int:
        return 0

    def seed(self) -> int:
        return 0


def numpy_in_numpy_out(
    x: NDArray[np.float32], rows: list[list[float]], whole: Sequence[int], flags: list[bool]
) -> None:
    dist = Categorical(x)
    assert_type(dist, Categorical[Numpy])
    assert_type(Categorical(rows), Categorical[Numpy])
    assert_type(Categorical(whole, temperature=0), Categorical[Numpy])
    assert_type(Categorical([1.0, 5.0, 5.0], np.float64(2)), Categorical[Numpy])
    assert_type(Categorical([x, x]), Categorical[Numpy])
    assert_type(Categorical(range(3), coldness=[1, -1]), Categorical[Numpy])
    assert_type(Categorical((1, 2), mask=flags, prior=x), Categorical[Numpy])
    assert_type(Categorical([[[[1, 2]]]]), Categorical[Numpy])
    assert_type(Categorical.from_weights([1, 3, 0]), Categorical[Numpy])
    assert_type(Categorical.from_weights(x, coldness=2.0), Categorical[Numpy])
    assert_type(Categorical.from_energies(x, 1.0, degeneracies=[1, 2]), Categorical[Numpy])
    assert_type(dist.logits, Numpy)
    assert_type(dist.temperature, Numpy)
    assert_type(dist.prior, Numpy | None)
    assert_type(dist.probs, NDArray[Any])
    assert_type(dist.log_probs, NDArray[Any])
    assert_type(dist.log_prob(0), Numpy)
    assert_type(dist.prob([0, 1]), Numpy)
    assert_type(dist.quantile(0.5), Numpy)
    assert_type(dist.mode(), Numpy)
    assert_type(dist.top(2), tuple[Numpy, Numpy])
    assert_type(dist.entropy(), Numpy)
    assert_type(dist.kl_divergence(Categorical(rows)), Numpy)
    assert_type(dist.expectation([1.0, 2.0]), Numpy)
    assert_type(dist.score(0), Numpy)
    assert_type(dist.sample(), Numpy)
    assert_type(dist.sample_and_log_prob(3), tuple[Numpy, Numpy])
    assert_type(dist.sample_counts(10), Numpy)
    assert_type(dist.sample_without_replacement(2), Numpy)
    assert_type(float(dist.entropy()), float)
    assert_type(int(dist.sample(rng=0)), int)
    assert_type(dist.probs.round(3), NDArray[Any])
    assert_type(dist.num_categories, int)
    assert_type(dist.batch_shape, tuple[int, ...])


def relatives_keep_their_arrays(dist: Categorical[Numpy], other: Categorical[Tensor]) -> None:
    assert_type(dist.tempered(0.5), Categorical[Numpy])
    assert_type(dist.tempered(coldness=[1.0, 2.0]).masked([True, False]), Categorical[Numpy])
    assert_type(dist[0], Categorical[Numpy])
    assert_type(list(dist), list[Categorical[Numpy]])
    assert_type(dist.relaxed(0.5), RelaxedCategorical[Numpy])
    assert_type(dist.relaxed(0.5).categorical, Categorical[Numpy])
    assert_type(other.tempered(0).probs, Tensor)
    assert_type(other.relaxed(0.5).sample(), Tensor)
    assert_type(RelaxedCategorical([0.0, 1.0], 0.5).sample(), Numpy)
    assert_type(mix([dist, dist], [1, 2]), Categorical[Numpy])
    assert_type(pool([other, other], [1, 2]).entropy(), Tensor)
    assert_type(residual(dist, dist), Categorical[Numpy])
    assert_type(maximal_coupling(dist, dist, rng=0), tuple[Numpy, Numpy])
    assert_type(conditional_gumbels(other, 0), Tensor)
    assert_type(free_energy(dist), Numpy)
    assert_type(internal_energy(other), Tensor)
    gumbel_top_k(dist, 3)


def another_library(x: Tensor, key: Key) -> None:
    dist = Categorical(x)
    assert_type(dist, Categorical[Tensor])
    assert_type(Categorical(x, 0.5, mask=[True, False]), Categorical[Tensor])
    assert_type(Categorical([1.0, 2.0], x), Categorical[Tensor])
    assert_type(Categorical.from_weights(x), Categorical[Tensor])
    assert_type(Categorical.from_energies(x, coldness=2), Categorical[Tensor])
    dist.entropy().backward()
    assert_type(dist.sample(3, rng=key), Tensor)
    assert_type(softargmax(x), Tensor)
    assert_type(greedy(x, mask=[1, 0]), Categorical[Tensor])
    assert_type(chain(TopK(2), TopP(0.9))(dist), Categorical[Tensor])
    assert_type(Linear(1.0, 0.1, steps=10)(x), Tensor)


def of_any_library(
    dist: Categorical,
    x: Any,
    array: ArrayProtocol,
    known: NumpyLike,
    other: Categorical[ArrayProtocol],
) -> None:
    """``Categorical`` alone is no error, and is of any library."""
    assert_type(dist.probs, Any)
    given: ArrayLike = x
    dist.log_prob(given)
    assert_type(other.probs, ArrayProtocol)
    assert_type(Categorical(array).probs, ArrayProtocol)
    assert_type(Categorical(known).probs, Numpy)
    of_any_library(dist, x, array, known, Categorical([1.0, 2.0]))


def functions(x: NDArray[np.float64]) -> None:
    assert_type(softargmax(x, 0.5), Numpy)
    assert_type(log_softargmax([0.0, 1.0], mask=[1, 0]), Numpy)
    assert_type(smooth_max(x, axis=0), Numpy)
    assert_type(greedy(x), Categorical[Numpy])
    assert_type(boltzmann([1, 2], 0.5, mask=[1, 0]).sample(rng=0), Numpy)
    assert_type(epsilon_greedy(x, 0.1), Categorical[Numpy])
    assert_type(kl_regularized(x, greedy(x), 1.0), Categorical[Numpy])
    assert_type(ucb(x, [1, 2]), Categorical[Numpy])
    assert_type(thompson(x), Categorical[Numpy])
    assert_type(exp3(x, 0.1), Categorical[Numpy])
    assert_type(boltzmann_gumbel(x, x, 1.0, rng=0), Categorical[Numpy])
    assert_type(with_dirichlet_noise(greedy(x), 0.3, 0.25), Categorical[Numpy])
    assert_type(resample(greedy(x), 8, scheme="ssp"), Numpy)
    assert_type(effective_sample_size(greedy(x)), Numpy)
    assert_type(temperature_for_entropy([0.0, 1.0], 0.5), Numpy)
    assert_type(temperature_for_ess(x, 1.5, mask=[True, True]), Numpy)
    assert_type(gumbel_max(x, gumbel_noise(2)), Numpy)
    assert_type(completed_q(x, q=[1.0, 2.0], visits=[1, 0], value=0.5), Numpy)
    several = MultiCategorical(np.zeros((3, 5)), sizes=(2, 3))
    assert_type(several, MultiCategorical[Numpy])
    assert_type(several.sample(rng=0), Numpy)
    assert_type(several.sample_and_log_prob(rng=0)[1], Numpy)
    assert_type(several.dimension(0), Categorical[Numpy])
    assert_type(several[0].entropy(), Numpy)


def randomness(dist: Categorical[Numpy], rng: Rng, rngs: Rngs, seeds: NDArray[np.int64]) -> None:
    dist.sample(rng=None)
    dist.sample(2, rng=1)
    dist.sample((2, 3), rng=np.random.default_rng(0), method="gumbel", workers=2)
    dist.sample(rng=np.random.SeedSequence(1))
    dist.sample(rng=[np.random.default_rng(0), 1])
    dist.sample(rng=seeds)
    dist.sample(rng=Keyed(0), method="alias")
    dist.sample(rng=rng)
    dist.sample(rng=rngs)
    dist.relaxed(0.5).straight_through(rng=0, gradient="probs")


class Counted(Categorical[Numpy]):
    """A class of one's own, whose methods have the signatures that help shows."""

    def sample(
        self,
        shape: int | tuple[int, ...] = (),
        *,
        rng: Any = None,
        method: Any = "auto",
        workers: int | None = None,
    ) -> Numpy:
        return super().sample(shape, rng=rng, method=method, workers=workers)


def stages(dist: Categorical[Numpy]) -> None:
    assert_type(TopP(0.9)(dist), Categorical[Numpy])
    assert_type(chain(FrequencyPenalty(0.5), Temperature(0.7))(dist, [1, 2]), Categorical[Numpy])
    assert_type(TopK(np.array([1, 50]))(dist), Categorical[Numpy])
    preset("llama.cpp", top_k=40, defaults=True)
    LogitBias({3: 1.0}, on="logits")
    FrequencyPenalty(0.5, of="prompt", prompt_length=3)
    Mirostat(target=3.0)(dist).sample(rng=0)


def schedules() -> None:
    value: float = Linear(1.0, 0.1, 10)(3)
    assert_type(Constant(value)(0), np.float64)
    assert_type(Geometric(1.0, end=0.1, steps=10)([0, 1]), Numpy)
    Cosine(1.0, end=0.1, steps=10)
    LinearColdness(1.0, stop=0.1, steps=10)
    Polynomial(1.0, end=0.1, steps=10, power=2)
    Categorical([1.0, 2.0], Linear(1.0, end=0.1, steps=10)(5))
