"""Alias tables hold the weights."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softargmax import draws

WEIGHT = st.one_of(st.just(0.0), st.floats(1e-300, 1e300), st.integers(1, 9).map(float))
WEIGHTS = hnp.arrays(np.float64, st.integers(1, 40), elements=WEIGHT).filter(lambda w: w.any())


@given(WEIGHTS)
def test_alias_tables_hold_the_weights(w):
    w = w / w.max()
    table = draws.AliasTable.build(w)
    assert ((table.threshold >= 0) & (table.threshold <= 1)).all()
    held = np.bincount(np.arange(len(w)), table.threshold, len(w))
    held += np.bincount(table.alias, 1 - table.threshold, len(w))
    np.testing.assert_allclose(held / len(w), w / w.sum(), rtol=1e-12, atol=1e-15)
    assert not held[w == 0].any()
    # Rare categories keep every digit, as far as floats have them all.
    light = w / w.sum() * len(w) < 1
    np.testing.assert_allclose(held[light] / len(w), (w / w.sum())[light], rtol=1e-14, atol=1e-307)


def test_alias_columns_hold_exactly_their_interval():
    table = draws.AliasTable.build(np.array([1.0, 2.0, 5.0]))
    u = (np.arange(24_000) + 0.5) / 24_000
    counts = np.bincount(table.take(u), minlength=3)
    np.testing.assert_array_equal(counts, [3_000, 6_000, 15_000])
