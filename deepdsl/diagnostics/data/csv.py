"""Messages about tables in text form: columns, lines and fields of a csv file (E420 to E430)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import ExitStatus, did_you_mean
from deepdsl.diagnostics.data.text import FileDiagnostic, it_looks_like


@record
class ColumnMissing(FileDiagnostic):
    """A csv file does not have the requested column.

    Names are those of the first line. A file without a line of names is read with
    `header=false`: its columns are then called 1, 2, 3 and so on.

    ```wrong
    data pairs { train csv "good.csv" target=lable }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    column: str
    names: tuple[str, ...]
    delimiter: str = ""
    header: bool = True  # the first line is read as names
    parquet: bool = False  # there are no lines

    code = "E420"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" has no column `{self.column}`'

    @property
    def label(self) -> str:
        count = f"{len(self.names)} {plural(len(self.names), 'column')}"
        named = self.header and not self.parquet
        return f"its first line names {count}" if named else f"it has {count}"

    @property
    def help(self) -> str:
        if self.delimiter:
            return f"the columns seem to have a different delimiter: delimiter={self.delimiter}"
        last = len(self.names)
        if not self.header:
            return f"with header=false the columns are called by their numbers, 1 to {last}"
        if last and not self.parquet and all(is_number(name) for name in self.names):
            return (
                "the first line is all numbers: with header=false it is a row, and the columns are "
                f"called by their numbers, 1 to {last} (`target={last}` is the last)"
            )
        return did_you_mean(self.column, self.names)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@record
class DuplicateColumn(FileDiagnostic):
    """Two columns of a csv file have the same name.

    ```wrong
    data pairs { train csv "twice.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    column: str
    first: int
    second: int

    code = "E421"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" has two columns called `{self.column}`'

    @property
    def label(self) -> str:
        return f"columns {self.first} and {self.second}, counted from 1"

    @property
    def help(self) -> str:
        return "rename one in the first line of the file, or choose others with columns=[…]"


@record
class UnnamedColumn(FileDiagnostic):
    """A csv file has a column without a name, and all columns feed the input.

    Most often it is the row number that pandas writes. A network that sees the row number
    learns the order of the file.

    ```wrong
    data pairs { train csv "pandas.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "pandas.csv" target=label columns=[a b c d] }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    number: int
    others: tuple[str, ...]

    code = "E422"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'column {self.number} of "{self.file}" has no name'

    @property
    def label(self) -> str:
        return "it may be the row number that pandas writes"

    @property
    def help(self) -> str:
        if 0 < len(self.others) <= 8:
            return f"leave it out: columns=[{' '.join(self.others)}]"
        return "write the file with index=False, or choose columns with columns=[…]"


@record
class RaggedLine(FileDiagnostic):
    """A line of a csv file does not have as many fields as the first line.

    ```wrong
    data pairs { train csv "ragged.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int
    expected: int
    found: int

    code = "E423"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        fields = f"{self.found} {plural(self.found, 'field')}"
        return f'line {self.line} of "{self.file}" has {fields}, not {self.expected}'

    @property
    def label(self) -> str:
        return f"the first line has {self.expected}"

    @property
    def help(self) -> str:
        if self.found > self.expected:
            return "quote a text that contains the delimiter"
        return "give every line all fields"


@record
class NotANumber(FileDiagnostic):
    """A field that feeds an input or a numeric target contains text.

    A column of texts can be a target (its texts are the classes), but no input: choose the
    inputs with `columns=[…]`.

    ```wrong
    data pairs { train csv "text.csv" target=label columns=[name a b c] }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "text.csv" target=label columns=[a b c d] }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int
    column: str
    text: str
    mostly: bool
    others: tuple[str, ...] = ()

    code = "E424"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        text = self.text if len(self.text) <= 40 else self.text[:36] + " …"
        return f'"{text}" is not a number'

    @property
    def label(self) -> str:
        return f"{self.file}, line {self.line}, column `{self.column}`"

    @property
    def help(self) -> str:
        if not self.mostly:
            return "correct the field, or leave out the line"
        if 0 < len(self.others) <= 8:
            return f"the column is text, leave it out: columns=[{' '.join(self.others)}]"
        return f"the column is text, leave `{self.column}` out: columns=[…] names the others"


@record
class EmptyField(FileDiagnostic):
    """A field of a csv file is empty.

    What a missing value means is a decision about the data, so that it is not made
    silently.

    ```wrong
    data pairs { train csv "empty-field.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int
    column: str

    code = "E425"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"column `{self.column}` is empty"

    @property
    def label(self) -> str:
        return f"{self.file}, line {self.line}"

    @property
    def help(self) -> str:
        return "fill in a value, or leave out the line or the column (columns=[…])"


@record
class EmptyFile(FileDiagnostic):
    """A csv file is empty.

    ```wrong
    data pairs { train csv "nothing.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E426"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" is empty'

    @property
    def help(self) -> str:
        return "its first line holds the names of the columns"


@record
class NoRows(FileDiagnostic):
    """A file is valid but has no rows.

    ```wrong
    data pairs { train csv "header.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E427"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f"{self.file} has no rows"

    @property
    def help(self) -> str:
        return "there must be at least one example"


@record
class NotUtf8(FileDiagnostic):
    """A csv file is not in UTF-8.

    ```wrong
    data pairs { train csv "latin.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int
    wide: bool = False
    looks_like: str = ""  # the source that would read it, or `gzip`

    code = "E428"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" is not UTF-8 text'

    @property
    def label(self) -> str:
        if self.looks_like:
            return "it is not text"
        return "it looks like UTF-16" if self.wide else f"line {self.line} holds other bytes"

    @property
    def help(self) -> str:
        if self.looks_like == "gzip":
            return f'it is compressed: `gunzip "{self.file}"` unpacks it, csv reads plain text'
        if self.looks_like:
            return it_looks_like(self.looks_like, self.file)
        return "save it as UTF-8 (Excel: “CSV UTF-8”)"


@record
class BrokenLine(FileDiagnostic):
    """A line of a csv file that cannot be split into fields: a quote that is not closed, or no
    end in sight.

    ```wrong
    data pairs { train csv "quote.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int
    problem: str

    code = "E429"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'line {self.line} of "{self.file}" cannot be read'

    @property
    def label(self) -> str:
        return self.problem

    @property
    def help(self) -> str:
        return 'a text with quotes in it is written "like ""this"""'


@record
class FileChanged(FileDiagnostic):
    """A file whose rows are read as they are needed was changed while it was in use.

    ```wrong
    data pairs { train csv "changing.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train csv "good.csv" target=label }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    line: int

    code = "E430"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" changed while it was in use'

    @property
    def label(self) -> str:
        return f"line {self.line} is not what it was"

    @property
    def help(self) -> str:
        return "start again, and leave the file as it is"
