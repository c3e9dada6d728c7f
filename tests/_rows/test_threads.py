"""Work that threads share: all of it, once, by no more threads than asked for."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from softargmax._rows import threads
from softargmax._rows.threads import share


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("ahead", [float("inf"), 3, 0])
@pytest.mark.parametrize("number", [0, 1, 2, 50])
def test_every_task_is_done_once(workers, ahead, number):
    done = []
    share(done.append, iter(range(number)), workers, ahead)
    assert sorted(done) == list(range(number))


def test_as_many_threads_as_asked_for_and_they_are_kept():
    met, seen = threading.Barrier(2, timeout=30), []

    def work(_task):
        seen.append(threading.get_ident())
        met.wait()

    for _ in range(20):
        seen.clear()
        share(work, range(2), 2)  # two tasks that wait for each other
        assert len(set(seen)) == 2
        assert threading.get_ident() in seen
    kept = [thread for thread in threading.enumerate() if thread.name.startswith("softargmax")]
    assert 1 <= len(kept) <= os.cpu_count()
    assert set(seen) <= {thread.ident for thread in threading.enumerate()}


def test_never_more_at_once_than_workers():
    busy, most, lock = 0, 0, threading.Lock()

    def work(_task):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.001)
        with lock:
            busy -= 1

    share(work, range(40), 2)
    assert most == 2


def test_few_tasks_wait():
    made, done, longest = 0, [], 0

    def tasks():
        nonlocal made, longest
        for task in range(100):
            made += 1
            longest = max(longest, made - len(done))
            yield task

    share(done.append, tasks(), 3, ahead=4)
    assert len(done) == 100
    assert longest <= 4 + 3  # those that wait, and one in every hand


def test_a_single_task_needs_no_other_thread(monkeypatch):
    monkeypatch.setattr(threads._Pool, "call", lambda *_: pytest.fail("another thread"))
    share(lambda task: None, range(1), 4)


def test_those_who_share_while_the_pool_is_busy_do_it_alone():
    """Each within a task of another, with more of them than there are threads."""
    done = []

    def work(depth):
        if depth:
            share(work, [depth - 1] * 2, 2)
        else:
            done.append(threading.get_ident())

    share(work, [6] * 4, 4)
    assert len(done) == 4 * 2**6


@pytest.mark.parametrize("here", [True, False])
def test_an_error_is_raised_and_nothing_stays_behind(here):
    """Whether this thread meets it or another; the other one is done when it is raised."""
    met, own, after = threading.Barrier(2, timeout=30), threading.get_ident(), []

    def work(_task):
        met.wait()
        if (threading.get_ident() == own) == here:
            raise KeyboardInterrupt if here else OSError
        time.sleep(0.01)
        after.append(0)

    with pytest.raises(KeyboardInterrupt if here else OSError):
        share(work, range(2), 2)
    assert after == [0]
    test_every_task_is_done_once(2, float("inf"), 50)


def test_an_error_is_raised_when_all_are_done(monkeypatch):
    met, own, done = threading.Barrier(3, timeout=30), threading.get_ident(), []
    first = threading.Event()

    def work(task):
        if task < 3:
            met.wait()
            if threading.get_ident() != own:
                if not first.is_set():
                    first.set()
                    raise OSError("the first")
                time.sleep(0.05)
        done.append(task)

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with pytest.raises(OSError, match="the first"):
        share(work, range(3), 3)
    assert len(done) == 2


def test_an_error_while_tasks_are_made():
    def tasks():
        yield from range(10)
        raise LookupError("the last")

    with pytest.raises(LookupError):
        share(lambda task: None, tasks(), 3)


def run(code):
    """Run it in a process of its own, all warnings errors; what it printed."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


LONG = """
    import numpy as np
    from softargmax import softargmax
    z = np.zeros((64, 2**15))
    def work():
        return float(softargmax(z, workers=3).sum())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_process_forks_without_threads():
    """In a child that took over the record of threads but not them, nobody would help."""
    code = """
    import os, threading
    assert work() == 64
    assert threading.active_count() > 1
    child = os.fork()
    if child == 0:
        assert threading.active_count() == 1
        os._exit(0 if work() == 64 and threading.active_count() > 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert threading.active_count() == 1
    assert work() == 64
    """
    found = run(LONG + code)
    assert found.returncode == 0, found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no fork, no timer")
def test_a_signal_handler_may_fork_and_draw_at_any_moment():
    code = """
    import os, signal, threading, time
    main = os.getpid()
    def handler(*_):
        assert work() == 64
        if os.getpid() == main:
            child = os.fork()
            if child == 0:
                os._exit(0 if work() == 64 else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    codes, start = [], time.perf_counter()
    work()
    took = time.perf_counter() - start
    signal.signal(signal.SIGALRM, handler)
    for i in range(8):
        signal.setitimer(signal.ITIMER_REAL, 1e-5 + took * i / 8)
        while len(codes) <= i:
            assert work() == 64
    assert codes == [0] * 8
    """
    found = run(LONG + code)
    assert found.returncode == 0, found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no timer")
def test_an_interrupt_at_any_moment_leaves_nothing_behind():
    """Neither a later call nor the end of the process waits for ever."""
    code = """
    import signal, time
    work()
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupts = 0
    for i in range(150):
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + took * i / 150)
            work()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupts += 1
    assert work() == 64
    print(interrupts > 50)
    """
    found = run(LONG + code)
    assert (found.stdout, found.stderr) == ("True\n", "")


def test_at_the_end_of_the_interpreter_one_thread_does_it():
    found = run(LONG + "    import atexit; work(); atexit.register(lambda: print(work()))")
    assert (found.stdout, found.stderr) == ("64.0\n", "")
