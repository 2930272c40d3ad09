"""Losses and their gradients: formulas, extreme values, forms of target, and the fused graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from samples import LOSSES, LossSample
from workbench import Training, near, on_runtime, program, reference, training_file

from deepdsl.diagnostics import DnnError
from deepdsl.graph import Builder, DType, Graph, Type
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.emit import NUMPY
from deepdsl.inference.predictor import judge_graph
from deepdsl.nn.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    KlDivergence,
    Loss,
    MeanAbsoluteError,
)

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


# Each loss with a target for the values [[size], [-size]], and how it grows with the size.
EXTREMES: tuple[tuple[Loss, list[list[float]], float], ...] = (
    (BinaryCrossEntropy(smoothing=0.2), [[1], [0]], 0.1),
    (BinaryCrossEntropy(smoothing=0.2), [[0], [1]], 0.9),
    (Focal(), [[1], [0]], 0),
    (Focal(), [[0], [1]], 0.5),
    (Focal(gamma=0.0, alpha=1.0), [[0], [1]], 0.5),
    (Focal(gamma=0.3), [[1], [0]], 0),
    (Hinge(), [[1], [0]], 0),
    (Hinge(), [[0], [1]], 1),
    (Huber(delta=0.5), [[0], [0]], 0.5),
    (MeanAbsoluteError(), [[0], [0]], 1),
)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize(
    ("loss", "target", "rate"), EXTREMES, ids=lambda v: v.show() if isinstance(v, Loss) else None
)
def test_extreme_values(loss: Loss, target: Any, rate: float, size: float) -> None:
    made = graph(loss, ("N", 1), False, "f32")
    x = np.array([[size], [-size]], np.float32)
    found = on_runtime(made, {"x": x, "target": np.array(target, np.float32)})
    near(float(found["loss"]) / size, rate, 0.02)
    assert np.isfinite(found["gradient"]).all()
    near(float(np.abs(found["gradient"]).sum()), rate, 0.02)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("loss", [Focal().after("softmax"), Focal(gamma=0.3).after("softmax")])
def test_focal_loss_of_extreme_classes(loss: Focal, size: float) -> None:
    made = graph(loss, ("N", 3), False, "f32")
    x = np.array([[size, -size, 0], [size, -size, 0]], np.float32)
    right = on_runtime(made, {"x": x, "target": np.zeros(2, np.int64)})
    near(float(right["loss"]), 0.0, 1e-6)
    near(right["gradient"], np.zeros((2, 3)), 1e-6)
    wrong = on_runtime(made, {"x": x, "target": np.ones(2, np.int64)})
    near(float(wrong["loss"]) / size, 2.0, 1e-5)
    near(wrong["gradient"], [[0.5, -0.5, 0]] * 2, 1e-6)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_divergence_of_extreme_values(size: float) -> None:
    """A class that the target excludes adds nothing, however improbable it is."""
    made = graph(KlDivergence(), ("N", 3), True, "f32")
    x = np.array([[size, -size, 0], [size, -size, -size]], np.float32)
    sure = np.array([[1, 0, 0], [1, 0, 0]], np.float32)
    found = on_runtime(made, {"x": x, "target": sure})
    near(float(found["loss"]), 0.0, 1e-6)
    near(found["gradient"], np.zeros((2, 3)), 1e-6)
    wrong = on_runtime(made, {"x": x, "target": sure[:, [1, 0, 2]]})
    near(float(wrong["loss"]) / size, 2.0, 1e-5)
    near(wrong["gradient"], [[0.5, -0.5, 0]] * 2, 1e-6)


def test_divergence_from_itself_is_nothing() -> None:
    """And its gradient is cross-entropy's: they differ by the entropy of the targets."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 4))
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    divergence = graph(KlDivergence(), ("N", 4), True, "f64")
    found = reference(divergence, {"x": x, "target": p})
    near(float(found["loss"]), 0.0, 1e-12)
    near(found["gradient"], np.zeros_like(x), 1e-12)
    t = rng.dirichlet(np.ones(4), 6)
    t[0] = [0, 0.5, 0.5, 0]
    found = reference(divergence, {"x": x, "target": t})
    entropy = -(t * np.log(np.where(t > 0, t, 1))).sum(1).mean()
    other = reference(graph(CrossEntropy(), ("N", 4), True, "f64"), {"x": x, "target": t})
    near(float(found["loss"]), float(other["loss"]) - entropy, 1e-12)
    near(found["gradient"], other["gradient"], 1e-12)


def test_focal_loss_without_gamma_is_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    x, classes = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    plain, focal = (
        reference(graph(loss, ("N", 4), False, "f64"), {"x": x, "target": classes})
        for loss in (CrossEntropy(), Focal(gamma=0.0).after("softmax"))
    )
    bits = rng.integers(0, 2, (6, 4)).astype(np.float64)
    answers, half = (
        reference(graph(loss, ("N", 4), False, "f64"), {"x": x, "target": bits})
        for loss in (BinaryCrossEntropy(), Focal(gamma=0.0, alpha=0.5))
    )
    for name in ("loss", "gradient"):
        near(focal[name], plain[name], 1e-9)
        near(half[name], answers[name] / 2, 1e-9)


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


FUSED = [
    ("softmax", "cross_entropy"),
    ("log_softmax", "cross_entropy"),
    ("softmax", "kl_divergence"),
    ("softmax", "focal gamma=1"),
    ("sigmoid", "binary_cross_entropy"),
    ("sigmoid", "focal alpha=0.5"),
]


@pytest.mark.parametrize(("ending", "loss"), FUSED)
def test_the_loss_reads_the_values_before_the_last_activation(ending: str, loss: str) -> None:
    text = training_file(f"input x[3]\n dense 2 | {ending}", f"loss {loss}; metric accuracy")
    made = Training(text)
    made.state["dense_1.weight"] = np.array([[1e4, -1e4]] * 3, np.float32)
    x = np.ones((2, 3), np.float32)
    target = np.ones(2, np.int64) if ending != "sigmoid" else np.zeros((2, 2), np.float32)
    if loss == "kl_divergence":
        target = np.array([[0, 1]] * 2, np.float32)
    assert np.isfinite(made.evaluate(x=x, target=target)["loss"])
    result = made.step(x=x, target=target)
    assert float(result["loss"]) > 5e3
    assert result["all_finite"]
    if ending != "log_softmax":
        near(made.infer(x=x), [[1, 0]] * 2, 1e-6)


@pytest.mark.parametrize(
    ("ending", "loss"), [*FUSED, ("tanh", "hinge"), ("identity", "hinge squared=true")]
)
def test_the_outputs_alone_give_the_same_loss(ending: str, loss: str) -> None:
    """What `dnnc eval FILE.onnx` computes: the last activation is taken back."""
    rng = np.random.default_rng(0)
    made = Training(training_file(f"input x[3]\n dense 4 | {ending}", f"loss {loss}"))
    x = rng.standard_normal((8, 3)).astype(np.float32)
    target: Array = rng.integers(0, 4, 8)
    if ending not in ("softmax", "log_softmax"):
        target = rng.integers(0, 2, (8, 4)).astype(np.float32)
    elif loss == "kl_divergence":
        target = rng.dirichlet(np.ones(4), 8).astype(np.float32)
    wanted = made.evaluate(x=x, target=target)
    judge = judge_graph(made.task.training, Type(("N", 4)), one_hot=False)
    found = on_runtime(judge, {"output": wanted["output"], "target": target})
    near(float(found["loss"]), float(wanted["loss"]), 1e-5)


@pytest.mark.parametrize(
    ("ending", "loss", "message"),
    [
        ("softmax", "hinge", "`hinge` is for a model that ends in `tanh` or `identity` or `dense`"),
        ("relu", "focal", "`focal` is for a model that ends in `sigmoid` or `softmax`"),
        ("sigmoid", "kl_divergence", "`kl_divergence` is for a model that ends in `softmax`"),
        ("tanh", "cross_entropy", "`cross_entropy` is for a model that ends in `softmax`"),
    ],
)
def test_a_loss_names_the_endings_it_is_for(ending: str, loss: str, message: str) -> None:
    with pytest.raises(DnnError) as caught:
        program(training_file(f"input x[3]\n dense 4 | {ending}", f"loss {loss}"))
    (told,) = caught.value.diagnostics
    assert told.code == "E302"
    assert told.message.startswith(message)


def test_hinge_goes_with_whatever_is_linear() -> None:
    for body in ("dense 1", "dense 1 | identity", "dense 4 | reshape [2 2]", "dense 1 | tanh"):
        (training,) = program(training_file(f"input x[3]\n {body}", "loss hinge")).trainings
        assert training.loss.fuses is None


def test_all_finite_tells_of_a_loss_that_is_not() -> None:
    made = Training(training_file("input x[1]\n dense 1 init=ones", "loss mean_squared_error"))
    zero = np.zeros((2, 1), np.float32)
    assert made.step(x=zero, target=zero)["all_finite"]
    with np.errstate(over="ignore"):
        large = made.step(x=zero + np.float32(1e30), target=zero)
    assert not large["all_finite"]
