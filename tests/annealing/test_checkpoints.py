"""Runs that save themselves: killed processes, files that are always whole, what is refused."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from softargmax.annealing import anneal, replica_exchange, smc

# Runs that kill their process in a step, or in the middle of a save.
RUNS = '''
import os, signal, sys
import numpy as np
from softargmax.annealing import anneal, replica_exchange, smc

class Place:
    """A state that kills the process when it is pickled, not copied, for the second time."""
    saves = 0
    def __init__(self, x): self.x = x
    def __reduce_ex__(self, protocol):
        Place.saves += protocol == 5
        if Place.saves == 2: os.kill(os.getpid(), signal.SIGKILL)
        return int, (self.x,)

def killing(function, calls):
    def call(*arguments):
        nonlocal calls
        calls -= 1
        if calls == 0: os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call

def moves(x, rng):
    return [float((int(x) + d) ** 2) + rng.random() for d in (-1, 0, 1)], None
def apply(x, _, i): return int(x) + i - 1
def placed(x, _, i): return Place(int(getattr(x, "x", x)) + i - 1)
def moves_of_place(x, rng): return moves(getattr(x, "x", x), rng)
def energy(x): return (x**2).sum(axis=1) / 2
def sweep(x, coldness, rng): return 0.6 * x + 0.8 * rng.normal(size=x.shape)

def annealed(kill, **o):
    return anneal(9, killing(moves, kill), apply, 1.0, steps=60, rng=1, every=7, **o)
def in_a_save(kill, **o):
    step = placed if kill > 0 else apply
    return anneal(9, moves_of_place, step, 1.0, steps=60, rng=1, every=7, **o)
def exchanged(kill, **o):
    return replica_exchange(np.zeros((3, 2)), energy, killing(sweep, kill), [0.5, 1, 2], steps=60,
        observables={"x": lambda x: x}, burn_in=3, thin=2, rng=1, every=7, **o)
def carried(kill, **o):
    return smc(np.linspace(-2, 2, 50)[:, None], energy, killing(sweep, kill), rng=1,
        coldness=np.linspace(0, 2, 61), every=7, **o)
'''
NAMES = ["annealed", "in_a_save", "exchanged", "carried"]
MAIN = """
import pickle
for name in sys.argv[2:]:
    path, run = f"{sys.argv[1]}/{name}", globals()[name]
    child = os.fork()
    if child == 0:
        run(40, checkpoint=path)
        os._exit(0)
    ended = os.WTERMSIG(os.waitpid(child, 0)[1])
    saved = pickle.load(open(path, "rb"))
    again = run(-1, resume=path, checkpoint=path)
    at_once = run(1, resume=path, checkpoint=path)  # which a step would kill
    with open(path + ".seen", "wb") as file:
        pickle.dump((ended, saved, again, at_once, run(-1)), file)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_is_resumed_to_the_same_draws(tmp_path):
    command = [sys.executable, "-c", RUNS + MAIN, str(tmp_path), *NAMES]
    quick = {**os.environ, "SOFTARGMAX_ENGINE": "numpy"}  # to start
    subprocess.run(command, check=True, env=quick)
    for name in NAMES:
        seen = pickle.loads((tmp_path / f"{name}.seen").read_bytes())
        ended, saved, again, at_once, whole = seen
        assert ended == signal.SIGKILL
        assert saved.steps == (7 if name == "in_a_save" else 35)
        assert pickle.loads((tmp_path / name).read_bytes()).steps == 60
        for found in (again, at_once):
            assert found.steps == whole.steps == 60
            assert found.rng.bit_generator.state == whole.rng.bit_generator.state
            for field in ("energies", "states", "walkers", "log_z", "ancestors", "temperatures"):
                if hasattr(whole, field):
                    assert_array_equal(getattr(found, field), getattr(whole, field))
            if name == "exchanged":
                assert_array_equal(found.observables["x"], whole.observables["x"])
            elif name != "carried":
                assert found.state == whole.state


def walk(**options):
    def moves(x, rng):
        return [float((x + d) ** 2) + rng.random() for d in (-1, 0, 1)], None

    arguments = {"moves": moves, "apply": lambda x, _, i: x + i - 1, "schedule": 1.0, "steps": 20}
    return anneal(9, **{**arguments, "rng": 1, **options})


def test_the_same_call_begins_goes_on_and_ends(tmp_path):
    file = {"checkpoint": tmp_path / "run", "resume": str(tmp_path / "run"), "every": 3}
    for steps in (8, 20, 20):
        made = walk(steps=steps, **file)
    assert_array_equal(made.energies, walk().energies)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert_array_equal(walk(resume=tmp_path / "run").energies, walk().energies)


def test_ctrl_c_saves_what_it_returns(tmp_path):
    def moves(x, rng):
        if x == 7:
            raise KeyboardInterrupt
        return [(x - 1) ** 2], None

    made = walk(moves=moves, apply=lambda x, *_: x - 1, checkpoint=tmp_path / "run")
    saved = pickle.loads((tmp_path / "run").read_bytes())
    assert saved.steps == made.steps == 2
    assert_array_equal(saved.energies, made.energies)


def test_a_save_that_fails_leaves_the_last_one(tmp_path, monkeypatch):
    path = tmp_path / "run"
    walk(steps=5, checkpoint=path)
    before = path.read_bytes()
    for name in ("dump", "replace"):
        with monkeypatch.context() as patch:
            module = pickle if name == "dump" else os
            patch.setattr(module, name, lambda *_: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                walk(checkpoint=path, resume=path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x05X\xff", None])
def test_a_file_that_no_run_has_saved(tmp_path, content):
    path = tmp_path / "run"
    walk(steps=5, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with pytest.raises(ValueError, match=r"resume must be a file that a run has saved, got"):
        walk(resume=path, checkpoint=path)


def test_what_is_refused(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(FileNotFoundError):  # but of its own file
        walk(resume=tmp_path / "none", checkpoint=path)
    with pytest.raises(FileNotFoundError):
        walk(checkpoint=tmp_path / "none" / "run")
    for file in (1, 99, b"run"):
        with pytest.raises(TypeError, match="checkpoint must be a path, got"):
            walk(checkpoint=file)
    made = walk(steps=5, checkpoint=path)
    with pytest.raises(
        FileExistsError, match=r"checkpoint holds a run already: .*run'; pass it as"
    ):
        walk(checkpoint=path)
    assert walk(checkpoint=path, resume=made).steps == 20
    with pytest.raises(TypeError, match="resume must be an ExchangeResult, got AnnealingResult"):
        replica_exchange(np.zeros(2), lambda x: x, lambda x, *_: x, [0.0, 1], steps=1, resume=path)
    for every in (0, 1.5):
        with pytest.raises((ValueError, TypeError), match="every must be"):
            smc(np.zeros(2), lambda x: x, lambda x, *_: x, every=every)
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):  # at once
        anneal(
            lambda: 0,
            lambda *_: pytest.fail("a step"),
            len,
            1.0,
            steps=3,
            checkpoint=tmp_path / "f",
        )
