"""E595 to E599: weights in eight bits."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean


@record
class QuantizedDiffers(Diagnostic):
    """The export with 8-bit weights differs from the evaluation graph by more than the tolerance; no file was written.

    The tensors that cost most are those that differ most when each is quantized alone.  One whose
    channels have a few large weights among many small ones loses the small ones.
    """

    code = "E595"
    exit_status = ExitStatus.NUMBERS
    difference: float
    tolerance: float
    costs: tuple[tuple[str, float], ...]

    @property
    def message(self) -> str:
        told = ", ".join(f"`{name}` {cost:.2g}" for name, cost in self.costs)
        return (
            f"with weights in int8 the outputs differ by {self.difference:.2g}, "
            f"more than {self.tolerance:g}" + (f"; each alone: {told}" if told else "")
        )

    @property
    def help(self) -> str:
        allow = f"allow more with verify={_above(self.difference)}"
        if not self.costs:
            return allow
        layer = self.costs[0][0].rpartition(".")[0]
        return f"{allow}, or let the costliest stay float: keep_float=[{layer}]"


def _above(difference: float) -> str:
    """A round number above a difference."""
    power = 1.0
    while power > 1e-12 and power / 10 > difference:
        power /= 10
    near = next((n * power / 10 for n in (1, 2, 5) if n * power / 10 > difference), power)
    return f"{near:g}"


@record
class KeptNothing(Diagnostic):
    """`keep_float` names something without weights to quantize.

    It takes paths of layers, of parts and of tensors, as `dnnc inspect` lists them.

    ```wrong
    model net { input x[8]; part head { dense 3 | softmax } }
    export net { onnx "net.onnx" quantize=int8 keep_float=[head.dense_2] }
    ```
    ```right
    model net { input x[8]; part head { dense 3 | softmax } }
    export net { onnx "net.onnx" quantize=int8 keep_float=[head.dense_1] }
    ```
    """

    code = "E596"
    depends_on = "item"
    path: str
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"`keep_float` names `{self.path}`, which has no weights here"

    @property
    def help(self) -> str:
        return did_you_mean(self.path, self.names)


@record
class KeptWithoutQuantize(Diagnostic):
    """`keep_float` without `quantize` has no effect: everything stays float.

    ```wrong
    model net { input x[8]; dense 3 | softmax }
    export net { onnx "net.onnx" keep_float=[dense_1] }
    ```
    ```right
    model net { input x[8]; dense 3 | softmax }
    export net { onnx "net.onnx" }
    ```
    """

    code = "E597"
    keep: tuple[str, ...]

    @property
    def message(self) -> str:
        return "`keep_float` says what `quantize` leaves alone, and nothing is quantized"

    @property
    def help(self) -> str:
        return f"leave it out, or write quantize=int8 keep_float=[{' '.join(self.keep)}]"
