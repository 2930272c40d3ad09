"""Lints: what is allowed and will not do what was meant.  Each knows a fact of the subject."""

from importlib import import_module
from pkgutil import iter_modules

from deepdsl.lints.base import Lint, allowed, lint

# Defining the classes registers them.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Lint", "allowed", "lint"]
