"""One category a row: (n, 1) for a batch of n is an error, since it would make (n, n)."""

import numpy as np
import pytest

from softargmax import Categorical
from softargmax.gumbel import conditional_gumbels
from softargmax.policies import MultiCategorical
from softargmax.tokens import TopK

CALLS = {
    name: lambda dist, x, name=name: getattr(dist, name)(x)
    for name in ["log_prob", "prob", "cdf", "log_cdf", "sf", "log_sf", "score", "quantile"]
}
CALLS["log_prob_ordered"] = lambda dist, x: dist.log_prob_ordered(x[..., None])
CALLS["conditional_gumbels"] = lambda dist, x: conditional_gumbels(dist, x, rng=0)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kept", [False, True])
def test_a_column_of_categories_does_not_meet_a_batch(name, kept):
    call = CALLS[name]
    dist = Categorical(-np.arange(5000 if kept else 4) * np.ones((3, 1)))  # 0 is drawn
    dist = TopK(9)(dist) if kept else dist
    for shape in ((3, 1), (7, 1), (2, 3, 1)):
        with pytest.raises(ValueError, match=r"must fit the batch axes \(3,\), got shape \("):
            call(dist, np.zeros(shape, int))
    for shape in ((), (1,), (3,), (7, 3)):  # of one axis, the row is for every row
        assert np.shape(call(dist, np.zeros(shape, int)))[-1:]
    for shape in ((3, 1), (7, 1)):  # a batch of one row, or without axes, combines nothing
        call(dist[:1], np.zeros(shape, int))
        call(dist[0], np.zeros(shape, int))


def test_a_column_of_actions_neither():
    policy = MultiCategorical(np.zeros((3, 5)), sizes=(2, 3))
    with pytest.raises(ValueError, match="action must fit the batch axes"):
        policy.log_prob(np.zeros((3, 1, 2), int))
    assert policy.log_prob(np.zeros((3, 2), int)).shape == (3,)
