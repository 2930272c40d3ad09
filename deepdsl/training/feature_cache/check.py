"""Whether training on kept outputs gives the very numbers that training without them gives.

Measured with onnxruntime 1.31 on the CPU, one and two threads: a row comes out with the same bits
whatever the other rows of its batch are and wherever it is in it, but for these.

- A batch of one row is multiplied by another kernel (dense, lstm, gru), and so is one row that is
  left to a thread of its own. This concerns the last batch of an epoch, and `batch 1`.
- elu, selu, celu and softplus go through a tensor in vectors and through what is left at its end
  number by number, with another exp: where the numbers of a batch are no multiple of the vector,
  the last ones differ in their last bit.
- A dense layer of one unit multiplies rows by fours, and those left over otherwise.

Convolutions, pools, batch norm, relu, gelu, tanh, sigmoid, swish, softmax and attention are the
same in every batch.  So rows are made in full batches, the last batch of an epoch is made again
where it differs, and what is evaluated is made in the batches of the evaluation.  What remains is
looked for here, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice

import numpy as np

from deepdsl.compiler.build import initial_values
from deepdsl.compiler.job import Job
from deepdsl.compiler.stage import Stage
from deepdsl.compiler.training_step import evaluation_graph
from deepdsl.core.record import record
from deepdsl.data.order import epoch_order
from deepdsl.data.table import Array, Rows
from deepdsl.graph.backend import Arrays, Backend
from deepdsl.graph.emit import emit
from deepdsl.training.evaluation import batches
from deepdsl.training.feature_cache.cached_rows import KeptView
from deepdsl.training.feature_cache.maker import Maker
from deepdsl.training.stages import step_model

# Operations of ONNX that gave a row the same bits in every batch of several rows; arithmetic is
# exact, and the others move numbers or compare them.
_STEADY = """
    Abs Add And AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose
    Div Equal Erf Expand Flatten Floor Gather Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual HardSigmoid Identity LeakyRelu Less LessOrEqual MatMul Max MaxPool Min Mul
    Neg Not Or PRelu Pad Reciprocal ReduceMax ReduceMean ReduceSum Relu Reshape Resize Round
    Sigmoid Sign Slice Softmax Softsign Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where
"""
STEADY = frozenset(_STEADY.split())
# This many batches are made again and compared where there is nothing else, and where there is: a
# difference at the end of a batch was seen in one of ten at the least.
COMPARED, COMPARED_WELL = 4, 64


@record
class Agreement:
    """What agrees with the whole net bit by bit: kept rows in full batches, and in the last one."""

    full: bool
    ragged: bool


def compare_rows(made: Maker, kept: KeptView, seed: int) -> Agreement:
    """Kept rows against the same rows as they are in batches drawn at random."""
    size, last = made.size, len(made.view) % made.size
    steady = made.operations <= STEADY and not made.narrow
    times = COMPARED if steady else COMPARED_WELL
    full = islice(_drawn(seed, len(made.view), size), times)
    ragged = islice(_drawn(seed, len(made.view), last), times if last else 0)
    return Agreement(
        all(_same(made, kept, positions) for positions in full),
        all(_same(made, kept, positions) for positions in ragged),
    )


def as_found(made: Maker, found: Arrays) -> bool:
    """Whether the first rows that were found on the disk are what is computed here and now: the
    disk may be another machine's.
    """
    rows = min(made.size, len(made.view))
    first = made.make(np.arange(rows))
    return _equal(_bits(first), _bits({name: values[:rows] for name, values in found.items()}))


def _drawn(seed: int, rows: int, size: int) -> Iterator[Rows]:
    """Batches of the epochs to come, all of one size."""
    for epoch in count():
        order = epoch_order(seed, epoch, rows)
        yield from (order[s : s + size] for s in range(0, rows - size + 1, size))


def _same(made: Maker, kept: KeptView, positions: Rows) -> bool:
    anew = made.make(positions)
    held = {name: np.empty_like(values) for name, values in anew.items()}
    kept.read(positions, held)
    return _equal(_bits(anew), _bits(held))


def _bits(arrays: Arrays) -> dict[str, Array]:
    """Copies of the numbers as bytes: -0 is not 0, and NaN is NaN."""
    return {
        n: np.array(a, order="C", ndmin=1).reshape(-1).view(np.uint8) for n, a in arrays.items()
    }


def _equal(whole: Mapping[str, Array], rest: Mapping[str, Array]) -> bool:
    return all(np.array_equal(whole[name], values) for name, values in rest.items())


def same_step(steps: Sequence[tuple[Job, Stage]], state: Arrays, backend: Backend) -> bool:
    """Whether a step of the whole net and one of the rest give the same next weights and figures.

    A runtime joins operations as it likes, and might join them over the cut.
    """
    after: list[dict[str, Array]] = []
    for job, stage in steps:
        assert job.splits.train is not None
        rows, training = len(job.splits.train), job.task.training
        positions = epoch_order(training.seed, 0, rows)[: training.batch]
        given = initial_values(stage.graph.params, training.seed, state)
        stepper = backend.stepper(step_model(stage), given)
        job.splits.train.read(positions, stepper.buffers(len(positions)), 0)
        results = _bits(stepper.step(len(positions)))
        moved = {p.name: stepper.state()[p.name] for p in stage.graph.updates}
        after.append(results | _bits(moved))
    return _equal(*after)


def same_evaluation(whole: Job, rest: Job, state: Arrays, backend: Backend) -> bool:
    """Whether the first batch of an evaluation comes to the same figures and outputs."""
    after: list[dict[str, Array]] = []
    for job in (whole, rest):
        if job.splits.valid is None:
            return True
        graph = evaluation_graph(job.task)
        runner = backend.runner(emit(graph, "evaluation").serialize())
        weights = {p.name: state[p.name] for p in graph.params}
        for batch, _ in batches(job.splits.valid, graph):
            after.append(_bits(runner.run({**weights, **batch})))
            break
    return _equal(*after)
