"""The intermediate representation of graphs."""

from deepdsl.ir.emitter import Emitter
from deepdsl.ir.graph import Builder, Constant, Graph, Node, Op, Param, Role, Value
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
