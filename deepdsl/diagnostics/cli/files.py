"""Messages about the `.dnn` file as a file, and about which of its sections is meant."""

from __future__ import annotations

import errno

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, Severity, did_you_mean


@record
class CannotReadPath(Diagnostic):
    """A file that was named on the command line cannot be read."""

    code = "E608"
    exit_status = ExitStatus.FILES
    path: str
    reason: str

    @property
    def message(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


@record
class NothingInFile(Diagnostic):
    """A `.dnn` file is empty, or has only comments.

    Most often it was not saved, or another file was meant.

    ```wrong
    # the model goes here
    ```

    ```right
    model net { input x[4]; dense 3 | softmax }
    ```
    """

    code = "W437"
    severity = Severity.WARNING

    @property
    def message(self) -> str:
        return "there is nothing in this file"

    @property
    def help(self) -> str:
        return "add a `model NAME { … }`; `dnnc new` writes a starter file"


@record
class FileTrouble(Diagnostic):
    """The operating system refuses to write, create or open a file or directory.

    It may lack a folder above it, a file may be where a folder is wanted, the disk may be full, or it may
    belong to someone else.
    """

    code = "E609"
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


# What can be done about a refusal of the system.
_ELSEWHERE = "make the folder first, or name another place"
_ROOM = "make room, or name another place; nothing that was complete is lost"
_ADVICE = {
    errno.EACCES: "name a place where you may write, or change who may write there",
    errno.EROFS: "name a place where you may write",
    errno.ENOENT: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def refusal(error: OSError) -> FileTrouble | None:
    """What the system refused, where it says of which file, or that there is no room for any."""
    if not error.strerror or (error.filename is None and error.errno not in _FULL):
        return None
    path = str(error.filename) if error.filename is not None else "a file cannot be written"
    return FileTrouble(None, path, error.strerror.lower(), _ADVICE.get(error.errno or 0, ""))


@record
class NoTraining(Diagnostic):
    """A file has no `train` section, or several and none was chosen."""

    code = "E308"
    model: str
    trainings: tuple[str, ...]

    @property
    def message(self) -> str:
        if self.model:
            return f"there is no training of a model `{self.model}`"
        return f"the file has {len(self.trainings) or 'no'} train {plural(len(self.trainings), 'section')}"

    @property
    def help(self) -> str:
        if not self.trainings:
            return "add one: `train MODEL on DATA { loss cross_entropy … }`"
        near = did_you_mean(self.model, self.trainings) if self.model else ""
        return (
            near if near.startswith("did") else "choose with --model: " + ", ".join(self.trainings)
        )


@record
class NoModel(Diagnostic):
    """A file has no model of this name, or several and none was chosen."""

    code = "E309"
    model: str
    models: tuple[str, ...]

    @property
    def message(self) -> str:
        if self.model:
            return f"there is no model `{self.model}` in the file"
        return f"the file has {len(self.models) or 'no'} models"

    @property
    def help(self) -> str:
        if not self.models:
            return "add one: `model NAME { … }`"
        near = did_you_mean(self.model, self.models) if self.model else ""
        return near if near.startswith("did") else "choose with --model: " + ", ".join(self.models)


@record
class BadSetting(Diagnostic):
    """A `--set` is not of the form ROW.OPTION=VALUE, or names something that the file does not have.

    `--set optimizer.lr=0.1` changes an option of a row of the train section, `--set batch=64` the
    value of a row, `--set warm_up.optimizer.lr=0.1` and `--set warm_up.epochs=3` those of a phase.
    `data.take=500` is a row of the data section, `let.depth=3` a constant,
    `default.dense.init=he_normal` an option of all layers of a kind, `reuse.layers=2` an option of
    the piece that is reused; where several are, `reuse:old.net.body.layers=2`.
    """

    code = "E310"
    exit_status = ExitStatus.USAGE
    setting: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"cannot read the setting `{self.setting}`"

    @property
    def help(self) -> str:
        usual = "write ROW.OPTION=VALUE, such as optimizer.lr=0.1, or ROW=VALUE, such as batch=64"
        return self.advice or usual
