"""E6: what goes wrong while a graph runs: devices, numbers, runs and their files."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean


@record
class NoSuchDevice(Diagnostic):
    """The requested device cannot be used. There is no silent fallback to a different one.

    `--device cuda` needs an NVIDIA GPU with its driver, and the CUDA and cuDNN libraries: `pip
    install "deepdsl[cuda]"` brings the libraries.  `dnnc doctor` shows what this machine can run;
    `--device auto` takes what there is.
    """

    code = "E601"
    exit_status = ExitStatus.RUNTIME
    device: str
    reason: str
    available: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"the device `{self.device}` cannot be used: {self.reason}"

    @property
    def help(self) -> str:
        if self.device in ("gpu", "nvidia"):
            return "did you mean `cuda`?"
        near = did_you_mean(self.device, self.available)
        if near.startswith("did"):
            return near
        return "use `--device cpu` or `--device auto`; `dnnc doctor` says what this machine can run"


@record
class NonFiniteNumber(Diagnostic):
    """A number became NaN or infinite, so training was stopped.

    The message names the first tensor, in the order of computation, that is not finite.  A loss
    that grows for a while before is divergence: a smaller learning rate, or `clip global_norm=1`,
    is the remedy.  A logarithm or division in the data's own preparation may be the cause when it
    happens at once.
    """

    code = "E602"
    exit_status = ExitStatus.NUMBERS
    tensor: str
    what: str
    epoch: int
    step: int
    checkpoint: str = ""

    @property
    def message(self) -> str:
        return f"{self.tensor} is {self.what} in step {self.step} (epoch {self.epoch})"

    @property
    def help(self) -> str:
        kept = f"; the last good weights are in {self.checkpoint}" if self.checkpoint else ""
        return f"try a smaller lr or a row `clip global_norm=1`{kept}"


@record
class NoSuchRun(Diagnostic):
    """A run directory, a checkpoint or a model file is missing or not valid.

    A run directory is made by `dnnc train`; it holds `spec.dnn`, `manifest.json` and
    `checkpoints/`.
    """

    code = "E603"
    exit_status = ExitStatus.FILES
    path: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"{self.path}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class DamagedCheckpoint(Diagnostic):
    """A checkpoint is damaged: a checksum differs, or a file cannot be read.

    Nothing of it is used.  `checkpoints/last` and `checkpoints/best` are independent of one
    another.
    """

    code = "E604"
    exit_status = ExitStatus.FILES
    path: str
    reason: str

    @property
    def message(self) -> str:
        return f"the checkpoint {self.path} is damaged: {self.reason}"

    @property
    def help(self) -> str:
        return "train again, or take the other checkpoint of the run (`last`, `best`)"


@record
class CannotResume(Diagnostic):
    """A run cannot be resumed with a different network or training.

    The model, the loss, the rows that are learned from and held out, the transforms, the kind of
    optimizer, `batch`, `accumulate` and `seed` must be those of the run, as its `spec.dnn` has
    them.  `epochs`, `stop`, `metric`, `clip`, `schedule` (but for `plateau`, which keeps a tensor),
    the optimizer's rates and the test rows may change.  A new network needs a new run.
    """

    code = "E605"
    exit_status = ExitStatus.FILES
    run: str
    reason: str

    @property
    def message(self) -> str:
        return f"the run {self.run} cannot be resumed: {self.reason}"

    @property
    def help(self) -> str:
        return "train without `--resume`, into another directory with `--out`"


@record
class ExportDiffers(Diagnostic):
    """The exported model differs from the evaluation graph by more than the tolerance; no file was written.

    Folding batch norms and another order of operations change the last digits.  A large difference
    is a fault: please report it.
    """

    code = "E606"
    exit_status = ExitStatus.NUMBERS
    difference: float
    tolerance: float

    @property
    def message(self) -> str:
        return f"the exported model differs by {self.difference:.3g}, more than {self.tolerance:g}"

    @property
    def help(self) -> str:
        return "export with `--no-fold`, or allow more with `--verify`"


@record
class RuntimeFailed(Diagnostic):
    """The runtime, onnxruntime, refused a graph or failed while running it."""

    code = "E607"
    exit_status = ExitStatus.RUNTIME
    what: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.what} failed: {self.reason}"

    @property
    def help(self) -> str:
        return "`dnnc doctor` shows the versions in use"


@record
class WrongFormat(Diagnostic):
    """The format of a file, given by its name, is not supported here.

    Rows are read from .npz, .npy, .csv and idx files; predictions are written as .csv, .npz or .jsonl.
    """

    code = "E611"
    exit_status = ExitStatus.FILES
    path: str
    what: str
    formats: str

    @property
    def message(self) -> str:
        return f"{self.path}: not a supported format for {self.what}"

    @property
    def help(self) -> str:
        return f"the formats are {self.formats}"


@record
class NoSuchSplit(Diagnostic):
    """The data does not have the rows on which the model should be measured.

    `--split` names the `train`, `valid` or `test` row of a data section.
    """

    code = "E612"
    exit_status = ExitStatus.FILES
    data: str
    reason: str
    advice: str

    @property
    def message(self) -> str:
        return f"{self.data}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class RunExists(Diagnostic):
    """The directory of a new run already contains a run, which is not overwritten."""

    code = "E613"
    exit_status = ExitStatus.FILES
    path: str

    @property
    def message(self) -> str:
        return f"{self.path}: there already is a run here"

    @property
    def help(self) -> str:
        return "continue it with `--resume`, or choose a different directory with `--out`"


@record
class CannotSample(Diagnostic):
    """Monte Carlo sampling was requested for a model without noise layers, or for a file that cannot be sampled.

    `--samples` runs a trained model several times with its dropout (and other noise layers) at work
    (Monte-Carlo dropout).  It needs a run directory, a noise layer in the model, and two passes or
    more.
    """

    code = "E614"
    exit_status = ExitStatus.USAGE
    model: str
    reason: str
    advice: str

    @property
    def message(self) -> str:
        return f"{self.model} cannot be sampled: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class MissingPackage(Diagnostic):
    """A Python package that is needed for this is not installed.

    The package belongs to an extra of this one: `pip install "deepdsl[tensorboard]"` brings what
    `--tensorboard` needs.  Nothing else needs it.
    """

    code = "E615"
    exit_status = ExitStatus.RUNTIME
    package: str
    purpose: str
    extra: str

    @property
    def message(self) -> str:
        return f"{self.purpose} needs the package `{self.package}`, which is not installed"

    @property
    def help(self) -> str:
        return f'pip install "deepdsl[{self.extra}]"'


@record
class FrozenMoved(Diagnostic):
    """A frozen tensor changed during the training.

    After each stage all frozen tensors are compared with what they were when it began.  A
    difference is a fault of deepdsl, not of the file.
    """

    code = "E616"
    exit_status = ExitStatus.FILES
    tensor: str

    @property
    def message(self) -> str:
        return f"the frozen tensor `{self.tensor}` has changed"

    @property
    def label(self) -> str:
        return "it was frozen and should be unchanged"

    @property
    def help(self) -> str:
        return "this is a bug in deepdsl: please report it, with the file"
