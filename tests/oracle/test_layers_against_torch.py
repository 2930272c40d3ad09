"""Single layers against PyTorch: values, and gradients of operands and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from workbench import near, on_runtime

from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.passes import optimize
from deepdsl.graph.reshaping import sum_all
from deepdsl.nn.initializers import HeNormal, HeUniform
from deepdsl.nn.layers.activations.base import HardSigmoid, LogSoftmax, Softmax, Softsign
from deepdsl.nn.layers.activations.gated_units import Gelu, HardSwish, Mish, Swish
from deepdsl.nn.layers.activations.relu_variants import (
    Celu,
    Elu,
    LeakyRelu,
    Prelu,
    Relu,
    Relu6,
    Rrelu,
    Selu,
    Softplus,
    Threshold,
)
from deepdsl.nn.layers.batch_norm import BatchNorm
from deepdsl.nn.layers.dropout import AlphaDropout
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.layer_norm import GroupNorm, LayerNorm, RmsNorm

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")
F = torch.nn.functional

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def ours(layer: Layer, x: Array, weights: dict[str, Array], upper: Array) -> dict[str, Array]:
    """The output, and what comes back of a gradient `upper` at it."""
    b = Builder()
    value = b.input("x", Type(("N", *x.shape[1:])))
    out = layer.expand(Scope(b, "l", training=True), value)
    total = sum_all(b, mul(b, out, b.input("upper", out.type)))
    wanted = [value, *(p for p in b.params if p.trainable)]
    grads = gradients(b, total, wanted)
    results = {"out": out, **{f"d:{v.name.removeprefix('l.')}": g for v, g in grads.items()}}
    # What batch norm keeps is no result here.
    graph = optimize(replace(b.graph(results), updates={}))
    assert {p.name.removeprefix("l.") for p in graph.params} == weights.keys()
    feeds = {"x": x, "upper": upper, **{f"l.{k}": v for k, v in weights.items()}}
    return on_runtime(graph, feeds)


def theirs(
    function: Function, x: Array, weights: dict[str, Array], upper: Array
) -> dict[str, Array]:
    """The same in PyTorch, in double precision; `function` is given x and the weights."""
    tensors = {"x": x, **weights}
    leaves = {k: torch.tensor(v.astype(np.float64), requires_grad=True) for k, v in tensors.items()}
    out = function(*leaves.values())
    out.backward(torch.tensor(upper.astype(np.float64)))
    made = {"out": out.detach().numpy(), **{f"d:{k}": t.grad.numpy() for k, t in leaves.items()}}
    return {k: v.astype(np.float32) for k, v in made.items()}


def compare(
    layer: Layer, function: Function, shape: tuple[int, ...], weights: dict[str, tuple[int, ...]]
) -> None:
    rng = np.random.default_rng(7)
    x = (3 * rng.standard_normal(shape)).astype(np.float32)
    values = {k: rng.standard_normal(s).astype(np.float32) for k, s in weights.items()}
    upper = rng.standard_normal(shape).astype(np.float32)
    made = ours(layer, x, values, upper)
    for name, wanted in theirs(function, x, values, upper).items():
        near(made[name], wanted, 2e-5)


ACTIVATIONS: list[tuple[Layer, Function]] = [
    (Relu(), F.relu),
    (LeakyRelu(0.2), lambda x: F.leaky_relu(x, 0.2)),
    (Elu(alpha=0.7), lambda x: F.elu(x, 0.7)),
    (Selu(), F.selu),
    (Celu(), F.celu),
    (Celu(alpha=0.3), lambda x: F.celu(x, 0.3)),
    (Relu6(), F.relu6),
    (Threshold(0.1, 20.0), lambda x: F.threshold(x, 0.1, 20.0)),
    (Softplus(), F.softplus),
    (Softsign(), F.softsign),
    (HardSigmoid(), F.hardsigmoid),
    (HardSwish(), F.hardswish),
    (Gelu(), F.gelu),
    (Gelu(approximate="tanh"), lambda x: F.gelu(x, approximate="tanh")),
    (Swish(), F.silu),
    (Swish(beta=1.5), lambda x: x * torch.sigmoid(1.5 * x)),
    (Mish(), F.mish),
    (Softmax(), lambda x: F.softmax(x, -1)),
    (LogSoftmax(), lambda x: F.log_softmax(x, -1)),
]


@pytest.mark.parametrize("case", ACTIVATIONS, ids=[layer.show() for layer, _ in ACTIVATIONS])
@pytest.mark.parametrize("shape", [(64, 9), (8, 3, 5)], ids=str)
def test_activation(case: tuple[Layer, Function], shape: tuple[int, ...]) -> None:
    compare(*case, shape, {})


@pytest.mark.parametrize("shape", [(16, 3), (16, 3, 4), (16, 3, 4, 5)], ids=str)
def test_prelu(shape: tuple[int, ...]) -> None:
    compare(Prelu(), F.prelu, shape, {"slope": (3,)})


def test_rrelu_at_inference() -> None:
    x = np.linspace(-4, 4, 30, dtype=np.float32).reshape(3, 10)
    b = Builder()
    out = Rrelu().expand(Scope(b, "l"), b.input("x", Type(("N", 10))))
    wanted = F.rrelu(torch.tensor(x), training=False).numpy()
    near(on_runtime(b.graph({"out": out}), {"x": x})["out"], wanted, 1e-6)


@pytest.mark.parametrize("shape", [(16, 6), (8, 3, 6), (4, 2, 3, 6)], ids=str)
@pytest.mark.parametrize("epsilon", [1e-3, 1e-5])
def test_layer_norm(shape: tuple[int, ...], epsilon: float) -> None:
    compare(
        LayerNorm(epsilon=epsilon),
        lambda x, gamma, beta: F.layer_norm(x, (6,), gamma, beta, epsilon),
        shape,
        {"gamma": (6,), "beta": (6,)},
    )


@pytest.mark.parametrize("shape", [(16, 6), (8, 3, 6)], ids=str)
def test_rms_norm(shape: tuple[int, ...]) -> None:
    compare(
        RmsNorm(epsilon=1e-4),
        lambda x, gamma: F.rms_norm(x, (6,), gamma, 1e-4),
        shape,
        {"gamma": (6,)},
    )


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(8, 12), (8, 6, 5), (4, 6, 3, 2)], ids=str)
def test_group_norm(shape: tuple[int, ...], groups: int) -> None:
    channels = shape[1]
    compare(
        GroupNorm(groups, epsilon=1e-4),
        lambda x, gamma, beta: F.group_norm(x, groups, gamma, beta, 1e-4),
        shape,
        {"gamma": (channels,), "beta": (channels,)},
    )


@pytest.mark.parametrize("shape", [(32, 4), (8, 4, 3, 2)], ids=str)
def test_batch_norm(shape: tuple[int, ...]) -> None:
    compare(
        BatchNorm(),
        lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, True, eps=1e-3),
        shape,
        {"gamma": (4,), "beta": (4,)},
    )


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_alpha_dropout_takes_two_kinds_of_values(rate: float) -> None:
    """PyTorch's masks are other ones; what it makes of a kept and of a dropped 1 is the same."""
    torch.manual_seed(0)
    made = np.unique(F.alpha_dropout(torch.ones(10_000), rate, training=True).numpy())
    b = Builder()
    out = AlphaDropout(rate).expand(Scope(b, "l", True), b.input("x", Type(("N", 100))))
    feeds = {"x": np.ones((100, 100), np.float32), "step": np.array(0)}
    near(np.unique(on_runtime(b.graph({"out": out}), feeds)["out"]), made, 1e-6)


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_variance_for_a_leaky_activation(slope: float) -> None:
    torch.manual_seed(0)
    kernel = torch.empty(400, 600)
    torch.nn.init.kaiming_normal_(kernel, a=slope, nonlinearity="leaky_relu")
    assert HeNormal(slope=slope).variance((600, 400)) ** 0.5 == pytest.approx(
        float(kernel.std()), rel=0.01
    )
    torch.nn.init.kaiming_uniform_(kernel, a=slope, nonlinearity="leaky_relu")
    limit = (3 * HeUniform(slope=slope).variance((600, 400))) ** 0.5
    assert limit == pytest.approx(float(kernel.abs().max()), rel=1e-3)
