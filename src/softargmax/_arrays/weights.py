"""Weights, masks and counts of categories: checks, and logarithms that keep their digits."""

from __future__ import annotations

import math

from softargmax._arrays.checks import (
    any_of,
    check_categories,
    check_width,
    first_of,
    in_row,
    real_array,
)
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    aligned,
    ignore_fp_errors,
    is_traced,
    kind_of,
    to_numpy,
    widest_float,
    working_dtype,
)


def checked_weights(
    x: Given, name: str, xp: Namespace, like: Array, *, copy: bool = False
) -> Array:
    """``x`` as an array of non-negative finite weights, in the dtype given.

    Of hidden values, what is wrong is NaN.
    """
    array = real_array(x, name, xp, like, copy=copy)
    check_categories(array, name)
    kind = kind_of(array, xp)
    if kind in "if":
        wrong = array < 0 if kind == "i" else ~((array >= 0) & (array < math.inf))
        if any_of(wrong):
            raise ValueError(
                f"{name} must be non-negative and finite, "
                f"got {first_of(array, wrong):g}{in_row(to_numpy(wrong).any(-1))}"
            )
        if is_traced(wrong):
            return _spoiled(array, wrong, xp)
    return array


def checked_mask(x: Given, name: str, xp: Namespace, like: Array) -> Array:
    """``x``, booleans or the numbers 0 and 1, as an array of booleans.

    Of hidden values it is an array of weights, NaN for other numbers than 0 and 1.
    """
    array = real_array(x, name, xp, like)
    check_categories(array, name)
    kind = kind_of(array, xp)
    if kind == "b":
        return array
    wrong = (array != 0) & (array != 1)
    if any_of(wrong):
        raise ValueError(
            f"{name} must be booleans or numbers 0 and 1, "
            f"got {first_of(array, wrong):g}{in_row(to_numpy(wrong).any(-1))}"
        )
    return _spoiled(array, wrong, xp) if is_traced(wrong) else array == 1


def _spoiled(array: Array, wrong: Array, xp: Namespace) -> Array:
    """Numbers of a floating dtype, NaN where they are wrong."""
    real = array if kind_of(array, xp) == "f" else xp.astype(array, widest_float(xp))
    return xp.where(wrong, math.nan, real)


def check_positive_rows(weights: Array, xp: Namespace) -> None:
    """Check that every row has a positive weight."""
    empty = xp.max(weights, axis=-1) <= 0
    if any_of(empty):
        raise ValueError(
            f"weights must have a positive entry in every row, got none{in_row(empty)}"
        )


def checked_sums(weights: Array, xp: Namespace) -> Array:
    """Weights whose rows sum to 1, up to the rounding of as many numbers of their dtype.

    Of hidden values, rows with another sum are NaN.
    """
    total = xp.sum(xp.astype(weights, widest_float(xp)), axis=-1)
    eps = float(xp.finfo(weights.dtype).eps) if kind_of(weights, xp) == "f" else 0.0
    # Rounded weights miss 1 by half an eps, and a quotient of float sums by eps times the terms.
    wrong = xp.abs(total - 1) > eps * (4 + weights.shape[-1])
    if any_of(wrong):
        raise ValueError(
            f"weights must sum to 1 in every row, got {first_of(total, wrong):.9g}{in_row(wrong)}"
        )
    return _spoiled(weights, wrong[..., None], xp) if is_traced(wrong) else weights


@ignore_fp_errors
def log_weights(weights: Array, xp: Namespace, top: Array | None = None) -> Array:
    """log(w / max w) of each row in float64 where there is one; -inf for a weight of 0.

    ``top`` is the largest weight of each row, (…, 1), where ``weights`` are only some columns.
    """
    w = xp.astype(weights, widest_float(xp))
    top = xp.max(w, axis=-1, keepdims=True) if top is None else xp.astype(top, w.dtype)
    positive = ~(w <= 0)  # NaN stays NaN
    w = xp.where(positive, w, top)
    ratio = w / top
    # Near 1 only log1p keeps the digits, and a ratio that underflows would be lost.
    near = xp.log1p((w - top) / top)
    far = xp.where(ratio > 1e-290, xp.log(ratio), xp.log(w) - xp.log(top))
    return xp.where(positive, xp.where(ratio > 0.5, near, far), -math.inf)


def mean_by_weights(z: Array, weights: Array, xp: Namespace) -> tuple[Array, Array]:
    """The mean of each row by weights, -inf left out, and whether these sum to 1 up to rounding."""
    z, w = aligned(xp, z, xp.astype(weights, widest_float(xp)))
    alive = (z > -math.inf) & (w > 0)
    w = xp.where(alive, w, xp.zeros_like(w))
    total = xp.sum(w, axis=-1)
    slack = w.shape[-1] * float(xp.finfo(working_dtype(weights, xp)).eps)
    some = xp.where(total > 0, total, xp.ones_like(total))
    mean = xp.sum(w * xp.where(alive, z, xp.zeros_like(z)), axis=-1) / some
    return xp.astype(mean, z.dtype), xp.abs(total - 1) <= slack


def checked_counts(x: Given, name: str, xp: Namespace, like: Array, num_categories: int) -> Array:
    """``x`` as an array of counts, integers of 0 or more, one a category on the last axis."""
    array = real_array(x, name, xp, like)
    if kind_of(array, xp) not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {array.dtype}")
    check_width(tuple(array.shape), num_categories, name)
    wrong = array < 0
    if any_of(wrong):
        raise ValueError(
            f"{name} must be non-negative, "
            f"got {first_of(array, wrong):.0f}{in_row(to_numpy(wrong).any(-1))}"
        )
    return array
