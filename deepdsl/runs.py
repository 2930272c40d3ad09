"""Run directories: what a training leaves behind, and how it is found again."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepdsl import checkpoint
from deepdsl.analysis import Model, Program, Training
from deepdsl.checkpoint import Checkpoint
from deepdsl.compiler import load_program, model_of, read_source, training_of
from deepdsl.data.request import DataSpec
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.diagnostics.runtime import CannotResume, NoSuchRun, RunExists
from deepdsl.files import write_atomically
from deepdsl.source import Source
from deepdsl.trainer import Epoch


class RunDirectory:
    """`runs/NAME`: spec.dnn, manifest.json, log.jsonl, log.csv, checkpoints/{last,best}."""

    def __init__(self, path: Path, roles: Mapping[str, str], spec: str) -> None:
        self.path, self.roles, self.spec = path, roles, spec

    @classmethod
    def begin(cls, path: Path, source: Source, manifest: Mapping[str, Any]) -> RunDirectory:
        """Make a fresh run; DnnError with RunExists where the place is taken."""
        if (path / "manifest.json").exists():
            raise DnnError([RunExists(None, str(path))])
        (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        write_atomically(path / "spec.dnn", source.text.encode())
        run = cls._of(path, manifest)
        run._write_manifest(manifest)
        return run

    @classmethod
    def resume(cls, path: Path, source: Source, manifest: Mapping[str, Any]) -> RunDirectory:
        """Take up a run again, with the file as it is now.  CannotResume where its tensors are
        others.
        """
        before = read_manifest(path)
        have = {t["name"]: (t["shape"], t["dtype"]) for t in before["state"]}
        want = {t["name"]: (t["shape"], t["dtype"]) for t in manifest["state"]}
        for name in sorted({*have, *want}):
            if have.get(name) != want.get(name):
                was, now = (_told(side.get(name)) for side in (have, want))
                reason = f"`{name}` was {was} and is now {now}"
                raise DnnError([CannotResume(None, str(path), reason)])
        for key in ("seed", "batch", "accumulate"):
            was, now = before.get(key, 1), manifest.get(key, 1)
            if was != now:
                reason = f"its {key} was {was} and is now {now}"
                raise DnnError([CannotResume(None, str(path), reason)])
        write_atomically(path / "spec.dnn", source.text.encode())
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
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
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
        with path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())


def _told(tensor: tuple[list[int], str] | None) -> str:
    if tensor is None:
        return "absent"
    shape, dtype = tensor
    return f"{dtype}[{','.join(map(str, shape))}]"


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


@dataclass(frozen=True)
class Described:
    """A run as its directory tells of it, which need not have a checkpoint."""

    path: Path
    program: Program
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
    program, warnings = load_program(read_source(path / "spec.dnn"), data_given=True)
    training = training_of(program, manifest["model"])
    model = model_of(program, manifest["model"])
    data = program.datasets[training.data]
    return Described(path, program, model, training, data, manifest, warnings)


@dataclass(frozen=True)
class Trained:
    """A run as it can be used: its program, its model, and the weights of its result."""

    path: Path
    program: Program
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
