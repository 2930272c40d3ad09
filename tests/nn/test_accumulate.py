"""`accumulate N`: N batches make the update of one batch that is N times as large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Memory, Training, near, opened, run, training_file

from deepdsl.graph import show_graph
from deepdsl.transfer.weights.checkpoint import Checkpoint

Array = np.ndarray[Any, Any]
MODEL = "input x[6]\n dense 8 l2=1e-3 max_norm=0.8 | tanh | dense 5 | relu | dense 3 | softmax"
UPDATES = 50


def pair(rows: str, count: int, epoch: int = 3) -> tuple[Training, Training]:
    """The same training in batches of a `count`-th, and in whole ones."""
    base = f"loss cross_entropy; metric accuracy; {rows}"
    small = training_file(MODEL, f"{base}; accumulate {count}")
    parts = Training(small, steps_per_epoch=epoch * count)
    return parts, Training(training_file(MODEL, base), steps_per_epoch=epoch)


def batches(sizes: list[int], seed: int) -> list[dict[str, Array]]:
    rng = np.random.default_rng(seed)
    return [
        {"x": rng.standard_normal((n, 6)).astype(np.float32), "target": rng.integers(0, 3, n)}
        for n in sizes
    ]


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


@pytest.mark.parametrize("sizes", [[8] * 4, [8, 8, 5, 1], [32], [1, 1, 1]], ids=str)
@pytest.mark.parametrize(
    "rows",
    [
        "optimizer sgd lr=0.1 momentum=0.9",
        "optimizer adam lr=0.01 epsilon=1e-3",
        "optimizer nadam lr=0.01 epsilon=1e-3; schedule exponential every=2 warmup=1",
        "optimizer adamw lr=0.01 epsilon=1e-3; clip global_norm=0.1; schedule linear",
        "optimizer adagrad lr=0.1; clip norm=0.05 value=0.02; schedule piecewise 7:0.05 per=step",
    ],
)
def test_updates_are_those_of_the_whole_batch(rows: str, sizes: list[int]) -> None:
    parts, whole = pair(rows, len(sizes))
    for update in range(UPDATES):
        fed = batches(sizes, update)
        rates = {float(parts.step(**batch)["lr"]) for batch in fed}
        result = whole.step(**joined(fed))
        assert rates == {float(result["lr"])}
        for name in [p.name for p in whole.graph.params if p.name != "step"]:
            near(parts.weight(name), whole.weight(name), 1e-6)
    assert parts.weight("step") == UPDATES * len(sizes)


def test_nothing_moves_before_the_group_is_full() -> None:
    parts, _ = pair("optimizer nadam", 3)
    before = {k: v.copy() for k, v in parts.state.items()}
    kept = [n for n in before if n != "step" and not n.startswith("accumulated.")]
    first, second, third = batches([4, 4, 4], 0)
    for batch in (first, second):
        parts.step(**batch)
        for name in kept:
            assert np.array_equal(parts.weight(name), before[name]), name
    assert parts.weight("accumulated.rows") == 8
    parts.step(**third)
    assert all(not np.array_equal(parts.weight(name), before[name]) for name in kept)
    # The sums begin anew.
    sums = [n for n in parts.state if n.startswith("accumulated.")]
    assert len(sums) == 1 + 6
    assert not any(parts.weight(name).any() for name in sums)


def test_sums_are_part_of_the_state() -> None:
    parts, _ = pair("optimizer adam", 2)
    roles = {p.name: p.role for p in parts.graph.params if p.name.startswith("accumulated.")}
    assert roles.pop("accumulated.rows") == "counter"
    assert set(roles.values()) == {"slot"}


@pytest.mark.parametrize("rows", ["optimizer sgd momentum=0.9", "optimizer adam; clip norm=1"])
def test_without_the_row_the_graph_is_as_before(rows: str) -> None:
    text = training_file(MODEL, f"loss cross_entropy; {rows}")
    one = training_file(MODEL, f"loss cross_entropy; {rows}; accumulate 1")
    assert show_graph(Training(one).graph) == show_graph(Training(text).graph)
    assert "accumulated" not in show_graph(Training(one).graph)


DIGITS = """
data digits { train builtin digits; take 200 }
model net { input image[8 8]; flatten | dense 16 | relu | dropout 20% | dense 10 | softmax }
train net on digits {
  loss cross_entropy; optimizer adam lr=1e-2; accumulate 3; batch 32; epochs 3; seed 2
}
"""


def test_a_partial_group_goes_on_in_the_next_epoch() -> None:
    """Seven batches an epoch, the last of 8 rows: updates after 3, 6, 9 … batches."""
    keeper = Memory()
    outcome = run(DIGITS, keeper=keeper)
    assert outcome.steps == 21
    assert [r.step for r in keeper.records] == [7, 14, 21]
    assert not outcome.state["accumulated.rows"]
    first = run(DIGITS.replace("epochs 3", "epochs 1"))
    assert first.state["accumulated.rows"] == 8
    assert first.state["accumulated.gradient.dense_1.weight"].any()


@pytest.mark.parametrize("epochs", [1, 2])
def test_resumed_between_epochs(epochs: int) -> None:
    keeper = Memory()
    run(DIGITS.replace("epochs 3", f"epochs {epochs}"), keeper=keeper)
    start: Checkpoint = keeper.kept["last"]
    resumed, whole = run(DIGITS, start=start), run(DIGITS)
    for name, value in whole.state.items():
        assert np.array_equal(value, resumed.state[name]), name


def test_masks_are_those_of_the_single_batch() -> None:
    """Dropout counts batches: two batches of a group have two masks."""
    _, artifacts = opened(DIGITS)
    readers = [n for n in artifacts.step_graph.nodes if n.op.title == "uniform_like"]
    assert len(readers) == 1
    parts = Training(DIGITS.replace("train builtin digits; take 200", 'train npz "none.npz"'))
    batch = {"image": np.ones((4, 8, 8), np.float32), "target": np.zeros(4, np.int64)}
    assert float(parts.step(**batch)["loss"]) != float(parts.step(**batch)["loss"])
