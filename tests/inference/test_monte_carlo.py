"""Monte-Carlo dropout: mean and deviation over noisy passes, as a prediction and as a file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from workbench import near, program

import deepdsl
from deepdsl.compiler.training_step import inference_graph
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.inference.monte_carlo import draws_graph, sampled_graph, sampling_state, statistics
from deepdsl.nn.layers.monte_carlo import RepeatRows
from deepdsl.nn.layers.random_draws import STEP_PATH, UniformLike
from deepdsl.training.run_directory import open_run

Array = np.ndarray[Any, Any]

TEXT = """
model m {{
  input x[6]
  dense 24 bias=false | batch_norm | {body} | dense 3 | softmax
}}
data d {{ train npz "none.npz"; standardize }}
train m on d {{ loss cross_entropy; optimizer adam lr=1e-2; epochs 3; batch 32; seed {seed} }}
"""
SAMPLES = 40


@cache
def data() -> tuple[Array, Array]:
    x = np.random.default_rng(0).normal(3, 2, (256, 6)).astype(np.float32)
    return x, x[:, :3].argmax(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run for a noise layer and a seed: read it, do not change it."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def train(body: str = "relu | dropout 30%", seed: int = 1) -> deepdsl.api.Run:
        place = folder / f"{len(list(folder.iterdir()))}"
        x, y = data()
        return deepdsl.loads(TEXT.format(body=body, seed=seed)).train(x, y, out=place)

    return train


@pytest.mark.parametrize(
    "body", ["relu | dropout 30%", "selu | alpha_dropout 10%", "elu | gaussian_noise 0.3"]
)
def test_mean_and_deviation_of_many_passes(trained: Any, body: str) -> None:
    run, (x, _) = trained(body), data()
    mean, deviation = run.predict(x, samples=400)
    assert mean.shape == deviation.shape == (256, 3)
    assert mean.dtype == deviation.dtype == np.float32
    near(mean.sum(1), np.ones(256), 1e-5)
    assert deviation.min() > 0
    assert 0.005 < deviation.mean() < 0.3
    # Near the deterministic output; nearer than one pass is.
    plain = run.predict(x)
    assert np.abs(mean - plain).mean() < 0.05
    assert np.abs(mean - plain).max() < 0.3
    again = run.predict(x, samples=400)
    assert np.array_equal(mean, again[0])
    assert np.array_equal(deviation, again[1])


def test_the_statistics_are_those_of_all_passes_by_numpy(trained: Any) -> None:
    run, x = open_run(trained().path), data()[0][:50]
    backend = open_backend("cpu", 1)

    def results(graph: Any) -> dict[str, Array]:
        weights = {p.name: run.checkpoint.state[p.name] for p in graph.params}
        model = emit(graph, "m", weights)
        model.check()
        return backend.runner(model.serialize()).run({"x": x})

    drawn = results(draws_graph(run, SAMPLES))
    assert drawn["output"].shape == (50, SAMPLES, 3)
    # The passes are passes with dropout: 30 % of 24 units are off, so that no two agree.
    assert len(np.unique(drawn["output"][0].round(7), axis=0)) > SAMPLES / 2
    wanted, made = statistics(drawn), results(sampled_graph(run, SAMPLES))
    assert list(made) == ["output", "output_std"]
    for name, value in made.items():
        near(value, wanted[name].astype(np.float32), 1e-5)
    near(wanted["output_std"], drawn["output"].astype(np.float64).std(1))


def test_one_pass_is_the_network_with_a_mask(trained: Any) -> None:
    """The deviation of 2 passes is half of their difference, the mean half of their sum."""
    run, x = trained(), data()[0][:20]
    two = draws_graph(open_run(run.path), 2)
    state = sampling_state(open_run(run.path))
    runner = open_backend("cpu", 1).runner(
        emit(two, "m", {p.name: state[p.name] for p in two.params}).serialize()
    )
    passes = runner.run({"x": x})["output"]
    mean, deviation = run.predict(x, samples=2)
    near(mean, passes.mean(1), 1e-6)
    near(deviation, np.abs(passes[:, 0] - passes[:, 1]) / 2, 1e-5)


def test_a_row_does_not_depend_on_how_many_follow(trained: Any) -> None:
    run, (x, _) = trained(), data()
    few, many = run.predict(x[:7], samples=SAMPLES), run.predict(x[:25], samples=SAMPLES)
    for short, long in zip(few, many, strict=True):
        near(short, long[:7], 1e-6)


@pytest.mark.parametrize("samples", [50, 700, 6000])
def test_rows_draw_masks_of_their_own_however_many_passes(trained: Any, samples: int) -> None:
    """Forty rows that are equal: their means stray as independent ones do, std / sqrt(passes)."""
    same = np.repeat(data()[0][:1], 40, 0)
    mean, deviation = trained().predict(same, samples=samples)
    assert len(np.unique(mean[:, 0])) > 35
    wanted = float(deviation[:, 0].mean()) / np.sqrt(samples)
    assert 0.65 * wanted < mean[:, 0].std() < 1.45 * wanted


def test_more_rows_than_are_run_at_a_time_and_none(trained: Any) -> None:
    run, (x, _) = trained(), data()
    mean, deviation = run.predict(x, samples=2000)
    assert mean.shape == (256, 3)
    mean, deviation = run.predict(x[:0], samples=3)
    assert mean.shape == deviation.shape == (0, 3)


def test_another_seed_draws_other_masks(trained: Any) -> None:
    first, second = (sampled_graph(open_run(trained(seed=s).path), 4) for s in (1, 2))
    keys = [{n.op.key for n in g.nodes if isinstance(n.op, UniformLike)} for g in (first, second)]
    assert keys[0] != keys[1]


def test_the_graph_is_a_pure_function_of_its_inputs(trained: Any, tmp_path: Path) -> None:
    run = open_run(trained().path)
    graph = sampled_graph(run, SAMPLES)
    assert [v.name for v in graph.inputs] == ["x"]
    # The counter is given by who runs it: 0 in a file, the number of the piece in a prediction.
    assert STEP_PATH in [p.name for p in graph.params]
    file = tmp_path / "m.onnx"
    trained().export(file, samples=SAMPLES)
    assert [i.name for i in onnx.load(file).graph.input] == ["x"]
    # All passes are one pass of a batch, whatever their number.
    larger = sampled_graph(run, 10 * SAMPLES)
    assert len(graph.nodes) == len(larger.nodes)
    assert sum(isinstance(node.op, RepeatRows) for node in graph.nodes) == 1
    assert not [n for n in inference_graph(run.model, run.data).nodes if "repeat" in str(n.op)]


@pytest.mark.parametrize("fold", [True, False])
def test_an_export_gives_what_predict_gives(trained: Any, tmp_path: Path, fold: bool) -> None:
    run, (x, _) = trained(), data()
    made = run.export(tmp_path / "m.onnx", fold_batch_norm=fold, samples=SAMPLES)
    assert made.folded == int(fold)
    assert made.max_abs_error < 1e-5
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {p.key: p.value for p in model.metadata_props}["deepdsl.samples"] == str(SAMPLES)
    operations = {node.op_type for node in model.graph.node}
    assert not operations & {"Dropout", "RandomNormal", "RandomUniform", "Bernoulli", "Loop"}
    assert ("BatchNormalization" in operations) is not fold
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["output", "output_std"]
    for count in (1, 7, 25):
        wanted = run.predict(x[:count], samples=SAMPLES)
        for ours, theirs in zip(session.run(None, {"x": x[:count]}), wanted, strict=True):
            near(ours, theirs, 1e-5)


def test_several_inputs_and_outputs() -> None:
    text = """
    model m { input a[3]; input b[2]; h = concat a b | dense 8 | relu | dropout 50%
      left = h | dense 2; right = h | dense 1 | sigmoid; output left; output right }
    """
    (model,) = program(text).models.values()
    graph = inference_graph(model, None, samples=5, seed=1)
    assert list(graph.outputs) == ["left", "right", "left_std", "right_std"]
    rng = np.random.default_rng(0)
    weights = {p.name: rng.standard_normal(p.type.shape).astype(np.float32) for p in graph.params}
    emitted = emit(graph, "m", weights)
    emitted.check()
    feeds = {"a": np.ones((4, 3), np.float32), "b": np.ones((4, 2), np.float32)}
    made = open_backend("cpu", 1).runner(emitted.serialize()).run(feeds)
    assert {k: v.shape for k, v in made.items()} == {
        "left": (4, 2),
        "right": (4, 1),
        "left_std": (4, 2),
        "right_std": (4, 1),
    }
    assert made["left_std"].min() > 0


@pytest.mark.parametrize(
    ("body", "samples", "reason"),
    [
        ("relu", 10, "no layer that draws random numbers"),
        ("relu | dropout 0", 10, "no layer that draws random numbers"),
        ("relu | dropout 30%", 1, "the deviation of one pass is always 0"),
    ],
)
def test_where_there_is_nothing_to_sample(
    trained: Any, body: str, samples: int, reason: str
) -> None:
    run = trained(body)
    with pytest.raises(deepdsl.DnnError, match=reason) as error:
        run.predict(data()[0], samples=samples)
    assert [d.code for d in error.value.diagnostics] == ["E614"]
    with pytest.raises(deepdsl.DnnError, match=reason):
        run.export("never.onnx", samples=samples)
    assert not Path("never.onnx").exists()
