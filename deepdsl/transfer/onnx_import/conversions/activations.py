"""Activations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from deepdsl.graph.arithmetic import Add, Maximum, Minimum, Mul
from deepdsl.nn.layers.activations import base as smooth
from deepdsl.nn.layers.activations import gated_units as gated
from deepdsl.nn.layers.activations import relu_variants as rectifiers
from deepdsl.nn.layers.activations.relu_variants import SELU_ALPHA, SELU_SCALE
from deepdsl.nn.layers.layer import Layer
from deepdsl.transfer.onnx_import.conversion import Conversion, Weight, converts
from deepdsl.transfer.onnx_import.dims import is_rows
from deepdsl.transfer.onnx_import.graph import OnnxNode


def _number(node: OnnxNode, name: str, default: float) -> float:
    """An attribute as it was meant: float32 has 0.2 as 0.20000000298."""
    return float(f"{float(node.get(name, default)):.7g}")


_PLAIN: dict[str, Callable[[OnnxNode], Layer]] = {
    "Relu": lambda n: rectifiers.Relu(),
    "Sigmoid": lambda n: smooth.Sigmoid(),
    "Tanh": lambda n: smooth.Tanh(),
    "Softsign": lambda n: smooth.Softsign(),
    "Softplus": lambda n: rectifiers.Softplus(),
    "HardSwish": lambda n: gated.HardSwish(),
    "Mish": lambda n: gated.Mish(),
    "LeakyRelu": lambda n: rectifiers.LeakyRelu(_number(n, "alpha", 0.01)),
    "Elu": lambda n: rectifiers.Elu(alpha=_number(n, "alpha", 1.0)),
    "Celu": lambda n: rectifiers.Celu(alpha=_number(n, "alpha", 1.0)),
    "ThresholdedRelu": lambda n: rectifiers.Threshold(_number(n, "alpha", 1.0), 0.0),
    "Gelu": lambda n: gated.Gelu(approximate=n.get("approximate", "none")),
    "Swish": lambda n: gated.Swish(beta=_number(n, "alpha", 1.0)),
    "com.microsoft.Gelu": lambda n: gated.Gelu(),
    "com.microsoft.QuickGelu": lambda n: gated.Swish(beta=_number(n, "alpha", 1.702)),
}


def _plain(at: Conversion, node: OnnxNode) -> bool:
    layer = _PLAIN[node.operator](node)
    return at.give(node, at.layer(_checked(layer), at.number(node.inputs[0])))


for _name in _PLAIN:
    converts(_name)(_plain)


def _checked(layer: Layer) -> Layer:
    """The layer, where its numbers are such as the language allows."""
    for argument in layer.signature():
        value = getattr(layer, argument.name)
        if isinstance(value, float):
            argument.kind.convert(value)
    return layer


@converts("com.microsoft.FastGelu", "com.microsoft.BiasGelu")
def gelu_with_bias(at: Conversion, node: OnnxNode) -> bool:
    x = at.number(node.inputs[0])
    if node.input(1):
        x = at.with_weight(Add(), x, at.weight(node.inputs[1]), "bias")
    form = "tanh" if node.op == "FastGelu" else "none"
    return at.give(node, at.layer(gated.Gelu(approximate=form), x))


@converts("Selu")
def selu(at: Conversion, node: OnnxNode) -> bool:
    alpha, scale = node.get("alpha", SELU_ALPHA), node.get("gamma", SELU_SCALE)
    if node.version < 6:
        alpha, scale = node.get("alpha", 1.6732), node.get("gamma", 1.0507)
    x = at.number(node.inputs[0])
    if math.isclose(alpha, SELU_ALPHA, rel_tol=1e-6) and math.isclose(
        scale, SELU_SCALE, rel_tol=1e-6
    ):
        return at.give(node, at.layer(rectifiers.Selu(), x))
    made = at.layer(_checked(rectifiers.Elu(alpha=float(alpha))), x)
    return at.give(node, at.with_number(Mul(), made, float(scale)))


@converts("HardSigmoid")
def hard_sigmoid(at: Conversion, node: OnnxNode) -> bool:
    """max(0, min(1, alpha x + beta)): ours is that with 1/6 and 1/2."""
    alpha, beta = (float(node.get(n, d)) for n, d in (("alpha", 0.2), ("beta", 0.5)))
    x = at.number(node.inputs[0])
    if not math.isclose(alpha, 1 / 6, rel_tol=1e-5):
        x = at.with_number(Mul(), x, _rounded(6 * alpha))
    if not math.isclose(beta, 0.5, rel_tol=1e-5):
        x = at.with_number(Add(), x, _rounded(6 * beta - 3))
    return at.give(node, at.layer(smooth.HardSigmoid(), x))


def _rounded(number: float) -> float:
    return float(f"{number:.7g}")


@converts("PRelu")
def prelu(at: Conversion, node: OnnxNode) -> bool:
    """One slope a channel; a single one becomes as many, which may then part."""
    slope = at.constant(node, 1)
    sizes = at.sizes(node.inputs[0])
    if slope is None or len(sizes) < 2:
        return False
    wide = slope.reshape((1,) * (len(sizes) - slope.ndim) + slope.shape)
    if wide.size not in (1, wide.shape[1]):
        return False
    array = np.broadcast_to(wide.reshape(-1), (sizes[1],)).astype(np.float32)
    weights = {"slope": Weight(array, at.origin(node.inputs[1]))}
    return at.give(node, at.layer(rectifiers.Prelu(), at.number(node.inputs[0]), weights=weights))


@converts("Clip")
def clip(at: Conversion, node: OnnxNode) -> bool:
    low = at.scalar(node, 1, "min", -math.inf)
    high = at.scalar(node, 2, "max", math.inf)
    x = at.number(node.inputs[0])
    if low is None or high is None or at.type(x).dtype != "f32":
        return False
    low = -math.inf if low <= np.finfo(np.float32).min else low
    high = math.inf if high >= np.finfo(np.float32).max else high
    if (low, high) == (0, 6):
        return at.give(node, at.layer(rectifiers.Relu6(), x))
    if (low, high) == (0, math.inf):
        return at.give(node, at.layer(rectifiers.Relu(), x))
    if low > -math.inf:
        x = at.with_number(Maximum(), x, low)
    if high < math.inf:
        x = at.with_number(Minimum(), x, high)
    return at.give(node, x)


@converts("Softmax", "LogSoftmax")
def softmax(at: Conversion, node: OnnxNode) -> bool:
    """Along an axis; before opset 13 along that axis and all after it."""
    layer = smooth.LogSoftmax() if node.op == "LogSoftmax" else smooth.Softmax()
    x, sizes = at.number(node.inputs[0]), at.sizes(node.inputs[0])
    rank = len(sizes)
    old = node.version < 13 and not node.domain
    axis = int(node.get("axis", 1 if old else -1)) % rank
    if any(is_rows(n) for n in (sizes[axis:] if old else sizes[axis : axis + 1])):
        return False  # along rows: no layer looks at several
    if axis == rank - 1:
        return at.give(node, at.layer(layer, x))
    if old:
        joined = at.reshape(x, (*sizes[:axis], int(np.prod(sizes[axis:]))))
        return at.give(node, at.reshape(at.layer(layer, joined), sizes))
    order = [a for a in range(rank) if a != axis] + [axis]
    back = [order.index(a) for a in range(rank)]
    return at.give(node, at.permute(at.layer(layer, at.permute(x, order)), back))
