"""Gives train sections their types, and says what in them does not go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepdsl.core.registry import lookup
from deepdsl.core.source import Span
from deepdsl.data.source import DataSource
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import Label
from deepdsl.diagnostics.data.augment import CannotMix
from deepdsl.diagnostics.data.sequences import TransformOfIndices
from deepdsl.diagnostics.language.arguments import GivenTwice, TooManyArguments
from deepdsl.diagnostics.language.freezing import NotInPhase
from deepdsl.diagnostics.language.names import (
    DefinedTwice,
    NotBuiltYet,
    UnknownReference,
    UnknownRow,
)
from deepdsl.diagnostics.language.training import (
    LossDoesNotFit,
    MetricDoesNotFit,
    NoLoss,
    NothingToTrain,
    NothingToWatch,
    NoTrainData,
    SeveralOutputs,
)
from deepdsl.diagnostics.vocabulary import planned
from deepdsl.language.analysis.arguments import bind, bind_entry
from deepdsl.language.analysis.model import LayerCall, Model, Training
from deepdsl.language.analysis.phases import PhasePart, PlacedRow, in_phases
from deepdsl.language.analysis.section_rows import delegated, elsewhere, once
from deepdsl.language.analysis.values import FAILED, Environment
from deepdsl.language.sections import freeze_rows as transfer
from deepdsl.language.sections.train_options import Accumulate, Batch, Epochs, Seed
from deepdsl.language.syntax import ast
from deepdsl.nn.losses import Loss
from deepdsl.nn.metrics import Metric
from deepdsl.nn.optimizers import Sgd
from deepdsl.nn.schedules import ConstantSchedule, Plateau

# Defining the classes registers them; this module is imported for that.
_VOCABULARY = (transfer,)


def train_section(
    section: ast.Train,
    models: Mapping[str, Model | None],
    datasets: Mapping[str, DataSpec],
    broken: frozenset[str],
    env: Environment,
    data_given: bool = False,
    others: Sequence[str] = (),
) -> Training | None:
    """The training that a section means; `others` are models of used files that could be."""
    name, data = section.model.text, section.data.text
    if name not in models:
        env.say(UnknownReference(section.model.span, "model", name, (*models, *others)))
    if data not in datasets:
        env.say(UnknownReference(section.data.span, "data", data, tuple(datasets)))
    elif datasets[data].train is None and data not in broken:
        env.say(NoTrainData(section.data.span, data))
    rows = _Rows([row for row in section.rows if isinstance(row, ast.Row)], env)
    settings, metrics, spans = rows.settings, rows.metrics, rows.spans
    phases = _phases(section, env)
    model = models.get(name)
    if rows.failed or phases is None:
        return None
    loss: Loss | None = settings.get("loss")
    spec = datasets.get(data)
    if model is not None and not _check(section, model, spec, loss, metrics, spans, env):
        return None
    if loss is None or model is None or spec is None:
        return None
    training = Training(
        name,
        data,
        loss.after(_ending(model)),
        tuple(metrics),
        settings.get("optimizer", Sgd()),
        settings.get("schedule", ConstantSchedule()),
        settings.get("clip"),
        settings.get("batch", Batch()).rows,
        settings.get("epochs", Epochs()).count,
        settings.get("stop"),
        settings.get("seed", Seed()).value,
        section.model.span,
        spans,
        accumulate=settings.get("accumulate", Accumulate()).batches,
    )
    training = in_phases(training, model, phases, rows.freezing, env)
    unsure = data_given or data in broken
    watching = unsure or _all_watched(training, spec, env)
    return training if watching and not env.report.has_errors else None


# The rows that a phase may have; a training has all of these too.
_IN_PHASES = frozenset({"optimizer", "schedule", "clip", "epochs", "stop"})
_FREEZING = frozenset({"freeze", "unfreeze", "lr_mult"})


class _Rows:
    """The rows of a train section, or of one of its phases."""

    def __init__(self, rows: Sequence[ast.Row], env: Environment, phase: bool = False) -> None:
        self.env = env
        self.settings: dict[str, Any] = {}
        self.metrics: list[Any] = []
        self.spans: dict[str, Span] = {}
        self.freezing: list[PlacedRow] = []
        self._named: dict[str, Span] = {}
        for row in once(rows, env, _FREEZING | {"metric"}):
            self.spans[row.name.text] = row.span
            if phase and row.name.text not in _IN_PHASES | _FREEZING:
                self._misplaced(row)
            else:
                self._take(row)

    @property
    def failed(self) -> bool:
        return FAILED in self.settings.values() or FAILED in self.metrics

    def _take(self, row: ast.Row) -> None:
        name, plain = row.name.text, lookup("train_row")
        if name in ("loss", "optimizer", "schedule"):
            self.settings[name] = delegated(row, name, self.env)
        elif name == "metric":
            self.metrics += _metrics(row, self.env, self._named)
        elif name in plain:
            made = bind(plain[name], row.args, row.name.span, self.env)
            if name not in _FREEZING or made is FAILED:
                self.settings[name] = made
            else:
                self.freezing.append(PlacedRow(made, row))
        elif name in planned("train"):
            self.env.say(NotBuiltYet(row.name.span, f"the row `{name}`"))
            self.settings[name] = FAILED
        else:
            known = ("loss", "metric", "optimizer", "schedule", *plain)
            hint = elsewhere("train", name)
            self.env.say(UnknownRow(row.name.span, "train", name, known, hint))
            # The row may be the one that seems to be missing.
            self.settings.setdefault("loss", FAILED)

    def _misplaced(self, row: ast.Row) -> None:
        name = row.name.text
        if name in lookup("train_row") or name in ("loss", "metric", "precision"):
            self.env.say(NotInPhase(row.name.span, name))
        else:
            known, hint = (*_IN_PHASES, *_FREEZING), elsewhere("train", name)
            self.env.say(UnknownRow(row.name.span, "phase", name, tuple(sorted(known)), hint))
        self.settings[name] = FAILED


def _phases(section: ast.Train, env: Environment) -> list[PhasePart] | None:
    """The phases of a section; None after something was reported."""
    parts: list[PhasePart] = []
    first: dict[str, Span] = {}
    failed = False
    for phase in section.rows:
        if not isinstance(phase, ast.Phase):
            continue
        name, span = phase.name.text, phase.name.span
        if name in first:
            env.say(DefinedTwice(span, name, first[name]))
            failed = True
        first.setdefault(name, span)
        rows = _Rows(phase.rows, env, phase=True)
        failed |= rows.failed
        parts.append(PhasePart(name, span, rows.settings, rows.spans, rows.freezing))
    return None if failed else parts


def _metrics(row: ast.Row, env: Environment, named: dict[str, Span]) -> list[Any]:
    """`metric accuracy f1(average=weighted)`; `named` has the place of every metric so far."""
    if not row.args:
        return [delegated(row, "metric", env)]
    out = []
    for arg in row.args:
        if isinstance(arg, ast.Path):
            made = bind_entry("metric", ast.Name(arg.text, span=arg.span), (), env)
        elif isinstance(arg, ast.Call):
            made = bind_entry("metric", arg.name, arg.args, env)
        else:
            hint = "an option belongs to its metric: `f1(average=weighted)`"
            hint = hint if isinstance(arg, ast.Keyword) else ""
            made = env.say(TooManyArguments(arg.span, "metric", "names of metrics", hint))
        if made is not FAILED and named.setdefault(made.name, arg.span) != arg.span:
            made = env.say(GivenTwice(arg.span, "metric", made.name, named[made.name]))
        out.append(made)
    return out


def _check(
    section: ast.Train,
    model: Model,
    spec: DataSpec | None,
    loss: Loss | None,
    metrics: Sequence[Metric],
    spans: Mapping[str, Any],
    env: Environment,
) -> bool:
    """Whether loss and metrics go with the model."""
    if len(model.outputs) > 1:
        env.say(SeveralOutputs(section.model.span, len(model.outputs)))
        return False
    if not any(p.trainable for p in model.params):
        env.say(NothingToTrain(section.model.span, model.name))
        return False
    (value,) = model.outputs.values()
    ending = _ending(model)
    if loss is None:
        near = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}
        env.say(NoLoss(section.model.span, near.get(ending, "mean_squared_error")))
        return False
    if not loss.goes_with(ending):
        where = _last_layer(model.call_of(value))
        early = _before_reshaping(model, value)
        early = early if early in loss.endings else ""
        env.say(LossDoesNotFit(spans["loss"], loss.name, loss.endings, ending, where, early))
        return False
    one_hot = spec is not None and spec.rows_of_classes
    target = loss.after(ending).target(model.type_of(value), one_hot)
    fitting = tuple(m.name for m in lookup("metric").values() if target.kind in m.targets)
    for metric in metrics:
        if target.kind not in metric.targets:
            env.say(MetricDoesNotFit(spans["metric"], metric.name, loss.name, fitting))
            return False
    mixed = spec is not None and spec.mixes and spec.target is None
    if mixed and target.kind in ("index", "margin"):
        env.say(CannotMix(spans["loss"], loss.name))
        return False
    _check_transforms(model, spec, env)
    return True


def _ending(model: Model) -> str:
    """The name of the last layer."""
    (value,) = model.outputs.values()
    last = model.call_of(value)
    return last.layer.name if last else "an input"


def _before_reshaping(model: Model, value: int) -> str:
    """The last layer that does more than give its input another shape."""
    call = model.call_of(value)
    while call is not None and call.layer.name in ("flatten", "reshape") and call.inputs:
        call = model.call_of(call.inputs[0])
    return call.layer.name if call is not None else ""


def _last_layer(last: LayerCall | None) -> tuple[Label, ...]:
    return (Label(last.span, "the last layer"),) if last else ()


def _check_transforms(model: Model, spec: DataSpec | None, env: Environment) -> None:
    if spec is not None:
        shapes = {i.name: i.row_shape for i in model.inputs}
        for placed in spec.transforms:
            env.report.extend(placed.row.problems(shapes, placed.span))
        learned = spec.target
        for given in model.inputs:
            names = ("input", given.name) if given.type.dtype == "i64" else ()
            if learned is not None and learned.row.what in names:
                env.say(TransformOfIndices(learned.span, "target input", given.name, ()))
        for source in (spec.train, spec.valid, spec.test):
            if source is not None and isinstance(source.row, DataSource):
                env.report.extend(source.row.misfits(shapes, source.span))
        white = spec.train.row.white if spec.train is not None else None
        for varied in spec.augments if spec.train is not None else ():
            env.report.extend(varied.row.problems(shapes, white, varied.span))
            whole = [i.name for i in model.inputs if i.type.dtype == "i64"]
            if varied.row.mixes and whole:
                env.report.extend(varied.row.cannot_mix(whole[0], varied.span))


def _all_watched(training: Training, spec: DataSpec, env: Environment) -> bool:
    right = [_check_watched(stage, spec, env) for stage in training.stages]
    return all(right)


def _check_watched(training: Training, spec: DataSpec, env: Environment) -> bool:
    """`stop on=valid.loss` and `schedule plateau` watch something that is measured."""
    watched = [("stop", "stop", training.stop.on)] if training.stop else []
    if isinstance(training.schedule, Plateau):
        watched.append(("plateau", "schedule", training.schedule.on))
    told = [_unwatchable(what, row, on, training, spec) for what, row, on in watched]
    env.report.extend([d for d in told if d is not None])
    return not any(told)


def _unwatchable(
    what: str, row: str, on: str, training: Training, spec: DataSpec
) -> NothingToWatch | None:
    split, _, metric = on.partition(".")
    span = training.spans[row]
    watchable = [f"{s}.{m}" for s in ("valid", "train") for m in training.scalar_names]
    if on not in watchable:
        advice = "one of: " + ", ".join(watchable)
        table = split in ("valid", "train") and metric in training.metric_names
        reason = "this is a table, which is neither better nor worse than another"
        reason = reason if table else "this is not measured"
        return NothingToWatch(span, on, reason, advice, what)
    if split == "valid" and spec.valid is None:
        advice = (
            f"add a row such as `valid split=10%` to `data {spec.name}`, or watch `train.{metric}`"
        )
        reason = f"`data {spec.name}` has no `valid` row"
        return NothingToWatch(span, on, reason, advice, what)
    return None
