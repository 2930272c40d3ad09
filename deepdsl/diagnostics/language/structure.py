"""Messages about steps, blocks and names that are put together wrongly in a `.dnn` text."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label


@record
class NothingToContinue(Diagnostic):
    """A `|` without a layer or value before it.

    A line that begins with `|` continues with the line above. The first line of a body, and the
    line after an `input`, a `default`, a `let` or a `part`, have no flow above them. A line that
    begins with a layer continues from the line above by itself.

    ```wrong
    model tiny {
      input x[4]
      | dense 3
      softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3
      softmax
    }
    ```
    """

    code = "E014"

    @property
    def message(self) -> str:
        return "this `|` has nothing to go on with"

    @property
    def label(self) -> str:
        return "expected a layer or a value before it"

    @property
    def help(self) -> str:
        return "leave the `|` out: a line that begins with a layer continues from the line above"


@record
class DanglingPipe(Diagnostic):
    """A `|` without a layer after it.

    To continue in the next line, begin that line with the `|`.

    ```wrong
    model tiny {
      input x[4]
      dense 16 | relu |
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 16 | relu
      | dense 3 | softmax
    }
    ```
    """

    at_line_end: bool

    code = "E015"

    @property
    def message(self) -> str:
        return "there is no layer after this `|`"

    @property
    def help(self) -> str:
        if self.at_line_end:
            return "write the `|` at the beginning of the next line, or leave it out"
        return "leave it out"


@record
class KeywordAsName(Diagnostic):
    """A keyword is used as a name.

    `input`, `default`, `let`, `part`, `repeat`, `reuse`, `if`, `then` and `else` begin something
    of their own, and `in`, `true`, `false` and `none` are values, so none of them can name
    anything else.

    ```wrong
    model tiny {
      input input[4]
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input features[4]
      dense 3 | softmax
    }
    ```
    """

    word: str

    code = "E019"

    @property
    def message(self) -> str:
        return f"`{self.word}` is a word of the language and cannot be a name"

    @property
    def help(self) -> str:
        choice = "; an `if` goes on its own line, or after `name =`"
        return f"choose another name, such as `{self.word}_1`" + choice * (self.word == "if")


@record
class MissingOpeningBrace(Diagnostic):
    """A model, part, section or repeat without its `{ … }`.

    ```wrong
    model tiny {
      input x[4]
      repeat 3 dense 16 | relu
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      repeat 3 { dense 16 | relu }
      dense 3 | softmax
    }
    ```
    """

    what: str
    mended: str

    code = "E020"

    @property
    def message(self) -> str:
        return f"`{self.what}` needs a `{{`"

    @property
    def help(self) -> str:
        return f"write `{self.mended}`"


@record
class CalledLayer(Diagnostic):
    """A layer or a row written like a function call.

    One line is one step: the layer's name, then its arguments, separated by blanks. Parentheses
    right after a name are for values that have options of their own, as in
    `init=normal(std=0.01)`.

    ```wrong
    model tiny {
      input x[4]
      dense(16, activation=relu)
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 16 | relu
      dense 3 | softmax
    }
    ```
    """

    name: str
    mended: str
    here: str = ""  # the name that the layer has in this language

    code = "E021"

    @property
    def message(self) -> str:
        return f"`{self.name}` is not called: its arguments follow it, separated by blanks"

    @property
    def help(self) -> str:
        return f"write `{self.mended or f'{self.here or self.name} …'}`"


@record
class ComputedBare(Diagnostic):
    """A computed value without parentheses.

    Blanks separate arguments, so only parentheses show where a computation begins and ends.
    `dense -1` gives the number -1; `dense (n - 1)` gives one less than n.

    ```wrong
    block wide(n) {
      dense n * 2 | relu
    }
    ```

    ```right
    block wide(n) {
      dense (n * 2) | relu
    }
    ```
    """

    operator: str
    mended: str

    code = "E024"

    @property
    def message(self) -> str:
        return "a computed value needs parentheses"

    @property
    def help(self) -> str:
        return f"write `{self.mended}`" if self.mended else ""


@record
class ValuesComputed(Diagnostic):
    """Two tensors with an operator other than `+` between them.

    `+` adds values of one shape; `multiply a b` multiplies them, `mean a b` takes their mean,
    `concat a b` joins them. Numbers are computed in parentheses: `dense (n * 2)`.

    ```wrong
    model tiny {
      input x[4]
      gate = dense 4 | sigmoid
      gate * x
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      gate = dense 4 | sigmoid
      multiply gate x
      dense 3 | softmax
    }
    ```
    """

    operator: str

    code = "E026"

    @property
    def message(self) -> str:
        doing = {"*": "multiplied", "-": "subtracted", "/": "divided"}
        return f"values are not {doing.get(self.operator, 'computed with')} like this"

    @property
    def label(self) -> str:
        return "values are added with `+`; `multiply`, `mean` and `concat` take their names"

    @property
    def help(self) -> str:
        adds = "`a + b` adds two values of one shape"
        return "`multiply a b` multiplies two values" if self.operator == "*" else adds


@record
class MissingSeparator(Diagnostic):
    """Two statements on one line without a separator.

    Each statement, row and item ends with its line, or with a `;`.

    ```wrong
    model tiny {
      input x[4]
      part body { dense 16 | relu } part head { dense 3 | softmax }
    }
    ```

    ```right
    model tiny {
      input x[4]
      part body { dense 16 | relu }
      part head { dense 3 | softmax }
    }
    ```
    """

    ended: Span

    code = "E025"

    @property
    def message(self) -> str:
        return "a new line or `;` is missing here"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.ended, "this has ended"),)

    @property
    def help(self) -> str:
        return "begin a new line"
