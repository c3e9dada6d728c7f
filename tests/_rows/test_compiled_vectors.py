"""What is done with many elements at once."""

import numpy as np
import pytest

pytest.importorskip("numba")

from softargmax._rows.compiled.answers import highest
from softargmax._rows.compiled.law import Compiled
from softargmax._rows.compiled.maths import LANE, frozen, kernel
from softargmax._rows.compiled.vectors import TILE, turn
from softargmax._rows.rows import ONE, rows_of

ENGINES = ("numba",)
SHAPES = [
    (rows, width) for rows in (15, 16, 63, 64, 65, 200) for width in (1, 7, 8, 9, 18, 40, 255)
]


@kernel
def turned(x, at, step, out, to, column):
    """``turn``, which is called from kernels alone."""
    turn(x, np.uint64(at), np.uint64(step), out, np.uint64(to), np.uint64(column))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("at", "step"), [(0, TILE), (3, 19), (5, 0)])
def test_rows_become_columns(dtype, at, step):
    x = np.arange(400, dtype=dtype)
    out = np.full(5 + TILE * 20, -1, dtype)
    turned(frozen(x), at, step, out, 5, 20)
    found = out[5:].reshape(TILE, 20)
    for i in range(LANE):
        np.testing.assert_array_equal(found[:, i], x[at + i * step :][:TILE])
    assert (found[:, LANE:] == -1).all()
    assert (out[:5] == -1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_the_largest_of_rows_side_by_side(dtype, rows, width):
    z = np.random.default_rng(rows + width).normal(size=(rows, width)).astype(dtype)
    z[rows // 2, width // 2] = np.nan
    z[rows // 3, -1] = np.inf
    z[0] = -np.inf
    top = np.empty(rows, dtype)
    highest(frozen(z), top)
    np.testing.assert_array_equal(top, z.max(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_draws_of_rows_side_by_side_are_those_of_each(dtype, rows, width):
    rng = np.random.default_rng(rows + width)
    z = (3 * rng.normal(size=(rows, width))).astype(dtype)
    z[1, : width // 2] = -np.inf
    law = Compiled(rows_of(z, ONE, None, (rows,)), (rows,))
    for u in (*rng.random((20, rows)), np.zeros(rows), np.full(rows, np.nextafter(1, 0))):
        together = law.draw_few(u[None])[0]
        np.testing.assert_array_equal(together, law.draw_few(np.stack([u, u]))[0])
