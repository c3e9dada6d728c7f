"""Names of categories: what keeps them, what drops them, and what they cost nothing to."""

import copy
import pickle

import numpy as np
import pytest

from softargmax import Categorical
from softargmax.mixtures import mix, pool
from softargmax.tokens import Temperature, TopK

WORDS = ("sat", "ran", "slept")


def labelled(width=3):
    words = [f"w{i}" for i in range(width)]
    return Categorical(np.zeros((2, width)) + np.arange(width), labels=words), tuple(words)


@pytest.mark.parametrize("width", [3, 5000])  # dense states, and survivors
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d,
        lambda d: d.tempered(0.5),
        lambda d: d.tempered(coldness=[1, 2]),
        lambda d: d.masked(np.arange(d.num_categories) > 0),
        lambda d: d[0],
        lambda d: d[None, ..., ::-1],
        lambda d: next(iter(d)),
        lambda d: d.relaxed(0.5).categorical,
        lambda d: d.relaxed(0.5)[1].tempered(2.0).categorical,
        lambda d: TopK(2)(d),
        lambda d: TopK(2)(d).tempered(2.0)[0],
        lambda d: Temperature(2.0)(d),
        lambda d: Temperature(2.0)(TopK(2)(d)),
        lambda d: mix([d, d.tempered(3)], [1, 2]),
        lambda d: pool([d, Categorical(np.zeros(d.num_categories))], [1, 2]),
        copy.copy,
        copy.deepcopy,
        lambda d: copy.deepcopy(TopK(2)(d)),
        lambda d: pickle.loads(pickle.dumps(d)),
        lambda d: pickle.loads(pickle.dumps(TopK(2)(d))),
        lambda d: pickle.loads(pickle.dumps(d.relaxed(0.5))).categorical,
    ],
)
def test_what_is_made_of_a_labelled_distribution_keeps_its_labels(width, change):
    dist, words = labelled(width)
    assert change(dist).labels == words


def test_the_constructors_and_a_later_call_name_the_categories():
    for dist in (
        Categorical([0.0, 1.0, 2.0], labels=WORDS),
        Categorical([0, 1, 2], labels=iter(WORDS)),
        Categorical.from_weights([1, 2, 3], labels=np.array(WORDS)),
        Categorical.from_energies([1, 2, 3], labels=list(WORDS)),
        Categorical([0.0, 1.0, 2.0], labels=["a", "b", "c"]).labelled(WORDS),
    ):
        assert dist.labels == WORDS
        assert all(type(word) is str for word in dist.labels)
    assert Categorical([0.0, 1.0]).labels is None
    assert Categorical([0.0, 1.0], labels=range(2)).labels == ("0", "1")


def test_labelling_changes_neither_the_distribution_nor_its_derivatives():
    plain = Categorical([0.0, 1.0, 2.0], 0.5)
    named = plain.labelled(WORDS)
    assert plain.labels is None
    assert np.array_equal(named.score(1), plain.score(1))
    assert np.array_equal(named.sample(9, rng=0), plain.sample(9, rng=0))
    kept = TopK(2)(Categorical(np.arange(5000.0)))
    named = kept.labelled(range(5000))
    assert np.array_equal(named.probs, kept.probs)
    lost = mix([plain, plain], [1, 1]).labelled(WORDS)
    with pytest.raises(ValueError, match="no link"):
        lost.score(0)


def test_mixtures_of_other_labels_have_none():
    one, other = (Categorical([0.0, 1.0, 2.0], labels=words) for words in (WORDS, list("xyz")))
    for blend in (mix, pool):
        assert blend([one, other], [1, 1]).labels is None
        assert blend([one, Categorical([0.0, 1.0, 2.0], labels=WORDS)], [1, 1]).labels == WORDS


@pytest.mark.parametrize("wrong", [["a"], ["a"] * 4, []])
def test_there_is_one_label_a_category(wrong):
    message = f"labels must be 3 names, one a category, got {len(wrong)}"
    for make in (
        lambda: Categorical([0.0, 1.0, 2.0], labels=wrong),
        lambda: Categorical.from_weights([1, 1, 2], labels=wrong),
        lambda: Categorical.from_energies([1, 1, 2], labels=wrong),
        lambda: Categorical([0.0, 1.0, 2.0]).labelled(wrong),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("wrong", ["abc", b"abc", 3])
def test_labels_are_a_sequence(wrong):
    with pytest.raises(TypeError, match="labels must be a sequence of 3 names, got"):
        Categorical([0.0, 1.0, 2.0], labels=wrong)


@pytest.mark.frameworks
def test_pytrees_drop_labels():
    jax = pytest.importorskip("jax")
    dist = Categorical(jax.numpy.zeros(3), labels=WORDS)
    assert dist.tempered(2.0).labels == WORDS
    assert jax.tree_util.tree_map(lambda x: x, dist).labels is None
    assert jax.jit(lambda d: d)(dist).labels is None
    same = jax.tree_util.tree_structure(Categorical(jax.numpy.zeros(3)))
    assert jax.tree_util.tree_structure(dist) == same  # no label compiles anything anew


@pytest.mark.frameworks
def test_tensors_keep_labels():
    torch = pytest.importorskip("torch")
    dist = Categorical(torch.zeros(2, 3), labels=WORDS)
    for made in (dist[0], dist.masked([True, True, False]), copy.deepcopy(dist), TopK(1)(dist)):
        assert made.labels == WORDS
