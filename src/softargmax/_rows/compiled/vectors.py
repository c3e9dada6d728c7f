"""What is done with many elements at once, and no loop is compiled to.

llvmlite is imported within functions, as in ``maths``. Every processor finds the same results: no
arithmetic is done here.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from softargmax._rows.compiled.maths import LANE

# So many of 64 elements are written before a look whether so many are wanted. Seldom are more, so
# that the processor foresees the end: where 2 % are wanted, it takes 0.7 times as long.
MOSTLY = 3
TILE = 8  # columns that are turned at a time


@intrinsic  # type: ignore[untyped-decorator]
def bits_between(_context: Any, x: Any, _start: Any, _low: Any, _high: Any) -> Any:
    """Which of 64 elements of a contiguous array, from a place on, are in [low, high), as bits.

    Bit i is that of element start + i (on little-endian processors). The array must have 64
    elements from there on: nothing is checked.
    """
    from llvmlite import ir

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, start, low, high = args
        array = make_array(signature.args[0])(context, builder, given)
        many = ir.VectorType(low.type, 64)
        some = builder.load(builder.bitcast(builder.gep(array.data, [start]), many.as_pointer()))
        some.align = x.dtype.bitwidth // 8

        def all_of(number: Any) -> Any:
            none = ir.Constant(many, ir.Undefined)
            first = builder.insert_element(none, number, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), 64), None)
            return builder.shuffle_vector(first, none, zeros)

        high_enough = builder.fcmp_ordered(">=", some, all_of(low))
        low_enough = builder.fcmp_ordered("<", some, all_of(high))
        return builder.bitcast(builder.and_(high_enough, low_enough), ir.IntType(64))

    return types.uint64(x, types.uint64, x.dtype, x.dtype), code


@intrinsic  # type: ignore[untyped-decorator]
def first_of(_context: Any, word: Any) -> Any:
    """The place of the lowest bit of a word that is 1; 0 where none is."""

    def code(_context: Any, builder: Any, _signature: Any, numbers: Any) -> Any:
        found = builder.cttz(*numbers, cgutils.false_bit)
        return builder.and_(found, found.type(found.type.width - 1))

    return word(word), code


@intrinsic  # type: ignore[untyped-decorator]
def ones_in(_context: Any, word: Any) -> Any:
    """How many bits of a word are 1."""

    def code(_context: Any, builder: Any, _signature: Any, numbers: Any) -> Any:
        return builder.ctpop(*numbers)

    return word(word), code


@intrinsic  # type: ignore[untyped-decorator]
def turn(_context: Any, x: Any, _at: Any, _step: Any, out: Any, _to: Any, _column: Any) -> Any:
    """Write LANE rows of TILE elements as TILE rows of LANE: twice as fast as one by one.

    Rows begin at a place of the contiguous array ``x`` and every ``step`` elements after it, those
    of ``out`` at a place and every ``column`` elements. Nothing is checked.
    """
    from llvmlite import ir

    number = ir.IntType(32)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, at, step, made, to, column = args
        source = make_array(signature.args[0])(context, builder, given).data
        target = make_array(signature.args[3])(context, builder, made).data

        def place(data: Any, first: Any, stride: Any, i: int, count: int) -> Any:
            there = builder.add(first, builder.mul(stride, ir.Constant(stride.type, i)))
            many = ir.VectorType(data.type.pointee, count).as_pointer()
            return builder.bitcast(builder.gep(data, [there]), many)

        def chosen(a: Any, b: Any, places: list[int]) -> Any:
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(number, LANE), places))

        rows = [builder.load(place(source, at, step, i, TILE)) for i in range(LANE)]
        for row in rows:
            row.align = x.dtype.bitwidth // 8
        # Rows i and i + 8 side by side make a line of two squares, 8 by 8, each of which is turned:
        # its quarters change places, then the quarters of these, and of these.
        lines = [chosen(rows[i], rows[i + TILE], [*range(LANE)]) for i in range(TILE)]
        for size in (4, 2, 1):
            for i in range(TILE):
                if i & size:
                    continue
                a, b = lines[i], lines[i + size]
                upper = [j + LANE - size if j & size else j for j in range(LANE)]
                lines[i] = chosen(a, b, upper)
                lines[i + size] = chosen(a, b, [j + size for j in upper])
        for i, line in enumerate(lines):
            builder.store(line, place(target, to, column, i, LANE), align=x.dtype.bitwidth // 8)
        return context.get_dummy_value()

    place = types.uint64
    return types.void(x, place, place, out, place, place), code
