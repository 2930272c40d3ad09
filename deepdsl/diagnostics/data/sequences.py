"""Messages about indices and texts (E240 to E247)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus
from deepdsl.diagnostics.data.text import FileDiagnostic


@record
class IndexOutOfRange(Diagnostic):
    """The data has an invalid index: negative, not an integer, or out of range for the embedding.

    Indices count from 0 to one less than the embedding's first number.

    ```wrong
    data pairs { train npz "indices.npz" }
    model m { input word[4] dtype=int64; embedding 5 3 | flatten | dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "indices.npz" }
    model m { input word[4] dtype=int64; embedding 8 3 | flatten | dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    value: str
    place: str
    input: str
    count: int | None
    largest: int | None  # of all that are whole and not negative; None: the table is as it is

    code = "E240"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        at = "" if self.span else f"{self.place}: "
        if self.count is None:
            return f"{at}{self.value} is not an index: `{self.input}` takes integers from 0"
        last = self.count - 1
        if not self.value.lstrip("-").isdigit():
            return (
                f"{at}{self.value} is not an index: the embedding takes integers from 0 to {last}"
            )
        return f"{at}index {self.value} is out of range for the embedding (0 to {last})"

    @property
    def label(self) -> str:
        return self.place

    @property
    def help(self) -> str:
        if self.count is not None and self.largest is not None and self.largest >= self.count:
            return f"the largest index is {self.largest}: `embedding {self.largest + 1} …`"
        return "number what is meant from 0 on, with a number of its own for what is missing"


@record
class VocabularySize(FileDiagnostic):
    """The number of distinct characters of a text does not fit the model.

    The characters of the text that trains are numbered in their order, and the numbers feed the
    embedding and are the classes of the last layer.  A text for validation or testing takes the
    numbers of the one that trains.

    ```wrong
    data play { train text "play.txt" }
    model m { input text[4] dtype=int64; embedding 9 3 | flatten | dense 9 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data play { train text "play.txt" }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    found: int
    embedding: int | None
    classes: int | None

    code = "E241"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.file} has {self.found} different characters"

    @property
    def label(self) -> str:
        told = []
        if self.embedding is not None and self.embedding != self.found:
            told.append(f"the embedding has {self.embedding} rows")
        if self.classes is not None and self.classes != self.found:
            told.append(f"the model has {self.classes} outputs")
        return ", ".join(told)

    @property
    def help(self) -> str:
        return f"write `embedding {self.found} …`, and `dense {self.found}` before the softmax"


@record
class TextTooShort(FileDiagnostic):
    """A text is shorter than one window.

    A window is as long as the model's input, and the character after it is what is to be
    predicted.

    ```wrong
    data play { train text "play.txt" }
    model m { input text[64] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data play { train text "play.txt" }
    model m { input text[8] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    characters: int
    length: int

    code = "E242"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        if not self.characters:
            return f"{self.file} is empty"
        return f"{self.file} has {self.characters} characters, a window takes {self.length + 1}"

    @property
    def help(self) -> str:
        if self.characters < 2:
            return "there must be at least two characters"
        return f"take a longer text, or a shorter input: `input text[{self.characters // 2}] …`"


@record
class UnknownCharacter(Diagnostic):
    """A validation or test text has a character that the training text does not have.

    ```wrong
    data play { train text "play.txt"; test text "verse.txt" }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data play { train text "play.txt"; test text "play.txt" }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    characters: tuple[str, ...]
    place: str

    code = "E243"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        shown = ", ".join(_character(c) for c in self.characters[:6])
        more = len(self.characters) - 6
        more_text = f" and {more} more" if more > 0 else ""
        return f"the text that trains has no {shown}{more_text}"

    @property
    def label(self) -> str:
        return self.place

    @property
    def help(self) -> str:
        return "leave it out or write it otherwise, or train on a text that has it"


def _character(text: str) -> str:
    code = f"U+{ord(text):04X}" if len(text) == 1 else ""
    return f"`{text}` ({code})" if text.isprintable() else code


@record
class TextEncoding(FileDiagnostic):
    """A text is not in UTF-8.

    ```wrong
    data play { train text "latin.txt" }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data play { train text "play.txt" }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int
    wide: bool = False

    code = "E244"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.file} is not UTF-8 text"

    @property
    def label(self) -> str:
        return "it looks like UTF-16" if self.wide else f"line {self.line} holds other bytes"

    @property
    def help(self) -> str:
        return "save it as UTF-8"


@record
class TextMisfit(Diagnostic):
    """A text feeds one input of whole numbers, `input text[64] dtype=int64`, and what is to be
    learned are classes: the character after each position, or the one after the last.

    ```wrong
    data play { train text "play.txt" }
    model m { input text[4]; dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data play { train text "play.txt" }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    reason: str
    advice: str

    code = "E245"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return self.reason

    @property
    def help(self) -> str:
        return self.advice


@record
class TransformOfIndices(Diagnostic):
    """A transform computes with numbers, but an input of indices holds indices.

    ```wrong
    data pairs { train npz "indices.npz"; standardize }
    model m { input word[4] dtype=int64; embedding 8 3 | flatten | dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "indices.npz" }
    model m { input word[4] dtype=int64; embedding 8 3 | flatten | dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    transform: str
    input: str
    others: tuple[str, ...]

    code = "E246"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"`{self.transform}` does not apply to `{self.input}`, which holds indices"

    @property
    def help(self) -> str:
        if self.others:
            return f"say which input is meant: `of={self.others[0]}`"
        return "leave it out"


@record
class OverlappingWindows(Diagnostic):
    """Overlapping windows are held out at random, so validation data is seen in training.

    ```wrong
    data play { train text "play.txt" stride=1; valid split=20% }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data play { train text "play.txt" stride=1; valid last=20% }
    model m { input text[4] dtype=int64; embedding 12 3 | flatten | dense 12 | softmax }
    train m on play { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    shared: int  # how many rows before a row share characters with it

    code = "E247"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return "rows that overlap cannot be held out at random"

    @property
    def label(self) -> str:
        return f"each window shares characters with {self.shared} before it"

    @property
    def help(self) -> str:
        return (
            "hold out the end: `valid last=10%` leaves a gap; or let no window overlap (no stride)"
        )
