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


@needs_numba
def test_a_processor_without_fused_multiply_add():
    """Where numba would imitate it, NumPy serves, quietly, unless numba is asked for."""
    code = """
    from llvmlite import binding
    features = binding.get_host_cpu_features()
    features["fma"] = False
    binding.get_host_cpu_features = lambda: features
    import softargmax
    print(softargmax.engine())
    """
    for wanted, served in ("", "numpy"), ("numba", "numba"):
        done = in_a_process(code, SOFTARGMAX_ENGINE=wanted)
        assert (done.stdout, done.stderr) == (f"{served}\n", "")


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


DRAWS = """
import hashlib, numpy as np, softargmax
from softargmax import Categorical
from softargmax.tokens import MinP, TopK, TopP, Typical, chain
rng, found = np.random.default_rng(0), hashlib.sha256()
for dtype in (np.float32, np.float64):
    for shape in [(6,), (3, 18), (500, 18), (9_000,), (4, 3_000)]:
        z = (rng.normal(size=shape) * 4).astype(dtype)
        for heat in (1.0, 0.7):
            d = Categorical(z, heat)
            for n in ((), 3, 2_000 if len(shape) == 1 else 20):
                found.update(d.sample(n, rng=1).tobytes())
            found.update(d.log_probs.tobytes() + d.probs.tobytes() + d.entropy().tobytes())
            if shape == (9_000,):
                for stage in chain(TopK(50), TopP(0.9), MinP(0.02)), TopP(0.9), Typical(0.9):
                    found.update(stage(d).log_probs.tobytes())
                    found.update(stage.sample(z, heat, rng=1).tobytes())
print(softargmax.engine(), found.hexdigest())
"""


@needs_numba
@pytest.mark.slow  # every kernel is compiled twice over
def test_every_instruction_set_finds_the_same_bits(tmp_path):
    """Whatever vectors the kernels are compiled for: those at hand, and the least of all."""
    at_hand = in_a_process(DRAWS, SOFTARGMAX_ENGINE="numba")
    least = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    plain = in_a_process(DRAWS, SOFTARGMAX_ENGINE="numba", **least)
    assert at_hand.stdout.startswith("numba "), at_hand.stderr
    assert at_hand.stdout == plain.stdout, plain.stderr
