"""Lints about layers that stand together and do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.analysis.model import Program
from deepdsl.diagnostics import Label
from deepdsl.lints.base import Lint, before, each_call
from deepdsl.ops.activations import Selu, Softmax
from deepdsl.ops.dense import Dense
from deepdsl.ops.normalization import BatchNorm
from deepdsl.record import record

# The initializers whose variance is 1 / fan_in.
_LECUN = ("lecun_normal", "lecun_uniform")


@record
class UselessBias(Lint):
    """A bias just before batch norm is taken away again with the batch's mean: it learns nothing.

    Batch norm's own beta supplies the shift (Ioffe & Szegedy 2015, section 3.2).

    ```wrong
    model net { input x[4]; dense 8 | batch_norm | relu | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 bias=false | batch_norm | relu | dense 3 | softmax }
    ```
    """

    code = "W402"
    layer: str
    norm: Label

    @property
    def message(self) -> str:
        return f"the bias of this `{self.layer}` does nothing"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.norm,)

    @property
    def help(self) -> str:
        return "bias=false"

    @classmethod
    def check(cls, program: Program) -> Iterator[Lint]:
        for model, call in each_call(program):
            if isinstance(call.layer, BatchNorm):
                feeder = model.call_of(call.inputs[0])
                if (
                    feeder is not None
                    and isinstance(feeder.layer, Dense)
                    and feeder.layer.bias is not False
                ):
                    norm = Label(call.span, "batch norm takes it away")
                    yield cls(feeder.span, feeder.layer.name, norm)


@record
class SeluInitializer(Lint):
    """SELU keeps mean 0 and variance 1 only when the weights have variance 1 / fan_in.

    Klambauer et al. 2017, theorem 1.  With another variance the fixed point is left and the signal
    grows or fades.

    ```wrong
    model net { input x[4]; dense 8 init=he_normal | selu | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 init=lecun_normal | selu | dense 3 | softmax }
    ```
    """

    code = "W403"
    initializer: str

    @property
    def message(self) -> str:
        return f"selu after {self.initializer}"

    @property
    def label(self) -> str:
        return "SELU keeps mean 0 and variance 1 only with lecun_normal"

    @property
    def help(self) -> str:
        return "init=lecun_normal"

    @classmethod
    def check(cls, program: Program) -> Iterator[Lint]:
        for model, call in each_call(program):
            if not isinstance(call.layer, Selu):
                continue
            for feeder in before(model, call):
                if isinstance(feeder.layer, Dense) and feeder.layer.init is not None:
                    init = feeder.layer.init
                    fans = feeder.params[0].fans or (1, 1)
                    if init.name not in _LECUN and init.variance(fans) != 1 / fans[0]:
                        yield cls(feeder.span, init.name)
                if not feeder.layer.transparent:
                    break


@record
class SoftmaxOfOne(Lint):
    """The softmax of a single number is 1, whatever the number: the model answers the same to
    everything.

    ```wrong
    model net { input x[4]; dense 1 | softmax }
    ```
    ```right
    model net { input x[4]; dense 1 | sigmoid }
    ```
    """

    code = "W405"

    @property
    def message(self) -> str:
        return "the softmax of one unit is always 1"

    @property
    def help(self) -> str:
        return (
            "for yes or no, `dense 1 | sigmoid` with binary_cross_entropy; "
            "for two classes, `dense 2 | softmax`"
        )

    @classmethod
    def check(cls, program: Program) -> Iterator[Lint]:
        for _, call in each_call(program):
            if isinstance(call.layer, Softmax) and call.type.shape[-1] == 1:
                yield cls(call.span)
