"""Namespaces, dtypes and blocks: where an array lives and how to walk over it.

NumPy arrays never touch ``array_api_compat``; every other array is served through it.
"""

import sys
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

# An array of any supported namespace. The namespace is known only at run time, hence Any.
Array: TypeAlias = Any
ArrayLike: TypeAlias = Any
Namespace: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]

BLOCK = 2**15  # elements in a block: enough to amortise calls, few enough for the cache
SPACIOUS = 2**19  # elements of an intermediate array, and of one that is kept
_FEW = 2**13  # so few cost less than to look for memory that is kept

# A decorator: values may overflow on the way to their right limit, and that is no news.
quiet = np.errstate(all="ignore")


def is_foreign(x: object) -> bool:
    """True for arrays of a namespace other than NumPy."""
    if isinstance(x, (np.ndarray, np.generic)):
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
    """True for arrays whose values cannot be seen: JAX's tracers, torch.func's, torch.compile's."""
    library = _library(x)
    if library == "jax":
        return isinstance(x, sys.modules["jax"].core.Tracer)
    if library == "torch":
        torch = sys.modules["torch"]
        if torch.compiler.is_compiling():
            return True
        return bool(torch._C._functorch.is_functorch_wrapped_tensor(x))
    return False


def register_pytree(cls: type) -> None:
    """Let JAX take objects of a class apart, once JAX is loaded.

    The class has ``_leaves() -> (children, auxiliary)`` and ``_of_leaves(auxiliary, children)``.
    """
    if "jax" in sys.modules and cls not in _REGISTERED:
        _REGISTERED.add(cls)
        sys.modules["jax"].tree_util.register_pytree_node(cls, cls._leaves, cls._of_leaves)  # type: ignore[attr-defined]


_REGISTERED: set[type] = set()


def detached(x: Array, xp: Namespace) -> Array:
    """The same values, through which no gradient passes."""
    if is_jax(xp):
        return sys.modules["jax"].lax.stop_gradient(x)
    return x.detach() if is_torch(xp) else x


def log_gamma(n: Array, xp: Namespace) -> Array:
    """log Γ(n) in n's namespace and dtype."""
    if is_torch(xp):
        return xp.lgamma(n)
    if is_jax(xp):
        return sys.modules["jax"].scipy.special.gammaln(n)
    from scipy.special import gammaln  # slow to load, and not for everyone

    return to_namespace(gammaln(np.asarray(n)), xp, n, n.dtype)


def to_numpy(x: Array) -> Any:
    """The same values as a NumPy array, without a copy where the namespace allows it."""
    if not is_foreign(x):
        return np.asarray(x)
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
    return np.asarray(x) if hasattr(x, "__array__") else np.from_dlpack(x)


def to_namespace(x: ArrayLike, xp: Namespace, like: Array, dtype: Any = None) -> Array:
    """``x`` in the namespace ``xp``, on the device of ``like``."""
    if xp is np:
        return np.asarray(x, dtype=dtype)
    if not is_foreign(x):
        x = xp.asarray(np.asarray(x), device=device_of(like))
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
        part.flags.writeable = False
        part = part.base
    return x


def unwrap(x: Any) -> Any:
    """A NumPy scalar for a 0-d NumPy array; anything else as it is."""
    return x[()] if isinstance(x, np.ndarray) else x


def as_rows(x: Array, batch_shape: Shape) -> Any:
    """A NumPy array whose last axis is the categories, as a (rows, K) array over the batch."""
    full = batch_shape + x.shape[-1:]
    return (x if x.shape == full else np.broadcast_to(x, full)).reshape(-1, full[-1])


class Scratch:
    """``with Scratch(size, dtype) as memory``: an array for intermediate values.

    Every thread keeps some for the next who asks: the system takes back what is freed, and fresh
    pages cost more than the arithmetic on them.
    """

    __slots__ = ("dtype", "memory", "size")

    def __init__(self, size: int, dtype: Any) -> None:
        self.size, self.dtype = size, np.dtype(dtype)

    def __enter__(self) -> Any:
        # Taken away while in use: a signal's handler may draw as well.
        kept = _KEPT.arrays[self.dtype.char]
        memory = kept.pop() if kept and _FEW < self.size <= SPACIOUS else None
        if memory is None or len(memory) < self.size:
            memory = np.empty(self.size, self.dtype)
        self.memory = memory
        return memory[: self.size]

    def __exit__(self, *_error: object) -> None:
        kept = _KEPT.arrays[self.dtype.char]
        if _FEW < self.size <= SPACIOUS and len(kept) < 2:
            kept.append(self.memory)


class _Kept(threading.local):
    """The arrays that a thread keeps, by the character of their dtype."""

    def __init__(self) -> None:
        self.arrays: dict[str, list[Any]] = {"f": [], "d": []}


_KEPT = _Kept()


def blocks(rows: int, width: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover ``rows`` rows of ``width`` elements, each about ``size`` elements."""
    step = max(1, size // max(width, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def block_size(width: int, workers: int) -> int:
    """Elements in a block: more of long rows, and of those that workers share.

    Blocks of short rows stay in the cache; those of long rows cannot, and save calls. Threads wait
    for each other between array calls.
    """
    return BLOCK if workers == 1 and width < BLOCK else 16 * BLOCK
