"""Every docstring's examples run as they are pasted: in an empty namespace, imports included."""

import doctest
import importlib
from pathlib import Path

import pytest

import softargmax

PACKAGE = Path(softargmax.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples_run_in_an_empty_namespace(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    runner, report = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for examples in doctest.DocTestFinder().find(module, globs={}):
        runner.run(examples, out=report.append)
    assert runner.tries
    assert not runner.failures, "".join(report)
