"""Typed graphs: tensor operations, gradients, passes, and ONNX written from them."""

from deepdsl.graph.emitter import Emitter
from deepdsl.graph.graph import Builder, Constant, Graph, Node, Op, Param, Role, Value
from deepdsl.graph.show import show_graph
from deepdsl.graph.types import Dim, DType, Shape, ShapeError, Type, broadcast, by_times, per_row
from deepdsl.graph.verify import verify

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
