"""Goes through a piece once: calculates what does not depend on its input, and the sizes of what
does, and leaves the operators that something flows through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any, NoReturn

import numpy as np
import onnx

from deepdsl.core.source import Span
from deepdsl.diagnostics.transfer.onnx_import import CannotTake
from deepdsl.graph import by_times
from deepdsl.transfer.onnx_import.dims import ROWS, in_front, is_rows, is_strange, typed
from deepdsl.transfer.onnx_import.file import OpenedOnnx
from deepdsl.transfer.onnx_import.graph import (
    OnnxGraph,
    OnnxNode,
    array_of_constant,
    captured,
    constant_of,
)
from deepdsl.transfer.onnx_import.inference import (
    FLOAT,
    MOST_NUMBERS,
    Array,
    Flow,
    NotTaken,
    Uncertain,
    evaluated,
    inferred,
    single,
    singled,
)
from deepdsl.transfer.onnx_import.reading import NOT_AS_DESCRIBED, refused

# Calculates what an operator makes, or says False where that is for others to do.
Special = Callable[["Folding", OnnxNode], bool]

# The domain of operators that mean several, or for none, of ONNX.
OURS = "deepdsl"
# These repeat an operand along axes of size 1, so that a constant need not be repeated for them.
_BROADCASTING = """
    Add Sub Mul Div Pow Max Min Sum Mean Where PRelu And Or Xor Mod Equal Greater Less
    GreaterOrEqual LessOrEqual
"""
BROADCASTING = frozenset(_BROADCASTING.split())
_RANDOM = """
    RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial
"""
RANDOM = frozenset(_RANDOM.split())


class Folding:
    """The piece, simplified: `nodes` read the input `source`, each other's results, and constants.

    `flows` are the types of results, `arrays` the constants that were read or calculated.
    """

    def __init__(
        self,
        file: OpenedOnnx,
        piece: OnnxGraph,
        span: Span,
        batch: int | None,
        source: str,
        flow: Flow,
        special: Mapping[str, Special],
    ) -> None:
        self.file, self.graph, self.span, self.batch = file, piece, span, batch
        self.source = source
        self._special = special
        self.flows: dict[str, Flow] = {source: flow}
        self.arrays: dict[str, Array] = {}
        self.repeated: set[str] = set()  # constants with one row, which means each
        self.by_rows: set[str] = set()  # constants with numbers that were calculated from ROWS
        # Of a file with a fixed batch, what is before the rows in their own axis.
        self.inside: dict[str, int] = {}
        self.nodes: list[OnnxNode] = []
        self._read: set[str] = set()
        self._same: dict[str, str] = {}
        self._constants = dict(piece.constants)
        self.origin: dict[str, str] = {}  # a constant's first tensor of the file

    # What is known --------------------------------------------------------------------------------

    def name(self, name: str) -> str:
        """The tensor that a name means."""
        while name in self._same:
            name = self._same[name]
        return name

    def is_constant(self, name: str) -> bool:
        return bool(name) and (name in self.arrays or name in self._constants)

    def array(self, name: str) -> Array:
        """The numbers of a constant."""
        if name not in self.arrays:
            value = self._constants[name]
            if isinstance(value, onnx.TensorProto):
                made = self.file.array(value, self.span)
            else:
                made = np.asarray(array_of_constant(value))
            self.arrays[name] = singled(made)
        return self.arrays[name]

    def constant(self, array: Array, like: str = "") -> str:
        """A new constant; `like` is the one that it was made of."""
        name = f"{like or 'constant'}#{len(self.arrays)}"
        self.arrays[name] = array
        if like:
            self.origin[name] = self.origin.get(like, like)
        return name

    def fail(self, node: OnnxNode, reason: str, hint: str = "") -> NoReturn:
        made = next((n for n in node.outputs if n), "")
        raise refused(
            CannotTake(self.span, self.file.shown, node.operator, node.name, made, reason, hint)
        )

    # The way through ------------------------------------------------------------------------------

    def run(self) -> None:
        for node in self.graph.nodes:
            self.visit(node)

    def visit(self, node: OnnxNode) -> None:
        try:
            self._visit(self._trimmed(replace(node, inputs=[self.name(n) for n in node.inputs])))
        except Uncertain as error:
            fixed = isinstance(error, NotTaken) and self.batch is not None
            hint = (
                f"the file was made for batches of {self.batch}: export it with a free first axis"
            )
            self.fail(node, str(error), hint if fixed else "")
        except NOT_AS_DESCRIBED as error:
            # Its attributes or operands are not what its standard says.
            self.fail(node, f"it is not as ONNX describes it ({type(error).__name__}: {error})")

    def _trimmed(self, node: OnnxNode) -> OnnxNode:
        """The node without results at its end that nothing reads: masks, statistics of a batch."""
        if len(node.outputs) < 2 or node.op == "Split":
            return node
        if not self._read:
            self._read.update(self.graph.outputs)
            for each in self.graph.nodes:
                self._read.update((*each.read, *captured(each)))
        count = max((i for i, n in enumerate(node.outputs, 1) if n in self._read), default=1)
        made = replace(node, outputs=node.outputs[: max(1, count)])
        if node.op == "BatchNormalization" and len(made.outputs) == 1:
            # Exported as it is trained; here it is what it is at inference.
            kept = {k: v for k, v in node.attributes.items() if k != "training_mode"}
            made = replace(made, attributes=kept)
        return made

    def _visit(self, node: OnnxNode) -> None:
        if node.outputs and node.outputs[0] == self.source:
            return
        value = constant_of(node)
        if value is not None:
            self._constants[node.outputs[0]] = value
            return
        special = self._special.get(node.op) if not node.domain else None
        if special is not None and special(self, node):
            return
        operands = [*node.read, *map(self.name, captured(node))]
        flowing = [n for n in operands if n in self.flows]
        if flowing:
            self._flow(node)
        elif node.op in RANDOM:
            raise Uncertain("it draws random numbers")
        elif any(n in self.repeated for n in operands):
            self._fold_repeated(node)
        else:
            self._fold(node)

    def _fold(self, node: OnnxNode) -> None:
        arrays = {n: self.array(n) for n in node.read}
        made = evaluated(node, arrays)
        weight = max(node.read, key=lambda n: arrays[n].size, default="")
        for name, array in zip((n for n in node.outputs if n), made, strict=True):
            if any(map(is_rows, array.shape)):
                raise Uncertain("it makes a constant of the size of the batch")
            self.arrays[name] = array
            if weight and weight not in self.by_rows:
                self.origin[name] = self.origin.get(weight, weight)
            if any(n in self.by_rows for n in node.read) and large(array):
                self.by_rows.add(name)

    def _fold_repeated(self, node: OnnxNode) -> None:
        """Constants that are the same for each row."""
        if node.op in BROADCASTING or node.op in ("Cast", "Identity"):
            self._fold(node)
            self.repeated.update(n for n in node.outputs if n)
        else:
            self._flow(self._materialized(node, self.repeated))

    def _flow(self, node: OnnxNode) -> None:
        if node.op not in BROADCASTING and node.op not in ("LSTM", "GRU", "RNN"):
            node = self._materialized(node, self.repeated)
        for name in node.read:
            if name in self.by_rows:
                raise Uncertain("it calculates with the size of the batch")
        arrays = {n: self.array(n) for n in node.read if n not in self.flows}
        if node.op in ("LSTM", "GRU", "RNN"):
            node = self._from_nothing(node)
            made = self._recurrent(node)
        else:
            try:
                made = inferred(node, self.flows, arrays)
            except Uncertain as error:
                made = self._told_by_file(node, error)
        self.keep(node, made)

    def _from_nothing(self, node: OnnxNode) -> OnnxNode:
        """The recurrent node without first states of zero, which are made for one size of batch."""
        inputs = list(node.inputs)
        for place in range(5, min(7, len(inputs))):
            name = inputs[place]
            if not name or name in self.flows:
                continue
            if np.any(self.array(name)):
                raise Uncertain("its first state is not zero, and a constant for one batch")
            inputs[place] = ""
        return replace(node, inputs=inputs)

    def keep(self, node: OnnxNode, made: list[Flow]) -> None:
        """Leave a node, with the types of its results."""
        for name, flow in zip((n for n in node.outputs if n), made, strict=True):
            sizes = flow[1]
            if any(n < 1 for n in sizes):
                raise Uncertain(f"nothing is left of what flows in: {by_times(typed(sizes))}")
            wrong = [n for n in sizes if is_strange(n) or n // ROWS >= ROWS // 4]
            if wrong or not any(is_rows(n) for n in sizes):
                told = by_times(typed(sizes)) if not wrong else "one that depends on the batch"
                raise Uncertain(f"its result has no row for each row: the shape is {told}")
            if prod(sizes) // ROWS > MOST_NUMBERS:
                raise Uncertain(f"its result is too large: {by_times(typed(sizes))}")
            self.flows[name] = flow
            if self.batch is not None:
                self._follow(node, name)
        self.nodes.append(node)

    def _follow(self, node: OnnxNode, name: str) -> None:
        """Note what is before the rows within their axis: a file for one row may put
        numbers there that belong to the row.
        """
        sizes = self.flows[name][1]
        if node.op in ("Reshape", "Flatten"):
            given = node.inputs[0]
            inside = in_front(self.flows[given][1], self.inside.get(given, 1), sizes)
        else:
            flowing = [n for n in node.read if n in self.flows]
            found = {self.inside.get(n, 1) for n in flowing}
            inside = found.pop() if len(found) == 1 else None
            alike = (sum(n for n in self.flows[v][1] if is_rows(n)) for v in (*flowing, name))
            if inside != 1 and len(set(alike)) > 1:
                inside = None
        if inside is None:
            raise NotTaken("whose rows its numbers are cannot be told")
        if inside != 1:
            self.inside[name] = inside

    def _told_by_file(self, node: OnnxNode, error: Uncertain) -> list[Flow]:
        """The types that the file gives: of operators that onnx does not know."""
        if isinstance(error, NotTaken) and onnx.defs.has(node.op, node.domain):
            raise error  # shapes that were worked out wrongly are not to be covered up
        made = []
        for name in (n for n in node.outputs if n):
            info = self.graph.infos.get(name)
            if info is None or info.shape is None or not info.dtype:
                raise error
            sizes = list(info.shape)
            if sizes and (sizes[0] is None or sizes[0] == self.batch):
                sizes[0] = ROWS
            known = [n for n in sizes if n is not None]
            if len(known) != len(sizes):
                raise error
            made.append((single(info.dtype), tuple(known)))
        return made

    def _recurrent(self, node: OnnxNode) -> list[Flow]:
        """ONNX's inference wants the first states to have the batch."""
        steps, rows, _ = self.flows[node.inputs[0]][1]
        units, ways = node.get("hidden_size"), 2 if node.get("direction") == "bidirectional" else 1
        if node.get("layout", 0):
            steps, rows = rows, steps
            shapes = [(rows, steps, ways, units), (rows, ways, units)]
        else:
            shapes = [(steps, ways, rows, units), (ways, rows, units)]
        shapes.append(shapes[1])
        return [(FLOAT, s) for s, n in zip(shapes, node.outputs, strict=False) if n]

    def _materialized(self, node: OnnxNode, which: set[str]) -> OnnxNode:
        """The node with constants of `which` repeated for each row."""
        names = list(node.inputs)
        for i, name in enumerate(names):
            if name in which:
                names[i] = self.repeat(name)
        return replace(node, inputs=names)

    def repeat(self, name: str) -> str:
        """A constant with one row, as a value with that row for each row of the input."""
        out = f"{name}#rows"
        if out not in self.flows:
            array = self.array(name)
            code = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            repeat = OnnxNode("Repeat", [name, self.source], [out], domain=OURS, name=name)
            self.keep(repeat, [(single(code), (ROWS, *array.shape[1:]))])
        return out

    def same(self, node: OnnxNode, name: str) -> bool:
        """What the node makes is what it is given."""
        self.stands_for(node.outputs[0], name)
        return True

    def stands_for(self, name: str, other: str) -> None:
        self._same[name] = other

    def knows(self, constants: Mapping[str, Any]) -> None:
        """Further constants."""
        self._constants.update(constants)


def large(array: Array) -> bool:
    """Whether some of the numbers may be of rows."""
    return array.dtype.kind not in "iuf" or bool((np.abs(array) >= ROWS // 4).any())
