"""The house: public names, layers, what may be imported where."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import softargmax

SOURCE = Path(softargmax.__file__).parent
# A file imports only from files before it in this list.
LAYERS = [
    "_arrays/namespaces",
    "_arrays/checks",
    "_threads",
    "_keyed",
    "_noise",
    "schedules/_schedule",
    "schedules/_ramps",
    "_inputs",
    "_floats",
    "_sums",
    "_kernels",
    "_scores",
    "_formula",
    "functional",
    "_alias",
    "draws",
    "_blocks",
    "_orders",
    "_native",
    "_copies",
    "_distribution",
    "_information",
    "_calculus",
    "_sampling",
    "_subsets",
    "_html",
    "categorical",
    "gumbel/_coupling",
    "gumbel/_top_k",
    "gumbel/_race",
    "gumbel/_reservoir",
    "gumbel/_noise",
    "relaxed/_relaxation",
    "relaxed/_density",
    "relaxed/_categorical",
    "temperatures/_solver",
    "temperatures/_calibration",
    "temperatures/_targets",
    "policies/_multi",
    "policies/_masks",
    "policies/_values",
    "policies/_exploration",
    "policies/_policies",
    "thermodynamics",
    "resampling/_schemes",
    "resampling/_resample",
    "annealing/_loop",
    "annealing/_exchange",
    "annealing/_anneal",
    "dask/_tasks",
    "dask/_draws",
    "_row",
    "_survivors",
    "tokens/_stage",
    "tokens/_rows",
    "tokens/_truncations",
    "tokens/_history",
    "tokens/_edits",
    "tokens/_penalties",
    "tokens/_xtc",
    "tokens/_mirostat",
    "tokens/_speculative",
    "tokens/_processor",
    "tokens/_presets",
    "plotting/_axes",
    "plotting/_curves",
    "plotting/_pictures",
]
MODULES = sorted(
    path.relative_to(SOURCE).with_suffix("").as_posix()
    for path in SOURCE.rglob("*.py")
    if path.stem != "__init__"
)


def test_every_file_has_its_layer():
    assert sorted(LAYERS) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    for node in ast.walk(ast.parse((SOURCE / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softargmax"):
            module = (node.module or "").partition(".")[2].replace(".", "/")
            inside = [f"{module}/{alias.name}".strip("/") for alias in node.names]
            targets = [name for name in inside if name in MODULES] or [module]
            for target in targets:
                if target not in LAYERS:  # a room's face
                    target = max(
                        (one for one in LAYERS if one.startswith(target)), key=LAYERS.index
                    )
                if (name, target) == ("categorical", "relaxed/_categorical"):
                    continue  # the method that makes one imports when it is called
                assert LAYERS.index(target) < LAYERS.index(name), (name, target)


@pytest.mark.parametrize("name", MODULES)
def test_only_the_lowest_files_name_random_modules_and_frameworks(name):
    text = (SOURCE / f"{name}.py").read_text()
    if name not in {"_noise", "_keyed"}:
        assert "np.random" not in text.replace(">>> ", "")
    if name not in {"_arrays/namespaces", "_noise"}:
        tree = ast.parse(text)
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not imported & {"torch", "jax", "array_api_compat"}


@pytest.mark.parametrize("name", MODULES)
def test_files_hold_one_subject(name):
    text = (SOURCE / f"{name}.py").read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


def public_objects():
    names = [m.name for m in pkgutil.iter_modules(softargmax.__path__) if m.name[0] != "_"]
    modules = [softargmax, *(importlib.import_module(f"softargmax.{name}") for name in names)]
    for module in modules:
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
            if inspect.isclass(value := getattr(module, name)):
                for member in dir(value):
                    if member in getattr(value, "__dataclass_fields__", ()):
                        continue  # documented as a parameter
                    if member[0] != "_" and not hasattr(tuple, member):
                        yield f"{module.__name__}.{name}.{member}", getattr(value, member)


@pytest.mark.parametrize(("name", "value"), list(public_objects()))
def test_public_names_are_documented_and_annotated(name, value):
    assert inspect.getdoc(value), name
    if inspect.isfunction(value):
        assert "\nExamples\n--------\n" in inspect.getdoc(value), name
        signature = inspect.signature(value)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.name == "self" or parameter.annotation is not parameter.empty, name


FUNCTIONS = {
    name: value
    for name, value in public_objects()
    # What softargmax.draws holds besides Keyed are kernels: a sentence on shapes, and an example.
    if inspect.isfunction(value) and "Categorical." not in name and "softargmax.draws." not in name
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
        "log_softargmax",
        "smooth_max",
        "softargmax",
    ]
    visible = {name for name in vars(softargmax.Categorical) if name[0] != "_"}
    assert visible == {"from_weights", "from_energies", "relaxed"}


SURFACE = """
batch_shape cdf coldness cross_entropy dtype entropy entropy_gradient expectation
fisher_information from_energies from_weights kl_divergence log_prob log_prob_ordered log_probs
logits masked mode num_categories perplexity prior prob probs quantile relaxed sample
sample_and_log_prob sample_counts sample_without_replacement score temperature tempered top variance
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
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
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
