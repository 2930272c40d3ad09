"""E3: training sections that cannot be carried out."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, Label


@record
class NoLoss(Diagnostic):
    """A train section has no loss.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { batch 32; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; batch 32; seed 1 }
    ```
    """

    code = "E301"
    depends_on = "item"
    suggestion: str

    @property
    def message(self) -> str:
        return "this training has no loss"

    @property
    def help(self) -> str:
        return f"add a row `loss {self.suggestion}`"


@record
class LossDoesNotFit(Diagnostic):
    """This loss needs a different last layer.

    cross_entropy and kl_divergence compare probabilities of classes, which softmax makes;
    binary_cross_entropy compares the probability of yes, which sigmoid makes; focal takes both.
    Without them the loss would be of arbitrary numbers, and could be NaN.  hinge wants numbers on
    both sides of zero, of a linear last layer or tanh.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E302"
    loss: str
    wanted: tuple[str, ...]
    found: str
    where: tuple[Label, ...] = ()
    early: str = ""  # a fitting last layer, behind which only the shape is changed

    @property
    def message(self) -> str:
        wanted = " or ".join(f"`{ending}`" for ending in self.wanted)
        return f"`{self.loss}` is for a model that ends in {wanted}"

    @property
    def label(self) -> str:
        return f"this model ends in `{self.found}`"

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.where

    @property
    def help(self) -> str:
        other = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}.get(self.found)
        if self.early:
            return f"move `{self.early}` to the end, after `{self.found}`"
        if other is not None:
            return f"with `{self.found}` the loss is `{other}`"
        return f"end the model with `| {self.wanted[0]}`"


@record
class MetricDoesNotFit(Diagnostic):
    """A metric does not fit what the model learns.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; metric mae; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; metric accuracy; seed 1 }
    ```
    """

    code = "E303"
    metric: str
    loss: str
    fitting: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"`{self.metric}` is not defined for what `{self.loss}` learns"

    @property
    def help(self) -> str:
        return (
            "metrics that fit: " + ", ".join(self.fitting) if self.fitting else "leave the row out"
        )


@record
class SeveralOutputs(Diagnostic):
    """Models with several outputs cannot be trained yet: a training has one loss.

    ```wrong
    model net { input x[8 8]; a = x | flatten | dense 10 | softmax; b = x | flatten | dense 1 | sigmoid; output a; output b }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; a = x | flatten | dense 10 | softmax; output a }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E304"
    count: int

    @property
    def message(self) -> str:
        return f"a model with {self.count} outputs cannot be trained yet"

    @property
    def help(self) -> str:
        return "train a model with one output; several outputs can be built and exported"


@record
class NoTrainData(Diagnostic):
    """A data section used for training has no `train` row.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { test builtin digits }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E305"
    depends_on = "item"
    name: str

    @property
    def message(self) -> str:
        return f"the data section `{self.name}` has no `train` row"

    @property
    def help(self) -> str:
        return 'add one, such as `train builtin digits` or `train npz "data.npz"`'


@record
class NothingToWatch(Diagnostic):
    """`stop` or the schedule `plateau` watches a figure that this training does not measure.

    ```wrong
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1; stop patience=3 on=valid.loss restore=best }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; valid split=10%; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1; stop patience=3 on=valid.loss restore=best }
    ```
    """

    code = "E306"
    depends_on = "item"
    watched: str
    reason: str
    advice: str
    row: str = "stop"

    @property
    def message(self) -> str:
        return f"`{self.row}` cannot watch `{self.watched}`"

    @property
    def label(self) -> str:
        return self.reason

    @property
    def help(self) -> str:
        return self.advice


@record
class NothingToTrain(Diagnostic):
    """The model has no weights to train.

    ```wrong
    model net { input x[8 8]; flatten | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    model net { input x[8 8]; flatten | dense 10 | softmax }
    data digits { train builtin digits; scale (1 / 16) }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "E307"
    model: str

    @property
    def message(self) -> str:
        return f"the model `{self.model}` has no weights to train"

    @property
    def help(self) -> str:
        return "add a layer with weights, such as `dense 10`"
