"""Noise made in order by one thread, and used by several."""

from collections.abc import Callable
from typing import Any

from softargmax._rows.memory import blocks
from softargmax._rows.threads import share


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
