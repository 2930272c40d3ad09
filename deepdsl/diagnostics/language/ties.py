"""E590 to E594: weights that are used twice, `tie=`."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, Label, did_you_mean


@record
class TiedToNoLayer(Diagnostic):
    """`tie=` names a layer that the model does not have.

    Layers are numbered by their kind within the part or block in which they are, and a part's
    name is in front: `encoder.dense_2`.  `dnnc inspect FILE` lists them.

    ```wrong
    model net {
      input x[8]
      part encoder { dense 3 | tanh }
      dense 8 tie=encoder.dense_2
    }
    ```
    ```right
    model net {
      input x[8]
      part encoder { dense 3 | tanh }
      dense 8 tie=encoder.dense_1
    }
    ```
    """

    code = "E590"
    depends_on = "item"
    path: str
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"there is no layer `{self.path}`"

    @property
    def help(self) -> str:
        inside = [name for name in self.names if name.startswith(f"{self.path}.")]
        if inside:
            return f"`{self.path}` is not a layer: name one inside, `tie={inside[-1]}`"
        if not self.names:
            return "there is no dense layer above: remove `tie=`"
        return did_you_mean(self.path, self.names)


@record
class TiedToNoDense(Diagnostic):
    """`tie=` names a layer that is not a dense layer with its own kernel.

    ```wrong
    model net {
      input x[8]
      part encoder { dense 3 | tanh }
      dense 8 tie=encoder.tanh_1
    }
    ```
    ```right
    model net {
      input x[8]
      part encoder { dense 3 | tanh }
      dense 8 tie=encoder.dense_1
    }
    ```
    """

    code = "E591"
    depends_on = "item"
    path: str
    kind: str
    further: str
    there: Span

    @property
    def message(self) -> str:
        if self.further:
            return f"`{self.path}` has no weights of its own: it is tied to `{self.further}`"
        return f"`{self.path}` is not a dense layer"

    @property
    def label(self) -> str:
        return "" if self.further else f"it is a `{self.kind}`"

    @property
    def help(self) -> str:
        return "`tie=` takes the path of a dense layer that has a matrix, to use it transposed"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.there, f"`{self.path}`"),)


@record
class TiedLayerComesLater(Diagnostic):
    """`tie=` names a later layer, or the layer itself.

    The layer above has the weights, and the one below it is tied to it: their gradients add up
    wherever they are.

    ```wrong
    model net {
      input x[8]
      part first { dense 3 tie=second.dense_1 | tanh }
      part second { dense 8 }
    }
    ```
    ```right
    model net {
      input x[8]
      part first { dense 3 | tanh }
      part second { dense 8 tie=first.dense_1 }
    }
    ```
    """

    code = "E592"
    depends_on = "item"
    path: str
    there: Span
    itself: bool

    @property
    def message(self) -> str:
        if self.itself:
            return f"`{self.path}` is this layer itself"
        return f"`{self.path}` comes later"

    @property
    def help(self) -> str:
        if self.itself:
            return "name an earlier dense layer"
        return "give that layer the `tie=`, with the path of this one"

    @property
    def notes(self) -> tuple[Label, ...]:
        return () if self.itself else (Label(self.there, f"`{self.path}`"),)


@record
class TiedShape(Diagnostic):
    """A tied layer does not have the sizes of the transposed weights.

    ```wrong
    model net {
      input x[8]
      part encoder { dense 5 | tanh | dense 3 | tanh }
      dense 4 tie=encoder.dense_2
    }
    ```
    ```right
    model net {
      input x[8]
      part encoder { dense 5 | tanh | dense 3 | tanh }
      dense 5 tie=encoder.dense_2
    }
    ```
    """

    code = "E593"
    depends_on = "item"
    name: str
    takes: int
    gives: int
    given: int
    units: int
    there: Span

    @property
    def message(self) -> str:
        return (
            f"`{self.name}` has {self.takes} × {self.gives}, "
            f"its transpose takes {self.gives} and gives {self.takes}"
        )

    @property
    def label(self) -> str:
        return f"this layer takes {self.given} and gives {self.units}"

    @property
    def help(self) -> str:
        if self.given == self.gives:
            return f"write `dense {self.takes} tie=…`"
        return f"let {self.gives} numbers flow into it, or tie it to another layer"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (Label(self.there, f"`{self.name}`"),)


@record
class TiedWithOwnersOption(Diagnostic):
    """A tied layer has options that belong to the owner of the weights.

    It has none: they are those of the layer that it is tied to, and these options are there.
    What a `default dense` line gives is for layers with weights, and is not an error.

    ```wrong
    model net {
      input x[8]
      part encoder { dense 3 | tanh }
      dense 8 tie=encoder.dense_1 l2=1e-4
    }
    ```
    ```right
    model net {
      input x[8]
      part encoder { dense 3 l2=1e-4 | tanh }
      dense 8 tie=encoder.dense_1
    }
    ```
    """

    code = "E594"
    option: str
    written: str
    owner: str

    @property
    def message(self) -> str:
        return f"`{self.option}` belongs to the weights, and these are those of `{self.owner}`"

    @property
    def help(self) -> str:
        return f"leave it out, or give `{self.written}` to `{self.owner}`"
