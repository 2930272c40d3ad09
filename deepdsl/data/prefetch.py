"""Prefetching: threads read batches before the steps that take them, in the order of the epoch.

Only where reading is slow: files, images, augmentation. What a batch holds depends on its rows and
the epoch alone, so that neither the number of threads nor their pace changes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import numpy as np

from deepdsl.core.cores import usable_cores
from deepdsl.data.table import Array, Rows, View

# Batches that wait to be taken, beside those in the making: they level out slow files.
WAITING = 4
# More threads than this contend for the interpreter more than they decode.
MOST_WORKERS = 4

Buffers = Mapping[str, Array]


def usual_workers() -> int:
    """How many threads read, where nothing is said."""
    return min(MOST_WORKERS, usable_cores())


class Reader(Protocol):
    """Gives the batches of an epoch one after the other."""

    #: Seconds that were spent waiting for them.
    waited: float

    def fill(self, buffers: Buffers) -> None:
        """Fill buffers with the next batch."""


def reading(
    view: View,
    pieces: Sequence[Rows],
    like: Buffers,
    epoch: int | None = None,
    workers: int | None = None,
) -> AbstractContextManager[Reader]:
    """Reads batches of a view: the positions in `pieces`, into buffers like those given. With
    `workers` 0, and where reading is quick, each is read when it is asked for.
    """
    if workers == 0 or not view.slow or len(pieces) < 2:
        return _direct(view, pieces, epoch)
    return Prefetcher(view, pieces, like, epoch, workers or usual_workers())


@contextmanager
def _direct(view: View, pieces: Sequence[Rows], epoch: int | None) -> Iterator[Reader]:
    yield Direct(view, pieces, epoch)


class Direct:
    """Reads each batch when it is asked for, into the buffers that are wanted."""

    def __init__(self, view: View, pieces: Sequence[Rows], epoch: int | None) -> None:
        self._view, self._pieces, self._epoch = view, iter(pieces), epoch
        self.waited = 0.0

    def fill(self, buffers: Buffers) -> None:
        begin = time.perf_counter()
        self._view.read(next(self._pieces), buffers, self._epoch)
        self.waited += time.perf_counter() - begin


class Prefetcher:
    """Reads batches into a ring of buffers by threads. Leaving it ends them, whatever happened."""

    def __init__(
        self,
        view: View,
        pieces: Sequence[Rows],
        like: Buffers,
        epoch: int | None,
        workers: int,
    ) -> None:
        self.waited = 0.0
        self._view, self._pieces, self._epoch = view, pieces, epoch
        self._changed = threading.Condition()
        largest = max((len(piece) for piece in pieces), default=0)
        count = min(len(pieces), workers + WAITING)
        self._free = [
            {name: np.empty((largest, *a.shape[1:]), a.dtype) for name, a in like.items()}
            for _ in range(count)
        ]
        self._ready: dict[int, dict[str, Array] | BaseException] = {}
        self._begun = self._given = 0
        self._ended = False
        self._threads = [
            threading.Thread(target=self._work, name=f"deepdsl reader {i}", daemon=True)
            for i in range(min(workers, len(pieces)))
        ]

    def __enter__(self) -> Prefetcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def fill(self, buffers: Buffers) -> None:
        """Copy the next batch. Raises what reading it raised."""
        begin = time.perf_counter()
        with self._changed:
            while self._given not in self._ready:
                self._changed.wait()
            made = self._ready.pop(self._given)
            self._given += 1
        self.waited += time.perf_counter() - begin
        if isinstance(made, BaseException):
            raise made
        for name, out in buffers.items():
            np.copyto(out, made[name][: len(out)])
        with self._changed:
            self._free.append(made)
            self._changed.notify_all()

    def _work(self) -> None:
        while (begun := self._begin()) is not None:
            number, made = begun
            piece = self._pieces[number]
            result: dict[str, Array] | BaseException = made
            try:
                part = {name: array[: len(piece)] for name, array in made.items()}
                self._view.read(piece, part, self._epoch)
            except BaseException as error:
                result = error
            with self._changed:
                self._ready[number] = result
                self._changed.notify_all()

    def _begin(self) -> tuple[int, dict[str, Array]] | None:
        """The next batch to read, with free buffers for it; None when there is no more to do.

        Buffers are given in the order of the batches, so that the one that is waited for has some.
        """
        with self._changed:
            while not self._free and not self._ended and self._begun < len(self._pieces):
                self._changed.wait()
            if self._ended or self._begun >= len(self._pieces):
                return None
            self._begun += 1
            return self._begun - 1, self._free.pop()
