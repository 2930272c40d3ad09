"""E50: pieces of trained networks that are reused."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import Diagnostic, did_you_mean


@record
class UnknownPiece(Diagnostic):
    """There is nothing to reuse under this name.

    A path names a part, a use of a block or a layer of a model: `FILE.MODEL.PART` of a used file,
    `MODEL.PART` of this one. `dnnc inspect` shows the paths of a model. `until=`, `from=` and
    `without=` name layers and parts inside of the piece.

    ```wrong
    model coder { input x[8]; part body { dense 4 | relu }; dense 8 }
    model net { input x[8]; reuse coder.bdy | dense 3 | softmax }
    ```
    ```right
    model coder { input x[8]; part body { dense 4 | relu }; dense 8 }
    model net { input x[8]; reuse coder.body | dense 3 | softmax }
    ```
    """

    code = "E500"
    name: str
    where: str
    candidates: tuple[str, ...] = ()
    hint: str = ""

    @property
    def message(self) -> str:
        return f"{self.where} has no `{self.name}`"

    @property
    def label(self) -> str:
        return "this is not there"

    @property
    def help(self) -> str:
        if self.hint:
            return self.hint
        near = did_you_mean(self.name, self.candidates)
        if near or not self.candidates:
            return near
        return "it has " + ", ".join(self.candidates[:8]) + ", …"


@record
class CannotReuse(Diagnostic):
    """A piece cannot be cut out of its network like this.

    One value flows into a piece, and one comes out. A cut through the middle of a residual block
    would leave a value that flows around it; a model with two inputs cannot be a step of a flow.

    ```wrong
    model source { input x[8]; a = x | dense 8 | relu; a + x | dense 8 | relu }
    model net { input x[8]; reuse source from=add_1 | dense 3 | softmax }
    ```
    ```right
    model source { input x[8]; a = x | dense 8 | relu; a + x | dense 8 | relu }
    model net { input x[8]; reuse source from=dense_2 | dense 3 | softmax }
    ```
    """

    code = "E501"
    path: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"`{self.path}` cannot be reused like this"

    @property
    def label(self) -> str:
        return self.reason

    @property
    def help(self) -> str:
        return self.advice


@record
class NoTrainedWeights(Diagnostic):
    """A piece of a used file is reused without saying where its trained weights are.

    `weights=` on the `use` line, or on the `reuse` itself, names a run directory, a checkpoint, or
    a file of weights. A piece that shall begin from scratch is a block, or the model itself as a layer.
    """

    code = "E502"
    path: str
    alias: str
    file: str

    @property
    def message(self) -> str:
        return f"`{self.path}` has no trained weights"

    @property
    def label(self) -> str:
        return "their location is missing"

    @property
    def help(self) -> str:
        return (
            f'name them where the file is used: `use "{self.file}" as {self.alias} '
            'weights="runs/…"`'
        )


@record
class ReusedInCircle(Diagnostic):
    """Two models reuse pieces of each other.

    Each would have to be trained before the other.

    ```wrong
    model a { input x[8]; part body { reuse b.body }; dense 3 | softmax }
    model b { input x[8]; part body { reuse a.body }; dense 3 | softmax }
    ```
    ```right
    model a { input x[8]; part body { dense 8 | relu }; dense 3 | softmax }
    model b { input x[8]; part body { reuse a.body }; dense 3 | softmax }
    ```
    """

    code = "E503"
    name: str

    @property
    def message(self) -> str:
        return f"the model `{self.name}` reuses itself"

    @property
    def label(self) -> str:
        return "this leads back to it"

    @property
    def help(self) -> str:
        return "one of the models must be trained first, with its own layers"


@record
class WeightsDoNotFit(Diagnostic):
    """A reused layer would need weights of a different shape here.

    The trained weights were made for what flowed into the layer there. Layers that see places or
    positions one by one (convolutions, norms of channels) take images of other sizes; a dense layer
    does not.

    ```wrong
    model coder { input x[8]; part body { dense 4 | relu }; dense 8 }
    model net { input x[6]; reuse coder.body | dense 3 | softmax }
    ```
    ```right
    model coder { input x[8]; part body { dense 4 | relu }; dense 8 }
    model net { input x[8]; reuse coder.body | dense 3 | softmax }
    ```
    """

    code = "E504"
    path: str
    layer: str
    there: str
    here: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"`{self.path}` does not fit what flows in"

    @property
    def label(self) -> str:
        return f"`{self.layer}` {self.there}; {self.here}"

    @property
    def help(self) -> str:
        return self.advice


@record
class TooFewLayers(Diagnostic):
    """`layers=` asks for more layers with weights than the piece has.

    ```wrong
    model coder { input x[8]; part body { dense 4 | relu }; dense 8 }
    model net { input x[8]; reuse coder.body layers=2 | dense 3 | softmax }
    ```
    ```right
    model coder { input x[8]; part body { dense 4 | relu }; dense 8 }
    model net { input x[8]; reuse coder.body layers=1 | dense 3 | softmax }
    ```
    """

    code = "E505"
    path: str
    asked: int
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        count = len(self.names)
        told = f"{count} {plural(count, 'layer')} with weights" if count else "no weights"
        return f"`{self.path}` has {told}"

    @property
    def label(self) -> str:
        return f"{self.asked} are asked for"

    @property
    def help(self) -> str:
        return f"they are {', '.join(self.names)}" if self.names else ""
