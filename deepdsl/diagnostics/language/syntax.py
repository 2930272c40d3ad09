"""Messages about how words are together in a `.dnn` text."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label


@record
class UnexpectedText(Diagnostic):
    """Unexpected text.

    The message says what was found and what the language allows at that place. A file is made of
    items (`use`, `let`, `default`, `block`, `model`, `data`, `train`, `export`); layers are
    inside of models.

    ```wrong
    modle tiny {
      input x[4]
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 | softmax
    }
    ```
    """

    found: str
    expected: str
    advice: str = ""

    code = "E001"

    @property
    def message(self) -> str:
        return f"unexpected {self.found}"

    @property
    def label(self) -> str:
        return f"expected {self.expected}" if self.expected else ""

    @property
    def help(self) -> str:
        return self.advice


@record
class MissingClosingBrace(Diagnostic):
    """A `{` without a `}`.

    Every model, part, block, section and repeat ends with a `}` of its own. Where the next item
    begins at the margin, or an outer `}` is under its own line, the brace before it must have
    been forgotten.

    ```wrong
    model tiny {
      input x[4]
      part head {
        dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      part head {
        dense 3 | softmax
      }
    }
    ```
    """

    what: str
    before: Span | None

    code = "E003"

    @property
    def message(self) -> str:
        return f"the `{{` of `{self.what}` is never closed"

    @property
    def label(self) -> str:
        return "it begins here"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.before, "a `}` is missing before this"),) if self.before else ()

    @property
    def help(self) -> str:
        return "" if self.before else f"write `}}` where `{self.what}` ends"


@record
class StrayClosingBrace(Diagnostic):
    """A `}` without a `{`.

    Either it is one too many, or an earlier `}` has closed the block too soon.

    ```wrong
    model tiny {
      input x[4]
      dense 3 | softmax
    }
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 | softmax
    }
    ```
    """

    closed: Span | None

    code = "E004"

    @property
    def message(self) -> str:
        return "this `}` closes nothing"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.closed, "the last block was closed here"),) if self.closed else ()

    @property
    def help(self) -> str:
        return "take it out" + (", or the one that came too soon" if self.closed else "")


@record
class CommaBetween(Diagnostic):
    """A comma between arguments, options or the items of a list.

    Blanks separate them. Commas are in one place only: between the parameters of a block, where
    it is declared.

    ```wrong
    model tiny {
      input x[4]
      dense 3, init=zeros | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 init=zeros | softmax
    }
    ```
    """

    mended: str
    layers: bool = False  # some of them are between layers

    code = "E007"

    @property
    def message(self) -> str:
        if self.layers:
            return "layers are joined by `|`, not by commas"
        return "arguments are separated by blanks, not by commas"

    @property
    def help(self) -> str:
        return f"write `{self.mended}`" if self.mended else "leave the commas out"


@record
class ColonAfterName(Diagnostic):
    """A colon after the name of an option or a row.

    Options are `name=value`, and what follows the first word of a row just follows it. A colon
    is only between two numbers, as in `schedule piecewise 0:0.1 80:0.01`.

    ```wrong
    model tiny {
      input x[4]
      dense 3 init: zeros | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 init=zeros | softmax
    }
    ```
    """

    name: str
    mended: str

    code = "E008"

    @property
    def message(self) -> str:
        return f"there is no colon after `{self.name}`"

    @property
    def help(self) -> str:
        return f"write `{self.mended}`" if self.mended else "leave the colon out"


@record
class QuotedWord(Diagnostic):
    """A layer or a name in quotes.

    Quotes are for file names and other text from outside. Words of the language and names are
    bare.

    ```wrong
    model tiny {
      input x[4]
      dense 16 | "relu" | dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 16 | relu | dense 3 | softmax
    }
    ```
    """

    word: str
    expected: str

    code = "E009"

    @property
    def message(self) -> str:
        return f"`{self.word}` is written without quotes"

    @property
    def label(self) -> str:
        return f"expected {self.expected}, found a string"

    @property
    def help(self) -> str:
        return f"write `{self.word}`"


@record
class ElseWithoutIf(Diagnostic):
    """An `else` without an `if`.

    A choice is `if CONDITION then FLOW else FLOW`; the `else` may begin the next line. Each `if`
    has one `else`.

    ```wrong
    block shortcut(stride=1) {
      else in | max_pool 2x2
    }
    ```

    ```right
    block shortcut(stride=1) {
      if stride == 1 then in
      else in | max_pool 2x2
    }
    ```
    """

    code = "E010"

    @property
    def message(self) -> str:
        return "this `else` has no `if`"

    @property
    def help(self) -> str:
        return "write `if CONDITION then FLOW else FLOW`"


@record
class IfWithoutElse(Diagnostic):
    """An `if` without `then` or `else`.

    Something must flow on in both cases, so both are written. Where nothing is to happen, `else
    in` hands on what came in.

    ```wrong
    block shortcut(stride=1) {
      if stride == 2 then in | max_pool 2x2
    }
    ```

    ```right
    block shortcut(stride=1) {
      if stride == 2 then in | max_pool 2x2
      else in
    }
    ```
    """

    missing: str
    end: Span

    code = "E011"

    @property
    def message(self) -> str:
        return f"this `if` has no `{self.missing}`"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.end, f"`{self.missing}` is missing here"),)

    @property
    def help(self) -> str:
        if self.missing == "then":
            return "write `if CONDITION then FLOW else FLOW`"
        return "write `else in` where nothing is to happen otherwise"


@record
class MissingValue(Diagnostic):
    """A `=` without a value after it.

    ```wrong
    model tiny {
      input x[4]
      dense 3 init= | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 init=zeros | softmax
    }
    ```
    """

    name: str

    code = "E012"

    @property
    def message(self) -> str:
        return f"`{self.name}` has no value"

    @property
    def label(self) -> str:
        return "there is no value after this `=`"

    @property
    def help(self) -> str:
        return "write it on the same line"


@record
class EqualsConfusion(Diagnostic):
    """`==` instead of `=`, or `=` instead of `==`.

    `=` gives a value (`let n = 3`, `init=zeros`); `==` compares two (`if stride == 1 then …`).

    ```wrong
    block shortcut(stride=1) {
      if stride = 1 then in else in | max_pool 2x2
    }
    ```

    ```right
    block shortcut(stride=1) {
      if stride == 1 then in else in | max_pool 2x2
    }
    ```
    """

    found: str
    wanted: str
    mended: str

    code = "E013"

    @property
    def message(self) -> str:
        doing = "compares two values" if self.found == "==" else "gives a value to a name"
        return f"`{self.found}` {doing}"

    @property
    def label(self) -> str:
        return f"expected `{self.wanted}`"

    @property
    def help(self) -> str:
        return f"write `{self.mended}`" if self.mended else f"write `{self.wanted}`"
