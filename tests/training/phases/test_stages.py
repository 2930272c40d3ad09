"""What holds between the stages of a training: when layers thaw, what of the state goes on."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import Dnnc
from onnx import helper
from phased import interrupted, same, steps_of, text
from places import EXAMPLES
from small_onnx import model, numbers
from workbench import Memory, opened, program, run

from deepdsl.compiler.build import write_artifacts
from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.graph.backend import open_backend
from deepdsl.insight.probe.log import ProbeLog
from deepdsl.language.overrides import apply_settings
from deepdsl.training.trainer import Trainer


def stages(rows: str) -> list[tuple[str, int, int, bool]]:
    """Phase, first and last epoch of each stage, and whether the body's matrix stands still."""
    (training,) = program(text(rows)).trainings
    return [
        (s.phase, s.begins, s.ends, "body.dense_1.weight" in s.freezing.tensors)
        for s in training.stages
    ]


def codes(rows: str) -> list[str]:
    return [d.code for d in check(Source("test.dnn", text(rows)))[1]]


# When layers thaw ---------------------------------------------------------------------------------


def test_a_row_in_front_of_the_phases_counts_the_epochs_of_all() -> None:
    rows = "freeze body until=3; phase a { epochs 2 }; phase b { epochs 4 }"
    assert stages(rows) == [("a", 0, 0, True), ("b", 0, 1, True), ("b", 1, 0, False)]
    assert "W502" not in codes(rows)
    late = rows.replace("until=3", "until=6")
    assert stages(late) == [("a", 0, 0, True), ("b", 0, 0, True)]
    (found,) = [d for d in check(Source("test.dnn", text(late)))[1] if d.code == "W502"]
    assert "there are 6 epochs" in found.message


def test_what_thaws_with_the_end_of_a_phase_is_free_in_the_next() -> None:
    rows = "phase a { freeze body until=2; epochs 2 }; phase b { epochs 1 }"
    assert stages(rows) == [("a", 0, 0, True), ("b", 0, 0, False)]
    assert "W502" not in codes(rows)


def test_what_does_not_thaw_in_its_phase_stays() -> None:
    rows = "phase a { freeze body until=3; epochs 2 }; phase b { epochs 9 }"
    assert stages(rows) == [("a", 0, 0, True), ("b", 0, 0, True)]
    assert "W502" in codes(rows)


def test_no_stage_begins_where_nothing_thaws() -> None:
    """The time of a tensor is up while its layer still stands."""
    rows = "freeze body; freeze body.dense_1.weight until=1; epochs 3"
    assert stages(rows) == [("", 0, 0, True)]


def test_a_pattern_means_layers_whole() -> None:
    """`body.*` is also what the tensors of its layers are called: they go with the layers."""
    thawing = 'freeze "body.*"; freeze body until=1; epochs 3'
    assert stages(thawing) == [("", 0, 1, True), ("", 1, 0, False)]
    one = 'phase a { freeze "body.*" }; phase b { unfreeze body.dense_1.weight }'
    (found,) = [d for d in check(Source("test.dnn", text(one)))[1] if d.severity.value == "error"]
    assert (found.code, found.message) == (
        "E507",
        "`body.dense_1.weight` is frozen with its layer",
    )
    assert "`unfreeze body.dense_1`" in found.help


def test_a_rate_is_of_what_is_below_the_path() -> None:
    """A tied layer's matrix stands with its owner."""
    source = """
data d { train npz "none.npz"; target input }
model coder {
  input x[6]
  part encoder { dense 4 | relu }
  part decoder { dense 6 tie=encoder.dense_1 }
}
train coder on d { loss mean_squared_error; lr_mult decoder=0.1 }
"""
    (training,) = program(source).trainings
    assert training.freezing.rates == {"decoder.dense_1.bias": 0.1}


# What of the state goes on ------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["beta_1=0.5", "beta_2=0.9"])
def test_state_of_other_decays_is_not_gone_on_with(option: str) -> None:
    """The state holds m / (1 - beta_1) and v / (1 - beta_2): with other betas it would be other
    moments.
    """
    source = text(
        "phase a { optimizer adam lr=1e-3; epochs 1 };"
        f"phase b {{ optimizer adam lr=1e-3 {option}; epochs 1 }}"
    )
    ((before, after),) = steps_of(source, 13, 1)
    moved = np.abs(after["head.dense_1.weight"] - before["head.dense_1.weight"])
    assert np.median(moved) == pytest.approx(1e-3, rel=1e-3)


def test_the_best_is_restored_where_the_interruption_comes_with_the_last_step() -> None:
    source = text(
        "phase a { optimizer sgd lr=0.1; schedule piecewise 1:60; stop restore=best; epochs 2 };"
        "phase b { optimizer sgd lr=1e-9; epochs 1 }"
    )
    whole = run(source)
    keeper = Memory()
    interrupted(source, 24, keeper)
    resumed = run(source, start=keeper.kept["last"], keeper=keeper)
    same(whole.state, resumed.state)
    assert whole.valid == resumed.valid


@pytest.mark.parametrize("step", [24, 36])
def test_a_phase_that_stopped_does_not_go_on(step: int) -> None:
    """Also where the interruption comes with the last step before the stop."""
    stop = "stop patience=1 on=train.loss min_delta=9"
    source = text(f"{stop}; phase a {{ epochs 1 }}; phase b {{ epochs 9 }}")
    whole = run(source)
    assert (whole.epochs, bool(whole.stopped)) == (3, True)
    keeper = Memory()
    interrupted(source, step, keeper)
    resumed = run(source, start=keeper.kept["last"], keeper=keeper)
    same(whole.state, resumed.state)
    for one in (resumed, run(source, start=keeper.kept["last"], keeper=keeper)):
        assert (one.epochs, one.stopped) == (3, whole.stopped)
        assert (one.train, one.valid) == (whole.train, whole.valid)


def test_a_run_that_goes_on_at_its_end_has_its_figures(dnnc: Dnnc, tmp_path: Path) -> None:
    rows = "phase a { freeze body; epochs 1 }; phase b { unfreeze body; epochs 1 }"
    (tmp_path / "net.dnn").write_text(text(rows))
    first = dnnc("train", "net.dnn", "--json").json
    answer = dnnc("train", "net.dnn", "--json", "--resume", "--out", "runs/net")
    assert answer.json["train"] == first["train"]
    assert answer.json["valid"] == first["valid"]
    # The phase does not begin, so nothing thaws.
    assert "unfrozen" not in answer.err


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("optimizer adam; epochs 4; freeze body until=3", "how often layers thaw in it was 0"),
        ("optimizer adam; phase a { epochs 2; freeze body }", "its phases was none and is now `a`"),
    ],
)
def test_another_training_is_not_gone_on_with(
    rows: str, words: str, dnnc: Dnnc, tmp_path: Path
) -> None:
    (tmp_path / "net.dnn").write_text(text("optimizer adam; epochs 2; freeze body until=3"))
    assert dnnc("train", "net.dnn", "-q").status == 0
    (tmp_path / "net.dnn").write_text(text(rows))
    answer = dnnc("train", "net.dnn", "--resume", "--out", "runs/net", "--json")
    assert answer.codes == ["E605"]
    assert words in answer.out


# Settings -----------------------------------------------------------------------------------------


def test_epochs_that_are_set_are_those_of_each_phase() -> None:
    """A row of the section would be that of no phase."""
    own = text("epochs 9; phase a { epochs 1 }; phase b { epochs 2 }")
    some = text("epochs 9; phase a { epochs 1 }; phase b { freeze body }")
    for source in (own, some):
        made = apply_settings(Source("net.dnn", source), ["epochs=3"]).text
        (training,) = program(made).trainings
        assert [s.epochs for s in training.stages] == [3, 3]


def test_a_setting_that_no_phase_would_see_is_refused() -> None:
    own = text("phase a { optimizer adam }; phase b { optimizer sgd }")
    with pytest.raises(DnnError, match="E310") as raised:
        apply_settings(Source("net.dnn", own), ["optimizer.lr=0.1"])
    (found,) = raised.value.diagnostics
    assert "a.optimizer.lr=0.1, b.optimizer.lr=0.1" in found.help
    one = text("optimizer adam; phase a { optimizer adam }; phase b { freeze body }")
    assert "optimizer adam lr=0.1" in apply_settings(Source("n", one), ["optimizer.lr=0.1"]).text


# Who looks on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_what_goes_wrong_in_a_later_phase_is_named(cache: str, dnnc: Dnnc, tmp_path: Path) -> None:
    rows = f"phase a {{ freeze body cache={cache}; epochs 1 }}; phase b {{ optimizer sgd lr=1e38 }}"
    (tmp_path / "net.dnn").write_text(text(rows))
    answer = dnnc("train", "net.dnn", "--json")
    assert answer.codes == ["E602"]
    assert "(epoch 2)" in answer.out


def test_a_probe_sees_what_each_phase_trains(tmp_path: Path) -> None:
    """A batch norm that is trained normalizes by the batch; a frozen one does not."""
    source = text("phase a { freeze body; epochs 1 }; phase b { unfreeze body; epochs 1 }")
    job, artifacts = opened(source)
    backend = open_backend("cpu", 1)
    log = ProbeLog(job.task, backend, 6, tmp_path / "probe.jsonl")
    Trainer(job, artifacts, backend, Memory(), observer=log).run()
    lines = [json.loads(line) for line in log.file.read_text().splitlines()]
    spread = {
        line["epoch"]: next(
            x["activation_std"] for x in line["layers"] if x["kind"] == "batch_norm"
        )
        for line in lines
    }
    assert spread[1] < 0.8
    assert spread[2] == pytest.approx(1, abs=0.02)


def test_a_probe_has_no_gradient_below_a_foreign_operator(dnnc: Dnnc, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Atan", ["m"], ["y"]),
    ]
    graph = model(nodes, {"x": ("N", 8, 8)}, {"y": ("N", 16)}, {"w": numbers(64, 16)})
    onnx.save(graph, tmp_path / "net.onnx")
    source = 'use "net.onnx" as old\n' + text("freeze body; epochs 1")
    before, _, rest = source.partition("part body {")
    (tmp_path / "net.dnn").write_text(f"{before}part body {{ reuse old {rest[rest.index('}') :]}")
    assert dnnc("train", "net.dnn", "--every", 6, "-q").status == 0
    line = json.loads((tmp_path / "runs" / "net" / "probe.jsonl").read_text().splitlines()[0])
    spread = {x["path"]: x["gradient_std"] for x in line["layers"]}
    assert spread["body.dense_1"] is None
    assert spread["body.atan_1"] > 0
    assert dnnc("probe", "net.dnn").status == 0


def test_the_rate_that_is_found_is_of_the_phase(dnnc: Dnnc, tmp_path: Path) -> None:
    own = "phase a { optimizer adam; epochs 1 }; phase b { optimizer sgd; epochs 1 }"
    for name, rows in (("own", own), ("one", "optimizer adam; phase a { epochs 1 }")):
        (tmp_path / f"{name}.dnn").write_text(text(rows))
    assert " a.optimizer.lr=" in dnnc("lr-find", "own.dnn").out
    assert " optimizer.lr=" in dnnc("lr-find", "one.dnn").out


def test_another_host_watches_on_where_layers_thaw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "freeze body until=1; epochs 2; schedule plateau on=train.loss"
    _, artifacts = opened(text(rows))
    write_artifacts(artifacts, tmp_path / "net")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", x=rng.standard_normal((64, 8, 8)), y=rng.integers(0, 10, 64))
    path = EXAMPLES / "run_step.py"
    told = importlib.util.spec_from_file_location("run_step", path)
    assert told is not None
    assert told.loader is not None
    host: Any = importlib.util.module_from_spec(told)
    told.loader.exec_module(host)
    made: list[Any] = []

    class Watched(host.Plateau):  # type: ignore[misc]
        def __init__(self, told: Any) -> None:
            super().__init__(told)
            made.append(self)

    monkeypatch.setattr(host, "Plateau", Watched)
    data = str(tmp_path / "rows.npz")
    monkeypatch.setattr("sys.argv", ["run_step", str(tmp_path / "net"), "--data", data])
    host.main()
    assert len(made) == 1


def test_proofs_of_stages_before_a_resume_are_kept() -> None:
    source = text(
        "phase a { freeze body; epochs 1 }; phase b { unfreeze body; freeze head; epochs 2 }"
    )
    whole = run(source)
    assert [p.phase for p in whole.proofs] == ["a", "b"]
    for step in (5, 12, 14, 24):
        keeper = Memory()
        interrupted(source, step, keeper)
        resumed = run(source, start=keeper.kept["last"])
        assert resumed.proofs == whole.proofs, step
