"""Messages about what feeds a model: which array, which input, which shape (E432 to E437)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean
from deepdsl.diagnostics.data.text import names_text, shape_source, shape_text


@record
class UnknownFeed(Diagnostic):
    """An option of a source is neither one of its own nor the name of an input or target of the
    model.

    `left=x1` feeds the input `left`.

    ```wrong
    data pairs { train npz "good.npz" xx=x }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" x=x }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    feed: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]

    code = "E432"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"`{self.feed}` is not an input of the model"

    @property
    def label(self) -> str:
        return f"its inputs are {names_text(self.inputs)}"

    @property
    def help(self) -> str:
        return did_you_mean(self.feed, (*self.inputs, *self.targets, "target"))


@record
class NothingToFeed(Diagnostic):
    """A source has a positional value, but all inputs are fed by name.

    ```wrong
    data pairs { train npy "good.npy" x="good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npy x="good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    what: str

    code = "E433"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.what} feeds nothing"

    @property
    def label(self) -> str:
        return "everything that it could feed is given by name"

    @property
    def help(self) -> str:
        return "leave one of the two out"


@record
class InputNotFed(Diagnostic):
    """An input of the model is not fed by the data.

    One input may be left out, when the source says by itself what feeds it. Several are fed by
    name.

    ```wrong
    data pairs { train npy target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npy "good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    inputs: tuple[str, ...]
    example: str

    code = "E434"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"nothing feeds {names_text(self.inputs)}"

    @property
    def help(self) -> str:
        if not self.example:
            return (
                "this source feeds one input; `npz` and `parquet` name what feeds each of several"
            )
        return f"name it: `{self.inputs[0]}={self.example}`"


@record
class NoTarget(Diagnostic):
    """The loss needs a target, but the data has none.

    ```wrong
    data pairs { train npy "good.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npy "good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    targets: tuple[str, ...]
    example: str

    code = "E435"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        if len(self.targets) > 1:
            return f"the data has no target for {names_text(self.targets)}"
        return "the data has no target"

    @property
    def help(self) -> str:
        if len(self.targets) > 1:
            return f"name it: `{self.targets[0]}={self.example}`"
        if self.span is None:
            # No row of a file is after it: the rows are arrays of a program.
            return "give the targets as `y`, or write the row `target input` for an autoencoder"
        return f"add `target={self.example}`, or the row `target input` for an autoencoder"


@record
class RowShape(Diagnostic):
    """The shape of the rows does not match the input or target that they feed.

    Dimensions of size 1 may be added or left out. Everything else is said in the model: an
    input of the data's shape, then `flatten` or `reshape`.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model m { input pixels[64]; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model m { input pixels[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    use: str
    is_input: bool
    expected: tuple[int, ...]
    found: tuple[int, ...]
    origin: str
    flat: bool = False  # a row of columns, which fits every shape of as many numbers
    classes: int | None = None  # of a target that is probabilities of this many

    code = "E436"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        what = f"`{self.use}`" if self.is_input else "the target"
        return f"{what} takes {_per_row(self.expected)}, {self.origin} has {_per_row(self.found)}"

    @property
    def help(self) -> str:
        if not self.is_input:
            if self.expected == () and len(self.found) == 1:
                return "the loss wants the number of the class: store argmax over the last axis"
            if self.classes and _size(self.found) == 1:
                return (
                    "the loss compares probabilities; for class numbers add the row `one_hot` to "
                    "the data section, or write `loss cross_entropy`"
                )
            return "give the model's output the shape of the target"
        if self.span is None:
            # No row of a file is after it: the rows are given to a model that is trained.
            rows = ", ".join(map(str, ("rows", *self.expected)))
            return f"the model is as it is: give it an array of shape ({rows})"
        if self.flat:
            return (
                f"choose {_size(self.expected)} columns with columns=[…], "
                f"or declare `input {self.use}[{self.found[0]}]`"
            )
        if len(self.found) == 3 and self.expected == (self.found[2], *self.found[:2]):
            return "images are channels first: store array.transpose(0, 3, 1, 2)"
        declared = f"`input {self.use}{shape_source(self.found)}`"
        if _size(self.expected) != _size(self.found):
            return f"declare {declared}"
        if len(self.expected) == 1:
            return f"declare {declared}, and begin the model with `flatten`"
        return (
            f"declare {declared}, and begin the model with `reshape {shape_source(self.expected)}`"
        )


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _per_row(shape: tuple[int, ...]) -> str:
    if not shape or shape == (1,):
        return "one number a row"
    return f"{shape[0]} numbers a row" if len(shape) == 1 else f"{shape_text(shape)} a row"


@record
class LengthsDiffer(Diagnostic):
    """Inputs and targets have different numbers of rows.

    ```wrong
    data pairs { train npy "good.npy" target="few-labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npy "good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    first: str
    first_rows: int
    second: str
    second_rows: int

    code = "E437"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.first} has {self.first_rows} rows, {self.second} has {self.second_rows}"

    @property
    def label(self) -> str:
        return "each row of one belongs to the same row of the other"

    @property
    def help(self) -> str:
        return "check that both files are of the same part of the data"
