"""Every message that a user can see: one class each, with its page."""

from deepdsl.diagnostics.base import (
    Diagnostic,
    DnnError,
    Edit,
    ExitStatus,
    Label,
    Report,
    Severity,
    Use,
    closest,
    did_you_mean,
)
from deepdsl.diagnostics.render import render, render_all

__all__ = [
    "Diagnostic",
    "DnnError",
    "Edit",
    "ExitStatus",
    "Label",
    "Report",
    "Severity",
    "Use",
    "closest",
    "did_you_mean",
    "render",
    "render_all",
]
