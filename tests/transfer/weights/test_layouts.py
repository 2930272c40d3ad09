"""How kernels lie in a file: what decides, and what is done to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from reused import (
    NET,
    as_keras,
    as_torch,
    drawn,
    loaded,
    one_problem,
    results,
    same,
    torch_file,
)
from workbench import Array, near, program

few = settings(max_examples=40, deadline=None, derandomize=True)

# Layouts ------------------------------------------------------------------------------------------


def test_a_network_of_keras_computes_the_same(tmp_path: Path) -> None:
    """The rows behind a flatten change places; by our layers and by a computation channels last."""
    values = drawn(program(NET).models["m"])
    np.savez(tmp_path / "k.npz", **as_keras(values))
    made = loaded(NET, tmp_path / "k.npz")
    assert same(made.values, values)
    done = {row.here: row.done for row in made.rows}
    assert done["body.conv_1.weight"] == "axes 3 2 0 1"
    assert done["head.dense_1.weight"] == (
        "rows from height width channels to channels height width"
    )
    assert done["head.dense_2.weight"] == "as it is"
    assert made.layout == ("(in, out) and channels last, as in Keras: by `body/conv_1/kernel`")
    x = np.random.default_rng(1).random((2, 3, 8, 8)).astype(np.float32)
    near(results(NET, made.values, x), _channels_last(as_keras(values), x), 1e-5)


def _channels_last(k: Mapping[str, Array], x: Array) -> Array:
    """The network as Keras computes it, in NumPy."""
    x = x.transpose(0, 2, 3, 1)
    kernel = k["body/conv_1/kernel"]
    made = np.zeros((len(x), 6, 6, 4))
    for i in range(3):
        for j in range(3):
            made += x[:, i : i + 6, j : j + 6] @ kernel[i, j]
    norm = {name: k[f"body/batch_norm_1/{name}"] for name in ("gamma", "beta")}
    made = (made - k["body/batch_norm_1/moving_mean"]) / np.sqrt(
        k["body/batch_norm_1/moving_variance"] + 1e-3
    )
    made = np.maximum(made * norm["gamma"] + norm["beta"], 0)
    made = made.reshape(len(x), 3, 2, 3, 2, 4).max((2, 4)).reshape(len(x), -1)
    made = np.maximum(made @ k["head/dense_1/kernel"] + k["head/dense_1/bias"], 0)
    made = made @ k["head/dense_2/kernel"] + k["head/dense_2/bias"]
    made = np.exp(made - made.max(1, keepdims=True))
    return np.asarray(made / made.sum(1, keepdims=True))


def test_a_square_kernel_needs_another_to_decide(tmp_path: Path) -> None:
    square = "model m { input x[3]; dense 3 | relu | dense 3 }"
    values = drawn(program(square).models["m"])
    path = tmp_path / "s.npz"
    np.savez(path, **values)
    found = one_problem(square, path)
    assert found.code == "E529"
    assert "`dense_1.weight`, `dense_2.weight`" in found.message
    assert "`layout=torch` for (out, in) or `layout=keras` for (in, out)" in found.help
    torch = loaded(square, path, layout="torch")
    near(torch.values["dense_1.weight"], values["dense_1.weight"].T)
    assert torch.layout == "(out, in), as in PyTorch: by layout=torch"
    assert same(loaded(square, path, layout="keras").values, values)
    assert same(loaded(square, path, layout="deepdsl").values, values)
    other = "model m { input x[3]; dense 3 | relu | dense 3 | dense 4 }"
    more = drawn(program(other).models["m"])
    np.savez(path, **as_torch(more))
    made = loaded(other, path)
    assert same(made.values, more)
    assert made.layout == "(out, in), as in PyTorch: by `dense_3.weight`"


def test_a_name_decides_where_shapes_do_not(tmp_path: Path) -> None:
    square = "model m { input x[3]; dense 3 | batch_norm }"
    values = drawn(program(square).models["m"])
    path = torch_file(tmp_path, values)
    made = loaded(square, path)
    assert same(made.values, values)
    assert made.layout == (
        "(out, in), as in PyTorch: by the name `batch_norm_1.num_batches_tracked`"
    )
    assert made.unused == ()
    assert made.notes == ("epsilon is 0.001 in `batch_norm_1`; PyTorch's default is 1e-05",)
    exact = square.replace("batch_norm", "batch_norm epsilon=1e-5")
    assert loaded(exact, path).notes == ()


def test_a_flattened_image_is_a_matter_of_layout(tmp_path: Path) -> None:
    """(in, out) is certain, and whether the channels are last is not."""
    text = "model m { input image[3 2 2]; flatten | dense 5 }"
    values = drawn(program(text).models["m"])
    np.savez(tmp_path / "x.npz", **values)
    found = one_problem(text, tmp_path / "x.npz")
    assert found.code == "E529"
    assert "`layout=keras` for (in, out), channels last" in found.help
    assert "torch" not in found.help
    assert same(loaded(text, tmp_path / "x.npz", layout="deepdsl").values, values)
    keras = loaded(text, tmp_path / "x.npz", layout="keras").values["dense_1.weight"]
    near(keras, values["dense_1.weight"].reshape(4, 3, 5).transpose(1, 0, 2).reshape(12, 5))
    # One channel, or an image without channels, has one order.
    for shape in ("1 4 3", "4 3"):
        plain = f"model m {{ input image[{shape}]; flatten | dense 5 }}"
        assert same(loaded(plain, tmp_path / "x.npz").values, values)


def test_an_order_that_is_lost_is_refused(tmp_path: Path) -> None:
    text = "model m { input image[3 2 2]; flatten | split 2 part=1 | dense 5 }"
    values = drawn(program(text).models["m"])
    np.savez(tmp_path / "k.npz", **as_keras(values))
    found = one_problem(text, tmp_path / "k.npz", layout="keras")
    assert found.code == "E534"
    assert "the row order of `dense_1/kernel` is ambiguous" in found.message


FLATTENED = {
    "flatten | dropout 20% | relu | dense 5": None,
    "flatten | batch_norm | dense 5": "gamma",
    "reshape [12] | dense 5": None,
    "permute [2 3 1] | flatten | dense 5": "as it is",
    "conv 3 1x1 | flatten | layer_norm | dense 5": "gamma",
}


@pytest.mark.parametrize("flow", FLATTENED)
def test_what_may_stand_behind_a_flatten(flow: str, tmp_path: Path) -> None:
    text = f"model m {{ input image[3 2 2]; {flow} }}"
    values = drawn(program(text).models["m"])
    keras = as_keras(values)
    for name, value in keras.items():
        if FLATTENED[flow] != "as it is" and len(value) == 12:
            keras[name] = value.reshape(3, 4, -1).transpose(1, 0, 2).reshape(value.shape)
    np.savez(tmp_path / "k.npz", **keras)
    made = loaded(text, tmp_path / "k.npz", layout="keras")
    assert same(made.values, values)


def test_vectors_joined_behind_a_flatten(tmp_path: Path) -> None:
    text = "model m { input image[3 2 2]; input v[2]; f = image | flatten; concat v f | dense 5 }"
    values = drawn(program(text).models["m"])
    kernel = values["dense_1.weight"]
    rows = kernel[2:].reshape(3, 4, 5).transpose(1, 0, 2).reshape(12, 5)
    theirs = {"dense_1/kernel": np.concatenate([kernel[:2], rows])}
    np.savez(tmp_path / "k.npz", **theirs, **{"dense_1/bias": values["dense_1.bias"]})
    assert same(loaded(text, tmp_path / "k.npz", layout="keras").values, values)


def test_convolutions_of_keras(tmp_path: Path) -> None:
    text = (
        "model m { input image[4 6 6]; conv 8 3x3 groups=depthwise | conv 6 3x1 groups=2"
        " | conv_transpose 5 2x2 }"
    )
    values = drawn(program(text).models["m"])
    own = [values[f"conv_{n}.weight"] for n in (1, 2)]
    turned = values["conv_transpose_1.weight"]
    theirs = {
        "conv_1/depthwise_kernel": own[0].reshape(4, 2, 3, 3).transpose(2, 3, 0, 1),
        "conv_2/kernel": own[1].transpose(2, 3, 1, 0),
        "conv_transpose_1/kernel": turned.transpose(2, 3, 1, 0),
        **{f"{n.replace('.', '/')}": v for n, v in values.items() if n.endswith("bias")},
    }
    np.savez(tmp_path / "k.npz", **theirs)
    made = loaded(text, tmp_path / "k.npz")
    assert same(made.values, values)
    assert made.rows[0].done == "axes 2 3 0 1, channels and multipliers joined"


def test_a_norm_of_torch_that_lost_its_gamma(tmp_path: Path) -> None:
    """It has both or neither, or no beta."""
    text = "model m { input x[3]; dense 3 | batch_norm }"
    values = drawn(program(text).models["m"])
    lost = {n: v for n, v in values.items() if n != "batch_norm_1.gamma"}
    assert one_problem(text, torch_file(tmp_path, lost, noted=True)).code == "E527"
    neither = {n: v for n, v in lost.items() if n != "batch_norm_1.beta"}
    made = loaded(text, torch_file(tmp_path, neither, noted=True)).values
    assert set(made["batch_norm_1.gamma"]) == {1.0}


def test_norms_that_learn_neither(tmp_path: Path) -> None:
    """Keras's `scale=False`, PyTorch's `affine=False`: 1 and 0."""
    text = "model m { input x[3]; dense 3 | batch_norm }"
    names = {"moving_mean": 2.0, "moving_variance": 4.0, "beta": 3.0}
    layer = {f"batch_norm_1/{n}": np.full(3, v, np.float32) for n, v in names.items()}
    stored = {"dense_1/kernel": np.eye(3), "dense_1/bias": np.zeros(3), **layer}
    np.savez(tmp_path / "k.npz", **stored)
    made = loaded(text, tmp_path / "k.npz")
    assert made.rows[2].done == "ones: it has none there"
    x = np.array([[4, 2, 0]], np.float32)
    near(results(text, made.values, x), (x - 2) / np.sqrt(4.001) + 3)
    del stored["batch_norm_1/beta"]
    np.savez(tmp_path / "k.npz", **stored)
    near(results(text, loaded(text, tmp_path / "k.npz").values, x), (x - 2) / np.sqrt(4.001))
    # A name that is not known is no gamma that was left away.
    np.savez(tmp_path / "k.npz", **stored, **{"batch_norm_1/gama": np.ones(3)})
    assert one_problem(text, tmp_path / "k.npz").code == "E532"
    # Where Keras counts, the numbers would be others.
    counted = {f"batch_norm_1/vars/{n}": np.ones(3) for n in range(3)}
    dense = {"dense_1/vars/0": np.eye(3), "dense_1/vars/1": np.zeros(3)}
    np.savez(tmp_path / "k.npz", **dense, **counted)
    assert one_problem(text, tmp_path / "k.npz").code == "E527"


def test_a_layout_in_which_all_fits_is_not_taken_for_that(tmp_path: Path) -> None:
    """As PyTorch lays kernels out, the layer may be `a` or `b`; as Keras does, it is `c`."""
    text = "model m { input x[3]; dense 4 bias=false }"
    shapes = {"a.weight": (4, 3), "b.weight": (4, 3), "c.weight": (3, 4)}
    path = tmp_path / "x.npz"
    np.savez(path, **{name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    assert one_problem(text, path, match="shape").code == "E529"
    assert one_problem(text, path, match="shape", layout="torch").code == "E531"
    made = loaded(text, path, match="shape", layout="keras")
    assert [row.there for row in made.rows] == ["c.weight"]


def test_names_of_a_graph_model(tmp_path: Path) -> None:
    """TensorFlow's graphs name what reads a variable."""
    text = "model m { input x[1 4 4]; conv 3 3x3 | flatten | dense 5 }"
    values = drawn(program(text).models["m"])
    kernel = values["dense_1.weight"].reshape(3, 4, 5).transpose(1, 0, 2).reshape(12, 5)
    top = "StatefulPartitionedCall/model"
    stored = {
        f"{top}/conv_1/Conv2D/ReadVariableOp": values["conv_1.weight"].transpose(2, 3, 1, 0),
        f"{top}/conv_1/BiasAdd/ReadVariableOp": values["conv_1.bias"],
        f"{top}/dense_1/MatMul/ReadVariableOp": kernel,
        f"{top}/dense_1/BiasAdd/ReadVariableOp": values["dense_1.bias"],
    }
    np.savez(tmp_path / "g.npz", **stored)
    made = loaded(text, tmp_path / "g.npz", prefix=f"{top}/", layout="keras")
    assert same(made.values, values)
    for match in ("order", "shape"):
        other = loaded(text, tmp_path / "g.npz", match=match, layout="keras")
        assert same(other.values, values)
