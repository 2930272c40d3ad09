"""Cuts: where a piece begins and ends, what is left out, and what is said where that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from foreign_graphs import SPAN, agree, graph, kinds, node, opened, ours, piece, run, weight
from onnx import TensorProto, helper

from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.graph import Type
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import.dims import ROWS, reshaped

ROW = (3, 6, 6)


def network(**options: Any) -> Any:
    """Two convolutions, a mean, and a head."""
    nodes = [
        node("Conv", ["x", "w1"], ["/conv1/Conv_output_0"], name="/conv1/Conv"),
        node("Relu", ["/conv1/Conv_output_0"], ["/relu/Relu_output_0"], name="/relu/Relu"),
        node("Conv", ["/relu/Relu_output_0", "w2"], ["c"], name="/conv2/Conv"),
        node("Sigmoid", ["c"], ["s"], name="/gate/Sigmoid"),
        node("Mul", ["c", "s"], ["m"], name="/gate/Mul"),
        node("GlobalAveragePool", ["m"], ["p"], name="/avgpool/GlobalAveragePool"),
        node("Flatten", ["p"], ["f"], name="/Flatten"),
        node("Gemm", ["f", "w3", "b3"], ["y"], name="/fc/Gemm"),
    ]
    weights = {
        "w1": weight(4, 3, 3, 3),
        "w2": weight(4, 4, 3, 3),
        "w3": weight(4, 2),
        "b3": weight(2),
    }
    return graph(nodes, ROW, weights, **options)


def said(model: Any, row: Any = ROW, cut: Cut | None = None, dtype: Any = "f32") -> Diagnostic:
    with pytest.raises(DnnError) as caught:
        piece(model, row, cut, dtype)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert found.message
    assert found.help
    return found


# Cutting ------------------------------------------------------------------------------------------


def test_until_a_tensor() -> None:
    imported = piece(network(), ROW, Cut(until="/relu/Relu_output_0"))
    assert kinds(imported) == ["conv", "relu"]
    assert set(imported.weights) == {"conv_1.weight"}
    x = weight(2, *ROW)
    whole = network()
    whole.graph.output.append(
        helper.make_tensor_value_info("/relu/Relu_output_0", TensorProto.FLOAT, None)
    )
    wanted = run(whole, x, "/relu/Relu_output_0")
    np.testing.assert_allclose(ours(imported, x), wanted, 1e-5, 1e-5)


def test_from_a_tensor() -> None:
    imported = piece(network(), (4,), Cut(start="f"))
    assert kinds(imported) == ["dense"]
    x = weight(3, 4)
    np.testing.assert_allclose(ours(imported, x), x @ weight(4, 2) + weight(2), 1e-5, 1e-5)


def test_between_two() -> None:
    cut = Cut(start="/relu/Relu_output_0", until="m")
    assert kinds(piece(network(), (4, 4, 4), cut)) == ["conv", "swish"]


def test_without_the_head() -> None:
    for name in ("/fc/Gemm", "/fc"):
        imported = piece(network(), ROW, Cut(without=(name,)))
        assert kinds(imported) == ["conv", "relu", "conv", "swish", "global_avg_pool"]


def test_without_something_in_the_middle() -> None:
    layers = ["conv", "conv", "global_avg_pool", "dense"]
    assert kinds(piece(network(), ROW, Cut(without=("/relu", "/gate")))) == layers


def test_what_lies_outside_of_a_piece_does_not_matter() -> None:
    """An operator without a size before it is run, behind the piece."""
    model = network()
    model.graph.node.append(node("NonZero", ["y"], ["z"]))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.INT64, None))
    assert kinds(piece(model, ROW, Cut(until="y")))[-1] == "dense"
    assert said(model, cut=Cut(until="z")).code == "E549"


def test_places() -> None:
    found = opened(network()).places()
    assert [p.tensor for p in found] == [
        "/conv1/Conv_output_0", "/relu/Relu_output_0", "c", "m", "p", "f", "y",
    ]  # fmt: skip
    shapes = {p.tensor: p.shape for p in found}
    assert shapes["c"] == (None, 4, 2, 2)
    assert {p.tensor: p.parameters for p in found} == {
        "/conv1/Conv_output_0": 108, "/relu/Relu_output_0": 108,
        "c": 252, "m": 252, "p": 252, "f": 252, "y": 262,
    }  # fmt: skip
    assert [p.depth for p in found] == [1, 2, 3, 5, 6, 7, 8]
    assert (found[0].operator, found[0].node) == ("Conv", "/conv1/Conv")
    file = opened(network())
    assert file.inputs[0].shape == (None, 3, 6, 6)
    assert (file.inputs[0].dtype, file.outputs[0].name) == ("float32", "y")


def test_sizes_are_no_flow_that_a_cut_misses() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], start=0, end=1),
        node("Concat", ["s", "rest"], ["to"], axis=0),
        node("Relu", ["x"], ["r"]),
        node("Reshape", ["r", "to"], ["y"]),
    ]
    model = graph(nodes, (2, 3), {"rest": np.asarray([-1])})
    assert [p.tensor for p in opened(model).places()] == ["r", "y"]
    agree(model, (2, 3), expected=["relu", "flatten"])


# What is said -------------------------------------------------------------------------------------


def test_a_tensor_that_is_not_there() -> None:
    place = Span(Source("page.dnn", "until word"), 6, 10)
    found = said(network(), cut=Cut(until="/relu/Relu_output_1", spans={"until": place}))
    assert found.code == "E544"
    assert found.span == place
    assert found.help == "did you mean `/relu/Relu_output_0`?"
    assert said(network(), cut=Cut(start="zzz")).code == "E544"


def test_a_node_in_the_place_of_a_tensor() -> None:
    found = said(network(), cut=Cut(until="/fc/Gemm"))
    assert found.code == "E544"
    assert "what it makes is the tensor `y`" in found.help
    found = said(network(), cut=Cut(without=("m",)))
    assert "the node that makes it is `/gate/Mul`" in found.help
    assert "a weight of the file" in said(network(), cut=Cut(until="w1")).help
    assert said(network(), cut=Cut(until="x")).code == "E544"


def test_several_inputs() -> None:
    model = graph([node("Add", ["x", "other"], ["a"]), node("Relu", ["a"], ["y"])], (3,))
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, ["N", 3]))
    found = said(model, (3,))
    assert found.code == "E545"
    assert "2 inputs: `x`, `other`" in found.message
    assert kinds(piece(model, (3,), Cut(start="a"))) == ["relu"]
    found = said(model, (3,), Cut(start="x", until="a"))
    assert "`other`" in found.message
    alone = graph([node("Relu", ["x"], ["r"]), node("Exp", ["w"], ["y"])], (3,), {"w": weight(3)})
    found = said(alone, (3,))
    assert found.code == "E545"
    assert "depends on no input" in found.message


def test_several_outputs() -> None:
    model = network()
    model.graph.output.append(helper.make_tensor_value_info("f", TensorProto.FLOAT, None))
    found = said(model)
    assert found.code == "E546"
    assert found.help == 'say which one is meant: `until="y"`'
    assert kinds(piece(model, ROW, Cut(until="f")))[-1] == "global_avg_pool"


@pytest.mark.parametrize(
    ("row", "words", "help"),
    [
        ((3, 6, 7), "3 × 6 × 6", ""),
        ((6, 6, 3), "3 × 6 × 6", "`permute [3 1 2] | reuse …`"),
        ((108,), "3 × 6 × 6", "`reshape [3 6 6] | reuse …`"),
    ],
)
def test_another_shape(row: Any, words: str, help: str) -> None:
    with pytest.raises(DnnError) as caught:
        piece(network(), row)
    (found,) = caught.value.diagnostics
    assert found.code == "E547"
    assert words in found.message
    assert "it was given" in found.label
    assert help in found.help


def test_channels_last() -> None:
    model = graph([node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2])], (6, 6, 3))
    assert "channels last: `permute [2 3 1]" in said(model, (3, 6, 6)).help
    agree(model, (6, 6, 3), expected=["permute"])


def test_a_file_without_a_batch() -> None:
    model = graph([node("Relu", ["x"], ["y"])], (6, 6), batch=3)
    found = said(model, (3, 6, 6))
    assert found.code == "E547"
    assert "without a batch" in found.message


def test_numbers_of_another_kind() -> None:
    model = graph([node("Relu", ["x"], ["y"])], (3,))
    assert said(model, (3,), dtype="i64").code == "E547"
    words = graph(
        [node("StringNormalizer", ["x"], ["y"])], (3,), dtype=TensorProto.STRING,
        out={"y": TensorProto.STRING}, opset=13,
    )  # fmt: skip
    found = said(words, (3,))
    assert found.code == "E547"
    assert "values of the kind string" in found.message


def test_what_cannot_be_left_out() -> None:
    nodes = [
        node("Split", ["x"], ["a", "b"], axis=1, name="cut"),
        node("Add", ["a", "b"], ["y"], name="join"),
    ]
    model = graph(nodes, (4,), opset=11)
    found = said(model, (4,), Cut(without=("cut",)))
    assert found.code == "E548"
    assert "1 value go in and 2 values come out" in found.message
    assert said(model, (4,), Cut(without=("join",))).code == "E548"


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("Softmax", ["x"], ["y"], axis=0)], "goes along the rows"),
        ([node("CumSum", ["x", "zero"], ["y"])], "goes along the rows"),
        ([node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=1)], "no row for each row"),
        ([node("Gather", ["x", "zero"], ["y"], axis=0)], "no row for each row"),
        ([node("Concat", ["x", "x"], ["y"], axis=0)], ""),
        ([node("RandomUniform", [], ["r"], shape=[3]), node("Add", ["x", "r"], ["y"])], "random"),
        ([node("Unique", ["x"], ["y"])], "not known before it is run"),
        (
            [node("Relu", ["x"], ["r"]), node("Reshape", ["r", "seven"], ["y"])],
            "cannot make [7, 7]",
        ),
    ],
)
def test_what_looks_at_several_rows(nodes: Any, words: str) -> None:
    weights = {"zero": np.asarray(0), "seven": np.asarray([7, 7])}
    found = said(graph(nodes, (3,), weights, opset=13), (3,))
    assert found.code in ("E549", "E551")
    assert words in found.message


def test_arithmetic_with_the_size_of_the_batch() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], start=0, end=1),
        node("Cast", ["s"], ["n"], to=TensorProto.FLOAT),
        node("Div", ["x", "n"], ["y"]),
    ]
    found = said(graph(nodes, (3,)), (3,))
    assert found.code == "E549"
    assert "calculates with the size of the batch" in found.message


def test_an_output_without_rows() -> None:
    nodes = [node("Transpose", ["x"], ["y"], perm=[1, 0])]
    found = said(graph(nodes, (3,)), (3,))
    assert found.code == "E551"
    assert "3 × N" in found.message


def test_attributes_that_are_not_as_they_should_be() -> None:
    broken = node("Conv", ["x", "w"], ["y"], kernel_shape=[9, 9], name="bad")
    found = said(graph([broken], ROW, {"w": weight(4, 3, 3, 3)}))
    assert found.code == "E549"
    assert "(node `bad`)" in found.message
    assert "makes `y`" in found.message


@pytest.mark.parametrize(
    ("given", "target", "batch", "made"),
    [
        ((ROWS, 6), [0, 2, 3], None, (ROWS, 2, 3)),
        ((ROWS, 6), [-1, 3], None, (2 * ROWS, 3)),
        ((ROWS, 6), [1, 6], 1, (ROWS, 6)),
        ((ROWS, 6), [1, -1], 1, (ROWS, 6)),
        ((ROWS, 6), [8, 6], 8, (ROWS, 6)),
        ((ROWS, 6), [8, 2, -1], 8, (ROWS, 2, 3)),
        ((ROWS, 6), [1, -1, 6], None, (1, ROWS, 6)),
        ((ROWS, 6), [16, 3], 8, (2 * ROWS, 3)),
        ((5, ROWS, 6), [5, 1, 2, 3], 1, (5, ROWS, 2, 3)),
        ((ROWS, 6), [0, 5], None, None),
        ((ROWS, 6), [-1, -1], None, None),
        ((ROWS, 6), [-2, 6], None, None),
        ((ROWS * 4, 6), [-1, 4, 6], None, (ROWS, 4, 6)),
    ],
)
def test_the_shape_that_a_reshape_makes(given: Any, target: Any, batch: Any, made: Any) -> None:
    assert reshaped(given, target, batch, zero=False) == made


def test_the_protocol() -> None:
    file = opened(network(), "shown.onnx")
    imported = file.piece([Type(("N", *ROW))], Cut(), SPAN)
    assert imported.model.name == "shown"
    assert imported.model.span == SPAN
    assert {p.name for p in imported.model.params} == set(imported.weights) == set(imported.names)
    assert len(file.sha256) == 64


def test_whole_numbers_that_are_repeated_for_each_row() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], start=0, end=1),
        node("Concat", ["s", "one"], ["to"], axis=0),
        node("Expand", ["token", "to"], ["tokens"]),
        node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    weights = {"token": np.asarray([[7]]), "one": np.asarray([1])}
    model = graph(nodes, (3,), weights, dtype=TensorProto.INT64, out={"y": TensorProto.INT64})
    found = piece(model, (3,), dtype="i64")
    x = np.asarray([[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(ours(found, x), run(model, x))
