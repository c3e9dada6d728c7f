"""What type checkers say: every wrong call is found, and no right one is."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from softargmax import Categorical, RelaxedCategorical

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def mypy_errors(tmp_path):
    """The lines of errors by file, of both files in one run."""
    pytest.importorskip("mypy")
    options = ["--config-file=", "--strict", "--no-error-summary", "--show-absolute-path"]
    options += ["--hide-error-context", "--no-pretty", f"--cache-dir={tmp_path}"]
    files = [str(HERE / "right.py"), str(HERE / "wrong.py")]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    # The library's own code is checked elsewhere, under the options of pyproject.toml.
    silent = ["--follow-imports=silent", "--ignore-missing-imports"]
    command = [sys.executable, "-m", "mypy", *options, *silent, *files]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert not found.stderr
    lines = re.findall(r"^(.*?):(\d+):.* error: (.*)", found.stdout, re.M)
    return [(Path(path).name, int(line), message) for path, line, message in lines]


def pyright_errors(tmp_path):
    pytest.importorskip("pyright")
    settings = {
        "include": [os.path.relpath(HERE, tmp_path)],
        "extraPaths": [str(ROOT / "src")],
        "typeCheckingMode": "standard",
        "reportUnusedExpression": False,
    }
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    found = subprocess.run([*command, "-p", str(config)], capture_output=True, text=True)
    report = json.loads(found.stdout)
    assert report["summary"]["filesAnalyzed"] >= 2
    return [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in report["generalDiagnostics"]
        if one["severity"] == "error" and Path(one["file"]).name in ("right.py", "wrong.py")
    ]


@pytest.mark.parametrize("checker", [mypy_errors, pyright_errors])
def test_checkers_find_every_wrong_call_and_no_right_one(checker, tmp_path):
    found = checker(tmp_path)
    assert [one for one in found if one[0] == "right.py"] == []
    text = (HERE / "wrong.py").read_text().splitlines()
    marked = {i for i, line in enumerate(text, 1) if line.endswith("# wrong")}
    assert len(marked) > 70
    lines = {line for name, line, _ in found if name == "wrong.py"}
    assert sorted(marked - lines) == [], "not found"
    assert [one for one in found if one[0] == "wrong.py" and one[1] not in marked] == []


@pytest.mark.parametrize("kind", [Categorical, RelaxedCategorical])
def test_a_subscript_changes_nothing_at_run_time(kind):
    made = kind[NDArray[Any]]([0.0, 1.0], 0.5)
    assert type(made) is kind
    assert vars(made).keys() == vars(kind([0.0, 1.0], 0.5)).keys()
    assert type(pickle.loads(pickle.dumps(made))) is kind
    assert kind[NDArray[Any]].__origin__ is kind
