"""Cut points of random graphs are the tensors without which no path is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from deepdsl.transfer.onnx_import.cut_points import places
from deepdsl.transfer.onnx_import.graph import graph_of

Reads = Sequence[tuple[int, ...]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Reads, tuple[int, ...]]:
    """For each node the tensors that it reads (0 is the input, i the result of node i), and the
    outputs.
    """
    reads = []
    for node in range(1, draw(st.integers(1, 9)) + 1):
        some = st.lists(st.integers(0, node - 1), min_size=1, max_size=3, unique=True)
        reads.append(tuple(draw(some)))
    outputs = st.lists(st.integers(1, len(reads)), min_size=1, max_size=2, unique=True)
    return reads, tuple(draw(outputs))


def reachable(reads: Reads, outputs: Sequence[int], without: int) -> bool:
    """Whether a path leads from the input to an output that does not touch a tensor."""
    reached = {0} - {without}
    for node, ins in enumerate(reads, 1):
        if node != without and reached & set(ins):
            reached.add(node)
    return bool(reached & set(outputs))


@given(graphs())
def test_a_tensor_without_which_no_path_is_left(graph: tuple[Reads, tuple[int, ...]]) -> None:
    reads, outputs = graph
    sizes = [1, 2]
    names: Mapping[int, str] = {0: "x", **{i: f"t{i}" for i in range(1, len(reads) + 1)}}
    nodes = [
        helper.make_node("Sum", [names[i] for i in ins], [names[node]])
        for node, ins in enumerate(reads, 1)
    ]
    made = onnx.helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(names[i], TensorProto.FLOAT, sizes) for i in outputs],
    )
    found = {place.tensor for place in places(graph_of(helper.make_model(made)))}
    connected = reachable(reads, outputs, without=-1)
    cuts = {names[i] for i in range(1, len(reads) + 1) if not reachable(reads, outputs, without=i)}
    assert found == (cuts if connected else set())
