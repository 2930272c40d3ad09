"""W40: names that are defined and never used."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, Severity


@record
class UnusedName(Diagnostic):
    """Something is defined and never used: usually a name that was misspelt elsewhere.

    `dnnc check --fix` takes out constants, parts and blocks.  Values and inputs it leaves: without
    them the layers would have other names and other initial weights, or the data would not fit.

    ```wrong
    let units = 30
    model net { input x[4]; dense 3 | softmax }
    ```
    ```right
    let units = 30
    model net { input x[4]; dense units | relu | dense 3 | softmax }
    ```
    """

    code = "W401"
    severity = Severity.WARNING
    depends_on = "file"
    what: str
    name: str

    @property
    def message(self) -> str:
        return f"the {self.what} `{self.name}` is never used"

    @property
    def help(self) -> str:
        return "use it, or leave it out"

    @property
    def fix(self) -> str:
        return f"leave out `{self.name}`"
