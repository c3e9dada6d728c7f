"""Which engine computes rows: NumPy's array calls, or kernels that numba compiles."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from typing import Any, Literal, TypeAlias

Engine: TypeAlias = Literal["numba", "numpy"]
_VARIABLE = "SOFTARGMAX_ENGINE"
_KERNELS = "softargmax._rows.compiled"


class _Choice:
    """The engine of this process: looked for once, at the first call that could profit."""

    engine: Engine | None = None
    kernels: Any = None  # the package ``compiled``, where it serves


def engine() -> Engine:
    """The engine that serves NumPy arrays and CPU tensors: "numba" where it is installed.

    The environment variable ``SOFTARGMAX_ENGINE`` chooses one, "numba" or "numpy", for the process.
    Both sample the same distribution; compiled rows are faster, and equal seeds give equal draws on
    every machine. A numba that cannot be imported is reported by one warning, and NumPy serves
    instead. NumPy also serves where numba is not asked for and the processor has no fused
    multiply-add, which kernels would have to imitate (some of x86).

    Returns
    -------
    {"numba", "numpy"}

    Raises
    ------
    ValueError
        For another value of ``SOFTARGMAX_ENGINE``.
    ImportError
        Where it asks for numba, and that is not installed.

    Examples
    --------
    >>> import softargmax
    >>> softargmax.engine() in ("numba", "numpy")
    True
    """
    if _Choice.engine is None:
        use(_chosen())
    assert _Choice.engine is not None
    return _Choice.engine


def use(name: Engine) -> None:
    """Let an engine that works serve from here on."""
    _Choice.engine = name
    _Choice.kernels = importlib.import_module(_KERNELS) if name == "numba" else None


def kernels() -> Any:
    """The package ``compiled``, or None where NumPy serves: all that has two engines asks it."""
    if _Choice.engine is None:
        engine()
    return _Choice.kernels


def _chosen() -> Engine:
    wanted = os.environ.get(_VARIABLE, "")
    if wanted == "numpy":
        return "numpy"
    if wanted not in ("", "numba"):
        raise ValueError(f"{_VARIABLE} must be 'numba' or 'numpy', got {wanted!r}")
    if importlib.util.find_spec("numba") is None:
        if wanted:
            raise ImportError(
                f"{_VARIABLE}=numba needs numba: python -m pip install 'softargmax[fast]'"
            )
        return "numpy"
    try:
        fast = importlib.import_module(_KERNELS).has_fma()
    except Exception as error:
        if wanted:
            raise ImportError(f"{_VARIABLE}=numba, but numba does not work: {error}") from error
        warnings.warn(
            f"numba does not work, and NumPy's slower rows serve: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return "numpy"
    return "numba" if fast or wanted else "numpy"
