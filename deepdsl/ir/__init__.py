"""The intermediate representation of graphs."""

from deepdsl.ir.builder import Builder
from deepdsl.ir.constant import Constant
from deepdsl.ir.graph import Graph, Node, Param, Role, Value
from deepdsl.ir.op import Emitter, Op
from deepdsl.ir.show import show_graph
from deepdsl.ir.types import Dim, DType, Shape, ShapeError, Type, broadcast, by_times, per_row
from deepdsl.ir.verify import verify

__all__ = [
    "Builder",
    "Constant",
    "DType",
    "Dim",
    "Emitter",
    "Graph",
    "Node",
    "Op",
    "Param",
    "Role",
    "Shape",
    "ShapeError",
    "Type",
    "Value",
    "broadcast",
    "by_times",
    "per_row",
    "show_graph",
    "verify",
]
