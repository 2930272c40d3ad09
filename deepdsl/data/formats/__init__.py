"""One package for each format: its declaration, without NumPy, and its reader."""

from deepdsl.core.registry import import_modules

import_modules(__name__)
