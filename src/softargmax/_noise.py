"""Noise from any ``rng``: uniforms, exponentials and Gumbels.

With ``_keyed.py`` the only file that names NumPy's random module and JAX's. Noise is float64
whatever the dtype of the distribution: NumPy's float32 exponentials contain exact zeros, and
float32 uniforms are coarser than the probabilities that they have to resolve. Where JAX has no
float64, its Gumbels are made of two words of random bits each.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softargmax._arrays.namespaces import Array, Namespace, Shape, is_jax
from softargmax._keyed import Keyed

Generator: TypeAlias = np.random.Generator
Rng: TypeAlias = (
    int
    | np.integer[Any]
    | np.random.SeedSequence
    | np.random.BitGenerator
    | Generator
    | Keyed
    | None
)
# Or a torch.Generator, or a JAX key, for distributions of their arrays: Array stands for both.
Rngs: TypeAlias = Rng | Sequence[Rng] | NDArray[np.integer[Any]] | Array

# Smaller than any positive value of standard_exponential, whose exact zeros it replaces.
_TINY_WAIT = 2.0**-64
_LARGEST = 44.3614  # 64 log 2, its Gumbel


def generator(rng: Rng) -> Generator:
    """A Generator from an ``rng`` argument; None takes fresh entropy from the system."""
    if isinstance(rng, Generator):
        return rng
    if isinstance(rng, Keyed):
        raise TypeError(
            "rng may be Keyed only in sample and sample_and_log_prob, of NumPy arrays and PyTorch "
            f"tensors on the CPU; got {rng!r}"
        )
    if is_torch_generator(rng) or is_key(rng):
        kind = "torch.Generator" if is_torch_generator(rng) else "JAX key"
        raise TypeError(f"rng must be NumPy's for a distribution of NumPy arrays, got a {kind}")
    if isinstance(rng, bool | np.bool_) or not isinstance(
        rng, np.random.BitGenerator | np.random.SeedSequence | int | np.integer | None
    ):
        raise TypeError(
            "rng must be None, an int, a SeedSequence, a BitGenerator or a Generator "
            f"(or a sequence of them, one a row of a 1-d batch), got {rng!r}"
        )
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must be a non-negative int, got {rng!r}")
    return np.random.default_rng(rng)


def one_a_row(rng: Any, batch_shape: Shape) -> list[Generator] | None:
    """The generators of a sequence with one rng a row; None where ``rng`` is a single one."""
    if rng is None or isinstance(rng, Generator):
        return None
    if isinstance(rng, np.ndarray) and rng.ndim == 1 and rng.dtype.kind in "iu":
        rng = rng.tolist()
    if not isinstance(rng, list | tuple):
        return None
    if len(batch_shape) != 1:
        raise ValueError(
            "rng may be a sequence, one rng a row, only for a 1-d batch; "
            f"got {len(rng)} rngs for batch_shape {batch_shape}; a list is never a seed"
        )
    if len(rng) != batch_shape[0]:
        raise ValueError(f"rng must have one entry a row, {batch_shape[0]} in all, got {len(rng)}")
    return [generator(one) for one in rng]


def uniforms(rng: Generator, shape: Shape, out: Any = None) -> Any:
    """Independent uniforms in [0, 1), multiples of 2⁻⁵³."""
    return rng.random(shape, out=out)


def uniform(rng: Generator) -> float:
    """One uniform in [0, 1)."""
    return rng.random()


def exponentials(rng: Generator, shape: Shape) -> Any:
    """Independent standard exponentials, all of them positive and finite."""
    waits = rng.standard_exponential(shape)
    return np.maximum(waits, _TINY_WAIT, out=waits)


def gumbels(rng: Generator, shape: Shape) -> Any:
    """Independent standard Gumbels, -log of an exponential: finite, from about -4 to 44."""
    noise = exponentials(rng, shape)
    np.log(noise, out=noise)
    return np.negative(noise, out=noise)


def log_gammas(rng: Generator, alpha: Any, shape: Shape) -> Any:
    """Logarithms of independent Gamma(alpha) variates, finite for the smallest alpha too.

    A Gamma(α) variate is a Gamma(α + 1) variate times a uniform to the power 1/α.
    """
    high = np.log(rng.standard_gamma(alpha + 1, shape))
    return np.maximum(high - exponentials(rng, shape) / alpha, -1e308)


# ---------------------------------------------------------------------------- PyTorch's and JAX's


def is_torch_generator(rng: object) -> bool:
    """True for a torch.Generator; torch is loaded if there is one."""
    return type(rng).__module__ == "torch._C" and type(rng).__name__ == "Generator"


def is_key(rng: object) -> bool:
    """True for a JAX key, or an array of keys, typed or raw."""
    if type(rng).__module__.partition(".")[0] not in ("jax", "jaxlib"):
        return False
    jax = sys.modules["jax"]
    if jax.dtypes.issubdtype(rng.dtype, jax.dtypes.prng_key):  # type: ignore[attr-defined]
        return True
    return bool(rng.dtype == np.uint32 and rng.ndim >= 1)  # type: ignore[attr-defined]


def keys_of(rng: Any, batch_shape: Shape) -> tuple[Array, bool]:
    """A typed key, or one a row of a 1-d batch, and whether it is the latter."""
    jax = sys.modules["jax"]
    if isinstance(rng, list | tuple) and rng and all(map(is_key, rng)):
        rng = jax.numpy.stack([_typed(one) for one in rng])
    if not is_key(rng):
        raise TypeError(f"rng must be a JAX key for a distribution of JAX arrays, got {rng!r}")
    keys = _typed(rng)
    if keys.ndim == 0:
        return keys, False
    if keys.ndim != 1 or keys.shape != batch_shape:
        raise ValueError(
            "rng must be one key, or one a row of a 1-d batch; "
            f"got keys of shape {keys.shape} for batch_shape {batch_shape}"
        )
    return keys, True


def _typed(key: Any) -> Any:
    jax = sys.modules["jax"]
    return jax.random.wrap_key_data(key) if key.dtype == np.uint32 else key


def rows_of(rng: Any, batch_shape: Shape, host: bool) -> list[Any] | None:
    """The rngs of a sequence with one a row of a 1-d batch; None where ``rng`` is a single one."""
    if host:
        return one_a_row(on_host(rng), batch_shape)
    keys, many = keys_of(rng, batch_shape)
    return list(keys) if many else None


def tagged_keys(rng: Any, batch_shape: Shape, tag: int, count: int) -> list[Array]:
    """JAX keys that no other use of a key shares; of one key a row, as many again each."""
    jax = sys.modules["jax"]
    keys = keys_of(rng, batch_shape)[0]

    def split(key: Any) -> Any:
        return jax.random.split(jax.random.fold_in(key, tag), count)

    return list(split(keys) if keys.ndim == 0 else jax.vmap(split, out_axes=1)(keys))


def tagged(rng: Any, tag: int, count: int) -> list[Generator]:
    """NumPy generators whose streams no other use of an equal rng shares."""
    words = generator(rng).integers(2**32, size=4).tolist()
    return [
        np.random.default_rng(np.random.SeedSequence(words, spawn_key=(tag, i)))
        for i in range(count)
    ]


def key_words(keys: Array) -> Array:
    """The words of keys, integers on a last axis."""
    return sys.modules["jax"].random.key_data(keys)


def of_words(words: Any) -> Generator:
    """A NumPy generator from the words of a key."""
    return np.random.default_rng([int(word) for word in words])


def in_torch(rng: Any, device: Any) -> Any:
    """A torch.Generator on a device, from what may be handed to a PyTorch distribution."""
    torch = sys.modules["torch"]
    if is_torch_generator(rng) and rng.device.type == torch.device(device).type:
        return rng
    made = torch.Generator(device)
    made.manual_seed(int(generator(on_host(rng)).integers(2**63)))
    return made


def on_host(rng: Any) -> Any:
    """What NumPy draws with for a PyTorch distribution on the CPU: its generator gives a seed."""
    if isinstance(rng, list | tuple):
        return [on_host(one) for one in rng]
    if not is_torch_generator(rng):
        return rng
    torch = sys.modules["torch"]
    words = torch.randint(2**63 - 1, (2,), generator=rng, device=rng.device)
    return np.random.default_rng(words.tolist())


def native_gumbels(rng: Any, shape: Shape, dtype: Any, xp: Namespace, device: Any) -> Array:
    """Standard Gumbels in PyTorch (float64, then rounded) or JAX (a key's)."""
    if is_jax(xp):
        noise = sys.modules["jax"].random.gumbel(rng, shape, dtype, mode="highest")
        return xp.minimum(noise, xp.asarray(_LARGEST, dtype))  # it may be inf once in 2⁶⁴
    return _torch_gumbels(rng, shape, dtype, device)


def gumbels_in_kind(rng: Any, shape: Shape, dtype: Any) -> Array:
    """Standard Gumbels in the namespace of the rng, of a dtype or of the namespace's default."""
    if is_torch_generator(rng):
        torch = sys.modules["torch"]
        kind = torch.get_default_dtype() if dtype is None else dtype
        if not (isinstance(kind, torch.dtype) and kind.is_floating_point):
            raise TypeError(f"dtype must be a floating dtype of torch, got {dtype!r}")
        return _torch_gumbels(rng, shape, kind, rng.device)
    if is_key(rng):
        jax = sys.modules["jax"]
        kind = jax.dtypes.canonicalize_dtype(_dtype(dtype))
        if not jax.dtypes.issubdtype(kind, np.floating):
            raise TypeError(f"dtype must be a floating dtype, got {dtype!r}")
        wide = kind if kind.itemsize >= 4 else np.float32
        return native_gumbels(keys_of(rng, ())[0], shape, wide, jax.numpy, None).astype(kind)
    kind = _dtype(dtype)
    if not (kind.kind == "f" or kind.name == "bfloat16"):
        raise TypeError(f"dtype must be a floating dtype, got {dtype!r}")
    return gumbels(generator(rng), shape).astype(kind, copy=False)


def _dtype(dtype: Any) -> Any:
    """A dtype of NumPy's, float64 for None."""
    try:
        return np.dtype(np.float64 if dtype is None else dtype)
    except TypeError:
        raise TypeError(f"dtype must be a floating dtype, got {dtype!r}") from None


def _torch_gumbels(rng: Any, shape: Shape, dtype: Any, device: Any) -> Array:
    """In float64, then rounded."""
    torch = sys.modules["torch"]
    u = torch.rand(shape, generator=rng, dtype=torch.float64, device=device)
    return (-torch.log(torch.clamp(-torch.log1p(-u), min=_TINY_WAIT))).to(dtype)


def native_log_gammas(key: Any, alpha: Array, shape: Shape, dtype: Any) -> Array:
    """JAX's logarithms of Gamma(alpha) variates."""
    return sys.modules["jax"].random.loggamma(key, alpha.astype(dtype), shape, dtype)


def repeated(draw: Callable[[Any], Array], rng: Any, times: int, xp: Namespace) -> Array:
    """``draw`` with fresh noise so many times, stacked: without the memory of all at once."""
    if is_jax(xp):
        jax = sys.modules["jax"]
        return jax.lax.map(draw, jax.random.split(rng, times))
    return xp.stack([draw(rng) for _ in range(times)])


def row_by_row(draw: Callable[[Any, Array], Array], keys: Array, rows: Array, axis: int) -> Array:
    """``draw`` with one JAX key a row of the first axis, stacked on ``axis``."""
    return sys.modules["jax"].vmap(draw, out_axes=axis)(keys, rows)


def called_back(
    function: Callable[..., Any], shape: Shape, dtype: Any, *arrays: Array | None
) -> Array:
    """NumPy's answer as a JAX array, also under jit and vmap."""
    jax = sys.modules["jax"]
    result = jax.ShapeDtypeStruct(shape, dtype)
    return jax.pure_callback(function, result, *arrays, vmap_method="sequential")
