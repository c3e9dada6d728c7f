"""Wrong calls: each line marked ``# wrong`` is one that type checkers find, and no other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from softargmax import Categorical, RelaxedCategorical, smooth_max, softargmax
from softargmax.mixtures import mix
from softargmax.policies import MultiCategorical, boltzmann, epsilon_greedy, greedy
from softargmax.resampling import resample
from softargmax.schedules import Constant, Cosine, Linear, Polynomial
from softargmax.temperatures import temperature_for_entropy
from softargmax.tokens import (
    FrequencyPenalty,
    LogitBias,
    Mirostat,
    Temperature,
    TopK,
    chain,
    preset,
)

Numpy = NDArray[Any]


class Tensor:
    """An array of a library that is not installed."""

    shape: tuple[int, ...]
    dtype: object
    ndim: int


def arrays(x: NDArray[np.float64], names: list[str], dist: Categorical[Numpy]) -> None:
    Categorical("logits")  # wrong
    Categorical(["a", "b"])  # wrong
    Categorical([["a", "b"], ["c", "d"]])  # wrong
    Categorical(names)  # wrong
    Categorical(("a", "b"))  # wrong
    Categorical(None)  # wrong
    Categorical([1.0, None])  # wrong
    Categorical({1.0, 2.0})  # wrong
    Categorical({0: 1.0})  # wrong
    Categorical([1j])  # wrong
    Categorical()  # wrong
    Categorical(x, "1.0")  # wrong
    Categorical(x, Linear(1.0, 0.1, steps=10))  # wrong
    Categorical(x, 1.0, x)  # wrong
    Categorical(x, mask="10")  # wrong
    Categorical(x, coldness="2")  # wrong
    Categorical(x, temp=1.0)  # wrong
    Categorical(probs=x)  # wrong
    Categorical.from_weights("abc")  # wrong
    Categorical.from_weights(x, prior=x)  # wrong
    Categorical.from_energies(names)  # wrong
    RelaxedCategorical(x)  # wrong
    RelaxedCategorical("x", 1.0)  # wrong
    softargmax("logits")  # wrong
    softargmax(x, axis="last")  # wrong
    smooth_max(names)  # wrong
    dist.log_prob("a")  # wrong
    dist.expectation(names)  # wrong
    dist.tempered("cold")  # wrong
    dist.masked("mask")  # wrong
    dist.top("3")  # wrong
    dist.kl_divergence(x)  # wrong


def what_comes_out(x: NDArray[np.float64], t: Tensor) -> None:
    Categorical(x).probs.cuda()  # wrong
    Categorical(x).entropies()  # wrong
    Categorical(x).entropy + 1  # wrong
    Categorical(x).sample().detach()  # wrong
    Categorical(x).probs()  # wrong
    Categorical(t).probs.round(3)  # wrong
    softargmax([1.0, 2.0]).numpy()  # wrong
    wrong_library: Categorical[Tensor] = Categorical(x)  # wrong
    text: str = Categorical(x).mode()  # wrong
    print(wrong_library, text)


def draws(dist: Categorical[Numpy], x: NDArray[np.float64]) -> None:
    dist.sample("3")  # wrong
    dist.sample(rng="seed")  # wrong
    dist.sample(3, np.random.default_rng())  # wrong
    dist.sample(np.random.default_rng())  # wrong
    dist.sample(seed=0)  # wrong
    dist.sample(rng=0.5)  # wrong
    dist.sample(rng=["a", "b"])  # wrong
    dist.sample(method="walker")  # wrong
    dist.sample(workers=1.5)  # wrong
    dist.sample(2.5)  # wrong
    dist.sample_counts("10")  # wrong
    dist.relaxed(0.5).straight_through(gradient="hard")  # wrong
    resample(dist, 8, scheme="systemic")  # wrong
    resample(x, 8)  # wrong


def the_rest(dist: Categorical[Numpy], x: NDArray[np.float64]) -> None:
    greedy("values")  # wrong
    boltzmann(x, "1.0")  # wrong
    boltzmann(x, 1.0, mask="legal")  # wrong
    epsilon_greedy(x)  # wrong
    greedy(x).probs.backward()  # wrong
    mix([x, x], [1, 2])  # wrong
    mix([dist, dist], "ab")  # wrong
    temperature_for_entropy("logits", 0.5)  # wrong
    temperature_for_entropy(x, 0.5).backward()  # wrong
    MultiCategorical(x, sizes="23")  # wrong
    MultiCategorical(x, sizes=(2, 3)).mode().detach()  # wrong
    TopK("50")  # wrong
    Temperature("0.7")  # wrong
    Mirostat(target="3")  # wrong
    preset("huggingface")  # wrong
    chain(TopK(2))(x)  # wrong
    LogitBias({3: 1.0}, on="probs")  # wrong
    FrequencyPenalty(0.5, of="input")  # wrong
    Constant("1.0")  # wrong
    Linear(1.0, steps=10)  # wrong
    Linear(1.0, 0.1, end=0.1, steps=10)  # wrong
    Linear(1.0, finish=0.1, steps=10)  # wrong
    Cosine(1.0, end="0", steps=10)  # wrong
    Polynomial(1.0, end=0.1, steps=10)  # wrong
    Linear(1.0, 0.1, 10)("now")  # wrong
