"""PyTorch within torch.func and torch.compile: one operator, which draws when values are there.

This file alone loads torch; it is loaded where a tensor is at hand whose values are hidden.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from softargmax._arrays.namespaces import Array, Namespace, Shape, is_compiling, to_numpy
from softargmax._random.numpy import generator_of_words, tagged
from softargmax._random.source import CORES, JOBS, Job, Source
from softargmax._random.tags import Tag
from softargmax._random.torch import numpy_generator, visible_source

_PLACES = itertools.count()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _place() -> int:
    """A new number at each traced call: a compiler would merge two equal calls into one."""
    return next(_PLACES)


def _words(seed: int) -> list[int]:
    """A seed in integers that PyTorch takes, of which NumPy makes the same generator."""
    words = []
    while seed >= 2**62:
        words.append(seed % 2**32)
        seed //= 2**32
    return [*words, seed]


class HiddenSource(Source):
    """Noise by the words of a seed, negative for fresh entropy, and the path of streams from it."""

    def __init__(
        self,
        words: tuple[int, ...],
        path: tuple[int, ...],
        xp: Namespace,
        like: Array,
        batch: Shape,
    ) -> None:
        self.words, self.path, self.xp, self.like, self.batch = words, path, xp, like, batch
        self.native = like.device.type != "cpu"

    @classmethod
    def of(cls, rng: Any, xp: Namespace, like: Array, batch: Shape) -> HiddenSource:
        """The source of an ``rng`` argument."""
        if rng is None:
            return cls((-1 - _place(),), (), xp, like, batch)
        if isinstance(rng, int) and not isinstance(rng, bool) and rng >= 0:
            words = _words(rng)
        elif is_compiling(xp):
            raise TypeError(
                "rng must be None or an int of 0 or more in compiled code, "
                f"got {type(rng).__name__}"  # whose values may be hidden too
            )
        else:
            words = numpy_generator(rng).integers(2**32, size=4).tolist()
        return cls(tuple(words), (), xp, like, batch)

    @property
    def generators(self) -> Any:
        raise AssertionError("hidden noise is handed out")

    def streams(self, tag: Tag, count: int = 1) -> list[Source]:
        paths = [(*self.path, int(tag), i) for i in range(count)]
        return [HiddenSource(self.words, path, self.xp, self.like, self.batch) for path in paths]

    def gumbels(self, size: Shape, core: Shape = ()) -> Array:
        return self.hand_out(Job("gumbels", size, core, real=True), self.batch, (self.like,))

    def log_gammas(self, alpha: Array, width: int) -> Array:
        return self.hand_out(Job("log_gammas", (), (width,), real=True), self.batch, (alpha,))

    def gumbel_max(self, log_probs: Array, size: Shape) -> Array:
        return self.hand_out(Job("gumbel_max", size), tuple(log_probs.shape[:-1]), (log_probs,))

    def hides(self, arrays: tuple[Any, ...]) -> bool:  # noqa: ARG002
        return True

    def hand_out(self, job: Job, batch: Shape, arrays: tuple[Any, ...]) -> Array:
        first, second, third = (*(self._tensor(x) for x in arrays), None, None)[:3]
        seed = (list(self.words), list(self.path))
        shapes = (list(job.size), list(batch), list(job.tail))
        return _answer(first, second, third, job.name, *shapes, list(job.options), *seed, job.real)

    def _tensor(self, x: Any) -> Any:
        if isinstance(x, float | np.ndarray):
            return torch.as_tensor(x, dtype=torch.float64, device=self.like.device)
        return None if x is None else x.detach()


@torch.library.custom_op(  # type: ignore[untyped-decorator]
    "softargmax::answer", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def _answer(
    first: torch.Tensor,
    second: torch.Tensor | None,
    third: torch.Tensor | None,
    name: str,
    size: list[int],
    batch: list[int],
    tail: list[int],
    options: list[int],
    words: list[int],
    path: list[int],
    real: bool,
) -> torch.Tensor:
    """The answer to a job: noise as any source would make it, or what NumPy draws."""
    import array_api_compat.torch as xp

    fresh = not words or words[0] < 0
    rng = np.random.default_rng() if fresh else generator_of_words(words)
    for tag, i in zip(path[::2], path[1::2], strict=True):
        (rng,) = tagged(rng, Tag(tag), 1, i)
    job = Job(name, tuple(size), tuple(tail), tuple(options), real)
    noise = visible_source(rng, xp, first, tuple(batch))
    if name == "gumbels":
        found = noise.gumbels(job.size, job.tail)
    elif name == "log_gammas":
        found = noise.log_gammas(first, tail[0])
    elif name == "gumbel_max":
        found = noise.gumbel_max(first, job.size)
    else:
        arrays = tuple(None if x is None else to_numpy(x) for x in (first, second, third))
        found = noise.home(JOBS[name](noise.generators, job, tuple(batch), arrays))
    return found.to(torch.float64 if real else torch.int64).contiguous()


@_answer.register_fake  # type: ignore[untyped-decorator]
def _shape(*args: Any) -> Any:
    first, size, batch, tail, real = args[0], *args[4:7], args[-1]
    return first.new_empty([*size, *batch, *tail], dtype=torch.float64 if real else torch.int64)


@_answer.register_vmap  # type: ignore[untyped-decorator]
def _mapped(info: Any, in_dims: Any, *args: Any) -> Any:
    """Rows of a larger batch, or row by row where all are to have the same noise."""
    arrays, (name, size, batch, tail, options, words, path, real) = args[:3], args[3:]
    random = bool(words or path)
    if random and info.randomness == "error":
        raise RuntimeError("vmap must have randomness='different' or 'same' for draws, got 'error'")

    def answer(tensors: Any, batch: Any) -> Any:
        return _answer(*tensors, name, size, batch, tail, options, words, path, real)

    pairs = list(zip(arrays, in_dims, strict=False))
    if random and info.randomness == "same":
        rows = [
            [x if d is None else x.select(d, i) for x, d in pairs] for i in range(info.batch_size)
        ]
        return torch.stack([answer(row, batch) for row in rows]), 0
    wide = []
    for (x, dim), core in zip(pairs, CORES, strict=True):
        if dim is not None:
            x = x.movedim(dim, 0)
            missing = len(batch) + core + 1 - x.ndim
            x = x.reshape(x.shape[0], *[1] * missing, *x.shape[1:])
        wide.append(x)
    return answer(wide, [info.batch_size, *batch]), len(size)
