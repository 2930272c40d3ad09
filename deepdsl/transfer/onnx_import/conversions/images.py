"""Convolutions, pools and what makes images larger."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from deepdsl.graph.arithmetic import Add
from deepdsl.graph.windows import Windows, extent
from deepdsl.nn.layers.activations.relu_variants import Relu
from deepdsl.nn.layers.conv import Conv, ConvTranspose
from deepdsl.nn.layers.image_reshaping import Crop, ZeroPad
from deepdsl.nn.layers.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from deepdsl.nn.layers.upsampling import Upsample
from deepdsl.transfer.onnx_import.conversion import Conversion, converts
from deepdsl.transfer.onnx_import.dims import is_rows
from deepdsl.transfer.onnx_import.graph import OnnxNode
from deepdsl.transfer.onnx_import.layers import Pooled

Sizes = tuple[int, ...]


def _numbers(node: OnnxNode, name: str, axes: int, default: int) -> Sizes:
    given = node.get(name) or []
    return tuple(int(n) for n in given) or (default,) * axes


def _pads(
    node: OnnxNode, ins: Sizes, kernel: Sizes, strides: Sizes, dilations: Sizes
) -> tuple[Sizes, Sizes]:
    """What is padded before and after each axis."""
    axes, auto = len(ins), node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        begins, ends = [], []
        for n, k, s, d in zip(ins, kernel, strides, dilations, strict=True):
            total = max(0, (-(-n // s) - 1) * s + extent(k, d) - n)
            small, large = total // 2, total - total // 2
            begins.append(small if auto == "SAME_UPPER" else large)
            ends.append(large if auto == "SAME_UPPER" else small)
        return tuple(begins), tuple(ends)
    pads = _numbers(node, "pads", 2 * axes, 0)
    return pads[:axes], pads[axes:]


def _around(at: Conversion, x: int, begins: Sizes, ends: Sizes) -> int:
    """Zeros around an image; what is less than none is cut off."""
    cut = [(max(0, -b), max(0, -e)) for b, e in zip(begins, ends, strict=True)]
    more = [(max(0, b), max(0, e)) for b, e in zip(begins, ends, strict=True)]
    if any(map(any, cut)):
        x = at.layer(Crop(_sides(cut)), x)
    return at.layer(ZeroPad(_sides(more)), x) if any(map(any, more)) else x


def _sides(pairs: Sequence[tuple[int, int]]) -> Sizes:
    flat = tuple(n for pair in pairs for n in pair)
    if len(set(flat)) == 1:
        return flat[:1]
    return tuple(b for b, _ in pairs) if all(b == e for b, e in pairs) and len(pairs) > 1 else flat


def _short(sizes: Sizes) -> Sizes:
    """One number where it is for all axes."""
    return sizes[:1] if len(set(sizes)) == 1 else sizes


@converts("Conv", "com.microsoft.FusedConv")
def conv(at: Conversion, node: OnnxNode) -> bool:
    weight = at.constant(node, 1)
    if weight is None or not at.flows(node.inputs[0]):
        return False
    after = node.get("activation", "")
    if after not in ("", "Relu") or list(node.get("kernel_shape") or weight.shape[2:]) != list(
        weight.shape[2:]
    ):
        return False
    x, axes = at.number(node.inputs[0]), weight.ndim - 2
    kernel = tuple(weight.shape[2:])
    strides, dilations = (_numbers(node, n, axes, 1) for n in ("strides", "dilations"))
    begins, ends = _pads(node, at.sizes(node.inputs[0])[2:], kernel, strides, dilations)
    if begins != ends or min(begins) < 0:
        x, begins = _around(at, x, begins, ends), (0,) * axes
    weights = {"weight": at.weight(node.inputs[1])}
    if node.input(2):
        weights["bias"] = at.weight(node.inputs[2])
    layer = Conv(
        weight.shape[0],
        kernel,
        stride=_short(strides),
        pad=_short(begins) if any(begins) else "valid",
        dilation=_short(dilations),
        groups=int(node.get("group", 1)),
        bias="bias" in weights,
    )
    made = at.layer(layer, x, weights=weights)
    if len(node.inputs) > 3 and node.inputs[3]:
        made = at.compute(Add(), made, at.number(node.inputs[3]))
    return at.give(node, at.layer(Relu(), made) if after else made)


@converts("ConvTranspose")
def conv_transpose(at: Conversion, node: OnnxNode) -> bool:
    weight = at.constant(node, 1)
    if weight is None or not at.flows(node.inputs[0]):
        return False
    x, axes = at.number(node.inputs[0]), weight.ndim - 2
    kernel, groups = tuple(weight.shape[2:]), int(node.get("group", 1))
    strides, dilations = (_numbers(node, n, axes, 1) for n in ("strides", "dilations"))
    more = _numbers(node, "output_padding", axes, 0)
    ins, outs = (at.sizes(n)[2:] for n in (node.inputs[0], node.outputs[0]))
    whole = tuple(
        (n - 1) * s + extent(k, d) + m
        for n, s, k, d, m in zip(ins, strides, kernel, dilations, more, strict=True)
    )
    begins, ends = _transposed_pads(node, whole, outs)
    symmetric = begins == ends and min(begins) >= 0
    weights = {"weight": at.weight(node.inputs[1])}
    if node.input(2):
        weights["bias"] = at.weight(node.inputs[2])
        if min(*begins, *ends) < 0:
            return False  # the places beyond have the bias too
    layer = ConvTranspose(
        weight.shape[1] * groups,
        kernel,
        stride=_short(strides),
        pad=_short(begins) if symmetric and any(begins) else "valid",
        dilation=_short(dilations),
        groups=groups,
        bias="bias" in weights,
        output_pad=_short(more),
    )
    made = at.layer(layer, x, weights=weights)
    if not symmetric:
        made = _around(at, made, tuple(-b for b in begins), tuple(-e for e in ends))
    return at.give(node, made)


def _transposed_pads(node: OnnxNode, whole: Sizes, outs: Sizes) -> tuple[Sizes, Sizes]:
    """What is cut off in front and after, worked out from the size that ONNX gives."""
    auto, axes = node.get("auto_pad", "NOTSET"), len(outs)
    if node.get("output_shape") or auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [w - n for w, n in zip(whole, outs, strict=True)]
        small = tuple(t // 2 for t in totals)
        large = tuple(t - t // 2 for t in totals)
        # As onnxruntime has it: the larger part is cut off after with SAME_UPPER.
        return (small, large) if auto == "SAME_UPPER" else (large, small)
    pads = _numbers(node, "pads", 2 * axes, 0)
    return pads[:axes], pads[axes:]


# Pools --------------------------------------------------------------------------------------------


@converts("MaxPool", "AveragePool")
def pool(at: Conversion, node: OnnxNode) -> bool:
    largest = node.op == "MaxPool"
    if len([n for n in node.outputs if n]) > 1 or node.get("storage_order", 0):
        return False
    ins, outs = (at.sizes(n)[2:] for n in (node.inputs[0], node.outputs[0]))
    axes, kernel = len(ins), tuple(node.get("kernel_shape"))
    strides, dilations = (_numbers(node, n, axes, 1) for n in ("strides", "dilations"))
    if set(dilations) != {1}:
        return False
    begins, ends = _pads(node, ins, kernel, strides, dilations)
    # Windows that ceil_mode adds reach beyond the pad, and what is left over is not seen.
    reach = tuple((m - 1) * s + k for m, s, k in zip(outs, strides, kernel, strict=True))
    beyond = [r - n - b for r, n, b in zip(reach, ins, begins, strict=True)]
    over = any(m > e for m, e in zip(beyond, ends, strict=True))
    counted = not largest and bool(node.get("count_include_pad", 0)) and any((*begins, *ends))
    # The pad that is really used, so that the number of windows is the same without ceil_mode.
    if over:
        ends = tuple(max(0, m) for m in beyond)
    if (over and counted) or any(p >= k for p, k in zip((*begins, *ends), kernel * 2, strict=True)):
        return False
    x = at.number(node.inputs[0])
    if not over and begins == ends:
        pad = _short(begins) if any(begins) else "valid"
        size, stride = _short(kernel), _short(strides)
        given = None if stride == size else stride
        layer = (
            MaxPool(size, stride=given, pad=pad)
            if largest
            else AvgPool(size, stride=given, pad=pad, count_pad=counted)
        )
        return at.give(node, at.layer(layer, x))
    windows = Windows(kernel, strides, dilations, begins, ends, outs)
    return at.give(node, at.layer(Pooled(windows, largest, counted), x))


@converts("GlobalAveragePool", "GlobalMaxPool")
def global_pool(at: Conversion, node: OnnxNode) -> bool:
    layer = GlobalAvgPool() if node.op == "GlobalAveragePool" else GlobalMaxPool()
    made = at.layer(layer, at.number(node.inputs[0]))
    return at.give(node, at.reshape(made, at.sizes(node.outputs[0])))


# Larger -------------------------------------------------------------------------------------------


@converts("Resize", "Upsample")
def resize(at: Conversion, node: OnnxNode) -> bool:
    """Whole factors, where the new pixels lie as `upsample` has them."""
    ins, outs = (at.sizes(n) for n in (node.inputs[0], node.outputs[0]))
    if ins == outs and _factors(at, node, len(ins)) in (None, (1.0,) * len(ins)):
        return at.give(node, at.number(node.inputs[0]))
    if ins[:2] != outs[:2] or not is_rows(ins[0]) or len(ins) not in (3, 4, 5):
        return False
    if any(o % n for n, o in zip(ins[2:], outs[2:], strict=True)):
        return False
    factors = tuple(o // n for n, o in zip(ins[2:], outs[2:], strict=True))
    scales = _factors(at, node, len(ins))
    if scales is not None and scales[2:] != tuple(map(float, factors)):
        return False
    mode = node.get("mode", "nearest")
    if node.op == "Upsample" or node.version < 11:
        where, rounding = "asymmetric", "floor"
    else:
        where = node.get("coordinate_transformation_mode", "half_pixel")
        rounding = node.get("nearest_mode", "round_prefer_floor")
    if where == "pytorch_half_pixel" and min(outs[2:]) > 1:
        where = "half_pixel"
    if node.get("antialias", 0) or node.get("exclude_outside", 0):
        return False
    repeats = (where == "asymmetric" and rounding == "floor") or (
        where == "half_pixel" and rounding.startswith("round_prefer")
    )
    if mode == "nearest" and repeats:
        layer = Upsample(_short(factors))
    elif mode == "linear" and where == "half_pixel":
        layer = Upsample(_short(factors), method="linear")
    else:
        return False
    return at.give(node, at.layer(layer, at.number(node.inputs[0])))


def _factors(at: Conversion, node: OnnxNode, rank: int) -> tuple[float, ...] | None:
    """The scales, where the node has them and not sizes."""
    if "scales" in node.attributes:
        return tuple(float(n) for n in node.get("scales"))
    place = 1 if node.op == "Upsample" or node.version < 11 else 2
    array = at.constant(node, place)
    if array is None or array.size != rank:
        return None
    return tuple(float(n) for n in np.asarray(array).reshape(-1))


@converts("DepthToSpace", "SpaceToDepth")
def blocks(at: Conversion, node: OnnxNode) -> bool:
    """As a reshape, a permutation and a reshape."""
    rows, channels, height, width = at.sizes(node.inputs[0])
    n, x = int(node.get("blocksize")), at.number(node.inputs[0])
    if node.op == "SpaceToDepth":
        shape, order = (rows, channels, height // n, n, width // n, n), (0, 3, 5, 1, 2, 4)
    elif node.get("mode", "DCR") == "DCR":
        shape, order = (rows, n, n, channels // n**2, height, width), (0, 3, 4, 1, 5, 2)
    else:
        shape, order = (rows, channels // n**2, n, n, height, width), (0, 1, 4, 2, 5, 3)
    made = at.permute(at.reshape(x, shape), order)
    assert prod(shape[1:]) == prod(at.sizes(node.outputs[0])[1:])
    return at.give(node, at.reshape(made, at.sizes(node.outputs[0])))
