"""Equal seeds share no noise between two functions, but within a family.

Every function of the public surface that takes an rng or a seed stands in a table with a call and
its family: the tag of its stream, or None for what draws as ``sample`` does. What is drawn from
is recorded exactly; correlations over thousands of seeds come second.
"""

import importlib
import inspect
import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from softargmax import Categorical, RelaxedCategorical, policies
from softargmax import gumbel as g
from softargmax._random import keyed
from softargmax._random import numpy as host
from softargmax._random.tags import Tag
from softargmax.annealing import anneal, replica_exchange, smc
from softargmax.draws import Keyed
from softargmax.resampling import resample
from softargmax.tokens import Mirostat, TopK, verify
from surface import public_calls

Z = np.array([0.0, 0.5, 1.0])


def relaxed(to):
    return RelaxedCategorical(to(Z), 0.7)


def rows_of(n):
    """What makes an array of n equal rows."""
    return lambda z: np.stack([np.asarray(z)] * n)


def actions(to):
    return policies.MultiCategorical(to(np.zeros(5)), sizes=(2, 3))


def clustered(name):
    """A call of a function of the room for Dask, on one thread."""

    def call(to, seed):
        pytest.importorskip("dask")
        room = importlib.import_module("softargmax.dask")
        dist, f = Categorical(Z), lambda x: x
        lazy = {
            "sample": lambda: room.sample(dist, 4, seed=seed),
            "sample_counts": lambda: room.sample_counts(dist, 4, seed=seed),
            "expectation": lambda: room.expectation(dist, f, 4, seed=seed).mean,
            "sample_sharded": lambda: room.sample_sharded(dask_array(Z), k=2, seed=seed),
        }[name]()
        return (lazy.compute(scheduler="synchronous"),)

    return call


def dask_array(x):
    return importlib.import_module("dask.array").from_array(x)


# name: (family, call). ``to`` makes an array of the library that is asked for.
ANY_LIBRARY = {
    "Categorical.sample": (None, lambda to, rng: (Categorical(to(Z)).sample(4, rng=rng),)),
    "Categorical.sample_and_log_prob": (
        None,
        lambda to, rng: Categorical(to(Z)).sample_and_log_prob(4, rng=rng),
    ),
    "Stage.sample": (None, lambda to, rng: (TopK(2).sample(to(Z), shape=4, rng=rng),)),
    "MultiCategorical.sample": (None, lambda to, rng: (actions(to).sample(2, rng=rng),)),
    "MultiCategorical.sample_and_log_prob": (
        None,
        lambda to, rng: actions(to).sample_and_log_prob(2, rng=rng),
    ),
    "Categorical.sample_counts": (
        Tag.COUNTS,
        lambda to, rng: (Categorical(to(Z)).sample_counts(9, rng=rng),),
    ),
    "Categorical.sample_without_replacement": (
        Tag.WITHOUT_REPLACEMENT,
        lambda to, rng: (Categorical(to(Z)).sample_without_replacement(2, 2, rng=rng),),
    ),
    "conditional_gumbels": (
        Tag.CONDITIONAL_GUMBELS,
        lambda to, rng: (g.conditional_gumbels(Categorical(to(Z)), 1, rng=rng),),
    ),
    "exponential_race": (Tag.RACE, lambda to, rng: g.exponential_race(to(Z), 2, rng=rng)),
    "gumbel_top_k": (
        Tag.GUMBEL_TOP_K,
        lambda to, rng: g.gumbel_top_k(Categorical(to(Z)), 2, rng=rng),
    ),
    "maximal_coupling": (
        Tag.COUPLING,
        lambda to, rng: g.maximal_coupling(
            Categorical(to(Z)), Categorical(to(Z[::-1].copy())), shape=2, rng=rng
        ),
    ),
    "boltzmann_gumbel": (
        Tag.BOLTZMANN_GUMBEL,
        lambda to, rng: (policies.boltzmann_gumbel(to(Z), to(Z + 1), 1.0, rng=rng).logits,),
    ),
    "with_dirichlet_noise": (
        Tag.DIRICHLET,
        lambda to, rng: (
            policies.with_dirichlet_noise(Categorical(to(Z)), 1.0, 0.5, rng=rng).log_probs,
        ),
    ),
    "RelaxedCategorical.sample": (Tag.RELAXED, lambda to, rng: (relaxed(to).sample(2, rng=rng),)),
    "RelaxedCategorical.log_sample": (
        Tag.RELAXED,
        lambda to, rng: (relaxed(to).log_sample(2, rng=rng),),
    ),
    "RelaxedCategorical.straight_through": (
        Tag.RELAXED,
        lambda to, rng: (relaxed(to).straight_through(2, rng=rng),),
    ),
    "RelaxedCategorical.gumbel_rao": (
        Tag.GUMBEL_RAO,
        lambda to, rng: (relaxed(to).gumbel_rao(2, 2, rng=rng),),
    ),
    "resample": (
        Tag.RESAMPLING,
        lambda to, rng: (resample(Categorical(to(Z)), 4, scheme="multinomial", rng=rng),),
    ),
    "Mirostat.step": (
        Tag.MIROSTAT,
        lambda to, rng: Mirostat(target=1.0).step(Categorical(to(Z)), 9.0, rng=rng),
    ),
    "verify": (
        Tag.VERIFICATION,
        lambda to, rng: verify(
            to(np.array([0, 2])),
            Categorical(to(rows_of(2)(Z))),
            Categorical(to(rows_of(3)(-Z))),
            rng=rng,
        ),
    ),
}
NUMPY_ALONE = {
    "gumbel_noise": (Tag.GUMBEL_NOISE, lambda to, rng: (g.gumbel_noise(4, rng=rng),)),
    "RelaxedCategorical.sample_with_pullback": (
        Tag.RELAXED,
        lambda to, rng: relaxed(to).sample_with_pullback(2, rng=rng)[:1],
    ),
    "RelaxedCategorical.straight_through_with_pullback": (
        Tag.RELAXED,
        lambda to, rng: relaxed(to).straight_through_with_pullback(2, rng=rng)[:1],
    ),
    "RelaxedCategorical.gumbel_rao_with_pullback": (
        Tag.GUMBEL_RAO,
        lambda to, rng: relaxed(to).gumbel_rao_with_pullback(2, 2, rng=rng)[:1],
    ),
    "anneal": (
        Tag.ANNEALING,
        lambda to, rng: (
            anneal(
                0, lambda _, r: (r.random(2), None), lambda *_: 0, 1.0, steps=1, rng=rng
            ).energies,
        ),
    ),
    "replica_exchange": (
        Tag.EXCHANGE,
        lambda to, rng: (
            replica_exchange(
                Z, lambda x: x, lambda x, _, r: r.random(3), [0.0, 1, 2], steps=1, rng=rng
            ).energies,
        ),
    ),
    "smc": (
        Tag.SMC,
        lambda to, rng: (
            smc(Z, lambda x: x, lambda x, _, r: r.random(3), coldness=[0.0, 1], rng=rng).energies,
        ),
    ),
}
SEEDED = {
    "Keyed": (Tag.KEYED_DRAWS, lambda to, seed: (Categorical(to(Z)).sample(4, rng=Keyed(seed)),)),
    "Reservoir": (
        Tag.RESERVOIR,
        lambda to, seed: (g.Reservoir(seed, 2).update(Z, 0).indices,),
    ),
    "dask.sample": (Tag.KEYED_DRAWS, clustered("sample")),
    "dask.sample_counts": (Tag.KEYED_DRAWS, clustered("sample_counts")),
    "dask.expectation": (Tag.KEYED_DRAWS, clustered("expectation")),
    "dask.sample_sharded": (Tag.RESERVOIR, clustered("sample_sharded")),
}
DRAWING = ANY_LIBRARY | NUMPY_ALONE
# Those that take one rng a row.
BATCHED = {name: row for name, row in ANY_LIBRARY.items() if name != "maximal_coupling"}
NOT_DRAWING = {"AnnealingResult", "ExchangeResult", "SMCResult"}  # hold the generator of a run


def names_that_take(words):
    for name, function in public_calls().items():
        if words & set(inspect.signature(function).parameters):
            room, _, rest = name.partition(".")
            yield name if room == "dask" or room[0].isupper() or not rest else rest


def test_every_function_that_draws_is_in_the_table():
    found = set(names_that_take({"rng", "seed", "rngs", "generator"}))
    assert found - NOT_DRAWING == set(DRAWING | SEEDED)


# What a draw takes besides the rng itself: factors of other sizes, in JAX and on a GPU.
FURTHER = {Tag.FACTORS}


def test_every_tag_has_a_family():
    assert {family for family, _ in (DRAWING | SEEDED).values()} == {None, *Tag} - FURTHER
    for tag in Tag:
        assert 0 < tag < 2**32  # JAX folds words of 32 bits into keys


# ---------------------------------------------------------------------------- exact


@pytest.fixture
def started(monkeypatch):
    """The state that each generator starts with, and the seeds of streams by number."""
    seen, seed, words = [], host._Seed, keyed.Words.__init__

    def seeded(digest):
        seen.append(digest)
        return seed(digest)

    def numbered(self, *arguments):
        words(self, *arguments)
        seen.append(self._bits.state["state"]["key"].tobytes())

    monkeypatch.setattr(host, "_Seed", seeded)
    monkeypatch.setattr(keyed.Words, "__init__", numbered)
    return seen


def record(started, call, to, rng):
    started.clear()
    call(to, rng)
    return list(started)


def check_families(streams):
    """Of functions' streams by name: one family, one set; two families have none in common."""
    table = DRAWING | SEEDED
    for (name, own), (other, their) in itertools.combinations(streams.items(), 2):
        if table[name][0] == table[other][0]:
            assert set(own) == set(their), (name, other)
        else:
            assert not set(own) & set(their), (name, other)
    for name, own in streams.items():
        assert name.startswith("dask.") or len(own) == len(set(own)), name
        assert bool(own) == (table[name][0] is not None), name


@pytest.mark.parametrize("make", [int, np.random.SeedSequence, np.random.default_rng])
def test_no_two_families_share_a_stream(started, make):
    streams, after = {}, np.random.default_rng(5)
    after.random(2)
    for name, (family, call) in DRAWING.items():
        rng = make(5)
        streams[name] = record(started, call, np.asarray, rng)
        if family is not None and isinstance(rng, np.random.Generator):
            # The rng itself gives the words of the hash, and no noise.
            assert rng.bit_generator.state == after.bit_generator.state, name
        # All three kinds of rng give equal draws.
        drawn = call(np.asarray, make(5))
        for x, y in zip(drawn, call(np.asarray, 5), strict=True):
            assert_array_equal(x, y, err_msg=name)
    check_families(streams)


def test_numbered_streams_are_apart(started):
    streams = {name: record(started, call, np.asarray, 5) for name, (_, call) in SEEDED.items()}
    check_families(streams)
    check_families(streams | {"resample": record(started, DRAWING["resample"][1], np.asarray, 5)})


def test_a_row_of_its_own_rng_has_the_stream_of_that_rng(started):
    for name, (_, call) in BATCHED.items():
        both = (record(started, call, np.asarray, seed) for seed in (5, 6))
        assert record(started, call, rows_of(2), [5, 6]) == list(itertools.chain(*both)), name


def test_a_generator_goes_on():
    for name, (_, call) in DRAWING.items():
        rng = np.random.default_rng(5)
        drawn = [np.concatenate([np.ravel(x) for x in call(np.asarray, rng)]) for _ in range(20)]
        assert len({tuple(x) for x in drawn}) > 1, name


# ---------------------------------------------------------------------------- frameworks


@pytest.mark.frameworks
@pytest.mark.parametrize("traced", [False, True])
def test_tensors_obey_as_arrays_do(started, traced):
    torch = pytest.importorskip("torch")
    streams = {}
    for name, (family, call) in ANY_LIBRARY.items():
        if not traced:
            assert record(started, call, torch.tensor, 5) == record(started, call, np.asarray, 5)

        def one(x, call=call):
            rng = torch.Generator().manual_seed(5)
            return call(lambda z: (found := torch.as_tensor(z)) + x.to(found.dtype), rng)[0]

        if traced and family in ON_HOST:
            continue
        started.clear()
        if traced:
            torch.func.vmap(one, randomness="different")(torch.zeros(2))
        else:
            one(torch.zeros(()))
        streams[name] = list(started)
    rng = torch.Generator().manual_seed(5)
    streams["gumbel_noise"] = record(started, DRAWING["gumbel_noise"][1], None, rng)
    check_families(streams)


# What NumPy draws, which torch.func does not let out.
ON_HOST = {Tag.COUNTS, Tag.WITHOUT_REPLACEMENT, Tag.RESAMPLING, Tag.DIRICHLET}


@pytest.mark.frameworks
@pytest.mark.parametrize("mapped", [False, True])
def test_jax_folds_the_tag_into_the_key(monkeypatch, mapped):
    jax = pytest.importorskip("jax")
    folds, drawn, fold = [], [], jax.random.fold_in

    def folded(key, data):
        folds.append(data)
        return fold(key, data)

    def drawing(draw):
        return lambda key, *rest, **options: (drawn.append(key), draw(key, *rest, **options))[1]

    monkeypatch.setattr(jax.random, "fold_in", folded)
    for draw in ("gumbel", "loggamma", "key_data"):  # the last for what NumPy draws
        monkeypatch.setattr(jax.random, draw, drawing(getattr(jax.random, draw)))
    calls = {**ANY_LIBRARY, "gumbel_noise": DRAWING["gumbel_noise"]}
    for name, (family, call) in calls.items():

        def one(key, name=name, family=family, call=call):
            folds.clear(), drawn.clear()
            found = call(jax.numpy.asarray, key)[0]
            assert folds == ([] if family is None else [family]), name
            assert {own is key for own in drawn} == {family is None}, name
            assert len(drawn) == len(set(map(id, drawn))), name
            return found

        keys = jax.random.split(jax.random.key(5), 2)
        jax.eval_shape(jax.vmap(one) if mapped else one, keys if mapped else keys[0])


# ---------------------------------------------------------------------------- correlations

N = 1500
# One function of each family, the first in the table, and none that needs Dask.
REPRESENTATIVES = {
    family: name
    for name, (family, _) in reversed((DRAWING | SEEDED).items())
    if not name.startswith("dask.")
}


def ranks_of(name, seeds):
    """Standardised ranks of everything that a function draws, a row a seed."""
    call, n = (DRAWING | SEEDED)[name][1], len(seeds)
    if name in BATCHED:  # one seed a row
        found = (np.asarray(x) for x in call(rows_of(n), seeds))
        drawn = np.hstack([np.moveaxis(x, x.shape.index(n), 0).reshape(n, -1) for x in found])
    else:
        each = (call(np.asarray, seed) for seed in seeds)
        drawn = np.array([np.concatenate([np.ravel(x) for x in found]) for found in each])
    ranks = stats.rankdata(drawn, axis=0)
    spread = ranks.std(axis=0)
    return ((ranks - ranks.mean(axis=0)) / np.where(spread, spread, 1))[:, spread > 0]


def correlated(ranks):
    """Pairs of functions with a rank correlation that equal laws give once in 10⁶ runs, or rarer.

    Over n seeds a correlation has a standard error of 1/√n: with 1,500 seeds, one of 0.23 is found
    with a chance of 99 %.
    """
    pairs = list(itertools.combinations(ranks, 2))
    tests = sum(ranks[a].shape[1] * ranks[b].shape[1] for a, b in pairs)
    bound = stats.norm.isf(1e-6 / tests / 2) / np.sqrt(N)
    assert bound + stats.norm.isf(0.01) / np.sqrt(N) < 0.23
    return {(a, b) for a, b in pairs if abs(ranks[a].T @ ranks[b] / N).max() > bound}


def test_equal_seeds_give_uncorrelated_noise():
    ranks = {name: ranks_of(name, list(range(N))) for name in REPRESENTATIVES.values()}
    assert len(ranks) == 1 + len(Tag) - len(FURTHER)
    assert min(x.shape[1] for x in ranks.values()) > 0
    assert correlated(ranks) == set()


def test_the_check_finds_noise_that_is_shared(monkeypatch):
    monkeypatch.setattr(host, "tagged", lambda rng, tag, count=1: [rng] * count)
    names = ["Categorical.sample", "conditional_gumbels", "gumbel_noise", "gumbel_top_k"]
    found = correlated({name: ranks_of(name, list(range(N))) for name in names})
    assert found == set(itertools.combinations(names, 2))


def test_gumbels_given_a_draw_of_an_equal_seed_are_standard():
    """Their means were .753, .650 and .639 when they shared noise: Euler's constant is right.

    The bound is 5.1 standard errors, with a false-fail rate of 1e-6; it finds 0.175 in 99 %.
    """
    n = 3000
    seeds = list(range(n))
    many = Categorical(np.zeros((n, 3)))
    noise = g.conditional_gumbels(many, many.sample(rng=seeds), rng=seeds)
    assert abs(noise.mean(axis=0) - np.euler_gamma).max() < 5.1 * np.pi / np.sqrt(6 * n)
