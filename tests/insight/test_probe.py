"""What a probe measures: against the published table, against theory, and by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import Training, opened, program, task, training_file

from deepdsl.compiler.build import initial_values
from deepdsl.compiler.forward import forward
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.graph.passes import optimize
from deepdsl.insight.probe import Probe, probe_normal, probe_task
from deepdsl.insight.probe.log import ProbeLog

# Twenty hidden layers of 256, a thousand standard normal rows and gradients: the ratio of the
# gradient's spread at the first layer to that at the last.
TABLE = [
    ("sigmoid", "glorot_uniform", 1.1e-12),
    ("relu", "he_normal", 0.951),
    ("identity", "glorot_normal", 1.07),
    ("relu", "normal(std=1)", 1.1e20),
]

# Chains of our own: what stands behind each dense layer, its start, layers, units.
CHAINS = [
    ("selu", "lecun_normal", 20, 256),
    ("selu", "glorot_normal", 40, 64),
    ("selu", "he_normal", 20, 128),
    ("tanh", "glorot_uniform", 20, 256),
    ("tanh", "he_normal", 30, 200),
    ("tanh", "normal(std=0.01)", 10, 256),
    ("tanh", "variance_scaling(scale=4 mode=fan_avg)", 20, 256),
    ("tanh", "orthogonal", 40, 128),
    ("sigmoid", "he_normal", 10, 100),
    ("sigmoid", "variance_scaling(scale=16 mode=fan_avg)", 20, 256),
    ("sigmoid", "normal(std=1)", 20, 256),
    ("elu", "he_normal", 20, 256),
    ("elu", "he_uniform", 10, 128),
    ("elu", "glorot_normal", 40, 256),
    ("leaky_relu 0.3", "he_normal", 30, 200),
    ("leaky_relu 0.01", "normal(std=0.05)", 20, 128),
    ("relu", "glorot_uniform", 30, 128),
    ("relu", "lecun_normal", 20, 300),
    ("relu", "orthogonal", 20, 256),
    ("gelu", "he_normal", 10, 256),
    ("swish", "he_normal", 15, 256),
    ("mish", "he_normal", 12, 200),
    ("softsign", "glorot_normal", 25, 128),
    ("softplus", "glorot_normal", 10, 128),
    ("hard_sigmoid", "glorot_uniform", 12, 128),
    ("prelu", "he_normal", 20, 128),
    ("identity", "normal(std=0.1)", 20, 256),
    ("batch_norm | relu", "he_normal", 20, 256),
    ("relu | batch_norm", "he_normal", 20, 256),
    ("batch_norm | tanh", "glorot_normal", 20, 256),
    ("sigmoid | batch_norm", "glorot_normal", 20, 256),
    ("batch_norm | sigmoid", "normal(std=1)", 20, 256),
    ("relu | dropout 20%", "he_normal", 20, 256),
    ("tanh | dropout 20%", "glorot_normal", 20, 256),
    ("layer_norm | relu", "he_normal", 20, 128),
    ("rms_norm | tanh", "normal(std=0.3)", 20, 128),
    ("group_norm 16 | tanh", "he_normal", 20, 128),
    ("threshold 0.125", "he_normal", 6, 128),
    ("prelu init=normal(std=0.5)", "he_normal", 30, 256),
    ("rrelu 0 1", "he_normal", 30, 256),
    ("relu", "he_normal bias=constant(1)", 10, 256),
    ("relu", "he_normal bias=normal(std=1)", 20, 256),
]


def chain(behind: str, init: str, layers: int, units: int) -> str:
    return (
        f"model m {{ input x[{units}]\n"
        f"repeat {layers} {{ dense {units} init={init} | {behind} }} }}"
    )


def probe(text: str, rows: int = 1000, seed: int = 1) -> Probe:
    return probe_normal(program(text).models["m"], seed, open_backend("cpu"), rows)


@pytest.mark.parametrize(("activation", "init", "ratio"), TABLE)
def test_the_published_table(activation: str, init: str, ratio: float) -> None:
    """Measured within a factor of 1.5; predicted within 10 % of the exponent, or a factor of 2."""
    made = probe(chain(activation, init, 20, 256))
    assert made.measured_ratio is not None
    assert made.predicted_ratio is not None
    assert ratio / 1.5 < made.measured_ratio < ratio * 1.5
    assert close(made.predicted_ratio, ratio)


@pytest.mark.parametrize(("behind", "init", "layers", "units"), CHAINS)
def test_prediction_and_measure_agree(behind: str, init: str, layers: int, units: int) -> None:
    made = probe(chain(behind, init, layers, units), rows=500)
    assert made.measured_ratio is not None
    assert made.predicted_ratio is not None
    assert close(made.predicted_ratio, made.measured_ratio)
    last, told = made.layers[-1], made.predicted[-1]
    assert told.activation_std is not None
    assert close(told.activation_std, last.activation_std)


def close(predicted: float, measured: float) -> bool:
    have, want = math.log10(predicted), math.log10(measured)
    return abs(have - want) <= max(0.3, 0.1 * abs(want))


def test_residual_sums_hold_the_gradient() -> None:
    body = "\n".join(
        f"b{i} = h{i} | dense 128 | relu | dense 128\nh{i + 1} = h{i} + b{i}" for i in range(8)
    )
    head = "model m { input x[128]\ndefault dense init=he_normal\nh0 = x | dense 128"
    made = probe(f"{head}\n{body}\nh8 | dense 8 }}")
    for layer, told in zip(made.layers, made.predicted, strict=True):
        assert told.gradient_std is not None
        assert layer.gradient_std is not None
        assert close(told.gradient_std, layer.gradient_std)


def test_saturated_logistic_units() -> None:
    """With normal(std=1) 64 to 77.5 % of the units are outside [0.01, 0.99]."""
    made = probe(chain("sigmoid", "normal(std=1)", 5, 256))
    shares = [layer.saturated for layer in made.layers if layer.kind == "sigmoid"]
    assert all(share is not None and 0.64 <= share <= 0.775 for share in shares)
    assert all(layer.saturated is None for layer in made.layers if layer.kind == "dense")


def test_selu_stays_in_its_envelope_for_a_thousand_layers() -> None:
    """100 units, 500 rows, through the compiled graph: |mean| below 0.2, spread 0.7 to 1.2."""
    text = "model m { input x[100]\nrepeat 1000 { dense 100 | selu } }"
    model = program(text).models["m"]
    made = forward(model)
    watched = {c.path: made.values[c.output] for c in model.calls if c.layer.name == "selu"}
    graph = optimize(made.builder.graph(watched))
    state = initial_values(graph.params, 7)
    x = np.random.default_rng(0).standard_normal((500, 100)).astype(np.float32)
    values = open_backend("cpu").runner(emit(graph, "selu").serialize()).run({"x": x, **state})
    assert len(values) == 1000
    for path, z in values.items():
        assert abs(float(z.mean())) < 0.2, path
        assert 0.7 < float(z.std(axis=0).mean()) < 1.2, path


def test_a_linear_chain_is_within_three_percent() -> None:
    made = probe(
        "model m { input x[784]\ndefault dense init=glorot_normal\n"
        "dense 300; dense 100; dense 50; dense 10 }",
        rows=4000,
    )
    sizes = (784, 300, 100, 50, 10)
    square = 1.0
    for layer, fan_in, units in zip(made.layers, sizes, sizes[1:], strict=False):
        square *= 2 * fan_in / (fan_in + units)
        tolerance = 0.03 if units > 20 else 0.35  # ten units are a small sample
        assert layer.activation_std == pytest.approx(math.sqrt(square), rel=tolerance)


# By hand ------------------------------------------------------------------------------------------

MODEL = "input x[3]\n dense 8 init=normal(std=0.7) | relu | dense 4 | tanh | dense 2"


def task_probe(text: str, rows: int, folder: Path) -> tuple[Probe, Any]:
    rng = np.random.default_rng(3)
    np.savez(
        folder / "d.npz",
        x=rng.standard_normal((rows, 3)).astype(np.float32),
        y=rng.standard_normal((rows, 2)).astype(np.float32),
    )
    job, artifacts = opened(text.replace("none.npz", "d.npz"), folder)
    assert job.splits.train is not None
    made = probe_task(job.task, job.splits.train, artifacts.state, open_backend("cpu"), limit=None)
    return made, artifacts


def test_figures_by_hand(tmp_path: Path) -> None:
    text = training_file(MODEL, "loss mean_squared_error; batch 10; seed 1; optimizer sgd lr=0.1")
    made, artifacts = task_probe(text, 30, tmp_path)
    state = {k: v.astype(np.float64) for k, v in artifacts.state.items()}
    data = np.load(tmp_path / "d.npz")
    x, y = data["x"].astype(np.float64), data["y"].astype(np.float64)
    h = x @ state["dense_1.weight"] + state["dense_1.bias"]
    r = np.maximum(h, 0)
    t = np.tanh(r @ state["dense_2.weight"] + state["dense_2.bias"])
    out = t @ state["dense_3.weight"] + state["dense_3.bias"]
    # The loss is the mean over ten rows and two outputs.
    to_out = 2 * (out - y) / 20
    to_t = to_out @ state["dense_3.weight"].T
    to_r = to_t * (1 - t * t) @ state["dense_2.weight"].T
    layers = {layer.path: layer for layer in made.layers}
    for path, value, grad in (
        ("dense_1", h, to_r * (h > 0)),
        ("relu_1", r, to_r),
        ("tanh_1", t, to_t),
        ("dense_3", out, to_out),
    ):
        assert layers[path].activation_mean == pytest.approx(value.mean(), rel=1e-4, abs=1e-6)
        assert layers[path].activation_std == pytest.approx(value.std(), rel=1e-4)
        assert layers[path].gradient_std == pytest.approx(grad.std(), rel=1e-4)
    assert made.rows == 30
    assert layers["relu_1"].dead == int((r == 0).all(axis=0).sum())
    assert layers["relu_1"].units == 8
    assert layers["tanh_1"].saturated == pytest.approx((np.abs(t) > 0.98).mean())
    assert made.measured_ratio == pytest.approx((to_r * (h > 0)).std() / to_out.std(), rel=1e-4)


def test_update_ratio_is_that_of_the_next_step(tmp_path: Path) -> None:
    text = training_file(MODEL, "loss mean_squared_error; batch 10; seed 1; optimizer sgd lr=0.1")
    made, artifacts = task_probe(text, 10, tmp_path)
    by_hand = Training(text, state=artifacts.state, steps_per_epoch=1)
    data = np.load(tmp_path / "d.npz")
    before = by_hand.weight("dense_1.weight").copy()
    by_hand.step(x=data["x"], target=data["y"])
    change = by_hand.weight("dense_1.weight") - before
    told = {layer.path: layer.update_ratio for layer in made.layers}
    assert told["dense_1"] == pytest.approx(change.std() / before.std(), rel=1e-3)
    assert told["relu_1"] is None


def test_update_ratio_with_accumulated_batches(tmp_path: Path) -> None:
    """Three batches of ten rows make the update of one of thirty, at the start and in a group."""
    rows = "loss mean_squared_error; seed 1; optimizer sgd lr=0.1"
    whole, _ = task_probe(training_file(MODEL, f"{rows}; batch 30"), 30, tmp_path)
    text = training_file(MODEL, f"{rows}; batch 10; accumulate 3")
    parts, artifacts = task_probe(text, 30, tmp_path)
    for one, other in zip(whole.layers, parts.layers, strict=True):
        assert (one.update_ratio is None) == (other.update_ratio is None)
        if one.update_ratio is not None:
            assert other.update_ratio == pytest.approx(one.update_ratio, rel=1e-4)
            assert one.update_ratio > 0
    begun = Training(text, state=artifacts.state, steps_per_epoch=3)
    data = np.load(tmp_path / "d.npz")
    begun.step(x=data["x"][:10], target=data["y"][:10])
    job, _ = opened(text.replace("none.npz", "d.npz"), tmp_path)
    assert job.splits.train is not None
    told = probe_task(job.task, job.splits.train, begun.state, open_backend("cpu"))
    assert all(x.update_ratio for x in told.layers if x.kind == "dense")


@pytest.mark.parametrize(
    ("every", "accumulate", "steps"),
    [
        (20, 1, [1, 20, 40]),
        (1, 3, [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39]),
        (10, 4, [4, 12, 20, 32, 40]),
        (5, 20, [20, 40]),
    ],
)
def test_steps_that_are_observed_make_an_update(
    every: int, accumulate: int, steps: list[int], tmp_path: Path
) -> None:
    made = task(training_file(MODEL, f"loss mean_squared_error; accumulate {accumulate}"))
    log = ProbeLog(made, open_backend("cpu"), every, tmp_path / "probe.jsonl")
    assert [step for step in range(1, 42) if log.due(step)] == steps


def test_dead_units_are_counted_over_all_rows(tmp_path: Path) -> None:
    """A unit that is on for a single row out of many is alive, though most batches miss it."""
    text = training_file(
        "input x[1]\n dense 3 init=ones bias=constant(-5) | relu | dense 2",
        "loss mean_squared_error; batch 8; seed 1",
    )
    x = np.zeros((4000, 1), np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.zeros((4000, 2), np.float32))
    text = text.replace("none.npz", "d.npz")
    dead = []
    for lucky in (0.0, 9.0):
        x[3123] = lucky
        np.savez(tmp_path / "d.npz", x=x, y=np.zeros((4000, 2), np.float32))
        job, artifacts = opened(text, tmp_path)
        view = job.splits.train
        assert view is not None
        made = probe_task(job.task, view, artifacts.state, open_backend("cpu"), limit=2)
        dead.append(next(layer.dead for layer in made.layers if layer.kind == "relu"))
    assert dead == [3, 0]


def test_json_has_what_was_promised() -> None:
    made = json.loads(json.dumps(probe(chain("relu", "he_normal", 3, 16), rows=50).as_json()))
    assert set(made) >= {"layers", "predicted", "gradient_ratio"}
    for layer in made["layers"]:
        assert set(layer) >= {
            "path",
            "activation_mean",
            "activation_std",
            "gradient_std",
            "saturated",
            "dead",
        }
    assert len(made["predicted"]) == len(made["layers"])
