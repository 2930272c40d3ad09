"""Lints about what is frozen, and what is unfrozen."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import Label, Report
from deepdsl.language.analysis.definitions import Definitions
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model, Training
from deepdsl.language.analysis.reused import Reused
from deepdsl.language.analysis.sections import data_section
from deepdsl.language.lints.base import Lint
from deepdsl.language.lints.walk import below, readers_of
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.uses import Uses


@record
class FrozenAbove(Lint):
    """A frozen layer follows a trained one.

    What it was trained on was the output of the layer before it as that was then. When that layer
    changes, the frozen one is given something else, and cannot follow. Gradients still have to go
    through it, so that no time is saved either. Freeze from the input upwards: the lower layers
    first.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net {
      input x[8 8]
      flatten
      part low { dense 32 | relu }
      part high { dense 16 | relu }
      dense 10 | softmax
    }
    train net on digits { loss cross_entropy; seed 1; freeze high }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net {
      input x[8 8]
      flatten
      part low { dense 32 | relu }
      part high { dense 16 | relu }
      dense 10 | softmax
    }
    train net on digits { loss cross_entropy; seed 1; freeze low }
    ```
    """

    code = "W501"
    speaks_of_reused = True
    frozen: str
    trained: str
    labels: tuple[Label, ...] = ()

    @property
    def message(self) -> str:
        return f"`{self.frozen}` is frozen, and `{self.trained}` below it is trained"

    @property
    def label(self) -> str:
        return "what flows into it changes, and it cannot follow"

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.labels

    @property
    def help(self) -> str:
        return f"freeze `{self.trained}` too, or leave `{self.frozen}` free"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for whole in program.trainings:
            for stage in whole.stages:
                model = program.models[whole.model]
                found = _above(model, stage)
                if found is not None:
                    low, high = found
                    span = stage.spans.get("freeze", stage.span)
                    labels = (Label(low.span, "this is trained"),)
                    yield cls(span, high.path, low.path, labels)
                    break


def _above(model: Model, stage: Training) -> tuple[LayerCall, LayerCall] | None:
    """A layer that is trained, and a frozen one with weights of its own after it."""
    frozen = stage.freezing
    if not frozen.calls:
        return None
    readers = readers_of(model)
    for call in model.calls:
        if any(frozen.trains(p) for p in call.params):
            for other in below(call.output, readers):
                if other.path in frozen.calls and any(p.role == "weight" for p in other.params):
                    return call, other
    return None


@record
class NeverThaws(Lint):
    """`freeze … until=` names an epoch that its training or phase does not reach.

    What is frozen until after the last epoch stays frozen to the end.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; epochs 5; freeze body until=5 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; epochs 8; freeze body until=5 }
    ```
    """

    code = "W502"
    speaks_of_reused = True
    until: int
    epochs: int

    @property
    def message(self) -> str:
        return f"this never thaws: there are {self.epochs} epochs"

    @property
    def label(self) -> str:
        return f"it would after epoch {self.until}"

    @property
    def help(self) -> str:
        return "leave `until=` out, or raise `epochs`"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for whole in program.trainings:
            for stage in whole.stages:
                for until, epochs in stage.freezing.late[:1]:
                    yield cls(stage.spans.get("freeze", stage.span), until, epochs)


@record
class RateOfFrozen(Lint):
    """`lr_mult` for layers that are frozen in every phase that it holds in.

    What is frozen has no rate.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; freeze body; lr_mult body=0.1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; lr_mult body=0.1 }
    ```
    """

    code = "W503"
    speaks_of_reused = True

    @property
    def message(self) -> str:
        return "this rate is of layers that are frozen"

    @property
    def label(self) -> str:
        return "nothing of it is trained"

    @property
    def help(self) -> str:
        return "leave the row out, or thaw the layers: `freeze … until=`, `unfreeze`"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for whole in program.trainings:
            span = next((s.spans["lr_mult"] for s in whole.stages if "lr_mult" in s.spans), None)
            if span is not None and not any(s.freezing.rates for s in whole.stages):
                yield cls(span)


@record
class OtherPreprocessing(Lint):
    """A reused piece was trained on inputs with different preprocessing.

    Weights that learned from numbers between 0 and 1 are given numbers up to 255, say: what they
    know is lost, and nothing fails. Write the transforms of the data section that the network was
    trained on. What `standardize` learned from other rows is close enough; that it is there counts.

    ```wrong
    data many { train builtin digits; scale (1 / 16) }
    data few  { train builtin digits; take 100; standardize }
    model old { input x[8 8]; part body { flatten | dense 8 | relu }; dense 10 | softmax }
    model new { input x[8 8]; part body { reuse old.body }; dense 10 | softmax }
    train old on many { loss cross_entropy; seed 1 }
    train new on few  { loss cross_entropy; seed 1 }
    ```
    ```right
    data many { train builtin digits; scale (1 / 16) }
    data few  { train builtin digits; take 100; scale (1 / 16) }
    model old { input x[8 8]; part body { flatten | dense 8 | relu }; dense 10 | softmax }
    model new { input x[8 8]; part body { reuse old.body }; dense 10 | softmax }
    train old on many { loss cross_entropy; seed 1 }
    train new on few  { loss cross_entropy; seed 1 }
    ```
    """

    code = "W504"
    speaks_of_reused = True
    path: str
    there: str
    here: str

    @property
    def message(self) -> str:
        return f"`{self.path}` was trained on inputs with different preprocessing"

    @property
    def label(self) -> str:
        return f"there: {self.there}; here: {self.here}"

    @property
    def help(self) -> str:
        return "write the same transforms into the data section of this training"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            here = _prepared(program.datasets[training.data])
            for reused in program.models[training.model].reused:
                there = _source_data(program, reused)
                if there is not None and _prepared(there) != here:
                    yield cls(reused.span, reused.path, _prepared(there), here)


def _prepared(data: DataSpec) -> str:
    return ", ".join(placed.row.show() for placed in data.transforms) or "nothing"


def _source_data(program: CheckedProgram, reused: Reused) -> DataSpec | None:
    """The data section on which what is reused was trained, where the text says it."""
    if reused.trained:
        found = (t.data for t in program.trainings if t.model == reused.trained)
        name = next(found, None)
        return program.datasets.get(name) if name is not None else None
    alias, _, rest = reused.path.partition(".")
    for span, file in program.uses.files.items():
        line = program.places.use(alias)
        if line is not None and line.span == span:
            return _data_of(file, rest.partition(".")[0])
    return None


def _data_of(file: ast.File, model: str) -> DataSpec | None:
    """The data section that a file trains a model on."""
    trained = [i for i in file.items if isinstance(i, ast.Train) and i.model.text == model]
    for item in file.items:
        if isinstance(item, ast.Data) and trained and item.name.text == trained[0].data.text:
            told = Report()
            made = data_section(item, Definitions(file, told, Uses()).env)
            return None if told.has_errors else made
    return None


# Below this many rows the mean and variance of a batch are worse than those that a network came
# with.
FEW_ROWS = 16


@record
class NormsOfFewRows(Lint):
    """A reused batch norm is trained on small batches.

    It came with running values from many rows, and by these the layers after it know their inputs.
    Once it is free it normalizes by the few rows of a batch, and its running values follow them:
    the network gets worse before it gets better, and often stays so. Keep the norms frozen while
    the other layers are fine-tuned, or take larger batches.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model old {
      input x[8 8]
      part body { flatten | dense 8 bias=false | batch_norm | relu }
      dense 10 | softmax
    }
    model new { input x[8 8]; part body { reuse old.body }; dense 10 | softmax }
    train old on digits { loss cross_entropy; seed 1 }
    train new on digits { loss cross_entropy; seed 1; batch 8 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model old {
      input x[8 8]
      part body { flatten | dense 8 bias=false | batch_norm | relu }
      dense 10 | softmax
    }
    model new { input x[8 8]; part body { reuse old.body }; dense 10 | softmax }
    train old on digits { loss cross_entropy; seed 1 }
    train new on digits { loss cross_entropy; seed 1; batch 8; freeze "body.*batch_norm_*" }
    ```
    """

    code = "W505"
    speaks_of_reused = True
    count: int
    rows: int
    pattern: str

    @property
    def message(self) -> str:
        many = f"{self.count} reused batch norms see"
        return (
            f"{many if self.count > 1 else 'a reused batch norm sees'} {self.rows} rows at a time"
        )

    @property
    def label(self) -> str:
        return "their mean and variance take the place of those that it was trained with"

    @property
    def help(self) -> str:
        return f'freeze "{self.pattern}", or a larger batch'

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for whole in program.trainings:
            model = program.models[whole.model]
            for stage in whole.stages:
                free = [
                    c.path
                    for c in model.calls
                    if c.trained
                    and any(p.role == "statistic" for p in c.params)
                    and (c.path not in stage.freezing.calls or c.path in stage.freezing.moving)
                ]
                if free and whole.batch < FEW_ROWS:
                    span = whole.spans.get("batch", whole.span)
                    part = free[0].partition(".")[0]
                    inside = all(path.startswith(f"{part}.") for path in free)
                    pattern = f"{part}.*batch_norm_*" if inside else "*batch_norm_*"
                    count = len(dict.fromkeys(free))
                    yield cls(span, count, whole.batch, pattern)
                    break
