"""Turns operators into layers, one function for one operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from deepdsl.core.record import record
from deepdsl.core.registry import Mismatch
from deepdsl.graph import Builder, DType, Op, Role, ShapeError, Type, Value
from deepdsl.graph.matmul import Transpose
from deepdsl.graph.reshaping import Reshape
from deepdsl.graph.types import ONNX_CODES
from deepdsl.nn.layers.image_reshaping import Permute
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.reshaping import Flatten, ReshapeTo
from deepdsl.transfer.onnx_import.dims import is_rows, typed
from deepdsl.transfer.onnx_import.folding import OURS, Folding
from deepdsl.transfer.onnx_import.graph import OnnxNode, captured
from deepdsl.transfer.onnx_import.inference import (
    Uncertain,
)
from deepdsl.transfer.onnx_import.layers import Computed, WithNumber, WithTensor, WithWeight
from deepdsl.transfer.onnx_import.passthrough import Foreign, as_graph
from deepdsl.transfer.onnx_import.reading import NOT_AS_DESCRIBED

Array = NDArray[Any]

# A float64 is not among them: it becomes a float32 (`inference.single`).
DTYPES: dict[int, DType] = {code: dtype for dtype, code in ONNX_CODES.items() if dtype != "f64"}

Converter = Callable[["Conversion", OnnxNode], bool]
CONVERTERS: dict[str, Converter] = {}


def converts(*operators: str) -> Callable[[Converter], Converter]:
    """Register a function that adds the layers of an operator; it gives False where there are
    none, and the operator is run as it is.
    """

    def register(function: Converter) -> Converter:
        for operator in operators:
            assert operator not in CONVERTERS, operator
            CONVERTERS[operator] = function
        return function

    return register


@record
class Weight:
    """The first value of a parameter, and the tensor of the file that it is made of."""

    array: Array
    origin: str


@dataclass
class ConvertedLayer:
    """A layer applied to values, by their numbers."""

    layer: Layer
    inputs: tuple[int, ...]
    type: Type
    weights: Mapping[str, Weight] = field(default_factory=dict)


class Conversion:
    """The layers so far.  Values have numbers: 0 flows in, and each layer makes the next."""

    def __init__(self, folding: Folding, source: Type, converters: Mapping[str, Converter]) -> None:
        self.folding, self.converters = folding, converters
        self.made: list[ConvertedLayer] = []
        self.numbers: dict[str, int] = {}
        self._builder = Builder()
        self.values: list[Value] = [self._builder.input("x", source)]

    # Reading --------------------------------------------------------------------------------------

    def flows(self, name: str) -> bool:
        return name in self.numbers

    def number(self, name: str) -> int:
        return self.numbers[name]

    def type(self, number: int) -> Type:
        return self.values[number].type

    def sizes(self, name: str) -> tuple[int, ...]:
        """The sizes of what flows, with dims.ROWS for the batch."""
        return self.folding.flows[self.folding.name(name)][1]

    def array(self, name: str) -> Array:
        return self.folding.array(name)

    def origin(self, name: str) -> str:
        """The tensor of the file that a constant is made of."""
        return self.folding.origin.get(name, name)

    def weight(self, name: str, array: Array | None = None) -> Weight:
        made = self.array(name) if array is None else array
        return Weight(np.asarray(made), self.origin(name))

    def constant(self, node: OnnxNode, number: int) -> Array | None:
        """An operand that is known; None where there is none, or where it flows."""
        name = node.input(number)
        if not name or self.flows(name):
            return None
        return self.array(name)

    def integers(self, node: OnnxNode, number: int, attribute: str) -> list[int] | None:
        """Whole numbers that an attribute gives, or an operand."""
        given = node.get(attribute)
        if given is not None:
            return [int(n) for n in (given if isinstance(given, list) else [given])]
        array = self.constant(node, number)
        return None if array is None else [int(n) for n in array.reshape(-1)]

    def scalar(self, node: OnnxNode, number: int, attribute: str, default: float) -> float | None:
        """A number that an attribute gives, or an operand; None where it flows."""
        if attribute in node.attributes:
            return float(node.get(attribute))
        if not node.input(number):
            return default
        array = self.constant(node, number)
        return None if array is None or array.size != 1 else float(array.reshape(-1)[0])

    # Adding ---------------------------------------------------------------------------------------

    def layer(self, layer: Layer, *inputs: int, weights: Mapping[str, Weight] | None = None) -> int:
        """A layer applied to values; the number of its result.  ShapeError where it does not take
        them.
        """
        if not layer.indices and any(self.type(n).dtype == "i64" for n in inputs):
            raise ShapeError(f"`{layer.name}` takes numbers, not indices")
        before = len(self._builder.params)
        scope = Scope(self._builder, f"layer_{len(self.made)}_{before}")
        with self._builder.at(scope.path):
            out = layer.expand(scope, *(self.values[n] for n in inputs))
        given = dict(weights or {})
        for param in self._builder.params_since(before):
            name = param.name.removeprefix(f"{scope.path}.")
            array = given[name].array
            if tuple(array.shape) != param.type.shape:
                array = array.reshape(tuple(int(d) for d in param.type.shape))
            kind = np.float32 if param.type.dtype == "f32" else array.dtype
            given[name] = Weight(np.asarray(array, kind), given[name].origin)
        self.made.append(ConvertedLayer(layer, inputs, out.type, given))
        self.values.append(out)
        return len(self.values) - 1

    def compute(self, op: Op, *inputs: int, output: int = 0) -> int:
        return self.layer(Computed(op, output), *inputs)

    def with_number(self, op: Op, x: int, number: float, first: bool = False) -> int:
        return self.layer(WithNumber(op, number, first), x)

    def with_weight(
        self, op: Op, x: int, weight: Weight, role: Role = "weight", first: bool = False
    ) -> int:
        """An operation with a tensor of the file, which is trained; whole numbers are not."""
        array = weight.array
        if array.dtype != np.float32:
            return self.layer(WithTensor(op, nested(array.tolist()), dtype_of(array), first), x)
        layer = WithWeight(op, array.shape, role, first)
        return self.layer(layer, x, weights={"weight": weight})

    def give(self, node: OnnxNode, number: int, output: int = 0) -> bool:
        """The value is what the node makes."""
        self.numbers[node.outputs[output]] = number
        return True

    def reshape(self, x: int, sizes: Sequence[int]) -> int:
        """The value in another shape; two in a row are one."""
        shape = typed(sizes)
        while x and isinstance(_rearranging(self.made[x - 1].layer), Reshape):
            if self.type(x).shape == shape:
                return x
            (x,) = self.made[x - 1].inputs
        have = self.type(x).shape
        if have == shape:
            return x
        named = self.type(x).dtype != "i64"
        if named and have[0] == shape[0] and all(isinstance(d, int) for d in shape[1:]):
            if len(shape) == 2:
                return self.layer(Flatten(), x)
            if len(shape) > 2:
                return self.layer(ReshapeTo(tuple(int(d) for d in shape[1:])), x)
        return self.compute(Reshape(shape), x)

    def permute(self, x: int, order: Sequence[int]) -> int:
        """The value with its axes in another order; two in a row are one."""
        before = _rearranging(self.made[x - 1].layer) if x else None
        if isinstance(before, Transpose):
            order = [before.order[axis] for axis in order]
            (x,) = self.made[x - 1].inputs
        if list(order) == sorted(order):
            return x
        if order[0] == 0 and self.type(x).dtype != "i64":
            return self.layer(Permute(tuple(order[1:])), x)
        return self.compute(Transpose(tuple(order)), x)

    # The whole ------------------------------------------------------------------------------------

    def run(self, nodes: Sequence[OnnxNode]) -> None:
        for node in nodes:
            try:
                if not self._converted(node):
                    if node.group:
                        self.run(node.group)
                    else:
                        self.as_it_is(node)
            except Uncertain as error:
                self.folding.fail(node, str(error))
            except NOT_AS_DESCRIBED as error:
                told = f"it is not as ONNX describes it ({type(error).__name__}: {error})"
                self.folding.fail(node, told)

    def _converted(self, node: OnnxNode) -> bool:
        converter = self.converters.get(node.operator)
        if converter is None:
            return False
        count = len(self.made)
        try:
            done = converter(self, node) and self._is_right(node)
        except (ShapeError, Mismatch, *NOT_AS_DESCRIBED):
            # Some layer does not take it so: the runtime may.
            done = False
        if not done:
            del self.made[count:], self.values[count + 1 :]
            for name in node.outputs:
                self.numbers.pop(name, None)
        return done

    def _is_right(self, node: OnnxNode) -> bool:
        """Whether the types are those that ONNX says."""
        for name in node.outputs:
            if name in self.numbers:
                code, sizes = self.folding.flows[name]
                made = self.type(self.numbers[name])
                if made != Type(typed(sizes), DTYPES[code]):
                    return False
        return True

    def as_it_is(self, *nodes: OnnxNode) -> None:
        """Operators that run as they are, each as one layer for each result that is read."""
        folding, made = self.folding, {n for node in nodes for n in node.outputs}
        for node in nodes:
            self._keeps_rows_apart(node)
        inside = {n for node in nodes for n in node.read}
        for name in [n for n in nodes[-1].outputs if n and n not in inside]:
            code, sizes = folding.flows[name]
            if code not in DTYPES:
                continue
            read = {n for node in nodes for n in node.read} - made
            arrays = {n: self.array(n) for n in read if not self.flows(n)}
            for node in nodes:
                arrays.update({n: self.array(n) for n in captured(node) if folding.is_constant(n)})
            flows = {n: folding.flows[n] for n in (*read, *made) if n in folding.flows}
            graph, versions, flowing, stored = as_graph(list(nodes), name, flows, arrays)
            weights = tuple(Type(arrays[n].shape, dtype_of(arrays[n])) for n in stored)
            last = nodes[-1]
            layer = Foreign(
                last.operator,
                last.name,
                name,
                last.domain,
                graph.SerializeToString(deterministic=True),
                tuple(sorted(versions.items())),
                Type(typed(sizes), DTYPES[code]),
                weights,
            )
            names = (
                ["weight"]
                if len(stored) == 1
                else [f"weight_{i}" for i in range(1, len(stored) + 1)]
            )
            self.numbers[name] = self.layer(
                layer,
                *(self.number(n) for n in flowing),
                weights={n: self.weight(s) for n, s in zip(names, stored, strict=True)},
            )
        if not any(n in self.numbers for n in nodes[-1].outputs):
            raise Uncertain("its result is of a kind that no tensor has here")

    def _keeps_rows_apart(self, node: OnnxNode) -> None:
        """Uncertain where an operator goes along the axis of the rows, or knows their number."""
        if node.domain == OURS:
            raise Uncertain("it repeats what flows in as no layer does")
        if any(n in self.folding.by_rows for n in node.read):
            raise Uncertain("it calculates with the size of the batch")
        name = node.inputs[0] if node.inputs else ""
        if name not in self.folding.flows or node.domain:
            return
        sizes = self.folding.flows[name][1]
        axes = {"CumSum": self.integers(node, 1, "axis")}.get(node.op)
        if axes is None:
            default = _AXES.get(node.op)
            given = node.get("axis", default)
            axes = [given] if isinstance(given, int) else []
        old = node.op in ("Softmax", "LogSoftmax", "Hardmax") and node.version < 13
        for axis in axes:
            along = sizes[axis % len(sizes) :][: None if old else 1]
            if any(is_rows(n) for n in along):
                raise Uncertain("it goes along the rows of the batch, which do not see each other")


# Where an operator goes that does not say so.
_AXES = {"Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "TopK": -1, "ArgMin": 0, "ArgMax": 0}


def dtype_of(array: Array) -> DType:
    return DTYPES[helper.np_dtype_to_tensor_dtype(array.dtype)]


def nested(values: Any) -> Any:
    """Lists as tuples."""
    return tuple(map(nested, values)) if isinstance(values, list) else values


def _rearranging(layer: Layer) -> Op | None:
    """The reshape or transposition that a layer is."""
    if isinstance(layer, Computed):
        return layer.op
    if isinstance(layer, Flatten | ReshapeTo):
        return Reshape(())
    if isinstance(layer, Permute):
        return Transpose((0, *layer.order))
    return None
