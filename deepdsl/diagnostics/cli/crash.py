"""The message for what no message was written for."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus


@record
class Crash(Diagnostic):
    """Internal error: this is a bug in deepdsl.

    The report file contains what is needed to fix it.
    """

    code = "E699"
    exit_status = ExitStatus.RUNTIME
    reason: str
    report: str

    @property
    def message(self) -> str:
        return f"dnnc failed unexpectedly: {self.reason}"

    @property
    def help(self) -> str:
        return f"this is a bug in deepdsl; please report it with {self.report}"
