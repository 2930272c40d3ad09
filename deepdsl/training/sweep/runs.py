"""The runs of a sweep: which are there already, and how the others are made."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import field
from pathlib import Path
from typing import Any

from deepdsl.compiler.build import spec_hash
from deepdsl.compiler.front_end import load_program, training_of
from deepdsl.core.atomic_files import write_atomically
from deepdsl.core.cores import usable_cores
from deepdsl.core.record import record
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import NonFiniteNumber
from deepdsl.language.analysis import CheckedProgram, Training
from deepdsl.training.run_directory import runs_of
from deepdsl.training.sweep.grid import Point
from deepdsl.training.sweep.tasks import End, SweepTask

_FAILURE = "failure.json"


@record
class Planned:
    """A run of the sweep before it is made; `error` where its text is wrong."""

    point: Point
    source: Source
    place: Path
    spec: str = ""
    training: Training | None = None
    program: CheckedProgram | None = None
    runs: Mapping[str, Path] = field(default_factory=dict)  # of other models of the file
    error: DnnError | None = None


@record
class SweepResult:
    """A run of the sweep: its figures, or why there are none."""

    point: Point
    place: Path
    figures: Mapping[str, Any] | None
    code: str = ""
    reason: str = ""
    seconds: float = 0.0
    again: bool = False  # whether it was there before
    help: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.code)


def plan(
    base: Source, points: Sequence[Point], model: str | None, out: Path, stem: str
) -> list[Planned]:
    """Check the text of every run; DnnError where none of them is right.

    `stem` is what the file's own runs are named after.
    """
    planned = []
    for point in points:
        source = point.source(base, model)
        place = out / _folder(point)
        try:
            program, _ = load_program(source)
            training = training_of(program, model)
        except DnnError as error:
            planned.append(Planned(point, source, place, error=error))
            continue
        spec = spec_hash(program.source, program.uses.sources)
        runs = runs_of(program, stem)
        place = out / f"{_folder(point)}-{_mark(spec, _ground(program, training, runs))}"
        planned.append(Planned(point, source, place, spec, training, program, runs))
    if all(each.error is not None for each in planned):
        assert planned[0].error is not None
        raise planned[0].error
    return planned


def _folder(point: Point) -> str:
    """A name for a file system, which a person recognizes."""
    return re.sub(r"[^\w.=+-]+", "_", "_".join(point.written))[:80].strip("_") or "run"


def _ground(
    program: CheckedProgram, training: Training, runs: Mapping[str, Path]
) -> Iterator[Path]:
    """The files that say which weights a training is on."""
    for reused in program.models[training.model].reused:
        place = runs.get(reused.trained) if reused.trained else Path(reused.weights or os.devnull)
        if place is not None:
            yield place / "manifest.json" if place.is_dir() else place
    for library in program.uses.libraries.values():
        yield Path(library.path)


def _mark(spec: str, ground: Iterator[Path]) -> str:
    """What tells runs of one name apart: their text, and the weights that they begin with."""
    digest = hashlib.sha256(spec.encode())
    for path in ground:
        try:
            digest.update(path.read_bytes())
        except OSError:
            # That it cannot be read is said when it is needed.
            continue
    return digest.hexdigest()[:8]


def known(planned: Planned) -> SweepResult | None:
    """What is known of a run without making it."""
    if planned.error is not None:
        first = planned.error.diagnostics[0]
        words = f"{first.message}: {first.label}" if first.label else first.message
        return SweepResult(planned.point, planned.place, None, first.code, words)
    figures = _figures(planned)
    if figures is not None:
        seconds = float(figures.get("wall_s", 0.0))
        return SweepResult(planned.point, planned.place, figures, seconds=seconds, again=True)
    told = _read(planned.place / _FAILURE)
    if told.get("spec_sha256") == planned.spec:
        return SweepResult(
            planned.point, planned.place, None, told["code"], told["reason"], again=True
        )
    return None


def _figures(planned: Planned) -> Mapping[str, Any] | None:
    """The figures of a run that came to its end."""
    manifest = _read(planned.place / "manifest.json")
    result = manifest.get("result")
    if manifest.get("spec_sha256") != planned.spec or not isinstance(result, dict):
        return None
    return None if result.get("interrupted") else result


def _read(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


# Making them --------------------------------------------------------------------------------------


@record
class How:
    """Where runs are made, and by how many processes at a time."""

    folder: Path
    device: str
    jobs: int
    train: Callable[[SweepTask], End]  # in this process
    worker: str  # the module that trains in a process of its own
    threads: int | None = None

    def task(self, planned: Planned) -> SweepTask:
        assert planned.training is not None
        source = planned.source
        threads = self.threads or max(1, usable_cores() // self.jobs)
        return SweepTask(
            source.name,
            source.text,
            source.path,
            planned.training.model,
            str(self.folder),
            str(planned.place),
            self.device,
            threads,
            {name: str(path) for name, path in planned.runs.items()},
        )


def make(planned: Sequence[Planned], how: How) -> Iterator[SweepResult]:
    """Make runs, each told when it is over.

    It ends early after an interrupt (Ctrl-C): what was being trained has a checkpoint then, and is
    gone on with the next time.
    """
    if how.jobs == 1 or len(planned) == 1:
        yield from _one_by_one(planned, how)
    else:
        yield from _side_by_side(planned, how)


def _one_by_one(planned: Sequence[Planned], how: How) -> Iterator[SweepResult]:
    for each in planned:
        begin = time.perf_counter()
        end = how.train(how.task(each))
        if end.interrupted:
            return
        yield _made(each, end, time.perf_counter() - begin)


def _made(planned: Planned, end: End, seconds: float) -> SweepResult:
    point, place = planned.point, planned.place
    if end.code:
        if end.code == NonFiniteNumber.code:  # they would again
            told = {"spec_sha256": planned.spec, "code": end.code, "reason": end.reason}
            write_atomically(place / _FAILURE, (json.dumps(told, indent=2) + "\n").encode())
        return SweepResult(point, place, None, end.code, end.reason, seconds, help=end.help)
    figures = _figures(planned)
    if figures is None:
        return SweepResult(point, place, None, "E699", "it left no figures", seconds)
    return SweepResult(point, place, figures, seconds=seconds)


def _side_by_side(planned: Sequence[Planned], how: How) -> Iterator[SweepResult]:
    crew = _Crew(how.worker)
    try:
        with ThreadPoolExecutor(min(how.jobs, len(planned))) as pool:
            waiting = {pool.submit(crew.timed, how.task(each)): each for each in planned}
            try:
                yield from _as_they_end(waiting)
            except BaseException as stop:
                crew.interrupt()
                for future in waiting:
                    future.cancel()
                if not isinstance(stop, KeyboardInterrupt):
                    raise
    finally:
        crew.dismiss()


def _as_they_end(waiting: dict[Future[tuple[End, float]], Planned]) -> Iterator[SweepResult]:
    left = set(waiting)
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        for future in done:
            end, seconds = future.result()
            if not end.interrupted:
                yield _made(waiting[future], end, seconds)


class _Crew:
    """Processes that train: each thread that asks has one of its own."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._mine = threading.local()
        self._all: list[subprocess.Popen[str]] = []
        self._closing = False

    def timed(self, task: SweepTask) -> tuple[End, float]:
        begin = time.perf_counter()
        return self._end(task), time.perf_counter() - begin

    def _end(self, task: SweepTask) -> End:
        if self._closing:
            return End(interrupted=True)
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(task.as_line())
            process.stdin.flush()
        except OSError:
            line = ""
        else:
            line = process.stdout.readline()
        if line:
            return End(**json.loads(line))
        self._mine.process = None
        return End(interrupted=True) if self._closing else End("E699", "its process ended early")

    def _process(self) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] | None = getattr(self._mine, "process", None)
        if process is None:
            # In a session of its own: the terminal's Ctrl-C comes to this process, which hands it
            # on once.
            process = subprocess.Popen(
                [sys.executable, "-m", self._worker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )
            self._mine.process = process
            self._all.append(process)
        return process

    def interrupt(self) -> None:
        """Let what is being trained come to a checkpoint."""
        self._closing = True
        for process in self._all:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)

    def dismiss(self) -> None:
        for process in self._all:
            # Its input is at its end, and so is its work.
            process.communicate()
