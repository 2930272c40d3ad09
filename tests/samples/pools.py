"""Rows for pools and for layers that move or join what is at each place of an image."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from deepdsl.graph import Type
from deepdsl.graph.windows import Windows, windows
from deepdsl.nn.layers import image_reshaping as moving
from deepdsl.nn.layers import merging as joining
from deepdsl.nn.layers import pooling
from deepdsl.nn.layers import upsampling as resampling
from deepdsl.nn.layers.dropout import Dropout

from .feeds import Array, below, real
from .layers import LayerSample, layer
from .operations import OpSample, flat, smooth


def over(
    sizes: tuple[int, ...],
    size: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    pad: str | tuple[int, ...] = "valid",
) -> Windows:
    """The windows of a pool on an image of so many sizes."""
    return windows("max_pool", Type(("N", 2, *sizes)), size, stride or size, pad)


def each_window(x: Array, w: Windows, function: Callable[[Array], Any], outside: float) -> Array:
    """A function of the numbers of each window, by going through the windows."""
    around = [(0, 0), (0, 0), *zip(w.begins, w.ends, strict=True)]
    padded = np.pad(x, around, constant_values=outside)
    out = np.empty((*x.shape[:2], *w.outs), x.dtype)
    for n, c, *place in product(*map(range, out.shape)):
        cut = tuple(
            slice(p * s, p * s + k) for p, s, k in zip(place, w.strides, w.sizes, strict=True)
        )
        out[(n, c, *place)] = function(padded[(n, c, *cut)])
    return out


def largest(w: Windows) -> Callable[[Array], Array]:
    return lambda x: each_window(x, w, np.max, -np.inf)


def larger_of_pairs(x: Array, axis: int) -> tuple[Array, Array]:
    first, second = (np.take(x, range(start, x.shape[axis], 2), axis) for start in (0, 1))
    return np.maximum(first, second), (first >= second).astype(x.dtype)


def mean(w: Windows, count_pad: bool = False) -> Callable[[Array], Array]:
    if count_pad:
        return lambda x: each_window(x, w, np.mean, 0.0)
    return lambda x: each_window(x, w, np.nanmean, np.nan)


def enlarged(x: Array, factors: tuple[int, ...], method: str) -> Array:
    """By repeating, or along lines between the middles of the old pixels."""
    for axis, factor in enumerate(factors, 2):
        size = x.shape[axis]
        if method == "nearest":
            x = np.repeat(x, factor, axis)
        else:
            at = (np.arange(size * factor) + 0.5) / factor - 0.5
            x = np.apply_along_axis(
                lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, x
            )
    return x


def spread_over(w: Windows, sizes: tuple[int, ...]) -> Callable[[Array], Array]:
    def formula(x: Array) -> Array:
        whole = [
            max(n + b, (o - 1) * s + k)
            for n, b, o, s, k in zip(sizes, w.begins, w.outs, w.strides, w.sizes, strict=True)
        ]
        out = np.zeros((*x.shape[:2], *whole))
        for place in product(*map(range, w.outs)):
            cut = (
                slice(p * s, p * s + k) for p, s, k in zip(place, w.strides, w.sizes, strict=True)
            )
            out[(slice(None), slice(None), *cut)] += x[(..., *place)][
                (..., *[np.newaxis] * len(place))
            ]
        inner = (slice(b, b + n) for b, n in zip(w.begins, sizes, strict=True))
        return out[(slice(None), slice(None), *inner)]

    return formula


def widened(x: Array, begins: tuple[int, ...], ends: tuple[int, ...]) -> Array:
    return np.pad(x, tuple(zip(begins, ends, strict=True)))


PLAIN, OVERLAPPING = over((4, 6), (2, 2)), over((5, 6), (3, 2), (2, 1), "same")
LINE, BLOCK = over((7,), (3,), (2,)), over((2, 3, 4), (2, 3, 2), (1, 2, 2), (1, 1, 0))

CASES = (
    (PLAIN, (4, 6)),
    (OVERLAPPING, (5, 6)),
    (LINE, (7,)),
    (BLOCK, (2, 3, 4)),
    (over((5, 7), (2, 3)), (5, 7)),
    (over((6,), (2,)), (6,)),
    # As many windows as would tile the image, and moved by the pad.
    (over((6, 9), (3, 3), (3, 3), (1, 1)), (6, 9)),
)

OPS: tuple[OpSample, ...] = (
    *(smooth(pooling.MaxOf(w), real("N", 2, *sizes), formula=largest(w)) for w, sizes in CASES),
    *(OpSample(pooling.MaxWithPlace(w), (real("N", 2, *sizes),), None, (0,)) for w, sizes in CASES),
    flat(
        pooling.PutAt(),
        real("N", 2),
        below(15, "N", 2),
        real("N", 3),
        formula=lambda g, at, x: np.bincount(at.ravel(), g.ravel(), x.size).reshape(x.shape),
    ),
    *(
        OpSample(
            pooling.LargerOfPairs(axis),
            (real(*shape),),
            lambda x, axis=axis: larger_of_pairs(x, axis),
            (0,),
        )
        for axis, shape in ((2, ("N", 2, 6)), (3, ("N", 3, 1, 4)), (2, ("N", 2, 4, 3)))
    ),
)

OPS = (
    *OPS,
    *(
        smooth(pooling.MeanOf(w, count), real("N", 2, *sizes), formula=mean(w, count))
        for w, sizes in CASES
        for count in (False, True)
    ),
    *(
        flat(
            resampling.SpreadOver(w, sizes),
            real("N", 2, *w.outs),
            formula=spread_over(w, sizes),
        )
        for w, sizes in CASES
    ),
    *(
        smooth(
            resampling.Enlarge(factors, method),
            real("N", 2, *sizes),
            formula=lambda x, f=factors, m=method: enlarged(x, f, m),
        )
        for factors, sizes in (
            ((2, 3), (3, 4)),
            ((3,), (4,)),
            ((2, 1), (1, 3)),
            ((2, 1, 2), (2, 2, 3)),
        )
        for method in ("nearest", "linear")
    ),
    flat(
        resampling.EnlargeTransposed((2, 3), "nearest"),
        real("N", 2, 4, 6),
        formula=lambda x: x.reshape(-1, 2, 2, 2, 2, 3).sum((3, 5)),
    ),
    flat(resampling.EnlargeTransposed((1, 2), "linear"), real("N", 2, 2, 4)),
    *(
        smooth(
            moving.Surround(*ends),
            real("N", 2, 3, 3),
            formula=lambda x, ends=ends: widened(x, *ends),
        )
        for ends in (((0, 0, 1, 0), (0, 0, 2, 1)), ((0, 1, 0, 0), (0, 0, 0, 0)))
    ),
    smooth(
        moving.Surround((0, 0, 1, 0), (0, 0, 2, 1), apart=True),
        real("N", 2, 3, 3),
        formula=lambda x: widened(x, (0, 0, 1, 0), (0, 0, 2, 1)),
    ),
    smooth(
        moving.Within((0, 1, 0, 2), (0, 0, 1, 0)),
        real("N", 2, 3, 3),
        formula=lambda x: x[:, 1:, :-1, 2:],
    ),
)

IMAGE, GATE = real("N", 2, 3, 4), real("N", 2)

LAYERS: tuple[LayerSample, ...] = (
    layer(pooling.MaxPool((2, 2)), real("N", 2, 4, 6), formula=largest(PLAIN)),
    layer(
        pooling.MaxPool((3, 2), stride=(2, 1), pad="same"),
        real("N", 2, 5, 6),
        formula=largest(OVERLAPPING),
    ),
    layer(pooling.MaxPool((3,), stride=(2,)), real("N", 2, 7), formula=largest(LINE)),
    layer(
        pooling.MaxPool((2, 3, 2), stride=(1, 2, 2), pad=(1, 1, 0)),
        real("N", 2, 2, 3, 4),
        formula=largest(BLOCK),
    ),
    layer(pooling.AvgPool((2,)), real("N", 2, 4, 6), formula=mean(PLAIN)),
    layer(
        pooling.AvgPool((3, 2), stride=(2, 1), pad="same"),
        real("N", 2, 5, 6),
        formula=mean(OVERLAPPING),
    ),
    layer(
        pooling.AvgPool((2, 3, 2), stride=(1, 2, 2), pad=(1, 1, 0), count_pad=True),
        real("N", 2, 2, 3, 4),
        formula=mean(BLOCK, count_pad=True),
    ),
    layer(pooling.GlobalAvgPool(), IMAGE, formula=lambda x: x.mean((2, 3))),
    layer(pooling.GlobalAvgPool(), real("N", 2, 5), formula=lambda x: x.mean(2)),
    layer(pooling.GlobalMaxPool(), IMAGE, formula=lambda x: x.max((2, 3))),
    layer(pooling.GlobalMaxPool(), real("N", 2, 2, 1, 2), formula=lambda x: x.max((2, 3, 4))),
    layer(resampling.Upsample((2,)), IMAGE, formula=lambda x: enlarged(x, (2, 2), "nearest")),
    layer(
        resampling.Upsample((2, 3), method="linear"),
        IMAGE,
        formula=lambda x: enlarged(x, (2, 3), "linear"),
    ),
    layer(
        moving.ZeroPad((1,)), IMAGE, formula=lambda x: np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    ),
    layer(
        moving.ZeroPad((0, 1, 2, 0)),
        IMAGE,
        formula=lambda x: np.pad(x, ((0, 0), (0, 0), (0, 1), (2, 0))),
    ),
    layer(moving.Crop((1, 0)), IMAGE, formula=lambda x: x[:, :, 1:-1]),
    layer(moving.Crop((0, 1, 2, 0)), IMAGE, formula=lambda x: x[:, :, :-1, 2:]),
    layer(moving.Crop((0,)), real("N", 2, 3), formula=lambda x: x),
    layer(moving.Permute((2, 1)), real("N", 2, 3), formula=lambda x: x.transpose(0, 2, 1)),
    layer(moving.Permute((2, 3, 1)), IMAGE, formula=lambda x: x.transpose(0, 2, 3, 1)),
    layer(moving.SplitLayer(2, part=2), real("N", 6), formula=lambda x: x[:, 3:]),
    layer(moving.SplitLayer((1, 3, 2), part=2), real("N", 6, 2, 2), formula=lambda x: x[:, 1:4]),
    layer(joining.Multiply(), IMAGE, IMAGE, IMAGE, formula=lambda x, y, z: x * y * z),
    layer(joining.Multiply(), IMAGE, GATE, formula=lambda x, y: x * y[:, :, None, None]),
    layer(joining.Multiply(), real("N", 1, 3, 4), IMAGE, formula=lambda x, y: x * y),
    layer(joining.Mean(), IMAGE, IMAGE, IMAGE, formula=lambda x, y, z: (x + y + z) / 3),
    layer(Dropout(0.4, per="channel"), IMAGE, formula=lambda x: x),
)
