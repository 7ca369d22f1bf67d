"""Objects by their names: ``module:object``."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from mlreg.errors import InvalidInput

__all__ = ["attribute", "named"]


def named(name: str) -> tuple[ModuleType, Any]:
    """A module, here or installed, and the object in it that ``module:object`` names.

    A class is called without arguments.
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise InvalidInput(f"{name!r} names no object: write module:object, as mlreg:Gaussian")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as python -m does
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise InvalidInput(f"{module_name!r} cannot be imported: {error}") from error
    found = attribute(module, path)
    if isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise InvalidInput(
                f"{name} is a class that needs arguments ({error}): name an object that is made"
            ) from error
    return module, found


def attribute(module: ModuleType, path: str | None) -> Any:
    """What a module has by a dotted path; None for None."""
    if path is None:
        return None
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise InvalidInput(f"{module.__name__} has no {path!r}")
        found = getattr(found, part)
    return found
