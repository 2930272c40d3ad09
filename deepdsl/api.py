"""The Python interface: load a program, train it, use the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from deepdsl.compiler.front_end import check, load_program, read_source, training_of
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, DnnError, Severity
from deepdsl.diagnostics.training.runtime import NoSuchSplit
from deepdsl.language.overrides import apply_settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from deepdsl.compiler.job import Job
    from deepdsl.compiler.training_step import Task
    from deepdsl.data.request import Split
    from deepdsl.data.table import Table
    from deepdsl.inference.export import Exported
    from deepdsl.inference.predictor import Predictor
    from deepdsl.language.analysis import CheckedProgram as Typed
    from deepdsl.language.analysis import Training
    from deepdsl.nn.metrics import Figure

    Arrays: TypeAlias = ArrayLike | Mapping[str, ArrayLike]


def load(path: str | Path) -> Program:
    """The program in a `.dnn` file.

    Mistakes in it do not raise: they are in `diagnostics`.  Raises DnnError where the file cannot
    be read.
    """
    return Program(read_source(Path(path)), Path(path).parent)


def loads(text: str, name: str = "<text>", folder: str | Path = ".") -> Program:
    """The program in a text; `folder` is what the paths in it are relative to."""
    return Program(Source(name, text, str(Path(folder) / name)), Path(folder))


def open_run(path: str | Path) -> Run:
    """A run directory that `dnnc train` or `Program.train` made.  Raises DnnError where it is
    none.
    """
    return Run(Path(path), {})


class Program:
    """A `.dnn` text with everything that is known of it without reading data."""

    def __init__(self, source: Source, folder: Path) -> None:
        self._source, self._folder = source, folder
        _, report = check(source)
        #: What `dnnc check` prints, errors and warnings, in the order of the text.
        self.diagnostics: tuple[Diagnostic, ...] = tuple(report)

    @property
    def text(self) -> str:
        return self._source.text

    @property
    def ok(self) -> bool:
        """Whether there are no errors; warnings do not count."""
        return not any(d.severity is Severity.ERROR for d in self.diagnostics)

    def train(
        self,
        x: Arrays | None = None,
        y: Arrays | None = None,
        *,
        valid: tuple[Arrays, Arrays] | None = None,
        model: str | None = None,
        epochs: int | None = None,
        seed: int | None = None,
        settings: Mapping[str, Any] | None = None,
        device: str = "cpu",
        threads: int | None = None,
        out: str | Path | None = None,
        resume: bool = False,
    ) -> Run:
        """Train a model and give the run.

        Arrays are in for the data section: `x` of shape (rows, …), or a mapping from input to
        array; `y` of shape (rows,) with class indices for cross_entropy, of the output's shape for
        other losses; `valid` is a pair like (x, y). The section's transforms still apply.
        `settings` are as with `dnnc train --set`: {"optimizer.lr": 0.1}. `out` is the run
        directory, by default a fresh one under `runs/`.

        Raises DnnError with the diagnostics of what is wrong: the text, the data, the device, or a
        number that went NaN.
        """
        from deepdsl.insight.report.training import report_training
        from deepdsl.training.run_directory import free_directory, run_place, runs_of
        from deepdsl.training.workflow import prepare

        changes = {**(settings or {}), "epochs": epochs, "seed": seed}
        written = [f"{k}={_written(v)}" for k, v in changes.items() if v is not None]
        source = apply_settings(self._source, written, model) if written else self._source
        program, warnings = load_program(source, data_given=x is not None)
        training = training_of(program, model)
        job = None if x is None else _job_of_arrays(program, training, source, x, y, valid)
        own = self._source.name
        stem = Path(own).stem if own.endswith(".dnn") else training.model
        place = Path(out) if out is not None else run_place(stem, training.model, 1)
        if out is None and not resume:
            place = free_directory(place)
        runs = runs_of(program, stem)
        session = prepare(
            program, training, self._folder, place, device, threads, resume, job, warnings, runs
        )
        finished = session.train(report=report_training)
        return Run(finished.path, finished.figures)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _job_of_arrays(
    program: Typed,
    training: Training,
    source: Source,
    x: Arrays,
    y: Arrays | None,
    valid: tuple[Arrays, Arrays] | None,
) -> Job:
    """A job whose rows are arrays; a `valid first=…` row of the data section cuts them as it would
    a file's.
    """
    from deepdsl.compiler.job import Job
    from deepdsl.compiler.training_step import Task
    from deepdsl.data.splits import split_table

    spec = replace(program.datasets[training.data], train=None, test=None)
    task = Task(program.models[training.model], training, spec, spec.rows_of_classes)
    table, task = _table(task, x, y)
    held = _table(task, *valid)[0] if valid is not None else None
    splits = split_table(spec, table, training.seed, held)
    return Job(task, splits, source, program.uses.sources)


def _table(task: Task, x: Arrays, y: Arrays | None) -> tuple[Table, Task]:
    """A checked table of arrays; targets that are rows of probabilities are taken as such."""
    from deepdsl.compiler.forward import TARGET
    from deepdsl.compiler.job import either_target, wanted_target
    from deepdsl.data import from_arrays
    from deepdsl.data.splits import as_rows

    shapes = {i.name: i.row_shape for i in task.model.inputs}
    if task.data.target is not None:
        return from_arrays(x, None, inputs=shapes), task

    spec = replace(task.data, one_hot=None)

    def load(wanted: Task) -> Table:
        targets = {TARGET: wanted_target(wanted)}
        return as_rows(spec, targets, lambda t: from_arrays(x, y, inputs=shapes, targets=t))

    task, table = either_target(task, load)
    return table, task


def _checked(predictor: Predictor, x: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays that a model takes, with the checks that a file's rows get."""
    import numpy as np

    from deepdsl.data import from_arrays

    ports = predictor.interface.inputs
    by_name: Mapping[str, Any] = x if isinstance(x, Mapping) else {ports[0].name: x}
    shapes = {p.name: getattr(by_name.get(p.name), "shape", None) for p in ports}
    if all(shapes[p.name] == (0, *(p.row_shape or ())) for p in ports):
        # No rows are no data to learn from, but may well be asked about.
        return {p.name: np.zeros((0, *(p.row_shape or ())), p.dtype) for p in ports}
    table = from_arrays(x, inputs={p.name: p.row_shape for p in ports}, targets={})
    given: dict[str, NDArray[Any]] = {}
    for port in ports:
        given[port.name] = np.empty((table.rows, *(port.row_shape or ())), port.dtype)
        table.inputs[port.name].read(np.arange(table.rows), given[port.name])
    return given


class Run:
    """A trained model in its run directory."""

    def __init__(self, path: Path, figures: Mapping[str, Any]) -> None:
        from deepdsl.inference.predictor import open_predictor
        from deepdsl.training.run_directory import open_run, read_manifest

        #: The run directory.
        self.path = path
        self._trained = open_run(path)
        self._predictor: Predictor = open_predictor(path)
        #: The figures that `dnnc train --json` prints: epochs, steps, train, valid, test, wall_s …
        self.figures: Mapping[str, Any] = figures or read_manifest(path).get("result", {})

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Every tensor of the model by its path, such as `body.dense_1.weight` of shape (inputs,
        units).
        """
        roles = {t["name"]: t["role"] for t in self._trained.manifest["state"]}
        state = self._trained.checkpoint.state
        return {k: v for k, v in state.items() if roles[k] not in ("slot", "counter")}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._trained.classes

    @property
    def history(self) -> list[dict[str, Any]]:
        """One record an epoch, as in log.jsonl."""
        import json

        lines = (self.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def predict(self, x: Arrays, samples: int | None = None) -> Any:
        """The model's output for raw rows, float32 of shape (rows, …); a mapping by name where
        there are several outputs.

        `x` is an array of shape (rows, …) for a model with one input, or a mapping from input to
        array.  With `samples` a pair: the mean over this many passes with dropout at work, and the
        deviation (Monte-Carlo dropout).  Raises DnnError where rows or shapes do not fit, or where
        there is nothing random in the model to sample.
        """
        from deepdsl.compiler.training_step import DEVIATION
        from deepdsl.inference.predictor import open_predictor

        predictor = self._predictor
        if samples is not None:
            predictor = open_predictor(self.path, samples=samples)
        made = predictor.predict(_checked(predictor, x))
        if samples is None:
            return next(iter(made.values())) if len(made) == 1 else made
        means = dict(list(made.items())[: len(made) // 2])
        deviations = {name: made[f"{name}{DEVIATION}"] for name in means}
        if len(means) == 1:
            return next(iter(means.values())), next(iter(deviations.values()))
        return means, deviations

    def evaluate(
        self, x: Arrays | None = None, y: Arrays | None = None, split: Split = "test"
    ) -> dict[str, Figure]:
        """The loss and metrics on arrays, or on a split of the run's own data; a matrix as its
        rows.

        Raises DnnError where rows, shapes or labels do not fit, or the split is not there.
        """
        from deepdsl.compiler.training_step import Task
        from deepdsl.inference.predictor import measure, measure_table

        run = self._trained
        if x is None:
            if all(part is None for part in (run.data.train, run.data.valid, run.data.test)):
                reason, advice = "it names no rows", "give arrays: `run.evaluate(x, y)`"
                raise DnnError([NoSuchSplit(None, f"data {run.data.name}", reason, advice)])
            return measure(self._predictor, run.training, run.data, run.folder, split)[0]
        task = Task(run.model, run.training, run.data, run.data.one_hot is not None)
        table, task = _table(task, x, y)
        return measure_table(self._predictor, task, table)

    def export(
        self,
        path: str | Path,
        fold_batch_norm: bool = True,
        samples: int | None = None,
        quantize: str | None = None,
        tolerance: float | None = None,
    ) -> Exported:
        """Write one verified ONNX file; what was written, with the largest difference found.  With
        `samples` the file gives means and deviations, as `predict` does.  `quantize="int8"` keeps
        weights in one byte each, `"none"` as they are; by default, and for the difference that is
        allowed, the export section counts.
        """
        from deepdsl.inference.export import export

        return export(self._trained, Path(path), fold_batch_norm, tolerance, samples, quantize)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the page about the run, one HTML file, `report.html` in its directory by default;
        where it is.

        Its curves are those of the log; test or validation rows are read again for the confusion
        matrix of a classifier, where they are there.
        """
        from deepdsl.insight.report.measured import measure_confusion
        from deepdsl.insight.report.page import write_report
        from deepdsl.training.run_directory import describe_run

        try:
            confusion = measure_confusion(self.path, None)
        except DnnError:
            confusion = None
        return write_report(describe_run(self.path), Path(path) if path else None, confusion)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"
