"""E1: names, options and values that a `.dnn` file cannot mean."""

from __future__ import annotations

from deepdsl.diagnostics.base import Diagnostic, Label, did_you_mean
from deepdsl.record import record
from deepdsl.source import Span


@record
class UnknownLayer(Diagnostic):
    """A line of a model names something that is no layer, no part and no value.

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
        return f"there is no layer, part or value `{self.name}`"

    @property
    def help(self) -> str:
        near = did_you_mean(self.name, self.candidates)
        return near if near.startswith("did") else "`dnnc explain layers` lists the layers"


@record
class UnknownOption(Diagnostic):
    """A layer, optimizer or row is given an option that it does not have.

    ```wrong
    model net { input x[4]; dense 3 initt=he_normal | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 init=glorot_normal | softmax }
    ```
    """

    code = "E102"
    owner: str
    option: str
    candidates: tuple[str, ...]
    hint: str = ""

    @property
    def message(self) -> str:
        return f"`{self.owner}` has no option `{self.option}`"

    @property
    def help(self) -> str:
        if self.hint:
            return self.hint
        if not self.candidates:
            return f"`{self.owner}` takes no options"
        return did_you_mean(self.option, self.candidates) or "it has: " + ", ".join(self.candidates)


@record
class WrongValue(Diagnostic):
    """An argument has a value of the wrong kind, or out of its range.

    ```wrong
    model net { input x[4]; dense 3 | dropout 1.5 | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 | dropout 50% | softmax }
    ```
    """

    code = "E103"
    owner: str
    argument: str
    expected: str
    found: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"`{self.argument}` of `{self.owner}` takes {self.expected}"

    @property
    def label(self) -> str:
        return f"found {self.found}"

    @property
    def help(self) -> str:
        return self.hint


@record
class MissingArgument(Diagnostic):
    """Something that must be said is not.

    ```wrong
    model net { input x[4]; dense | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 | softmax }
    ```
    """

    code = "E104"
    owner: str
    argument: str
    doc: str
    expected: str
    example: str

    @property
    def message(self) -> str:
        return f"`{self.owner}` needs `{self.argument}`: {self.doc}"

    @property
    def label(self) -> str:
        return f"missing here: {self.expected}"

    @property
    def help(self) -> str:
        return f"write `{self.example}`"


@record
class NotNamed(Diagnostic):
    """A row does not say which loss, optimizer, schedule, metric or data source is meant.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits }
    train net on digits { loss cross_entropy; optimizer lr=0.1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits }
    train net on digits { loss cross_entropy; optimizer sgd lr=0.1 }
    ```
    """

    code = "E123"
    row: str
    kind: str
    candidates: tuple[str, ...]
    hint: str = ""

    @property
    def message(self) -> str:
        return f"`{self.row}` does not say which {self.kind}"

    @property
    def label(self) -> str:
        return f"the name of {'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind} is missing"

    @property
    def help(self) -> str:
        return self.hint or "one of: " + ", ".join(sorted(self.candidates))


@record
class TooManyArguments(Diagnostic):
    """More values stand behind a name than it takes.

    ```wrong
    model net { input x[4]; dense 3 4 | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 | dense 4 | softmax }
    ```
    """

    code = "E105"
    owner: str
    takes: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"`{self.owner}` takes {self.takes}"

    @property
    def label(self) -> str:
        return "this is one too many"

    @property
    def help(self) -> str:
        return self.hint


@record
class GivenTwice(Diagnostic):
    """An option stands twice in one place.

    ```wrong
    model net { input x[4]; dense 3 bias=true bias=false | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 bias=false | softmax }
    ```
    """

    code = "E106"
    owner: str
    option: str
    first: Span

    @property
    def message(self) -> str:
        return f"`{self.option}` of `{self.owner}` is given twice"

    @property
    def label(self) -> str:
        return "the second time"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.first, "the first time"),)

    @property
    def help(self) -> str:
        return "leave one of them out"


@record
class NotBuiltYet(Diagnostic):
    """The language has this, but this version of the compiler does not.

    ```wrong
    model net { input image[1 8 8]; conv 4 3x3 | flatten | dense 3 | softmax }
    ```
    ```right
    model net { input image[1 8 8]; flatten | dense 3 | softmax }
    ```
    """

    code = "E107"
    what: str
    instead: str = ""

    @property
    def message(self) -> str:
        return f"{self.what} cannot be compiled by this version yet"

    @property
    def help(self) -> str:
        return self.instead


@record
class DefinedTwice(Diagnostic):
    """Two things in one place have the same name.

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
        return "give one of them another name"


@record
class UnknownConstant(Diagnostic):
    """A name in a computed value is no `let`.

    ```wrong
    let depth = 3
    model net { input x[4]; dense (dept * 2) | softmax }
    ```
    ```right
    let depth = 3
    model net { input x[4]; dense (depth * 2) | softmax }
    ```
    """

    code = "E109"
    name: str
    candidates: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"there is no constant `{self.name}`"

    @property
    def help(self) -> str:
        return did_you_mean(self.name, self.candidates) or f"define it: `let {self.name} = 10`"


@record
class BadArithmetic(Diagnostic):
    """A computed value cannot be computed: an operand is no number, or a divisor is zero.

    ```wrong
    let scale = (1 / 0)
    ```
    ```right
    let half = (1 / 2)
    model net { input x[4]; dense 3 | dropout half | softmax }
    ```
    """

    code = "E110"
    reason: str

    @property
    def message(self) -> str:
        return self.reason


@record
class AmbiguousXavier(Diagnostic):
    """`xavier` names at least three formulas, so it is no name here.

    Caffe draws uniformly on ±sqrt(3 / fan_in), the paper (Glorot & Bengio 2010) on ±sqrt(6 /
    (fan_in + fan_out)), and others take a normal with standard deviation sqrt(2 / fan_in).
    `glorot_uniform` and `glorot_normal` are the paper's.

    ```wrong
    model net { input x[4]; dense 3 init=xavier | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 init=glorot_uniform | softmax }
    ```
    """

    code = "E111"
    name: str

    @property
    def message(self) -> str:
        return f"`{self.name}` means at least three formulas elsewhere"

    @property
    def label(self) -> str:
        return "which one is meant?"

    @property
    def help(self) -> str:
        return "the paper's are `glorot_uniform` and `glorot_normal`; Caffe's is `lecun_uniform`"


@record
class UnknownEntry(Diagnostic):
    """A value names an initializer, loss, optimizer or the like that does not exist.

    ```wrong
    model net { input x[4]; dense 3 init=he_norml | softmax }
    ```
    ```right
    model net { input x[4]; dense 3 init=glorot_normal | softmax }
    ```
    """

    code = "E112"
    kind: str
    name: str
    candidates: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"there is no {self.kind} `{self.name}`"

    @property
    def help(self) -> str:
        return did_you_mean(self.name, self.candidates) or "one of: " + ", ".join(self.candidates)


@record
class UnknownRow(Diagnostic):
    """A data, train or export section has a row that it does not know.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scael (1 / 16) }
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
    """A section speaks of a model or data section that the file does not have.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits }
    train nett on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits }
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
    """A part stands inside itself.  Networks are finite: there is no recursion.

    ```wrong
    model net { input x[4]; part body { dense 4 | relu | body }; dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; part body { repeat 3 { dense 4 | relu } }; dense 3 | softmax }
    ```
    """

    code = "E115"
    name: str

    @property
    def message(self) -> str:
        return f"`{self.name}` uses itself"

    @property
    def label(self) -> str:
        return "this would never end"

    @property
    def help(self) -> str:
        return "to stack a piece several times, write `repeat N { … }`"


@record
class TooLarge(Diagnostic):
    """The network is beyond the limits, which are checked before any memory is taken.

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
    """A part or value is called like a layer, so that a reader could not tell which is meant.

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
        return "give it another name"


@record
class ValueInChain(Diagnostic):
    """A value stands behind `|`, where a layer must stand: a value begins a line, or is added with
    `+`.

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
        return "begin a line with it, add it with `+`, or join it with `concat`"


@record
class NoOperands(Diagnostic):
    """A layer that joins values is given fewer than two of them.

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
        return f"`{self.name}` joins two values or more"

    @property
    def help(self) -> str:
        return f"name them: `{self.name} a b`"


@record
class SeveralRows(Diagnostic):
    """A row stands twice in a section where only one can count.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits }
    train net on digits { loss cross_entropy; seed 1; batch 32; batch 64 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits }
    train net on digits { loss cross_entropy; seed 1; batch 32 }
    ```
    """

    code = "E120"
    name: str
    first: Span

    @property
    def message(self) -> str:
        return f"the row `{self.name}` stands twice"

    @property
    def label(self) -> str:
        return "the second time"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.first, "the first time"),)

    @property
    def help(self) -> str:
        return "leave one of them out"


@record
class OuterValue(Diagnostic):
    """A part speaks of a value of the model around it.  A part sees only what flows into it, which
    is called `in`.

    ```wrong
    model net { input a[4]; part body { a | dense 3 }; softmax }
    ```
    ```right
    model net { input a[4]; part body { in | dense 3 }; softmax }
    ```
    """

    code = "E121"
    name: str

    @property
    def message(self) -> str:
        return f"`{self.name}` is a value outside this part"

    @property
    def help(self) -> str:
        return "inside a part, `in` is what flows into it"


@record
class ReservedName(Diagnostic):
    """An input or part has a name that the compiled graphs use themselves.

    `target`, `loss`, `lr`, `all_finite` and `output` are inputs and outputs of the step; `step`,
    `optimizer` and `data` begin the paths of its state.

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
        return "give it another name"
