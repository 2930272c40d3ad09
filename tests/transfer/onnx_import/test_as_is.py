"""Operators without a layer: they run as they are, and have no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import SPAN, agree, graph, kinds, node, ours, piece, run, weight
from onnx import TensorProto, helper

from deepdsl.compiler.training_step import inference_graph
from deepdsl.diagnostics import DnnError
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.emit import OPSET as WRITTEN
from deepdsl.graph.emit import emit
from deepdsl.graph.reshaping import sum_all
from deepdsl.transfer.onnx_import.passthrough import OPSET, Foreign


def ints(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


def info(name: str, *shape: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def foreign(imported: Any) -> Foreign:
    (found,) = [c.layer for c in imported.model.calls if isinstance(c.layer, Foreign)]
    return found


def test_the_opset_is_the_one_that_is_written() -> None:
    assert OPSET == WRITTEN


def test_what_it_knows_of_itself() -> None:
    nodes = [node("LRN", ["x"], ["h"], name="/norm/LRN", size=3), node("Relu", ["h"], ["y"])]
    imported = agree(graph(nodes, (4, 5, 5), opset=13), (4, 5, 5), expected=["<LRN>", "relu"])
    layer = foreign(imported)
    assert (layer.operator, layer.node, layer.tensor) == ("LRN", "/norm/LRN", "h")
    assert layer.attributes["size"] == 3
    assert not layer.differentiable
    assert imported.model.calls[0].path == "lrn_1"
    assert layer.show() == "LRN (as it is)"
    again = foreign(piece(graph(nodes, (4, 5, 5), opset=13), (4, 5, 5)))
    assert again == layer


def test_its_gradient_names_it() -> None:
    from deepdsl.compiler.forward import forward

    nodes = [node("Gemm", ["x", "w"], ["g"]), node("CumSum", ["g", "one"], ["y"], name="running")]
    imported = piece(graph(nodes, (3,), {"w": weight(3, 4), "one": np.asarray(1)}), (3,))
    made = forward(imported.model)
    total = sum_all(made.builder, made.outputs["output"])
    with pytest.raises(NotImplementedError, match=r"CumSum \(node `running`, which makes `y`\)"):
        gradients(made.builder, total, list(made.builder.params))


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_an_operator_of_another_opset(opset: int) -> None:
    """Its version is converted where it has changed since."""
    agree(graph([node("Ceil", ["x"], ["y"])], (4,), opset=opset), (4,), expected=["<Ceil>"])
    nodes = [node("ReduceLogSumExp", ["x"], ["y"], axes=[1])] if opset < 18 else []
    if nodes:
        model = graph(nodes, (4, 3), opset=opset)
        agree(model, (4, 3), expected=["<ReduceLogSumExp>"])
    else:
        one = node("ReduceLogSumExp", ["x", "axes"], ["y"])
        model = graph([one], (4, 3), {"axes": ints(1)}, opset=opset)
        agree(model, (4, 3), expected=["<ReduceLogSumExp>"])


def test_large_constants_are_state_and_small_ones_are_not() -> None:
    nodes = [node("Mod", ["x", "m"], ["y"], fmod=1)]
    imported = agree(graph(nodes, (100,), {"m": np.abs(weight(100)) + 0.1}), (100,))
    assert kinds(imported) == ["<Mod>"]
    (param,) = imported.model.params
    assert (param.name, param.role, param.trainable) == ("mod_1.weight", "constant", False)
    assert imported.names == {"mod_1.weight": "m"}
    small = agree(graph(nodes, (3,), {"m": np.abs(weight(3)) + 0.1}), (3,))
    assert small.model.params == ()


def test_several_results() -> None:
    nodes = [
        node("TopK", ["x", "two"], ["values", "places"], axis=1, name="best"),
        node("Cast", ["places"], ["p"], to=TensorProto.FLOAT),
        node("Add", ["values", "p"], ["y"]),
    ]
    imported = agree(graph(nodes, (5,), {"two": ints(2)}), (5,))
    assert kinds(imported) == ["<TopK>", "<TopK>", "cast", "add"]


def test_a_custom_domain() -> None:
    """onnxruntime's own operators; the file says what they make where onnx cannot."""
    domains = {"com.microsoft": 1}
    nodes = [node("Inverse", ["x"], ["h"], domain="com.microsoft"), node("Relu", ["h"], ["y"])]
    model = graph(nodes, (2, 2), domains=domains, info=[info("h", "N", 2, 2)])
    imported = agree(model, (2, 2), expected=["<com.microsoft.Inverse>", "relu"])
    written = emit(inference_graph(imported.model), "net", imported.weights).proto
    assert {o.domain: o.version for o in written.opset_import} == {"": OPSET, "com.microsoft": 1}


def test_a_custom_operator_of_unknown_size() -> None:
    nodes = [node("Inverse", ["x"], ["h"], domain="com.microsoft"), node("Relu", ["h"], ["y"])]
    model = graph(nodes, (2, 2), domains={"com.microsoft": 1})
    with pytest.raises(DnnError, match=r"E549.*com\.microsoft\.Inverse.*`h`.*not known"):
        piece(model, (2, 2))


@pytest.mark.parametrize(
    ("op", "attributes", "row", "others", "layers"),
    [
        ("Gelu", {}, (4,), [], ["gelu"]),
        ("QuickGelu", {}, (4,), [], ["swish"]),
        ("FastGelu", {}, (4,), [weight(4)], ["shift", "gelu"]),
        ("BiasGelu", {}, (4,), [weight(4)], ["shift", "gelu"]),
        ("FusedGemm", {"activation": "Relu"}, (4,), [weight(4, 3), weight(3)], ["dense", "relu"]),
        ("FusedMatMul", {"transB": 1}, (5, 4), [weight(3, 4)], ["dense"]),
        ("FusedConv", {"activation": "Relu"}, (3, 5, 5), [weight(4, 3, 3, 3)], ["conv", "relu"]),
    ],
)
def test_fused_operators_become_layers(
    op: str, attributes: Any, row: Any, others: Any, layers: list[str]
) -> None:
    weights = {f"w{i}": w for i, w in enumerate(others)}
    one = node(op, ["x", *weights], ["y"], domain="com.microsoft", **attributes)
    agree(
        graph([one], row, weights, domains={"com.microsoft": 1}),
        row,
        expected=layers,
        tolerance=1e-3,
    )


def test_a_sum_with_a_norm() -> None:
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("SkipLayerNormalization", ["x", "r", "g", "b"], ["y"], domain="com.microsoft"),
    ]
    weights = {"g": weight(6, mean=1), "b": weight(6)}
    model = graph(nodes, (4, 6), weights, domains={"com.microsoft": 1})
    agree(model, (4, 6), expected=["relu", "add", "layer_norm"])


def test_a_loop_that_stands_by_itself() -> None:
    """x * 2 three times, with a constant from outside of its body."""
    state = [info("a", None, 3), info("b", None, 3)]
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Mul", ["a", "two"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            state[0],
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []), state[1]],
    )
    nodes = [node("Loop", ["three", "yes", "x"], ["y"], body=body, name="loop")]
    weights = {"three": np.asarray(3), "yes": np.asarray(True), "two": np.asarray(2, np.float32)}
    model = graph(nodes, (3,), weights, info=[])
    del model.graph.output[:]
    model.graph.output.append(info("y", "N", 3))
    agree(model, (3,), expected=["<Loop>"])


def test_a_body_that_reads_what_flows_outside() -> None:
    out = info("inner", "N", 3)
    bodies = {
        f"{word}_branch": helper.make_graph([node(op, ["x"], ["inner"])], op, [], [out])
        for word, op in (("then", "Relu"), ("else", "Tanh"))
    }
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Greater", ["m", "zero"], ["c"]),
        node("If", ["c"], ["y"], name="fork", **bodies),
    ]
    model = graph(nodes, (3,), {"zero": np.asarray(0, np.float32)}, opset=13)
    with pytest.raises(DnnError, match=r"E549.*ReduceMax.*no row for each row"):
        piece(model, (3,))


def test_quantized_layers_run_as_they_are() -> None:
    """A dynamically quantized product, as onnxruntime's tools write it."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        node("QLinearMatMul", ["q", "s", "z", "w", "s", "zw", "s", "z"], ["p"]),
        node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    weights = {
        "s": np.asarray(0.05, np.float32),
        "z": np.asarray(128, np.uint8),
        "zw": np.asarray(0, np.int8),
        "w": np.asarray([[10, -20, 30], [40, 5, -6]], np.int8),
    }
    model = graph(nodes, (2,), weights, opset=13)
    imported = agree(
        model, (2,), expected=["<QuantizeLinear>", "<QLinearMatMul>", "<DequantizeLinear>"]
    )
    x = np.asarray([[0.3, -0.7]], np.float32)
    np.testing.assert_array_equal(ours(imported, x), run(model, x))


def test_what_no_tensor_can_hold() -> None:
    model = graph(
        [node("Cast", ["x"], ["y"], to=TensorProto.STRING)], (2,), out={"y": TensorProto.STRING}
    )
    with pytest.raises(DnnError) as caught:
        piece(model, (2,))
    (said,) = caught.value.diagnostics
    assert said.code == "E549"
    assert said.span == SPAN
    assert "Cast" in said.message
