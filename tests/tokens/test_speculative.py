"""Trees of drafts; what holds for chains alone is in test_tokens.py."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softargmax import Categorical
from softargmax.gumbel import gumbel_top_k
from softargmax.tokens import TopK, expected_accepted, verify
from softargmax.tokens._speculative import _ended, _tree
from statistical import check_draws

K = 3
TREES = {
    "chain": (-1, 0),
    "siblings": (-1, -1),
    "three": (-1, -1, -1),
    "two and two": (-1, -1, 0, 0),
    "mixed order": (-1, 0, -1, 0, 2),
    "deep": (-1, -1, 1, 2, 1),
}


def way(parents, tokens, node):
    """The tokens on the way to a node, its own included."""
    found = ()
    while node >= 0:
        found, node = (tokens[node], *found), parents[node]
    return found


class Model:
    """The law of a token given those before it, some of them impossible or equal to the draft's."""

    def __init__(self, seed, zeros):
        self.seed, self.zeros, self.known = seed, zeros, {}

    def __call__(self, text):
        if text not in self.known:
            weights = np.random.default_rng([self.seed, *text, 9]).gamma(0.5, size=K) + 1e-3
            if self.zeros and sum(text) % 2 == 0:
                weights[sum(text) % K] = 0
            self.known[text] = weights / weights.sum()
        return self.known[text]

    def joint(self, text, n):
        """The law of the n tokens after a text, (K,) * n."""
        if n == 0:
            return np.array(1.0)
        parts = [p * self.joint((*text, i), n - 1) for i, p in enumerate(self(text))]
        return np.stack(parts)


def draft_rows(model, parents, tokens, replace):
    """The law of each token given its earlier siblings."""
    rows = []
    for i, parent in enumerate(parents):
        p = model(way(parents, tokens, parent)).copy()
        if not replace:
            p[[tokens[j] for j in range(i) if parents[j] == parent]] = 0
        rows.append(p / p.sum() if p.sum() else np.full(K, math.nan))
    return np.stack(rows)


def all_drafts(parents, draft, target, replace):
    """Every draft that may be drawn: its tokens, rows, the target's rows, its probability."""
    found = []
    for tokens in itertools.product(range(K), repeat=len(parents)):
        rows = draft_rows(draft, parents, tokens, replace)
        weight = math.prod(rows[range(len(parents)), tokens].tolist())
        if weight > 0:
            ways = [way(parents, tokens, node) for node in range(-1, len(parents))]
            found.append((tokens, rows, np.stack([target(x) for x in ways]), weight))
    return [np.array(x) for x in zip(*found, strict=True)]


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("same", [False, True])
def test_the_law_of_what_is_emitted_is_the_targets(name, replace, same):
    """By all drafts and all outcomes of the tests, each with its exact probability."""
    parents, target = TREES[name], Model(1, zeros=True)
    draft = target if same and replace else Model(2, zeros=False)
    n, length = len(parents), 1 + max(len(way(parents, range(9), i)) for i in range(len(parents)))
    x, rows, targets, weight = all_drafts(parents, draft, target, replace)
    p, q = Categorical.from_weights(rows), Categorical.from_weights(targets)
    tree = _tree(x, p, q, parents, None)
    rate = np.exp(-np.maximum(tree.log_ratio, 0))
    law, mean = np.zeros((K,) * length), 0.0
    for passed in itertools.product([True, False], repeat=n):
        outcome = weight * np.where(passed, rate, 1 - rate).prod(axis=-1)
        reached, following = _ended(tree, np.broadcast_to(passed, x.shape))
        follows = following.law.probs
        for i in np.flatnonzero(outcome):
            text = way(parents, x[i], int(reached[i]) - 1)
            mean += outcome[i] * len(text)
            for token in range(K):
                more = target.joint((*text, token), length - len(text) - 1)
                law[(*text, token)] += outcome[i] * follows[i, token] * more
    assert_allclose(law, target.joint((), length), rtol=1e-11, atol=1e-13)
    given = expected_accepted(x, p, q, parents=parents)
    assert_allclose((weight * given).sum(), mean, rtol=1e-12)
    if same and replace and name == "chain":
        assert mean == pytest.approx(2)


def test_one_draft_is_accepted_where_the_two_agree():
    """The mean over drafts of a chain: products of 1 - TV, where rows do not know the tokens."""
    rng = np.random.default_rng(0)
    p, q = Categorical(rng.normal(size=(4, K))), Categorical(rng.normal(size=(5, K)))
    x = np.array(list(itertools.product(range(K), repeat=4)))
    z, weight = np.broadcast_to(p.logits, (len(x), 4, K)), np.exp(p.log_prob(x).sum(-1))
    given = expected_accepted(x, Categorical(z), Categorical(np.tile(q.logits, (len(x), 1, 1))))
    agree = 1 - np.abs(p.probs - q.probs[:4]).sum(-1) / 2
    assert (weight * given).sum() == pytest.approx(np.cumprod(agree).sum(), rel=1e-13)
    assert expected_accepted(
        np.empty((2, 0), int), p[None][[0, 0], :0], q[None][[0, 0], :1]
    ).tolist() == [0, 0]


def test_a_chain_is_a_tree():
    rng = np.random.default_rng(0)
    draft, target = (Categorical(rng.normal(size=(50, m, 6))) for m in (4, 5))
    x, lengths = draft.sample(rng=1), rng.integers(0, 5, 50)
    for given in ({}, {"lengths": lengths}):
        plain = verify(x, draft, target, rng=2, **given)
        for parents in (range(-1, 3), np.arange(4) - 1):
            assert_array_equal(verify(x, draft, target, parents=parents, rng=2, **given), plain)
        means = expected_accepted(x, draft, target, **given)
        assert_array_equal(
            expected_accepted(x, draft, target, parents=[-1, 0, 1, 2], **given), means
        )


def drawn_trees(n, array=np.asarray):
    """Two drafts without replacement, and one more after the first."""
    p, q = np.log([0.5, 0.3, 0.15, 0.05]), np.log([0.1, 0.3, 0.2, 0.4])
    more = np.log([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])  # by the token before
    two = np.array(gumbel_top_k(Categorical(p), 2, n, rng=5).indices)
    left = np.where(np.arange(4) == two[:, :1], -math.inf, p)
    third = more[two[:, 0] % 2]
    x = np.concatenate([two, Categorical(third).sample(rng=6)[:, None]], axis=1)
    draft = np.stack([np.tile(p, (n, 1)), left, third], axis=1)
    after = [np.tile(q, (n, 1)), *(more[1 - y % 2] for y in x.T)]
    return array(x), array(draft), array(np.stack(after, axis=1)), (-1, -1, 0), np.exp(q), more


def test_draws_have_the_targets_law():
    x, draft, target, parents, q, more = drawn_trees(60_000)
    found = verify(x, Categorical(draft), Categorical(target), parents=parents, rng=5)
    check_tokens(x, *found, q, more)
    rate = expected_accepted(x, Categorical(draft), Categorical(target), parents=parents)
    depth = np.array([0, 1, 1, 2])[found[0]]
    assert abs(depth.mean() - rate.mean()) < 5 * math.sqrt(0.5 / len(x))  # false-fail rate 6e-7
    assert (
        rate > expected_accepted(x[:, :1], Categorical(draft[:, :1]), Categorical(target[:, :2]))
    ).any()


def check_tokens(x, reached, following, q, more, detects=0.05):
    x, reached, following = map(np.asarray, (x, reached, following))
    node = np.where(reached == 3, 0, reached - 1)
    first = np.where(reached > 0, x[np.arange(len(x)), node], following)
    check_draws(first, q, detects=detects)
    second = np.where(reached == 3, x[:, 2], following)
    for parity in (0, 1):
        some = (reached > 0) & (first % 2 == parity)
        check_draws(second[some], np.exp(more[1 - parity]), detects=detects)


def test_rows_of_trees_of_several_sizes():
    rng = np.random.default_rng(0)
    parents = (-1, -1, 0, 1, 1)
    draft, target = (Categorical(rng.normal(size=(60, m, 5))) for m in (5, 6))
    x, lengths = draft.sample(rng=1), np.arange(60) % 6
    padded, seeds = np.where(np.arange(5) < lengths[:, None], x, -1), list(range(60))
    found = verify(padded, draft, target, parents=parents, lengths=lengths, rng=seeds)
    means = expected_accepted(padded, draft, target, parents=parents, lengths=lengths)
    for i, n in enumerate(lengths):  # each as it is alone
        own = x[i, None, :n], draft[i, None, :n], target[i, None, : n + 1]
        alone = verify(*own, parents=parents[:n], rng=[i])
        assert (found[0][i], found[1][i]) == (alone[0][0], alone[1][0])
        assert means[i] == expected_accepted(*own, parents=parents[:n])[0]
    cube = verify(x[None], draft[None], target[None], parents=parents, rng=0)
    assert cube[0].shape == cube[1].shape == (1, 60)
    one = verify(x[0], draft[0], target[0], parents=parents, rng=0)
    assert np.ndim(one[0]) == np.ndim(one[1]) == 0
    none = verify(x[:0], draft[:0], target[:0], parents=parents, rng=0)
    assert none[0].shape == none[1].shape == (0,)
    cut = TopK(2)
    found = verify(cut(draft).sample(rng=0), cut(draft), cut(target), parents=parents, rng=0)
    assert (cut(target).prob(np.tile(found[1][:, None], 6)) > 0).any(axis=-1).all()


def test_cold_trees_take_the_targets_token():
    z = np.log(
        [[0.5, 0.3, 0.2], [0.0, 0.3, 0.2]],
        where=np.array([[1, 1, 1], [0, 1, 1]]) > 0,
        out=np.full((2, 3), -math.inf),
    )
    draft, target = Categorical(z, 0), Categorical([[0, 1.0, 0], [9, 0, 0], [0, 0, 9.0]], 0)
    assert verify([0, 1], draft, target, parents=[-1, -1], rng=0) == (2, 2)
    assert expected_accepted([0, 1], draft, target, parents=[-1, -1]) == 1
    assert expected_accepted([0], draft[:1], target[:2]) == 0


@pytest.mark.parametrize(
    ("parents", "error", "message"),
    [
        ([-1, 1], ValueError, "parents must be -1 or the number of an earlier token, got 1 of 1"),
        ([-2, 0], ValueError, "parents must be -1 or the number of an earlier token, got -2 of 0"),
        ([-1], ValueError, r"parents must have shape \(2,\), one per token, got \(1,\)"),
        ([[-1, 0]], TypeError, r"parents must be integers, one per token, got \[\[-1, 0\]\]"),
        ([-1.0, 0.0], TypeError, r"parents must be integers, one per token, got \[-1.0, 0.0\]"),
        (3, TypeError, "parents must be integers, one per token, got 3"),
    ],
)
def test_parents_that_are_no_tree(parents, error, message):
    draft, target = Categorical(np.zeros((2, 3))), Categorical(np.zeros((3, 3)))
    for function in (verify, expected_accepted):
        with pytest.raises(error, match=message):
            function([0, 0], draft, target, parents=parents)


@pytest.mark.frameworks
def test_trees_of_other_libraries():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    x, draft, target, parents, q, more = drawn_trees(20_000)
    same = verify(x, Categorical(draft), Categorical(target), parents=parents, rng=5)
    means = expected_accepted(x, Categorical(draft), Categorical(target), parents=parents)
    of = torch.tensor
    given = of(x), Categorical(of(draft)), Categorical(of(target))
    found = verify(*given, parents=of(parents), rng=5)
    for ours, theirs in zip(same, found, strict=True):
        assert_array_equal(ours, theirs.numpy())
    assert_allclose(expected_accepted(*given, parents=parents), means, rtol=1e-9)
    key = jax.random.key(1)

    def run(x, draft, target, parents=parents):
        given = x, Categorical(draft), Categorical(target)
        mean = expected_accepted(*given, parents=parents)
        return *verify(*given, parents=parents, rng=key), mean

    reached, following, mean = jax.jit(run)(x, draft, target)
    check_tokens(x, reached, following, q, more, 0.08)
    assert_allclose(mean, means, rtol=1e-4)
    with pytest.raises(TypeError, match="parents must be known, got a traced array"):
        jax.jit(run)(x, draft, target, np.array(parents))
