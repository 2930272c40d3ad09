"""What crosses the border between a sweep and the processes that train its runs."""

from __future__ import annotations

import json
from dataclasses import asdict

from deepdsl.core.record import record


@record
class SweepTask:
    """A run to be made: the text, where it is, and where it goes."""

    name: str
    text: str
    path: str
    model: str
    folder: str
    place: str
    device: str
    threads: int
    runs: dict[str, str]  # of other models of the file

    def as_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@record
class End:
    """How a task ended: it is done, or it was interrupted, or it failed for a reason."""

    code: str = ""
    reason: str = ""
    help: str = ""
    interrupted: bool = False

    def as_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"
