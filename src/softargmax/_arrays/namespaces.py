"""Namespaces and dtypes: in which library, on which device and with which dtype an array lives.

NumPy arrays never touch ``array_api_compat``; every other array is served through it. This file and
those of ``_random`` are the only ones that know PyTorch and JAX by name.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import EllipsisType
from typing import Any, TypeAlias, TypeVar

import numpy as np

from softargmax._arrays import types

# An array of any supported namespace. The namespace is known only at run time, hence Any.
Array: TypeAlias = Any
ArrayLike: TypeAlias = types.ArrayLike
Given: TypeAlias = Any  # an argument that should be an ArrayLike, and is not yet checked
Namespace: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def ignore_fp_errors(function: _Function) -> _Function:
    """A decorator: on the way to their right limit values may overflow, which must not warn.

    NumPy's own decorator. torch.compile cannot trace it; ``_torchdynamo_inline`` makes it trace the
    undecorated function.
    """
    quiet: Any = np.errstate(all="ignore")(function)
    quiet._torchdynamo_inline = function
    return quiet


# What is no array of another library; torch.compile cannot ask such objects for more.
_PLAIN = (np.ndarray, np.generic, int, float, str, list, tuple, slice, type(None), EllipsisType)


def is_foreign(x: object) -> bool:
    """True for arrays of a library other than NumPy."""
    if isinstance(x, _PLAIN):
        return False
    return hasattr(x, "__array_namespace__") or _library(x) == "torch"


def namespace_of(*arrays: object) -> Namespace:
    """The namespace of the first array that is not NumPy's, else NumPy."""
    for x in arrays:
        if is_foreign(x):
            library = _library(x)
            if library == "jax":
                return sys.modules["jax"].numpy
            if library == "torch":  # torch.compile cannot see through array_namespace
                import array_api_compat.torch

                return array_api_compat.torch
            import array_api_compat

            return array_api_compat.array_namespace(x)
    return np


def _library(x: object) -> str:
    """The first part of the name of the module that defines an array's type."""
    if isinstance(x, _PLAIN):
        return ""
    name = type(x).__module__.partition(".")[0]
    return "jax" if name == "jaxlib" else name


def copied(x: Array, xp: Namespace) -> Array:
    """A copy within the graph; JAX's arrays never change and are kept."""
    if is_jax(xp):
        return x
    return x.clone() if is_torch(xp) else xp.asarray(x, copy=True)


def device_of(x: Array) -> Any:
    """The device of an array of a foreign namespace; None, the default, for NumPy's and JAX's.

    JAX moves what is made on the default device to where it is used.
    """
    if not is_foreign(x) or _library(x) == "jax":
        return None
    if _library(x) == "torch":
        return x.device
    import array_api_compat

    return array_api_compat.device(x)


def is_jax(xp: Namespace) -> bool:
    """True for the namespace of JAX."""
    return bool(xp.__name__ == "jax.numpy")


def is_torch(xp: Namespace) -> bool:
    """True for the namespace of PyTorch."""
    return bool(xp.__name__ == "array_api_compat.torch")


def is_traced(x: Any) -> bool:
    """True for arrays of hidden values: JAX's tracers, torch.func's, torch.compile's."""
    library = _library(x)
    if library == "jax":
        return isinstance(x, sys.modules["jax"].core.Tracer)
    if library == "torch":
        torch = sys.modules["torch"]
        if torch.compiler.is_compiling():
            return True
        return bool(torch._C._functorch.is_functorch_wrapped_tensor(x))
    return False


def seen_last(like: Array, *others: Any) -> Array:
    """The first of some arrays whose values are hidden, in PyTorch; else ``like``."""
    if _library(like) != "torch":
        return like
    return next((x for x in (like, *others) if is_traced(x)), like)


def is_compiling(xp: Namespace) -> bool:
    """Whether torch.compile traces the present call."""
    return is_torch(xp) and bool(sys.modules["torch"].compiler.is_compiling())


def as_traceable(x: Given, xp: Namespace, like: Array) -> Any:
    """Numbers, lists and NumPy arrays as tensors within torch.compile, which traces no others."""
    if is_foreign(x) or not is_compiling(xp):
        return x
    torch, device = sys.modules["torch"], device_of(like)
    found = torch.as_tensor(x, device=device)
    if found.is_floating_point() and not isinstance(x, (np.ndarray, np.generic)):
        found = torch.as_tensor(x, dtype=torch.float64, device=device)  # as NumPy reads them
    return found


def is_plain(x: Any) -> bool:
    """Whether NumPy can stand in for an array: its own, or a CPU tensor without gradient."""
    if not is_foreign(x):
        return True
    if _library(x) != "torch" or is_traced(x):
        return False
    return x.device.type == "cpu" and not x.requires_grad


def register_pytree(
    cls: type, flatten: Callable[[Any], Any], unflatten: Callable[[Any, Any], Any]
) -> None:
    """Let JAX take objects of a class apart, once JAX is loaded.

    ``flatten(object)`` returns (children, auxiliary), ``unflatten(auxiliary, children)`` an object.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.compiler.is_compiling():  # which cannot trace a registration
        return
    if "jax" in sys.modules and cls not in _REGISTERED:
        _REGISTERED.add(cls)
        sys.modules["jax"].tree_util.register_pytree_node(cls, flatten, unflatten)


_REGISTERED: set[type] = set()


def detached(x: Array, xp: Namespace) -> Array:
    """The same values, through which no gradient passes."""
    if is_jax(xp):
        return sys.modules["jax"].lax.stop_gradient(x)
    return x.detach() if is_torch(xp) else x


def aligned(xp: Namespace, *arrays: Array) -> tuple[Array, ...]:
    """Arrays with as many axes each, as JAX may be told to demand of what is combined."""
    if not is_jax(xp):
        return arrays
    most = max(x.ndim for x in arrays)
    return tuple(xp.reshape(x, (*(1,) * (most - x.ndim), *x.shape)) for x in arrays)


def index_along(x: Array, xp: Namespace, width: int | None = None) -> Array:
    """0 … K-1 along the last axis of x, whose ``width`` is K, with as many axes as x."""
    index = xp.arange(x.shape[-1] if width is None else width, device=device_of(x))
    return aligned(xp, index, x)[0]


def rows_at(index: Any, batch: Shape, xp: Namespace, like: Array) -> Array:
    """The numbers in C order of the rows that a hidden index takes of a batch; -1 beyond it."""
    rows = xp.reshape(xp.arange(math.prod(batch), device=device_of(like)), batch)
    if is_jax(xp):
        return rows.at[index].get(mode="fill", fill_value=-1)
    if isinstance(index, tuple):
        raise TypeError(f"an index whose values are hidden must be one array, got {index!r}")
    beyond = (index < -batch[0]) | (index >= batch[0])
    found = rows[xp.where(beyond, 0, index)]
    return xp.where(
        xp.reshape(beyond, (*index.shape, *(1,) * (found.ndim - index.ndim))), -1, found
    )


def running_sum(x: Array, xp: Namespace) -> Array:
    """Cumulative sums over the last axis."""
    # array_api_compat's own is none that torch.compile traces without a warning
    return xp.cumsum(x, -1) if is_torch(xp) else xp.cumulative_sum(x, axis=-1)


def log_gamma_of(xp: Namespace) -> Callable[[Array], Array] | None:
    """The library's own log Γ; None where it has none."""
    if is_torch(xp):
        return xp.lgamma
    if is_jax(xp):
        return sys.modules["jax"].scipy.special.gammaln
    return None


def to_numpy(x: Array) -> Any:
    """The same values as a NumPy array, without a copy where the namespace allows it."""
    if not is_foreign(x):
        return np.asarray(x)
    if _library(x) == "jax":
        return np.asarray(x)
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
    import array_api_compat

    home = namespace_of(x).__array_namespace_info__().default_device()
    if device_of(x) != home:  # NumPy may not be able to read where it is
        x = array_api_compat.to_device(x, home)
    return np.asarray(x) if hasattr(x, "__array__") else np.from_dlpack(x)


def to_namespace(x: Given, xp: Namespace, like: Array, dtype: Any = None) -> Array:
    """``x`` in the namespace ``xp``, on the device of ``like``."""
    if xp is np:
        return np.asarray(x, dtype=dtype)
    if not is_foreign(x):
        given = np.asarray(x)
        if is_torch(xp) and not is_compiling(xp) and not given.flags.writeable:
            given = given.copy()  # for PyTorch warns of arrays that are read-only
        x = xp.asarray(given, device=device_of(like))
    return x if dtype is None else xp.astype(x, dtype)


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "real floating": "f",
    "complex floating": "c",
}


def kind_of(x: Array, xp: Namespace) -> str:
    """The kind of an array's dtype, in NumPy's letters: b, i, u, f, c; any other is no number."""
    if xp is np:
        kind = str(x.dtype.kind)
        # bfloat16 is no dtype of NumPy's own, and says that it is of kind V
        return "f" if kind == "V" and x.dtype.name == "bfloat16" else kind
    return next((letter for name, letter in _KINDS.items() if xp.isdtype(x.dtype, name)), "?")


def widest_float(xp: Namespace) -> Any:
    """float64 where the namespace has one, else float32."""
    if is_jax(xp):
        return sys.modules["jax"].dtypes.canonicalize_dtype(np.float64)
    return getattr(xp, "float64", xp.float32)


def index_dtype(xp: Namespace) -> Any:
    """int64 where the namespace has one, else its default integer."""
    if is_jax(xp):
        return sys.modules["jax"].dtypes.canonicalize_dtype(np.int64)
    return xp.int64


def working_dtype(x: Array, xp: Namespace) -> Any:
    """float32 for float16, bfloat16 and float32; float64 for all other real numbers."""
    if kind_of(x, xp) != "f" or x.dtype == widest_float(xp):
        return widest_float(xp)
    if xp is np and x.dtype.itemsize > 4:
        return np.float64
    return xp.float32


def read_only(x: Any) -> Any:
    """Mark a NumPy array that is ours, and what it is a view of, as read-only."""
    part = x
    while isinstance(part, np.ndarray):
        part.setflags(write=False)
        part = part.base
    return x


def scalar(x: Any, xp: Namespace) -> Any:
    """A Python float as a NumPy scalar, where results are NumPy's."""
    return np.float64(x) if xp is np and type(x) is float else x


def unwrap(x: Any) -> Any:
    """A NumPy scalar for a 0-d NumPy array; anything else as it is."""
    return x[()] if isinstance(x, np.ndarray) else x
