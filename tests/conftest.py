"""Hypothesis: no deadlines, the same examples in every CI run, and many of them on demand. What JAX
and PyTorch have compiled for a file of tests is let go after it: in all it would be gigabytes.
"""

import os
import sys

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=3000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


@pytest.fixture(scope="module", autouse=True)
def compiled_code_is_let_go():
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "torch" in sys.modules:
        sys.modules["torch"].compiler.reset()
