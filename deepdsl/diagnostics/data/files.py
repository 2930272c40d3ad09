"""Messages about the files that hold data: missing, damaged, too large (E401 to E409)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import ExitStatus, closest
from deepdsl.diagnostics.data.text import FileDiagnostic, shape_text, size_text


@record
class FileMissing(FileDiagnostic):
    """A file named in a data section does not exist.

    Paths are relative to the folder of the `.dnn` file.

    ```wrong
    data pairs { train npz "no-such-file.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model m { input image[8 8]; flatten; dense 10 | softmax }
    train m on digits { loss cross_entropy; optimizer sgd lr=0.1; batch 32; epochs 1; seed 1 }
    ```
    """

    code = "E401"
    exit_status = ExitStatus.FILES
    folder: str
    folder_exists: bool
    near: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return f'there is no file "{self.file}"'

    @property
    def label(self) -> str:
        return f"looked in {self.folder}" + ("" if self.folder_exists else ", which does not exist")

    @property
    def help(self) -> str:
        near = closest(self.file, self.near)
        if near is not None and near != self.file:
            return f'did you mean "{near}"?'
        return "paths are relative to the folder of the .dnn file"


@record
class NotAFile(FileDiagnostic):
    """A data section names a directory, a device or a pipe instead of a file.

    ```wrong
    data pairs { train npz "." }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E402"
    exit_status = ExitStatus.FILES
    what: str
    advice: str = "name the file itself"

    @property
    def message(self) -> str:
        return f'"{self.file}" is {self.what}, not a file'

    @property
    def help(self) -> str:
        return self.advice


@record
class CannotReadDataFile(FileDiagnostic):
    """The file is there, and the operating system does not let it be read; its own words are in
    the message.

    ```wrong
    data pairs { train npz "forbidden.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E403"
    exit_status = ExitStatus.FILES
    reason: str

    @property
    def message(self) -> str:
        return f'"{self.file}" cannot be read: {self.reason.lower()}'

    @property
    def help(self) -> str:
        if "no such file" in self.reason.lower():
            return "it was there when the folder was opened: put it back, or start again without it"
        return "check who may read the file"


@record
class NotGzip(FileDiagnostic):
    """A file whose name ends in `.gz` is not compressed.

    Browsers often unpack such files and keep the name.

    ```wrong
    data numbers { train idx "plain.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train idx "rows.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E404"
    exit_status = ExitStatus.FILES

    @property
    def message(self) -> str:
        return f'"{self.file}" is called .gz and is not gzip data'

    @property
    def help(self) -> str:
        return f'if it is unpacked already, rename it to "{self.file.removesuffix(".gz")}"'


@record
class BrokenGzip(FileDiagnostic):
    """Compressed data that ends early or was changed. Most often a download that stopped.

    ```wrong
    data numbers { train idx "truncated.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train idx "rows.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E405"
    exit_status = ExitStatus.FILES
    truncated: bool
    size: int

    @property
    def message(self) -> str:
        if self.truncated:
            return f'"{self.file}" ends in the middle of its compressed data'
        return f'the compressed data of "{self.file}" is damaged'

    @property
    def label(self) -> str:
        return f"the file has {size_text(self.size)}"

    @property
    def help(self) -> str:
        return "fetch the file again"


@record
class WrongSize(FileDiagnostic):
    """The header of a file promises more data, or less, than there is.

    Most often a copy that stopped.

    ```wrong
    data numbers { train idx "short.idx" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train idx "rows.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E408"
    exit_status = ExitStatus.FILES
    shape: tuple[int, ...]
    expected: int
    found: int | None

    @property
    def message(self) -> str:
        few = self.found is None or self.found < self.expected
        return f'"{self.file}" has {"less" if few else "more"} data than its header says'

    @property
    def label(self) -> str:
        found = "the file cannot hold that" if self.found is None else f"there are {self.found}"
        return f"{shape_text(self.shape)} is {self.expected} bytes, {found}"

    @property
    def help(self) -> str:
        return "fetch or write the file again"


@record
class DoesNotFit(FileDiagnostic):
    """Compressed data is unpacked into memory, and this file unpacks to more than the machine
    has.

    ```wrong
    data numbers { train idx "huge.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train npy "good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E409"
    exit_status = ExitStatus.FILES
    needed: int
    memory: int

    @property
    def message(self) -> str:
        return f'"{self.file}" does not fit into memory'

    @property
    def label(self) -> str:
        return f"it unpacks to {size_text(self.needed)}, the machine has {size_text(self.memory)}"

    @property
    def help(self) -> str:
        return "store it as .npy: `npy` reads rows from the disk as they are needed"
