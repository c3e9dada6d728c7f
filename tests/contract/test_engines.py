"""Two engines of rows: which one serves, and that both have one law."""

import os
import subprocess
import sys
import textwrap

import pytest

from softargmax import engine

needs_numba = pytest.mark.skipif(engine() != "numba", reason="numba is not installed")


def in_a_process(code, tmp_path=None, **environment):
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )


ENGINE = "import softargmax; print(softargmax.engine())"


def test_the_environment_chooses():
    assert in_a_process(ENGINE, SOFTARGMAX_ENGINE="numpy").stdout == "numpy\n"
    wrong = in_a_process(ENGINE, SOFTARGMAX_ENGINE="fortran")
    assert "ValueError: SOFTARGMAX_ENGINE must be 'numba' or 'numpy', got 'fortran'" in wrong.stderr


@needs_numba
def test_numba_serves_where_it_is_installed_and_is_not_imported_before():
    code = """
    import sys, numpy as np, softargmax
    import softargmax.tokens, softargmax.policies
    assert "numba" not in sys.modules
    softargmax.Categorical(np.arange(5.0)).sample(rng=0)
    assert "numba" in sys.modules
    print(softargmax.engine())
    """
    done = in_a_process(code, SOFTARGMAX_ENGINE="")
    assert done.stdout == "numba\n", done.stderr


def broken(tmp_path, text):
    (tmp_path / "numba.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


def test_a_broken_numba_is_reported_once_and_numpy_serves(tmp_path):
    environment = broken(tmp_path, "raise OSError('no LLVM')")
    code = """
    import numpy as np, softargmax
    print(softargmax.Categorical(np.zeros(3)).sample(rng=0) < 3, softargmax.engine())
    softargmax.Categorical(np.zeros(3)).sample(rng=0)
    """
    done = in_a_process(code, **environment, SOFTARGMAX_ENGINE="")
    assert done.stdout == "True numpy\n", done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert "numba does not work" in done.stderr
    assert "no LLVM" in done.stderr
    asked = in_a_process(ENGINE, **environment, SOFTARGMAX_ENGINE="numba")
    assert "ImportError: SOFTARGMAX_ENGINE=numba, but numba does not work: no LLVM" in asked.stderr


def test_numba_that_is_asked_for_and_not_there(tmp_path):
    code = """
    import importlib.util
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *more: None if name == "numba" else find(name, *more)
    import softargmax
    softargmax.engine()
    """
    done = in_a_process(code, SOFTARGMAX_ENGINE="numba")
    assert "ImportError" in done.stderr
    assert "pip install 'softargmax[fast]'" in done.stderr
