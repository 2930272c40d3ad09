"""Losses and their gradients: formulas, extreme values, forms of target, and the fused graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from samples import LOSSES, LossSample
from workbench import Training, near, on_runtime, reference, training_file

from deepdsl.autodiff import gradients
from deepdsl.emit import NUMPY
from deepdsl.ir import Builder, DType, Graph, Type
from deepdsl.losses import BinaryCrossEntropy, CrossEntropy, Loss

Array = np.ndarray[Any, Any]
STEP = 1e-5


def graph(loss: Loss, shape: tuple[Any, ...], one_hot: bool, dtype: DType) -> Graph:
    """The loss and its gradient on a model's last values."""
    b = Builder()
    x = b.input("x", Type(shape, dtype))
    kind = loss.target(x.type, one_hot)
    target = b.input("target", kind.type)
    made = loss.expand(b, x, target)
    grads = gradients(b, made, [x])
    return b.graph({"loss": made, "gradient": grads[x]})


def feeds(sample: LossSample, dtype: DType) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        name: np.asarray(feed.values(rng), NUMPY[feed.dtype or dtype])
        for name, feed in (("x", sample.output), ("target", sample.target))
    }


rows = pytest.mark.parametrize("sample", LOSSES, ids=lambda s: f"{s.loss.show()} {s.one_hot}")


@rows
def test_formula_and_gradient(sample: LossSample) -> None:
    made = graph(sample.loss, sample.output.shape, sample.one_hot, "f64")
    given = feeds(sample, "f64")
    found = reference(made, given)
    near(float(found["loss"]), float(sample.formula(given["x"], given["target"])), 1e-9)
    along = np.random.default_rng(1).standard_normal(given["x"].shape)
    up, down = (
        float(reference(made, {**given, "x": given["x"] + h * along})["loss"])
        for h in (STEP, -STEP)
    )
    near((up - down) / (2 * STEP), (found["gradient"] * along).sum(), 1e-7)


@rows
def test_onnxruntime_agrees(sample: LossSample) -> None:
    made = graph(sample.loss, sample.output.shape, sample.one_hot, "f32")
    given = feeds(sample, "f32")
    wanted = reference(made, given)
    for name, value in on_runtime(made, given).items():
        near(value, wanted[name], 1e-5)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_extreme_values(size: float, smoothing: float) -> None:
    made = graph(CrossEntropy(smoothing=smoothing), ("N", 3), False, "f32")
    x = np.array([[size, -size, 0], [size, -size, 0], [0, 0, 0]], np.float32)
    for classes in ([0, 0, 0], [1, 1, 1]):
        found = on_runtime(made, {"x": x, "target": np.array(classes, np.int64)})
        assert np.isfinite(found["loss"])
        assert np.isfinite(found["gradient"]).all()
        near(found["gradient"].sum(1), np.zeros(3), 1e-6)
    if not smoothing:
        right = on_runtime(made, {"x": x[:2], "target": np.zeros(2, np.int64)})
        near(float(right["loss"]), 0.0, 1e-6)
        wrong = on_runtime(made, {"x": x[:2], "target": np.ones(2, np.int64)})
        near(float(wrong["loss"]) / size, 2.0, 1e-5)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_binary_cross_entropy_of_extreme_values(size: float) -> None:
    made = graph(BinaryCrossEntropy(), ("N", 1), False, "f32")
    x = np.array([[size], [-size]], np.float32)
    right = on_runtime(made, {"x": x, "target": np.array([[1], [0]], np.float32)})
    near(float(right["loss"]), 0.0, 1e-6)
    near(right["gradient"], [[0.0], [0.0]], 1e-6)
    wrong = on_runtime(made, {"x": x, "target": np.array([[0], [1]], np.float32)})
    near(float(wrong["loss"]) / size, 1.0, 1e-5)
    near(wrong["gradient"], [[0.5], [-0.5]], 1e-6)


@pytest.mark.parametrize("options", ["", " smoothing=0.3"])
def test_class_numbers_and_one_hot_rows_train_alike(options: str) -> None:
    rows = f"loss cross_entropy{options}; metric accuracy; optimizer adam"
    text = training_file("input x[4]\n dense 8 | relu | dense 3 | softmax", rows)
    by_number, by_row = Training(text), Training(text, one_hot=True)
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.standard_normal((6, 4)).astype(np.float32)
        classes = rng.integers(0, 3, 6)
        first = by_number.step(x=x, target=classes)
        second = by_row.step(x=x, target=np.eye(3, dtype=np.float32)[classes])
        for name in ("loss", "accuracy"):
            assert np.array_equal(first[name], second[name])
    for name, value in by_number.state.items():
        assert np.array_equal(value, by_row.state[name])


def test_smoothing_spreads_over_all_classes() -> None:
    """As Keras's label_smoothing: (1 - s) of the target and s / classes everywhere."""
    made = graph(CrossEntropy(smoothing=0.4), ("N", 4), False, "f64")
    x = np.log(np.array([[0.1, 0.2, 0.3, 0.4]]))
    found = reference(made, {"x": x, "target": np.array([3])})
    target = np.array([0.1, 0.1, 0.1, 0.7])
    near(float(found["loss"]), -(target * x[0]).sum(), 1e-9)
    near(found["gradient"], np.exp(x) - target, 1e-9)


@pytest.mark.parametrize(
    ("ending", "loss", "inner"),
    [("softmax", "cross_entropy", "Softmax"), ("sigmoid", "binary_cross_entropy", "Sigmoid")],
)
def test_the_loss_reads_the_values_before_the_last_activation(
    ending: str, loss: str, inner: str
) -> None:
    text = training_file(f"input x[3]\n dense 2 | {ending}", f"loss {loss}; metric accuracy")
    made = Training(text)
    made.state["dense_1.weight"] = np.array([[1e4, -1e4]] * 3, np.float32)
    x = np.ones((2, 3), np.float32)
    target = np.ones(2, np.int64) if loss == "cross_entropy" else np.zeros((2, 2), np.float32)
    assert np.isfinite(made.evaluate(x=x, target=target)["loss"])
    result = made.step(x=x, target=target)
    assert float(result["loss"]) > 1e4
    assert result["all_finite"]
    near(made.infer(x=x), [[1, 0]] * 2, 1e-6)


def test_all_finite_tells_of_a_loss_that_is_not() -> None:
    made = Training(training_file("input x[1]\n dense 1 init=ones", "loss mean_squared_error"))
    zero = np.zeros((2, 1), np.float32)
    assert made.step(x=zero, target=zero)["all_finite"]
    with np.errstate(over="ignore"):
        large = made.step(x=zero + np.float32(1e30), target=zero)
    assert not large["all_finite"]
