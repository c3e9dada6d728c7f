"""Argument checks and their wording: the name, what it must be, what it got."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    Shape,
    as_traceable,
    copied,
    ignore_fp_errors,
    index_dtype,
    is_foreign,
    is_traced,
    kind_of,
    namespace_of,
    to_namespace,
    to_numpy,
    widest_float,
    working_dtype,
)

_UNLIMITED = 2**62  # a count up to here has no upper limit that a message should name


def check_categories(x: Array, name: str) -> None:
    """Check that there is a last axis of one or more categories."""
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(
            f"{name} must have a last axis of one or more categories, got shape {tuple(x.shape)}"
        )


def check_width(shape: Shape, num_categories: int, name: str) -> None:
    """Check that the last axis has as many categories as the distribution."""
    if not shape or shape[-1] != num_categories:
        raise ValueError(
            f"{name} must have {num_categories} categories on its last axis, got shape {shape}"
        )


def real_array(x: Given, name: str, xp: Namespace, like: Any, *, copy: bool = False) -> Array:
    """``x`` as an array of real numbers in the library ``xp``."""
    if isinstance(x, np.ma.MaskedArray):
        hint = "; pass mask=~logits.mask" if name == "logits" else ""
        raise TypeError(f"{name} must be a plain array, got a masked array{hint}")
    if is_foreign(x) and xp is np:
        x = to_numpy(x)
    x = as_traceable(x, xp, like)
    if is_foreign(x):
        if kind_of(x, xp) not in "biuf":
            raise TypeError(f"{name} must be real numbers, got dtype {x.dtype}")
        return copied(x, xp) if copy else x
    try:
        array = np.array(x, order="C") if copy else np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of real numbers: {error}") from None
    if array.dtype == object and all(isinstance(v, int | float) for v in array.flat):
        array = _as_float64(array, name)  # integers too large for int64
    if kind_of(array, np) not in "biuf":
        got = f"{x!r}; call a schedule with the step" if callable(x) else f"dtype {array.dtype}"
        raise TypeError(f"{name} must be real numbers, got {got}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = _as_float64(array, name)
    if xp is np:
        return array
    if kind_of(array, np) == "f":  # not every library takes half precision or foreign byte order
        array = cast(array, np)
    return to_namespace(array, xp, _anchor(like, xp))


@ignore_fp_errors
def _as_float64(x: Any, name: str) -> Any:
    """Integers beyond int64, or long doubles, as float64, where they fit."""
    try:
        array = x.astype(np.float64)
    except OverflowError:
        array = None
    if array is None or (np.isinf(array) & (np.abs(x) != math.inf)).any():
        raise ValueError(f"{name} must fit float64, got a number beyond its range")
    return array


def _anchor(like: Any, xp: Namespace) -> Array:
    """An array of the library, whose device new arrays join."""
    return like if is_foreign(like) else xp.asarray(0.0)


@ignore_fp_errors
def cast(x: Array, xp: Namespace) -> Array:
    """``x`` in its working dtype, native byte order and C order."""
    dtype = working_dtype(x, xp)
    if xp is np:
        return np.asarray(x, dtype=dtype, order="C")
    return x if x.dtype == dtype else xp.astype(x, dtype)


def any_of(mask: Any) -> bool:
    """Whether a check fails anywhere; hidden values are not checked."""
    if isinstance(mask, bool | np.bool_):
        return bool(mask)
    return not is_traced(mask) and bool(namespace_of(mask).any(mask))


def first_of(values: Any, mask: Any) -> float:
    """The first value where the mask holds."""
    return float(values) if isinstance(mask, bool) else float(to_numpy(values)[to_numpy(mask)][0])


def in_row(mask: Any) -> str:
    """' in row i', the index of the first row that the mask marks; '' without a batch."""
    found = np.argwhere(to_numpy(mask))
    if not found.shape[1]:
        return ""
    index = tuple(int(i) for i in found[0])
    return f" in row {index[0] if len(index) == 1 else index}"


def category(
    x: Given, xp: Namespace, like: Array, num_categories: int, name: str = "category"
) -> Array:
    """``x`` as an array of categories, integers in 0 … K-1; int64.

    Of hidden values, what is out of range is -1.
    """
    if is_foreign(x) and xp is np:
        x = to_numpy(x)
    x = as_traceable(x, xp, like)
    array = x if is_foreign(x) else _integers(x, name)
    if array.dtype == object and all(isinstance(v, int) for v in array.flat):
        raise ValueError(f"{name} must be in 0 … {num_categories - 1}, got {array.flat[0]}")
    if kind_of(array, namespace_of(array)) not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {array.dtype}")
    wrong = (array < 0) | (array >= num_categories)
    if any_of(wrong):
        raise ValueError(
            f"{name} must be in 0 … {num_categories - 1}, got {first_of(array, wrong):.0f}"
        )
    if xp is np:
        return array.astype(np.int64)
    found = to_namespace(array, xp, _anchor(like, xp), index_dtype(xp))
    return xp.where(wrong, -xp.ones_like(found), found) if is_traced(wrong) else found


def _integers(x: Given, name: str) -> Any:
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of integers: {error}") from None
    return array.astype(np.int64) if array.size == 0 and not hasattr(x, "dtype") else array


def check_fits(shape: Shape, batch: Shape, name: str) -> Shape:
    """The shape to which an argument and the batch broadcast."""
    if not shape:
        return batch
    try:
        return np.broadcast_shapes(shape, batch)
    except ValueError:
        raise ValueError(f"{name} must fit the batch axes {batch}, got shape {shape}") from None


def check_fits_within(shape: Shape, batch: Shape, name: str) -> None:
    """Check that an argument broadcasts to the batch without enlarging it."""
    if check_fits(shape, batch, name) != batch:
        raise ValueError(f"{name} must fit the batch axes {batch}, got shape {shape}")


def sample_shape(shape: Any) -> Shape:
    """A ``shape`` argument, an int or a tuple of ints, as a tuple."""
    if isinstance(shape, tuple) and not shape:
        return ()
    try:
        axes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        result = tuple(operator.index(axis) for axis in axes)
    except TypeError:
        source = is_foreign(shape) or any(x in str(type(shape)) for x in ("random", "Generator"))
        hint = "; did you mean rng=?" if source else ""
        raise TypeError(f"shape must be an int or a tuple of ints, got {shape!r}{hint}") from None
    if any(isinstance(axis, bool | np.bool_) for axis in axes):
        raise TypeError(f"shape must be an int or a tuple of ints, got {shape!r}")
    if any(axis < 0 for axis in result):
        raise ValueError(f"shape must be non-negative, got {shape!r}")
    return result


def count(x: Any, name: str, low: int, high: int) -> int:
    """``x`` as an integer in [low, high]."""
    value = _index(x, name)
    if not low <= value <= high:
        limits = f"in {low} … {high}"
        if high >= _UNLIMITED:
            limits = f"{low} or more" if value < low else f"at most {high}"
        raise ValueError(f"{name} must be {limits}, got {x!r}")
    return value


def _index(x: Any, name: str) -> int:
    """``x`` as an integer; a 0-d array is its one value."""
    found = _only_value(x)
    try:
        value = None if isinstance(found, bool) else operator.index(found)
    except TypeError:
        value = None
    if value is None:
        raise TypeError(f"{name} must be an integer, got {x!r}")
    return value


def natural(x: Any, name: str) -> int:
    """``x`` as an integer of 0 or more, of any size."""
    value = _index(x, name)
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, got {x!r}")
    return value


def check_workers(workers: int | None) -> int:
    """The number of threads, at least 1; None is 1."""
    return 1 if workers is None else count(workers, "workers", 1, 1024)


def check_instance(x: object, kind: type, name: str) -> None:
    """Check that an argument is an object of the class ``kind``."""
    if not isinstance(x, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        hint = {
            "Categorical": "; Categorical(logits) makes one, from probabilities from_weights(p)",
            "Stage": "; chain(*stages) makes one of several",
        }.get(kind.__name__, "")
        own = type(x)
        got = f"{own.__module__}.{own.__name__}" if own.__name__ == kind.__name__ else own.__name__
        got = f"the class {x.__name__}; call it" if isinstance(x, type) else got
        raise TypeError(f"{name} must be {article} {kind.__name__}, got {got}{hint}")


def check_callable(x: object, name: str) -> None:
    """Check that an argument can be called."""
    if not callable(x):
        raise TypeError(f"{name} must be callable, got {x!r}")


def one_of(x: Any, name: str, options: tuple[str, ...]) -> str:
    """``x``, which has to be one of a few words."""
    if not isinstance(x, str) or x not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {x!r}")
    return x


def number(x: Any, name: str, interval: str) -> int | float:
    """``x`` as a Python number in an interval such as "[0, inf)"; a 0-d array is its one value."""
    found = _only_value(x)
    if isinstance(found, bool) or not isinstance(found, numbers.Real):
        raise TypeError(f"{name} must be a number, got {x!r}")
    try:
        value = float(found)
    except OverflowError:
        value = math.nan
    if outside(value, interval):
        raise ValueError(f"{name} must be in {interval}, got {found}")
    # Not every library takes larger integers.
    return int(found) if isinstance(found, numbers.Integral) and abs(value) < 2**31 else value


def _only_value(x: Any) -> Any:
    """The number in an array without axes unless hidden; anything else as it is."""
    if is_foreign(x) and not is_traced(x):
        x = to_numpy(x)
    if type(x) is int or type(x) is float:
        return x
    if isinstance(x, (np.ndarray, np.generic)) and x.ndim == 0:
        kind = kind_of(x, np)
        return float(x) if kind == "f" else x.item() if kind in "biuO" else x
    return x


def numbers_in(x: Given, name: str, interval: str, xp: Namespace, like: Array) -> Array:
    """``x`` as an array of numbers in an interval, in float64 where there is one.

    Of hidden values, what is outside is NaN.
    """
    if xp is np and type(x) is float and not outside(x, interval):
        return np.array(x)  # the common case, on a short way
    array = xp.astype(real_array(x, name, xp, like), widest_float(xp))
    wrong = outside(array, interval)
    if any_of(wrong):
        got = repr(first_of(array, wrong)).removesuffix(".0")
        raise ValueError(f"{name} must be in {interval}, got {got}")
    return xp.where(wrong, math.nan, array) if is_traced(wrong) else array


def outside(x: Any, interval: str) -> Any:
    """Where numbers are outside an interval; NaN always is."""
    low, high = (float(end) for end in interval[1:-1].split(","))
    below = x < low if interval[0] == "[" else x <= low
    above = x > high if interval[-1] == "]" else x >= high
    return below | above | (x != x)


def values_of_categories(
    x: Given, xp: Namespace, like: Array, batch: Shape, name: str = "values"
) -> Array:
    """``x`` as real values with the categories on the last axis, in a floating dtype."""
    array = real_array(x, name, xp, like)
    num_categories = like.shape[-1]
    check_width(tuple(array.shape), num_categories, name)
    check_fits(tuple(array.shape[:-1]), batch, name)
    return cast(array, xp) if kind_of(array, xp) == "f" else xp.astype(array, like.dtype)


def check_subset(k: int, support: Array) -> None:
    """Check that the support of every row has k categories at least."""
    if is_traced(support):
        if k <= support.shape[-1]:  # no more can be asked
            return
        sizes = np.asarray(support.shape[-1])
    else:
        sizes = np.asarray(np.count_nonzero(to_numpy(support), axis=-1))
    if (sizes < k).any():
        raise ValueError(
            f"k must be at most the number of categories in the support, "
            f"got k={k} for {sizes[sizes < k][0]}{in_row(sizes < k)}"
        )
