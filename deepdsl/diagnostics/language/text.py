"""Messages about single characters and words of a `.dnn` text, before any grammar."""

from __future__ import annotations

import unicodedata

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label

_ORDINARY = {
    "‘": '"', "’": '"', "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "'": '"', "`": '"',
    "×": "x", "–": "-", "—": "-", "−": "-", "·": "*", "∗": "*", "÷": "/", "¦": "|", "│": "|",
    "，": " ", "；": ";", "：": "=", "（": "(", "）": ")", "＝": "=", "｜": "|",
    "≤": "<=", "≥": ">=", "≠": "!=",
}  # fmt: skip


@record
class UnexpectedCharacter(Diagnostic):
    """A character that no `.dnn` text uses outside of strings and comments.

    Names are made of the letters a to z, digits and `_`. Text copied from a web page or a paper
    often has curly quotes, a long dash or the sign × where the language wants `"`, `-` and the
    letter x.

    ```wrong
    model digits {
      input image[1 28 28]
      conv 6 5×5 | relu | flatten
      dense 10 | softmax
    }
    ```

    ```right
    model digits {
      input image[1 28 28]
      conv 6 5x5 | relu | flatten
      dense 10 | softmax
    }
    ```
    """

    character: str

    code = "E002"

    @property
    def message(self) -> str:
        return f"unexpected character {_shown(self.character)}"

    @property
    def help(self) -> str:
        if self.character.isspace():
            return "write an ordinary blank"
        ordinary = _ORDINARY.get(self.character)
        if ordinary == " ":
            return "write a blank"
        if ordinary:
            return f"write `{ordinary}`"
        if self.character.isalpha():
            return "names are made of the letters a to z, digits and `_`"
        return ""


def _shown(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    if character.isspace():
        return f"U+{ord(character):04X} ({name or 'a blank'})"
    if ord(character) < 128 or not name:
        return "'`'" if character == "`" else f"`{character}`"
    return f"`{character}` ({name})"


@record
class UnclosedString(Diagnostic):
    """A string that is not closed on its line.

    A string begins and ends on one line. A file name without its closing quote would swallow the
    options after it.

    ```wrong
    model tiny {
      input x[4]
      dense 3 | softmax
    }
    export tiny {
      onnx "tiny.onnx
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 | softmax
    }
    export tiny {
      onnx "tiny.onnx"
    }
    ```
    """

    mended: str

    code = "E005"

    @property
    def message(self) -> str:
        return "this string is not closed"

    @property
    def label(self) -> str:
        return 'there is no second `"` on this line'

    @property
    def help(self) -> str:
        return f"write `{self.mended}`"


@record
class UnclosedBracket(Diagnostic):
    """A `(` or `[` that is not closed on its line.

    A computed value, the options of a value and a list each are on one line, so the closing
    mark must be there too.

    ```wrong
    model tiny {
      input x[4]
      dense 3 init=normal(std=0.01 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 3 init=normal(std=0.01) | softmax
    }
    ```
    """

    opening: str
    found: Span | None

    code = "E006"

    @property
    def _closing(self) -> str:
        return ")" if self.opening == "(" else "]"

    @property
    def message(self) -> str:
        return f"this `{self.opening}` is not closed"

    @property
    def label(self) -> str:
        return "" if self.found else f"there is no `{self._closing}` on this line"

    @property
    def notes(self) -> tuple[Label, ...]:
        if self.found is None:
            return ()
        return (Label(self.found, f"a `{self._closing}` must come before this"),)

    @property
    def help(self) -> str:
        return f"write `{self._closing}` where it ends, on the same line"


@record
class MalformedNumber(Diagnostic):
    """A malformed number.

    Numbers are written `32`, `0.5`, `1e-3` and `20%`, sizes `3x3` and `2x2x2`. Both sides of a
    decimal point have digits. There are no hexadecimal numbers and no `_` between digits.

    ```wrong
    model tiny {
      input x[4]
      dense 16 | relu | dropout .5
      dense 3 | softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 16 | relu | dropout 0.5
      dense 3 | softmax
    }
    ```
    """

    text: str
    reason: str
    mended: str

    code = "E016"

    @property
    def message(self) -> str:
        text = self.text if len(self.text) <= 40 else self.text[:36] + " …"
        return f"`{text}` is not a number"

    @property
    def label(self) -> str:
        return self.reason

    @property
    def help(self) -> str:
        return f"write `{self.mended}`" if self.mended else ""


@record
class NestingTooDeep(Diagnostic):
    """Brackets, braces, operators and `if`s are nested too deep.

    Forty levels are more than any model that a person reads. The limit keeps every text, however
    strange, within bounded time and memory.

    ```wrong
    let n = (1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1)
    ```

    ```right
    let n = (21 * 2)
    ```
    """

    limit: int

    code = "E017"

    @property
    def message(self) -> str:
        return f"this is nested more than {self.limit} levels deep"

    @property
    def label(self) -> str:
        return "brackets, braces, operators and `if`s around it are counted together"

    @property
    def help(self) -> str:
        return "split it with `let`, or with a `block` of its own"


@record
class NotText(Diagnostic):
    """The file is not plain UTF-8 text.

    Control characters such as NUL, and bytes that are not UTF-8 (shown as �), come from a file in
    another encoding or from a file that is not a text at all, such as a data file given by mistake.
    Nothing else in such a file is reported.

    ```wrong
    let classes = 10  # na�ve
    ```

    ```right
    let classes = 10  # naïve
    ```
    """

    character: str

    code = "E018"

    @property
    def message(self) -> str:
        return "this file is not plain UTF-8 text"

    @property
    def label(self) -> str:
        if self.character == "�" or "\ud800" <= self.character <= "\udfff":
            return "a byte that is not UTF-8"
        if self.character == "\r":
            return "a carriage return without a line feed"
        return f"the control character U+{ord(self.character):04X}"

    @property
    def help(self) -> str:
        if self.character == "\r":
            return "end each line with a line feed, or with both"
        return "save it as UTF-8, and check that it is the file you meant"


@record
class ForeignComment(Diagnostic):
    """A comment written as in C or JavaScript.

    Comments begin with `#` and end with the line.

    ```wrong
    let classes = 10  // the ten digits
    ```

    ```right
    let classes = 10  # the ten digits
    ```
    """

    text: str

    code = "E022"

    @property
    def message(self) -> str:
        return "a comment begins with `#`"

    @property
    def help(self) -> str:
        return f"write `# {self.text}`" if self.text else "to divide, write one `/`"


@record
class Arrow(Diagnostic):
    """An arrow instead of `|`.

    What flows from one layer into the next is written with `|`, as between two commands in a shell.

    ```wrong
    model tiny {
      input x[4]
      dense 16 -> relu -> dense 3 -> softmax
    }
    ```

    ```right
    model tiny {
      input x[4]
      dense 16 | relu | dense 3 | softmax
    }
    ```
    """

    arrow: str
    mended: str

    code = "E023"

    @property
    def message(self) -> str:
        return f"`{self.arrow}` is written `|`"

    @property
    def help(self) -> str:
        return f"write `{self.mended}`"
