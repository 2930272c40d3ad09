"""Pools and layers of images against PyTorch: values and gradients, with ties and overlaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import near, on_runtime

from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.passes import optimize
from deepdsl.graph.reshaping import sum_all
from deepdsl.graph.windows import windows
from deepdsl.nn.layers.activations.relu_variants import Relu
from deepdsl.nn.layers.image_reshaping import Crop, Permute, SplitLayer, ZeroPad
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.merging import Mean, Multiply
from deepdsl.nn.layers.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from deepdsl.nn.layers.upsampling import Upsample

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")
F = torch.nn.functional

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def ours(layers: list[Layer], xs: list[Array]) -> tuple[Array, list[Array], Array]:
    """The output of a chain, what comes back to its operands of an upper gradient, and this."""
    b = Builder()
    given = [b.input(f"x{i}", Type(("N", *x.shape[1:]))) for i, x in enumerate(xs)]
    values = tuple(given)
    for layer in layers:
        values = (layer.expand(Scope(b, "l", training=True), *values),)
    (out,) = values
    upper = b.input("upper", out.type)
    grads = gradients(b, sum_all(b, mul(b, out, upper)), given)
    graph = optimize(b.graph({"out": out, **{f"d{i}": grads[v] for i, v in enumerate(given)}}))
    shape = (len(xs[0]), *(d for d in out.type.shape[1:] if isinstance(d, int)))
    above = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    made = on_runtime(graph, {"upper": above, **{f"x{i}": x for i, x in enumerate(xs)}})
    return made["out"], [made[f"d{i}"] for i in range(len(xs))], above


def compare(layer: Layer | list[Layer], function: Function, *xs: Array) -> None:
    out, grads, above = ours(layer if isinstance(layer, list) else [layer], list(xs))
    leaves = [torch.tensor(x, requires_grad=True) for x in xs]
    wanted = function(*leaves)
    wanted.backward(torch.tensor(above))
    near(out, wanted.detach().numpy(), 1e-5)
    for grad, leaf in zip(grads, leaves, strict=True):
        near(grad, leaf.grad.numpy(), 1e-5)


def ties(*shape: int) -> Array:
    """Few different numbers, so that windows have several largest ones."""
    return np.random.default_rng(3).integers(-2, 3, shape).astype(np.float32)


def draws(*shape: int) -> Array:
    return np.random.default_rng(4).standard_normal(shape).astype(np.float32)


MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], ...]:
    """Sizes of an image, of windows, strides and pads that PyTorch takes."""
    axes = draw(st.integers(1, 3))
    sizes = tuple(draw(st.integers(1, 9 if axes < 3 else 5)) for _ in range(axes))
    size = tuple(draw(st.integers(1, min(4, n))) for n in sizes)
    stride = tuple(draw(st.integers(1, 4)) for _ in sizes)
    pad = tuple(draw(st.integers(0, k // 2)) for k in size)
    return sizes, size, stride, pad


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pools(), st.booleans())
def test_max_pool(case: tuple[tuple[int, ...], ...], tied: bool) -> None:
    sizes, size, stride, pad = case
    x = (ties if tied else draws)(3, 2, *sizes)
    pool = MAX[len(sizes)]
    compare(MaxPool(size, stride=stride, pad=pad), lambda t: pool(t, size, stride, pad), x)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2)), min_size=1, max_size=3))
def test_max_pool_side_by_side(axes: list[tuple[int, int]]) -> None:
    """The lowering without indices: pairs along each axis, and among equals the first."""
    size = tuple(k for _, k in axes)
    x = ties(3, 2, *(n * k for n, k in axes))
    compare(MaxPool(size), lambda t: MAX[len(axes)](t, size), x)


@pytest.mark.parametrize("size", [2, 3])
def test_relu_before_a_pool(size: int) -> None:
    """Taken behind the pool in training, with the same numbers and gradients."""
    pool = MaxPool((size,), stride=(2,))
    compare([Relu(), pool], lambda t: F.max_pool2d(t.relu(), size, 2), ties(4, 3, 8, 8))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pools(), st.booleans())
def test_avg_pool(case: tuple[tuple[int, ...], ...], counts: bool) -> None:
    sizes, size, stride, pad = case
    pool = AVG[len(sizes)]
    compare(
        AvgPool(size, stride=stride, pad=pad, count_pad=counts),
        lambda t: pool(t, size, stride, pad, count_include_pad=counts),
        draws(3, 2, *sizes),
    )


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize(("sizes", "pad"), [((9, 6), (1, 1)), ((6, 9), (0, 1))])
def test_windows_as_many_as_without_the_pad(
    sizes: tuple[int, ...], pad: tuple[int, ...], counts: bool
) -> None:
    """The windows would tile the image, were they not moved by the pad."""
    compare(
        AvgPool((3, 3), pad=pad, count_pad=counts),
        lambda t: F.avg_pool2d(t, 3, 3, pad, count_include_pad=counts),
        draws(3, 2, *sizes),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=2
    ),
    st.booleans(),
)
def test_same_pads_as_many_as_it_takes(axes: list[tuple[int, int, int]], mean: bool) -> None:
    sizes, size, stride = (tuple(numbers) for numbers in zip(*axes, strict=True))
    w = windows("pool", Type(("N", 2, *sizes)), size, stride, "same")
    assert w.outs == tuple(-(-n // s) for n, s in zip(sizes, stride, strict=True))
    around = [n for pair in reversed(list(zip(w.begins, w.ends, strict=True))) for n in pair]
    x = draws(2, 2, *sizes)
    if not mean:

        def largest(t: Any) -> Any:
            return MAX[len(axes)](F.pad(t, around, value=-np.inf), size, stride)

        compare(MaxPool(size, stride=stride, pad="same"), largest, x)
        return

    def average(t: Any) -> Any:
        pool = AVG[len(axes)]
        return pool(F.pad(t, around), size, stride) / pool(
            F.pad(torch.ones(t.shape), around), size, stride
        )

    compare(AvgPool(size, stride=stride, pad="same"), average, x)


@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4), (1, 1), (2, 2)], ids=str)
def test_global_pools(shape: tuple[int, ...]) -> None:
    axes = tuple(range(2, 2 + len(shape)))
    compare(GlobalAvgPool(), lambda t: t.mean(axes), draws(3, 4, *shape))
    function = getattr(F, f"adaptive_max_pool{len(shape)}d")
    compare(GlobalMaxPool(), lambda t: function(t, 1).flatten(1), ties(3, 4, *shape))


MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize(
    ("sizes", "factor"),
    [((5,), (3,)), ((3, 4), (2, 2)), ((1, 5), (4, 1)), ((2, 3, 4), (2, 3, 1)), ((4, 4), (5, 2))],
    ids=str,
)
def test_upsample(sizes: tuple[int, ...], factor: tuple[int, ...]) -> None:
    x = draws(3, 2, *sizes)
    scale = tuple(map(float, factor))
    compare(Upsample(factor), lambda t: F.interpolate(t, scale_factor=scale), x)
    compare(
        Upsample(factor, method="linear"),
        lambda t: F.interpolate(t, scale_factor=scale, mode=MODES[len(sizes)], align_corners=False),
        x,
    )


@pytest.mark.parametrize("sides", [(1, 2, 0, 3), (0, 0, 1, 0)])
def test_zero_pad_and_crop(sides: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = sides
    compare(ZeroPad(sides), torch.nn.ZeroPad2d((left, right, top, bottom)), draws(3, 2, 4, 5))
    compare(Crop(sides), lambda t: F.pad(t, (-left, -right, -top, -bottom)), draws(3, 2, 4, 6))


@pytest.mark.parametrize("order", [(3, 1, 2), (2, 3, 1), (1, 3, 2)])
def test_permute(order: tuple[int, ...]) -> None:
    compare(Permute(order), lambda t: t.permute(0, *order), draws(3, 2, 4, 5))


def test_split() -> None:
    x = draws(3, 6, 4)
    compare(SplitLayer(3, part=2), lambda t: t.chunk(3, 1)[1], x)
    compare(SplitLayer((1, 5), part=2), lambda t: t.split([1, 5], 1)[1], x)


def test_products_and_means() -> None:
    x, y, gate = draws(3, 4, 5, 2), draws(3, 4, 5, 2) + 1, draws(3, 4)
    compare(Multiply(), lambda a, b: a * b, x, y)
    compare(Multiply(), lambda a, b: a * b[:, :, None, None], x, gate)
    compare(Multiply(), lambda a, b: a[:, :, None, None] * b, gate, x)
    compare(Mean(), lambda a, b, c: (a + b + c) / 3, x, y, x + y)
