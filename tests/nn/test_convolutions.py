"""Convolutions of any stride, pad, dilation, group and rank: every form that their passes can be
written in gives the same numbers, and the three passes are each other's gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_checks import check_gradients, check_types_and_onnxruntime
from samples.convolutions import convolved, transposed, weights_gradient
from samples.feeds import real
from samples.layers import LayerSample
from workbench import near, on_runtime, program, reference

from deepdsl.diagnostics import DnnError
from deepdsl.graph import Builder, Graph, Op, Type
from deepdsl.graph.conv_lowering import TRANSPOSED, WEIGHTS, Geometry
from deepdsl.graph.convolution import Convolution, ConvolutionWeightGradient, TransposedConvolution
from deepdsl.graph.windows import windows
from deepdsl.nn.initializers import Normal
from deepdsl.nn.layers.conv import Conv, ConvTranspose, joined

Array = np.ndarray[Any, Any]
ROWS = 3


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Small convolutions; the windows fit, and nothing is padded beyond a kernel's reach."""
    rank = draw(st.integers(1, 3))

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    groups = draw(st.integers(1, 3))
    kernel, strides, dilations = sizes(1, 3), sizes(1, 3), sizes(1, 2)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    begins, ends = (tuple(draw(st.integers(0, r - 1)) for r in reach) for _ in range(2))
    ins = sizes(1, 7 if rank < 3 else 4)
    around = [n + b + e for n, b, e in zip(ins, begins, ends, strict=True)]
    assume(all(n >= r for n, r in zip(around, reach, strict=True)))
    outs = tuple((n - r) // s + 1 for n, r, s in zip(around, reach, strides, strict=True))
    channels, filters = (groups * draw(st.integers(1, 2)) for _ in range(2))
    return Geometry(channels, filters, groups, ins, outs, kernel, strides, dilations, begins, ends)


def operands(g: Geometry, seed: int = 0) -> tuple[Array, Array, Array]:
    """What it reads, its weights, and a gradient of what it makes."""
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((ROWS, g.channels, *g.ins)),
        rng.standard_normal((g.filters, g.channels // g.groups, *g.kernel)),
        rng.standard_normal((ROWS, g.filters, *g.outs)),
    )


def options(g: Geometry) -> tuple[Any, ...]:
    return g.strides, g.dilations, (*g.begins, *g.ends), g.groups


def graph_of(op: Op, *arrays: Array, free: tuple[int, ...], dtype: Any = "f32") -> Graph:
    """An operation; the first axis of the operands in `free` is the batch."""
    b = Builder()
    inputs = [
        b.input(f"x{i}", Type(("N" if i in free else len(a), *a.shape[1:]), dtype))
        for i, a in enumerate(arrays)
    ]
    return b.graph({"out": b.add(op, *inputs)})


def run(op: Op, *arrays: Array, free: tuple[int, ...]) -> Array:
    feeds = {f"x{i}": a.astype(np.float32) for i, a in enumerate(arrays)}
    return on_runtime(graph_of(op, *arrays, free=free), feeds)["out"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(geometries())
def test_every_form_gives_the_same_numbers(g: Geometry) -> None:
    x, w, upper = operands(g)
    forward = Convolution(*options(g))
    near(run(forward, x, w, free=(0,)), convolved(forward, x, w), 1e-4)
    for name in TRANSPOSED:
        if name == "conv" and any(s > 1 for s in g.strides):
            continue
        back = TransposedConvolution(*options(g), sizes=g.ins, lowering=name)
        near(run(back, upper, w, free=(0,)), transposed(back, g.ins, upper, w), 1e-4)
    for name in WEIGHTS:
        weights = ConvolutionWeightGradient(*options(g), kernel=g.kernel, lowering=name)
        wanted = weights_gradient(weights, g.kernel, x, upper)
        near(run(weights, x, upper, free=(0, 1)), wanted, 1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(geometries())
def test_the_passes_are_one_form_with_an_operand_left_out(g: Geometry) -> None:
    """sum(g conv(x, w)) = sum(x back(g, w)) = sum(w weights(x, g)): they are gradients."""
    x, w, upper = operands(g, 1)
    forward = Convolution(*options(g))
    back = TransposedConvolution(*options(g), sizes=g.ins)
    weights = ConvolutionWeightGradient(*options(g), kernel=g.kernel)

    def value(op: Op, first: Array, second: Array, other: Array, free: tuple[int, ...]) -> float:
        made = reference(
            graph_of(op, first, second, free=free, dtype="f64"), {"x0": first, "x1": second}
        )
        return float((made["out"] * other).sum())

    total = value(forward, x, w, upper, (0,))
    near(value(back, upper, w, x, (0,)), total, 1e-9)
    near(value(weights, x, upper, w, (0, 1)), total, 1e-9)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Conv | ConvTranspose, tuple[int, ...]]:
    rank = draw(st.integers(1, 3))
    size = st.one_of(st.integers(1, 3).map(lambda n: (n,)), st.tuples(*[st.integers(1, 3)] * rank))
    groups = draw(st.sampled_from([1, 2, "depthwise"]))
    cls = draw(st.sampled_from([Conv, ConvTranspose]))
    made = cls(
        2 * draw(st.integers(1, 2)),
        draw(size),
        stride=draw(size),
        pad=draw(st.sampled_from(["same", "valid", (1,)])),
        dilation=draw(st.sampled_from([(1,), (2,)])),
        groups=groups,
        init=Normal(std=0.5),
        bias=draw(st.sampled_from([False, Normal(std=0.5)])),
    )
    return made, (2, *(draw(st.integers(2, 5 if rank < 3 else 3)) for _ in range(rank)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layers())
def test_layers_of_any_options(case: tuple[Conv | ConvTranspose, tuple[int, ...]]) -> None:
    layer, shape = case
    try:
        layer.windows(Type(("N", *shape))) if isinstance(layer, Conv) else layer.turned(
            Type(("N", *shape))
        )
    except Exception as error:
        assume(type(error).__name__ != "ShapeError")
        raise
    sample = LayerSample(layer, (real("N", *shape),))
    check_types_and_onnxruntime(sample, training=True)
    check_gradients(sample, training=True)


# Sizes --------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_same_makes_a_stride_th_and_is_symmetric_where_it_can_be(
    n: int, k: int, stride: int, dilation: int
) -> None:
    w = windows("conv", Type(("N", 1, n)), (k,), (stride,), "same", (dilation,))
    assert w.outs == (-(-n // stride),)
    (begin,), (end,), reach = w.begins, w.ends, (k - 1) * dilation + 1
    if begin != end:
        assert end == begin + 1
        # No pad that is the same on both sides gives this size.
        assert all((n + 2 * p - reach) // stride + 1 != w.outs[0] for p in range(reach))


def test_a_strided_kernel_of_three_is_padded_as_in_pytorch() -> None:
    w = windows("conv", Type(("N", 3, 32, 32)), (3, 3), (2,), "same")
    assert (w.pads, w.outs) == ((1, 1, 1, 1), (16, 16))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_transposed_undoes_the_sizes(n: int, k: int, stride: int, same: bool) -> None:
    layer = ConvTranspose(2, (k,), stride=(stride,), pad="same" if same else "valid")
    _, made = layer.turned(Type(("N", 2, n)))
    assert made == ((n * stride,) if same else ((n - 1) * stride + k,))
    assert windows("conv", Type(("N", 2, *made)), (k,), (stride,), layer.pad).outs == (n,)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(geometries())
def test_pairs_are_counted(g: Geometry) -> None:
    """Ones convolved with ones: each output counts the places that it reads."""
    flat = replace(g, channels=1, filters=1, groups=1)
    op = Convolution(*options(flat))
    counted = convolved(op, np.ones((1, 1, *g.ins)), np.ones((1, 1, *g.kernel))).sum()

    class Lie:
        sizes, strides, dilations, begins = g.kernel, g.strides, g.dilations, g.begins

    assert joined(Lie(), g.ins, g.outs) == counted  # type: ignore[arg-type]


# Weights ------------------------------------------------------------------------------------------


def test_fans_count_what_is_joined() -> None:
    body = (
        "input x[8 16 16]; conv 12 3x3 | conv 12 3 groups=4 | conv 24 3 groups=depthwise | "
        "conv_transpose 6 4x4 stride=2"
    )
    fans = [p.fans for p in program(f"model m {{ {body} }}").models["m"].params if p.type.rank > 1]
    assert fans == [(72, 108), (27, 27), (9, 18), (24 * 4, 6 * 16)]


def test_initializers_follow_the_activation_behind() -> None:
    first = "input x[1 9 9]; conv 4 3 | batch_norm | relu; conv 4 3 | selu"
    text = f"{first}; conv 4 3 | max_pool 2 | tanh"
    weights = [p for p in program(f"model m {{ {text} }}").models["m"].params if p.type.rank > 1]
    names = [p.init.name for p in weights]
    assert names == ["he_normal", "lecun_normal", "glorot_uniform"]


def test_max_norm_is_for_each_filter() -> None:
    b = Builder()
    body = "input x[3 5 5]; conv 4 2x2 max_norm=0.5; flatten | dense 2 max_norm=0.5"
    conv, _, dense, _ = program(f"model m {{ {body} }}").models["m"].params
    values = np.random.default_rng(0).standard_normal((4, 3, 2, 2))
    weight = b.input("w", Type((4, 3, 2, 2), "f64"))
    made = reference(b.graph({"out": conv.regularizer.limited(b, weight)}), {"w": values})["out"]
    near(np.sqrt((made**2).sum((1, 2, 3))), np.full(4, 0.5), 1e-9)
    assert dense.regularizer.axes == (0,)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("input x[9]; conv 4 3", "slides over images"),
        ("input x[9 9]; conv 4 3x3", "takes channels and 2 axes"),
        ("input x[1 9 9]; conv 4 [3 3 3 3]", "takes a size"),
        ("input x[1 3 9]; conv 4 5", "larger than"),
        ("input x[3 9 9]; conv 4 3 groups=2", "equal parts"),
        ("input x[3 9 9]; conv 4 3 groups=depthwise", "equal parts"),
        ("input x[3 9 9]; conv 4 3x3 stride=2x2x2", "is for 3 axes"),
        ("input x[3 9 9]; conv_transpose 4 3 stride=2 output_pad=2", "not smaller than the stride"),
        ("input x[3 9 9]; conv_transpose 4 3 stride=2 pad=same output_pad=1", "one size"),
        ("input x[3 1 1]; conv_transpose 4 1 pad=1", "cuts off"),
        ("input x[4 9 9]; conv_transpose 4 3 groups=2 max_norm=1", "one group"),
    ],
)
def test_what_does_not_fit_is_told(body: str, told: str) -> None:
    with pytest.raises(DnnError) as failure:
        program(f"model m {{ {body} | flatten | dense 2 | softmax }}")
    messages = [d.message for d in failure.value.diagnostics]
    assert any(told in m for m in messages), messages
