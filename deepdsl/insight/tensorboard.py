"""Event files for TensorBoard: figures and histograms of weights, an entry each epoch.

tensorboardX writes them; it needs neither TensorFlow nor PyTorch, and is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import MissingPackage
from deepdsl.insight.report.history import SPLITS, number, read_history
from deepdsl.training.callbacks import Arrays, Epoch, NullCallback
from deepdsl.transfer.weights.checkpoint import Checkpoint

# What a step changes and the model does not consist of.
_NO_WEIGHTS = {"slot", "counter", "constant"}


def need_tensorboard() -> Any:
    """The class of tensorboardX's writers; DnnError with MissingPackage where the package is not
    installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        missing = MissingPackage(None, "tensorboardX", "`--tensorboard`", "tensorboard")
        raise DnnError([missing]) from error
    return SummaryWriter


def open_writer(place: Path) -> Any:
    """A writer of a new event file in a folder, which may hold others, as after a resume."""
    writer = need_tensorboard()
    place.mkdir(parents=True, exist_ok=True)
    # The library's names count seconds: a second file within one would replace the first.
    others = sum(1 for _ in place.glob("*tfevents*"))
    return writer(str(place.absolute()), filename_suffix=f".{others}")


class EventFiles(NullCallback):
    """A listener that writes each epoch's figures and weights, at the number of its last step.

    `roles` maps each tensor of the state to its role; what an optimizer keeps is left out.
    """

    def __init__(self, place: Path, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.writer = open_writer(place)

    def __enter__(self) -> EventFiles:
        return self

    def __exit__(self, *error: object) -> None:
        self.writer.close()

    def epoch_done(self, record: Epoch) -> None:
        _scalars(self.writer, record.as_json())

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None:
        _histograms(self.writer, state(), self.roles, record.step)
        # Each epoch can be looked at when it is over.
        self.writer.flush()


def write_events(run: Path, place: Path, roles: Mapping[str, str], final: Checkpoint | None) -> int:
    """Event files of a run that is over: the figures of its log, and the weights that it ended
    with; how many epochs that are.
    """
    history = read_history(run)
    writer = open_writer(place)
    try:
        for record in history.records:
            _scalars(writer, record)
        if final is not None:
            step = int(final.state["step"]) if "step" in final.state else 0
            _histograms(writer, final.state, roles, step)
    finally:
        writer.close()
    return len(history.records)


def _scalars(writer: Any, record: Mapping[str, Any]) -> None:
    step = int(record.get("step", 0))
    writer.add_scalar("epoch", record["epoch"], step)
    for name in ("lr", "rows_per_s"):
        if name in record:
            writer.add_scalar(name, number(record[name]), step)
    for split in SPLITS:
        for name, value in (record.get(split) or {}).items():
            if not isinstance(value, list):
                writer.add_scalar(f"{split}/{name}", number(value), step)


def _histograms(writer: Any, state: Arrays, roles: Mapping[str, str], step: int) -> None:
    for path, values in state.items():
        if roles.get(path, "slot") in _NO_WEIGHTS:
            continue
        finite = values[np.isfinite(values)]
        if finite.size:
            writer.add_histogram(f"weights/{path}", finite, step)
