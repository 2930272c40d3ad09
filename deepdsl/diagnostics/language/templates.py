"""E13: blocks with their parameters, choices at compile time, and used files."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label, did_you_mean


@record
class NoCondition(Diagnostic):
    """The two sides of a condition are not comparable.

    `==` and `!=` compare any two values, `<`, `<=`, `>` and `>=` compare numbers. A condition is
    decided when the file is compiled, so it speaks of constants and parameters, not of what flows.

    ```wrong
    block unit(norm=none) {
      if norm > 2 then dense 8 | batch_norm else dense 8
    }
    model net { input x[4]; unit | dense 3 | softmax }
    ```
    ```right
    block unit(norm=none) {
      if norm == batch then dense 8 bias=false | batch_norm else dense 8
    }
    model net { input x[4]; unit norm=batch | dense 3 | softmax }
    ```
    """

    code = "E130"
    operator: str
    found: str

    @property
    def message(self) -> str:
        return f"`{self.operator}` compares numbers"

    @property
    def label(self) -> str:
        return f"found {self.found}"

    @property
    def help(self) -> str:
        return "names and booleans are compared with `==` and `!=`"


@record
class LaterParameter(Diagnostic):
    """The default value of a parameter uses the parameter itself, or a later one.

    Parameters get their values from left to right, so that a default value can be made from those
    before it.

    ```wrong
    block unit(width=(inner * 2), inner=8) { dense inner | relu | dense width | relu }
    model net { input x[4]; unit | dense 3 | softmax }
    ```
    ```right
    block unit(inner=8, width=(inner * 2)) { dense inner | relu | dense width | relu }
    model net { input x[4]; unit | dense 3 | softmax }
    ```
    """

    code = "E131"
    name: str
    other: str

    @property
    def message(self) -> str:
        return f"the default value of `{self.name}` uses `{self.other}`"

    @property
    def label(self) -> str:
        return "this has no value yet"

    @property
    def help(self) -> str:
        if self.name == self.other:
            return "give it a value of its own"
        return f"move `{self.other}` before `{self.name}`"


@record
class NoLayerHeld(Diagnostic):
    """A constant or parameter is used as a layer but does not hold one.

    There it must hold the name of a layer or block, with its options in parentheses where it has
    some, or `none`, which lets everything through.

    ```wrong
    block unit(width, act=3) { dense width | act }
    model net { input x[4]; unit 8 | dense 3 | softmax }
    ```
    ```right
    block unit(width, act=relu) { dense width | act }
    model net { input x[4]; unit 8 act=leaky_relu(slope=0.1) | dense 3 | softmax }
    ```
    """

    code = "E132"
    name: str
    found: str
    candidates: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return f"`{self.name}` is used as a layer"

    @property
    def label(self) -> str:
        return f"it is {self.found}"

    @property
    def help(self) -> str:
        near = did_you_mean(self.found.strip("`"), self.candidates)
        return near if near.startswith("did") else "`dnnc explain layers` lists the layers"


@record
class CannotUse(Diagnostic):
    """A used file cannot be read.

    Its path is relative to the folder of the file that uses it.

    ```wrong
    use "no_such_file.dnn" as blocks
    model net { input x[4]; blocks.unit | dense 3 | softmax }
    ```
    ```right
    block unit() { dense 8 | relu }
    model net { input x[4]; unit | dense 3 | softmax }
    ```
    """

    code = "E133"
    path: str
    reason: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"cannot use {self.path}: {self.reason}"

    @property
    def help(self) -> str:
        return self.hint


@record
class FilesInCircle(Diagnostic):
    """A file uses itself, or a file that uses it.

    What two files have in common belongs into a third one, which both use.
    """

    code = "E134"
    chain: tuple[str, ...]
    steps: tuple[Label, ...] = ()

    @property
    def message(self) -> str:
        if len(self.chain) == 2:
            return f"{self.chain[0]} uses itself"
        return f"files use each other: {' → '.join(self.chain)}"

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.steps

    @property
    def help(self) -> str:
        if len(self.chain) == 2:
            return "remove it: definitions of a file are visible in it"
        return "put what they share into a file of its own, and use that"


@record
class NotForFlows(Diagnostic):
    """A model used as a layer needs exactly one input and one output.

    A model with one of each is a template there, like a block without parameters.
    """

    code = "E135"
    name: str
    reason: str

    @property
    def message(self) -> str:
        return f"the model `{self.name}` cannot be used as a layer: {self.reason}"

    @property
    def help(self) -> str:
        return "use its blocks instead, or a model with one input and one output"


@record
class NumberedLikeBlock(Diagnostic):
    """A part has the name of a use of a block, so they would share their weights.

    The first use of the block `unit` is `unit_1`, its second `unit_2`.

    ```wrong
    block unit() { dense 8 | relu }
    model net { input x[4]; part unit_1 { dense 8 | tanh }; unit | dense 3 | softmax }
    ```
    ```right
    block unit() { dense 8 | relu }
    model net { input x[4]; part first { dense 8 | tanh }; unit | dense 3 | softmax }
    ```
    """

    code = "E136"
    name: str
    block: Span

    @property
    def message(self) -> str:
        return f"the part `{self.name}` is called like a use of a block"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.block, f"this use is `{self.name}`"),)

    @property
    def help(self) -> str:
        return "rename the part"


@record
class OutputInBlock(Diagnostic):
    """A block has an `output` line. The value of a block is that of its last line.

    ```wrong
    block unit() { h = dense 8 | relu; output h }
    model net { input x[4]; unit | dense 3 | softmax }
    ```
    ```right
    block unit() { dense 8 | relu }
    model net { input x[4]; h = unit; y = h | dense 3 | softmax; output h y }
    ```
    """

    code = "E137"

    @property
    def message(self) -> str:
        return "a block has no `output` lines"

    @property
    def help(self) -> str:
        return "its last line is its value: remove `output`, or move the line into the model"
