"""Copies of logits, and what is seen of them on the way."""

import math

import numpy as np
import pytest

from softargmax._rows import copies
from softargmax._rows.engine import kernels
from softargmax._rows.rows import ONE

WIDTHS = [257, 1023, 1024, 5000]


def shapes(x):
    """The same numbers in memory of every kind: contiguous, strided, backwards, not aligned."""
    wide = np.repeat(x, 2, axis=-1)
    odd = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    return [x, wide[..., ::2], x[..., ::-1].copy()[..., ::-1], np.asfortranarray(x), odd]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("rows", [(), (1,), (7,), (2, 3)])
def test_long_rows_are_copied_with_their_maxima(width, rows):
    x = np.random.default_rng(width).normal(size=(*rows, width)).astype(np.float32)
    for given in shapes(x):
        z, law, seen = copies.copy_of(given, ONE)
        assert law is None
        assert not np.shares_memory(z, given)
        np.testing.assert_array_equal(z, x)
        np.testing.assert_array_equal(seen["top"], x.max(axis=-1))
        if kernels() is not None and width >= 1024 and given is x:
            assert seen["heads"].shape[:-1] == rows
            np.testing.assert_array_equal(seen["heads"].max(axis=-1), seen["top"])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_row_is_found_wherever_it_stands(width, bad):
    for place in (0, 17, width // 2, width - 1):
        x = np.zeros((3, width))
        x[1, place] = bad
        if bad < 0:
            x[1] = bad
        for given in shapes(x):
            assert copies.copy_of(given, ONE) is None
        assert copies.copy_of(np.delete(x, 1, axis=0), ONE) is not None
