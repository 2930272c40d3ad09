"""The outputs of a frozen prefix, computed once and trained on: a job whose rows are kept outputs.

    made = cached_job(job, stage, state, backend, run.path.parent / ".cache")
    say(made.told)
    if isinstance(made, Cached):
        train(made.job)     # as any job: its task has the rest of the model, its splits have rows

`job` is the job as it was opened, `stage` the training whose `freezing` holds, `state` has at least
the parameters and preprocessing constants of the model by path, as they are when the stage begins.
`place` is the folder in which rows are kept on the disk; None where there is none.

The task of `Cached.job` is (the rest of the model, the stage, a data section that no longer
transforms what is kept). Parameters keep their paths, so that the state of a step for it is a part
of the state of the whole net's step; what it lacks (the frozen tensors, the constants of
preprocessing) is frozen. Its rows come in the same order, so that `epoch_order` gives the same
batches. Its test rows are not kept: they are evaluated once, with the whole net.

What a step computes from kept rows is bit for bit what the whole net's step computes on the CPU, or
they are not kept (`cache=auto`); see `features.check`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepdsl.compiler.build import compile_stages
from deepdsl.compiler.job import Job
from deepdsl.compiler.stage import Stage
from deepdsl.compiler.training_step import Task, evaluation_graph
from deepdsl.core.record import record
from deepdsl.data.files import free_memory, memory_budget
from deepdsl.data.table import View
from deepdsl.graph.backend import Arrays, Backend
from deepdsl.language.analysis.model import Training
from deepdsl.language.frozen_prefix import FrozenPrefix, cut_frozen
from deepdsl.training.evaluation import rows_together
from deepdsl.training.feature_cache.cached_rows import KeptRows, KeptView
from deepdsl.training.feature_cache.check import as_found, compare_rows, same_evaluation, same_step
from deepdsl.training.feature_cache.maker import Maker, maker, prefix_graph
from deepdsl.training.feature_cache.store import Store, byte_text

# Bytes that a disk gives in a second, when it is weighed against computing again.
DISK = 400e6
# Rows on the disk may take this share of what is free there.
DISK_SHARE = 0.5


@record
class Cached:
    """A job whose rows are kept outputs, its step, and a line about it."""

    job: Job
    stage: Stage
    told: str


@record
class Refused:
    """Why nothing is kept."""

    reason: str

    @property
    def told(self) -> str:
        return f"not cached: {self.reason}"


class _Unfit(Exception):
    """Ends the making with the reason why nothing is kept."""


def cached_job(
    job: Job, training: Training, state: Arrays, backend: Backend, place: Path | None = None
) -> Cached | Refused:
    """The job of a stage with the outputs of its frozen prefix kept, or why that is not done."""
    cut = cut_frozen(job.task.model, training.freezing, job.task.data)
    if isinstance(cut, str):
        return Refused(cut)
    try:
        return _Keeping(job, training, state, backend, place, cut).made()
    except _Unfit as reason:
        return Refused(str(reason))


@dataclass
class _Keeping:
    """The making of a job of kept rows."""

    job: Job
    training: Training
    state: Arrays
    backend: Backend
    place: Path | None
    cut: FrozenPrefix
    found: bool = True  # whether all rows were on the disk already

    @property
    def exact(self) -> bool:
        """Whether the bits are promised, with batches of another size too."""
        return self.backend.deterministic

    def made(self) -> Cached:
        begin = time.perf_counter()
        whole = replace(self.job, task=replace(self.job.task, training=self.training))
        task, splits = whole.task, whole.splits
        rest = Task(self.cut.rest, self.training, self.cut.data, task.one_hot)
        assert splits.train is not None
        size = min(self.training.batch, len(splits.train))
        train = self._maker(splits.train, size, training=True)
        valid = None
        if splits.valid is not None:
            together = rows_together(evaluation_graph(task))
            valid = self._maker(splits.valid, together, training=False, known=train)
        store = self._store(train, valid)
        kept, full = self._train_rows(train, store)
        held: View | None = None
        if valid is not None:
            held = KeptView(valid, self._rows(valid, store, False), self.raw, valid.size)
        job = replace(
            self.job, task=rest, splits=replace(splits, train=kept, valid=held, test=None)
        )
        if not full:
            self._unless_wanted(
                "the last bits of a row depend on the batch in which it is computed"
            )
        (stage,) = compile_stages(job)
        same = full and (not self.exact or self._same(whole, job, stage))
        if full and not same:
            self._unless_wanted("the last bits of a row depend on what is computed with it")
        seconds = time.perf_counter() - begin
        return Cached(job, stage, self._told(train, valid, store, seconds, same))

    def _unless_wanted(self, differs: str) -> None:
        """Keep nothing that is not the same, bit for bit, but where the text asks for it."""
        if self.training.freezing.cache == "auto":
            raise _Unfit(f"{differs}; `cache=ram` or `cache=disk` keeps it nevertheless")

    def _same(self, whole: Job, rest: Job, stage: Stage) -> bool:
        """Whether a step and an evaluation come to the same as those of the whole net."""
        (own,) = compile_stages(whole)
        steps = ((whole, own), (rest, stage))
        return same_step(steps, self.state, self.backend) and same_evaluation(
            whole, rest, self.state, self.backend
        )

    def _maker(self, view: View, size: int, training: bool, known: Maker | None = None) -> Maker:
        graph = prefix_graph(self.cut, self.job.task.data, self.training.freezing, training)
        return maker(view, size, graph, self.state, self.backend, known)

    @property
    def raw(self) -> tuple[str, ...]:
        """What the rest reads of the rows themselves."""
        return tuple(i.name for i in self.cut.rest.inputs if i.name not in self.cut.data.ready)

    def _train_rows(self, train: Maker, store: Store | None) -> tuple[KeptView, bool]:
        """The rows to train on, and whether they are the same in every full batch."""
        kept = KeptView(train, self._rows(train, store, True), self.raw)
        if not self.exact:
            return kept, True
        agree = compare_rows(train, kept, self.training.seed)
        kept.ragged = 0 if agree.ragged else len(kept) % train.size
        return kept, agree.full

    # Where rows are kept --------------------------------------------------------------------------

    def _bytes(self, *makers: Maker | None) -> int:
        return self.cut.row_bytes * sum(len(m.view) for m in makers if m is not None)

    def _store(self, train: Maker, valid: Maker | None) -> Store | None:
        """The folder for rows that go to the disk; None where they stay in memory."""
        size, how = self._bytes(train, valid), self.training.freezing.cache
        text = f"the outputs of the frozen layers would take {byte_text(size)}"
        if how == "ram" or (how == "auto" and size <= memory_budget()):
            if size > (free := free_memory()):
                raise _Unfit(f"{text}, and {byte_text(free)} of memory are free")
            return None
        if self.place is None:
            raise _Unfit(f"{text}, and there is no folder for them")
        store = Store(self.place)
        if how == "auto" and train.seconds() < self.cut.row_bytes * train.size / DISK:
            raise _Unfit(f"{text}, and to read them takes longer than to compute them")
        return store

    def _rows(self, made: Maker, store: Store | None, whole: bool) -> KeptRows:
        """What is kept of all rows: made now, or found on the disk."""
        rows = len(made.view)
        if store is None:
            arrays = {n: np.empty((rows, *s), d) for n, (s, d) in made.layout.items()}
            done = 0
            for part in made.parts(whole):
                count = len(next(iter(part.values())))
                for name, values in part.items():
                    arrays[name][done : done + count] = values
                done += count
            return KeptRows(arrays, False)
        key = made.key(whole, self.backend.name)
        found = store.find(key, made.layout, rows)
        if found is None or not as_found(made, found):
            self.found = False
            size, most = self._bytes(made), int(store.free() * DISK_SHARE)
            if size > most:
                text = f"the outputs of the frozen layers would take {byte_text(size)}"
                raise _Unfit(f"{text}, and no more than {byte_text(most)} of the disk may be taken")
            try:
                store.keep(key, made.layout, rows, made.parts(whole), self._title())
                found = store.find(key, made.layout, rows)
            except OSError as error:
                raise _Unfit(f"they could not be written: {error.strerror or error}") from None
        if found is None:
            raise _Unfit(f"what was written to `{store.place}` cannot be read again")
        if self._bytes(made) > memory_budget():
            return KeptRows(found, True)
        return KeptRows({name: np.array(values) for name, values in found.items()}, False)

    # What is said ---------------------------------------------------------------------------------

    def _title(self) -> str:
        return f"{self.cut.rest.name}: {self.cut.title}"

    def _told(
        self, train: Maker, valid: Maker | None, store: Store | None, seconds: float, exact: bool
    ) -> str:
        rows = " + ".join(f"{len(m.view):,}" for m in (train, valid) if m is not None)
        where = "in memory"
        if store is not None:
            where = f"{'found ' if self.found else ''}in {store.place}"
        size = byte_text(self._bytes(train, valid))
        told = f"{self.cut.title}: outputs cached for {rows} rows ({size} {where}, {seconds:.2f} s)"
        return told if exact else f"{told}; their last bits are not those of a run without"
