"""Work shared among threads, which are kept: to start one costs more than a draw.

Between threads there are only queues that no interrupt can leave locked, and nobody ever waits for
a thread that may not come: who shares takes back what no one has begun. So Ctrl-C, signal handlers
that draw, and forks are harmless at any moment.
"""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Task = TypeVar("Task")
_PATIENCE = 0.05  # seconds that a fork waits for idle threads to end


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
    waiting: SimpleQueue[Task] = SimpleQueue()
    tickets: SimpleQueue[bool] = SimpleQueue()  # one for each who was called
    left: SimpleQueue[BaseException | None] = SimpleQueue()  # those who came and went
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
            # A single task is for this thread.
            if called - left.qsize() < workers - 1 and waiting.qsize() > 1:
                tickets.put(True)
                _pool.call(lend_a_hand)
                called += 1  # not sooner: an interrupt in between must leave none to wait for
        for task in _taken(waiting):
            work(task)
    finally:
        for _ in _taken(waiting):  # what an error has left
            pass
        came = called - sum(1 for _ in _taken(tickets))
        errors = [left.get() for _ in range(came)]
    for error in errors:
        if error is not None:
            raise error


def _taken(queue: "SimpleQueue[Any]", most: float = math.inf) -> Iterator[Any]:
    """What is in a queue, as long as there is any."""
    while most > 0:
        try:
            yield queue.get_nowait()
        except Empty:
            return
        most -= 1


class _Pool:
    """Threads that wait for calls, one a core at the most; none is started before it is needed."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.idle: deque[None] = deque()
        self.threads: list[threading.Thread] = []

    def call(self, job: Callable[[], None]) -> None:
        """Have a job done by some thread, sooner or later, or never."""
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
        """End the threads, and wait a little for those that are idle."""
        for _ in self.threads:
            self.calls.put(None)
        end = time.monotonic() + _PATIENCE
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))


_pool = _Pool()


def _renew(*, close: bool) -> None:
    """Other threads from now on: a process should fork without any, and the child has none."""
    global _pool
    old, _pool = _pool, _Pool()
    if close:
        old.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _renew(close=True), after_in_child=lambda: _renew(close=False)
    )
