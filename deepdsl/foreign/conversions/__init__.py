"""Which layers an operator of ONNX becomes; importing the package registers every conversion."""

from deepdsl.foreign.convert import CONVERTERS
from deepdsl.registry import import_modules

__all__ = ["CONVERTERS"]

import_modules(__name__)
