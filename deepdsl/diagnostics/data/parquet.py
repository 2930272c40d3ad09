"""Messages about parquet files (E471 to E474)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import ExitStatus
from deepdsl.diagnostics.data.text import FileDiagnostic, it_looks_like


@record
class NotParquet(FileDiagnostic):
    """A file is not in parquet format, or is damaged.

    A parquet file begins and ends with the bytes `PAR1`. What pyarrow says of it is in the message.

    ```wrong
    data rows { train parquet "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data rows { train parquet "good.parquet" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    reason: str
    other: str = ""

    code = "E471"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" is not a parquet file, or is damaged'

    @property
    def label(self) -> str:
        return self.reason

    @property
    def help(self) -> str:
        if self.other:
            return it_looks_like(self.other, self.file)
        return "fetch or write the file again"


@record
class NullValue(FileDiagnostic):
    """A column has a missing value.

    `df.dropna()` or `df.fillna(0)` in pandas, before the file is written.

    ```wrong
    data rows { train parquet "nulls.parquet" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data rows { train parquet "good.parquet" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    column: str
    row: int

    code = "E472"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return (
            f'"{self.file}" has no value in column `{self.column}`, row {self.row} (counted from 0)'
        )

    @property
    def help(self) -> str:
        return "fill the gaps before the file is written, or leave such rows out"


@record
class ColumnType(FileDiagnostic):
    """The type of a column does not fit the input or target.

    Inputs take numbers, lists of numbers, or images as bytes; targets take numbers and texts.

    ```wrong
    data rows { train parquet "texts.parquet" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data rows { train parquet "texts.parquet" target=label columns=[a b c d] }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    column: str
    kind: str
    use: str
    others: tuple[str, ...] = ()
    advice: str = ""

    code = "E473"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"column `{self.column}` holds {self.kind}, which cannot feed `{self.use}`"

    @property
    def help(self) -> str:
        if self.advice:
            return self.advice
        if self.others:
            return f"name the columns: `columns=[{' '.join(self.others[:8])}]`"
        return "name another column"


@record
class RaggedLists(FileDiagnostic):
    """A column has lists of different lengths, but all rows of an input have the same shape.

    ```wrong
    data rows { train parquet "ragged.parquet" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data rows { train parquet "good.parquet" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on rows { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    column: str
    row: int
    found: int
    wanted: int

    code = "E474"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"the lists in column `{self.column}` have different lengths"

    @property
    def label(self) -> str:
        return f"row {self.row} (counted from 0) has {self.found}, those before have {self.wanted}"

    @property
    def help(self) -> str:
        return "pad or cut the lists before the file is written"
