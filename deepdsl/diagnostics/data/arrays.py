"""Messages about idx, npy and npz files (E406 to E414)."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import ExitStatus, did_you_mean
from deepdsl.diagnostics.data.text import FileDiagnostic, it_looks_like


@record
class NotIdx(FileDiagnostic):
    """An idx file (the format of MNIST) begins with two zero bytes, a type and a number of
    dimensions.

    ```wrong
    data numbers { train idx "good.npz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train idx "rows.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E406"
    exit_status = ExitStatus.FILES
    start: str
    looks_like: str = ""

    @property
    def message(self) -> str:
        return f'"{self.file}" is not an idx file'

    @property
    def label(self) -> str:
        return f"it begins with {self.start}" if self.start else "it is empty"

    @property
    def help(self) -> str:
        if self.looks_like:
            return it_looks_like(self.looks_like, self.file)
        return "an idx file begins with 00 00, a type (08 is a byte) and the number of dimensions"


@record
class IdxType(FileDiagnostic):
    """The third byte of an idx file says what its numbers are; this one says something that does
    not exist.

    ```wrong
    data numbers { train idx "strange.idx" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train idx "rows.gz" target="labels.gz"; scale (1 / 255) }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E407"
    exit_status = ExitStatus.FILES
    number: int

    @property
    def message(self) -> str:
        return f'the numbers of "{self.file}" are of an unknown type'

    @property
    def label(self) -> str:
        return f"its third byte is {self.number:02x}"

    @property
    def help(self) -> str:
        return "an idx file holds 08, 09 (bytes), 0b, 0c (integers), 0d or 0e (floats)"


@record
class NotNpy(FileDiagnostic):
    """A NumPy file has a header with the type and the shape of its array; this one has none that
    can be read.

    ```wrong
    data numbers { train npy "rows.gz" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data numbers { train npy "good.npy" target="labels.npy" }
    model m { input x[4]; dense 2 | softmax }
    train m on numbers { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E410"
    exit_status = ExitStatus.FILES
    array: str
    problem: str
    looks_like: str = ""

    @property
    def message(self) -> str:
        what = f'array `{self.array}` of "{self.file}"' if self.array else f'"{self.file}"'
        return f"{what} is not in NumPy's format"

    @property
    def label(self) -> str:
        return self.problem

    @property
    def help(self) -> str:
        if self.looks_like:
            return it_looks_like(self.looks_like, self.file)
        return "write it with numpy.save or numpy.savez"


@record
class PickledArray(FileDiagnostic):
    """An array of Python objects is stored as a pickle, and reading a pickle runs whatever code
    is in it.

    Such arrays are never read.

    ```wrong
    data pairs { train npz "objects.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E411"
    exit_status = ExitStatus.FILES
    array: str

    @property
    def message(self) -> str:
        what = f'array `{self.array}` of "{self.file}"' if self.array else f'"{self.file}"'
        return f"{what} holds Python objects"

    @property
    def label(self) -> str:
        return "reading them would run code contained in the file"

    @property
    def help(self) -> str:
        return "store numbers or texts: numpy.save(file, array.astype('float32'))"


@record
class ArrayType(FileDiagnostic):
    """Inputs are numbers: integers, floats or booleans.

    Labels may be texts too. Complex numbers, dates, records and bytes cannot be learned from.

    ```wrong
    data pairs { train npz "dates.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E412"
    exit_status = ExitStatus.FILES
    found: str
    use: str
    advice: str = "store it as integers or floats"

    @property
    def message(self) -> str:
        return f"`{self.use}` takes numbers, {self.file} holds {self.found}"

    @property
    def help(self) -> str:
        return self.advice


@record
class BrokenZip(FileDiagnostic):
    """An npz file is a zip of arrays; this one is damaged, encrypted, or no zip at all.

    ```wrong
    data pairs { train npz "labels.gz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E413"
    exit_status = ExitStatus.FILES
    problem: str
    looks_like: str = ""

    @property
    def message(self) -> str:
        return f'"{self.file}" is not a sound npz file'

    @property
    def label(self) -> str:
        return self.problem

    @property
    def help(self) -> str:
        if self.looks_like:
            return it_looks_like(self.looks_like, self.file)
        return "fetch it again, or write it with numpy.savez"


@record
class ArrayMissing(FileDiagnostic):
    """An npz file holds arrays by name, and none has the name that is asked for.

    One input is fed by `x` and one target by `y` unless the program says otherwise.

    ```wrong
    data pairs { train npz "good.npz" x=xx }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```

    ```right
    data pairs { train npz "good.npz" x=x }
    model m { input x[4]; dense 2 | softmax }
    train m on pairs { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    ```
    """

    code = "E414"
    exit_status = ExitStatus.FILES
    array: str
    use: str
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        return f'"{self.file}" has no array `{self.array}`'

    @property
    def label(self) -> str:
        return f"it is to feed `{self.use}`"

    @property
    def help(self) -> str:
        near = did_you_mean(self.array, self.names)
        if not near:
            return "the file holds no arrays" if not self.names else f"name one: `{self.use}=NAME`"
        return near if near.startswith("did") else f"{near} (`{self.use}=NAME` picks one)"
