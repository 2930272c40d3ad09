"""Messages about dividing rows, transforms, and classes that end up without rows (E443 to W451)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, Severity
from deepdsl.diagnostics.data.text import names_text


@record
class HeldOutTooLarge(Diagnostic):
    """Too many rows are held out for validation: there are not as many, or none are left to train on.

    ```wrong
    data digits { train builtin digits; valid first=5000; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; valid first=200; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    wanted: int
    rows: int

    code = "E443"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.wanted} rows cannot be held out of {self.rows}"

    @property
    def label(self) -> str:
        return "train would keep none"

    @property
    def help(self) -> str:
        return "hold out a share instead: `valid split=10%`"


@record
class TakeTooLarge(Diagnostic):
    """`take` asks for more rows than train has.

    ```wrong
    data digits { train builtin digits; take 5000; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; take 500; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    wanted: int
    rows: int

    code = "E444"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.wanted} rows cannot be taken from {self.rows}"

    @property
    def help(self) -> str:
        return f"take at most {self.rows}, or leave the row out to use all"


@record
class NothingLeft(Diagnostic):
    """The fraction is so small, or so large, that one of the two parts is empty.

    ```wrong
    data digits { train builtin digits; take 20; valid split=1%; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; take 200; valid split=20% stratify=true; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    share: float
    rows: int
    empty: str

    code = "E445"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.share:.4g}% of {self.rows} rows leaves nothing for {self.empty}"

    @property
    def help(self) -> str:
        if self.rows < 2:
            return "one row cannot be divided"
        return f"a split of {100 / self.rows:.2g}% is one row"


@record
class TooFewToStratify(Diagnostic):
    """`stratify=true` puts a share of each class into both parts, and a class has too few rows for
    one in each.

    ```wrong
    data digits { train builtin digits; take 5 stratify=true; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; take 50 stratify=true; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    name: str
    rows: int
    given: int
    total: int

    code = "E446"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        rows = f"{self.rows} {plural(self.rows, 'row')}"
        return f"class {self.name} has {rows}, too few to divide by class"

    @property
    def label(self) -> str:
        return f"its share of {self.total} rows is {self.given}"

    @property
    def help(self) -> str:
        return "each part needs at least one row of each class: ask for more rows, or drop stratify"


@record
class NoClassesToStratify(Diagnostic):
    """`stratify=true` needs classes, but the target is not a class.

    ```wrong
    data pairs { train npy "good.npy" target="good.npy"; valid split=50% stratify=true }
    model m { input x[4]; dense 4 }
    train m on pairs { loss mean_squared_error; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npy "good.npy" target="good.npy"; valid split=50% }
    model m { input x[4]; dense 4 }
    train m on pairs { loss mean_squared_error; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E447"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return "there are no classes to divide by"

    @property
    def label(self) -> str:
        return "stratify=true goes by the classes of the target"

    @property
    def help(self) -> str:
        return "leave out stratify"


@record
class HeldOutHow(Diagnostic):
    """`valid` takes its rows from train in exactly one way: `first=`, `last=` or `split=`.

    ```wrong
    data digits { train builtin digits; valid first=100 last=100; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; valid last=100; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    given: tuple[str, ...]

    code = "E448"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        if "stratify" in self.given:
            return "stratify=true goes with split="
        if not self.given:
            return "valid does not say which rows"
        return "valid says more than once which rows"

    @property
    def label(self) -> str:
        return "first= and last= go by the order of the file" if "stratify" in self.given else ""

    @property
    def help(self) -> str:
        return "write one: `valid first=100`, `valid last=100` or `valid split=10% stratify=true`"


@record
class TransformMisfit(Diagnostic):
    """A transform names an input that the model lacks, or has a list that does not fit the shape.

    ```wrong
    data digits { train builtin digits; normalize mean=[0.1 0.2 0.3] std=[1] }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; normalize mean=[4.9] std=[6] }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    message_text: str
    help_text: str

    code = "E449"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return self.message_text

    @property
    def help(self) -> str:
        return self.help_text


@record
class ClassWithoutRows(Diagnostic):
    """A class of the model does not occur in train, so it cannot be learned.

    ```wrong
    data pairs { train npz "one-class.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    classes: tuple[str, ...]

    code = "W450"
    severity = Severity.WARNING

    @property
    def message(self) -> str:
        return f"train has no row of class {names_text(self.classes)}"

    @property
    def help(self) -> str:
        return "check the target and what is held out, or give the model fewer outputs"


@record
class HeldOutLacksClass(Diagnostic):
    """The validation rows contain only some of the classes of train.

    Files are often sorted by class; their first or last rows are then all of one class, and
    neither the loss nor the accuracy on them says how good the model is.

    ```wrong
    data pairs { train npz "sorted.npz"; valid first=4 }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "sorted.npz"; valid split=50% stratify=true }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    classes: tuple[str, ...]
    rows: int

    code = "W451"
    severity = Severity.WARNING

    @property
    def message(self) -> str:
        rows = f"{self.rows} {plural(self.rows, 'row')}"
        return f"the {rows} held out show no class {names_text(self.classes)}"

    @property
    def help(self) -> str:
        return "the file may be sorted: `valid split=10% stratify=true` draws from all classes"
