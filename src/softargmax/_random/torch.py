"""PyTorch: its generators, and noise on a GPU."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from softargmax._arrays.namespaces import (
    Array,
    Namespace,
    Shape,
    is_torch,
    to_numpy,
)
from softargmax._random.numpy import (
    TINY_WAIT,
    Generator,
    HostSource,
    generator,
    log_gammas,
    tagged,
)
from softargmax._random.source import Source
from softargmax._random.tags import Tag

# Elements of noise that are made at once.
AT_ONCE = 2**22


def is_torch_generator(rng: object) -> bool:
    """True for a torch.Generator; torch is loaded if there is one."""
    return type(rng).__module__ == "torch._C" and type(rng).__name__ == "Generator"


def is_native(x: Array, xp: Namespace) -> bool:
    """Whether PyTorch draws itself: not on the CPU."""
    return is_torch(xp) and x is not None and x.device.type != "cpu"


def visible_source(rng: Any, xp: Namespace, like: Array, batch: Shape) -> Source:
    """The source of tensors whose values are not hidden."""
    if not is_native(like, xp):
        return HostSource(numpy_generator(rng), xp, like, batch)
    if not is_torch_generator(rng):
        generator(rng)  # a bad rng is named at once
    return TorchSource(rng, xp, like, batch)


def numpy_generator(rng: Any) -> Generator:
    """What NumPy draws with for PyTorch: a torch.Generator gives a seed."""
    if not is_torch_generator(rng):
        return generator(rng)
    torch = sys.modules["torch"]
    words = torch.randint(2**63 - 1, (2,), generator=rng, device=rng.device)
    wrapping = torch._C._functorch
    while wrapping.is_functorch_wrapped_tensor(words):  # vmap gives each lane words of its own
        words = wrapping.get_unwrapped(words)
    return np.random.default_rng(words.reshape(-1)[:2].tolist())


def torch_generator(rng: Any, device: Any) -> Any:
    """A torch.Generator on a device, from what may be handed to a PyTorch distribution."""
    torch = sys.modules["torch"]
    if is_torch_generator(rng) and rng.device.type == torch.device(device).type:
        return rng
    made = torch.Generator(device)
    made.manual_seed(int(numpy_generator(rng).integers(2**63)))
    return made


def gumbels(rng: Any, shape: Shape, dtype: Any, device: Any) -> Array:
    """Standard Gumbels, made in float64, then rounded."""
    torch = sys.modules["torch"]
    u = torch.rand(shape, generator=rng, dtype=torch.float64, device=device)
    return (-torch.log(torch.clamp(-torch.log1p(-u), min=TINY_WAIT))).to(dtype)


def gumbel_noise(rng: Any, tag: Tag, shape: Shape, dtype: Any) -> Array:
    """Standard Gumbels on the generator's device, of PyTorch's default dtype for None."""
    torch = sys.modules["torch"]
    kind = torch.get_default_dtype() if dtype is None else dtype
    if not (isinstance(kind, torch.dtype) and kind.is_floating_point):
        raise TypeError(f"dtype must be a floating dtype of torch, got {dtype!r}")
    own = torch_generator(tagged(numpy_generator(rng), tag)[0], rng.device)
    return gumbels(own, shape, kind, rng.device)


class TorchSource(Source):
    """A generator whose noise is made where the tensors live."""

    native = True

    def __init__(self, rng: Any, xp: Namespace, like: Array, batch: Shape) -> None:
        self.rng, self.xp, self.like, self.batch = rng, xp, like, batch
        self._host: Generator | None = None

    @property
    def generators(self) -> Generator:
        if self._host is None:
            self._host = numpy_generator(self.rng)
        return self._host

    def streams(self, tag: Tag, count: int = 1) -> list[Source]:
        made = tagged(self.generators, tag, count)
        return [TorchSource(rng, self.xp, self.like, self.batch) for rng in made]

    def gumbels(self, size: Shape, core: Shape = ()) -> Array:
        shape, device = (*size, *self.batch, *core), self.like.device
        return gumbels(torch_generator(self.rng, device), shape, self.xp.float64, device)

    def log_gammas(self, alpha: Array, width: int) -> Array:
        return self.home(log_gammas(self.generators, to_numpy(alpha), (*self.batch, width)))

    def gumbel_max(self, log_probs: Array, size: Shape) -> Array:
        xp, batch, n = self.xp, tuple(log_probs.shape[:-1]), math.prod(size)
        once = max(1, AT_ONCE // max(1, math.prod(log_probs.shape)))
        rng = torch_generator(self.rng, log_probs.device)

        def draw(times: Shape) -> Array:
            shape = (*times, *log_probs.shape)
            noise = gumbels(rng, shape, log_probs.dtype, log_probs.device)
            return xp.argmax(log_probs + noise, axis=-1)

        if n <= once:
            found = draw(size)
        else:
            pieces = xp.stack([draw((once,)) for _ in range(-(-n // once))])
            found = xp.reshape(xp.reshape(pieces, (-1, *batch))[:n], (*size, *batch))
        found = xp.astype(found, xp.int64)
        return xp.where(xp.isnan(log_probs[..., 0]), -xp.ones_like(found), found)
