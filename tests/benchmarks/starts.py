"""What the first call of a process costs with each engine, and what stays on disk."""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_IMPORT = "import softargmax"
_DRAW = """
import numpy as np, softargmax
softargmax.Categorical(np.zeros(128_256, np.float32)).sample(rng=0)
"""


def _seconds(code: str, rounds: int, **environment: str) -> float:
    """The median time of fresh processes, without that of an empty one that imports NumPy."""

    def once(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment})
        return time.perf_counter() - start

    return statistics.median(once(code) - once("import numpy") for _ in range(rounds))


def _mebibytes(*folders: Path) -> float:
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files) / 2**20


def starts(show: Callable[[float], str], rounds: int = 7) -> Iterator[str]:
    """The table, a line at a time."""
    yield "| beyond Python and NumPy | engine numpy | engine numba |"
    yield "|---|---|---|"
    plain = {"SOFTARGMAX_ENGINE": "numpy"}
    with tempfile.TemporaryDirectory() as cache:
        fast = {"SOFTARGMAX_ENGINE": "numba", "NUMBA_CACHE_DIR": cache}
        imports = (show(_seconds(_IMPORT, rounds, **kind)) for kind in (plain, fast))
        yield f"| `{_IMPORT}` | {' | '.join(imports)} |"
        cold = _seconds(_DRAW, 1, **fast)
        first, warm = _seconds(_DRAW, rounds, **plain), _seconds(_DRAW, rounds, **fast)
        yield f"| and the first draw, nothing compiled yet | {show(first)} | {show(cold)} |"
        yield f"| and the first draw, kernels on disk | {show(first)} | {show(warm)} |"
        kept = _mebibytes(Path(cache))
    found = [importlib.util.find_spec(name) for name in ("numba", "llvmlite")]
    homes = [Path(spec.origin).parent for spec in found if spec is not None and spec.origin]
    size = f"{_mebibytes(*homes):.0f} MiB, and {kept:.1f} MiB of kernels"
    yield f"| on disk | | {size} |"
