"""E50 and E51: what is frozen, what is unfrozen, and what cannot be trained."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, Label, did_you_mean


@record
class MatchesNothing(Diagnostic):
    """A path or pattern of `freeze`, `unfreeze` or `lr_mult` matches nothing in the model.

    A path names a part, a layer, or a tensor, as `dnnc inspect` shows them, and means all that
    is below it. A pattern in quotes has `*` for any letters.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; freeze bdy }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; freeze body }
    ```
    """

    code = "E506"
    row: str
    pattern: str
    names: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return f"`{self.row} {self.pattern}` matches nothing"

    @property
    def label(self) -> str:
        return "no part, layer or tensor of the model has this path"

    @property
    def help(self) -> str:
        near = did_you_mean(self.pattern, self.names)
        return near or "`dnnc inspect` shows the paths, such as " + ", ".join(self.names[:3])


@record
class NothingFrozenThere(Diagnostic):
    """`unfreeze` names something that is not frozen.

    Phases run in their order, and what one freezes stays frozen in the next until it is unfrozen. To
    leave a part free, leave it out of `freeze`.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; phase one { unfreeze body } }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits {
      loss cross_entropy; seed 1
      phase one { freeze body; epochs 2 }
      phase two { unfreeze body }
    }
    ```
    """

    code = "E507"
    pattern: str
    frozen: tuple[str, ...] = ()
    layer: str = ""

    @property
    def message(self) -> str:
        if self.layer:
            return f"`{self.pattern}` is frozen with its layer"
        return f"nothing at `{self.pattern}` is frozen here"

    @property
    def label(self) -> str:
        if self.layer:
            return f"`{self.layer}` is frozen as a whole"
        return "there is nothing to unfreeze"

    @property
    def help(self) -> str:
        if self.layer:
            return (
                f"`unfreeze {self.layer}`, and `freeze` those tensors of it that should stay frozen"
            )
        if self.frozen:
            return "frozen at this point: " + ", ".join(self.frozen)
        return "leave the row out; an earlier phase, or the section, would have to freeze it"


@record
class HalfFrozen(Diagnostic):
    """A frozen layer and a trained layer share a tensor.

    It can either be frozen or learn. Freeze both layers, or neither, or the tensor itself by its
    path, which is then frozen in both.

    ```wrong
    data digits { train builtin digits; target input; scale (1 / 16) }
    model coder {
      input x[8 8]
      part encoder { flatten | dense 32 | relu }
      part decoder { dense 64 tie=encoder.dense_1 | sigmoid | reshape [8 8] }
    }
    train coder on digits { loss mean_squared_error; seed 1; freeze encoder }
    ```
    ```right
    data digits { train builtin digits; target input; scale (1 / 16) }
    model coder {
      input x[8 8]
      part encoder { flatten | dense 32 | relu }
      part decoder { dense 64 tie=encoder.dense_1 | sigmoid | reshape [8 8] }
    }
    train coder on digits { loss mean_squared_error; seed 1; freeze encoder.dense_1.weight }
    ```
    """

    code = "E508"
    tensor: str
    frozen: str
    trained: str
    labels: tuple[Label, ...] = ()

    @property
    def message(self) -> str:
        return f"`{self.tensor}` would be frozen and trained at once"

    @property
    def label(self) -> str:
        return f"`{self.frozen}` is frozen by this, and `{self.trained}` is not"

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.labels

    @property
    def help(self) -> str:
        return f"freeze `{self.trained}` too, or the tensor alone: `freeze {self.tensor}`"


@record
class AllFrozen(Diagnostic):
    """Everything is frozen, so there is nothing to train.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu | dense 10 | softmax } }
    train net on digits { loss cross_entropy; seed 1; freeze body }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; freeze body }
    ```
    """

    code = "E509"
    phase: str = ""

    @property
    def message(self) -> str:
        where = f" in the phase `{self.phase}`" if self.phase else ""
        return f"nothing is left to train{where}"

    @property
    def label(self) -> str:
        return "every tensor of the model is frozen"

    @property
    def help(self) -> str:
        return "unfreeze a layer, or add a new head after the frozen layers"


@record
class ThroughForeign(Diagnostic):
    """A layer below an imported operator without a gradient is trained.

    Operators that the language does not have are run as they are, through onnxruntime. Nothing
    below them can learn: freeze all of it, or cut the graph before the operator.
    """

    code = "E510"
    operator: str
    node: str
    tensor: str
    below: str
    phase: str = ""

    @property
    def message(self) -> str:
        where = f"in the phase `{self.phase}` " if self.phase else ""
        return f"{where}`{self.below}` would be trained through `{self.operator}`"

    @property
    def label(self) -> str:
        node = f"the node `{self.node}`" if self.node else "a node without a name"
        return f"{node}, which makes `{self.tensor}`, has no gradient"

    @property
    def help(self) -> str:
        return "freeze everything before it, or cut the graph before it (`until=`)"


@record
class NotInPhase(Diagnostic):
    """A row that applies to the whole training is in a phase.

    A phase has its own optimizer, schedule, clip, epochs and stop, and rows about freezing. Loss,
    metrics, batch and seed are those of the whole training.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; phase one { batch 16 } }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; batch 16; phase one { epochs 3 } }
    ```
    """

    code = "E511"
    row: str

    @property
    def message(self) -> str:
        return f"`{self.row}` applies to the whole training"

    @property
    def label(self) -> str:
        return "this is in a phase"

    @property
    def help(self) -> str:
        return "move it into the train section, before the phases"
