"""Long runs: a loop over steps with a progress bar, interruption and resumption."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import read_only
from softargmax._random.numpy import Generator, generator, generator_of_words, tagged
from softargmax._random.sources import Rng
from softargmax._random.tags import Tag

State = TypeVar("State")


def begin(resume: Any, kind: type, steps: int, rng: Rng, tag: Tag) -> tuple[int, int, Generator]:
    """The number of steps already done, the total number, and the generator to continue with."""
    steps = checks.count(steps, "steps", 0, 2**62)
    if resume is None:
        words = tagged(generator(rng), tag)[0].integers(2**63, size=4)
        return 0, steps, generator_of_words(words)  # whose children can be spawned
    checks.check_instance(resume, kind, "resume")
    done = len(resume.energies)
    if done > steps:
        raise ValueError(f"steps must be at least {done}, those of resume, got {steps}")
    return done, steps, deepcopy(resume.rng)


def run(
    advance: Callable[[int, State], State],
    state: State,
    first: int,
    steps: int,
    rng: Generator,
    progress: bool,
) -> tuple[int, State]:
    """Advance from step ``first`` on; return the number of steps done and the state after them.

    After Ctrl-C only whole steps count, and ``rng`` is rewound to the end of the last one.
    """
    done = first, state, rng.bit_generator.state
    with _bar(first, steps, progress) as update:
        try:
            for i in range(first, steps):
                state = advance(i, done[1])
                done = i + 1, state, rng.bit_generator.state
                update()
        except KeyboardInterrupt:
            rng.bit_generator.state = done[2]
    return done[:2]


def copied_state(state: Any) -> Any:
    """A deep copy for the run, so that in-place changes cannot reach the caller's state."""
    try:
        return deepcopy(state)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"state must be an object that can be copied: {error}") from None


def finished(make: Callable[[], State]) -> State:
    """Make the result of a run; start over if Ctrl-C interrupts that."""
    try:
        return make()
    except KeyboardInterrupt:
        return make()


def cut(trace: Any, done: int) -> Any:
    """The entries of the steps done, read-only, without holding the memory of the others."""
    return read_only(trace if done == len(trace) else trace[:done].copy())


@contextmanager
def _bar(first: int, steps: int, progress: bool) -> Iterator[Callable[[], object]]:
    if not progress:
        yield lambda: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install 'softargmax[plot]'") from None
    with tqdm(total=steps, initial=first, unit=" steps") as bar:
        yield bar.update


def returned_energies(x: Any, shape: tuple[int, ...] | None, who: str) -> Any:
    """Check the energies that a user's function returned, and cast them to float64.

    They must be finite or +inf and have this shape; for None, one or more in a row, not all +inf.
    """
    energies = checks.real_array(x, f"energies of {who}", np, x).astype(np.float64)
    if energies.ndim != 1 or not energies.size if shape is None else energies.shape != shape:
        wanted = "(m,) with m ≥ 1, beside the offer" if shape is None else shape
        raise ValueError(f"energies of {who} must have shape {wanted}, got shape {energies.shape}")
    low = float(energies.min(initial=math.inf))
    if not low > -math.inf or (shape is None and low == math.inf):
        wanted = "finite or +inf" if not low > -math.inf else "finite for one state at least"
        raise ValueError(f"energies of {who} must be {wanted}, got {low:g}")
    return energies
