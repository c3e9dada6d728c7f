"""What is said of keywords and attributes of other libraries; other calls are as before."""

import copy
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import softargmax
from softargmax import Categorical, RelaxedCategorical, log_softargmax
from softargmax import softargmax as law
from softargmax._arrays.keywords import explained
from softargmax.annealing import anneal, smc
from softargmax.gumbel import gumbel_noise, gumbel_top_k
from softargmax.policies import MultiCategorical, boltzmann, epsilon_greedy
from softargmax.resampling import resample
from softargmax.schedules import Geometric, Linear
from softargmax.tokens import RepetitionPenalty, Temperature, TopK, TopP, verify
from surface import public_objects

Z = [0.0, 1.0, 2.0]
DIST = Categorical(Z)


@pytest.mark.parametrize(
    ("call", "name"),
    [(Linear, "Linear"), (TopK, "TopK"), (Categorical, "Categorical"), (law, "softargmax")],
)
def test_missing_arguments_are_those_of_the_public_call(call, name):
    with pytest.raises(TypeError, match=rf"^{name}\(\) missing \d required positional argument"):
        call()


def test_missing_arguments_within_a_call_are_not_its_own():
    class Sub(Linear):
        def __post_init__(self):
            Linear.__init__(self)

    with pytest.raises(TypeError, match=r"^_Ramp.__init__\(\) missing 3") as caught:
        Sub(1, 2, 3)
    assert any(entry.name == "__post_init__" for entry in caught.traceback)


@pytest.mark.parametrize(
    ("call", "given", "name", "meant"),
    [
        (Categorical, {"probs": Z}, "Categorical", "Categorical.from_weights(probs)?"),
        (Categorical, {"p": Z}, "Categorical", "Categorical.from_weights(p)?"),
        (Categorical, {"energies": Z}, "Categorical", "Categorical.from_energies(energies)?"),
        *[
            (Categorical, {"logits": Z, word: 1}, "Categorical", "temperature=?")
            for word in ("temp", "T", "tau", "temprature")
        ],
        (Categorical, {"logits": Z, "beta": 1}, "Categorical", "coldness=?"),
        (Categorical, {"logits": Z, "where": Z}, "Categorical", "mask=?"),
        (Categorical.from_weights, {"weights": Z, "T": 1}, "Categorical.from_weights", "temp"),
        *[
            (DIST.sample, {word: 0}, "Categorical.sample", "rng=?")
            for word in ("seed", "key", "generator", "random_state")
        ],
        *[
            (DIST.sample, {word: 3}, "Categorical.sample", "shape=?")
            for word in ("num_samples", "size", "n", "sample_shape")
        ],
        (DIST.sample_counts, {"size": 3}, "Categorical.sample_counts", "n=?"),
        (DIST.sample, {"colour": 3}, "Categorical.sample", "it takes shape, rng, method, workers"),
        (DIST.sample_counts, {"n": 4, "size": 3}, "Categorical.sample_counts", "shape=?"),
        (partial(DIST.sample_counts, 4), {"size": 3}, "Categorical.sample_counts", "shape=?"),
        (DIST.tempered, {"T": 3}, "Categorical.tempered", "temperature=?"),
        (DIST.relaxed(1).sample, {"seed": 3}, "RelaxedCategorical.sample", "rng=?"),
        (RelaxedCategorical, {"logits": Z, "tau": 3}, "RelaxedCategorical", "temperature=?"),
        (MultiCategorical, {"logits": Z, "T": 3}, "MultiCategorical", "temperature=?"),
        (law, {"logits": Z, "T": 1}, "softargmax", "temperature=?"),
        (log_softargmax, {"logits": Z, "dim": 1}, "log_softargmax", "axis=?"),
        (law, {"probs": Z}, "softargmax", "Categorical.from_weights(probs)?"),
        (boltzmann, {"q_values": Z}, "boltzmann", "values=?"),
        (boltzmann, {"values": Z, "action_mask": Z}, "boltzmann", "mask=?"),
        (epsilon_greedy, {"values": Z, "eps": 0.1}, "epsilon_greedy", "epsilon=?"),
        (gumbel_noise, {"size": 3}, "gumbel_noise", "shape=?"),
        (gumbel_top_k, {"dist": DIST, "seed": 3}, "gumbel_top_k", "rng=?"),
        (resample, {"dist": DIST, "seed": 3}, "resample", "rng=?"),
        (anneal, {"seed": 3}, "anneal", "rng=?"),
        (smc, {"seed": 3}, "smc", "rng=?"),
        (verify, {"seed": 3}, "verify", "rng=?"),
        (TopK, {"top_k": 3}, "TopK", "k=?"),
        (TopP, {"top_p": 0.9}, "TopP", "p=?"),
        (Temperature, {"temperature": 0.9}, "Temperature", "t=?"),
        (RepetitionPenalty, {"penalty": 1.2}, "RepetitionPenalty", "theta=?"),
        (Geometric, {"initial": 1.0, "stop": 0.1, "steps": 9}, "Geometric", "start=?"),
        (Linear, {"start": 1.0, "final": 0.1, "steps": 9}, "Linear", "stop=?"),
    ],
)
def test_an_unknown_keyword_says_which_was_meant(call, given, name, meant):
    with pytest.raises(TypeError) as caught:
        call(**given)
    assert str(caught.value).startswith(f"{name}() got an unexpected keyword argument ")
    assert meant in str(caught.value)


def takes_keywords(name, value):
    """Whether it is a function, or a method of Categorical, with keywords, but not with any."""
    if not inspect.isfunction(value):
        return False
    if "." in value.__qualname__ and not name.startswith("softargmax.Categorical."):
        return False
    kinds = {one.kind for one in inspect.signature(value).parameters.values()}
    return inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_KEYWORD not in kinds


@pytest.mark.parametrize(
    ("name", "function"), [pair for pair in public_objects() if takes_keywords(*pair)]
)
def test_every_function_with_keywords_says_which_it_takes(name, function):
    with pytest.raises(TypeError, match=r"did you mean|it takes"):
        function(colour=3)


def test_what_takes_any_keyword_says_its_own_error():
    class Loose(TopK):
        def __init__(self, **given):
            super().__init__(**given)

    with pytest.raises(TypeError, match="k must be an integer, got 'x'"):
        Loose(k="x")


def plain(a, b=2, *, c, d=4):
    """Doc."""
    return a, b, c, d


def test_other_calls_are_those_of_the_function():
    made = explained(plain)
    assert made(1, c=3) == (1, 2, 3, 4)
    assert made(1, 5, c=3, d=6) == made(b=5, a=1, d=6, c=3) == (1, 5, 3, 6)
    assert inspect.signature(made) == inspect.signature(plain)
    assert made.__doc__ == "Doc."
    assert pickle.loads(pickle.dumps(law)) is law
    for given in ([], [1, 2, 3]), ([1], {}), ([1], {"a": 2}), ([], {"c": 1}), ([1], {"d": 1}):
        args, kwargs = (given[0], {}) if isinstance(given[1], list) else given
        messages = []
        for function in (plain, made):
            with pytest.raises(TypeError) as caught:
                function(*args, **kwargs)
            messages.append(str(caught.value).replace("make.<locals>.call", "plain"))
        assert messages[0] == messages[1]


def test_no_public_signature_shows_the_unknown():
    for name in ("sample", "sample_and_log_prob", "tempered", "from_weights"):
        kinds = inspect.signature(getattr(Categorical, name)).parameters.values()
        assert not any(one.kind is one.VAR_KEYWORD for one in kinds)
    assert [*inspect.signature(Categorical).parameters][:2] == ["logits", "temperature"]


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        (Categorical, "from_probs", "from_weights"),
        (DIST, "from_probs", "from_weights"),
        (DIST, "ppf", "quantile"),
        (DIST, "rvs", "sample"),
        (DIST, "pmf", "prob"),
        (DIST.relaxed(1), "rvs", "sample"),
    ],
)
def test_an_attribute_of_other_libraries_names_ours(owner, name, meant):
    with pytest.raises(AttributeError, match=re.escape(f"did you mean {meant}?")) as caught:
        getattr(owner, name)
    assert caught.value.name == name
    assert caught.value.obj is owner


def test_classes_of_ones_own_may_have_the_names_of_others():
    class Mixin:
        size = 7

        def rvs(self, n):
            return self.sample(n, rng=0).tolist()

    class Mixed(Categorical, Mixin):
        def pmf(self, x):
            return self.prob(x)

        def draw(self):
            return super().draw()

    mine = Mixed(Z)
    assert mine.rvs(3) == Mixed.rvs(mine, 3) == DIST.sample(3, rng=0).tolist()
    assert mine.pmf(1) == DIST.prob(1)
    assert Mixed.size == mine.size == 7
    assert {"rvs", "pmf", "size"} <= {*dir(mine)} & {*dir(Mixed)}
    assert len({*dir(mine)}) == len(dir(mine))
    with pytest.raises(AttributeError, match=r"^'Mixed' object has .* did you mean quantile\?"):
        mine.ppf  # noqa: B018
    with pytest.raises(AttributeError, match=r"did you mean sample\?"):
        mine.draw()
    assert [name for name in vars(Mixed) if name[0] != "_"] == ["pmf", "draw"]


def test_other_names_are_not_listed():
    for own in (DIST, Categorical):
        assert not {"rvs", "pmf", "ppf", "draw"} & {*dir(own)}
        assert {"sample", "prob", "quantile"} <= {*dir(own)}
    assert "rvs" not in pydoc.render_doc(Categorical)


@pytest.mark.parametrize(
    ("line", "meant"),
    [("Categorical([0.0]).entropies", "entropy"), ("Categorical.from_weight", "from_weights")],
)
def test_what_is_spelled_alike_is_suggested_by_python(line, meant):
    found = subprocess.run(
        [sys.executable, "-c", f"from softargmax import Categorical; {line}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"Did you mean: '{meant}'?" in found.stderr


def test_what_is_asked_of_objects_by_name_is_as_before():
    assert not hasattr(DIST, "__array__")
    assert not hasattr(Categorical.__new__(Categorical), "_state")  # as while unpickling
    assert copy.copy(DIST).probs.tolist() == DIST.probs.tolist()
    assert not hasattr(Categorical, "nothing")
    with pytest.raises(AttributeError, match=r"^'Categorical' object has no attribute 'nothing'$"):
        DIST.nothing  # noqa: B018


@pytest.mark.parametrize(
    "source", [np.random.default_rng(0), np.random.PCG64(0), softargmax.draws.Keyed(0)]
)
def test_a_source_where_the_shape_belongs_names_rng(source):
    with pytest.raises(TypeError, match=r"did you mean rng=\?"):
        DIST.sample(source)
    with pytest.raises(TypeError, match=r"got 'a'$"):
        DIST.sample("a")


@pytest.mark.frameworks
def test_the_sources_of_frameworks_too():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    for source in (torch.Generator(), jax.random.key(0), jax.random.PRNGKey(0)):
        with pytest.raises(TypeError, match=r"did you mean rng=\?"):
            DIST.sample(source)
