"""E1: options and values that a layer, a row or a constant cannot have."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label, did_you_mean


@record
class UnknownOption(Diagnostic):
    """A layer, optimizer or row has no such option.

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
    model net { input x[4]; dropout 1.5 | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dropout 50% | dense 3 | softmax }
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
    """A required argument is missing.

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
    """A row does not name its loss, optimizer, schedule, metric or data source.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; optimizer lr=0.1; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; optimizer sgd lr=0.1; seed 1 }
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
    """More positional arguments than the name takes.

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
    """An option is given twice.

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
        return "remove one of them"


@record
class UnknownConstant(Diagnostic):
    """A name in a computed value is not defined by a `let`.

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
    """A computed value has an operand that is not a number, or divides by zero.

    ```wrong
    let scale = (1 / 0)
    ```
    ```right
    let half = (1 / 2)
    model net { input x[4]; dropout half | dense 3 | softmax }
    ```
    """

    code = "E110"
    reason: str

    @property
    def message(self) -> str:
        return self.reason


@record
class AmbiguousXavier(Diagnostic):
    """`xavier` is ambiguous: it names at least three formulas.

    Caffe draws uniformly on ±sqrt(3 / fan_in), the paper (Glorot & Bengio 2010) on ±sqrt(6 /
    (fan_in + fan_out)), and others take a normal with standard deviation sqrt(2 / fan_in).
    `glorot_uniform` and `glorot_normal` are the paper's, and what PyTorch calls xavier_uniform_ and
    xavier_normal_; Caffe's is `lecun_uniform`.

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
        formulas = "the paper's ±√(6/(fan_in+fan_out)), Caffe's ±√(3/fan_in), a std of √(2/fan_in)"
        return f"which one is meant? {formulas}"

    @property
    def help(self) -> str:
        return "the paper's are `glorot_uniform` and `glorot_normal`; Caffe's is `lecun_uniform`"


@record
class UnknownEntry(Diagnostic):
    """There is no initializer, loss, optimizer or the like with this name.

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
    hint: str = ""

    @property
    def message(self) -> str:
        return f"there is no {self.kind} `{self.name}`"

    @property
    def help(self) -> str:
        if self.hint:
            return self.hint
        return did_you_mean(self.name, self.candidates) or "one of: " + ", ".join(self.candidates)
