"""Results of runs in ArviZ's data structure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def inference_data(
    chains: Sequence[dict[str, Any]], dims: dict[str, list[str]], coords: dict[str, Any]
) -> Any:
    """Variables (draws, ...) of each chain as the posterior of ArviZ's InferenceData or DataTree.

    ``dims`` names the axes of a variable after those of chains and draws, and ``coords`` their
    places.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of its import, about its future
            import arviz
    except ImportError:
        raise ImportError("to_arviz needs ArviZ: pip install 'softargmax[arviz]'") from None
    shapes = [{name: x.shape for name, x in chain.items()} for chain in chains]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(f"others must be runs of one kind and length, got shapes {shapes}")
    axes = {"chain", "draw"}.union(*dims.values())
    if taken := sorted(axes & set(chains[0])):
        raise ValueError(f"observables must not have the names of axes, got {taken}")
    posterior = {name: np.stack([chain[name] for chain in chains]) for name in chains[0]}
    if arviz.__version__.startswith("0."):
        return arviz.from_dict(posterior=posterior, dims=dims, coords=coords)
    return arviz.from_dict({"posterior": posterior}, dims=dims, coords=coords)
