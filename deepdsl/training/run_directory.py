"""Run directories: what a training leaves after, and how it is found again."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from deepdsl.compiler.front_end import load_program, model_of, read_source, training_of
from deepdsl.core.atomic_files import named, write_atomically
from deepdsl.core.record import record
from deepdsl.data.request import Placed
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.diagnostics.training.runtime import CannotResume, NoSuchRun, RunExists
from deepdsl.language.analysis import CheckedProgram, Model, Training
from deepdsl.language.analysis.model import LayerCall, ModelInput
from deepdsl.language.used_files import SPEC, kept_together
from deepdsl.nn.initializers import Initializer
from deepdsl.training.callbacks import Epoch
from deepdsl.transfer.weights import checkpoint
from deepdsl.transfer.weights.checkpoint import Checkpoint


class RunDirectory:
    """`runs/NAME`: spec.dnn, used/, manifest.json, log.jsonl, log.csv, checkpoints/{last,best}."""

    def __init__(self, path: Path, roles: Mapping[str, str], spec: str) -> None:
        self.path, self.roles, self.spec = path, roles, spec

    @classmethod
    def begin(
        cls, path: Path, program: CheckedProgram, manifest: Mapping[str, Any]
    ) -> RunDirectory:
        """Make a fresh run; DnnError with RunExists where the place is taken."""
        if (path / "manifest.json").exists():
            raise DnnError([RunExists(None, str(path))])
        (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        _write_texts(path, program)
        run = cls._of(path, manifest)
        run._write_manifest(manifest)
        return run

    @classmethod
    def resume(
        cls,
        path: Path,
        program: CheckedProgram,
        training: Training,
        manifest: Mapping[str, Any],
        data_given: bool = False,
    ) -> RunDirectory:
        """Take up a run again, with the file as it is now; CannotResume where that means another
        training.  With `data_given` the rows are arrays, and the file's sources are not compared.
        """
        before = read_manifest(path)
        if reason := _another_training(path, before, program, training, manifest, data_given):
            raise DnnError([CannotResume(None, str(path), reason)])
        _write_texts(path, program)
        run = cls._of(path, manifest)
        run._write_manifest({**manifest, "final": before.get("final", "last")})
        return run

    @classmethod
    def _of(cls, path: Path, manifest: Mapping[str, Any]) -> RunDirectory:
        roles = {t["name"]: t["role"] for t in manifest["state"]}
        return cls(path, roles, manifest["spec_sha256"])

    def _write_manifest(self, manifest: Mapping[str, Any]) -> None:
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.path / "manifest.json", text.encode())

    def finish(self, manifest: Mapping[str, Any], final: str, figures: Mapping[str, Any]) -> None:
        """Note which checkpoint is the run's result, and its figures."""
        self._write_manifest({**manifest, "final": final, "result": dict(figures)})

    def save(self, name: str, state: Checkpoint) -> None:
        checkpoint.write(self.path / "checkpoints" / name, state, self.roles, self.spec)

    def load(self, name: str) -> Checkpoint | None:
        folder = self.path / "checkpoints" / name
        return checkpoint.read(folder) if folder.is_dir() else None

    def log(self, record: Epoch) -> None:
        """A line of log.jsonl, and of log.csv with its header when it is the first.

        An epoch that was taken up in its middle may lack a figure: its cell is empty.
        """
        told = record.as_json()
        lines = self.path / "log.jsonl"
        with named(lines), lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
        flat = {k: v for k, v in told.items() if k not in ("train", "valid")}
        for split in ("train", "valid"):
            flat.update({f"{split}_{k}": v for k, v in told[split].items()})
        path = self.path / "log.csv"
        text = io.StringIO()
        names = list(flat)
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                names = next(csv.reader(file), names)
        writer = csv.DictWriter(text, names, "", "ignore", lineterminator="\n")
        if not path.exists():
            writer.writeheader()
        writer.writerow(flat)
        with named(path), path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())


def _write_texts(path: Path, program: CheckedProgram) -> None:
    """Write the file and those that it uses, so that the run can be opened without them."""
    assert program.file is not None
    texts = kept_together(program.file, program.uses)
    # The file itself at last: it speaks of the others.
    for name in sorted(texts, key=lambda name: name == SPEC):
        (path / name).parent.mkdir(exist_ok=True)
        kept = texts[name]
        write_atomically(path / name, kept.encode() if isinstance(kept, str) else kept)


# Resuming -----------------------------------------------------------------------------------------


def _another_training(
    path: Path,
    before: Mapping[str, Any],
    program: CheckedProgram,
    training: Training,
    manifest: Mapping[str, Any],
    data_given: bool,
) -> str:
    """What was and what is now, where it is not the same training; else nothing."""
    try:
        was = describe_run(path)
    except DnnError:
        # An earlier version's text may not be one of this version's: what is left are the tensors.
        was = None
    pairs: list[tuple[str, str, str]] = []
    if was is not None:
        now = (program.models[training.model], program.datasets[training.data], training)
        pairs += _compared((was.model, was.data, was.training), now, data_given)
    for key in ("seed", "batch", "accumulate"):
        pairs.append((f"its {key}", str(before.get(key, 1)), str(manifest.get(key, 1))))
    for what, old, new in pairs:
        if old != new:
            return f"{what} was {old} and is now {new}"
    have = {t["name"]: (t["shape"], t["dtype"]) for t in before["state"]}
    want = {t["name"]: (t["shape"], t["dtype"]) for t in manifest["state"]}
    for name in sorted({*have, *want}):
        if have.get(name) != want.get(name):
            if was is not None and (row := name.partition(".")[0]) in ("optimizer", "schedule"):
                old, new = (f"`{getattr(t, row).show()}`" for t in (was.training, training))
                return f"its {row} was {old} and is now {new}, which keeps other tensors"
            old, new = (_told(side.get(name)) for side in (have, want))
            return f"`{name}` was {old} and is now {new}"
    return ""


def _compared(
    was: tuple[Model, DataSpec, Training], now: tuple[Model, DataSpec, Training], data_given: bool
) -> Iterator[tuple[str, str, str]]:
    """What a training must have in common with the run that it continues with, in pairs of words.

    Test rows take no part in a training.  Its epochs, stop, metrics, schedule, clip, augmentation,
    and the optimizer's options are the user's to change.
    """
    (old_model, old_data, old_training), (model, data, training) = was, now
    for one, other in zip_longest(old_model.inputs, model.inputs):
        yield "an input of its model", _input(one), _input(other)
    for number, (a, b) in enumerate(zip_longest(old_model.calls, model.calls), 1):
        yield f"layer {number} of its model", _call(a), _call(b)
        if a and b:
            yield f"what layer {number} of its model is given", str(a.inputs), str(b.inputs)
    yield "its loss", f"`{old_training.loss.show()}`", f"`{training.loss.show()}`"
    for name in ("train", "valid", "take", "one_hot", "target"):
        if not (data_given and name == "train"):
            old, new = (_row(getattr(side, name)) for side in (old_data, data))
            yield f"the row `{name}` of its data", old, new
    for number, (row, other_row) in enumerate(zip_longest(old_data.transforms, data.transforms), 1):
        yield f"transform {number} of its data", _row(row), _row(other_row)
    yield "its phases", _phases(old_training), _phases(training)
    yield "how often layers thaw in it", _thaws(old_training), _thaws(training)
    for a, b in zip(old_training.stages, training.stages, strict=False):
        yield from _stages(a, b)


def _phases(training: Training) -> str:
    names = dict.fromkeys(s.phase for s in training.stages)
    return ", ".join(f"`{name}`" for name in names if name) or "none"


def _thaws(training: Training) -> str:
    return str(sum(s.begins > 0 for s in training.stages))


def _stages(old: Training, new: Training) -> Iterator[tuple[str, str, str]]:
    """The same for the phases of a training, whose epochs are the user's to change."""
    name = f" in phase `{old.phase}`" if old.phase else ""
    yield f"its optimizer{name}", old.optimizer.name, new.optimizer.name
    was, now = (", ".join(s.freezing.told) or "nothing" for s in (old, new))
    yield f"what is frozen{name}", was, now
    for tensor in sorted(old.freezing.tensors ^ new.freezing.tensors):
        was, now = ("frozen" if tensor in s.freezing.tensors else "free" for s in (old, new))
        yield f"`{tensor}`{name}", was, now


def _input(given: ModelInput | None) -> str:
    return f"`{given.name}{list(given.row_shape)}`" if given else "absent"


def _call(call: LayerCall | None) -> str:
    """A layer without its initializers: they have done their work, and follow the layer after."""
    if call is None:
        return "absent"
    layer = call.layer
    starts = {
        s.name: s.default
        for s in layer.signature()
        if isinstance(getattr(layer, s.name), Initializer) and not s.required
    }
    return f"`{replace(layer, **starts).show()}`"


def _row(placed: Placed[Any] | None) -> str:
    return f"`{placed.row.show()}`" if placed else "absent"


def _told(tensor: tuple[list[int], str] | None) -> str:
    if tensor is None:
        return "absent"
    shape, dtype = tensor
    return f"{dtype}[{','.join(map(str, shape))}]"


# Reading ------------------------------------------------------------------------------------------

# What is read of a manifest when a run is used or resumed.
_NEEDED = {"model", "classes", "state", "seed", "batch", "spec_sha256"}


def read_manifest(path: Path) -> dict[str, Any]:
    """A run's manifest, or DnnError with NoSuchRun."""
    file = path / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(file.read_text())
        if not isinstance(manifest, dict) or not manifest.keys() >= _NEEDED:
            raise ValueError("it is no manifest of a run")
        return manifest
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = "name a directory that `dnnc train` made, such as runs/digits"
        raise DnnError([NoSuchRun(None, str(path), "this is no run directory", advice)]) from error
    except (OSError, ValueError) as error:
        raise DnnError([NoSuchRun(None, str(file), f"it cannot be read ({error})")]) from error


def free_directory(path: Path) -> Path:
    """The path, or with `-2`, `-3` … where a run is there already."""
    number, free = 2, path
    while (free / "manifest.json").exists():
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def run_place(stem: str, model: str, trainings: int) -> Path:
    """Where a training's run goes: runs/STEM, and the model too where a file trains several."""
    return Path("runs") / (stem if trainings == 1 else f"{stem}-{model}")


def runs_of(program: CheckedProgram, stem: str) -> dict[str, Path]:
    """The last finished run of each model that a file trains, where there is one at its place."""
    found: dict[str, Path] = {}
    for training in program.trainings:
        place = run_place(stem, training.model, len(program.trainings))
        number, candidate = 2, place
        while (candidate / "manifest.json").exists():
            if "result" in read_manifest(candidate):
                found[training.model] = candidate
            candidate = place.with_name(f"{place.name}-{number}")
            number += 1
    return found


@record
class Described:
    """A run as its directory tells of it, which need not have a checkpoint."""

    path: Path
    program: CheckedProgram
    model: Model
    training: Training
    data: DataSpec
    manifest: Mapping[str, Any]
    warnings: Sequence[Diagnostic] = ()


def describe_run(path: Path) -> Described:
    """Read the text and the manifest of a run directory; DnnError with NoSuchRun where it is
    none.
    """
    manifest = read_manifest(path)
    program, warnings = load_program(read_source(path / SPEC), data_given=True)
    training = training_of(program, manifest["model"])
    model = model_of(program, manifest["model"])
    data = program.datasets[training.data]
    return Described(path, program, model, training, data, manifest, warnings)


@record
class Trained:
    """A run as it can be used: its program, its model, and the weights of its result."""

    path: Path
    program: CheckedProgram
    model: Model
    training: Training
    data: DataSpec
    manifest: Mapping[str, Any]
    checkpoint: Checkpoint

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.manifest["classes"])

    @property
    def folder(self) -> Path:
        """What the paths in the file were relative to when it was trained."""
        return Path(os.path.normpath(self.path / str(self.manifest.get("folder", "."))))


def open_run(path: Path, which: str | None = None) -> Trained:
    """Open a run directory; `which` is `last` or `best`, by default the one that the run ended
    with.
    """
    told = describe_run(path)
    which = which or told.manifest.get("final", "last")
    found = checkpoint.read(path / "checkpoints" / str(which))
    return Trained(path, told.program, told.model, told.training, told.data, told.manifest, found)
