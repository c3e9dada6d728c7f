"""What every source of randomness answers, and the types of ``rng`` arguments.

A source is made once, from a distribution and an ``rng`` argument. It knows the namespace, the
device and the batch that its noise is for. A library with random numbers of its own has a file
beside this one, with a source of its own, and a line in ``sources.py``.

What NumPy draws is a job. Where values are hidden, as within jit, torch.func and torch.compile, it
is handed out by its name, to be done when the values are there: compiled code keeps words and
numbers, but no closures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softargmax._arrays.namespaces import Array, Namespace, Shape, to_namespace
from softargmax._random.tags import Tag


class Job(NamedTuple):
    """What NumPy is to answer, of shape size + batch + tail."""

    name: str  # of a function in JOBS
    size: Shape = ()
    tail: Shape = ()
    options: tuple[int, ...] = ()
    real: bool = False  # whether the answer is real numbers, else integers


# From generators (one, a list with one for each row, or None where nothing is random), a job, the
# shape of the batch and NumPy arrays to NumPy's answer. The arrays are unchecked: (…, K), (…), and
# (…, K) or None, where … broadcasts to the batch. Whoever has a job for NumPy enters it.
JOBS: dict[str, Callable[[Any, Job, Shape, tuple[Any, ...]], Any]] = {}
CORES = (1, 0, 1)  # how many of the last axes of these arrays are not the batch's


class Source(ABC):
    """Noise for a batch of distributions."""

    batch: Shape
    xp: Namespace
    like: Array
    native = False  # whether draws are made where the arrays live, by Gumbel-max
    keyed = False  # whether draw number i depends on a seed and on i alone

    def rows(self) -> list[Source] | None:
        """The sources of the rows, where each has one of its own."""
        return None

    @abstractmethod
    def streams(self, tag: Tag, count: int = 1) -> list[Source]:
        """Sources of noise that nothing else shares with an equal rng."""

    @abstractmethod
    def gumbels(self, size: Shape, core: Shape = ()) -> Array:
        """Independent standard Gumbels, size + batch + core, which never look at the logits."""

    @abstractmethod
    def log_gammas(self, alpha: Array, width: int) -> Array:
        """Logarithms of Gamma(alpha) variates, batch + (width,); alpha is (…, 1)."""

    def gumbel_max(self, log_probs: Array, size: Shape) -> Array:
        """Draws of shape size + batch from log_probs (…, K); -1 in rows of NaN. Native only."""
        raise AssertionError(f"{type(self).__name__} draws on the host: {log_probs}, {size}")

    @property
    @abstractmethod
    def generators(self) -> Any:
        """What NumPy draws with: one generator, or a list with one for each row."""

    def home(self, x: Any) -> Array:
        """An answer of NumPy's where the arrays live."""
        return x if self.xp is np else to_namespace(np.asarray(x), self.xp, self.like)

    def hides(self, arrays: tuple[Any, ...]) -> bool:  # noqa: ARG002
        """Whether values are hidden, those of the arrays or of the noise."""
        return False

    def hand_out(self, job: Job, batch: Shape, arrays: tuple[Any, ...]) -> Array:
        """The answer to a job, given when the values of the arrays are there. Hidden only."""
        raise AssertionError(f"{type(self).__name__} sees all values: {job}, {batch}, {arrays}")
