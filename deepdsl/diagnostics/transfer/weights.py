"""E52: the files and runs that the weights of reused layers come from."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus


@record
class NoWeights(Diagnostic):
    """A piece of a used file is reused without saying where its trained weights are.

    `use "fashion.dnn" as fashion weights="runs/fashion"` names them for all of the file, `reuse
    fashion.mlp.body weights="runs/fashion"` for one piece: a run directory, a checkpoint in it, a
    `.safetensors`, a `.npz`, the `model.json` of TensorFlow.js, or an `.onnx`.  Layers without
    trained weights are had by a `block`.
    """

    code = "E520"
    exit_status = ExitStatus.FILES
    path: str

    @property
    def message(self) -> str:
        return f"nothing says where the weights of `{self.path}` are"

    @property
    def help(self) -> str:
        return f'write `reuse {self.path} weights="runs/NAME"`, or `weights=` on the `use` line'


@record
class ModelNotTrained(Diagnostic):
    """A piece of a model of the same file is reused, but that model has not been trained yet.

    Its weights are those that its own training ends with.  `dnnc train FILE` trains the models of a
    file in the order in which they need each other.
    """

    code = "E521"
    exit_status = ExitStatus.FILES
    path: str
    model: str
    file: str
    place: str = ""

    @property
    def message(self) -> str:
        where = f" (there is none in {self.place})" if self.place else ""
        return f"`{self.path}` needs a run of the model `{self.model}`{where}"

    @property
    def help(self) -> str:
        section = f"train {self.model} on DATA {{ … }}"
        return f"train it first, by `{section}`: `dnnc train {self.file} --model {self.model}`"


@record
class NoSuchWeights(Diagnostic):
    """The file or directory of the weights does not exist.

    Paths in a file are relative to the file.
    """

    code = "E522"
    exit_status = ExitStatus.FILES
    path: str
    advice: str = ""
    reason: str = "there is no such file or folder"

    @property
    def message(self) -> str:
        return f"{self.path}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class UnknownWeights(Diagnostic):
    """Weights cannot be read from this kind of file.

    Read are run directories and checkpoints of `dnnc train`, `.safetensors`, `.npz`, the
    `model.json` of TensorFlow.js, and `.onnx`.  A `.pt`, `.pth`, `.bin` or `.pkl` is a pickle,
    a program that runs when it is opened: nothing is unpickled here.  `.h5` and `.keras` are
    HDF5.  One line where the file was made writes another kind:

        safetensors.torch.save_file(model.state_dict(), "model.safetensors")       # PyTorch
        np.savez("model.npz", **{w.path: w.numpy() for w in model.weights})        # Keras
    """

    code = "E523"
    exit_status = ExitStatus.FILES
    path: str
    what: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"{self.path} is {self.what}"

    @property
    def help(self) -> str:
        return self.advice


@record
class DamagedWeights(Diagnostic):
    """A file of weights is not as it was written: it is empty, cut short, or says of itself what
    cannot be.

    Nothing of it is used.
    """

    code = "E524"
    exit_status = ExitStatus.FILES
    path: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"{self.path} cannot be read: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice or "write it again where it was made, or fetch it again"


@record
class WrongNumbers(Diagnostic):
    """A tensor holds something else than the numbers of a layer: whole numbers, texts, Python
    objects, or numbers of 8 bits.

    Taken are float32, float16, bfloat16 and float64.  Whole numbers are most often a quantized
    tensor without its scale, or labels, and would be nonsense as weights.
    """

    code = "E525"
    exit_status = ExitStatus.FILES
    path: str
    tensor: str
    dtype: str

    @property
    def message(self) -> str:
        return f"`{self.tensor}` of {self.path} holds {self.dtype}, which are not weights"

    @property
    def help(self) -> str:
        return "write it as float32, or leave its layer out with `without=`"


@record
class WeightsNotFinite(Diagnostic):
    """A tensor of trained weights has numbers that are NaN or infinite.

    The training that made it diverged, or the file was damaged on its way.  Nothing can be learned
    on top of it: everything after it would be NaN.
    """

    code = "E526"
    exit_status = ExitStatus.FILES
    path: str
    tensor: str
    count: int
    total: int
    too_large: bool = False

    @property
    def message(self) -> str:
        what = "too large for float32" if self.too_large else "NaN or infinite"
        return (
            f"{self.count:,} of {self.total:,} numbers in `{self.tensor}` are {what} ({self.path})"
        )

    @property
    def help(self) -> str:
        return 'take an earlier checkpoint (`weights="RUN/checkpoints/best"`), or train again'
