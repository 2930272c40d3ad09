"""E56: what goes wrong with a zoo of trained models, and where a file of ONNX can be cut."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean


@record
class BadZooIndex(Diagnostic):
    """The index of a zoo is not valid.

    An index is a JSON file whose keys, types and bounds are fixed (docs/zoo.md).  Nothing of it is
    used where anything is wrong.  The place is a JSON pointer: `/models/0/sha256` is the key
    `sha256` of the first model.
    """

    code = "E560"
    exit_status = ExitStatus.FILES
    index: str
    pointer: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"{self.index}{f', {self.pointer}' if self.pointer else ''}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class NoSuchIndex(Diagnostic):
    """There is no model index here.

    `--index` takes a JSON file, a folder with an `index.json`, or the https address of either.
    `dnnc zoo publish` makes such a folder.
    """

    code = "E561"
    exit_status = ExitStatus.FILES
    index: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.index}: {self.reason}"

    @property
    def help(self) -> str:
        return "name a folder with an index.json, the file itself, or its https address"


@record
class NotInIndex(Diagnostic):
    """An index has no model of this name, or no model with the checksum of this file."""

    code = "E562"
    exit_status = ExitStatus.FILES
    index: str
    name: str
    known: tuple[str, ...]
    file: bool = False

    @property
    def message(self) -> str:
        if self.file:
            return f"{self.name}: no model of {self.index} has the sha256 or the name of this file"
        return f"there is no model `{self.name}` in {self.index}"

    @property
    def help(self) -> str:
        if not self.known:
            return "the index is empty; `dnnc zoo publish` adds a model"
        near = did_you_mean(self.name, self.known) if not self.file else ""
        return near or "`dnnc zoo list` shows the models"


@record
class NotAtHand(Diagnostic):
    """The file of a model is not on this machine, or not under the name in the index.

    A model in a PyPI package is taken from the installed package of exactly the version that the
    index names; the package itself is never imported, and needs none of its dependencies.
    """

    code = "E563"
    exit_status = ExitStatus.FILES
    name: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"`{self.name}`: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class OtherFile(Diagnostic):
    """A file differs from its entry in the index: its size or sha256 is different.

    The checksum is compared before anything of a file is read as a network.  A file that differs is
    not kept.
    """

    code = "E564"
    exit_status = ExitStatus.FILES
    file: str
    what: str
    wanted: str
    found: str

    @property
    def message(self) -> str:
        return f"{self.file}: its {self.what} is {self.found}, and the index says {self.wanted}"

    @property
    def help(self) -> str:
        return "it is damaged, or another version: get it again, or ask who keeps the index"


@record
class CannotFetch(Diagnostic):
    """A file cannot be downloaded.

    Addresses begin with https, and so does every address that a server sends on to; a file may not
    be larger than the index says.  Only `dnnc zoo list` and `dnnc zoo get` use the network, and
    only for such an address.
    """

    code = "E565"
    exit_status = ExitStatus.FILES
    address: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"cannot fetch {self.address}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class FileThere(Diagnostic):
    """The output file already exists and is not overwritten."""

    code = "E566"
    exit_status = ExitStatus.FILES
    path: str

    @property
    def message(self) -> str:
        return f"{self.path}: there is a file here already"

    @property
    def help(self) -> str:
        return "name another place with `-o`, or overwrite it with `--force`"


@record
class OtherNetwork(Diagnostic):
    """A file of a zoo has the right checksum, but its network is not as described in the index.

    The names and shapes of inputs, outputs and cut points are compared with the file's own.
    """

    code = "E567"
    exit_status = ExitStatus.FILES
    name: str
    what: str
    wanted: str
    found: str

    @property
    def message(self) -> str:
        return f"`{self.name}`: {self.what} is {self.found}, and the index says {self.wanted}"

    @property
    def help(self) -> str:
        return "fix the index; `dnnc zoo publish` writes an entry from the file itself"


@record
class CannotPublish(Diagnostic):
    """A model cannot be published like this.

    A model has a name of small letters, digits, `-`, `.` and `_`, and a licence as SPDX writes it:
    Apache-2.0, MIT, CC-BY-4.0.
    """

    code = "E568"
    exit_status = ExitStatus.FILES
    what: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"{self.what}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class WrongSizes(Diagnostic):
    """The input size of a file is unknown, or the given size does not fit.

    Some files leave the height and width of their images free; what lies after has known shapes
    only when they are given: `--size 3x48x192`, channels first, without the batch.
    """

    code = "E570"
    exit_status = ExitStatus.USAGE
    file: str
    reason: str
    advice: str

    @property
    def message(self) -> str:
        return f"{self.file}: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice
