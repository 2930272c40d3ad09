"""Runs a frozen prefix over rows, in batches whose size decides the last bits of what comes out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepdsl.compiler.forward import forward
from deepdsl.core.record import record
from deepdsl.data.prefetch import reading
from deepdsl.data.spec import DataSpec
from deepdsl.data.table import Array, Rows, View
from deepdsl.graph import Graph, Value
from deepdsl.graph.backend import Arrays, Backend, Runner
from deepdsl.graph.emit import NUMPY, emit
from deepdsl.graph.passes import optimize
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.language.frozen_prefix import FrozenPrefix


def prefix_graph(cut: FrozenPrefix, data: DataSpec, freezing: Freezing, training: bool) -> Graph:
    """Raw rows to what is kept, in the operations of a step or in those of an evaluation."""
    made = forward(cut.prefix, data, training, freezing=freezing)
    return optimize(made.builder.graph(made.outputs))


@record
class Maker:
    """A prefix on a device, over one view, this many rows at a time."""

    view: View
    size: int
    onnx: bytes
    inputs: tuple[Value, ...]
    outputs: Mapping[str, Value]
    weights: Arrays
    runner: Runner
    operations: frozenset[str]  # of ONNX
    narrow: bool  # whether a row is a single number somewhere, made of a matrix and a vector

    def make(self, positions: Rows) -> dict[str, Array]:
        """What is kept of the rows at these positions, as one batch."""
        batch = self.buffers(len(positions))
        self.view.read(positions, batch)
        return self.run(batch)

    def run(self, batch: Arrays) -> dict[str, Array]:
        return self.runner.run({**self.weights, **batch})

    def seconds(self) -> float:
        """How long a full batch takes, once the runtime has its memory."""
        batch = self.buffers(self.size)
        self.view.read(np.arange(self.size), batch)
        self.run(batch)
        begin = time.perf_counter()
        self.run(batch)
        return time.perf_counter() - begin

    def buffers(self, rows: int) -> dict[str, Array]:
        return {v.name: np.empty((rows, *v.type.row), NUMPY[v.type.dtype]) for v in self.inputs}

    @property
    def layout(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        return {n: (v.type.row, np.dtype(NUMPY[v.type.dtype])) for n, v in self.outputs.items()}

    def parts(self, whole: bool) -> Iterator[dict[str, Array]]:
        """What is kept of all rows, in order, a part at a time.

        With `whole` the rows of the last batch are made in a full one, together with some before
        them: a matrix of one row is multiplied by another kernel than a matrix of many.
        """
        rows = len(self.view)
        starts = range(0, rows, self.size)
        begins = [max(0, min(start, rows - self.size)) if whole else start for start in starts]
        pieces = [np.arange(b, min(b + self.size, rows)) for b in begins]
        for start, piece, batch in zip(starts, pieces, self._raw(pieces), strict=True):
            made = self.run(batch)
            yield {name: a[start - int(piece[0]) :] for name, a in made.items()}

    def key(self, whole: bool, device: str) -> str:
        """The hash of all that decides the numbers: operations, weights, rows, batches."""
        found = hashlib.sha256(f"{device} {self.size} {whole}\0".encode())
        found.update(hashlib.sha256(self.onnx).digest())
        for name, value in sorted(self.weights.items()):
            found.update(f"{name} {value.dtype} {value.shape}\0".encode())
            found.update(np.ascontiguousarray(value).tobytes())
        rows = len(self.view)
        starts = range(0, rows, self.size)
        pieces = [np.arange(start, min(start + self.size, rows)) for start in starts]
        for batch in self._raw(pieces):
            for name, values in batch.items():
                found.update(f"{name} {values.dtype} {values.shape}\0".encode())
                found.update(values.reshape(-1).view(np.uint8).data)
        return found.hexdigest()[:32]

    def _raw(self, pieces: list[Rows]) -> Iterator[dict[str, Array]]:
        """The raw rows of each piece, in buffers that are used again."""
        buffers = self.buffers(max(map(len, pieces)))
        with reading(self.view, pieces, buffers) as reader:
            for piece in pieces:
                batch = {name: a[: len(piece)] for name, a in buffers.items()}
                reader.fill(batch)
                yield batch


def maker(
    view: View, size: int, graph: Graph, state: Arrays, backend: Backend, known: Maker | None = None
) -> Maker:
    """A prefix made ready; one that is `known` lends its session where the operations are the
    same.
    """
    emitted = emit(graph, "frozen")
    onnx = emitted.serialize()
    operations = frozenset(node.op_type for node in emitted.proto.graph.node)
    weights = {p.name: state[p.name] for p in graph.params}
    same = known is not None and known.onnx == onnx
    runner = known.runner if same and known is not None else backend.runner(onnx)
    narrow = _narrow(emitted.proto.graph)
    return Maker(view, size, onnx, graph.inputs, graph.outputs, weights, runner, operations, narrow)


_PRODUCTS = frozenset({"Gemm", "MatMul"})


def _narrow(graph: Any) -> bool:
    """Whether a product in a graph of ONNX makes single numbers, or rows of a size unknown."""
    typed = {v.name: v.type.tensor_type.shape.dim for v in (*graph.value_info, *graph.output)}
    made = [typed.get(node.output[0]) for node in graph.node if node.op_type in _PRODUCTS]
    return any(not sizes or sizes[-1].dim_value == 1 for sizes in made)
