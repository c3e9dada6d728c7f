"""From arguments to a state: logits, temperature or coldness, and prior, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softargmax._arrays.checks import any_of, cast, check_categories, first_of, in_row, real_array
from softargmax._arrays.namespaces import (
    Array,
    Given,
    Namespace,
    Shape,
    detached,
    ignore_fp_errors,
    is_foreign,
    is_traced,
    kind_of,
    namespace_of,
    read_only,
    to_numpy,
    widest_float,
    working_dtype,
)
from softargmax._arrays.weights import (
    check_positive_rows,
    checked_mask,
    checked_sums,
    checked_weights,
    log_weights,
)
from softargmax._core.state import State
from softargmax._core.support import check_support, masked_prior, meet_categories
from softargmax._rows.copies import LONG_ROW, copy_of, is_fine
from softargmax._rows.rows import ONE, Temperature
from softargmax._rows.ways import law_of_few

NATIVE = (np.dtype(np.float64), np.dtype(np.float32))  # big-endian floats are others
SCALARS = (float, int, np.float64, np.float32)


def checked_state(
    logits: Given,
    temperature: Given | None = None,
    coldness: Given | None = None,
    prior: Given | None = None,
    mask: Given | None = None,
    *,
    copy: bool,
    name: str = "logits",
    prior_name: str = "prior",
    beside: tuple[Any, ...] = (),
    advise: bool = True,
) -> State:
    """Check what defines a distribution; with ``copy``, the caller's arrays may change afterwards.

    Its library is that of the first array that is not NumPy's, those ``beside`` included, with
    which something will be computed. The state's prior is that given, 0 where the mask is.
    """
    everything = (logits, temperature if coldness is None else coldness, prior, mask, *beside)
    xp = namespace_of(*everything)
    like = next((x for x in everything if is_foreign(x)), logits)
    given = real_array(logits, name, xp, like, copy=copy)
    check_categories(given, name)
    z = cast(given, xp)
    checked = checked_temperature(temperature, coldness, xp, given, advise=advise)
    weighted, masked = prior is not None, mask is not None
    if weighted:
        prior = checked_weights(prior, prior_name, xp, given, copy=copy)
    shape = batch_shape(tuple(given.shape), checked, prior, prior_name, name)
    if masked:
        mask = checked_mask(mask, "mask", xp, given)
        shape = meet_categories(tuple(mask.shape), given.shape[-1], shape, "mask")
        prior = masked_prior(prior, mask, xp, copy=copy)
    check_support(z, prior, xp, name, masked=masked, weighted=prior_name if weighted else "")
    if copy:
        for array in (given, z, prior, *checked):
            read_only(array)
    return State(xp, given, z, checked, prior, shape)


def energy_state(
    energies: Given,
    temperature: Given | None,
    coldness: Given | None,
    degeneracies: Given | None,
    mask: Given | None,
) -> State:
    """The state of energies and the degeneracies of their levels: logits are -E."""
    return checked_state(
        0 - checked_energies(energies),
        temperature,
        coldness,
        degeneracies,
        mask,
        copy=True,
        name="energies",
        prior_name="degeneracies",
    )


def weights_state(
    weights: Given,
    temperature: Given | None,
    coldness: Given | None,
    mask: Given | None,
    *,
    normalized: bool,
) -> State:
    """The state of weights: logits are log(w / max w)."""
    xp = namespace_of(weights, temperature if coldness is None else coldness, mask)
    given = checked_weights(weights, "weights", xp, weights)
    check_positive_rows(given, xp)
    if normalized:
        given = checked_sums(given, xp)
    logits = xp.astype(log_weights(given, xp), working_dtype(given, xp))
    return checked_state(logits, temperature, coldness, mask=mask, copy=True, name="weights")


def plain_state(
    logits: Given,
    temperature: Given | None,
    prior: Given | None = None,
    mask: Given | None = None,
    *,
    copy: bool = True,
) -> State | None:
    """The common case on a short way: NumPy floats, a scalar temperature, at most a mask, no error.

    None where :func:`checked_state` has to look. Without a copy long rows are not looked at either:
    the results of bad ones will be NaN (at the limits of the temperature they would not be, and
    these are left to the careful way).
    """
    if type(logits) is not np.ndarray or logits.dtype not in NATIVE:
        return None
    shape = logits.shape
    if not shape or 0 in shape:
        return None
    checked = ONE if temperature is None else plain_temperature(temperature, limits=copy)
    if checked is None:
        return None
    if mask is not None:
        return _masked(logits, checked, mask) if prior is None else None
    if prior is not None:
        return _masked(logits, checked, prior)
    if not copy:
        if shape[-1] < LONG_ROW and not is_fine(logits):
            return None
        return State(np, logits, logits, checked, None, shape[:-1])
    law = law_of_few(logits, checked)
    if law is not None:
        return State.of_law(checked, law)
    found = copy_of(logits)
    if found is None:
        return None
    z, seen = found
    state = State(np, z, z, checked, None, shape[:-1])
    state.memo = seen
    return state


def plain_temperature(temperature: Given, *, limits: bool = True) -> Temperature | None:
    """A scalar temperature in the usual range, or at its limits; None for any other."""
    if type(temperature) in SCALARS and (
        1e-30 < temperature < 1e30 or (limits and temperature in (0, math.inf))
    ):
        temperature = float(temperature) + 0.0  # -0.0 becomes 0.0
        return Temperature(1 / temperature if temperature else math.inf, temperature)
    return None


def _masked(logits: Any, temperature: Temperature, mask: Given) -> State | None:
    """The short way with a mask of the logits, or of every row, where all logits are finite."""
    if type(mask) is not np.ndarray or mask.dtype != np.bool:
        return None
    if mask.shape not in (logits.shape, logits.shape[-1:]):
        return None
    z, mask = logits.copy(), mask.copy()
    if not (z.max() < math.inf and z.min() > -math.inf and mask.any(axis=-1).all()):
        return None
    z.flags.writeable = mask.flags.writeable = False
    return State(np, z, z, temperature, mask, z.shape[:-1])


def check_one(temperature: Given | None, coldness: Given | None) -> None:
    """Check that temperature or coldness is given, where neither is 1 by default."""
    if temperature is None and coldness is None:
        raise TypeError("pass temperature or coldness, got neither")


def checked_temperature(
    temperature: Given | None,
    coldness: Given | None,
    xp: Namespace,
    like: Array,
    *,
    advise: bool = True,
) -> Temperature:
    """Temperature and coldness in float64, from the one that was given (1 when neither was)."""
    if temperature is not None and coldness is not None:
        raise TypeError("pass temperature or coldness, not both")
    if coldness is not None:
        value = _real_scalar_or_array(coldness, "coldness", xp, like)
        if any_of(value != value):
            raise ValueError(f"coldness must be a number or ±inf, got nan{in_row(value != value)}")
        return Temperature(value + 0.0, None)  # -0.0 becomes 0.0
    value = (
        1.0 if temperature is None else _real_scalar_or_array(temperature, "temperature", xp, like)
    )
    wrong = (value != value) | (value < 0)
    if any_of(wrong):
        worst = first_of(value, wrong)
        hint = ""
        if worst < 0 and advise:
            cold = 1 / worst if worst > -math.inf else -math.inf
            hint = f"; for small logits pass coldness={cold} (arg min: -inf)"
        raise ValueError(f"temperature must be in [0, inf], got {worst}{in_row(wrong)}{hint}")
    value = value + 0.0
    cold = inverse(value, xp)
    if is_traced(value):  # which is an error unless hidden
        cold = xp.where(value < 0, math.nan, cold)
    return Temperature(cold, value)


def _real_scalar_or_array(x: Given, name: str, xp: Namespace, like: Array) -> Any:
    """A Python float for a scalar, a float64 array (ours) for an array."""
    if isinstance(x, float | int) and not isinstance(x, bool):
        return _to_float(x)
    array = real_array(x, name, xp, like)
    if kind_of(array, xp) == "b":
        raise TypeError(f"{name} must be real numbers, got dtype bool")
    if xp is np:
        return float(array) if array.ndim == 0 else array.astype(np.float64)
    return xp.astype(array, widest_float(xp))


def _to_float(x: float | int) -> float:
    try:
        return float(x)
    except OverflowError:  # an int beyond the range of float64
        return math.inf if x > 0 else -math.inf


@ignore_fp_errors
def inverse(value: Any, xp: Namespace) -> Any:
    """1/T or 1/β, with 1/0 = inf and without a warning."""
    if isinstance(value, float):
        return 1 / value if value else math.inf
    zero, one = value == 0, xp.ones_like(value)
    if xp is np:
        return np.where(zero, math.inf, 1 / np.where(zero, one, value))
    # Where the derivative -1/T² would overflow, as at T = 0, there is none.
    steep = xp.abs(value) < math.sqrt(float(xp.finfo(value.dtype).smallest_normal))
    flat = 1 / detached(xp.where(zero, one, value), xp)
    return xp.where(zero, math.inf, xp.where(steep, flat, 1 / xp.where(steep, one, value)))


def batch_shape(
    logits: Shape,
    temperature: Temperature,
    prior: Array | None,
    prior_name: str = "prior",
    logits_name: str = "logits",
) -> Shape:
    """The broadcast of the batch axes; temperature meets the batch only."""
    name = "coldness" if temperature.value is None else "temperature"
    shape = meet_batch(temperature.shape, logits[:-1], name, logits_name)
    if prior is None:
        return shape
    return meet_categories(tuple(prior.shape), logits[-1], shape, prior_name)


def meet_batch(shape: Shape, batch: Shape, name: str, logits: str = "logits") -> Shape:
    """The batch of logits and of an argument that has one value for each row."""
    if not shape:
        return batch
    if batch and len(shape) > len(batch):
        raise ValueError(
            f"{name} must fit the batch axes {batch} of the {logits}, got shape {shape}; "
            f"it never meets the category axis: to combine every {name} with every row, "
            f"pass {logits}[None]"
        )
    try:
        return np.broadcast_shapes(batch, shape)
    except ValueError:
        raise ValueError(
            f"{name} must fit the batch axes {batch} of the {logits}, got shape {shape}"
        ) from None


def checked_energies(x: Given) -> Array:
    """Energies in their working dtype: finite, or +inf for a forbidden state."""
    xp = namespace_of(x)
    array = real_array(x, "energies", xp, x)
    check_categories(array, "energies")
    array = cast(array, xp)
    wrong = ~(array > -math.inf)
    if any_of(wrong):
        raise ValueError(
            f"energies must be finite or +inf, "
            f"got {first_of(array, wrong):g}{in_row(to_numpy(wrong).any(-1))}"
        )
    return array
