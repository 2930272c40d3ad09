"""Training from end to end, for the command line and the Python interface alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepdsl.compiler.build import Artifacts, build
from deepdsl.compiler.job import Job, open_job, with_reused
from deepdsl.core.record import record
from deepdsl.data.table import View
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.graph.backend import Backend, Runner, open_backend
from deepdsl.language.analysis import CheckedProgram, Training
from deepdsl.language.lints.training import known_with_data
from deepdsl.training.callbacks import Callback, NonFiniteError, NullCallback, Observer, Outcome
from deepdsl.training.early_stopping import need_valid
from deepdsl.training.metric_sums import Figures
from deepdsl.training.non_finite import first_bad_tensor
from deepdsl.training.run_directory import RunDirectory
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint


def in_order(program: CheckedProgram) -> list[Training]:
    """The trainings of a file in the order of their sections, each after those of the models that
    it is on.
    """
    left = list(program.trainings)
    made: list[Training] = []
    while left:
        waiting = {t.model for t in left}
        ready = [
            t for t in left if not waiting & {r.trained for r in program.models[t.model].reused}
        ]
        made.append((ready or left)[0])
        left.remove(made[-1])
    return made


@record
class Finished:
    """A training that is over: where it is, its job, and its figures."""

    path: Path
    job: Job
    outcome: Outcome
    test: Figures
    figures: Mapping[str, Any]


@record
class Ended:
    """A training that has just ended, with its evaluation session still open."""

    session: Session
    finished: Finished
    evaluator: Runner
    tested: View | None


# Shows a training that has just ended.
Report = Callable[[Ended], None]


@dataclass
class Session:
    """A training made ready: data opened, graphs compiled, run directory and backend at hand."""

    job: Job
    artifacts: Artifacts
    backend: Backend
    run: RunDirectory
    start: Checkpoint | None
    folder: Path
    program: CheckedProgram
    warnings: Sequence[Diagnostic] = ()

    def train(
        self,
        listener: Callback | None = None,
        observer: Observer | None = None,
        report: Report | None = None,
    ) -> Finished:
        """Train to the end, evaluate on test data if there is some, and note the result in the run
        directory.  `observer` sees steps of the training, `report` the finished training.

        Raises DnnError with NotFinite when a number is no longer finite.
        """
        begin = time.perf_counter()
        trainer = Trainer(
            self.job,
            self.artifacts,
            self.backend,
            self.run,
            listener or NullCallback(),
            self.start,
            observer,
            cache=self.run.path.parent / ".cache",
        )
        try:
            outcome = trainer.run()
        except NonFiniteError as wrong:
            kept = self.run.path / "checkpoints" / "last"
            where = str(kept) if kept.is_dir() else ""
            raise DnnError([first_bad_tensor(wrong, self.backend, where)]) from None
        test: Figures = {}
        tested = None if outcome.interrupted else self._test_rows()
        if tested is not None:
            test = trainer.evaluate(tested)
        figures = {
            "run": str(self.run.path),
            "epochs": outcome.epochs,
            "steps": outcome.steps,
            "train": dict(outcome.train),
            "valid": dict(outcome.valid),
            "test": test,
            "wall_s": round(time.perf_counter() - begin, 4),
            "step_us": round(outcome.step_us, 1),
            "stopped": outcome.stopped or None,
            "restored_epoch": outcome.restored,
            "interrupted": outcome.interrupted,
        }
        if outcome.proofs:
            figures["frozen"] = [proof.as_json() for proof in outcome.proofs]
        final = "best" if outcome.restored is not None else "last"
        self.run.finish(self.artifacts.manifest, final, figures)
        finished = Finished(self.run.path, self.job, outcome, test, figures)
        if report is not None:
            report(Ended(self, finished, trainer.evaluator.whole, tested))
        return finished

    def _test_rows(self) -> View | None:
        # Only now: a run that is stopped early never reads its test data.
        if self.job.splits.test is not None or self.job.task.data.test is None:
            return self.job.splits.test
        job = open_job(
            self.program,
            self.job.task.training,
            self.folder,
            ("test",),
            self.job.splits.classes,
            self.job.columns,
        )
        return job.splits.test


def prepare(
    program: CheckedProgram,
    training: Training,
    folder: Path,
    out: Path,
    device: str = "cpu",
    threads: int | None = None,
    resume: bool = False,
    job: Job | None = None,
    warnings: Sequence[Diagnostic] = (),
    runs: Mapping[str, Path] | None = None,
) -> Session:
    """Open data and device, compile, and make or take up the run directory.

    `runs` are those of other models of the file, whose weights this one may be on.
    """
    # The device first: a missing GPU should be said before minutes of reading data.
    backend = open_backend(device, threads)
    data_given = job is not None
    job = job or open_job(program, training, folder)
    assert job.splits.train is not None
    if found := known_with_data(program, training, len(job.splits.train)):
        job = replace(job, splits=replace(job.splits, warnings=(*job.splits.warnings, *found)))
    need_valid(training, job.splits.valid is not None)
    # A run that continues has its weights already.
    job = replace(job, loaded=()) if resume else with_reused(job, runs or {})
    artifacts = build(job)
    # Where the file's data paths start from, as seen from the run: an evaluation later finds the
    # data again.
    origin = os.path.relpath(folder.absolute(), out.absolute()).replace(os.sep, "/")
    artifacts = replace(artifacts, manifest={**artifacts.manifest, "folder": origin})
    if resume:
        run = RunDirectory.resume(out, program, training, artifacts.manifest, data_given)
        return Session(job, artifacts, backend, run, run.load("last"), folder, program, warnings)
    run = RunDirectory.begin(out, program, artifacts.manifest)
    return Session(job, artifacts, backend, run, None, folder, program, warnings)
