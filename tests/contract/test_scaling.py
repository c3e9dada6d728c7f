"""The benchmark of all public calls knows every one of them, and how to call it."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("calls")


def test_every_public_name_is_measured_or_left_out_for_a_reason(calls, monkeypatch):
    assert calls.cases()
    assert not set(calls.NOT_MEASURED) - set(calls.public_names()), "names that are gone"
    monkeypatch.delitem(calls.CALLS, "tokens.TopK")
    with pytest.raises(LookupError, match=r"without an entry in CALLS .*\['tokens.TopK'\]"):
        calls.cases()


def test_every_call_can_be_made(calls):
    for entry in calls.cases().values():
        for room in entry.rooms.split():
            _, size = calls.ROOMS[room]
            entry.make(size._replace(rows=min(size.rows, 3), width=128, n=min(size.n, 8)))()
