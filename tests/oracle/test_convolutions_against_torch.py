"""Convolutions against PyTorch: values and all gradients over their options, and ten steps of a
residual network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")

from oracle.test_against_torch import Case, Net, Tensors, optimizer, train  # noqa: E402
from oracle.test_layers_against_torch import ours, theirs  # noqa: E402
from workbench import near  # noqa: E402

from deepdsl.graph import Type  # noqa: E402
from deepdsl.nn.layers.conv import Conv, ConvTranspose  # noqa: E402

F = torch.nn.functional
Array = np.ndarray[Any, Any]

FORWARD = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def compare(layer: Any, function: Any, shape: tuple[int, ...], weight: tuple[int, ...]) -> None:
    """Output and gradients; sums of many products differ in their order."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((4, *shape)).astype(np.float32)
    weights = {"weight": rng.standard_normal(weight).astype(np.float32)}
    if layer.bias is not False:
        weights["bias"] = rng.standard_normal(layer.filters).astype(np.float32)
    out = function(*(torch.tensor(v) for v in (x, *weights.values())))
    upper = rng.standard_normal(out.shape).astype(np.float32)
    made = ours(layer, x, weights, upper)
    for name, wanted in theirs(function, x, weights, upper).items():
        near(made[name] / np.abs(wanted).max(), wanted / np.abs(wanted).max(), 5e-6)


# The layer, its input, and PyTorch's padding where it has one for it.
CONV = [
    (Conv(6, (5, 5)), (1, 12, 12), 0),
    (Conv(8, (3,), pad="same"), (4, 9, 7), 1),
    (Conv(8, (3,), pad="same", stride=(2,)), (4, 8, 8), 1),
    (Conv(8, (3,), pad="same", stride=(2,), bias=False), (4, 7, 9), 1),
    (Conv(8, (1,), stride=(2,)), (4, 8, 7), 0),
    (Conv(8, (1,)), (4, 5, 5), 0),
    (Conv(4, (7, 7), stride=(2,), pad="same"), (3, 16, 16), 3),
    (Conv(8, (3,), pad=(2,), dilation=(2,)), (4, 8, 8), 2),
    (Conv(8, (2, 3), pad=(1, 0), stride=(3, 1)), (4, 8, 8), (1, 0)),
    (Conv(8, (3,), groups=2, pad="same"), (4, 6, 6), 1),
    (Conv(8, (3,), groups="depthwise", stride=(2,), pad="same"), (4, 6, 6), 1),
    (Conv(4, (3,), groups="depthwise", pad="same"), (4, 6, 5), 1),
    (Conv(32, (3,), pad="same"), (2, 6, 6), 1),
    (Conv(6, (5,), pad="same"), (4, 20), 2),
    (Conv(6, (3,), dilation=(3,), stride=(2,)), (4, 20), 0),
    (Conv(4, (3,), pad="same"), (2, 4, 5, 4), 1),
    (Conv(4, (2,), stride=(2,), groups=2), (2, 4, 5, 4), 0),
]


@pytest.mark.parametrize("case", CONV, ids=lambda c: f"{c[0].show()} on {c[1]}")
def test_conv(case: tuple[Conv, tuple[int, ...], Any]) -> None:
    layer, shape, pad = case
    w = layer.windows(Type(("N", *shape)))
    groups = shape[0] if layer.groups == "depthwise" else layer.groups
    function = FORWARD[len(shape) - 1]

    def run(x: Any, weight: Any, bias: Any = None) -> Any:
        return function(x, weight, bias, w.strides, pad, w.dilations, groups)

    compare(layer, run, shape, (layer.filters, shape[0] // groups, *w.sizes))


@pytest.mark.parametrize("size", [(2,), (4,), (3, 4)], ids=str)
@pytest.mark.parametrize("stride", [(1,), (2,), (3,)], ids=str)
def test_same_where_it_is_not_symmetric(size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """PyTorch has no such pads: the input is padded before."""
    shape = (3, 8, 7)
    layer = Conv(4, size, stride=stride, pad="same")
    w = layer.windows(Type(("N", *shape)))
    sides = [n for pair in zip(w.begins[::-1], w.ends[::-1], strict=True) for n in pair]

    def run(x: Any, weight: Any, bias: Any) -> Any:
        return F.conv2d(F.pad(x, sides), weight, bias, w.strides)

    compare(layer, run, shape, (4, 3, *w.sizes))


# The layer, its input, PyTorch's padding and output_padding.
TURNED = [
    (ConvTranspose(6, (2,), stride=(2,)), (4, 5, 6), 0, 0),
    (ConvTranspose(6, (3,), pad="same"), (4, 5, 6), 1, 0),
    (ConvTranspose(6, (3,), stride=(2,), pad="same"), (4, 5, 6), 1, 1),
    (ConvTranspose(6, (4,), stride=(2,), pad="same", bias=False), (4, 5, 6), 1, 0),
    (ConvTranspose(6, (5,), stride=(3,), pad=(1,), output_pad=(2, 0)), (4, 5, 6), 1, (2, 0)),
    (ConvTranspose(6, (3,), pad=(1,), dilation=(2,), groups=2), (4, 5, 6), 1, 0),
    (ConvTranspose(4, (3,), groups="depthwise"), (4, 5, 6), 0, 0),
    (ConvTranspose(6, (4,), stride=(2,)), (4, 9), 0, 0),
    (ConvTranspose(3, (2,), stride=(2,)), (2, 3, 4, 3), 0, 0),
]


@pytest.mark.parametrize("case", TURNED, ids=lambda c: f"{c[0].show()} on {c[1]}")
def test_conv_transpose(case: tuple[ConvTranspose, tuple[int, ...], Any, Any]) -> None:
    layer, shape, pad, more = case
    w, made = layer.turned(Type(("N", *shape)))
    groups = shape[0] if layer.groups == "depthwise" else layer.groups
    function = TRANSPOSED[len(shape) - 1]

    def run(x: Any, weight: Any, bias: Any = None) -> Any:
        return function(x, weight, bias, w.strides, pad, more, groups, w.dilations)

    weight = (shape[0], layer.filters // groups, *w.sizes)
    assert (
        function(
            torch.zeros(1, *shape),
            torch.zeros(weight),
            None,
            w.strides,
            pad,
            more,
            groups,
            w.dilations,
        ).shape[2:]
        == made
    )
    compare(layer, run, shape, weight)


# Whole networks -----------------------------------------------------------------------------------

BN = "batch_norm momentum=0.9 epsilon=1e-3"


def _conv(net: Net, x: Any, number: int, stride: int = 1, pad: int = 1) -> Any:
    path = f"conv_{number}"
    weight, bias = net.tensors[f"{path}.weight"], net.tensors.get(f"{path}.bias")
    return F.conv2d(x, weight, bias, stride, pad)


def _residual(net: Net, batch: Tensors) -> Any:
    x = F.relu(net.batch_norm(_conv(net, batch["x"], 1), "batch_norm_1"))
    main = F.relu(net.batch_norm(_conv(net, x, 2, 2), "batch_norm_2"))
    main = net.batch_norm(_conv(net, main, 3), "batch_norm_3")
    side = net.batch_norm(_conv(net, x, 4, 2, 0), "batch_norm_4")
    x = F.relu(main + side)
    return net.dense(x.mean((2, 3)), "dense_1")


def _lenet(net: Net, batch: Tensors) -> Any:
    x = F.max_pool2d(F.relu(_conv(net, batch["x"], 1)), 2)
    x = F.max_pool2d(F.relu(_conv(net, x, 2, 1, 0)), 2)
    return net.dense(F.relu(net.dense(x.flatten(1), "dense_1")), "dense_2")


NETS = {
    "residual": Case(
        f"""input x[3 8 8]
        default conv bias=false pad=same
        h = conv 4 3x3 | {BN} | relu
        a = h | conv 8 3x3 stride=2 | {BN} | relu | conv 8 3x3 | {BN}
        c = h | conv 8 1x1 stride=2 | {BN}
        a + c | relu | global_avg_pool | dense 4 | softmax""",
        {"x": (3, 8, 8)},
        _residual,
    ),
    "lenet": Case(
        """input x[1 12 12]
        conv 6 3x3 pad=same | relu | max_pool 2x2
        conv 8 3x3 | relu | max_pool 2x2
        flatten | dense 12 | relu | dense 4 | softmax""",
        {"x": (1, 12, 12)},
        _lenet,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_ten_steps(name: str) -> None:
    momentum = optimizer(lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9))
    train(NETS[name], "optimizer sgd lr=0.05 momentum=0.9", momentum, tolerance=1e-4)
