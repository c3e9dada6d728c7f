"""What kernels are made of: how they are compiled, exp, log and log1p.

llvmlite is imported within functions, so that numba comes first: where it is broken, its own error
says more.

Where loops are long, places are unsigned: the others may count from the end, and the look at the
sign of each keeps a loop from being vectorised.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

F = TypeVar("F", bound=Callable[..., Any])

BLOCK = 256  # categories whose weights are formed, summed and searched together
LANE = 16  # what stands side by side in vectors: blocks are filled up to whole lanes


def _digest() -> str:
    """Of all that kernels are made of: numba looks only at the file that a kernel stands in."""
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    return blake2b(b"".join(path.read_bytes() for path in sources), digest_size=4).hexdigest()


_DIGEST = _digest()


def kernel(function: F, *, nogil: bool = True) -> F:
    """Compile on first use for each dtype, without the GIL, and keep the code on disk if possible.

    What is divided by zero is inf or NaN, as in NumPy. Nothing is reordered, and nothing contracted
    but what calls ``fma``.
    """
    options = {"nogil": nogil, "error_model": "numpy"}
    function.__qualname__ += f"-{_DIGEST}"  # which names the file
    try:
        made: F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written to
        made = njit(**options)(function)
    return made


def short_kernel(function: F) -> F:
    """Compile what answers about one short row: it keeps the GIL, which saves 45 ns a call."""
    return kernel(function, nogil=False)


def part(function: F) -> F:
    """Compile what stands inside kernels, at its place in each of them."""
    made: F = njit(nogil=True, error_model="numpy", inline="always")(function)
    return made


def frozen(x: Any) -> Any:
    """An array as kernels take it, contiguous and read-only: each kind is compiled for itself."""
    flags = x.flags
    if not flags.c_contiguous:
        x = x.copy()
    elif not flags.writeable:
        return x
    else:
        x = x.view()
    x.setflags(False)
    return x


# ---------------------------------------------------------------------------- a·b + c


def has_fma() -> bool:
    """Whether the processor has ``fma`` as an instruction: without, each takes a function call.

    Only those of x86 may lack it: most before 2013, and some of the cheapest up to 2021. What
    ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` ask for instead of the processor does not count.
    """
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("fma", True))


@intrinsic  # type: ignore[untyped-decorator]
def fma(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once."""

    def code(_context: Any, builder: Any, _signature: Any, numbers: Any) -> Any:
        return builder.fma(*numbers)

    return a(a, b, c), code


# ---------------------------------------------------------------------------- exp
#
# exp(x) = 2^n·exp(r), n the nearest whole number to x/ln 2 and |r| ≤ ln 2 / 2, which is left when
# n·ln 2 is taken away in two parts. exp(r) = 1 + r + r²·P(r), where P is the polynomial that meets
# (exp(r) - 1 - r)/r² at Chebyshev's nodes; its own error is below a fifth of a rounding. Adding
# 1.5·2^23 (or 2^52) leaves n in the lowest bits, from where a shift brings it to the exponent's, to
# which it is added: from ``_LOW`` on exp(r)·2^n is a normal number, and so has an exponent. Every
# product is fused with the sum after it, which takes a third off the time.
#
# Weights, which are only added up, take n·ln 2 away in one part where they are float32: for each
# factor of 2 this adds a thirtieth of a unit to their error, which is less than the rounding of x
# itself does, and it takes a tenth off the time of a draw.

_f4, _i4 = np.float32, np.int32
_LOW4 = _f4(-87.33654)  # the logarithms of the smallest normal numbers
_LOW8 = -708.3964185322641
_LN4, _MAGIC4 = _f4(1.4426950408889634), _f4(1.5 * 2**23)
_LN8, _MAGIC8 = 1.4426950408889634, 1.5 * 2.0**52
_LOG4, _HIGH4, _REST4 = _f4(0.6931471805599453), _f4(0.693359375), _f4(-2.1219444e-4)
_HIGH8, _REST8 = 0.69314718036912382, 1.9082149292705877e-10
_A0, _A1, _A2 = _f4(0.5), _f4(0.16666576674557561), _f4(0.041666554223524584)
_A3, _A4 = _f4(0.0083632314812165317), _f4(0.0013926249079586229)
_B0, _B1, _B2 = 0.5000000000000001, 0.16666666666666667, 0.041666666666623829
_B3, _B4, _B5 = 0.0083333333333300388, 0.0013888888917363078, 0.00019841269863168478
_B6, _B7 = 2.4801521064076527e-05, 2.755726828167998e-06
_B8, _B9 = 2.7620198643234750e-07, 2.5100470238808523e-08
_ROOT8 = np.int64(0x3FE6A09E667F3BCD)  # the bits of √½
_ONE4, _ZERO4 = _f4(1), _f4(0)


@part
def _power4(r: Any) -> Any:
    """exp(r)."""
    p = fma(fma(fma(fma(_A4, r, _A3), r, _A2), r, _A1), r, _A0)
    return fma(fma(p, r, _ONE4), r, _ONE4)


@part
def _power8(r: Any) -> Any:
    """exp(r)."""
    p = fma(fma(fma(fma(fma(_B9, r, _B8), r, _B7), r, _B6), r, _B5), r, _B4)
    p = fma(fma(fma(fma(p, r, _B3), r, _B2), r, _B1), r, _B0)
    return fma(fma(p, r, 1.0), r, 1.0)


def _weight4(x: Any) -> Any:
    t = fma(x, _LN4, _MAGIC4)  # of no use below ``_LOW4``
    p = _power4(fma(t - _MAGIC4, -_LOG4, x))
    bits = _i4(_i4(_f4(p).view(np.int32)) + _i4(_i4(_f4(t).view(np.int32)) << _i4(23)))
    return bits.view(np.float32) if x >= _LOW4 else _ZERO4


def _weight8(x: Any) -> Any:
    t = fma(x, _LN8, _MAGIC8)  # of no use below ``_LOW8``
    n = t - _MAGIC8
    p = _power8(fma(n, -_REST8, fma(n, -_HIGH8, x)))
    bits = np.float64(p).view(np.int64) + (np.float64(t).view(np.int64) << np.int64(52))
    return np.int64(bits).view(np.float64) if x >= _LOW8 else 0.0


# Beyond the normal numbers one power of two would be none: it takes two, of half the exponent.
_DEEP4, _DEEP8 = _f4(-104.0), -746.0  # below them exp is 0
_BITS4, _BITS8 = np.int32(0x4B400000), np.int64(0x4338000000000000)  # of the magic numbers


def _exp4(x: Any) -> Any:
    c = x if x > _DEEP4 else _DEEP4
    t = fma(c, _LN4, _MAGIC4)
    n = t - _MAGIC4
    p = _power4(fma(n, -_REST4, fma(n, -_HIGH4, c)))
    whole = _i4(_i4(_f4(t).view(np.int32)) - _BITS4)
    half = _i4(whole >> _i4(1))
    first, second = _i4((half + _i4(127)) << _i4(23)), _i4((whole - half + _i4(127)) << _i4(23))
    return p * _i4(first).view(np.float32) * _i4(second).view(np.float32)


def _exp8(x: Any) -> Any:
    c = x if x > _DEEP8 else _DEEP8
    t = fma(c, _LN8, _MAGIC8)
    n = t - _MAGIC8
    p = _power8(fma(n, -_REST8, fma(n, -_HIGH8, c)))
    whole = np.int64(np.float64(t).view(np.int64)) - _BITS8
    half = whole >> np.int64(1)
    first, second = (
        (half + np.int64(1023)) << np.int64(52),
        (whole - half + np.int64(1023)) << np.int64(52),
    )
    return p * np.int64(first).view(np.float64) * np.int64(second).view(np.float64)


def weight(x: Any) -> Any:
    """exp(x) for x ≤ 0, to be added up; 0 where that is no normal number."""
    raise NotImplementedError


def exp(x: Any) -> Any:
    """exp(x) for x ≤ 0, numbers that are not normal included."""
    raise NotImplementedError


@overload(weight, inline="always")  # type: ignore[untyped-decorator]
def _weight(x: Any) -> Any:
    return _weight4 if x == types.float32 else _weight8


@overload(exp, inline="always")  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Any:
    return _exp4 if x == types.float32 else _exp8


# ---------------------------------------------------------------------------- log1p


@part
def log1p(x: Any) -> Any:
    """log(1 + x) of a float64 x ≥ 0, within 1.1 units of the last place."""
    if not x < np.inf:
        return x
    whole: Any = 0
    rest = 0.0
    if x < 0.41421356:
        y = x
    else:
        u = 1.0 + x
        rest = (x - (u - 1.0) if x < 1e15 else 1.0 - (u - x)) / u
        bits = np.int64(np.float64(u).view(np.int64))
        whole = (bits - _ROOT8) >> np.int64(52)
        y = np.int64(bits - (whole << np.int64(52))).view(np.float64) - 1.0
    return log_of_parts(whole, y, rest)


@part
def log(x: Any) -> Any:
    """log x of a float64 x ≥ 0, as precise."""
    if x == 0 or not x < np.inf:
        return -np.inf if x == 0 else x
    least = x < 2.2250738585072014e-308  # no normal number
    bits = np.int64(np.float64(x * 2.0**54 if least else x).view(np.int64))
    whole = (bits - _ROOT8) >> np.int64(52)
    y = np.int64(bits - (whole << np.int64(52))).view(np.float64) - 1.0
    return log_of_parts(whole - np.int64(54 if least else 0), y, 0.0)


@part
def log_of_parts(whole: Any, y: Any, rest: Any) -> Any:
    """log(2^n·(1 + y)) + rest, with n whole and 1 + y in [√½, √2].

    log(1 + y) = 2·artanh(f) for f = y/(2 + y), by its series, and 2·f = y - y²/2 + f·y²/2 keeps
    what the division would round off.
    """
    f, half = y / (2.0 + y), 0.5 * y * y
    g = f * f
    tail = 1 / 21.0
    tail = ((tail * g + 1 / 19.0) * g + 1 / 17.0) * g + 1 / 15.0
    tail = (((tail * g + 1 / 13.0) * g + 1 / 11.0) * g + 1 / 9.0) * g + 1 / 7.0
    tail = ((tail * g + 1 / 5.0) * g + 1 / 3.0) * g
    small = half - (f * (half + 2.0 * tail) + (whole * _REST8 + rest))
    return whole * _HIGH8 - (small - y)
