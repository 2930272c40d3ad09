"""Write a neural network as text; compile its inference and its whole training step to plain ONNX.

import deepdsl
program = deepdsl.load("fashion.dnn")
run = program.train(epochs=3)
run.export("fashion.onnx")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepdsl.core.version import VERSION

if TYPE_CHECKING:
    from deepdsl.api import Program, Run, load, loads, open_run
    from deepdsl.diagnostics import Diagnostic, DnnError

__version__ = VERSION

__all__ = ["Diagnostic", "DnnError", "Program", "Run", "__version__", "load", "loads", "open_run"]

_WHERE = {
    "Diagnostic": "deepdsl.diagnostics",
    "DnnError": "deepdsl.diagnostics",
    "Program": "deepdsl.api",
    "Run": "deepdsl.api",
    "load": "deepdsl.api",
    "loads": "deepdsl.api",
    "open_run": "deepdsl.api",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line imports this package for every command.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
