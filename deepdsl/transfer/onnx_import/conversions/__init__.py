"""Which layers an operator of ONNX becomes; importing the package registers every conversion."""

from deepdsl.core.registry import import_modules
from deepdsl.transfer.onnx_import.conversion import CONVERTERS

__all__ = ["CONVERTERS"]

import_modules(__name__)
