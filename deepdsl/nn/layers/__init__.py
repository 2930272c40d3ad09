"""Operations and layers.  Importing the package registers every layer."""

from deepdsl.core.registry import import_modules
from deepdsl.nn.layers.layer import Layer, Scope

import_modules(__name__)

__all__ = ["Layer", "Scope"]
