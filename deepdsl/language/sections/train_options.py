"""Rows of the train and export sections that are settings: batch, accumulate, epochs, seed, stop,
clip, onnx.
"""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import (
    Boolean,
    Integer,
    ListOf,
    Names,
    Number,
    OneOf,
    Registered,
    Text,
    argument,
    option,
)
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Maximum, Minimum, Sqrt, add, div, mul
from deepdsl.graph.reductions import square_sum


@record
class TrainRow(Registered, kind="train_row"):
    """Base of settings of a train section."""


@record
class Batch(TrainRow):
    """`batch 32`: how many rows a step takes.  The last batch of an epoch is shorter when they do
    not divide evenly.
    """

    rows: int = argument(Integer(minimum=1), "rows a step", 32)


@record
class Accumulate(TrainRow):
    """`accumulate 4`: the mean gradient over the rows of 4 batches makes one update.

    It is the update of a batch 4 times as large, in the memory of one; batch norm and random layers
    see the single batches.  Clipping acts on the mean gradient.  Schedules in steps, the momentum
    and Adam's t count updates; an epoch is an epoch.  Batches that are left at the end of an epoch
    count for the first update of the next; those left at the end of the training make none.
    """

    batches: int = argument(Integer(minimum=1, maximum=2**24), "batches an update", 1)


@record
class Epochs(TrainRow):
    """`epochs 10`: how many times the training rows are gone through."""

    count: int = argument(Integer(minimum=1), "how many", 10)


@record
class Seed(TrainRow):
    """`seed 42`: from it all that is random follows: initial weights, splits, shuffling,
    dropout.
    """

    value: int = argument(Integer(minimum=0, maximum=2**63 - 1), "a whole number", 0)


@record
class Stop(TrainRow):
    """`stop patience=10 on=valid.loss restore=best`: end early when nothing gets better.

    Training ends after `patience` epochs in which the watched number has not improved by more than
    min_delta on its best. With restore=best the weights of the best epoch are what the run ends
    with.
    """

    patience: int = option(Integer(minimum=1), "epochs without improvement", 10)
    on: str = option(Names(), "what is watched", "valid.loss")
    restore: str = option(OneOf(("best", "none")), "which weights remain", "none")
    min_delta: float = option(Number(minimum=0), "what counts as improvement", 0.0)


@record
class Clip(TrainRow):
    """`clip global_norm=1.0`: gradients are kept from growing too large.

    value=c cuts each component into ±c.  norm=c scales each tensor g by min(1, c / |g|).
    global_norm=c scales all tensors by one factor, min(1, c / |all of them|), so that the direction
    stays.  Given together they are applied in that order.
    """

    source = "Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063"

    value: float | None = option(Number(above=0), "largest absolute value of a component", None)
    norm: float | None = option(Number(above=0), "largest norm of a tensor", None)
    global_norm: float | None = option(
        Number(above=0), "largest norm of all tensors together", None
    )

    def apply(
        self, b: Builder, grads: dict[Value, Value]
    ) -> tuple[dict[Value, Value], Value | None]:
        """The clipped gradients, and the global norm before it was clipped, where it is
        computed.
        """
        if self.value is not None:
            low, high = b.constant(-self.value), b.constant(self.value)
            grads = {p: b.add(Maximum(), b.add(Minimum(), g, high), low) for p, g in grads.items()}
        if self.norm is not None:
            grads = {
                p: mul(b, g, _factor(b, self.norm, b.add(Sqrt(), square_sum(b, g))))
                for p, g in grads.items()
            }
        if self.global_norm is None:
            return grads, None
        total: Value | None = None
        for g in grads.values():
            squares = square_sum(b, g)
            total = squares if total is None else add(b, total, squares)
        assert total is not None
        norm = b.add(Sqrt(), total)
        factor = _factor(b, self.global_norm, norm)
        return {p: mul(b, g, factor) for p, g in grads.items()}, norm


def _factor(b: Builder, limit: float, norm: Value) -> Value:
    """min(1, limit / norm), which is 1 for a norm of zero: limit / 0 is infinite."""
    return b.add(Minimum(), div(b, b.constant(limit), norm), b.constant(1.0))


# How far an export may be from the evaluation graph, by how its weights are kept.
TOLERANCES = {None: 1e-5, "int8": 1e-2}


@record
class ExportRow(Registered, kind="export_row"):
    """Base of settings of an export section."""


@record
class Onnx(ExportRow):
    """`onnx "net.onnx" fold_batch_norm=true verify=1e-5`: the file to deploy.

    Batch norms are folded into the dense layers beside them.  The file is run and compared with the
    evaluation graph; a difference above `verify` (times the largest output, where that is above 1)
    is an error and no file is left after.

    `quantize=int8` keeps the weights of dense layers, convolutions, tables and recurrent layers as
    whole numbers of one byte with a scale for each output channel, max |w| / 127: the file is about
    4 times smaller, and no weight is off by more than half a step.  Biases and norms stay float,
    and the layers compute in float32 as before: it saves room, not time.  The difference is
    measured like that of any export, and `verify` is 1e-2 then by default.  What costs too much can
    stay float: `keep_float=[head.dense_1]` names layers, parts or tensors.  In PyTorch this is
    weight-only quantization, symmetric and per channel; without calibration, since nothing is
    measured on data.
    """

    file: str = argument(Text(), "the file's name")
    fold_batch_norm: bool = option(Boolean(), "fold batch norms into layers", True)
    verify: float | None = option(
        Number(above=0), "largest difference allowed; 1e-5, with quantize 1e-2", None
    )
    quantize: str | None = option(OneOf(("int8",)), "how weights are kept; float32 without", None)
    keep_float: tuple[str, ...] = option(
        ListOf(Names()), "layers, parts or tensors that quantize leaves as they are", ()
    )
