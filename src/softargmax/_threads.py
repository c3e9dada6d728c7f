"""Work shared among threads, which are kept: to start one costs more than a draw."""

import math
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

Task = TypeVar("Task")


def share(
    work: Callable[[Task], None],
    tasks: Iterable[Task],
    workers: int = 1,
    ahead: float = math.inf,
) -> None:
    """Do ``work`` on tasks in up to ``workers`` threads, this one included.

    This thread makes the tasks, in order. Pass ``ahead``, how many may wait, where they take
    memory.
    """
    if workers == 1:
        for task in tasks:
            work(task)
        return
    from queue import Empty, SimpleQueue

    waiting: SimpleQueue[Task | None] = SimpleQueue()
    helpers: list[Any] = []
    wanted = workers - 1

    def lend_a_hand() -> None:
        while (task := waiting.get()) is not None:
            work(task)

    try:
        for task in tasks:
            if waiting.qsize() >= ahead:
                work(task)
                continue
            waiting.put(task)
            if wanted and waiting.qsize() > 1:
                try:
                    helpers.append(_pool().submit(lend_a_hand))
                    wanted -= 1
                except RuntimeError:  # no new threads, as at the end of the interpreter
                    wanted = 0
        with suppress(Empty):
            while True:
                work(waiting.get_nowait())  # type: ignore[arg-type]
    finally:
        with suppress(Empty):  # what an error has left
            while True:
                waiting.get_nowait()
        for _ in range(workers):
            waiting.put(None)
        for helper in helpers:
            if not helper.cancel():
                helper.result()


@cache
def _pool() -> Any:
    """The threads that help, for all who share; without any they would do all by themselves."""
    from concurrent.futures import ThreadPoolExecutor  # 10 ms, for those who use threads

    return ThreadPoolExecutor(os.cpu_count(), "softargmax")


def _close() -> None:
    """End the threads, as a process should that forks; new ones are started when needed."""
    if _pool.cache_info().currsize:
        pool = _pool()
        _pool.cache_clear()
        pool.shutdown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close)
