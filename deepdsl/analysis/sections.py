"""Gives data, train and export sections their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepdsl.analysis.arguments import bind, bind_entry
from deepdsl.analysis.model import Call, Exporting, Model, Training
from deepdsl.analysis.values import FAILED, Environment
from deepdsl.data import augment, images, parquet, sources, transforms
from deepdsl.data.request import DataSpec, Placed
from deepdsl.data.rows import DataRow, HeldOut
from deepdsl.data.sources import DataSource
from deepdsl.diagnostics import Label
from deepdsl.diagnostics.arguments import GivenTwice, NotNamed, TooManyArguments
from deepdsl.diagnostics.data_augment import CannotMix
from deepdsl.diagnostics.data_sequences import TransformOfIndices
from deepdsl.diagnostics.names import NotBuiltYet, SeveralRows, UnknownReference, UnknownRow
from deepdsl.diagnostics.training import (
    LossDoesNotFit,
    MetricDoesNotFit,
    NoLoss,
    NothingToTrain,
    NothingToWatch,
    NoTrainData,
    SeveralOutputs,
)
from deepdsl.losses import Loss
from deepdsl.metrics import Metric
from deepdsl.optimizers import Sgd
from deepdsl.record import changed
from deepdsl.registry import Registered, lookup
from deepdsl.rows import Accumulate, Batch, Epochs, Onnx, Seed
from deepdsl.schedules import Constant, Plateau
from deepdsl.source import Span
from deepdsl.syntax import ast
from deepdsl.vocabulary import advice, planned

SPLITS = ("train", "valid", "test")

# Defining the classes registers them; these modules are imported for that.
_VOCABULARY = (augment, images, parquet, sources, transforms)


def _once(rows: Sequence[ast.Row], env: Environment, many: frozenset[str]) -> Iterator[ast.Row]:
    """The rows; one that stands a second time where it may not is reported and left out."""
    first: dict[str, ast.Row] = {}
    for row in rows:
        name = row.name.text
        if name in first and name not in many:
            env.say(SeveralRows(row.name.span, name, first[name].name.span))
            continue
        first.setdefault(name, row)
        yield row


def _delegated(row: ast.Row, registry: str, env: Environment) -> Any:
    """A row whose first word names an entry of a registry, which takes the other arguments:
    `optimizer sgd lr=0.1`.
    """
    if not row.args:
        return env.say(NotNamed(row.name.span, row.name.text, registry, tuple(lookup(registry))))
    head = row.args[0]
    if isinstance(head, ast.Call) and len(row.args) == 1:
        return bind_entry(registry, head.name, head.args, env)
    if isinstance(head, ast.Path):
        return bind_entry(registry, ast.Name(head.text, span=head.span), row.args[1:], env)
    hint = ""
    if isinstance(head, ast.String):
        name = (
            head.value if head.value in lookup(registry) else _FORMATS.get(_suffix(head.value), "")
        )
        bare = name if name == head.value else f"{name} {head.span.text}"
        hint = f"write `{row.name.text} {bare}`" if name else ""
    elif isinstance(head, ast.Keyword) and row.name.text in ("train", "test"):
        hint = advice("data", f"{row.name.text}_{head.name.text}")
    return env.say(NotNamed(head.span, row.name.text, registry, tuple(lookup(registry)), hint))


# Which source reads a file with such a name.
_FORMATS = {".csv": "csv", ".npz": "npz", ".npy": "npy", ".gz": "idx", ".parquet": "parquet"}


def _suffix(file: str) -> str:
    return "." + file.rpartition(".")[2].lower()


# data ---------------------------------------------------------------------------------------------


def data_section(section: ast.Data, env: Environment) -> DataSpec:
    spec = DataSpec(section.name.text, span=section.name.span)
    rows = lookup("data_row")
    transforms = lookup("transform")
    for row in _once(section.rows, env, frozenset({*transforms, "augment"})):
        name = row.name.text
        made: Any = None
        if name in SPLITS:
            made = _source_or_cut(row, env)
        elif name in transforms:
            made = bind(transforms[name], row.args, row.name.span, env)
        elif name == "augment":
            made = _delegated(row, "augmentation", env)
        elif name in rows and name != "valid":
            made = bind(rows[name], row.args, row.name.span, env)
        elif name in planned("data"):
            env.say(NotBuiltYet(row.name.span, f"the row `{name}`"))
        else:
            known = (*SPLITS, *transforms, "augment", *(r for r in rows if r != "valid"))
            env.say(UnknownRow(row.name.span, "data", name, known, _elsewhere("data", name)))
        if made is None or made is FAILED:
            continue
        placed = Placed(made, row.span)
        if isinstance(made, DataRow):
            env.report.extend(made.problems(row.span))
        if name in transforms:
            spec = changed(spec, transforms=(*spec.transforms, placed))
        elif name == "augment":
            spec = changed(spec, augments=(*spec.augments, placed))
        else:
            spec = changed(spec, **{name: placed})
    return spec


def _source_or_cut(row: ast.Row, env: Environment) -> Any:
    """`train idx …` names a source; `valid first=5000` cuts rows out of train."""
    named = row.args and isinstance(row.args[0], ast.Path)
    if row.name.text == "valid" and not named:
        return bind(HeldOut, row.args, row.name.span, env)
    return _delegated(row, "source", env)


# train --------------------------------------------------------------------------------------------


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
    settings, metrics, spans = _settings(section, env)
    model = models.get(name)
    if FAILED in settings.values() or FAILED in metrics:
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
        settings.get("schedule", Constant()),
        settings.get("clip"),
        settings.get("batch", Batch()).rows,
        settings.get("epochs", Epochs()).count,
        settings.get("stop"),
        settings.get("seed", Seed()).value,
        section.model.span,
        spans,
        accumulate=settings.get("accumulate", Accumulate()).batches,
    )
    unsure = data_given or data in broken
    return training if unsure or _check_watched(training, spec, env) else None


def _settings(
    section: ast.Train, env: Environment
) -> tuple[dict[str, Any], list[Metric], dict[str, Any]]:
    settings: dict[str, Any] = {}
    metrics: list[Any] = []
    spans: dict[str, Any] = {}
    plain = lookup("train_row")
    named: dict[str, Span] = {}
    strange = False
    rows = [row for row in section.rows if isinstance(row, ast.Row)]
    for phase in section.rows:
        if isinstance(phase, ast.Phase):
            env.say(NotBuiltYet(phase.name.span, "a `phase`"))
    for row in _once(rows, env, frozenset({"metric", "freeze", "unfreeze", "lr_mult"})):
        name = row.name.text
        spans[name] = row.span
        if name in ("loss", "optimizer", "schedule"):
            settings[name] = _delegated(row, name, env)
        elif name == "metric":
            metrics += _metrics(row, env, named)
        elif name in plain:
            settings[name] = bind(plain[name], row.args, row.name.span, env)
        elif name in planned("train"):
            env.say(NotBuiltYet(row.name.span, f"the row `{name}`"))
            settings[name] = FAILED
        else:
            known = ("loss", "metric", "optimizer", "schedule", *plain)
            env.say(UnknownRow(row.name.span, "train", name, known, _elsewhere("train", name)))
            strange = True
    if strange:
        # The row may be the one that seems to be missing.
        settings.setdefault("loss", FAILED)
    return settings, metrics, spans


def _elsewhere(section: str, name: str) -> str:
    """Where a row belongs that this section does not have."""
    if hint := advice(section, name):
        return hint
    homes = {
        "data": (*SPLITS, "augment", *lookup("data_row"), *lookup("transform")),
        "train": ("loss", "metric", "optimizer", "schedule", *lookup("train_row")),
        "export": tuple(lookup("export_row")),
    }
    for home, rows in homes.items():
        if home != section and name in rows:
            return f"`{name}` is a row of {'an' if home == 'export' else 'a'} `{home}` section"
    return ""


def _metrics(row: ast.Row, env: Environment, named: dict[str, Span]) -> list[Any]:
    """`metric accuracy f1(average=weighted)`; `named` has the place of every metric so far."""
    if not row.args:
        return [_delegated(row, "metric", env)]
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


def _last_layer(last: Call | None) -> tuple[Label, ...]:
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


# export -------------------------------------------------------------------------------------------


def export_section(
    section: ast.Export,
    models: Mapping[str, Model | None],
    env: Environment,
    others: Sequence[str] = (),
) -> Exporting | None:
    name = section.model.text
    if name not in models:
        env.say(UnknownReference(section.model.span, "model", name, (*models, *others)))
    known: Mapping[str, type[Registered]] = lookup("export_row")
    made: Onnx | Any | None = None
    for row in _once(section.rows, env, frozenset()):
        if row.name.text in known:
            made = bind(known[row.name.text], row.args, row.name.span, env)
        elif row.name.text in planned("export"):
            env.say(NotBuiltYet(row.name.span, f"the row `{row.name.text}`"))
        else:
            hint = _elsewhere("export", row.name.text)
            env.say(UnknownRow(row.name.span, "export", row.name.text, tuple(known), hint))
    if made is FAILED or made is None:
        return None
    return Exporting(name, made.file, made.fold_batch_norm, made.verify, section.model.span)
