"""The message for what no message was written for."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus


@record
class Crash(Diagnostic):
    """A fault of this program: something happened that no message was written for.

    The report file holds what its makers need to mend it.
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
        return f"this is a fault of dnnc, not yours; please report it with {self.report}"
