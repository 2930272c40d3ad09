"""Operators that together are a layer, and what exporters write around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import agree, graph, kinds, node, opened, ours, piece, run, weight
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

KERNEL = np.asarray([[1, 2, 3], [4, 5, 6]], np.float32)
BIAS = np.asarray([7, 8, 9], np.float32)
GIVEN = np.asarray([[10, 11]], np.float32)


def number(value: float) -> Any:
    return np.asarray(value, np.float32)


def ints(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


# Products with a bias -----------------------------------------------------------------------------


@pytest.mark.parametrize("stored", ["initializer", "constant"])
@pytest.mark.parametrize(
    "form", ["gemm", "turned", "sum", "sum the other way", "transposed weight"]
)
def test_a_kernel_in_every_form(form: str, stored: str) -> None:
    """relu([10 11] W + b) = [61 83 105]."""
    turned = form in ("turned", "transposed weight")
    weights = {"w": KERNEL.T.copy() if turned else KERNEL, "b": BIAS}
    nodes = {
        "gemm": [node("Gemm", ["x", "w", "b"], ["h"])],
        "turned": [node("Gemm", ["x", "w", "b"], ["h"], transB=1)],
        "sum": [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["h"])],
        "sum the other way": [node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["h"])],
        "transposed weight": [
            node("Transpose", ["w"], ["v"], perm=[1, 0]),
            node("MatMul", ["x", "v"], ["m"]),
            node("Add", ["m", "b"], ["h"]),
        ],
    }[form]
    model = graph([*nodes, node("Relu", ["h"], ["y"])], (2,), weights, stored=stored)
    imported = agree(model, (2,), expected=["dense", "relu"])
    np.testing.assert_array_equal(imported.weights["dense_1.weight"], KERNEL)
    np.testing.assert_array_equal(imported.weights["dense_1.bias"], BIAS)
    assert imported.names == {"dense_1.weight": "w", "dense_1.bias": "b"}
    np.testing.assert_array_equal(ours(imported, GIVEN), [[61, 83, 105]])


@given(st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_gemm(data: st.DataObject) -> None:
    inputs, units = (data.draw(st.integers(1, 5)) for _ in range(2))
    turned = data.draw(st.booleans())
    alpha, beta = (data.draw(st.sampled_from([1.0, 0.5, -2.0])) for _ in range(2))
    shape = data.draw(st.sampled_from([None, (units,), (1, units), (1,), (1, 1), ()]))
    weights = {"w": weight(units, inputs) if turned else weight(inputs, units)}
    if shape is not None:
        weights["c"] = np.asarray(weight(*shape))
    opset = data.draw(st.sampled_from([7, 9, 11, 13, 17] if shape is not None else [11, 17]))
    one = node("Gemm", ["x", *weights], ["y"], transB=int(turned), alpha=alpha, beta=beta)
    stored = data.draw(st.sampled_from(["initializer", "constant"]))
    agree(
        graph([one], (inputs,), weights, opset=opset, stored=stored), (inputs,), expected=["dense"]
    )


def test_a_product_that_others_read_keeps_its_own_value() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Add", ["m", "b"], ["h"]),
        node("Mul", ["m", "h"], ["y"]),
    ]
    agree(
        graph(nodes, (2,), {"w": KERNEL, "b": BIAS}), (2,), expected=["dense", "shift", "multiply"]
    )


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
def test_a_convolution_and_its_bias(shape: tuple[int, ...]) -> None:
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Add", ["c", "b"], ["y"])]
    model = graph(nodes, (3, 5, 5), {"w": weight(4, 3, 3, 3), "b": weight(*shape)})
    imported = agree(model, (3, 5, 5), expected=["conv"])
    assert imported.names == {"conv_1.weight": "w", "conv_1.bias": "b"}


@given(st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_convolution(data: st.DataObject) -> None:
    draw = data.draw
    axes, groups = draw(st.integers(1, 2)), draw(st.sampled_from([1, 2]))
    kernel = [draw(st.integers(1, 3)) for _ in range(axes)]
    attributes = {
        "strides": [draw(st.integers(1, 3)) for _ in range(axes)],
        "dilations": [draw(st.integers(1, 2)) for _ in range(axes)],
        "group": groups,
    }
    if draw(st.booleans()):
        attributes["pads"] = [draw(st.integers(0, 2)) for _ in range(2 * axes)]
    elif set(attributes["dilations"]) == {1}:
        attributes["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    sizes = [draw(st.integers(5, 8)) for _ in range(axes)]
    weights = {"w": weight(4, 4 // groups, *kernel)} | (
        {"b": weight(4)} if draw(st.booleans()) else {}
    )
    one = node("Conv", ["x", *weights], ["y"], **attributes)
    imported = agree(graph([one], (4, *sizes), weights, opset=11), (4, *sizes))
    assert kinds(imported) in (["conv"], ["zero_pad", "conv"])


@given(st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_pool(data: st.DataObject) -> None:
    draw = data.draw
    kernel = [draw(st.integers(1, 3)) for _ in range(2)]
    op = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": [draw(st.integers(1, 3)) for _ in range(2)],
        "pads": [draw(st.integers(0, k - 1)) for k in kernel * 2],
        "ceil_mode": draw(st.integers(0, 1)),
    }
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    sizes = [draw(st.integers(4, 7)) for _ in range(2)]
    model = graph([node(op, ["x"], ["y"], **attributes)], (2, *sizes), opset=12)
    imported = agree(model, (2, *sizes))
    if op == "MaxPool" and all(s <= k for s, k in zip(attributes["strides"], kernel, strict=True)):
        assert kinds(imported) == ["max_pool"]


@given(st.data())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_every_resize(data: st.DataObject) -> None:
    draw = data.draw
    attributes = {
        "mode": draw(st.sampled_from(["nearest", "linear"])),
        "coordinate_transformation_mode": draw(
            st.sampled_from(["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"])
        ),
        "nearest_mode": draw(st.sampled_from(["floor", "round_prefer_floor", "ceil"])),
    }
    factors = [draw(st.sampled_from([1, 2, 3])) for _ in range(2)]
    if draw(st.booleans()):
        weights: dict[str, Any] = {"s": np.asarray([1, 1, *factors], np.float32)}
        one = node("Resize", ["x", "", "s"], ["y"], **attributes)
    else:
        weights = {"s": ints(1, 3, 4 * factors[0], 5 * factors[1])}
        one = node("Resize", ["x", "", "", "s"], ["y"], **attributes)
    fixed = 1 if len(weights["s"]) == 4 and weights["s"].dtype == np.int64 else "N"
    agree(graph([one], (3, 4, 5), weights, opset=13, batch=fixed), (3, 4, 5))


# Activations that are written out -----------------------------------------------------------------


def written_out() -> dict[str, tuple[list[onnx.NodeProto], dict[str, Any], str]]:
    half, three, six, one = number(0.5), number(3), number(6), number(1)
    root = number(2**0.5)
    clip = [node("Add", ["x", "three"], ["a"]), node("Clip", ["a", "zero", "six"], ["c"])]
    constants = {"three": three, "zero": number(0), "six": six}
    erf = [
        node("Div", ["x", "root"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["e", "one"], ["f"]),
    ]
    gelu = {"root": root, "one": one, "half": half}
    cube = [
        node("Pow", ["x", "three"], ["p"]),
        node("Mul", ["p", "small"], ["q"]),
        node("Add", ["x", "q"], ["r"]),
        node("Mul", ["r", "wide"], ["s"]),
        node("Tanh", ["s"], ["t"]),
        node("Add", ["t", "one"], ["u"]),
        node("Mul", ["x", "u"], ["v"]),
        node("Mul", ["v", "half"], ["y"]),
    ]
    tanh = {"three": three, "small": number(0.044715), "wide": number((2 / np.pi) ** 0.5)}
    return {
        "x * hard_sigmoid(x)": (
            [node("HardSigmoid", ["x"], ["h"], alpha=1 / 6), node("Mul", ["x", "h"], ["y"])],
            {},
            "hard_swish",
        ),
        "x * (clip / 6)": (
            [*clip, node("Div", ["c", "six"], ["d"]), node("Mul", ["x", "d"], ["y"])],
            constants,
            "hard_swish",
        ),
        "(x * clip) / 6": (
            [*clip, node("Mul", ["x", "c"], ["d"]), node("Div", ["d", "six"], ["y"])],
            constants,
            "hard_swish",
        ),
        "clip / 6": ([*clip, node("Div", ["c", "six"], ["y"])], constants, "hard_sigmoid"),
        "x * sigmoid(x)": (
            [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["y"])],
            {},
            "swish",
        ),
        "x * sigmoid(1.702 x)": (
            [
                node("Mul", ["x", "beta"], ["b"]),
                node("Sigmoid", ["b"], ["s"]),
                node("Mul", ["x", "s"], ["y"]),
            ],
            {"beta": number(1.702)},
            "swish",
        ),
        "x * tanh(softplus(x))": (
            [
                node("Softplus", ["x"], ["s"]),
                node("Tanh", ["s"], ["t"]),
                node("Mul", ["x", "t"], ["y"]),
            ],
            {},
            "mish",
        ),
        "(x * (erf + 1)) / 2": (
            [*erf, node("Mul", ["x", "f"], ["g"]), node("Mul", ["g", "half"], ["y"])],
            gelu,
            "gelu",
        ),
        "(x / 2) * (erf + 1)": (
            [*erf, node("Mul", ["x", "half"], ["g"]), node("Mul", ["g", "f"], ["y"])],
            gelu,
            "gelu",
        ),
        "gelu by tanh": (cube, {**tanh, "one": one, "half": half}, "gelu"),
    }


@pytest.mark.parametrize("form", written_out())
def test_an_activation_that_is_written_out(form: str) -> None:
    nodes, weights, layer = written_out()[form]
    for opset in (11, 17):
        agree(graph(nodes, (4, 3), weights, opset=opset), (4, 3), expected=[layer])


def test_what_is_nearly_an_activation_stays_as_it_is() -> None:
    nodes = [node("HardSigmoid", ["x"], ["h"], alpha=0.2), node("Mul", ["x", "h"], ["y"])]
    agree(graph(nodes, (4,)), (4,), expected=["mul", "hard_sigmoid", "multiply"])


def layer_norm(form: str) -> list[onnx.NodeProto]:
    squares = {
        "pow": node("Pow", ["d", "two"], ["q"]),
        "product": node("Mul", ["d", "d"], ["q"]),
    }[form]
    return [
        node("ReduceMean", ["x"], ["m"], axes=[-1]),
        node("Sub", ["x", "m"], ["d"]),
        squares,
        node("ReduceMean", ["q"], ["v"], axes=[-1]),
        node("Add", ["v", "epsilon"], ["e"]),
        node("Sqrt", ["e"], ["s"]),
        node("Div", ["d", "s"], ["z"]),
        node("Mul", ["z", "gamma"], ["g"]),
        node("Add", ["g", "beta"], ["y"]),
    ]


@pytest.mark.parametrize("form", ["pow", "product"])
@pytest.mark.parametrize("row", [(6,), (4, 6), (2, 3, 6)])
def test_a_layer_norm_that_is_written_out(form: str, row: tuple[int, ...]) -> None:
    weights = {
        "gamma": weight(6, mean=1),
        "beta": weight(6),
        "epsilon": number(1e-5),
        "two": number(2),
    }
    imported = agree(graph(layer_norm(form), row, weights, opset=13), row, expected=["layer_norm"])
    assert imported.names == {"layer_norm_1.gamma": "gamma", "layer_norm_1.beta": "beta"}
    assert imported.model.calls[0].layer.epsilon == pytest.approx(1e-5)


def test_two_norms_in_a_row_stay_two() -> None:
    """The second of two without scales makes hardly a difference, and is there."""
    first = layer_norm("pow")[:7]
    second = [
        helper.make_node(
            n.op_type,
            [{"x": "z"}.get(i, i if i in ("two", "epsilon") else f"{i}2") for i in n.input],
            [f"{n.output[0]}2"],
            **{a.name: helper.get_attribute_value(a) for a in n.attribute},
        )
        for n in first
    ]
    nodes = [*first, *second, node("Add", ["z", "z2"], ["y"])]
    weights = {"epsilon": number(1e-5), "two": number(2)}
    model = graph(nodes, (4, 6), weights, opset=13)
    agree(model, (4, 6), expected=["layer_norm", "layer_norm", "add"])


def test_an_rms_norm_that_is_written_out() -> None:
    nodes = [
        node("Mul", ["x", "x"], ["q"]),
        node("ReduceMean", ["q"], ["v"], axes=[-1]),
        node("Add", ["v", "epsilon"], ["e"]),
        node("Sqrt", ["e"], ["s"]),
        node("Div", ["x", "s"], ["z"]),
        node("Mul", ["z", "gamma"], ["y"]),
    ]
    weights = {"gamma": weight(6, mean=1), "epsilon": number(1e-6)}
    agree(graph(nodes, (4, 6), weights, opset=13), (4, 6), expected=["rms_norm"])


def test_a_softmax_that_is_written_out() -> None:
    nodes = [
        node("ReduceMax", ["x"], ["m"], axes=[-1]),
        node("Sub", ["x", "m"], ["d"]),
        node("Exp", ["d"], ["e"]),
        node("ReduceSum", ["e", "axis"], ["s"]),
        node("Div", ["e", "s"], ["y"]),
    ]
    agree(graph(nodes, (4, 6), {"axis": ints(-1)}, opset=13), (4, 6), expected=["softmax"])


# Flows that part and meet -------------------------------------------------------------------------


def test_a_residual_and_a_gate() -> None:
    """x + conv(x), times squeeze-and-excitation."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Add", ["x", "c"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Conv", ["p", "v"], ["q"]),
        node("Sigmoid", ["q"], ["s"]),
        node("Mul", ["r", "s"], ["y"]),
    ]
    weights = {"w": weight(4, 4, 3, 3), "v": weight(4, 4, 1, 1)}
    layers = ["conv", "add", "global_avg_pool", "reshape", "conv", "sigmoid", "multiply"]
    agree(graph(nodes, (4, 5, 6), weights), (4, 5, 6), expected=layers)


@pytest.mark.parametrize("axis", [1, 2])
def test_split_and_concat(axis: int) -> None:
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b"], axis=axis),
        node("Relu", ["a"], ["c"]),
        node("Concat", ["b", "c", "b"], ["y"], axis=axis),
    ]
    agree(graph(nodes, (4, 4), {"sizes": ints(1, 3)}), (4, 4))


def test_equal_pieces() -> None:
    nodes = [node("Split", ["x"], ["a", "b"], axis=1), node("Sub", ["b", "a"], ["y"])]
    agree(graph(nodes, (4, 3), opset=11), (4, 3), expected=["split", "split", "sub"])


def test_sums_and_means_of_several() -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Tanh", ["x"], ["b"]),
        node("Sum", ["a", "b", "x"], ["s"]),
        node("Mean", ["s", "a"], ["m"]),
        node("Max", ["m", "b"], ["k"]),
        node("Min", ["k", "a"], ["y"]),
    ]
    agree(
        graph(nodes, (4,)),
        (4,),
        expected=["relu", "tanh", "add", "add", "mean", "maximum", "minimum"],
    )


def test_comparisons_and_choices() -> None:
    nodes = [
        node("Greater", ["x", "half"], ["g"]),
        node("Abs", ["x"], ["a"]),
        node("Log", ["b"], ["l"]),
        node("Add", ["a", "half"], ["b"]),
        node("Sqrt", ["b"], ["r"]),
        node("Where", ["g", "l", "r"], ["w"]),
        node("Less", ["w", "x"], ["s"]),
        node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "w"], ["y"]),
    ]
    nodes[2], nodes[3] = nodes[3], nodes[2]
    imported = agree(graph(nodes, (4,), {"half": number(0.5)}), (4,))
    assert not any(k.startswith("<") for k in kinds(imported))


def test_the_place_of_the_largest() -> None:
    model = graph(
        [node("ArgMax", ["x"], ["y"], axis=2, keepdims=0)], (4, 3), out={"y": TensorProto.INT64}
    )
    agree(model, (4, 3), expected=["arg_max"])


def test_weights_that_are_used_twice() -> None:
    """One kernel for both halves of a row is one layer, with one set of weights."""
    nodes = [
        node("Split", ["x"], ["a", "b"], axis=1),
        node("MatMul", ["a", "w"], ["c"]),
        node("Add", ["c", "bias"], ["d"]),
        node("MatMul", ["b", "w"], ["e"]),
        node("Add", ["e", "bias"], ["f"]),
        node("Sub", ["d", "f"], ["y"]),
    ]
    model = graph(nodes, (4,), {"w": KERNEL, "bias": BIAS}, opset=11)
    imported = agree(model, (4,), expected=["split", "split", "dense", "dense", "sub"])
    paths = [c.path for c in imported.model.calls if c.path.startswith("dense")]
    assert paths == ["dense_1", "dense_1"]
    assert sorted(imported.weights) == ["dense_1.bias", "dense_1.weight"]
    assert len(imported.model.params) == 2


def test_attention() -> None:
    """Heads that are parted from one product, as PyTorch and Paddle export them."""
    nodes = [
        node("MatMul", ["x", "w"], ["p"]),
        node("Add", ["p", "b"], ["q"]),
        node("Reshape", ["q", "apart"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[2, 0, 3, 1, 4]),
        *(
            each
            for i, name in enumerate("qkv")
            for each in (node("Gather", ["t", f"i{i}"], [f"{name}_"], axis=0),)
        ),
        node("Transpose", ["k_"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q_", "kt"], ["s"]),
        node("Mul", ["s", "scale"], ["u"]),
        node("Softmax", ["u"], ["a"], axis=-1),
        node("MatMul", ["a", "v_"], ["o"]),
        node("Transpose", ["o"], ["ot"], perm=[0, 2, 1, 3]),
        node("Reshape", ["ot", "back"], ["y"]),
    ]
    weights = {
        "w": weight(8, 24),
        "b": weight(24),
        "apart": ints(0, 5, 3, 2, 4),
        "back": ints(0, 5, 8),
        "scale": number(0.5),
        **{f"i{i}": np.asarray(i) for i in range(3)},
    }
    imported = agree(graph(nodes, (5, 8), weights), (5, 8))
    assert not any(k.startswith("<") for k in kinds(imported))


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("output", ["states", "last"])
@pytest.mark.parametrize("form", ["bias", "first states", "bare"])
def test_recurrent_layers(op: str, direction: str, output: str, form: str) -> None:
    """ONNX has the positions first; its first states have the size of the batch."""
    gates, units, ways = (4 if op == "LSTM" else 3), 3, (2 if direction == "bidirectional" else 1)
    inputs = ["t", "w", "r", "" if form == "bare" else "b", "", ""]
    firsts = []
    if form == "first states":
        firsts = [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["rows"]),
            node("Concat", ["ways", "rows", "units"], ["size"], axis=0),
            node("ConstantOfShape", ["size"], ["h0"]),
        ]
        inputs[5] = "h0"
        inputs += ["h0"] * (op == "LSTM")
    extra = {"linear_before_reset": int(form != "bare")} if op == "GRU" else {}
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        *firsts,
        node(
            op,
            inputs,
            ["s", "h"] if output == "last" else ["s"],
            hidden_size=units,
            direction=direction,
            **extra,
        ),
        node("Transpose", ["s"], ["st"], perm=[2, 0, 1, 3])
        if output == "states"
        else node("Transpose", ["h"], ["y"], perm=[1, 0, 2]),
        *([node("Reshape", ["st", "back"], ["y"])] if output == "states" else []),
    ]
    weights = {
        "w": weight(ways, gates * units, 4),
        "r": weight(ways, gates * units, units),
        "b": weight(ways, 2 * gates * units),
        "zero": ints(0),
        "ways": ints(ways),
        "units": ints(units),
        "back": ints(0, 5, ways * units),
    }
    imported = agree(graph(nodes, (5, 4), weights, opset=14), (5, 4))
    assert op.lower() in kinds(imported)
    assert not any(k.startswith("<") for k in kinds(imported))


def test_a_table_of_words() -> None:
    nodes = [node("Gather", ["table", "x"], ["y"])]
    for dtype, given_as in ((TensorProto.INT64, np.int64), (TensorProto.INT32, np.int32)):
        model = graph(nodes, (3,), {"table": weight(7, 4)}, dtype=dtype)
        x = np.asarray([[0, 6, 2]])
        layers = ["embedding"] if given_as is np.int64 else ["cast", "cast", "embedding"]
        agree(model, (3,), x=x, dtype="i64", given=given_as, expected=layers)


def test_bytes_that_flow_in() -> None:
    nodes = [
        node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "scale"], ["y"]),
    ]
    model = graph(nodes, (3,), {"scale": number(1 / 255)}, dtype=TensorProto.UINT8)
    x = np.asarray([[0.0, 7.0, 255.0]], np.float32)
    agree(model, (3,), x=x, given=np.uint8, expected=["cast", "cast", "mul"])


# Sizes --------------------------------------------------------------------------------------------


def flatten_by_sizes() -> list[onnx.NodeProto]:
    """x.view(x.size(0), -1), as PyTorch's tracing exporter writes it."""
    return [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n"], ["u"], axes=[0]),
        node("Concat", ["u", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["y"]),
    ]


def test_sizes_that_are_calculated() -> None:
    weights = {"zero": np.asarray(0), "rest": ints(-1)}
    agree(graph(flatten_by_sizes(), (2, 3), weights, opset=11), (2, 3), expected=["flatten"])


def test_sizes_of_all_axes() -> None:
    """A free height is that of what is given: x.reshape(n, c, h * w)."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Split", ["s"], ["n", "c", "h", "w"], axis=0),
        node("Mul", ["h", "w"], ["p"]),
        node("Concat", ["n", "c", "p"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["y"]),
    ]
    agree(graph(nodes, (3, "H", "W"), opset=11), (3, 4, 5), expected=["reshape"])


@pytest.mark.parametrize("target", [(1, 12), (1, -1), (-1, 12), (1, 3, 4), (1, 12, 1)])
def test_a_batch_that_was_fixed(target: tuple[int, ...]) -> None:
    nodes = [node("Reshape", ["x", "to"], ["y"])]
    agree(graph(nodes, (4, 3), {"to": ints(*target)}, batch=1), (4, 3))


def test_rows_and_places_joined_and_parted() -> None:
    """[N T D] -> [N*T D] -> a product -> [N T E]."""
    nodes = [
        node("Reshape", ["x", "joined"], ["r"]),
        node("Gemm", ["r", "w", "b"], ["g"]),
        node("Reshape", ["g", "apart"], ["y"]),
    ]
    weights = {"w": KERNEL, "b": BIAS, "joined": ints(-1, 2), "apart": ints(-1, 4, 3)}
    imported = agree(graph(nodes, (4, 2), weights), (4, 2))
    assert "dense" in kinds(imported)


@pytest.mark.parametrize("batch", [1, "N"])
def test_a_learned_token(batch: Any) -> None:
    """One vector in front of the positions of each row."""
    nodes = [node("Concat", ["token" if batch == 1 else "tokens", "x"], ["y"], axis=1)]
    if batch == "N":
        nodes = [
            node("Shape", ["x"], ["s"], start=0, end=1),
            node("Concat", ["s", "one", "four"], ["to"], axis=0),
            node("Expand", ["token", "to"], ["tokens"]),
            *nodes,
        ]
    weights = {"token": weight(1, 1, 4), "one": ints(1), "four": ints(4)}
    imported = agree(
        graph(nodes, (3, 4), weights, batch=batch), (3, 4), expected=["for_each_row", "concat"]
    )
    assert imported.names == {"for_each_row_1.weight": "token"}


def test_half_precision_becomes_single() -> None:
    nodes = [
        node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        node("MatMul", ["h", "w"], ["m"]),
        node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    model = graph(nodes, (2,), {"w": KERNEL.astype(np.float16)})
    agree(model, (2,), expected=["dense"], tolerance=5e-3)


def test_a_condition_that_is_known() -> None:
    def body(op: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
        return helper.make_graph([node(op, ["x"], ["inner"])], op, [], [out])

    nodes = [
        node("Shape", ["x"], ["s"], start=1, end=2),
        node("Equal", ["s", "three"], ["is"]),
        node("If", ["is"], ["y"], then_branch=body("Relu"), else_branch=body("Tanh")),
    ]
    agree(graph(nodes, (3,), {"three": ints(3)}), (3,), expected=["relu"])
    agree(graph(nodes, (4,), {"three": ints(3)}), (4,), expected=["tanh"])


def test_functions_of_the_file() -> None:
    own = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    model = graph([node("Twice", ["x"], ["y"], domain="mine")], (3,), domains={"mine": 1})
    model.functions.append(own)
    agree(model, (3,), expected=["add"])


def test_weights_that_are_calculated() -> None:
    """Quantized weights become numbers; the layer is an ordinary one."""
    quantized = np.asarray([[1, -2, 3], [4, 5, -6]], np.int8)
    nodes = [
        node("DequantizeLinear", ["q", "scale", "zero"], ["w"]),
        node("MatMul", ["x", "w"], ["m"]),
        node("Add", ["m", "b"], ["y"]),
    ]
    weights = {"q": quantized, "scale": number(0.25), "zero": np.asarray(1, np.int8), "b": BIAS}
    imported = agree(graph(nodes, (2,), weights, opset=13), (2,), expected=["dense"])
    np.testing.assert_array_equal(imported.weights["dense_1.weight"], (quantized - 1) * 0.25)
    assert imported.names["dense_1.weight"] == "q"


def test_numbers_of_layers_and_values() -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Relu", ["a"], ["unused"]),
        node("Gemm", ["a", "w", "b"], ["c"]),
        node("Relu", ["c"], ["y"]),
    ]
    imported = piece(graph(nodes, (2,), {"w": KERNEL, "b": BIAS}), (2,))
    model = imported.model
    assert [c.path for c in model.calls] == ["relu_1", "dense_1", "relu_2"]
    assert [c.inputs for c in model.calls] == [(0,), (1,), (2,)]
    assert model.outputs == {"output": 3}
    assert [p.name for p in model.params] == ["dense_1.weight", "dense_1.bias"]
    assert run(opened(graph(nodes, (2,), {"w": KERNEL, "b": BIAS}))._model, GIVEN).shape == (1, 3)
