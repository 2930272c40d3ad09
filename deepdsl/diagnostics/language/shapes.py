"""E2: shapes that do not fit, and flows that begin or end nowhere."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, Label, Severity


@record
class ShapeMismatch(Diagnostic):
    """A layer cannot take the shape of its input.

    ```wrong
    model net { input image[8 8]; dense 10 | softmax }
    ```
    ```right
    model net { input image[8 8]; flatten | dense 10 | softmax }
    ```
    """

    code = "E201"
    depends_on = "item"
    rule: str
    given: str
    advice: str
    before: tuple[Label, ...] = ()

    @property
    def message(self) -> str:
        return self.rule

    @property
    def label(self) -> str:
        return self.given

    @property
    def help(self) -> str:
        return self.advice

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.before


@record
class NoInput(Diagnostic):
    """A model has no `input` line.

    ```wrong
    model net { dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 | softmax }
    ```
    """

    code = "E202"
    depends_on = "item"
    name: str

    @property
    def message(self) -> str:
        return f"the model `{self.name}` has no input"

    @property
    def help(self) -> str:
        return "begin it with a line such as `input image[28 28]`: the shape of one example, without the batch"


@record
class NoLayers(Diagnostic):
    """A model, part or repeat is empty.

    ```wrong
    model net { input x[4] }
    ```
    ```right
    model net { input x[4]; dense 3 | softmax }
    ```
    """

    code = "E203"
    depends_on = "item"
    what: str

    @property
    def message(self) -> str:
        return f"{self.what} has no layers"

    @property
    def help(self) -> str:
        return "add a line such as `dense 10 | softmax`"


@record
class NothingFlows(Diagnostic):
    """A line begins with a layer, but there is not exactly one value above it to continue from.

    With several inputs, a line must begin with the value that it continues from.

    ```wrong
    model net { input a[4]; input b[4]; dense 3 | softmax }
    ```
    ```right
    model net { input a[4]; input b[4]; concat a b | dense 3 | softmax }
    ```
    """

    code = "E204"
    depends_on = "item"
    name: str
    inputs: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"nothing flows into `{self.name}`"

    @property
    def label(self) -> str:
        return f"{len(self.inputs)} inputs above" if len(self.inputs) > 1 else ""

    @property
    def help(self) -> str:
        if not self.inputs:
            return "the `input` lines must come first"
        return f"begin the line with a value: `{self.inputs[0]} | {self.name} …`"


@record
class BadInputShape(Diagnostic):
    """The shape of an input is not a list of whole numbers of at least 1.

    ```wrong
    model net { input x[0]; dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 | softmax }
    ```
    """

    code = "E205"
    name: str
    found: str

    @property
    def message(self) -> str:
        return f"the shape of `{self.name}` takes whole numbers of at least 1"

    @property
    def label(self) -> str:
        return f"found {self.found}"

    @property
    def help(self) -> str:
        return "the shape of one example, without the batch: `input image[28 28]`"


@record
class LostValue(Diagnostic):
    """The value of a line is never used: the next line starts from a different value.

    ```wrong
    model net {
      input x[4]
      dense 3 | tanh
      x | dense 3 | softmax
    }
    ```
    ```right
    model net {
      input x[4]
      a = x | dense 3 | tanh
      b = x | dense 3 | tanh
      a + b | softmax
    }
    ```
    """

    code = "W404"
    severity = Severity.WARNING
    depends_on = "item"
    what: str

    @property
    def message(self) -> str:
        return f"{self.what} is computed and never used"

    @property
    def help(self) -> str:
        return "use it, or leave it out"
