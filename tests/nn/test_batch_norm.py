"""Batch normalization: running statistics, its two places, shared uses, and what it counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, training_file

Array = np.ndarray[Any, Any]

TRAIN = "loss mean_squared_error; optimizer sgd lr=0.05; seed 3"


def normalized(x: Array, epsilon: float = 1e-3) -> Array:
    return (x - x.mean(0)) / np.sqrt(x.var(0) + epsilon)


def batches(sizes: tuple[int, ...], features: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [(2 + 3 * rng.standard_normal((n, features))).astype(np.float32) for n in sizes]


@pytest.mark.parametrize("momentum", [0.99, 0.9, 0.0, 1.0])
def test_running_statistics_over_batches_of_several_sizes(momentum: float) -> None:
    made = Training(training_file(f"input x[4]\n batch_norm momentum={momentum} | dense 2", TRAIN))
    mean, variance = np.zeros(4), np.ones(4)
    for x in batches((8, 8, 3, 8, 1), 4):
        made.step(x=x, target=np.zeros((len(x), 2), np.float32))
        wide = x.astype(np.float64)
        mean = momentum * mean + (1 - momentum) * wide.mean(0)
        variance = momentum * variance + (1 - momentum) * wide.var(0)
        near(made.weight("batch_norm_1.running_mean"), mean, 1e-5)
        near(made.weight("batch_norm_1.running_variance"), variance, 1e-5)


def test_inference_uses_the_running_statistics() -> None:
    made = Training(training_file("input x[3]\n batch_norm | dense 1", TRAIN))
    for x in batches((16,) * 5, 3):
        made.step(x=x, target=np.ones((16, 1), np.float32))
    (x,) = batches((4,), 3, seed=9)
    s = {k.rpartition(".")[2]: made.weight(k) for k in made.state if k.startswith("batch_norm_1")}
    root = np.sqrt(s["running_variance"] + 1e-3)
    z = s["gamma"] * (x - s["running_mean"]) / root + s["beta"]
    wanted = z @ made.weight("dense_1.weight") + made.weight("dense_1.bias")
    near(made.infer(x=x), wanted, 1e-5)
    near(made.evaluate(x=x, target=x[:, :1])["output"], wanted, 1e-5)
    # One row at a time gives what the rows give together.
    near(np.concatenate([made.infer(x=row[None]) for row in x]), wanted, 1e-5)


@pytest.mark.parametrize("order", ["batch_norm | relu", "relu | batch_norm"])
def test_before_and_after_the_activation(order: str) -> None:
    made = Training(training_file(f"input x[3]\n dense 4 | {order}", TRAIN))
    (x,) = batches((6,), 3)
    h = x @ made.weight("dense_1.weight")
    relu = np.maximum(h, 0)
    out = np.maximum(normalized(h), 0) if order.startswith("batch") else normalized(relu)
    result = made.step(x=x, target=np.zeros((6, 4), np.float32))
    near(float(result["loss"]), (out.astype(np.float64) ** 2).mean(), 1e-5)
    moved = made.weight("batch_norm_1.running_mean") / 0.01
    near(moved, (h if order.startswith("batch") else relu).mean(0), 1e-5)


def test_a_shared_part_moves_its_statistics_once_for_each_use() -> None:
    model = """
      input a[3]
      input b[3]
      part tower { dense 2 bias=false | batch_norm momentum=0.9 }
      p = a | tower
      q = b | tower
      concat p q | dense 1
    """
    made = Training(training_file(model, TRAIN))
    weight = made.weight("tower.dense_1.weight").astype(np.float64)
    assert len([k for k in made.state if k.endswith("running_mean")]) == 1
    a, b = batches((8, 8), 3)
    made.step(a=a, b=b, target=np.zeros((8, 1), np.float32))
    mean, variance = np.zeros(2), np.ones(2)
    for x in (a, b):
        h = x @ weight
        mean = 0.9 * mean + 0.1 * h.mean(0)
        variance = 0.9 * variance + 0.1 * h.var(0)
    near(made.weight("tower.batch_norm_1.running_mean"), mean, 1e-5)
    near(made.weight("tower.batch_norm_1.running_variance"), variance, 1e-5)


def test_statistics_do_not_depend_on_the_loss() -> None:
    """Where nothing reads the normalized values, the statistics still move."""
    made = Training(
        training_file(
            "input x[2]\n h = x | batch_norm\n x | dense 2 | softmax", "loss cross_entropy"
        )
    )
    (x,) = batches((8,), 2)
    made.step(x=x, target=np.zeros(8, np.int64))
    near(made.weight("batch_norm_1.running_mean"), 0.01 * x.mean(0), 1e-5)


NETWORK = """
  input image[28 28]
  flatten | batch_norm
  dense 300{bias} | batch_norm | elu
  dense 100{bias} | batch_norm | elu
  dense 10 | softmax
"""


@pytest.mark.parametrize(
    ("bias", "total", "trainable"), [("", 271_346, 268_978), (" bias=false", 270_946, 268_578)]
)
def test_parameter_count(bias: str, total: int, trainable: int) -> None:
    # 271,346 = 4 (784 + 300 + 100) + 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10, all biases.
    made = Training(training_file(NETWORK.format(bias=bias), "loss cross_entropy"))
    params = made.task.model.params
    assert sum(p.type.count or 0 for p in params) == total
    assert sum(p.type.count or 0 for p in params if p.trainable) == trainable
    (x,) = batches((4,), 784)
    result = made.step(image=x.reshape(4, 28, 28), target=np.arange(4))
    assert np.isfinite(result["loss"])


def test_gradient_of_images_is_that_of_their_pixels_as_rows() -> None:
    """Per channel over rows and pixels: the same as a table with one row a pixel."""
    made = Training(training_file("input x[2 3]\n batch_norm | flatten | dense 1", TRAIN))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 2, 3)).astype(np.float32)
    made.step(x=x, target=np.zeros((7, 1), np.float32))
    pixels = x.astype(np.float64).transpose(0, 2, 1).reshape(-1, 2)
    near(made.weight("batch_norm_1.running_mean"), 0.01 * pixels.mean(0), 1e-5)
    near(made.weight("batch_norm_1.running_variance"), 0.99 + 0.01 * pixels.var(0), 1e-5)
