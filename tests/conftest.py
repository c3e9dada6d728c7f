"""Hypothesis: no deadlines, the same examples in every CI run, and many of them on demand. What JAX
and PyTorch have compiled for a file of tests is let go after it: in all it would be gigabytes.

Tests of rows run with both engines, where numba is installed. A file that is about one of them says
so: ``ENGINES = ("numpy",)``.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from softargmax import engine
from softargmax._rows.engine import use

settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=3000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


_INSTALLED = engine()
_ROWS = ("_rows", "_core", "gumbel", "resampling", "temperatures", "tokens")
_ROWS += ("test_categorical.py", "test_functional.py")


def pytest_generate_tests(metafunc):
    path = metafunc.definition.path.relative_to(Path(__file__).parent)
    engines = getattr(metafunc.module, "ENGINES", ("numpy", "numba"))
    if metafunc.definition.get_closest_marker("frameworks"):
        engines = engines[-1:]  # which engine serves tensors is not decided there
    if path.parts[0] in _ROWS and "rows_engine" in metafunc.fixturenames:
        metafunc.parametrize("rows_engine", engines, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def rows_engine(request):
    wanted = getattr(request, "param", _INSTALLED)
    if wanted == "numba" != _INSTALLED:
        pytest.skip("numba is not installed, or NumPy was asked for")
    use(wanted)
    yield wanted
    use(_INSTALLED)


@pytest.fixture(scope="module", autouse=True)
def compiled_code_is_let_go():
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "torch" in sys.modules:
        sys.modules["torch"].compiler.reset()
