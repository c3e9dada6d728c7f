"""Which categories a row has: a mask times prior weights, and whether anything is left."""

from __future__ import annotations

import math

import numpy as np

from softargmax._arrays.checks import any_of, check_fits, check_width, first_of, in_row
from softargmax._arrays.namespaces import Array, Namespace, Shape, aligned, copied, kind_of
from softargmax._core.state import State, support_of


def meet_categories(shape: Shape, num_categories: int, batch: Shape, name: str) -> Shape:
    """The batch of a distribution and of an argument that has one value for each category."""
    check_width(shape, num_categories, name)
    try:
        return np.broadcast_shapes(batch, shape[:-1])
    except ValueError:
        raise ValueError(f"{name} must fit the batch axes {batch}, got shape {shape}") from None


def meet_rows(shape: Shape, batch: Shape, name: str) -> Shape:
    """The shape to which one argument a row and the batch broadcast; (n, 1) does not meet (n,)."""
    if len(shape) > len(batch) > 0 and shape[-1] == 1 < batch[-1]:
        raise ValueError(
            f"{name} must fit the batch axes {batch}, got shape {shape}, which would combine every "
            f"{name} with every row: drop the last axis (log_probs has all categories at once)"
        )
    return check_fits(shape, batch, name)


def is_weighted(state: State) -> bool:
    """Whether there is a prior that is more than a mask."""
    if state.kept is None:
        prior, xp = state.prior, state.xp
    else:
        prior, xp = state.kept.prior, np
    return prior is not None and prior.dtype != xp.bool


def masked_prior(prior: Array | None, mask: Array, xp: Namespace, *, copy: bool) -> Array:
    """The prior of a state where a mask, checked, forbids categories."""
    if prior is None:
        return copied(mask, xp) if copy else mask
    mask, prior = aligned(xp, mask, prior)
    keep = xp.astype(mask, xp.bool)
    found = xp.where(keep, prior, xp.zeros_like(prior))
    if kind_of(mask, xp) == "f":  # hidden values, NaN where bad
        found = xp.where(xp.isnan(mask), math.nan, xp.astype(found, mask.dtype))
    return found


def check_support(
    z: Array,
    prior: Array | None,
    xp: Namespace,
    name: str = "logits",
    *,
    masked: bool = False,
    weighted: str = "",
) -> None:
    """Check that no logit is NaN or +inf, and that every row has a support.

    ``masked`` and ``weighted`` say whether the user gave a mask or prior weights, for the message.
    """
    top = xp.max(z, axis=-1)  # NaN where the row has one
    if xp is np and prior is None and np.isfinite(top).all():
        return
    wrong = ~(top < math.inf)
    if any_of(wrong):
        value = "nan" if math.isnan(first_of(top, wrong)) else "inf"
        raise ValueError(f"{name} must be finite or -inf, got {value}{in_row(wrong)}")
    alive = top > -math.inf if prior is None else xp.any(support_of(z, prior, xp), axis=-1)
    if any_of(~alive):
        raise ValueError(
            f"{name} must leave at least one category in the support of every row, "
            f"got none{in_row(~alive)}: {impossible(name, masked=masked, weighted=weighted)}"
        )


def impossible(name: str, *, masked: bool, weighted: str) -> str:
    """Why nothing is left, in words."""
    why = [_IMPOSSIBLE[name], *["is masked"] * masked, *([_WITHOUT[weighted]] if weighted else [])]
    return f"every category {' or '.join(why)}"


_WITHOUT = {  # by the name of the weights
    "prior": "has prior 0",
    "degeneracies": "has degeneracy 0",
    "reference": "is forbidden by the reference",
}
_IMPOSSIBLE = {
    "logits": "has logit -inf",
    "energies": "has energy inf",
    "values": "has value -inf",
    "samples": "has value -inf",
    "gains": "has gain -inf",
    "mask": "has logit -inf",
    "log_weights": "has log-weight -inf",
    "weights": "has weight 0",
    "log_rates": "has log-rate -inf",
}
