"""The public surface: what the package and its rooms offer, and the members of classes."""

import importlib
import inspect
import pkgutil

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
