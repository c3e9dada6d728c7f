"""Long runs: a loop over steps with a progress bar, interruption, resumption and saves."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeAlias, TypeVar

import numpy as np

from softargmax._arrays import checks
from softargmax._arrays.namespaces import read_only
from softargmax._random.numpy import Generator, generator, generator_of_words, tagged
from softargmax._random.sources import Rng
from softargmax._random.tags import Tag

State = TypeVar("State")
Result = TypeVar("Result")
File: TypeAlias = str | os.PathLike[str]


def earlier(resume: Any, kind: type[Result], checkpoint: File | None) -> Result | None:
    """The earlier result to continue from, read if it is in a file; None for a new run."""
    if not isinstance(checkpoint, str | os.PathLike | None):
        raise TypeError(f"checkpoint must be a path, got {checkpoint!r}")
    if resume is None:
        if checkpoint is not None and os.path.exists(checkpoint):
            raise FileExistsError(
                f"checkpoint holds a run already: {os.fspath(checkpoint)!r}; pass it as resume too "
                "to continue that run, or remove it"
            )
        return None
    if isinstance(resume, str | os.PathLike):
        own = checkpoint is not None and os.fspath(resume) == os.fspath(checkpoint)
        if own and not os.path.exists(resume):
            return None  # a script that is started again and again begins here
        resume = _loaded(resume)
    checks.check_instance(resume, kind, "resume")
    found: Result = resume
    return found


def steps_of(resume: Any, steps: int) -> tuple[int, int]:
    """The number of steps already done, and the total number."""
    steps = checks.count(steps, "steps", 0, 2**62)
    done = 0 if resume is None else resume.steps
    if done > steps:
        raise ValueError(f"steps must be at least {done}, those of resume, got {steps}")
    return done, steps


def generator_of(resume: Any, rng: Rng, tag: Tag) -> Generator:
    """The generator of a new run, or the one to continue with."""
    if resume is None:
        words = tagged(generator(rng), tag)[0].integers(2**63, size=4)
        return generator_of_words(words)  # whose children can be spawned
    found: Generator = deepcopy(resume.rng)
    return found


def run(
    advance: Callable[[int, State], State],
    state: State,
    first: int,
    steps: int | None,
    rng: Generator,
    result: Callable[[int, State], Result],
    *,
    progress: bool,
    checkpoint: File | None,
    every: int,
    over: Callable[[State], bool] = lambda _: False,
) -> Result:
    """Advance from step ``first`` on, to ``steps`` or until it is over; return the result.

    ``result(done, state)`` makes that of the steps done, also for the saves. After Ctrl-C only
    whole steps count, and ``rng`` is rewound to the end of the last one.
    """
    every = checks.count(every, "every", 1, 2**62)
    done = first, state, rng.bit_generator.state
    with _bar(first, steps, progress) as update:
        try:
            if checkpoint is not None:  # at once, to fail early where that cannot be
                _save(result(first, state), checkpoint)
            while done[0] != steps and not over(done[1]):
                i = done[0]
                state = advance(i, done[1])
                done = i + 1, state, rng.bit_generator.state
                update()
                if checkpoint is not None and (i + 1) % every == 0:
                    _save(result(i + 1, state), checkpoint)
        except KeyboardInterrupt:
            rng.bit_generator.state = done[2]
    try:
        return _finished(result(*done[:2]), checkpoint)
    except KeyboardInterrupt:  # start over
        return _finished(result(*done[:2]), checkpoint)


def _finished(result: Result, checkpoint: File | None) -> Result:
    if checkpoint is not None:
        _save(result, checkpoint)
    return result


def _save(result: object, path: File) -> None:
    """Replace the file by one with this result: whenever the process ends, one of them is whole."""
    part = f"{os.fspath(path)}.part"
    with open(part, "wb") as file:
        pickle.dump(result, file, pickle.HIGHEST_PROTOCOL)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _loaded(path: File) -> Any:
    try:
        with open(path, "rb") as file:
            return pickle.load(file)
    except (pickle.UnpicklingError, EOFError) as error:
        raise ValueError(
            f"resume must be a file that a run has saved, got {os.fspath(path)!r}: {error}"
        ) from error


def copied_state(state: Any) -> Any:
    """A deep copy for the run, so that in-place changes cannot reach the caller's state."""
    try:
        return deepcopy(state)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"state must be an object that can be copied: {error}") from None


def cut(trace: Any, done: int) -> Any:
    """The entries of the steps done, read-only, without holding the memory of the others."""
    return read_only(trace if done == len(trace) else trace[:done].copy())


@contextmanager
def _bar(first: int, steps: int | None, progress: bool) -> Iterator[Callable[[], object]]:
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
