"""E1: names that mean nothing, for too much, or for something else."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label, did_you_mean


@record
class UnknownLayer(Diagnostic):
    """A line of a model names something that is not a layer, block, part or value.

    ```wrong
    model net { input x[4]; densse 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 | softmax }
    ```
    """

    code = "E101"
    name: str
    candidates: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"there is no layer, block, part or value `{self.name}`"

    @property
    def help(self) -> str:
        if self.name == "in":
            return (
                "`in` is what flows into a part or block: name an input, or go on with `identity`"
            )
        near = did_you_mean(self.name, self.candidates)
        return near if near.startswith("did") else "`dnnc explain layers` lists the layers"


@record
class NotBuiltYet(Diagnostic):
    """Not supported by this version of the compiler yet.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input image[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; precision float16 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input image[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E107"
    what: str
    instead: str = ""

    @property
    def message(self) -> str:
        return f"{self.what} is not supported yet"

    @property
    def help(self) -> str:
        return self.instead


@record
class DefinedTwice(Diagnostic):
    """Two definitions in one scope have the same name.

    ```wrong
    let units = 3
    let units = 4
    model net { input x[4]; dense units | softmax }
    ```
    ```right
    let units = 3
    model net { input x[4]; dense units | softmax }
    ```
    """

    code = "E108"
    name: str
    first: Span

    @property
    def message(self) -> str:
        return f"the name `{self.name}` is taken"

    @property
    def label(self) -> str:
        return "defined again"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.first, "first defined here"),)

    @property
    def help(self) -> str:
        return "rename one of them"


@record
class UnknownRow(Diagnostic):
    """A data, train or export section has an unknown row.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scael (1 / 16); scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E113"
    section: str
    name: str
    candidates: tuple[str, ...]
    hint: str = ""

    @property
    def message(self) -> str:
        article = "an" if self.section[0] in "aeiou" else "a"
        return f"{article} `{self.section}` section has no row `{self.name}`"

    @property
    def help(self) -> str:
        if self.hint:
            return self.hint
        return did_you_mean(self.name, self.candidates) or "one of: " + ", ".join(self.candidates)


@record
class UnknownReference(Diagnostic):
    """A section refers to a model or data section that the file does not define.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train nett on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E114"
    depends_on = "file"
    kind: str
    name: str
    candidates: tuple[str, ...]

    @property
    def message(self) -> str:
        what = "data section" if self.kind == "data" else self.kind
        return f"there is no {what} `{self.name}`" + (
            " in this file" if self.kind != "value" else ""
        )

    @property
    def help(self) -> str:
        form = f"{self.name} = …" if self.kind == "value" else f"{self.kind} {self.name} {{ … }}"
        return did_you_mean(self.name, self.candidates) or f"define it: `{form}`"


@record
class UsesItself(Diagnostic):
    """A part or a block contains itself. Networks are finite: there is no recursion.

    ```wrong
    model net { input x[4]; part body { dense 4 | relu | body }; dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; part body { repeat 3 { dense 4 | relu } }; dense 3 | softmax }
    ```
    """

    code = "E115"
    name: str
    chain: tuple[str, ...] = ()
    steps: tuple[Label, ...] = ()

    @property
    def message(self) -> str:
        if len(self.chain) > 2:
            return f"blocks use each other: {' → '.join(f'`{name}`' for name in self.chain)}"
        return f"`{self.name}` uses itself"

    @property
    def label(self) -> str:
        return "this would never end"

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.steps

    @property
    def help(self) -> str:
        return "to repeat a piece, write `repeat N { … }`"


@record
class TooLarge(Diagnostic):
    """The network exceeds the limits, which are checked before memory is allocated.

    A network may have 100,000 layers and 500 million parameters (an ONNX file holds 2 GB).

    ```wrong
    model net { input x[4]; repeat 1000000 { dense 4 | relu }; dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; repeat 10 { dense 4 | relu }; dense 3 | softmax }
    ```
    """

    code = "E116"
    what: str
    limit: str

    @property
    def message(self) -> str:
        return f"{self.what}; the limit is {self.limit}"


@record
class NameOfLayer(Diagnostic):
    """A part, value, block or parameter has the name of a layer, so it would be ambiguous.

    ```wrong
    model net { input x[4]; part dense { relu }; softmax }
    ```
    ```right
    model net { input x[4]; part body { dense 3 | relu }; dense 3 | softmax }
    ```
    """

    code = "E117"
    name: str

    @property
    def message(self) -> str:
        return f"`{self.name}` is the name of a layer"

    @property
    def help(self) -> str:
        return "choose a different name"


@record
class ValueInChain(Diagnostic):
    """A value follows `|`, where a layer is expected: a value begins a line, or is added with `+`.

    ```wrong
    model net { input a[4]; input b[4]; a | b | dense 3 | softmax }
    ```
    ```right
    model net { input a[4]; input b[4]; a + b | dense 3 | softmax }
    ```
    """

    code = "E118"
    name: str

    @property
    def message(self) -> str:
        return f"`{self.name}` is a value, and nothing can flow into a value"

    @property
    def help(self) -> str:
        return "start a line with it, add it with `+`, or join it with `concat`"


@record
class NoOperands(Diagnostic):
    """A layer that combines values has fewer than two of them.

    ```wrong
    model net { input a[4]; input b[4]; concat a | dense 3 | softmax }
    ```
    ```right
    model net { input a[4]; input b[4]; concat a b | dense 3 | softmax }
    ```
    """

    code = "E119"
    name: str

    @property
    def message(self) -> str:
        return f"`{self.name}` needs at least two values"

    @property
    def help(self) -> str:
        return f"name them: `{self.name} a b`"


@record
class SeveralRows(Diagnostic):
    """A row is repeated in a section that allows only one.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1; batch 32; batch 64 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1; batch 32 }
    ```
    """

    code = "E120"
    name: str
    first: Span

    @property
    def message(self) -> str:
        return f"the row `{self.name}` is repeated"

    @property
    def label(self) -> str:
        return "the second time"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.first, "the first time"),)

    @property
    def help(self) -> str:
        return "remove one of them"


@record
class OuterValue(Diagnostic):
    """A part or block uses a value from outside. It sees only its input, which is called `in`; a block can get other values as arguments.

    ```wrong
    model net { input a[4]; part body { a | dense 3 }; softmax }
    ```
    ```right
    model net { input a[4]; part body { in | dense 3 }; softmax }
    ```
    """

    code = "E121"
    name: str
    what: str = "part"

    @property
    def message(self) -> str:
        return f"`{self.name}` is a value outside this {self.what}"

    @property
    def help(self) -> str:
        return f"inside a {self.what}, `in` is what flows into it"


@record
class ReservedName(Diagnostic):
    """An input or part has a name that is reserved for the compiled graphs.

    `target`, `loss`, `lr`, `all_finite` and `output` are inputs and outputs of the step; `step`,
    `optimizer` and `data` begin the paths of its state. An input cannot have the name of a metric
    either, which is an output of the step; a value can.

    ```wrong
    model net { input target[4]; dense 3 | softmax }
    ```
    ```right
    model net { input features[4]; dense 3 | softmax }
    ```
    """

    code = "E122"
    name: str

    @property
    def message(self) -> str:
        return f"the name `{self.name}` is used by the compiled graphs"

    @property
    def help(self) -> str:
        return "choose a different name"
