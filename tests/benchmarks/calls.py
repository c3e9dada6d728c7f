"""Every public call, with arguments of three sizes: rows of a batch, categories, and draws.

``CALLS`` gives each public name the rooms in which it can grow and how it is called; a name that
is neither there nor in ``NOT_MEASURED`` is an error of :func:`cases`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softargmax import (
    Categorical,
    RelaxedCategorical,
    draws,
    gumbel,
    log_softargmax,
    mixtures,
    policies,
    resampling,
    schedules,
    smooth_max,
    temperatures,
    thermodynamics,
    tokens,
)

sys.path.append(str(Path(__file__).parents[1]))
from softargmax import softargmax as probabilities

sys.path.append(str(Path(__file__).parents[1]))
from surface import functions_of_a_distribution, public_calls

Call = Callable[[], Any]


class Size(NamedTuple):
    """How much there is of each."""

    rows: int
    width: int  # K
    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the logits; one row has no batch."""
        return (self.rows, self.width) if self.rows > 1 else (self.width,)

    def batch(self, *tail: int) -> tuple[int, ...]:
        """The batch axes, and others."""
        return (*self.shape[:-1], *tail)

    def z(self, seed: int = 0) -> Any:
        """Logits."""
        return np.random.default_rng(seed).standard_normal(self.shape)

    def dist(self, seed: int = 0) -> Categorical:
        """A distribution that has computed nothing yet."""
        return Categorical(self.z(seed))

    def x(self) -> Any:
        """A category for each row."""
        return np.random.default_rng(2).integers(self.width, size=self.batch())

    def history(self) -> Any:
        """Tokens so far, n of them for each row."""
        return np.random.default_rng(3).integers(self.width, size=self.batch(self.n))


# The smallest sizes of each room, of which one number grows: "R" are rows of many categories.
ROOMS = {
    "rows": ("rows", Size(500, 64, 3)),
    "R": ("rows", Size(8, 2048, 3)),
    "K": ("width", Size(1, 8192, 3)),
    "n": ("n", Size(1, 100, 4096)),
}


class Entry(NamedTuple):
    """How a public name is called; what is made outside of the call is not measured."""

    rooms: str  # of ROOMS, with blanks between them
    make: Callable[[Size], Call]
    power: int = 1  # of the size, by which the result itself grows


def of_new(ask: Callable[[Any], Any], rooms: str = "rows K") -> Entry:
    """A question to a distribution that has computed nothing yet; making it is part of the call."""
    return Entry(rooms, lambda s: lambda z=s.z(): ask(Categorical(z)))


def of_two(ask: Callable[[Any, Any], Any], rooms: str = "rows K") -> Entry:
    return Entry(rooms, lambda s: lambda p=s.z(), q=s.z(1): ask(Categorical(p), Categorical(q)))


def asked(ask: Callable[[Any, Size], Any], rooms: str) -> Entry:
    """The same with arguments that depend on the size."""
    return Entry(rooms, lambda s: lambda z=s.z(): ask(Categorical(z), s))


def relaxed(ask: Callable[[Any], Any], rooms: str = "rows K") -> Entry:
    return Entry(rooms, lambda s: lambda z=s.z(): ask(RelaxedCategorical(z, 0.5)))


def many(ask: Callable[[Any, Size], Any], rooms: str = "rows K") -> Entry:
    """A question to a MultiCategorical whose last factor is large."""

    def make(s: Size) -> Call:
        sizes = (2, 3, s.width - 5)
        return lambda z=s.z(): ask(policies.MultiCategorical(z, sizes), s)

    return Entry(rooms, make)


def staged(stage: Callable[[Size], Any], rooms: str = "rows R K") -> Entry:
    return Entry(rooms, lambda s: lambda z=s.z(): stage(s)(Categorical(z)))


def edited(stage: Any, rooms: str = "rows R K n") -> Entry:
    return Entry(rooms, lambda s: lambda z=s.z(), h=s.history(): stage(Categorical(z), h))


def at_steps(schedule: Any) -> Entry:
    return Entry("n", lambda s: lambda steps=np.linspace(0, 100, s.n): schedule(steps))


def found(function: Callable[..., Any], target: float) -> Entry:
    return Entry("rows K", lambda s: lambda z=s.z(): function(z, target))


def drawn(x: Any, s: Size) -> Any:
    return x.sample(s.n, rng=0)


def _relaxed_draw(d: Any) -> Any:
    return d.sample(rng=0)


def _simplex(s: Size) -> Any:
    p = np.exp(s.z(4))
    return p / p.sum(-1, keepdims=True)


def _looked_up(s: Size) -> Call:
    table, u = draws.AliasTable.build(s.dist().probs), np.random.default_rng(0).random(s.n)
    return lambda: table.take(u)


def _inverted(s: Size) -> Call:
    cdf, u = draws.cumulative(np.exp(s.z()).reshape(-1, s.width)), np.full((s.n, s.rows), 0.5)
    return lambda: draws.invert(cdf, u)


def _merged(s: Size) -> Call:
    one = gumbel.Reservoir(seed=1, k=5).update(s.z(), 0)
    other = gumbel.Reservoir(seed=1, k=5).update(s.z(1), s.width)
    return lambda: one.merge(other)


def _annealed(s: Size) -> Call:
    from softargmax.annealing import anneal

    def moves(x: int, _rng: Any) -> Any:
        return [(x - 1) ** 2, x**2, (x + 1) ** 2], None

    return lambda: anneal(20, moves, lambda x, _, i: x + i - 1, 0.5, steps=s.n, rng=0)


def _expected(s: Size) -> Call:
    target, x = np.stack([s.z(i) for i in range(s.n + 1)], -2), np.ravel(s.x())[0]
    tokens_of = np.full((*target.shape[:-2], s.n), x)

    def call() -> Any:
        return tokens.expected_accepted(
            tokens_of,
            Categorical(target[..., :-1, :]),
            Categorical(target),
            parents=np.arange(s.n) // 2 - 1,
        )

    return call


def _verified(s: Size) -> Call:
    target, draft = np.stack([s.z(i) for i in range(s.n + 1)], -2), s.z(9)[..., None, :]
    given = np.broadcast_to(draft, target.shape)[..., :-1, :]

    def call() -> Any:
        proposal = Categorical(given)
        return tokens.verify(proposal.sample(rng=1), proposal, Categorical(target), rng=0)

    return call


def _root(s: Size) -> Any:
    """Logits, values, visits and the value of a root."""
    return s.z(), s.z(1), np.ones(s.shape), 0.0


def _sampled(s: Size) -> Any:
    """Energies of two rungs."""
    return np.random.default_rng(6).standard_normal((s.n, 2)) - [0.0, 1.0]


def _averaged(s: Size) -> Call:
    found = thermodynamics.reweight(e := _sampled(s), [0.0, 1.0], to=0.5, blocks=5)
    return lambda: found.average(e)


LADDER = schedules.Linear(2.0, 1.0, 100.0)
CALLS: dict[str, Entry] = {
    "softargmax": Entry("rows K", lambda s: lambda z=s.z(): probabilities(z)),
    "log_softargmax": Entry("rows K", lambda s: lambda z=s.z(): log_softargmax(z)),
    "smooth_max": Entry("rows K", lambda s: lambda z=s.z(): smooth_max(z, 0.5)),
    "Categorical": of_new(lambda d: d),
    "Categorical.from_energies": Entry(
        "rows K", lambda s: lambda z=s.z(): Categorical.from_energies(z)
    ),
    "Categorical.from_weights": Entry(
        "rows K", lambda s: lambda w=np.exp(s.z()): Categorical.from_weights(w)
    ),
    "Categorical.cdf": asked(lambda d, s: d.cdf(s.x()), "rows K"),
    "Categorical.entropy_counts": of_new(lambda d: d.entropy_counts(9)),
    "Categorical.log_cdf": asked(lambda d, s: d.log_cdf(s.x()), "rows K"),
    "Categorical.log_prob_counts": asked(
        lambda d, s: d.log_prob_counts(np.arange(s.width) % 3), "rows K"
    ),
    "Categorical.log_sf": asked(lambda d, s: d.log_sf(s.x()), "rows K"),
    "Categorical.sf": asked(lambda d, s: d.sf(s.x()), "rows K"),
    "Categorical.cross_entropy": of_two(lambda p, q: p.cross_entropy(q)),
    "Categorical.entropy": of_new(lambda d: d.entropy()),
    "Categorical.entropy_gradient": of_new(lambda d: d.entropy_gradient()),
    "Categorical.expectation": asked(lambda d, s: d.expectation(np.arange(s.width)), "rows K"),
    "Categorical.fisher_information": Entry(
        "K",
        lambda s: lambda z=s.z()[: s.width // 64]: Categorical(z).fisher_information(),
        power=2,
    ),
    "Categorical.kl_divergence": of_two(lambda p, q: p.kl_divergence(q)),
    "Categorical.labelled": of_new(lambda d: d.labelled(range(d.num_categories))),
    "Categorical.log_prob": asked(lambda d, s: d.log_prob(s.x()), "rows K"),
    "Categorical.log_prob_ordered": asked(
        lambda d, s: d.log_prob_ordered(np.tile(np.arange(3), s.batch(1))), "rows K"
    ),
    "Categorical.masked": asked(lambda d, s: d.masked(np.arange(s.width) > 1), "rows K"),
    "Categorical.mode": of_new(lambda d: d.mode()),
    "Categorical.perplexity": of_new(lambda d: d.perplexity()),
    "Categorical.prob": asked(lambda d, s: d.prob(s.x()), "rows K"),
    "Categorical.quantile": asked(
        lambda d, s: d.quantile(
            np.linspace(0, 1, s.n)[:, None].repeat(s.rows, axis=1)[
                :, slice(None) if s.rows > 1 else 0
            ]
        ),
        "rows K n",
    ),
    "Categorical.relaxed": of_new(lambda d: d.relaxed(0.5)),
    "Categorical.sample": asked(drawn, "rows K n"),
    "Categorical.sample_and_log_prob": asked(
        lambda d, s: d.sample_and_log_prob(s.n, rng=0), "rows K n"
    ),
    "Categorical.sample_counts": asked(lambda d, s: d.sample_counts(s.n, rng=0), "rows K n"),
    "Categorical.sample_without_replacement": asked(
        lambda d, s: d.sample_without_replacement(5, s.n, rng=0), "rows K n"
    ),
    "Categorical.score": asked(lambda d, s: d.score(s.x()), "rows K"),
    "Categorical.tempered": of_new(lambda d: d.tempered(0.5).probs),
    "Categorical.top": of_new(lambda d: d.top(5)),
    "Categorical.variance": asked(lambda d, s: d.variance(np.arange(s.width)), "rows K"),
    "RelaxedCategorical": relaxed(lambda d: d),
    "RelaxedCategorical.gumbel_rao": relaxed(lambda d: d.gumbel_rao(5, rng=0)),
    "RelaxedCategorical.gumbel_rao_with_pullback": relaxed(
        lambda d: d.gumbel_rao_with_pullback(5, rng=0)
    ),
    "RelaxedCategorical.log_prob": Entry(
        "rows K",
        lambda s: lambda z=s.z(), x=_simplex(s): RelaxedCategorical(z, 0.5).log_prob(x),
    ),
    "RelaxedCategorical.log_prob_of_log": Entry(
        "rows K",
        lambda s: (
            lambda z=s.z(), x=np.log(_simplex(s)): RelaxedCategorical(z, 0.5).log_prob_of_log(x)
        ),
    ),
    "RelaxedCategorical.log_sample": relaxed(lambda d: d.log_sample(rng=0)),
    "RelaxedCategorical.sample": relaxed(_relaxed_draw),
    "RelaxedCategorical.sample_with_pullback": relaxed(lambda d: d.sample_with_pullback(rng=0)),
    "RelaxedCategorical.straight_through": relaxed(lambda d: d.straight_through(rng=0)),
    "RelaxedCategorical.straight_through_with_pullback": relaxed(
        lambda d: d.straight_through_with_pullback(rng=0)
    ),
    "RelaxedCategorical.tempered": relaxed(lambda d: d.tempered(2.0)),
    "annealing.anneal": Entry("n", _annealed),
    "draws.AliasTable.build": Entry(
        "K", lambda s: lambda p=s.dist().probs: draws.AliasTable.build(p)
    ),
    "draws.AliasTable.take": Entry("n", _looked_up),
    "draws.Keyed": asked(lambda d, s: d.sample(s.n, rng=draws.Keyed(1)), "rows K n"),
    "draws.cumulative": Entry("rows K", lambda s: lambda p=np.exp(s.z()): draws.cumulative(p)),
    "draws.invert": Entry("rows K n", _inverted),
    "draws.race": Entry(
        "rows K",
        lambda s: lambda w=np.exp(s.z()), t=np.exp(s.z(1)): draws.race(w, t),
    ),
    "gumbel.Reservoir.update": Entry(
        "K", lambda s: lambda z=s.z(): gumbel.Reservoir(seed=1, k=5).update(z, 0)
    ),
    "gumbel.Reservoir.merge": Entry("K", _merged),
    "gumbel.conditional_gumbels": asked(
        lambda d, s: gumbel.conditional_gumbels(d, s.x(), rng=0), "rows K"
    ),
    "gumbel.exponential_race": Entry(
        "rows K n", lambda s: lambda z=s.z(): gumbel.exponential_race(z, s.n, rng=0)
    ),
    "gumbel.gumbel_max": Entry(
        "rows K", lambda s: lambda z=s.z(), g=s.z(1): gumbel.gumbel_max(z, g)
    ),
    "gumbel.gumbel_noise": Entry("n", lambda s: lambda: gumbel.gumbel_noise(s.n, rng=0)),
    "gumbel.gumbel_top_k": asked(lambda d, s: gumbel.gumbel_top_k(d, 5, s.n, rng=0), "rows K n"),
    "gumbel.log_inclusion": Entry(
        "rows K",
        lambda s: lambda z=s.z(): gumbel.log_inclusion(z, np.zeros(s.batch(1))),
    ),
    "gumbel.maximal_coupling": of_two(lambda p, q: gumbel.maximal_coupling(p, q, rng=0)),
    "gumbel.residual": of_two(lambda p, q: gumbel.residual(p, q).probs),
    "mixtures.mix": of_two(lambda p, q: mixtures.mix([p, q], [0.3, 0.7])),
    "mixtures.pool": of_two(lambda p, q: mixtures.pool([p, q], [2.0, -1.0])),
    "policies.MultiCategorical": many(lambda d, _: d),
    "policies.MultiCategorical.dimension": many(lambda d, _: d.dimension(1)),
    "policies.MultiCategorical.entropy": many(lambda d, _: d.entropy()),
    "policies.MultiCategorical.entropy_gradient": many(lambda d, _: d.entropy_gradient()),
    "policies.MultiCategorical.kl_divergence": many(lambda d, _: d.kl_divergence(d)),
    "policies.MultiCategorical.log_prob": many(lambda d, _: d.log_prob([0, 1, 2])),
    "policies.MultiCategorical.mode": many(lambda d, _: d.mode()),
    "policies.MultiCategorical.sample": many(drawn, "rows K n"),
    "policies.MultiCategorical.sample_and_log_prob": many(
        lambda d, s: d.sample_and_log_prob(s.n, rng=0), "rows K n"
    ),
    "policies.MultiCategorical.score": many(lambda d, _: d.score([0, 1, 2])),
    "policies.MultiCategorical.tempered": many(lambda d, _: d.tempered(0.5).probs),
    "policies.boltzmann": Entry("rows K", lambda s: lambda z=s.z(): policies.boltzmann(z, 0.5)),
    "policies.boltzmann_gumbel": Entry(
        "rows K",
        lambda s: lambda z=s.z(): policies.boltzmann_gumbel(z, np.ones(s.shape), 1.0, rng=0),
    ),
    "policies.epsilon_greedy": Entry(
        "rows K", lambda s: lambda z=s.z(): policies.epsilon_greedy(z, 0.1)
    ),
    "policies.completed_q": Entry("rows K", lambda s: lambda a=_root(s): policies.completed_q(*a)),
    "policies.gumbel_root": Entry(
        "rows K",
        lambda s: lambda a=_root(s), g=s.z(3): policies.gumbel_root(*a, g, simulations=50),
    ),
    "policies.ucb": Entry("rows K", lambda s: lambda z=s.z(): policies.ucb(z, np.ones(s.shape))),
    "policies.thompson": Entry(
        "rows K", lambda s: lambda z=np.stack([s.z(), s.z(1)]): policies.thompson(z)
    ),
    "policies.exp3": Entry("rows K", lambda s: lambda z=s.z(): policies.exp3(z, 0.1)),
    "policies.exp3_update": asked(
        lambda d, s: policies.exp3_update(s.z(), d, s.x(), 0.5), "rows K"
    ),
    "policies.greedy": Entry("rows K", lambda s: lambda z=s.z(): policies.greedy(z)),
    "policies.kl_regularized": Entry(
        "rows K",
        lambda s: lambda z=s.z(), q=s.z(1): policies.kl_regularized(z, Categorical(q), 0.5),
    ),
    "policies.with_dirichlet_noise": of_new(
        lambda d: policies.with_dirichlet_noise(d, 0.3, 0.25, rng=0)
    ),
    "resampling.effective_sample_size": of_new(resampling.effective_sample_size),
    "resampling.next_coldness": Entry(
        "R K", lambda s: lambda z=s.z(): resampling.next_coldness(z, 0.0, target=0.5)
    ),
    **{
        f"resampling.resample, {scheme}": asked(
            lambda d, s, scheme=scheme: resampling.resample(d, s.width, scheme=scheme, rng=0),
            "rows K",
        )
        for scheme in ("multinomial", "stratified", "systematic", "residual", "ssp")
    },
    "temperatures.EntropyController.step": Entry(
        "rows",
        lambda s: (
            lambda c=temperatures.EntropyController(1.0, 0.1), h=s.dist().entropy(): c.step(
                h, 0.0, num_legal=s.width
            )
        ),
    ),
    "temperatures.fit_temperature": Entry(
        "rows K",
        lambda s: (
            lambda z=np.atleast_2d(s.z()), x=np.atleast_1d(s.x()): temperatures.fit_temperature(
                np.concatenate([z, z]), np.concatenate([x, z.argmax(-1)])
            )
        ),
    ),
    "temperatures.temperature_for_entropy": found(temperatures.temperature_for_entropy, 1.0),
    "temperatures.temperature_for_perplexity": found(temperatures.temperature_for_perplexity, 3.0),
    "temperatures.temperature_for_max_prob": found(temperatures.temperature_for_max_prob, 0.5),
    "temperatures.temperature_for_ess": found(temperatures.temperature_for_ess, 3.0),
    **{
        f"thermodynamics.{name}": of_new(function)
        for name, function in functions_of_a_distribution(thermodynamics).items()
    },
    "thermodynamics.reweight": Entry(
        "n",
        lambda s: lambda e=_sampled(s): thermodynamics.reweight(e, [0.0, 1.0], to=0.5, blocks=5),
    ),
    "thermodynamics.ReweightingResult.average": Entry("n", _averaged),
    "schedules.ByRemaining": Entry(
        "n", lambda s: lambda f=np.linspace(1, 0, s.n): schedules.ByRemaining(LADDER, 100.0)(f)
    ),
    "schedules.Constant": at_steps(schedules.Constant(1.0)),
    "schedules.Cosine": at_steps(schedules.Cosine(2.0, 1.0, 100.0)),
    "schedules.Cycle": at_steps(schedules.Cycle(LADDER, 10.0)),
    "schedules.GeneralizedAnnealing": at_steps(schedules.GeneralizedAnnealing(1.0, 1.5)),
    "schedules.Geometric": at_steps(schedules.Geometric(2.0, 1.0, 100.0)),
    "schedules.Joined": at_steps(schedules.Joined(LADDER, LADDER, 50.0)),
    "schedules.Linear": at_steps(LADDER),
    "schedules.LinearColdness": at_steps(schedules.LinearColdness(2.0, 1.0, 100.0)),
    "schedules.Logarithmic": at_steps(schedules.Logarithmic(1.0)),
    "schedules.Clipped": at_steps(schedules.Clipped(LADDER, 1.2, 1.8)),
    "schedules.Exponential": at_steps(schedules.Exponential(2.0, 0.5, 100.0)),
    "schedules.Polynomial": at_steps(schedules.Polynomial(2.0, 1.0, 100.0, 2.0)),
    "tokens.Allow": staged(lambda s: tokens.Allow(range(50))),
    "tokens.Ban": staged(lambda s: tokens.Ban(range(50))),
    "tokens.BanSequences": edited(tokens.BanSequences([[i, i + 1, i] for i in range(50)])),
    "tokens.DRY": edited(tokens.DRY(0.8)),
    "tokens.Force": edited(tokens.Force([1], 3)),
    "tokens.LengthDecay": edited(tokens.LengthDecay(1, 1.1, [2])),
    "tokens.MinLength": edited(tokens.MinLength(10**9, [2])),
    "tokens.SequenceBias": edited(tokens.SequenceBias({(i, i + 1): 0.5 for i in range(50)})),
    "tokens.DynamicTemperature": staged(lambda s: tokens.DynamicTemperature(0.5, 1.5)),
    "tokens.EpsilonCutoff": staged(lambda s: tokens.EpsilonCutoff(1e-3)),
    "tokens.EtaCutoff": staged(lambda s: tokens.EtaCutoff(1e-3)),
    "tokens.FrequencyPenalty": edited(tokens.FrequencyPenalty(0.3)),
    "tokens.LogitBias": staged(lambda s: tokens.LogitBias(dict.fromkeys(range(50), 0.5))),
    "tokens.LogitsProcessor": Entry(
        "R K n",
        lambda s: (
            lambda z=np.atleast_2d(s.z()), h=np.atleast_2d(s.history()): tokens.LogitsProcessor(
                tokens.TopK(50)
            )(h, z)
        ),
    ),
    "tokens.MinP": staged(lambda s: tokens.MinP(0.05)),
    "tokens.Mirostat.step": Entry(
        "K",
        lambda s: lambda z=s.z(), m=tokens.Mirostat(3.0): m.step(Categorical(z), 6.0, rng=0),
    ),
    "tokens.NoRepeatNgram": edited(tokens.NoRepeatNgram(3)),
    "tokens.PLess": staged(lambda s: tokens.PLess()),
    "tokens.PresencePenalty": edited(tokens.PresencePenalty(0.3)),
    "tokens.RepetitionPenalty": edited(tokens.RepetitionPenalty(1.3)),
    "tokens.Temperature": staged(lambda s: tokens.Temperature(0.7)),
    "tokens.TopH": staged(lambda s: tokens.TopH(0.5)),
    "tokens.TopK": staged(lambda s: tokens.TopK(50)),
    "tokens.TopNSigma": staged(lambda s: tokens.TopNSigma(1.0)),
    "tokens.TopP": staged(lambda s: tokens.TopP(0.9)),
    "tokens.Typical": staged(lambda s: tokens.Typical(0.9)),
    "tokens.XTC": staged(lambda s: tokens.XTC(1e-3, 0.5)),
    "tokens.Watermark.detect": Entry(
        "n", lambda s: lambda text=np.arange(s.n): tokens.Watermark(key=1, window=3).detect(text)
    ),
    "tokens.Watermark.sample": Entry(
        "K",
        lambda s: (
            lambda z=s.z(), h=s.history(), m=tokens.Watermark(key=1, window=3): m.sample(
                Categorical(z), h
            )
        ),
    ),
    "tokens.chain": staged(lambda s: tokens.chain(tokens.TopK(50), tokens.TopP(0.9))),
    "tokens.expected_accepted": Entry("K", _expected),
    "tokens.per_row": Entry(
        "rows R K",
        lambda s: (
            lambda z=np.atleast_2d(s.z()): tokens.per_row([tokens.TopK(50)] * len(z))(
                Categorical(z)
            )
        ),
    ),
    "tokens.preset": staged(lambda s: tokens.preset("transformers", top_k=50, top_p=0.9)),
    "tokens.verify": Entry("K", _verified),
}
# What is no name, but is called.
CALLS |= {
    "Categorical[i], every row": of_new(lambda d: [d[i] for i in range(len(d))], "rows R"),
    "Categorical[:], shared mask": Entry(
        "R", lambda s: lambda z=s.z(): [*Categorical(z, prior=np.ones((1, s.width), bool))]
    ),
    "Categorical.sample, one rng a row": asked(
        lambda d, s: d.sample(rng=list(range(s.rows))), "rows R"
    ),
    'Categorical.sample, method="gumbel"': asked(
        lambda d, s: d.sample(s.n, rng=0, method="gumbel"), "rows K n"
    ),
    'Categorical.sample, method="alias"': asked(
        lambda d, s: d.sample(s.n, rng=0, method="alias"), "rows K n"
    ),
    "tokens.Stage.sample": Entry(
        "rows R K",
        lambda s: (
            lambda z=s.z(), rng=np.random.default_rng(0): tokens.chain(
                tokens.TopK(50), tokens.TopP(0.9)
            ).sample(z, rng=rng)
        ),
    ),
    "Categorical of weights and a ladder": Entry(
        "rows K",
        lambda s: (
            lambda z=s.z(), t=np.linspace(0, 2, s.rows), w=np.ones(s.width): (
                Categorical(z, t if s.rows > 1 else 0.7, prior=w).log_probs
            )
        ),
    ),
    "MultiCategorical, K factors": Entry(
        "K",
        lambda s: (
            lambda z=s.z(): policies.MultiCategorical(
                z, [2] * (s.width // 4) + [s.width // 2]
            ).sample_and_log_prob(rng=0)
        ),
    ),
}

NOT_MEASURED = {
    "annealing.AnnealingResult.to_arviz": "once a run; its time is ArviZ's",
    "annealing.ExchangeResult.mean": "once a run, two sums of its record",
    "annealing.ExchangeResult.to_arviz": "once a run; its time is ArviZ's",
    "annealing.replica_exchange": "its time is that of the caller's sweeps",
    "annealing.smc": "its time is that of the caller's sweeps",
    "annealing.tune_ladder": "once a run, from its record",
    "dask.expectation": "cluster.py measures it",
    "dask.sample": "cluster.py measures it",
    "dask.sample_counts": "cluster.py measures it",
    "dask.sample_sharded": "cluster.py measures it",
    "draws.Keyed.generator": "a generator alone",
    "engine": "a word",
    "gumbel.Reservoir": "a state; update is measured",
    "plotting.Explorer": "pictures",
    "plotting.Explorer.html": "pictures",
    "plotting.Explorer.save": "pictures",
    "plotting.Explorer.widget": "pictures",
    "plotting.explore": "pictures",
    "plotting.plot_probabilities": "a picture",
    "plotting.plot_schedule": "a picture",
    "plotting.plot_simplex": "a picture",
    "plotting.plot_temperature_sweep": "a picture",
    "plotting.plot_thermodynamics": "a picture",
    "plotting.plot_truncation": "a picture",
    "policies.action_mask_from_info": "an entry of a dictionary",
    "temperatures.TemperatureCalibrator": "its time is scikit-learn's",
    **{
        f"temperatures.TemperatureCalibrator.{name}": "its time is scikit-learn's"
        for name in ("fit", "get_params", "predict", "predict_proba", "score", "set_params")
    },
    "schedules.Schedule": "abstract",
    "schedules.Schedule.clip": "a schedule alone",
    "schedules.Schedule.by_remaining": "a schedule alone",
    "schedules.Schedule.then": "a schedule alone",
    "temperatures.EntropyController": "two numbers; step is measured",
    "temperatures.EntropyController.init": "a number",
    "tokens.Chain": "what chain returns",
    "tokens.Chain.updated": "calls of its stages, which are measured",
    "tokens.LogitsProcessor.stage_after": "Mirostat.step, which is measured",
    "tokens.Mirostat.updated": "what step does, which is measured",
    "tokens.PerRow": "what per_row returns",
    "tokens.PerRow.updated": "calls of its stages, which are measured",
    "tokens.PerRow.with_prompt": "a stage alone",
    "tokens.Mirostat": "two numbers; step is measured",
    "tokens.Mirostat.init": "a number",
    "tokens.Stage": "abstract",
    "tokens.Truncation": "abstract",
    "tokens.Watermark": "two numbers; its methods are measured",
    "typing.ArrayProtocol": "a type",
}


def public_names() -> list[str]:
    """Every public function, class and method; of a stage, which is called, the class alone."""
    return [name for name in public_calls() if not name.startswith("tokens.Stage.")]


def cases() -> dict[str, Entry]:
    """All that is to be measured; an error names the public names that nobody has put here."""
    named = {name.partition(",")[0] for name in CALLS}
    missing = [name for name in public_names() if name not in named and name not in NOT_MEASURED]
    if missing:
        raise LookupError(
            f"public names without an entry in CALLS or NOT_MEASURED of {__file__}: {missing}"
        )
    return CALLS
