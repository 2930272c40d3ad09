"""Messages about values and labels: not finite, no class, too many classes (E438 to E442)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean
from deepdsl.diagnostics.data.text import names_text


@record
class NonFiniteData(Diagnostic):
    """A value is NaN, infinite, or too large for 32-bit floats; one such value spoils all weights
    in one step.

    ```wrong
    data pairs { train npz "nan.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    value: str
    place: str

    code = "E438"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"the data holds {self.value}"

    @property
    def label(self) -> str:
        return self.place

    @property
    def help(self) -> str:
        return "fill in a value, or leave out the row"


@record
class LabelNotWhole(Diagnostic):
    """A class number is not an integer.

    ```wrong
    data pairs { train npz "halves.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    value: str
    place: str

    code = "E440"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.value} is not the number of a class"

    @property
    def label(self) -> str:
        return self.place

    @property
    def help(self) -> str:
        return "classes are 0, 1, 2, …; to predict a quantity use mean_squared_error"


@record
class LabelOutOfRange(Diagnostic):
    """A label is out of range: labels count from 0 to one less than the outputs.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 9 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    value: int
    place: str
    classes: int
    largest: int
    smallest: int = 0
    binary: bool = False

    code = "E439"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        if self.binary:
            return f"label {self.value} is neither 0 nor 1"
        return f"label {self.value} is not one of 0 to {self.classes - 1}"

    @property
    def label(self) -> str:
        return self.place

    @property
    def help(self) -> str:
        if self.smallest == 1 and self.largest == self.classes and not self.binary:
            return f"these labels count from 1 to {self.classes}: subtract 1 from all"
        if self.smallest < 0:
            return f"labels count from 0; the smallest here is {self.smallest}"
        if self.binary:
            return f"for {self.largest + 1} classes end with `dense {self.largest + 1} | softmax`"
        return f"the largest label is {self.largest}: end with `dense {self.largest + 1}`"


@record
class TooManyClasses(Diagnostic):
    """The target has more classes than the model has outputs.

    ```wrong
    data pairs { train csv "three.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "names.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    found: int
    expected: int
    examples: tuple[str, ...]
    more: bool = False  # counting stopped at `found`

    code = "E441"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        least = "at least " if self.more else ""
        return f"the target has {least}{self.found} classes, the model has {self.expected}"

    @property
    def label(self) -> str:
        return names_text(self.examples, 4)

    @property
    def help(self) -> str:
        if self.found > 1000:
            return "this column does not look like classes"
        return f"end with `dense {self.found} | softmax`, or check the spelling of the classes"


@record
class UnknownClass(Diagnostic):
    """A class in valid or test does not occur in train.

    ```wrong
    data pairs { train csv "names.csv" target=label; test csv "three.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "names.csv" target=label; test csv "names.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    text: str
    place: str
    classes: tuple[str, ...]

    code = "E442"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"no row of train has the class `{self.text}`"

    @property
    def label(self) -> str:
        return self.place

    @property
    def help(self) -> str:
        return did_you_mean(self.text, self.classes)
