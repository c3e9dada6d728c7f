"""How time and memory of every public call grow when rows, K or n are doubled.

``python tests/benchmarks/scaling.py`` measures them all (some minutes) and prints the slopes: the
power of the size that they grow with, over three doublings, so that the step where arrays outgrow
a cache does not pass for growth. ``--only WORD …`` measures those whose name has a word,
``--write`` puts the table into docs/performance.md. Time is the processor's, which neighbours
change less than that of the clock. Both sizes are timed in turn, A B A B …, and the median of the
ratios counts; a slope above the limit is measured again, for longer. Memory is the peak that
tracemalloc sees, of NumPy arrays.
"""

import argparse
import gc
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from calls import ROOMS, Call, Entry, Size, cases
from peers import show, write

LIMIT = 1.15  # what no slope should exceed
LONG = 4e-3  # seconds that the smaller call has to last: beyond what every call costs
LARGEST = 2**20  # elements of the logits, or draws, of the larger
DOUBLINGS = 3
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # the threads of BLAS would add the time that they wait
    # glibc would give arrays of 32 MB and more back at once, and take their pages anew.
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
}


class Slope(NamedTuple):
    """How the cost of one call grows."""

    call: str
    room: str
    size: int  # the larger one
    seconds: float  # there
    time: float  # the slopes
    memory: float

    @property
    def worst(self) -> float:
        return max(self.time, self.memory)


def slopes(entry: Entry, name: str, budget: float) -> Iterator[Slope]:
    """The slopes in each of its rooms."""
    for room in entry.rooms.split():
        field, size = ROOMS[room]
        size = long_enough(entry, size, field)
        grown = size._replace(**{field: 2**DOUBLINGS * getattr(size, field)})
        small, large = entry.make(size), entry.make(grown)
        doublings = DOUBLINGS * entry.power
        ratio, seconds = in_turn(small, large, budget)
        if math.log2(ratio) > LIMIT * doublings:
            ratio, seconds = in_turn(small, large, 4 * budget)
        memory = peak(large) / peak(small)
        label = {"width": "K"}.get(field, field)
        yield Slope(
            name,
            label,
            getattr(grown, field),
            seconds,
            math.log2(ratio) / doublings,
            math.log2(memory) / doublings,
        )


def long_enough(entry: Entry, size: Size, field: str) -> Size:
    """A size whose call lasts so long that its slope shows."""
    while True:
        call = entry.make(size)
        call()
        start = time.process_time()
        call()
        gone = time.process_time() - start
        most = max(size.n, size.rows * size.width)
        if gone > LONG or 2 ** (DOUBLINGS + 1) * most > LARGEST:
            return size
        size = size._replace(**{field: 2 * getattr(size, field)})


def in_turn(small: Call, large: Call, budget: float) -> tuple[float, float]:
    """The median ratio of large to small, round by round, and the median of large."""
    times: tuple[list[float], list[float]] = ([], [])
    small(), large()
    gc.collect()
    stop = time.process_time() + budget
    while len(times[0]) < 5 or time.process_time() < stop:
        for call, own in zip((small, large), times, strict=True):
            start = time.process_time()
            call()
            own.append(time.process_time() - start)
    return float(np.median(np.divide(times[1], times[0]))), float(np.median(times[1]))


def peak(call: Call) -> int:
    """Bytes allocated at the worst moment of a call, small change left out.

    In a thread of its own, since threads keep memory for the next call.
    """
    gc.collect()
    tracemalloc.start()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(call).result()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(found, 2**16)


def table(found: list[Slope], rows: int) -> Iterator[str]:
    """The steepest of each room."""
    yield "| grows | call | size | time | slope of time | slope of memory |"
    yield "|---|---|---|---|---|---|"
    for room in ("rows", "K", "n"):
        ours = sorted((s for s in found if s.room == room), key=lambda s: -s.worst)
        for s in ours[:rows]:
            cells = f"{s.size:,} | {show(s.seconds)} | {s.time:.2f} | {s.memory:.2f}"
            yield f"| {room} | `{s.call}` | {cells} |"
        above = sum(s.worst > LIMIT for s in ours)
        yield f"| {room} | {len(ours)} calls, {above} above {LIMIT} | | | | |"


def main() -> None:
    """Measure, print, and write."""
    if not ENVIRONMENT.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="WORD")
    parser.add_argument("--seconds", type=float, default=0.3, help="a call and room")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found: list[Slope] = []
    chosen = {
        name: entry
        for name, entry in cases().items()
        if not options.only or any(word in name for word in options.only)
    }
    for name, entry in tqdm(chosen.items(), leave=False):
        try:
            found.extend(slopes(entry, name, options.seconds))
        except Exception as error:
            raise RuntimeError(f"{name} could not be called: {error}") from error
    everything = list(table(found, len(found) if options.only else 5))
    tqdm.write("\n".join(everything))
    for s in found:
        if s.worst > LIMIT:
            tqdm.write(f"above {LIMIT}: {s}")
    if options.write:
        write({"scaling": "\n".join(everything)})


if __name__ == "__main__":
    main()
