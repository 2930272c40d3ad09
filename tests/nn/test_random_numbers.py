"""The counter-based random numbers: uniform, and independent of neighbours, steps and keys."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from workbench import reference

from deepdsl.graph import Builder, Type
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.nn.initializers import stream_key
from deepdsl.nn.layers.random_draws import UniformLike

Array = np.ndarray[Any, Any]
COUNT = 1 << 16


def graph(key: int) -> Any:
    b = Builder()
    x, step = b.input("x", Type(("N",))), b.input("step", Type((), "u32"))
    return b.graph({"out": b.add(UniformLike(key), x, step)})


@cache
def runner(key: int) -> Any:
    return open_backend("cpu", 1).runner(emit(graph(key), "random").serialize())


def draw(key: int = 0, step: int = 0, count: int = COUNT) -> Array:
    feeds = {"x": np.zeros(count, np.float32), "step": np.array(step, np.uint32)}
    out: Array = runner(key).run(feeds)["out"]
    return out


def chi_square(cells: Array, kinds: int) -> float:
    """By how many deviations Pearson's statistic of equally probable cells is off its mean."""
    counts = np.bincount(cells.ravel(), minlength=kinds)
    wanted = cells.size / kinds
    statistic = ((counts - wanted) ** 2 / wanted).sum()
    return float((statistic - (kinds - 1)) / np.sqrt(2 * (kinds - 1)))


KEYS = [0, 1, 2, 12345, 0xFFFFFFFF, stream_key(0, "a", "random") & 0xFFFFFFFF]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("step", [0, 1, 2**32 - 1])
def test_uniform(key: int, step: int) -> None:
    made = draw(key, step)
    assert made.min() >= 0
    assert made.max() < 1
    assert abs(chi_square((made * 256).astype(int), 256)) < 5
    assert made.mean() == pytest.approx(0.5, abs=5 * (1 / 12 / COUNT) ** 0.5)


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 64, 256, 784, 4096])
def test_neighbours_are_independent(lag: int) -> None:
    made = (draw(7) * 16).astype(int)
    assert abs(chi_square(16 * made[:-lag] + made[lag:], 256)) < 5


@pytest.mark.parametrize("other", [(0, 1), (1, 0), (0, 2), (1, 1), (0, 1 << 16)], ids=str)
def test_steps_and_keys_are_independent(other: tuple[int, int]) -> None:
    key, step = other
    first, second = (draw() * 16).astype(int), (draw(key, step) * 16).astype(int)
    assert abs(chi_square(16 * first + second, 256)) < 5


def test_one_element_over_many_steps() -> None:
    made = np.array([draw(3, step, 4)[1] for step in range(400)])
    assert abs(chi_square((made * 8).astype(int), 8)) < 5
    assert abs(np.corrcoef(made[:-1], made[1:])[0, 1]) < 0.2


def test_no_step_is_a_shifted_copy_of_another() -> None:
    first = draw(0, 0, 4096)
    for step in (1, 2, 3):
        assert not np.isin(draw(0, step, 4096)[:64], first).sum() > 4


def test_the_reference_draws_the_same_numbers() -> None:
    feeds = {"x": np.zeros(64, np.float32), "step": np.array(9, np.uint32)}
    assert np.array_equal(reference(graph(5), feeds)["out"], draw(5, 9, 64))


def test_fixed_values() -> None:
    """These numbers may never change: a resumed run would draw other masks than it began with."""
    assert (draw(1, 2, 4) * 2**24).astype(int).tolist() == [5116997, 3443466, 13140449, 7473317]
