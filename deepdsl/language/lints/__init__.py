"""Lints: what is allowed and will not do what was meant.  Each knows a fact of the subject."""

from deepdsl.core.registry import import_modules
from deepdsl.language.lints.base import Lint, allowed, lint

import_modules(__name__)

__all__ = ["Lint", "allowed", "lint"]
