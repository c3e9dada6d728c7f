"""Work shared among threads, which are kept, since starting one costs more than a draw.

Threads communicate through queues alone, which an interrupt cannot leave locked. The calling thread
never waits for a helper that has not begun: it takes the remaining tasks back and does them itself.
So Ctrl-C, signal handlers that draw, and forks are safe at any moment.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from softargmax._rows.memory import blocks

Task = TypeVar("Task")
_PATIENCE = 0.05  # seconds that a fork waits for idle threads to end


def share(
    work: Callable[[Task], None],
    tasks: Iterable[Task],
    workers: int = 1,
    ahead: float = math.inf,
) -> None:
    """Do ``work`` on every task in up to ``workers`` threads, the calling one included.

    The calling thread makes the tasks, in order. ``ahead`` bounds how many of them may wait, for
    tasks that take memory.
    """
    if workers == 1:
        for task in tasks:
            work(task)
        return
    waiting: SimpleQueue[Task] = SimpleQueue()
    tickets: SimpleQueue[bool] = SimpleQueue()  # one for each helper that was called
    left: SimpleQueue[BaseException | None] = SimpleQueue()  # from helpers that have finished
    called = 0

    def lend_a_hand() -> None:
        if not any(_taken(tickets, 1)):
            return  # too late
        try:
            for task in _taken(waiting):
                work(task)
        except BaseException as error:
            for _ in _taken(waiting):
                pass
            left.put(error)
        else:
            left.put(None)

    try:
        for task in tasks:
            if waiting.qsize() >= ahead:
                work(task)
                continue
            waiting.put(task)
            # A single waiting task is left to this thread.
            if called - left.qsize() < workers - 1 and waiting.qsize() > 1:
                tickets.put(True)
                _pool.call(lend_a_hand)
                called += 1  # last, so that an interrupt leaves no helper to wait for
        for task in _taken(waiting):
            work(task)
    finally:
        for _ in _taken(waiting):  # tasks that remain after an error
            pass
        came = called - sum(1 for _ in _taken(tickets))
        errors = [left.get() for _ in range(came)]
    for error in errors:
        if error is not None:
            raise error


def by_blocks_of_noise(
    work: Callable[[slice, Any], None],
    n: int,
    width: int,
    noise: Callable[[int], Any],
    workers: int,
) -> None:
    """Draw the noise of each block in order, and ``work(block, noise)`` on the blocks."""
    share(
        lambda task: work(*task),
        ((block, noise(block.stop - block.start)) for block in blocks(n, width)),
        workers,
        2 * workers,
    )


def _taken(queue: SimpleQueue[Any], most: float = math.inf) -> Iterator[Any]:
    """Take items from a queue until it is empty, or ``most`` of them."""
    while most > 0:
        try:
            yield queue.get_nowait()
        except Empty:
            return
        most -= 1


class _Pool:
    """Threads that wait for calls, at most one a core, started when they are first needed."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.idle: deque[None] = deque()
        self.threads: list[threading.Thread] = []

    def call(self, job: Callable[[], None]) -> None:
        """Offer a job to the threads; it may be done late, or never."""
        self.calls.put(job)
        try:
            self.idle.pop()
        except IndexError:
            if len(self.threads) < (os.cpu_count() or 1):
                thread = threading.Thread(target=self._serve, name="softargmax", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads, as at the end of the interpreter
                    return
                self.threads.append(thread)

    def _serve(self) -> None:
        while (job := self.calls.get()) is not None:
            job()
            self.idle.append(None)

    def close(self) -> None:
        """End the threads, and wait briefly for the idle ones."""
        for _ in self.threads:
            self.calls.put(None)
        end = time.monotonic() + _PATIENCE
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))


_pool = _Pool()


def _renew(*, close: bool) -> None:
    """Replace the pool: a process should fork without threads, and its child has none."""
    global _pool
    old, _pool = _pool, _Pool()
    if close:
        old.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _renew(close=True), after_in_child=lambda: _renew(close=False)
    )
