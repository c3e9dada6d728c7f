"""The house: public names, layers, what may be imported where."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections import namedtuple
from functools import cache
from pathlib import Path

import pytest

import softargmax
from surface import public_objects

SOURCE = Path(softargmax.__file__).parent
# What imports only from levels above it, rooms (folders) and single modules alike.
LEVELS = [
    ["_arrays"],
    ["_random"],
    ["_rows"],
    ["_core"],
    ["functional", "draws", "categorical", "typing"],
    ["thermodynamics", "schedules", "temperatures", "gumbel", "resampling", "policies", "mixtures"],
    ["relaxed", "tokens"],
    ["annealing", "dask", "plotting"],
]
# The one way up: a method that makes a relaxed distribution imports its class when it is called.
WAY_UP = ("categorical", "relaxed")


def module_name(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
ROOMS = {name.partition(".")[0] for name in MODULES} - {""}
FACES = {room for room in ROOMS if (SOURCE / room).is_dir()}
INNER = sorted(name for name in MODULES if name not in FACES | {""})


@cache
def nodes_of(name):
    """All of a module's syntax."""
    return [*ast.walk(ast.parse(MODULES[name].read_text()))]


def imports_of(name):
    """The modules of the package that a module imports."""
    for node in nodes_of(name):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softargmax"):
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                inside = f"{base}.{alias.name}".strip(".")
                yield inside if inside in MODULES else base


def room_of(name):
    return name.partition(".")[0]


Point = namedtuple("Point", "x")


def test_every_room_has_its_level():
    assert sorted(name for level in LEVELS for name in level) == sorted(ROOMS - {"py"})


@pytest.mark.parametrize("name", sorted(MODULES))
def test_rooms_import_one_way(name):
    if not name:
        return  # the package itself, which shows what there is
    level = {room: i for i, rooms in enumerate(LEVELS) for room in rooms}
    for target in imports_of(name):
        here, there = room_of(name), room_of(target)
        if here != there and (here, there) != WAY_UP:
            assert level[there] < level[here], f"{name} imports {target}"


def test_there_is_one_circle():
    """No module reaches itself by imports but by way of the relaxed distributions' class."""
    reached = {name: {*imports_of(name)} - {""} for name in MODULES}
    for _ in MODULES:
        for targets in reached.values():
            targets |= set().union(*(reached[target] for target in targets))
    circle = {name for name, targets in reached.items() if name in targets}
    assert circle == {"categorical", "relaxed", "relaxed._categorical"}


def test_what_one_subject_uses_lives_beside_it():
    """What serves one module of a subject is no part of the layers below, which serve all.

    But what has two engines is among the rows, where one is chosen.
    """
    subjects = {room for rooms in LEVELS[5:] for room in rooms}
    users = {name: set() for name in INNER}
    for name in set(MODULES) - {""}:
        for target in imports_of(name):
            users.get(target, set()).add(name)
    for name, by in users.items():
        rooms = {room_of(user) for user in by}
        engines = "_rows.engine" in imports_of(name)
        if "_" in name and len(by) == 1 and rooms <= subjects and not engines:
            assert {room_of(name)} == rooms, f"{name} serves {by} alone"


@pytest.mark.parametrize("name", INNER)
def test_no_room_looks_behind_the_face_of_another(name):
    """A private attribute is read only in the room that defines it."""
    own = [m for m in MODULES if room_of(m) == room_of(name)]
    defined = set()
    for module in own:
        for node in nodes_of(module):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                defined.add(node.attr)
    for node in nodes_of(name):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            # torch._C, and the methods of named tuples, which are public
            others = ast.unparse(node).startswith("torch._C") or hasattr(Point, node.attr)
            assert node.attr in defined or others, f"{name}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softargmax"):
            room = room_of((node.module or "").partition(".")[2])
            private = [alias.name for alias in node.names if re.match("_[a-z]", alias.name)]
            assert room in ("", room_of(name)) or not private, f"{name} imports {private}"


@pytest.mark.parametrize("name", INNER)
def test_only_the_lowest_rooms_name_random_modules_and_frameworks(name):
    text, room = MODULES[name].read_text(), room_of(name)
    tree = ast.parse(text)
    if room != "_random":
        assert "np.random" not in text.replace(">>> ", "")
    if room not in {"_arrays", "_random"}:
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not imported & {"torch", "jax", "array_api_compat"}
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not names & {"is_jax", "is_torch"}


def code_lines(path):
    """Lines that are no docstrings, no overloads, which are for type checkers alone, and not the
    import that every file begins with, and its blank line.
    """
    tree = ast.parse(path.read_text())
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [n for n in ast.walk(tree) if isinstance(n, kinds) and ast.get_docstring(n)]
    docs = sum(n.body[0].end_lineno - n.body[0].lineno + 1 for n in nodes)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    overloads = [n for n in functions if "overload" in map(ast.unparse, n.decorator_list)]
    types = sum(n.end_lineno - n.decorator_list[0].lineno + 1 for n in overloads)
    return len(path.read_text().splitlines()) - docs - types - 2


@pytest.mark.parametrize("name", sorted(MODULES))
def test_files_hold_one_subject(name):
    path = MODULES[name]
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert code_lines(path) <= 300
    assert not {"utils", "helpers", "misc", "common", "base"} & set(name.split("."))


@pytest.mark.parametrize(("name", "value"), list(public_objects()))
def test_public_names_are_documented_and_annotated(name, value):
    assert inspect.getdoc(value), name
    if callable(value):  # what help shows: types by their names, not what they stand for
        assert "softargmax." not in str(inspect.signature(value))
    if inspect.isfunction(value):
        assert "\nExamples\n--------\n" in inspect.getdoc(value), name
        signature = inspect.signature(value)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.name == "self" or parameter.annotation is not parameter.empty, name


FUNCTIONS = {
    name: value
    for name, value in public_objects()
    if inspect.isfunction(value) and "Categorical." not in name
}


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n.split(".")[-2][0].islower()])
def test_functions_have_all_sections(name):
    doc = inspect.getdoc(FUNCTIONS[name])
    wanted = ["Returns", "Raises", "Examples"]
    if inspect.signature(FUNCTIONS[name]).parameters:
        wanted.append("Parameters")
    for section in wanted:
        assert f"\n{section}\n{'-' * len(section)}\n" in doc, (name, section)


def test_all_names_what_the_package_offers():
    assert softargmax.__all__ == [
        "Categorical",
        "RelaxedCategorical",
        "engine",
        "log_softargmax",
        "smooth_max",
        "softargmax",
    ]


SURFACE = """
batch_shape cdf coldness cross_entropy dtype entropy entropy_counts entropy_gradient expectation
fisher_information from_energies from_weights kl_divergence labelled labels log_cdf log_prob
log_prob_counts log_prob_ordered log_probs log_sf logits masked mode num_categories perplexity
prior prob probs quantile relaxed sample sample_and_log_prob sample_counts
sample_without_replacement score sf temperature tempered top variance
"""


def test_the_surface_of_the_object():
    public = [name for name in dir(softargmax.Categorical) if name[0] != "_"]
    assert public == SURFACE.split()


def test_numpy_users_never_load_another_library():
    code = (
        "import sys, softargmax\n"
        "d = softargmax.Categorical([[0.0, 1.0]] * 3, 0.5, prior=[1, 2])\n"
        "d.sample(5000), d.entropy(), d.sample_counts(5), d.log_prob_ordered([1, 0])\n"
        "names = ['array_api_compat', 'torch', 'jax', 'scipy', 'dask', 'matplotlib']\n"
        "print([name for name in names if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SOFTARGMAX_ENGINE": "numpy"},  # numba loads SciPy
    )
    assert result.stdout.strip() == "[]"


def test_completion_shows_the_public_names_only():
    names = [m.name for m in pkgutil.iter_modules(softargmax.__path__) if m.name[0] != "_"]
    for name in names:
        module = importlib.import_module(f"softargmax.{name}")
        assert dir(module) == sorted(module.__all__), name
    assert set(dir(softargmax)) == {*softargmax.__all__, *names, "__version__"} - {"categorical"}
    script = "import softargmax; print(softargmax.tokens.TopK(3), softargmax.schedules.Constant(1))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "TopK(k=3) Constant(value=1)\n"


TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.relative_to(TESTS).as_posix()
)
def test_what_needs_a_framework_is_marked(path):
    """CI runs these with PyTorch and JAX, by their marker."""
    text = path.read_text()
    if "pytestmark = pytest.mark.frameworks" in text or path == Path(__file__):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            source = ast.get_source_segment(text, node)
            if re.search(
                r'importorskip\(\s*"(torch|jax|optax|transformers|sklearn|llama_cpp|gymnasium|mctx|pymbar'
                r"|arviz|llguidance)",
                source,
            ):
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                assert "pytest.mark.frameworks" in marks, node.name


def test_tests_mirror_the_source():
    """A folder for each folder; beside them the contract, calls for type checkers, benchmarks."""
    rooms = {room for room in ROOMS if (SOURCE / room).is_dir()}
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name[0] != "."}
    assert folders - {"__pycache__"} == rooms | {"contract", "benchmarks", "typing"}
