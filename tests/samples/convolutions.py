"""Rows for convolutions, against sums over the places of the kernel in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from deepdsl.graph.convolution import (
    Convolution,
    ConvolutionWeightGradient,
    Sliding,
    TransposedConvolution,
)
from deepdsl.nn.initializers import Normal
from deepdsl.nn.layers.conv import Conv, ConvTranspose

from .feeds import Array, real
from .layers import LayerSample, layer
from .operations import OpSample, smooth


def _places(
    op: Sliding, kernel: Sequence[int], outs: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each place of a kernel, and what it sees of a padded input."""
    for place in product(*map(range, kernel)):
        starts = [i * d for i, d in zip(place, op.dilations, strict=True)]
        seen = tuple(
            slice(a, a + (n - 1) * s + 1, s)
            for a, n, s in zip(starts, outs, op.strides, strict=True)
        )
        yield place, (slice(None), slice(None), *seen)


def _padding(op: Sliding) -> list[tuple[int, int]]:
    rank = len(op.strides)
    return [(0, 0), (0, 0), *zip(op.pads[:rank], op.pads[rank:], strict=True)]


def _grouped(x: Array, groups: int) -> Array:
    return x.reshape(len(x), groups, -1, *x.shape[2:])


def convolved(op: Sliding, x: Array, w: Array, bias: Any = 0.0) -> Array:
    outs = op.outs(x.shape[2:], w.shape[2:])
    around = np.pad(x, _padding(op))
    weights = w.reshape(op.groups, -1, *w.shape[1:])
    out = np.zeros((len(x), len(w), *outs))
    for place, seen in _places(op, w.shape[2:], outs):
        part = _grouped(around[seen], op.groups)
        kernel = weights[(..., *place)]
        out += np.einsum("ngc...,gfc->ngf...", part, kernel).reshape(out.shape)
    return out + np.reshape(bias, (1, -1, *[1] * len(outs)))


def transposed(op: Sliding, sizes: Sequence[int], y: Array, w: Array, bias: Any = 0.0) -> Array:
    padding = _padding(op)
    shape = [n + b + e for n, (b, e) in zip(sizes, padding[2:], strict=True)]
    channels = w.shape[1] * op.groups
    out = np.zeros((len(y), channels, *shape))
    weights = w.reshape(op.groups, -1, *w.shape[1:])
    for place, seen in _places(op, w.shape[2:], y.shape[2:]):
        kernel = weights[(..., *place)]
        made = np.einsum("ngf...,gfc->ngc...", _grouped(y, op.groups), kernel)
        out[seen] += made.reshape(len(y), channels, *y.shape[2:])
    inner = tuple(slice(b, b + n) for n, (b, _) in zip(sizes, padding[2:], strict=True))
    out = out[(slice(None), slice(None), *inner)]
    return out + np.reshape(bias, (1, -1, *[1] * len(sizes)))


def weights_gradient(op: Sliding, kernel: Sequence[int], x: Array, grad: Array) -> Array:
    around = np.pad(x, _padding(op))
    inner = x.shape[1] // op.groups
    out = np.zeros((grad.shape[1], inner, *kernel))
    for place, seen in _places(op, kernel, grad.shape[2:]):
        part, upper = (
            v.reshape(len(x), op.groups, v.shape[1] // op.groups, -1) for v in (around[seen], grad)
        )
        made = np.einsum("ngcp,ngfp->gfc", part, upper)
        out[(..., *place)] = made.reshape(grad.shape[1], inner)
    return out


def _forward(op: Convolution, *feeds: Any) -> OpSample:
    return smooth(op, *feeds, formula=lambda *v: convolved(op, *v))


def _back(op: TransposedConvolution, *feeds: Any) -> OpSample:
    return smooth(op, *feeds, formula=lambda *v: transposed(op, op.sizes, *v))


def _weights(op: ConvolutionWeightGradient, *feeds: Any) -> OpSample:
    return smooth(op, *feeds, formula=lambda *v: weights_gradient(op, op.kernel, *v))


FLAT = ((1, 1), (1, 1), (1, 1, 1, 1))
ODD = ((2, 1), (1, 2), (1, 0, 0, 2))

OPS = (
    _forward(Convolution(*FLAT), real("N", 2, 4, 5), real(3, 2, 3, 3), real(3)),
    _forward(Convolution(*ODD, groups=2), real("N", 4, 5, 6), real(6, 2, 2, 3)),
    _forward(Convolution((2,), (1,), (1, 1)), real("N", 2, 7), real(3, 2, 3), real(3)),
    _forward(
        Convolution((1, 2, 1), (1,) * 3, (0,) * 6), real("N", 1, 3, 4, 3), real(2, 1, 2, 2, 2)
    ),
    _back(
        TransposedConvolution(*FLAT, sizes=(4, 5), lowering="conv"),
        real("N", 3, 4, 5),
        real(3, 2, 3, 3),
        real(2),
    ),
    _back(
        TransposedConvolution(*FLAT, sizes=(4, 5)), real("N", 3, 4, 5), real(3, 2, 3, 3), real(2)
    ),
    _back(
        TransposedConvolution(*ODD, groups=2, sizes=(5, 6)),
        real("N", 6, 3, 4),
        real(6, 2, 2, 3),
    ),
    _back(
        TransposedConvolution((1,), (2,), (1, 2), groups=2, sizes=(6,), lowering="conv"),
        real("N", 4, 5),
        real(4, 1, 3),
    ),
    _weights(
        ConvolutionWeightGradient(*FLAT, kernel=(3, 3)), real("N", 2, 4, 5), real("N", 3, 4, 5)
    ),
    _weights(
        ConvolutionWeightGradient(*FLAT, kernel=(3, 3), lowering="products"),
        real("N", 2, 4, 5),
        real("N", 3, 4, 5),
    ),
    _weights(
        ConvolutionWeightGradient(*ODD, groups=2, kernel=(2, 3)),
        real("N", 4, 5, 6),
        real("N", 6, 3, 4),
    ),
    _weights(
        ConvolutionWeightGradient(*ODD, groups=2, kernel=(2, 3), lowering="products"),
        real("N", 4, 5, 6),
        real("N", 6, 3, 4),
    ),
)

_NORMAL = Normal(std=0.5)


def _conv(made: Conv, *shape: int) -> LayerSample:
    """A layer with its formula: the operation that the options stand for, in NumPy."""
    x = real("N", *shape)

    def formula(x: Array, weight: Array, bias: Any = 0.0) -> Array:
        from deepdsl.graph import Type

        w = made.windows(Type(("N", *shape)))
        groups = shape[0] // weight.shape[1]
        op = Convolution(w.strides, w.dilations, w.pads, groups)
        return convolved(op, x, weight, bias)

    return layer(made, x, formula=formula)


def _conv_transpose(made: ConvTranspose, *shape: int) -> LayerSample:
    x = real("N", *shape)

    def formula(x: Array, weight: Array, bias: Any = 0.0) -> Array:
        from deepdsl.graph import Type

        w, sizes = made.turned(Type(("N", *shape)))
        groups = made.filters // weight.shape[1]
        op = TransposedConvolution(w.strides, w.dilations, w.pads, groups, sizes)
        return transposed(op, sizes, x, weight, bias)

    return layer(made, x, formula=formula)


LAYERS = (
    _conv(Conv(3, (3, 3), init=_NORMAL, bias=_NORMAL), 2, 4, 5),
    _conv(Conv(3, (3,), pad="same", stride=(2,), init=_NORMAL, bias=False), 2, 5, 4),
    _conv(Conv(4, (2,), pad="same", groups=2, init=_NORMAL, bias=_NORMAL), 2, 3, 4),
    _conv(Conv(4, (3,), pad=(1,), groups="depthwise", init=_NORMAL), 2, 4, 3),
    _conv(Conv(3, (1,), stride=(2,), init=_NORMAL), 2, 5, 4),
    _conv(Conv(3, (3,), dilation=(2,), pad="same", init=_NORMAL), 2, 7),
    _conv(Conv(2, (2, 1, 2), stride=(1, 2, 1), init=_NORMAL), 2, 3, 3, 2),
    _conv_transpose(ConvTranspose(3, (2, 2), stride=(2,), init=_NORMAL, bias=_NORMAL), 2, 3, 2),
    _conv_transpose(ConvTranspose(3, (3,), pad="same", init=_NORMAL), 2, 3, 4),
    _conv_transpose(
        ConvTranspose(4, (3,), stride=(2,), pad=(1,), output_pad=(1,), groups=2, init=_NORMAL),
        2,
        3,
        2,
    ),
    _conv_transpose(ConvTranspose(2, (4,), stride=(3,), pad="same", init=_NORMAL), 3, 5),
    _conv_transpose(ConvTranspose(2, (2,), stride=(2,), init=_NORMAL, bias=False), 2, 2, 2, 2),
)
