"""Blocks of rows that fit into the cache, and memory for intermediate values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

BLOCK = 2**15  # elements in a block: enough to amortise calls, few enough for the cache
SPACIOUS = 2**19  # elements of the largest intermediate array that is kept for the next call
_FEW = 2**13  # smaller arrays are cheaper to allocate than to look for


class Scratch:
    """``with Scratch(size, dtype) as memory``: an array for intermediate values.

    Every thread keeps some of them for the next caller: the system takes back what is freed, and
    fresh pages cost more than the arithmetic on them.
    """

    __slots__ = ("dtype", "memory", "size")

    def __init__(self, size: int, dtype: Any) -> None:
        self.size, self.dtype = size, np.dtype(dtype)

    def __enter__(self) -> Any:
        # Taken out of the list while in use, since a signal handler may draw as well.
        kept = _KEPT.arrays[self.dtype.char]
        memory = kept.pop() if kept and _FEW < self.size <= SPACIOUS else None
        if memory is None or len(memory) < self.size:
            memory = np.empty(self.size, self.dtype)
        self.memory = memory
        return memory[: self.size]

    def __exit__(self, *_error: object) -> None:
        kept = _KEPT.arrays[self.dtype.char]
        if _FEW < self.size <= SPACIOUS and len(kept) < _MOST:
            kept.append(self.memory)


_MOST = 2  # arrays that a thread keeps for each dtype: as many as a truncation needs at once


class _Kept(threading.local):
    """The arrays that a thread keeps, by the character of their dtype."""

    def __init__(self) -> None:
        self.arrays: dict[str, list[Any]] = {"f": [], "d": [], "?": []}


_KEPT = _Kept()


def blocks(rows: int, width: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover ``rows`` rows of ``width`` elements, each about ``size`` elements."""
    step = max(1, size // max(width, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def block_size(width: int, workers: int) -> int:
    """Elements in a block: more for long rows, and for rows that workers share.

    Blocks of short rows stay in the cache; those of long rows cannot, and larger ones save calls.
    Threads wait for each other between array calls, so they get larger blocks too.
    """
    return BLOCK if workers == 1 and width < BLOCK else 16 * BLOCK


T = TypeVar("T")


class once(Generic[T]):  # noqa: N801
    """A property that is computed once and then stands in the object's ``__dict__``.

    Unlike ``functools.cached_property`` of Python 3.11 it holds no lock, which a fork or a signal
    handler could find taken; two threads may both compute it, with equal results.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        found: T
        found = instance.__dict__[self.name] = self.compute(instance)
        return found
