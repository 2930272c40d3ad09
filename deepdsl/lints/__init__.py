"""Lints: what is allowed and will not do what was meant.  Each knows a fact of the subject."""

from deepdsl.lints.base import Lint, allowed, lint
from deepdsl.registry import import_modules

import_modules(__name__)

__all__ = ["Lint", "allowed", "lint"]
