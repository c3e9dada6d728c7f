"""What every source of randomness answers, and the types of ``rng`` arguments.

A source is made once, from a distribution and an ``rng`` argument. It knows the namespace, the
device and the batch that its noise is for. A library with random numbers of its own has a file
beside this one, with a source of its own, and a line in ``sources.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from softargmax._arrays.namespaces import Array, Shape
from softargmax._random.tags import Tag


class Source(ABC):
    """Noise for a batch of distributions."""

    batch: Shape
    native = False  # whether draws are made where the arrays live, by Gumbel-max
    keyed = False  # whether draw number i depends on a seed and on i alone

    def rows(self) -> "list[Source] | None":
        """The sources of the rows, where each has one of its own."""
        return None

    @abstractmethod
    def streams(self, tag: Tag, count: int = 1) -> "list[Source]":
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

    @abstractmethod
    def on_host(self, call: Callable[..., Any], arrays: tuple[Any, ...], shape: Shape) -> Array:
        """What NumPy draws: ``call(generators)``, or ``call(generators, arrays)`` where JAX hides
        the arrays. Generators are one, or a list with one for each row.
        """
