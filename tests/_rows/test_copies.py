"""Copies of logits, and what is seen of them on the way."""

import math

import numpy as np
import pytest

from softargmax._rows import copies
from softargmax._rows.engine import kernels
from softargmax._rows.rows import ONE, Temperature
from softargmax._rows.ways import law_of_few

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
        z, seen = copies.copy_of(given)
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
            assert copies.copy_of(given) is None
        assert copies.copy_of(np.delete(x, 1, axis=0)) is not None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [(), (1,), (7,), (2, 3)])
def test_the_law_of_a_few_short_rows_holds_them_bit_for_bit(rows, dtype):
    if kernels() is None:
        pytest.skip("NumPy's rows keep a copy")
    x = np.random.default_rng(0).normal(size=(*rows, 9)).astype(dtype)
    x[..., :4] = -0.0, np.finfo(dtype).smallest_subnormal, -math.inf, np.finfo(dtype).eps
    for given in [*shapes(x), np.broadcast_to(x, (2, *x.shape))]:
        expected = given.tobytes()
        for heat in (
            ONE,
            Temperature(2.0, 0.5),
            Temperature(math.inf, 0.0),
            Temperature(0.0, math.inf),
        ):
            law = law_of_few(given, heat)
            assert law.batch == given.shape[:-1]
            logits = law.make_logits()
            assert (logits.tobytes(), logits.dtype, logits.shape) == (expected, dtype, given.shape)
            assert not np.shares_memory(logits, given)
            np.testing.assert_array_equal(law.probs, law_of_few(given.copy(), heat).probs)
