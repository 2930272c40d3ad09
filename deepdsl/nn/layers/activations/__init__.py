"""Activation functions."""

from deepdsl.core.registry import import_modules

import_modules(__name__)
