"""The step of one stage of a training, and the state that it resets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepdsl.compiler.learning_rates import begun_path
from deepdsl.core.record import record
from deepdsl.language.analysis import Training
from deepdsl.nn.schedules import FACTOR_PATH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepdsl.graph import Graph, Param
    from deepdsl.graph.emit import OnnxModel

    State = Mapping[str, NDArray[Any]]


@record
class Stage:
    """The step of one stage of a training."""

    number: int
    training: Training
    graph: Graph
    step: OnnxModel

    def file(self, stages: int) -> str:
        """What its file is called."""
        return f"step_{self.number + 1}.onnx" if stages > 1 else "step.onnx"

    @property
    def fresh(self) -> tuple[str, ...]:
        """The state that starts again with the stage: slots of what was not trained before, sums of
        gradients, the factor of a plateau.
        """
        return tuple(p.name for p in self.graph.params if self.number and self._anew(p))

    def _anew(self, param: Param) -> bool:
        head, _, rest = param.name.partition(".")
        if head == "accumulated":
            return True
        if param.name == FACTOR_PATH:
            return self.training.clock == self.number
        if head != "optimizer":
            return False
        _, _, tensor = rest.partition(".")
        born = self.training.births
        return born.get(tensor) == self.number or tensor == f"since_{self.number}"

    @property
    def begun(self) -> str | None:
        """The state that takes the number of steps done when the stage begins."""
        path = begun_path(self.number)
        return path if path in {p.name for p in self.graph.params} else None
