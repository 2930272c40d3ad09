"""E54–E55: files of other programs: ONNX graphs that are read to be reused."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean


@record
class NotAnOnnxFile(Diagnostic):
    """A file in `use "….onnx"` is not a readable ONNX graph.

    It may have been cut off while it was downloaded, be a page of a web site that says so, a pointer
    of Git LFS, or a file of another kind with this name.  Nothing of it is run or unpickled.
    """

    code = "E540"
    exit_status = ExitStatus.FILES
    path: str
    reason: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"cannot use {self.path}: {self.reason}"

    @property
    def help(self) -> str:
        return self.hint or "fetch it again, or export it again where it was made"


@record
class DataOutside(Diagnostic):
    """An ONNX file refers to weights outside of its directory.

    A path that leads out of the folder, or a link, could make any file of this computer part of a
    network that is then given away.  Weights must lie beside the ONNX file, or below it.
    """

    code = "E541"
    exit_status = ExitStatus.FILES
    path: str
    tensor: str
    location: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.path} keeps the weights `{self.tensor}` in {self.location!r}, {self.reason}"

    @property
    def help(self) -> str:
        return (
            "put a copy of that file beside the ONNX file, and save the model again with the plain"
            " name of the copy; or save it with its weights inside"
        )


@record
class DataMissing(Diagnostic):
    """An ONNX file refers to a weight file that is missing or too short."""

    code = "E542"
    exit_status = ExitStatus.FILES
    path: str
    tensor: str
    location: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.path} keeps the weights `{self.tensor}` in {self.location!r}: {self.reason}"

    @property
    def help(self) -> str:
        return "an ONNX file with weights of its own files is copied together with them"


@record
class OnnxTooLarge(Diagnostic):
    """An ONNX file is too large.

    The format holds 2 GiB; larger models keep their weights in files beside it.
    """

    code = "E543"
    exit_status = ExitStatus.FILES
    path: str
    size: int
    limit: int

    @property
    def message(self) -> str:
        return f"{self.path} has {self.size:,} bytes, and an ONNX file at most {self.limit:,}"

    @property
    def help(self) -> str:
        return "save the model with external data: its weights in a file beside it"


@record
class NoSuchTensor(Diagnostic):
    """A cut of an ONNX graph names a tensor that does not exist.

    `until=` and `from=` name tensors, `without=` nodes, or what their names begin with.
    `dnnc surgery FILE.onnx` lists the places where a graph can be cut.
    """

    code = "E544"
    path: str
    name: str
    what: str
    candidates: tuple[str, ...] = ()
    hint: str = ""

    @property
    def message(self) -> str:
        return f"{self.path} has no {self.what} `{self.name}`"

    @property
    def help(self) -> str:
        near = did_you_mean(self.name, self.candidates)
        if self.hint or near.startswith("did"):
            return self.hint or near
        listed = f"`dnnc surgery {self.path}` lists the places to cut"
        return f"{near}; {listed}" if near else listed


@record
class NotOneInput(Diagnostic):
    """A piece of an ONNX graph does not depend on exactly one input.

    What flows into a `reuse` is one value.  A piece with several inputs can be cut after the place
    where they come together, with `from=`.
    """

    code = "E545"
    path: str
    output: str
    inputs: tuple[str, ...]

    @property
    def message(self) -> str:
        if not self.inputs:
            return f"`{self.output}` in {self.path} depends on no input"
        told = ", ".join(f"`{name}`" for name in self.inputs)
        return f"`{self.output}` in {self.path} depends on {len(self.inputs)} inputs: {told}"

    @property
    def help(self) -> str:
        if not self.inputs:
            return "name a tensor that is computed from the input"
        return 'start after the point where they join: `from="TENSOR"`'


@record
class SeveralOnnxOutputs(Diagnostic):
    """An ONNX graph has several outputs, and `reuse` does not say which is meant."""

    code = "E546"
    path: str
    outputs: tuple[str, ...]

    @property
    def message(self) -> str:
        told = ", ".join(f"`{name}`" for name in self.outputs)
        return f"{self.path} has {len(self.outputs)} outputs: {told}"

    @property
    def help(self) -> str:
        return f'say which one is meant: `until="{self.outputs[0]}"`'


@record
class OtherShape(Diagnostic):
    """The shape of the input does not fit the piece of the ONNX graph.

    Shapes are those of one row, without the batch.  Images are channels first here, [channels height
    width]; a graph that was made by TensorFlow may want them last.
    """

    code = "E547"
    path: str
    tensor: str
    wanted: str
    given: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"`{self.tensor}` in {self.path} takes {self.wanted}"

    @property
    def label(self) -> str:
        return f"it was given {self.given}"

    @property
    def help(self) -> str:
        return self.hint


@record
class NotOneFlow(Diagnostic):
    """What `without=` names cannot be removed: the rest would not be a single flow.

    What is dropped is at the end of the graph, so that what flowed into it is the output, or in
    its middle, with one value in and one out, so that one takes the place of the other.
    """

    code = "E548"
    path: str
    name: str
    ins: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def message(self) -> str:
        ins, outs = (f"{len(x)} {plural(len(x), 'value')}" for x in (self.ins, self.outs))
        return f"`{self.name}` cannot be left out of {self.path}: {ins} go in and {outs} come out"

    @property
    def help(self) -> str:
        several = self.ins if len(self.ins) > 1 else self.outs
        if not self.ins:
            return 'it is the start of the graph: start after it with `from="TENSOR"`'
        told = ", ".join(f"`{name}`" for name in several[:4])
        return f'of {told}; cut with `until="TENSOR"` instead'


@record
class CannotTake(Diagnostic):
    """An operator of an ONNX graph can be neither converted to a layer nor run unchanged.

    Its result may have a size that only its run shows, look at several rows at once, or be of a kind
    that no tensor here has; or it is not as its standard says.  What lies after it can be used
    alone, with `from=`, and what lies before it, with `until=`.
    """

    code = "E549"
    path: str
    operator: str
    node: str
    tensor: str
    reason: str
    hint: str = ""

    @property
    def message(self) -> str:
        named = f" (node `{self.node}`)" if self.node else ""
        return (
            f"the operator {self.operator}{named} that makes `{self.tensor}` in {self.path} cannot"
            f" be taken: {self.reason}"
        )

    @property
    def help(self) -> str:
        return self.hint or 'end before it: `until="TENSOR"`'


@record
class NewerOnnx(Diagnostic):
    """The version of an ONNX file is too new for the installed onnx package."""

    code = "E550"
    exit_status = ExitStatus.FILES
    path: str
    found: str
    known: str

    @property
    def message(self) -> str:
        return f"{self.path} is of {self.found}, and the installed onnx knows {self.known}"

    @property
    def help(self) -> str:
        return "`pip install --upgrade onnx`, or export the model for an earlier opset"


@record
class NoBatchAxis(Diagnostic):
    """The output of a piece of an ONNX graph does not have one row for each row of its input.

    A network here maps each row to a row.  The graph may have the batch at another axis, put rows
    together, or look at the first one alone.
    """

    code = "E551"
    path: str
    tensor: str
    shape: str

    @property
    def message(self) -> str:
        return f"`{self.tensor}` in {self.path} has no row for each row: its shape is {self.shape}"

    @property
    def help(self) -> str:
        return 'end at another tensor: `until="TENSOR"`'
