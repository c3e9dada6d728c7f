"""Long runs: step by step, with a bar, to be interrupted and resumed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np

from softargmax._arrays import checks
from softargmax._random.numpy import Generator, generator
from softargmax._random.sources import Rng

State = TypeVar("State")


def begin(resume: Any, kind: type, steps: int, rng: Rng) -> tuple[int, int, Generator]:
    """How many steps an earlier result has, how many there will be, and the generator to go on."""
    steps = checks.count(steps, "steps", 0, 2**62)
    if resume is None:
        return 0, steps, generator(rng)
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
    """Advance from step ``first`` on; how many steps are done, and the state after them.

    At Ctrl-C these are the whole steps, and ``rng`` is put back to where it stood after them.
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
    """A state of the run's own, whatever is changed in place."""
    try:
        return deepcopy(state)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"state must be an object that can be copied: {error}") from None


def finished(make: Callable[[], State]) -> State:
    """What ends a run, in spite of a Ctrl-C meanwhile."""
    try:
        return make()
    except KeyboardInterrupt:
        return make()


def cut(trace: Any, done: int) -> Any:
    """The steps that were done, without the memory of the others."""
    return trace if done == len(trace) else trace[:done].copy()


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
    """Energies that a caller's function has returned, as float64: finite or +inf.

    Of this shape, or where it is None a row of one or more, not all +inf.
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
