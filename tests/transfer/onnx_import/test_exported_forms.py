"""What exporters write for masks, kinds of tokens, first states and norms of groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign_graphs import Array, agree, graph, kinds, node, piece, weight
from onnx import TensorProto
from workbench import Training

from deepdsl.diagnostics import DnnError

CAUSAL = np.triu(np.ones((5, 5), bool), 1)
LOWEST = float(np.finfo(np.float32).min)


def trained(model: onnx.ModelProto, row: str, folder: Path, out: tuple[int, ...]) -> Training:
    """A few steps on all of the network."""
    onnx.save(model, folder / "net.onnx")
    made = Training(f"""use "{folder / "net.onnx"}" as net
    data d {{ train npz "none.npz" }}
    model m {{ input x[{row}]; part body {{ reuse net }} }}
    train m on d {{ loss mean_squared_error; optimizer adam lr=0.01; batch 4; seed 1 }}""")
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.normal(0, 1, (4, *map(int, row.split()))).astype(np.float32)
        results = made.step(x=x, target=rng.normal(0, 1, (4, *out)).astype(np.float32))
        assert results["all_finite"]
    return made


# Masks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [-np.inf, -1e9, -10000.0])
def test_a_mask_that_is_added_is_no_weight(number: float, tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["s"]),
        node("Add", ["s", "mask"], ["closed"]),
        node("Softmax", ["closed"], ["y"]),
    ]
    mask = np.where(CAUSAL, number, 0).astype(np.float32)
    model = graph(nodes, (5, 3), {"w": weight(3, 5), "mask": mask})
    assert kinds(agree(model, (5, 3))) == ["dense", "shift", "softmax"]
    made = trained(model, "5 3", tmp_path, (5, 5))
    kept = np.maximum(mask, np.float32(LOWEST))
    np.testing.assert_array_equal(made.state["body.shift_1.weight"], kept)
    assert not np.array_equal(made.state["body.dense_1.weight"], weight(3, 5))


@pytest.mark.parametrize("turned", [False, True])
def test_a_mask_that_chooses_lets_gradients_through(turned: bool, tmp_path: Path) -> None:
    names = ["mask", "s", "low"] if turned else ["mask", "low", "s"]
    nodes = [
        node("MatMul", ["x", "w"], ["s"]),
        node("Where", names, ["closed"]),
        node("Softmax", ["closed"], ["y"]),
    ]
    mask = turned != CAUSAL
    weights = {"w": weight(3, 5), "mask": mask, "low": np.float32(-np.inf)}
    model = graph(nodes, (5, 3), weights)
    assert kinds(agree(model, (5, 3))) == ["dense", "where", "softmax"]
    made = trained(model, "5 3", tmp_path, (5, 5))
    np.testing.assert_array_equal(made.state["body.where_1.weight"], mask)
    assert not np.array_equal(made.state["body.dense_1.weight"], weight(3, 5))
    given = np.random.default_rng(1).normal(0, 1, (2, 5, 3)).astype(np.float32)
    assert not np.any(made.infer(x=given)[:, CAUSAL])


def test_a_condition_that_flows_chooses_between_a_number_and_a_value() -> None:
    nodes = [
        node("Greater", ["x", "zero"], ["c"]),
        node("Mul", ["x", "x"], ["q"]),
        node("Where", ["c", "q", "tenth"], ["y"]),
    ]
    weights = {"zero": np.float32(0), "tenth": np.full((1, 3), 0.1, np.float32)}
    assert kinds(agree(graph(nodes, (3,), weights), (3,)))[-1] == "where"


# What is repeated for the rows --------------------------------------------------------------------


def test_the_same_kind_for_each_token() -> None:
    """As of BERT, where no kinds of tokens are given."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node(
            "ConstantOfShape", ["s"], ["kinds"], value=onnx.numpy_helper.from_array(np.array([1]))
        ),
        node("Gather", ["table", "kinds"], ["a"]),
        node("Gather", ["words", "x"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    weights = {"table": weight(2, 4), "words": weight(9, 4)}
    model = graph(nodes, (6,), weights, dtype=TensorProto.INT64)
    x = np.arange(6)[None]
    found = agree(model, (6,), x=x, dtype="i64")
    assert kinds(found) == ["for_each_row", "embedding", "embedding", "add"]


def _expanded(units: int) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """A first state that is made for the batch, [1, rows, units]."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "at"], ["rows"]),
        node("Concat", ["one", "rows", "units"], ["to"], axis=0),
        node("Expand", ["first", "to"], ["h"]),
    ]
    numbers = {"at": [0], "one": [1], "units": [units]}
    return nodes, {name: np.asarray(value) for name, value in numbers.items()}


def _recurrent(op: str, first: Array) -> onnx.ModelProto:
    nodes, weights = _expanded(4)
    lstm = op == "LSTM"
    gates = 4 if lstm else 1
    weights |= {"w": weight(1, 4 * gates, 3), "r": weight(1, 4 * gates, 4), "first": first}
    firsts = ["h", "h"] if lstm else ["h"]
    # The cell's last state has no layer, so that the operator runs as it is.
    made = ["", "", "last"] if lstm else ["", "last"]
    nodes += [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node(op, ["t", "w", "r", "", "", *firsts], made, hidden_size=4),
        node("Squeeze", ["last", "place"], ["y"]),
    ]
    return graph(nodes, (6, 3), {**weights, "place": np.asarray([0])})


@pytest.mark.parametrize("op", ["LSTM", "RNN"])
def test_first_states_of_zero_hold_for_any_batch(op: str) -> None:
    found = agree(_recurrent(op, np.zeros((1, 1, 4), np.float32)), (6, 3))
    assert f"<{op}>" in kinds(found)


@pytest.mark.parametrize("op", ["LSTM", "RNN"])
def test_other_first_states_are_refused(op: str) -> None:
    model = _recurrent(op, np.ones((1, 1, 4), np.float32))
    with pytest.raises(DnnError, match="first state is not zero"):
        piece(model, (6, 3))


def test_a_state_that_is_no_recurrent_layers() -> None:
    """A recurrent layer that was written out adds it."""
    nodes, weights = _expanded(3)
    nodes += [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Add", ["t", "h"], ["sum"]),
        node("Transpose", ["sum"], ["y"], perm=[1, 0, 2]),
    ]
    weights["first"] = weight(1, 1, 3)
    agree(graph(nodes, (6, 3), weights), (6, 3))


def test_no_constant_has_the_size_of_the_batch() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "at"], ["rows"]),
        node("Range", ["zero", "rows", "step"], ["numbers"]),
        node("Cast", ["numbers"], ["f"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["f", "one"], ["column"]),
        node("Add", ["x", "column"], ["y"]),
    ]
    numbers = {"at": 0, "zero": 0, "step": 1, "one": [1]}
    weights = {name: np.asarray(value) for name, value in numbers.items()}
    with pytest.raises(DnnError, match="the size of the batch"):
        piece(graph(nodes, (3,), weights), (3,))


@pytest.mark.parametrize(("heads", "flat"), [([], [6, 4]), ([6, 2, 2], [6, 4]), ([], [-1, 4])])
def test_a_batch_of_one_between_other_axes(heads: list[int], flat: list[int]) -> None:
    """As attention has it: positions, rows, features; joined, multiplied, and taken apart."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Reshape", ["t", "heads"], ["h"]),
        node("Reshape", ["h", "flat"], ["rows"]),
        node("Gemm", ["rows", "w", "b"], ["g"]),
        node("Reshape", ["g", "back"], ["u"]),
        node("Transpose", ["u"], ["y"], perm=[1, 0, 2]),
    ]
    sizes = {"heads": heads or [6, 1, 4], "flat": flat, "back": [6, 1, 4]}
    weights = {name: np.asarray(value) for name, value in sizes.items()}
    model = graph(nodes, (6, 4), {**weights, "w": weight(4, 4), "b": weight(4)}, batch=1)
    agree(model, (6, 4))


@pytest.mark.parametrize("ends", [[1, -1], [1, 24], [2, 12]])
def test_rows_are_not_torn_apart(ends: list[int]) -> None:
    """For one row a vector of all positions; for several, the first positions of all."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Reshape", ["t", "flat"], ["rows"]),
        node("Relu", ["rows"], ["r"]),
        node("Reshape", ["r", "ends"], ["y"]),
    ]
    weights = {"flat": np.asarray([6, 4]), "ends": np.asarray(ends)}
    with pytest.raises(DnnError):
        piece(graph(nodes, (6, 4), weights, batch=1), (6, 4))
    nodes[1] = node("Flatten", ["t"], ["rows"], axis=2)
    with pytest.raises(DnnError):
        piece(graph(nodes, (6, 4), {"ends": np.asarray(ends)}, batch=1), (6, 4))


def test_shapes_of_the_file_do_not_cover_up_wrong_ones() -> None:
    nodes = [node("Add", ["x", "w"], ["r"]), node("Relu", ["r"], ["y"])]
    info = [onnx.helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 6, 4])]
    model = graph(nodes, (6, 4), {"w": weight(6, 5)}, batch=1, info=info)
    with pytest.raises(DnnError, match="does not take what flows in") as error:
        piece(model, (6, 4))
    (told,) = error.value.diagnostics
    assert told.help == "the file was made for batches of 1: export it with a free first axis"


# Norms of groups ----------------------------------------------------------------------------------


def _group_norm(factor: float) -> onnx.ModelProto:
    nodes = [
        node("Reshape", ["x", "apart"], ["r"]),
        node("InstanceNormalization", ["r", "ones", "zeros"], ["n"], epsilon=1e-3),
        node("Shape", ["x"], ["s"]),
        node("Reshape", ["n", "s"], ["back"]),
        node("Mul", ["back", "gamma"], ["m"]),
        node("Add", ["m", "beta"], ["y"]),
    ]
    return graph(
        nodes,
        (6, 4, 4),
        {
            "apart": np.asarray([0, 2, -1]),
            "ones": np.full(2, factor, np.float32),
            "zeros": np.zeros(2, np.float32),
            "gamma": weight(6, 1, 1, mean=1),
            "beta": weight(6, 1, 1),
        },
    )


def _one_layer(found: list[str]) -> bool:
    return found == ["group_norm"]


@pytest.mark.parametrize(
    ("factor", "right"), [(1.0, _one_layer), (2.0, lambda found: not _one_layer(found))]
)
def test_a_norm_of_groups_is_one_layer(factor: float, right: Callable[[list[str]], bool]) -> None:
    """With one factor for each channel; a second one would be trained beside it."""
    found = agree(_group_norm(factor), (6, 4, 4))
    assert right(kinds(found))
    if factor == 1:
        assert list(found.names.values()) == ["gamma", "beta"]
