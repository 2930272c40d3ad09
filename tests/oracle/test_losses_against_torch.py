"""Losses and their gradients against PyTorch's functions, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from workbench import near, reference

from deepdsl.graph import Builder, Type
from deepdsl.graph.autodiff import gradients
from deepdsl.nn.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    KlDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")

Array = np.ndarray[Any, Any]
F = torch.nn.functional
ROWS, WIDTH = 12, 5


@dataclass(frozen=True)
class Case:
    """A loss in both languages; `target` draws what is learned."""

    loss: Loss
    wanted: Callable[[Any, Any], Any]
    target: Callable[[np.random.Generator], Array]
    one_hot: bool = False


def classes(rng: np.random.Generator) -> Array:
    return rng.integers(0, WIDTH, ROWS)


def shares(rng: np.random.Generator) -> Array:
    return rng.dirichlet(np.ones(WIDTH), ROWS)


def bits(rng: np.random.Generator) -> Array:
    return rng.integers(0, 2, (ROWS, WIDTH)).astype(np.float64)


def values(rng: np.random.Generator) -> Array:
    return 2 * rng.standard_normal((ROWS, WIDTH))


def sigmoid_focal(x: Any, t: Any, alpha: float = 0.25, gamma: float = 2) -> Any:
    """As torchvision.ops.sigmoid_focal_loss has it, with reduction="mean"."""
    p = torch.sigmoid(x)
    cross = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    right = p * t + (1 - p) * (1 - t)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (weight * cross * (1 - right) ** gamma).mean()


def softmax_focal(x: Any, t: Any, gamma: float = 2) -> Any:
    cross = F.cross_entropy(x, t, reduction="none")
    return ((1 - torch.exp(-cross)) ** gamma * cross).mean()


def margins(x: Any, t: Any, power: int) -> Any:
    return torch.clamp(1 - (2 * t - 1) * x, min=0).pow(power).mean()


CASES = (
    Case(CrossEntropy(), F.cross_entropy, classes),
    Case(CrossEntropy(), F.cross_entropy, shares, one_hot=True),
    Case(
        CrossEntropy(smoothing=0.15),
        lambda x, t: F.cross_entropy(x, t, label_smoothing=0.15),
        classes,
    ),
    Case(
        CrossEntropy(smoothing=0.15),
        lambda x, t: F.cross_entropy(x, t, label_smoothing=0.15),
        shares,
        one_hot=True,
    ),
    Case(
        KlDivergence(),
        lambda x, t: F.kl_div(F.log_softmax(x, 1), t, reduction="batchmean"),
        shares,
        one_hot=True,
    ),
    Case(BinaryCrossEntropy(), F.binary_cross_entropy_with_logits, bits),
    Case(
        BinaryCrossEntropy(smoothing=0.2),
        lambda x, t: F.binary_cross_entropy_with_logits(x, 0.8 * t + 0.1),
        bits,
    ),
    Case(Hinge(), lambda x, t: margins(x, t, 1), bits),
    Case(Hinge(squared=True), lambda x, t: margins(x, t, 2), bits),
    Case(Focal(), sigmoid_focal, bits),
    Case(
        Focal(alpha=0.6, gamma=1.5),
        lambda x, t: sigmoid_focal(x, t, alpha=0.6, gamma=1.5),
        bits,
    ),
    Case(Focal().after("softmax"), softmax_focal, classes),
    Case(
        Focal(gamma=0.5).after("softmax"),
        lambda x, t: softmax_focal(x, t, gamma=0.5),
        classes,
    ),
    Case(MeanSquaredError(), F.mse_loss, values),
    Case(MeanAbsoluteError(), F.l1_loss, values),
    Case(Huber(), F.huber_loss, values),
    Case(Huber(delta=2.5), lambda x, t: F.huber_loss(x, t, delta=2.5), values),
)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.loss.show()} {c.loss.ending}")
def test_loss_and_gradient(case: Case) -> None:
    rng = np.random.default_rng(0)
    x, target = 3 * rng.standard_normal((ROWS, WIDTH)), case.target(rng)
    b = Builder()
    last = b.input("x", Type(("N", WIDTH), "f64"))
    given = b.input("target", case.loss.target(last.type, case.one_hot).type)
    made = case.loss.expand(b, last, given)
    graph = b.graph({"loss": made, "gradient": gradients(b, made, [last])[last]})
    found = reference(graph, {"x": x, "target": target})

    leaf = torch.tensor(x, requires_grad=True)
    wanted = case.wanted(leaf, torch.tensor(target))
    wanted.backward()
    near(float(found["loss"]), float(wanted.detach()), 1e-9)
    near(found["gradient"], leaf.grad.numpy(), 1e-9)
