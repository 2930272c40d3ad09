"""`python -m deepdsl.cli.sweep_worker`: trains runs of a sweep for the process that started it.

A task comes in as a line of JSON, and a line about its end goes out.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import TextIO

from deepdsl.training.sweep.tasks import End, SweepTask


def train_here(task: SweepTask) -> End:
    """Train a run in this process."""
    # Imported here: Ctrl-C while this loads ends the process quietly, as it does later.
    from deepdsl.insight.report.training import report_training
    from deepdsl.training.sweep.worker import train

    return train(task, report_training)


def serve(lines: TextIO, out: TextIO) -> None:
    """Do one task after another until there are no more."""
    try:
        for line in lines:
            end = train_here(SweepTask(**json.loads(line)))
            out.write(end.as_line())
            out.flush()
            if end.interrupted:
                return
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    # A process whose parent ignores the signal would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    serve(sys.stdin, sys.stdout)
