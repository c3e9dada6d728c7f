"""Masks of legal actions, as environments report them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from softargmax._arrays.keywords import explained


@explained
def action_mask_from_info(info: Mapping[str, Any], *, key: str = "action_mask") -> Any:
    """The mask of legal actions in the ``info`` of a Gymnasium environment.

    Parameters
    ----------
    info : mapping
        From ``reset`` or ``step``, of one environment or of vectorised ones.
    key : str
        The key of the masks. A vectorised environment reports under ``_`` + key which rows have a
        mask in this step; the others, which it fills with zeros, become all ones here.

    Returns
    -------
    array, shape (K,) or (n, K), of the dtype reported (Gymnasium's is int8), or None
        None where no mask was reported, which ``mask=`` accepts as no mask. Masks of several
        dimensions (MultiDiscrete, a tuple of arrays) are concatenated.

    Raises
    ------
    TypeError
        For an info that is not a mapping.

    Examples
    --------
    >>> import numpy as np
    >>> from softargmax.policies import action_mask_from_info
    >>> info = {
    ...     "action_mask": np.array([[1, 0, 1], [0, 0, 0]], np.int8),
    ...     "_action_mask": np.array([True, False]),
    ... }
    >>> action_mask_from_info(info)
    array([[1, 0, 1],
           [1, 1, 1]], dtype=int8)
    """
    if not isinstance(info, Mapping):
        raise TypeError(f"info must be a mapping, got {type(info).__name__}")
    if info.get(key) is None:
        return None
    masks = info[key]
    if isinstance(masks, tuple):
        return _joined(masks)
    reported = info.get(f"_{key}")
    if isinstance(masks, np.ndarray) and masks.dtype == object:  # of tuples or lists
        rows = [None if row is None else _joined(row) for row in masks]
        full = next((np.ones_like(row) for row in rows if row is not None), None)
        return None if full is None else np.stack([full if row is None else row for row in rows])
    found = np.array(masks)
    if reported is not None:
        found[~np.asarray(reported, bool)] = 1
    return found


def _joined(mask: Any) -> Any:
    """One mask, with the dimensions of a tuple concatenated."""
    if isinstance(mask, tuple):
        return np.concatenate([np.asarray(part) for part in mask])
    return np.asarray(mask)
