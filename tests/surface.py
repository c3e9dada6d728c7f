"""The public surface: what the package and its rooms offer, and the members of classes."""

import importlib
import inspect
import pkgutil
import typing

import softargmax


def public_objects():
    """Pairs (full name, object), the members of classes included."""
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


def functions_of_a_distribution(module):
    """The public functions of a room whose one argument is a distribution, by name."""
    return {
        name: value
        for name in module.__all__
        if inspect.isfunction(value := getattr(module, name))
        and [*inspect.signature(value).parameters] == ["dist"]
    }


def public_calls():
    """Every public function, method and class, once, by its name without the package's.

    A method that classes share has the name of the class that defines it, where that is public. The
    records that functions return, which are tuples or results, and names of types are left out.
    """
    homes = {}
    for name, value in public_objects():
        record = inspect.isclass(value) and (issubclass(value, tuple) or "Result" in name)
        if callable(value) and not record and typing.get_origin(value) is None:
            homes.setdefault((value.__module__, value.__qualname__), []).append((name, value))
    found = {}
    for (_, own), names in homes.items():
        name, value = next((pair for pair in names if pair[0].endswith(own)), names[0])
        found[name.removeprefix("softargmax.")] = value
    return found
