"""One convention throughout: words and order of parameters, and what a result may be.

The walks are generated from ``__all__`` and the signatures. A new public name meets them at once:
one that breaks a rule for a reason has the reason here.
"""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical, RelaxedCategorical, schedules
from softargmax.gumbel import Reservoir
from softargmax.policies import MultiCategorical
from softargmax.temperatures import EntropyController
from softargmax.tokens import TopK
from surface import public_calls

CALLS = public_calls()
CALLS["tokens.Stage.sample"] = TopK(4).sample


def parameters(name):
    found = dict(inspect.signature(CALLS[name]).parameters)
    found.pop("self", None)
    return found


def names_with(*words):
    return [name for name in CALLS if set(words) <= parameters(name).keys()]


# ---------------------------------------------------------------------------- words and order

# By keyword alone, in this order; what only one function knows comes after them.
KEYWORDS = ["coldness", "mask", "prior", "rng", "seed", "method", "scheme", "workers"]
# Objects that are a stream of numbered noise: the seed is what they are.
NUMBERED = ["draws.Keyed", "gumbel.Reservoir"]
# Where one of the words is what the function is about.
DATA = {
    "Categorical.masked": "mask",
    "annealing.replica_exchange": "coldness",
    "resampling.next_coldness": "coldness",
    "thermodynamics.reweight": "coldness",
}
# Other words for the same things.
FOREIGN = {"keep", "size", "random_state", "generator", "key_", "n_jobs", "threads", "weights_"}


@pytest.mark.parametrize("name", CALLS)
def test_parameters_have_one_order(name):
    found = parameters(name)
    if name.startswith("temperatures.TemperatureCalibrator"):
        return  # scikit-learn's interface, and its words
    assert not FOREIGN & found.keys()
    if name in NUMBERED:
        assert next(iter(found)) == "seed"
        return
    data = {DATA[name]} if name in DATA else set()
    for word in {*KEYWORDS} & found.keys() - data:
        assert found[word].kind is inspect.Parameter.KEYWORD_ONLY, word
    own = [word for word in found if found[word].kind is inspect.Parameter.KEYWORD_ONLY]
    known = [word for word in own if word in KEYWORDS]
    assert known == sorted(known, key=KEYWORDS.index)
    laws = [i for i, word in enumerate(own) if word in ("coldness", "mask", "prior")]
    assert laws == list(range(len(laws))), "what makes the law comes first"
    places = [word for word, x in found.items() if x.kind is not inspect.Parameter.KEYWORD_ONLY]
    if "shape" in places:
        assert places[-1] == "shape" or name == "gumbel.gumbel_noise"
        assert found["shape"].default == ()
    if "temperature" in places and not name.startswith("policies.kl"):
        assert places.index("temperature") <= 2
    if {"rng", "seed"} & found.keys():
        assert found.keys() & {"shape", "n", "k", "steps", "dist", "category", "values", "draft"}


def test_seeds_stand_where_noise_is_numbered():
    places = [name for name in names_with("seed") if not name.startswith("dask.")]
    assert places == NUMBERED
    assert not names_with("seed", "rng")


# ---------------------------------------------------------------------------- what makes a law

# τ is the relaxation's, and a negative 1/τ has no meaning.
RELAXATIONS = ["Categorical.relaxed", "RelaxedCategorical", "RelaxedCategorical.tempered"]


def test_coldness_stands_beside_temperature():
    lone = [name for name in names_with("temperature") if "coldness" not in parameters(name)]
    assert lone == RELAXATIONS


MASK_ALONE = {
    "policies.completed_q": "the logits are the network's prior of a search",
    "policies.gumbel_root": "the same",
    "policies.ucb": "the bounds decide between the actions, not weights",
    "policies.boltzmann_gumbel": "the noise decides between the actions, not weights",
    "policies.kl_regularized": "the reference is the prior",
    "temperatures.fit_temperature": "the loss is of the logits; its weights are those of rows",
    "temperatures.temperature_for_entropy": "with weights the entropy need not rise with T",
    "temperatures.temperature_for_perplexity": "the same",
    "temperatures.temperature_for_max_prob": "the same",
    "temperatures.temperature_for_ess": "the same",
}
NEITHER = {
    "Categorical.expectation": "values of categories, not scores",
    "Categorical.variance": "the same",
    "dask.sample_sharded": "logits in pieces, where -inf is the mask",
    "gumbel.Reservoir.update": "the same",
}


@pytest.mark.parametrize("name", sorted({*names_with("logits"), *names_with("values")}))
def test_mask_and_prior_stand_where_scores_are_taken(name):
    if name in NEITHER:
        return
    assert "mask" in parameters(name)
    assert ("prior" in parameters(name)) != (name in MASK_ALONE)


Z = np.array([[0.5, 2.0, 1.0, -1.0], [1.0, 1.0, 3.0, 0.0]])
MASK = np.array([[True, False, True, True], [True, True, False, True]])
WEIGHTS = np.array([1.0, 2.0, 3.0, 0.5])
BESIDE = {"sizes": (4,), "epsilon": 0.3, "temperature": 0.7, "shape": 500, "rng": 0}


def answer(name, **given):
    """The probabilities (or the value, or draws) that a law taker answers."""
    wanted = {word: x for word, x in BESIDE.items() if word in parameters(name)}
    if "coldness" in given or (wanted.get("temperature") and "temperature" in given):
        wanted.pop("temperature", None)
    made = CALLS[name](Z, **wanted, **given)
    made = getattr(made, "categorical", made)
    return np.asarray(getattr(made, "probs", made))


LAWS = [name for name in names_with("mask", "prior") if not name.startswith("plotting.")]


@pytest.mark.parametrize("name", LAWS)
def test_a_mask_and_a_prior_multiply(name):
    want = answer(name, prior=WEIGHTS * MASK)
    assert_allclose(answer(name, mask=MASK, prior=WEIGHTS), want, rtol=1e-14)
    assert_allclose(answer(name, mask=MASK), answer(name, prior=1.0 * MASK), rtol=1e-14)
    with pytest.raises(ValueError, match="mask must be booleans or numbers 0 and 1, got 2"):
        answer(name, mask=WEIGHTS)
    with pytest.raises(ValueError, match="prior must be non-negative and finite, got -1"):
        answer(name, prior=[-1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"row 1: every category has \w+ -inf or is masked$"):
        answer(name, mask=MASK * [[1], [0]])
    with pytest.raises(ValueError, match=r"row 1: every category has \w+ -inf or has prior 0$"):
        answer(name, prior=WEIGHTS * [[1], [0]])


@pytest.mark.parametrize("name", [name for name in LAWS if "coldness" in parameters(name)])
def test_coldness_is_one_over_temperature(name):
    got = answer(name, coldness=[2.0, 0.5])
    assert_allclose(got, answer(name, temperature=[0.5, 2.0]), rtol=1e-14)
    with pytest.raises(TypeError, match="pass temperature or coldness, not both"):
        CALLS[name](Z, **{k: BESIDE[k] for k in parameters(name).keys() & {"sizes"}},
                    temperature=1.0, coldness=1.0)  # fmt: skip


MASKING = [name for name in names_with("mask") if not name.startswith("plotting.")]


@pytest.mark.parametrize("name", [name for name in MASKING if name != "Categorical.masked"])
def test_a_mask_is_what_a_score_of_minus_infinity_is(name):
    scores = ("logits", "values", "samples", "gains", "energies", "weights")
    word = next(word for word in scores if word in parameters(name))
    given = examples_of(name, (2,))
    bare = {
        **given,
        word: np.where(MASK, given[word], {"energies": np.inf, "weights": 0}.get(word, -np.inf)),
    }
    got, want = call_of(CALLS[name], given, mask=MASK)(), call_of(CALLS[name], bare)()
    for made in (got, want):
        assert isinstance(made, np.ndarray | tuple) or hasattr(made, "batch_shape"), name
    for x, y in zip(shown(got), shown(want), strict=True):
        assert_allclose(x, y, rtol=1e-13)
    with pytest.raises(ValueError, match="mask must have 4 categories on its last axis"):
        call_of(CALLS[name], given, mask=[1, 1, 0])()
    with pytest.raises(ValueError, match="mask must fit the batch axes"):
        call_of(CALLS[name], given, mask=np.ones((3, 4)))()


def shown(x):
    """The numbers of a result, those of a distribution included."""
    x = getattr(x, "categorical", x)
    return leaves(getattr(x, "probs", x))


# ---------------------------------------------------------------------------- results

# Properties hold what the object keeps: read-only. Methods and functions make what is the
# caller's own: writable, and a change of it is never seen again. An array without axes is a NumPy
# scalar; what is one number whatever the input (K, a fit, a first state) is a Python number.
K, BATCHES = 4, [(), (2,)]
ONE_NUMBER = {
    "num_categories", "temperatures.fit_temperature", "temperatures.EntropyController.init",
    "gumbel.Reservoir.log_partition",
}  # fmt: skip
ROWS = {"draws.cumulative", "draws.invert", "draws.race", "draws.AliasTable.take"}
OTHERS = {
    "annealing": "their results are records, which have a test below",
    "dask": "lazy",
    "plotting": "Axes",
    "schedules": "objects, which have a test below",
    "thermodynamics.reweight": "a record, which has a test below",
    "tokens": "stages: a distribution for a distribution",
}


def leaves(x):
    """The arrays and numbers of a result."""
    if isinstance(x, tuple):
        return [leaf for part in x for leaf in leaves(part)]
    return [x] if isinstance(x, np.ndarray | np.generic | float | int) else []


def examples(batch, width=K):
    """A value for each parameter without a default, by its name."""
    z = np.random.default_rng(3).normal(size=(*batch, width))
    p, q = Categorical(z), Categorical(z[..., ::-1])
    flat, row = np.full((*batch, width), 1 / width), np.array([[0.2, 0.8]])
    return {
        "logits": z, "values": z, "energies": z, "log_rates": z, "noise": z, "weights": flat,
        "log_probs": p.log_probs, "dist": p, "p": p, "q": q, "reference": q, "other": q,
        "dists": [p] * width, "category": 1, "labels": np.zeros(batch, int), "indices": [1, 0],
        "action": [1, 0],
        "u": 0.5, "k": 2, "n": 5, "d": 0, "y": flat, "log_y": np.log(flat),
        "temperature": 0.5, "coldness": 0.5, "mask": [True] * width, "sizes": (width,),
        "epsilon": 0.5, "alpha": 0.5, "fraction": 0.5, "counts": np.ones((*batch, width), int),
        "visits": np.ones((*batch, width), int), "value": 0.5, "simulations": 9,
        "samples": z[None], "gains": z, "gamma": 0.5, "policy": p, "reward": 0.5,
        "scale": 1.0, "threshold": 0.0, "target": 0.5, "num_legal": 3, "state": 0.0,
        "entropy": 1.0, "perplexity": 2.0, "max_prob": 0.5, "ess": 2.0, "waits": row, "cdf": row,
        "info": {"action_mask": np.ones(width, np.int8)}, "offset": 10_000,
    }  # fmt: skip


def examples_of(name, batch):
    """In planning, q are the values of actions."""
    given = examples(batch)
    return given | {"q": given["values"]} if name.startswith("policies.") else given


def call_of(function, given, **more):
    found = inspect.signature(function).parameters
    wanted = {
        word: given[word]
        for word, x in found.items()
        if x.default is x.empty and x.kind is not x.VAR_POSITIONAL
    }
    if "rng" in found:
        wanted["rng"] = 0
    if "temperature" in found:
        wanted["temperature"] = 0.5
    return lambda: function(**{**wanted, **more})


def check_made(name, call):
    """What a function or method returns: the caller's own."""
    first = leaves(call())
    before = [np.array(x) for x in first]
    for x in first:
        if isinstance(x, np.ndarray):
            assert x.ndim > 0, f"{name}: an array without axes"
            assert x.flags.writeable, f"{name}: read-only"
            x[...] = 77
        elif name not in ONE_NUMBER:
            assert isinstance(x, np.generic), f"{name}: {x!r}"
    for x, same in zip(leaves(call()), before, strict=True):
        assert_array_equal(x, same, err_msg=f"{name}: a change of the result is seen again")


def check_held(name, x):
    """What a property shows: the object's."""
    for leaf in leaves(x):
        if isinstance(leaf, np.ndarray):
            assert leaf.ndim > 0, f"{name}: an array without axes"
            assert not leaf.flags.writeable, f"{name}: writable"
        elif not isinstance(leaf, int) and name not in ONE_NUMBER:
            assert isinstance(leaf, np.generic), f"{name}: {leaf!r}"


def objects(batch):
    z = np.random.default_rng(5).normal(size=(*batch, K))
    long = np.random.default_rng(5).normal(size=(*batch, 1100))
    yield Categorical(z, 0.7)
    yield Categorical(z.astype(np.float32), coldness=2.0, prior=WEIGHTS)
    yield Categorical(z, np.ones(batch), mask=MASK[0])
    yield Categorical(long)
    yield TopK(9)(Categorical(long))  # sparse
    yield RelaxedCategorical(z, 0.5)
    yield RelaxedCategorical(z, np.ones(batch))
    yield MultiCategorical(np.concatenate([z, z], axis=-1), (K, K))
    yield Reservoir(0, 2).update(z.ravel(), 0)
    yield EntropyController(0.5, 0.1)


@pytest.mark.parametrize("batch", BATCHES)
def test_properties_are_the_objects_and_results_the_callers(batch):
    walked = set()
    for thing in objects(batch):
        kind = type(thing)
        given = examples(batch, getattr(thing, "num_categories", 2 * K))
        given["labels"] = ["name"] * getattr(thing, "num_categories", 0)
        if kind is MultiCategorical:
            given["other"] = thing
        if kind is Reservoir:
            given.update(logits=given["logits"].ravel(), other=Reservoir(0, 2))
        for name in dir(kind):
            static = inspect.getattr_static(kind, name)
            if name[0] == "_" or isinstance(static, classmethod):
                continue
            if isinstance(static, property):
                check_held(name, getattr(thing, name))
            elif callable(static):
                method = getattr(thing, name)
                full = next(n for n, x in CALLS.items() if x is getattr(kind, name))
                walked.add(full)
                check_made(full, call_of(method, given))
                if "shape" in inspect.signature(method).parameters:
                    check_made(full, call_of(method, given, shape=3))
    kinds = {type(thing).__name__ for thing in objects(())}
    methods = {name for name in CALLS if name.split(".")[-2:-1] and name.split(".")[-2] in kinds}
    assert methods - walked <= {"Categorical.from_weights", "Categorical.from_energies"}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", [name for name, x in CALLS.items() if inspect.isfunction(x)])
def test_functions_return_the_callers_own(name, batch):
    if {name, name.split(".")[0]} & OTHERS.keys() or not CALLS[name].__qualname__.isidentifier():
        return  # and methods, which the walk above calls
    given = examples_of(name, batch)
    if name in ROWS:
        given.update(weights=np.array([[0.2, 0.8]]), u=np.array([[0.5]]))
    call = call_of(CALLS[name], given)
    check_made(name, call)
    if "shape" in parameters(name):
        check_made(name, call_of(CALLS[name], given, shape=3))
    for word, x in examples(batch).items():  # which stay the caller's too
        if isinstance(x, np.ndarray) and word in parameters(name) and name not in ROWS:
            assert_array_equal(given[word], x)


def test_schedules_answer_scalars_and_arrays():
    for name in schedules.__all__:
        kind = getattr(schedules, name)
        if inspect.isabstract(kind):
            continue
        given = {"schedule": schedules.Constant(1.0), "first": schedules.Constant(1.0), "at": 5}
        given["second"] = schedules.Constant(2.0)
        given |= dict.fromkeys(("start", "stop", "steps", "period", "power", "q", "scale"), 2.0)
        given |= {"value": 2.0, "total_steps": 9.0, "decay": 0.5, "low": 0.1, "high": 1.0}
        made = call_of(kind, given)()
        for step in (0, 0.5, np.int64(1), np.float32(1), np.array(1.0)):
            check_made(name, lambda made=made, step=step: made(step))
        check_made(name, lambda made=made: made([0.0, 1.0]))


def test_what_is_hashed_cannot_be_changed():
    """Equal schedules, controllers and seeds are equal keys, for good."""
    made = [
        schedules.Linear(2, 1, steps=9),
        schedules.Constant(1).then(schedules.Logarithmic(2), 5),
    ]
    for thing in (*made, EntropyController(0.5, 0.1), CALLS["draws.Keyed"](3)):
        for name, value in vars(thing).items():
            assert isinstance(value, int | float | schedules.Schedule), "nothing that can change"
            with pytest.raises(AttributeError):
                setattr(thing, name, value)
            with pytest.raises(AttributeError):
                delattr(thing, name)
        assert len({thing, type(thing)(**vars(thing))}) == 1


@pytest.mark.parametrize("thing", [x for x in objects((2,)) if hasattr(x, "batch_shape")])
def test_distributions_are_batches_that_never_change(thing):
    alone, none = thing[0], thing[:0]
    assert [x.batch_shape for x in thing] == [()] * len(thing) == [(), ()]
    assert bool(none)
    assert len(none) == 0
    assert list(none) == []
    for use in (len, iter, list):
        with pytest.raises(TypeError, match="without batch axes has no len"):
            use(alone)
    with pytest.raises(IndexError):
        thing[2]
    for name in ("logits", "temperature", "probs", "_state", "new"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(thing, name, 1)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(thing, name)


def test_the_records_of_runs_are_read_only():
    energies = np.array([0.0, 2.0, 1.0])
    runs = [
        CALLS["annealing.anneal"](
            0, lambda x, rng: (energies, None), lambda x, _, i: i, 1.0, steps=3, rng=0
        ),
        CALLS["annealing.replica_exchange"](
            np.zeros(2, int), lambda x: energies[x], lambda x, b, rng: x, [0.0, 1.0], steps=3
        ),
        CALLS["annealing.smc"](np.zeros(2, int), lambda x: energies[x], lambda x, b, rng: x),
        CALLS["thermodynamics.reweight"](np.ones((20, 2)), [0.0, 1.0], to=[0.0, 0.5]),
    ]
    for run in runs:
        for name in dir(run):
            if name[0] != "_" and name not in ("state", "states", "best_state"):
                for x in leaves(getattr(run, name)):
                    assert not isinstance(x, np.ndarray) or not x.flags.writeable, name
