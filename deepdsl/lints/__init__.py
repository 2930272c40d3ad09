"""Lints: what is allowed and will not do what was meant.  Each knows a fact of the subject."""

from deepdsl.lints import layers  # its classes register themselves
from deepdsl.lints.base import Lint, allowed, lint

__all__ = ["Lint", "allowed", "layers", "lint"]
