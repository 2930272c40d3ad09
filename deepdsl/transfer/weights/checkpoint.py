"""Checkpoints: the state of a training as safetensors files with checksums, written whole or not at
all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from deepdsl.core.atomic_files import named, write_atomically
from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import DamagedCheckpoint, NoSuchRun

FORMAT = 1
# What inference needs is in one file; what only further training needs is in the other.
WEIGHTS, REST, META = "weights.safetensors", "state.safetensors", "meta.json"
TRAINING_ROLES = ("slot", "counter")

Arrays = Mapping[str, NDArray[Any]]


@record
class Checkpoint:
    """A state and where in the training it was taken: this many steps of `epoch` (from 0) are done.

    `sums` are the running sums of that epoch; `best` is the best watched value so far, with its
    epoch.
    """

    state: Arrays
    epoch: int
    steps_done: int
    sums: Mapping[str, Any] = field(default_factory=dict)
    best: tuple[int, float] | None = None
    watched: Mapping[str, Any] = field(default_factory=dict)


def write(folder: Path, checkpoint: Checkpoint, roles: Mapping[str, str], spec: str) -> None:
    """Write a checkpoint into `folder`, replacing the one that is there only when the new one is
    complete.
    """
    parts = {
        WEIGHTS: {k: v for k, v in checkpoint.state.items() if roles[k] not in TRAINING_ROLES},
        REST: {k: v for k, v in checkpoint.state.items() if roles[k] in TRAINING_ROLES},
    }
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with named(folder):
            beside.mkdir(parents=True)
            _fill(beside, checkpoint, parts, spec)
            _replace(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _fill(
    folder: Path, checkpoint: Checkpoint, parts: Mapping[str, Mapping[str, Any]], spec: str
) -> None:
    """Every file of a checkpoint, `meta.json` with their sums."""
    sums = {}
    for name, tensors in parts.items():
        data = save({k: _plain(v) for k, v in tensors.items()}, {"format": "deepdsl"})
        sums[name] = hashlib.sha256(data).hexdigest()
        write_atomically(folder / name, data)
    meta = {
        "format": FORMAT,
        "spec_sha256": spec,
        "epoch": checkpoint.epoch,
        "steps_done": checkpoint.steps_done,
        "sums": dict(checkpoint.sums),
        "best": list(checkpoint.best) if checkpoint.best else None,
        "watched": dict(checkpoint.watched),
        "sha256": sums,
    }
    write_atomically(folder / META, (json.dumps(meta, indent=2) + "\n").encode())


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    # safetensors wants arrays that own their memory; views into the session's buffers would change
    # under it.
    return array.copy(order="C")


def _replace(folder: Path, new: Path) -> None:
    """Put `new` in the place of `folder`.  At every moment one of `folder` and `folder.old` is
    complete.
    """
    old = folder.with_name(f"{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def read(folder: Path) -> Checkpoint:
    """Read a checkpoint and check every byte of it.

    Raises DnnError with NoSuchRun where there is none, DamagedCheckpoint where it is not as it was
    written.
    """
    if not folder.is_dir():
        old = folder.with_name(f"{folder.name}.old")
        if not old.is_dir():
            advice = "a run directory is made by `dnnc train`"
            raise DnnError([NoSuchRun(None, str(folder), "there is no checkpoint here", advice)])
        folder = old
    try:
        meta = json.loads((folder / META).read_text())
        state: dict[str, NDArray[Any]] = {}
        for name in (WEIGHTS, REST):
            data = (folder / name).read_bytes()
            if hashlib.sha256(data).hexdigest() != meta["sha256"][name]:
                raise DnnError(
                    [DamagedCheckpoint(None, str(folder / name), "its checksum differs")]
                )
            state.update(load(data))
        best = (int(meta["best"][0]), float(meta["best"][1])) if meta["best"] else None
        return Checkpoint(
            state, int(meta["epoch"]), int(meta["steps_done"]), meta["sums"], best, meta["watched"]
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = str(error) or type(error).__name__
        raise DnnError([DamagedCheckpoint(None, str(folder), reason)]) from error
