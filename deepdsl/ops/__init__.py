"""Operations and layers.  Importing the package registers every layer."""

from deepdsl.ops.layer import Layer, Scope
from deepdsl.registry import import_modules

import_modules(__name__)

__all__ = ["Layer", "Scope"]
