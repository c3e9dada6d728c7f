"""A walk over the public surface with bad arguments, where values can be seen and where not.

Where values can be seen a bad argument is an error that names it. Where they are hidden (under
jit and vmap, in torch.func and torch.compile) nothing can be raised: the answer is NaN, or -1 where
it is a category or a count, in the row of the bad argument, and no other row changes. A public
function, method or parameter that stands neither among the calls nor among the exceptions fails
the first test.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from softargmax import (
    Categorical,
    RelaxedCategorical,
    gumbel,
    log_softargmax,
    mixtures,
    policies,
    resampling,
    schedules,
    smooth_max,
    softargmax,
    temperatures,
    thermodynamics,
    tokens,
)
from surface import public_calls

INF, NAN = np.inf, np.nan
BAD_ROW = 1  # of three


class Argument(NamedTuple):
    """Good values, one for each row, and bad ones for one row."""

    good: Any
    bad: tuple[Any, ...]
    called: str | None = None  # in messages, where it is not the parameter's name


def numbers(good: Any, *bad: Any, called: str | None = None) -> Argument:
    return Argument(np.array(good, np.float32), tuple(np.float32(b) for b in bad), called)


def integers(good: Any, *bad: Any, called: str | None = None) -> Argument:
    return Argument(np.array(good), tuple(np.array(b) for b in bad), called)


def scores(called: str) -> Argument:
    z = [[0, 1, 2], [5, 0, 0], [0, 0, 9]]
    return numbers(z, [NAN, 1, 2], [INF, 1, 2], [-INF, -INF, -INF], called=called)


def weights(good: Any, called: str) -> Argument:
    return numbers(good, [1, -1, 1], [1, NAN, 1], [1, INF, 1], [0, 0, 0], called=called)


LOGITS, VALUES = scores("logits"), scores("values")
TEMPERATURE = numbers([0.5, 1, 2], -1, NAN, called="temperature")
PRIOR = weights([[1, 1, 2], [1, 2, 1], [0.5, 1, 0.2]], "prior|logits")
MASK = numbers([[1, 1, 0], [1, 1, 1], [0, 1, 1]], [0, 2, 1], [1, NAN, 1], [0, 0, 0])
CATEGORY = integers([2, 0, 1], 3, -1)
COUNTS = integers([[1, 0, 2], [0, 3, 1], [2, 2, 2]], [1, -1, 2])
ORDER = integers([[0, 1], [1, 2], [1, 0]], [0, 3], [-1, 0], [1, 1])
SHARE = numbers([0.2, 0.5, 0.9], -0.1, 1.1, NAN)
POSITIVE = numbers([0.5, 1, 2], -1, NAN)
DIST = {"logits": LOGITS, "temperature": TEMPERATURE, "prior": PRIOR}
COLD = {"logits": LOGITS, "coldness": numbers([0.5, -1, 2], NAN)}


class Call(NamedTuple):
    """How to call something with its arguments by name."""

    function: Callable[..., Any]
    arguments: dict[str, Argument]
    draws: bool = False  # whether it takes rng=
    one_rng: bool = False  # whether a sequence of them is refused


def _draws(function: Callable[..., Any]) -> bool:
    return "rng" in inspect.signature(function).parameters


def of_dist(function: Callable[..., Any], **own: Argument) -> Call:
    """A function of a distribution, whose logits, temperature and prior may be bad too."""

    def call(logits: Any, temperature: Any, prior: Any, **others: Any) -> Any:
        return function(Categorical(logits, temperature, prior=prior), **others)

    return Call(call, {**DIST, **own}, _draws(function))


def method(name: str, *static: Any, **own: Argument) -> Call:
    """A method of a distribution."""
    found = of_dist(lambda dist, **others: getattr(dist, name)(*static, **others), **own)
    return found._replace(draws=_draws(getattr(Categorical, name)))


def of_pair(function: Callable[..., Any]) -> Call:
    """A function of two distributions."""

    def call(logits: Any, other: Any, **rng: Any) -> Any:
        return function(Categorical(logits), Categorical(other), **rng)

    other = LOGITS._replace(good=np.array([[0, 1, 1], [1, 2, 1], [0, 3, 1]], np.float32))
    return Call(call, {"logits": LOGITS, "other": other}, _draws(function))


def combined(function: Callable[..., Any], weights: Argument) -> Call:
    """A function of several distributions and their weights."""

    def call(logits: Any, other: Any, weights: Any) -> Any:
        return function([Categorical(logits), Categorical(other)], weights).log_probs

    return Call(call, {"logits": LOGITS, "other": LOGITS, "weights": weights})


def relaxed(function: Callable[..., Any], **own: Argument) -> Call:
    """A function of a relaxed distribution."""

    def call(logits: Any, temperature: Any, prior: Any, **others: Any) -> Any:
        return function(RelaxedCategorical(logits, temperature, prior=prior), **others)

    return Call(call, {**DIST, **own}, _draws(function))


def policy(function: Callable[..., Any], **own: Argument) -> Call:
    """A policy of action values."""
    arguments = {"values": VALUES, **own, "mask": MASK}
    return Call(lambda **given: function(**given).log_probs, arguments, _draws(function))


def multi(function: Callable[..., Any], **own: Argument) -> Call:
    """A function of a distribution over actions of two dimensions."""

    def call(logits: Any, temperature: Any, mask: Any, **others: Any) -> Any:
        made = policies.MultiCategorical(logits, (2, 3), temperature=temperature, mask=mask)
        return function(made, **others)

    z = [[0, 1, 2, 0, 1], [5, 0, 0, 1, 2], [0, 0, 9, 1, 0]]
    bad = [NAN, 1, 2, 3, 4], [1, 1, INF, 1, 1], [-INF, -INF, 1, 1, 1]
    keep = [[1, 1, 1, 0, 1], [1, 1, 1, 1, 1], [1, 0, 0, 1, 1]]
    masks = [1, 1, 1, 2, 1], [1, 1, 0, 0, 0]
    logits, mask = numbers(z, *bad, called="logits|mask"), numbers(keep, *masks)
    arguments = {"logits": logits, "temperature": TEMPERATURE, "mask": mask}
    return Call(call, {**arguments, **own}, _draws(function))


def stage(make: Callable[..., Any], **own: Argument) -> Call:
    """A stage of tokens, applied to a distribution."""

    def call(logits: Any, **parameters: Any) -> Any:
        return make(**parameters)(Categorical(logits)).log_probs

    return Call(call, {"logits": LOGITS, **own})


def matched(function: Callable[..., Any], name: str, good: Any, *bad: Any) -> Call:
    """A temperature that gives a distribution some property."""
    arguments = {
        "logits": LOGITS,
        name: numbers(good, *bad),
        "mask": MASK._replace(called="mask|logits"),
    }
    return Call(function, arguments)


ACTION = integers([[0, 2], [1, 1], [0, 0]], [2, 0], [0, 3], [-1, 0])
POINT = numbers([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1]], [0.2, -0.2, 1], [1, 1, 1])
LOG_POINT = POINT._replace(
    good=np.log(POINT.good), bad=(np.float32([0, 0, 0]), np.float32([NAN, 0, 0]))
)
VISITS = numbers([[1, 2, 3], [0, 1, 2], [3, 0, 1]], [-1, 1, 1], [NAN, 1, 1], [INF, 1, 1])
NOISE = numbers([[0.1, 0.2, -0.3], [1, 0, 2], [0, 0, 0]], [NAN, 0, 0], [INF, 0, 0])
ROOT = {
    "logits": LOGITS,
    "q": numbers([[1, 2, 3], [0, 1, 2], [3, 0, 1]], [NAN, 1, 1], [1, INF, 1]),
    "visits": VISITS._replace(good=np.float32([[1, 2, 3], [2, 1, 0], [3, 0, 1]])),
    "value": numbers([0.5, 1, 2], NAN, INF),
    "mask": MASK,
}
ENERGIES = numbers([[0, 1, 2], [3, 1, 1], [1, 1, INF]], [NAN, 1, 1], [-INF, 0, 0], [INF, INF, INF])

_IN_A_ROW = [[NAN, 0, 0], [0, 0, 0]], [[0, 0, 0], [INF, 0, 0]], [[-INF] * 3, [0, 0, 0]]
_IN_A_ROW_MORE = [[0, 0, 0], [0, 0, 0], [NAN, 0, 0]], [[-INF] * 3, [0, 0, 0], [0, 0, 0]]
VERIFIED = {
    "draft_tokens": integers([[0, 2], [1, 2], [2, 2]], [0, 3], [-1, 0]),
    "draft": numbers(np.zeros((3, 2, 3)), *_IN_A_ROW, called="logits"),
    "target": numbers(np.ones((3, 3, 3)), *_IN_A_ROW_MORE, called="logits"),
    "lengths": integers([1, 2, 2], 3, -1),
}

CALLS: dict[str, Call] = {
    "Categorical": of_dist(lambda dist: dist.probs),
    "Categorical of coldness": Call(
        lambda logits, coldness: Categorical(logits, coldness=coldness).probs, COLD
    ),
    "Categorical.from_weights": Call(
        lambda **given: Categorical.from_weights(**given).log_probs,
        {
            "weights": weights([[1, 2, 3], [0, 1, 1], [4, 0, 0]], "weights"),
            "temperature": TEMPERATURE,
        },
    ),
    "Categorical.from_weights of masks": Call(
        lambda **given: Categorical.from_weights(**given).log_probs,
        {
            "weights": weights([[1, 2, 3], [0, 1, 1], [4, 0, 1]], "weights"),
            "mask": MASK._replace(called="mask|weights"),
        },
    ),
    "Categorical.from_weights that are normalized": Call(
        lambda weights: Categorical.from_weights(weights, normalized=True).log_probs,
        {"weights": numbers([[0.5, 0.25, 0.25], [0, 0, 1], [0, 0.5, 0.5]], [0.5, 0.5, 0.5])},
    ),
    "Categorical.from_weights of coldness": Call(
        lambda **given: Categorical.from_weights(**given).log_probs,
        {
            "weights": weights([[1, 2, 3], [0, 1, 1], [4, 0, 0]], "weights"),
            "coldness": POSITIVE._replace(bad=(NAN,)),
        },
    ),
    "Categorical.from_energies": Call(
        lambda **given: Categorical.from_energies(**given).log_probs,
        {
            "energies": ENERGIES,
            "temperature": TEMPERATURE,
            "degeneracies": PRIOR._replace(called="degeneracies|energies"),
        },
    ),
    "Categorical.from_energies of masks": Call(
        lambda **given: Categorical.from_energies(**given).log_probs,
        {"energies": ENERGIES, "mask": MASK._replace(called="mask|energies")},
    ),
    "Categorical.from_energies of coldness": Call(
        lambda **given: Categorical.from_energies(**given).log_probs,
        {"energies": ENERGIES, "coldness": numbers([0.5, -1, 2], NAN)},
    ),
    "Categorical.tempered": Call(
        lambda logits, new, prior: Categorical(logits, prior=prior).tempered(new).probs,
        {"logits": LOGITS, "new": TEMPERATURE, "prior": PRIOR},
    ),
    "Categorical.tempered of coldness": Call(
        lambda logits, coldness: Categorical(logits).tempered(coldness=coldness).probs, COLD
    ),
    "Categorical.masked": of_dist(
        lambda dist, mask: dist.masked(mask).probs, mask=MASK._replace(called="mask")
    ),
    "Categorical.labelled": of_dist(lambda dist: dist.labelled(["a"] * dist.num_categories).probs),
    "Categorical.relaxed": of_dist(
        lambda dist, new, rng: dist.relaxed(new).sample(rng=rng), new=TEMPERATURE
    ),
    "Categorical.log_probs": of_dist(lambda dist: dist.log_probs),
    "Categorical.log_prob": method("log_prob", category=CATEGORY),
    "Categorical.prob": method("prob", category=CATEGORY),
    "Categorical.cdf": method("cdf", category=CATEGORY),
    "Categorical.log_cdf": method("log_cdf", category=CATEGORY),
    "Categorical.sf": method("sf", category=CATEGORY),
    "Categorical.log_sf": method("log_sf", category=CATEGORY),
    "Categorical.log_prob_counts": method("log_prob_counts", counts=COUNTS),
    "Categorical.entropy_counts": method("entropy_counts", 9),
    "Categorical.quantile": method("quantile", u=SHARE),
    "Categorical.mode": method("mode"),
    "Categorical.top": method("top", 2),
    "Categorical.entropy": method("entropy"),
    "Categorical.perplexity": method("perplexity"),
    "Categorical.cross_entropy": of_pair(Categorical.cross_entropy),
    "Categorical.kl_divergence": of_pair(Categorical.kl_divergence),
    "Categorical.expectation": method("expectation", [1.0, 2, 3]),
    "Categorical.variance": method("variance", [1.0, 2, 3]),
    "Categorical.score": method("score", category=CATEGORY),
    "Categorical.entropy_gradient": method("entropy_gradient"),
    "Categorical.fisher_information": method("fisher_information"),
    "Categorical.sample": method("sample"),
    "Categorical.sample_and_log_prob": method("sample_and_log_prob"),
    "Categorical.sample_counts": method("sample_counts", 9),
    "Categorical.sample_without_replacement": method("sample_without_replacement", 2),
    "Categorical.log_prob_ordered": method("log_prob_ordered", indices=ORDER),
    "softargmax": Call(softargmax, DIST),
    "softargmax of coldness": Call(softargmax, COLD),
    "log_softargmax": Call(log_softargmax, DIST),
    "log_softargmax of coldness": Call(log_softargmax, COLD),
    "smooth_max": Call(smooth_max, DIST),
    "smooth_max of coldness": Call(smooth_max, COLD),
    "RelaxedCategorical": Call(
        lambda logits, prior: RelaxedCategorical(logits, 1.0, prior=prior).categorical.probs,
        {"logits": LOGITS, "prior": PRIOR},
    ),
    "RelaxedCategorical of temperature": relaxed(lambda dist, rng: dist.sample(rng=rng)),
    "RelaxedCategorical.tempered": Call(
        lambda logits, new, rng: RelaxedCategorical(logits, 1.0).tempered(new).sample(rng=rng),
        {"logits": LOGITS, "new": TEMPERATURE},
        draws=True,
    ),
    "RelaxedCategorical.sample": relaxed(lambda dist, rng: dist.sample(rng=rng)),
    "RelaxedCategorical.log_sample": relaxed(lambda dist, rng: dist.log_sample(rng=rng)),
    "RelaxedCategorical.straight_through": relaxed(
        lambda dist, rng: dist.straight_through(rng=rng)
    ),
    "RelaxedCategorical.gumbel_rao": relaxed(lambda dist, rng: dist.gumbel_rao(4, rng=rng)),
    "RelaxedCategorical.log_prob": relaxed(lambda dist, y: dist.log_prob(y), y=POINT),
    "RelaxedCategorical.log_prob_of_log": relaxed(
        lambda dist, log_y: dist.log_prob_of_log(log_y), log_y=LOG_POINT
    ),
    "thermodynamics.entropy": of_dist(thermodynamics.entropy),
    "thermodynamics.free_energy": of_dist(thermodynamics.free_energy),
    "thermodynamics.heat_capacity": of_dist(thermodynamics.heat_capacity),
    "thermodynamics.internal_energy": of_dist(thermodynamics.internal_energy),
    "thermodynamics.log_partition": of_dist(thermodynamics.log_partition),
    "gumbel.conditional_gumbels": of_dist(gumbel.conditional_gumbels, category=CATEGORY),
    "gumbel.exponential_race": Call(
        gumbel.exponential_race, {"log_rates": scores("log_rates")}, draws=True
    ),
    "gumbel.gumbel_max": Call(
        gumbel.gumbel_max, {"log_probs": scores("log_probs"), "noise": NOISE}
    ),
    "gumbel.gumbel_top_k": of_dist(lambda dist, rng: gumbel.gumbel_top_k(dist, 2, rng=rng)),
    "gumbel.log_inclusion": Call(
        gumbel.log_inclusion, {"log_probs": numbers([-1, -2, -3]), "threshold": numbers([0, 1, -1])}
    ),
    "gumbel.maximal_coupling": of_pair(gumbel.maximal_coupling)._replace(one_rng=True),
    "gumbel.residual": of_pair(lambda p, q: gumbel.residual(p, q).probs),
    "temperatures.temperature_for_entropy": matched(
        temperatures.temperature_for_entropy, "entropy", [0.5, 0.8, 0.5], 2, NAN
    ),
    "temperatures.temperature_for_ess": matched(
        temperatures.temperature_for_ess, "ess", [1.5, 2, 1.5], 4, NAN
    ),
    "temperatures.temperature_for_max_prob": matched(
        temperatures.temperature_for_max_prob, "max_prob", [0.6, 0.8, 0.7], 2, NAN
    ),
    "temperatures.temperature_for_perplexity": matched(
        temperatures.temperature_for_perplexity, "perplexity", [1.5, 2, 1.5], 4, NAN
    ),
    "temperatures.EntropyController.step": Call(
        lambda entropy, state, num_legal: temperatures.EntropyController(0.5, 0.1).step(
            entropy, state, num_legal=num_legal
        ),
        {
            "entropy": numbers([0.5, 0.8, 0.9], NAN, INF),
            "state": numbers([0, 1, 2], NAN, INF),
            "num_legal": numbers([2, 3, 4], 0, NAN),
        },
    ),
    "policies.greedy": policy(policies.greedy),
    "policies.boltzmann": policy(policies.boltzmann, temperature=TEMPERATURE),
    "policies.epsilon_greedy": policy(policies.epsilon_greedy, epsilon=SHARE),
    "policies.boltzmann_gumbel": policy(policies.boltzmann_gumbel, counts=VISITS, scale=POSITIVE),
    "policies.ucb": policy(policies.ucb, counts=VISITS, c=POSITIVE),
    "policies.thompson": Call(
        lambda samples, mask: policies.thompson(samples[None], mask=mask).log_probs,
        {"samples": scores("samples"), "mask": MASK},
    ),
    "policies.exp3": Call(
        lambda **given: policies.exp3(**given).log_probs,
        {"gains": scores("gains"), "gamma": SHARE, "mask": MASK},
    ),
    "policies.exp3_update": Call(
        lambda gains, logits, action, reward: policies.exp3_update(
            gains, Categorical(logits), action, reward
        ),
        {"gains": NOISE._replace(bad=()), "logits": LOGITS, "action": CATEGORY, "reward": SHARE},
    ),
    "policies.completed_q": Call(policies.completed_q, ROOT),
    "policies.gumbel_root": Call(
        lambda **given: policies.gumbel_root(simulations=9, **given).policy.log_probs,
        ROOT | {"noise": NOISE},
    ),
    "policies.kl_regularized": Call(
        lambda values, logits, temperature: (
            policies.kl_regularized(values, Categorical(logits), temperature).log_probs
        ),
        {"values": VALUES, "logits": LOGITS, "temperature": TEMPERATURE},
    ),
    "policies.with_dirichlet_noise": of_dist(
        lambda dist, alpha, fraction, rng: (
            policies.with_dirichlet_noise(dist, alpha, fraction, rng=rng).log_probs
        ),
        alpha=POSITIVE,
        fraction=SHARE,
    ),
    "policies.MultiCategorical": multi(lambda made: made.probs),
    "policies.MultiCategorical.log_probs": multi(lambda made: made.log_probs),
    "policies.MultiCategorical.tempered": Call(
        lambda logits, new: policies.MultiCategorical(logits, (1, 2)).tempered(new).probs,
        {"logits": LOGITS._replace(bad=LOGITS.bad[:2]), "new": TEMPERATURE},
    ),
    "policies.MultiCategorical.dimension": multi(lambda made: made.dimension(1).probs),
    "policies.MultiCategorical.sample": multi(lambda made, rng: made.sample(rng=rng)),
    "policies.MultiCategorical.sample_and_log_prob": multi(
        lambda made, rng: made.sample_and_log_prob(rng=rng)
    ),
    "policies.MultiCategorical.mode": multi(lambda made: made.mode()),
    "policies.MultiCategorical.log_prob": multi(
        lambda made, action: made.log_prob(action), action=ACTION
    ),
    "policies.MultiCategorical.score": multi(
        lambda made, action: made.score(action), action=ACTION
    ),
    "policies.MultiCategorical.entropy": multi(lambda made: made.entropy()),
    "policies.MultiCategorical.entropy_gradient": multi(lambda made: made.entropy_gradient()),
    "policies.MultiCategorical.kl_divergence": multi(
        lambda made: made.kl_divergence(made.tempered(2.0))
    ),
    "mixtures.mix": combined(
        mixtures.mix,
        numbers([[0.2, 0.8], [1, 3], [2, 0]], [-1, 2], [NAN, 1], [INF, 1], [0, 0]),
    ),
    "mixtures.pool": combined(
        mixtures.pool, numbers([[0.2, 0.8], [1, -3], [2, 0]], [NAN, 1], [INF, 1], [1, -INF])
    ),
    "mixtures.pool of what is impossible": Call(
        lambda logits, other: (
            mixtures.pool([Categorical(logits), Categorical(other)], [1, -1]).log_probs
        ),
        {"logits": LOGITS, "other": LOGITS._replace(bad=([0, 0, -INF],), called="dists")},
    ),
    "resampling.effective_sample_size": of_dist(resampling.effective_sample_size),
    "resampling.resample": of_dist(lambda dist, rng: resampling.resample(dist, 5, rng=rng)),
    "tokens.TopK": stage(tokens.TopK, k=integers([1, 2, 3], 0, -1)),
    "tokens.TopP": stage(tokens.TopP, p=SHARE),
    "tokens.MinP": stage(tokens.MinP, p=SHARE),
    "tokens.Typical": stage(tokens.Typical, mass=SHARE),
    "tokens.EpsilonCutoff": stage(tokens.EpsilonCutoff, eps=SHARE),
    "tokens.EtaCutoff": stage(tokens.EtaCutoff, eps=SHARE),
    "tokens.TopNSigma": stage(tokens.TopNSigma, n=POSITIVE),
    "tokens.TopH": stage(tokens.TopH, fraction=SHARE),
    "tokens.PLess": stage(tokens.PLess),
    "tokens.Temperature": stage(tokens.Temperature, t=POSITIVE),
    "tokens.DynamicTemperature": stage(
        tokens.DynamicTemperature, low=POSITIVE, high=POSITIVE, exponent=POSITIVE
    ),
    "tokens.XTC": stage(tokens.XTC, threshold=SHARE, probability=SHARE),
    "tokens.verify": Call(
        lambda draft_tokens, draft, target, lengths, rng: tokens.verify(
            draft_tokens, Categorical(draft), Categorical(target), lengths=lengths, rng=rng
        ),
        VERIFIED,
        draws=True,
    ),
    "tokens.verify without lengths": Call(
        lambda draft_tokens, draft, target, rng: tokens.verify(
            draft_tokens, Categorical(draft), Categorical(target), rng=rng
        ),
        {
            "draft_tokens": integers([[0, 2], [1, 2], [2, 2]], [0, 3], [-1, 0]),
            "draft": numbers(
                np.zeros((3, 2, 3)), [[0, 0, -INF], [0, 0, -INF]], called="draft_tokens"
            ),
            "target": numbers(np.ones((3, 3, 3))),
        },
        draws=True,
    ),
    "tokens.verify of a tree": Call(
        lambda draft_tokens, draft, target, lengths, rng: tokens.verify(
            draft_tokens,
            Categorical(draft),
            Categorical(target),
            parents=[-1, -1],
            lengths=lengths,
            rng=rng,
        ),
        VERIFIED,
        draws=True,
    ),
    "tokens.expected_accepted": Call(
        lambda draft_tokens, draft, target, lengths: tokens.expected_accepted(
            draft_tokens,
            Categorical(draft),
            Categorical(target),
            parents=[-1, -1],
            lengths=lengths,
        ),
        VERIFIED,
    ),
    "tokens.Mirostat.step": of_dist(
        lambda dist, state, rng: tokens.Mirostat(1.0).step(dist, state, rng=rng),
        state=numbers([1, 2, 3], NAN, INF),
    ),
    "tokens.Mirostat.step of each row": of_dist(
        lambda dist, target, rate, rng: tokens.Mirostat(target, rate).step(dist, 1.0, rng=rng),
        target=POSITIVE,
        rate=POSITIVE,
    ),
}

# Masks beside priors, and coldness where the table has temperatures.
LAW = {
    "logits": LOGITS._replace(called="logits|mask"),
    "mask": MASK._replace(called="mask|logits"),
    "prior": PRIOR,
}
BETA = numbers([0.5, -1, 2], NAN, called="coldness")
CALLS |= {
    "tokens.Stage.sample": Call(
        lambda rng, **given: tokens.TopK(2).sample(rng=rng, **given), LAW, draws=True
    ),
    "tokens.Stage.sample of temperatures": Call(
        lambda logits, temperature, rng: tokens.TopK(2).sample(logits, temperature, rng=rng),
        {"logits": LOGITS, "temperature": TEMPERATURE},
        draws=True,
    ),
    "tokens.Stage.sample of coldness": Call(
        lambda logits, coldness, rng: tokens.TopK(2).sample(logits, coldness=coldness, rng=rng),
        {"logits": LOGITS, "coldness": BETA},
        draws=True,
    ),
    "Categorical of a mask": Call(lambda **given: Categorical(**given).probs, LAW),
    "RelaxedCategorical of a mask": Call(
        lambda **given: RelaxedCategorical(temperature=1.0, **given).categorical.probs, LAW
    ),
    "softargmax of a mask": Call(softargmax, LAW),
    "log_softargmax of a mask": Call(log_softargmax, LAW),
    "smooth_max of a mask": Call(smooth_max, {"logits": LAW["logits"], "mask": LAW["mask"]}),
    "policies.greedy of a prior": policy(
        policies.greedy, prior=PRIOR._replace(called="prior|values")
    ),
    "policies.boltzmann of a prior": policy(
        policies.boltzmann, coldness=BETA, prior=PRIOR._replace(called="prior|values")
    ),
    "policies.epsilon_greedy of a prior": policy(
        policies.epsilon_greedy, epsilon=SHARE, prior=PRIOR._replace(called="prior|values")
    ),
    "policies.kl_regularized of coldness": Call(
        lambda values, logits, coldness, mask: (
            policies.kl_regularized(
                values, Categorical(logits), coldness=coldness, mask=mask
            ).log_probs
        ),
        {"values": VALUES, "logits": LOGITS, "coldness": BETA, "mask": MASK},
    ),
    "policies.MultiCategorical of coldness": Call(
        lambda logits, coldness, prior: (
            policies.MultiCategorical(logits, (1, 2), coldness=coldness, prior=prior).probs
        ),
        {"logits": LOGITS._replace(bad=LOGITS.bad[:2]), "coldness": BETA, "prior": PRIOR},
    ),
    "policies.MultiCategorical.tempered of coldness": Call(
        lambda logits, coldness: (
            policies.MultiCategorical(logits, (1, 2)).tempered(coldness=coldness).probs
        ),
        {"logits": LOGITS._replace(bad=LOGITS.bad[:2]), "coldness": BETA},
    ),
}

STEP = numbers([0, 3, 20], -1, NAN)
SCHEDULES = {
    "Constant": schedules.Constant(1.0),
    "Linear": schedules.Linear(1.0, 0.1, 10),
    "LinearColdness": schedules.LinearColdness(1.0, 0.1, 10),
    "Cosine": schedules.Cosine(1.0, 0.1, 10),
    "Geometric": schedules.Geometric(1.0, 0.1, 10),
    "Polynomial": schedules.Polynomial(1.0, 0.1, 10, 2.0),
    "Exponential": schedules.Exponential(1.0, 0.9),
    "Clipped": schedules.Linear(1.0, 0.1, 10).clip(0.2, 0.8),
    "Logarithmic": schedules.Logarithmic(1.0),
    "GeneralizedAnnealing": schedules.GeneralizedAnnealing(1.0, 1.5),
    "Cycle": schedules.Cycle(schedules.Constant(1.0), 5),
    "Joined": schedules.Constant(1.0).then(schedules.Linear(1.0, 0.1, 10), 2),
}
CALLS |= {
    f"schedules.{name}": Call(lambda step, schedule=schedule: schedule(step), {"step": STEP})
    for name, schedule in SCHEDULES.items()
}
CALLS["schedules.ByRemaining"] = Call(
    lambda remaining: schedules.Constant(1.0).by_remaining(10)(remaining),
    {"remaining": numbers([1, 0.5, 0], 1.5, NAN)},
)

# What is not in the table, and why.
ELSEWHERE = {
    "RelaxedCategorical.sample_with_pullback": "derivatives of NumPy's arrays",
    "RelaxedCategorical.straight_through_with_pullback": "derivatives of NumPy's arrays",
    "RelaxedCategorical.gumbel_rao_with_pullback": "derivatives of NumPy's arrays",
    "annealing.": "NumPy's arrays and Python's functions alone",
    "dask.": "Dask's arrays, whose values are seen by the workers",
    "draws.": "NumPy's arrays alone, without checks",
    "engine": "no arguments",
    "functional.": "the functions of the top level",
    "relaxed.": "the class of the top level",
    "plotting.": "pictures of NumPy's arrays",
    "schedules.Schedule": "the class of the schedules, whose numbers are Python's",
    "gumbel.GumbelTopK": "a tuple of results",
    "gumbel.Race": "a tuple of results",
    "gumbel.Reservoir": "NumPy's arrays alone",
    "gumbel.gumbel_noise": "no array among its arguments",
    "temperatures.FittedTemperature": "a tuple of results",
    "temperatures.TemperatureCalibrator": "NumPy's arrays, as scikit-learn hands them on",
    "temperatures.fit_temperature": "SciPy's search, refuses hidden values",
    "resampling.next_coldness": "a search in NumPy, refuses hidden values",
    "policies.GumbelRoot": "a tuple of results",
    "policies.action_mask_from_info": "no array of numbers",
    "thermodynamics.ReweightingResult": "NumPy's arrays",
    "thermodynamics.reweight": "a search in NumPy, refuses hidden values",
    "tokens.LogitsProcessor": "hands scores to a stage",
    "typing.": "types alone",
    "tokens.preset": "makes stages",
    "tokens.chain": "makes stages",
    "tokens.Chain": "makes stages",
    "tokens.per_row": "makes stages",
    "tokens.PerRow": "makes stages",
    "tokens.Stage": "the class of the stages",
    "tokens.Truncation": "the class of the truncations",
    "tokens.Mirostat": "made for its step",
    "tokens.Watermark": "its histories and texts have to be known",
    "tokens.Detection": "a tuple of results",
    "temperatures.EntropyController": "Python's numbers",
}
EDITS = "Allow Ban BanSequences DRY Force FrequencyPenalty LengthDecay LogitBias MinLength"
EDITS += " NoRepeatNgram PresencePenalty RepetitionPenalty SequenceBias"
ELSEWHERE |= {f"tokens.{name}": "its numbers have to be known" for name in EDITS.split()}
# Parameters that are known where values are hidden, and objects whose own arguments are looked at.
STATIC = "self cls shape rng method workers k n dtype scheme sizes d min_keep then"
STATIC += " history cumulative parents simulations considered value_scale visit_offset policy"
STATIC += " axis gradient labels normalized dist dists other reference p q values"


def test_nothing_public_is_left_out():
    covered: dict[str, set[str]] = {}
    for name, call in CALLS.items():
        names = covered.setdefault(name.partition(" ")[0], set())
        for argument, given in call.arguments.items():
            names |= {argument, *(given.called or argument).split("|")}
    found = public_calls()
    missing = [
        name for name in found if name not in covered and not name.startswith(tuple(ELSEWHERE))
    ]
    assert not missing
    for name, arguments in covered.items():
        if name in found and not name.startswith("schedules."):
            parameters = set(inspect.signature(found[name]).parameters)
            assert not parameters - arguments - set(STATIC.split()), name


ERRORS = [
    (name, argument, i)
    for name, call in CALLS.items()
    for argument, given in call.arguments.items()
    for i in range(len(given.bad))
]


def arrays_of(call: Call, argument: str | None = None, i: int = 0) -> dict[str, Any]:
    """The good arguments, or with the i-th bad value of one of them in one row."""
    found = {name: given.good.copy() for name, given in call.arguments.items()}
    if argument is not None:
        found[argument][BAD_ROW] = call.arguments[argument].bad[i]
    return found


def parts_of(answer: Any) -> list[Any]:
    """The arrays of an answer, which may be one, or a tuple of them."""
    return [np.asarray(x) for x in (answer if isinstance(answer, tuple) else (answer,))]


# ---------------------------------------------------------------------------- ways to hide values


def in_jax(call: Call, way: str) -> Callable[[dict[str, Any]], list[Any]]:
    """Answers under jit, for all rows at once, or under vmap, row by row; compiled once."""
    jax = pytest.importorskip("jax")
    keys = jax.random.split(jax.random.key(7), 3)

    def whole(rng: Any, given: dict[str, Any]) -> Any:
        return call.function(**given, **({"rng": rng} if call.draws else {}))

    rng = keys[0] if call.one_rng and way == "jit" else keys
    traced = jax.make_jaxpr(whole if way == "jit" else jax.vmap(whole), return_shape=True)
    found, shape = traced(rng, arrays_of(call))
    tree = jax.tree_util.tree_structure(shape)

    def answer(arrays: dict[str, Any]) -> list[Any]:
        # Step by step, for XLA takes a second to compile each.
        flat = jax.tree_util.tree_leaves((rng, arrays))
        made = jax.core.eval_jaxpr(found.jaxpr, found.consts, *map(jax.numpy.asarray, flat))
        return parts_of(jax.tree_util.tree_unflatten(tree, made))

    return answer


def in_torch(call: Call, way: str) -> Callable[[dict[str, Any]], list[Any]]:
    """Answers within torch.func, for all rows at once ("func") or row by row ("vmap")."""
    torch = pytest.importorskip("torch")
    rng = 7 if way == "vmap" or call.one_rng else [7, 8, 9]

    def whole(given: dict[str, Any]) -> Any:
        return call.function(**given, **({"rng": rng} if call.draws else {}))

    def answer(arrays: dict[str, Any]) -> list[Any]:
        given = {name: torch.tensor(x) for name, x in arrays.items()}
        if way == "func":
            given = {name: x[None] for name, x in given.items()}
        found = parts_of(torch.func.vmap(whole, randomness="same")(given))
        return [x[0] for x in found] if way == "func" else found

    return answer


def in_compiled(call: Call, way: str) -> Callable[[dict[str, Any]], list[Any]]:
    """Answers by torch.compile, without a break; the good ones are the eager ones."""
    torch = pytest.importorskip("torch")
    torch.compiler.reset()
    rng = 7 if call.one_rng else [7, 8, 9]

    def whole(given: dict[str, Any]) -> Any:
        return call.function(**given, **({"rng": rng} if call.draws else {}))

    def tensors(arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: torch.tensor(x) for name, x in arrays.items()}

    compiled = torch.compile(whole, fullgraph=True, backend=way)
    good = tensors(arrays_of(call))
    for ours, eager in zip(parts_of(compiled(good)), parts_of(whole(good)), strict=True):
        np.testing.assert_allclose(ours, eager, rtol=1e-5, atol=1e-6)
    return lambda arrays: parts_of(compiled(tensors(arrays)))


WAYS = {
    "jit": (in_jax, "jit"),
    "vmap of jax": (in_jax, "vmap"),
    "torch.func": (in_torch, "func"),
    "vmap of torch": (in_torch, "vmap"),
    "torch.compile": (in_compiled, "eager"),
}


def is_nothing(x: Any) -> bool:
    """Whether an answer is NaN everywhere, or -1 for integers."""
    return bool((np.isnan(x) if x.dtype.kind == "f" else x == -1).all())


@pytest.mark.frameworks
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLS)
def test_hidden_values_spoil_their_own_row_alone(name, way):
    call, (hide, how) = CALLS[name], WAYS[way]
    answer = hide(call, how)
    good = answer(arrays_of(call))
    assert not any(is_nothing(x[row]) for x in good for row in range(3)), good
    wrong = []
    for argument, given in call.arguments.items():
        for i, value in enumerate(given.bad):
            found = answer(arrays_of(call, argument, i))
            pairs = [
                (np.delete(x, BAD_ROW, 0), np.delete(y, BAD_ROW, 0))
                for x, y in zip(found, good, strict=True)
            ]
            if not all(np.array_equal(x, y, equal_nan=True) for x, y in pairs):
                wrong.append((argument, value, "another row", found, good))
            if not all(is_nothing(x[BAD_ROW]) for x in found):
                wrong.append((argument, value, [x[BAD_ROW] for x in found]))
    assert not wrong


@pytest.mark.parametrize(("name", "argument", "i"), ERRORS)
def test_seen_values_are_errors_that_name_them(name, argument, i):
    call = CALLS[name]
    arrays = arrays_of(call, argument, i)
    before = {name: x.copy() for name, x in arrays.items()}
    with pytest.raises(ValueError, match=call.arguments[argument].called or argument):
        call.function(**arrays, **({"rng": 7} if call.draws else {}))
    for key, x in arrays.items():
        np.testing.assert_array_equal(x, before[key])


@pytest.mark.frameworks
def test_beyond_a_support_that_cannot_be_seen_there_is_no_category():
    """And more categories than there are at all is an error at once."""
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    z = np.float32([[0, -INF, -INF], [0, 1, -INF], [0, 1, 2]])

    def orders(logits: Any, rng: Any, k: int = 3) -> Any:
        return Categorical(logits).sample_without_replacement(k, rng=rng)

    with_key = jax.jit(orders, static_argnums=2)
    key = jax.random.key(0)
    by_torch = torch.func.vmap(lambda row: orders(row, 0), randomness="same")(torch.tensor(z))
    for drawn in (np.asarray(with_key(z, key)), by_torch.numpy()):
        for row, size in zip(drawn, (1, 2, 3), strict=True):
            assert sorted(row[:size].tolist()) == list(range(size))
            assert (row[size:] == -1).all()
    with pytest.raises(ValueError, match=r"k must be at most .* got k=4 for 3"):
        with_key(z, key, 4)
