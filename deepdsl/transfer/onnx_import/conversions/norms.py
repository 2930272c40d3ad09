"""Norms: of batches, of rows, of groups of channels."""

from __future__ import annotations

from math import prod

import numpy as np

from deepdsl.graph.arithmetic import Add
from deepdsl.nn.layers.batch_norm import BatchNorm
from deepdsl.nn.layers.dropout import Dropout
from deepdsl.nn.layers.layer_norm import GroupNorm, LayerNorm, RmsNorm
from deepdsl.transfer.onnx_import.conversion import Conversion, Weight, converts
from deepdsl.transfer.onnx_import.graph import OnnxNode


@converts("BatchNormalization")
def batch_norm(at: Conversion, node: OnnxNode) -> bool:
    """As it works at inference; in training it continues with its running statistics."""
    if node.version < 9 and not node.get("spatial", 1):
        return False
    names = ("gamma", "beta", "running_mean", "running_variance")
    if any(at.flows(n) for n in node.inputs[1:5]):
        return False
    weights = {name: at.weight(n) for name, n in zip(names, node.inputs[1:5], strict=True)}
    layer = BatchNorm(
        momentum=_short(node.get("momentum", 0.9)), epsilon=_short(node.get("epsilon", 1e-5))
    )
    return at.give(node, at.layer(layer, at.number(node.inputs[0]), weights=weights))


def _short(number: float) -> float:
    """Attributes are float32: 1e-5 is read as 9.99999974738e-06."""
    return float(f"{number:.7g}")


@converts("InstanceNormalization")
def instance_norm(at: Conversion, node: OnnxNode) -> bool:
    channels = at.sizes(node.inputs[0])[1]
    weights = {"gamma": at.weight(node.inputs[1]), "beta": at.weight(node.inputs[2])}
    layer = GroupNorm(channels, epsilon=_short(node.get("epsilon", 1e-5)))
    return at.give(node, at.layer(layer, at.number(node.inputs[0]), weights=weights))


@converts("GroupNormalization")
def group_norm(at: Conversion, node: OnnxNode) -> bool:
    """Opset 18 has a scale for each group, opset 21 one for each channel."""
    groups, channels = int(node.get("num_groups")), at.sizes(node.inputs[0])[1]
    weights = {}
    for name, given in zip(("gamma", "beta"), node.inputs[1:3], strict=True):
        array = at.array(given)
        if array.size == groups:
            array = np.repeat(array, channels // groups)
        weights[name] = at.weight(given, array)
    layer = GroupNorm(groups, epsilon=_short(node.get("epsilon", 1e-5)))
    return at.give(node, at.layer(layer, at.number(node.inputs[0]), weights=weights))


@converts("LayerNormalization", "deepdsl.LayerNorm")
def layer_norm(at: Conversion, node: OnnxNode) -> bool:
    """Over the last axis, or over several last ones, which are then joined."""
    if len([n for n in node.outputs if n]) > 1:
        return False
    made = _over_last(at, node, at.number(node.inputs[0]), centered=True)
    return at.give(node, made)


@converts("RMSNormalization", "SimplifiedLayerNormalization", "deepdsl.RmsNorm")
def rms_norm(at: Conversion, node: OnnxNode) -> bool:
    if len([n for n in node.outputs if n]) > 1:
        return False
    return at.give(node, _over_last(at, node, at.number(node.inputs[0]), centered=False))


@converts("com.microsoft.SkipLayerNormalization")
def skip_layer_norm(at: Conversion, node: OnnxNode) -> bool:
    if len([n for n in node.outputs if n]) > 1 or node.input(4):
        return False
    total = at.compute(Add(), at.number(node.inputs[0]), at.number(node.inputs[1]))
    weights = {"gamma": at.weight(node.inputs[2])}
    size = at.array(node.inputs[2]).shape
    beta = node.input(3)
    weights["beta"] = at.weight(beta) if beta else Weight(np.zeros(size, np.float32), "")
    layer = LayerNorm(epsilon=_short(node.get("epsilon", 1e-12)))
    return at.give(node, at.layer(layer, total, weights=weights))


def _over_last(at: Conversion, node: OnnxNode, x: int, centered: bool) -> int:
    sizes = at.sizes(node.inputs[0])
    axis = int(node.get("axis", -1)) % len(sizes)
    assert axis > 0
    joined = at.reshape(x, (*sizes[:axis], prod(sizes[axis:])))
    shape = sizes[axis:]
    weights = {}
    for name, place, start in (("gamma", 1, np.ones), ("beta", 2, np.zeros)):
        given = node.input(place)
        array = at.array(given) if given else start(shape, np.float32)
        weights[name] = Weight(
            np.broadcast_to(array.reshape(array.shape[-len(shape) :]), shape).reshape(-1),
            at.origin(given) if given else "",
        )
    epsilon = _short(node.get("epsilon", 1e-5))
    if centered:
        made = at.layer(LayerNorm(epsilon=epsilon), joined, weights=weights)
    else:
        made = at.layer(RmsNorm(epsilon=epsilon), joined, weights={"gamma": weights["gamma"]})
    return at.reshape(made, sizes)


@converts("Dropout")
def dropout(at: Conversion, node: OnnxNode) -> bool:
    """At inference nothing; when the network is trained on, what it was."""
    if len([n for n in node.outputs if n]) > 1:
        return False
    rate = at.scalar(node, 1, "ratio", 0.5)
    x = at.number(node.inputs[0])
    if rate is None or not 0 < rate < 1:
        return at.give(node, x)
    return at.give(node, at.layer(Dropout(round(rate, 7)), x))
