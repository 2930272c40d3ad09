"""A backend of another distribution: its class and its entry point are all that it takes."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import pytest
from commands import Dnnc
from deepdsl.backends.cpu import CpuBackend

from deepdsl.diagnostics import DnnError
from deepdsl.graph import backend
from deepdsl.graph.backend import devices, open_backend


class ToyBackend(CpuBackend):
    name = "toy"
    priority = 99


class BrokenBackend(CpuBackend):
    name = "broken"
    priority = 100

    @staticmethod
    def unavailable() -> str | None:
        return "its cable is loose; push it in"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("toy_backends")
    module.ToyBackend, module.BrokenBackend = ToyBackend, BrokenBackend  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_backends", module)
    group = "deepdsl.backends"
    new = [
        EntryPoint("toy", "toy_backends:ToyBackend", group),
        EntryPoint("broken", "toy_backends:BrokenBackend", group),
    ]
    every = [*entry_points(group=group), *new]
    monkeypatch.setattr(backend, "entry_points", lambda group: every)


def test_it_is_found() -> None:
    assert devices() == ("cpu", "broken", "cuda", "toy")
    assert isinstance(open_backend("toy"), ToyBackend)


def test_auto_takes_the_available_one_of_the_highest_priority() -> None:
    assert isinstance(open_backend("auto"), ToyBackend)


def test_one_that_is_unavailable_says_why() -> None:
    with pytest.raises(DnnError, match="E601") as caught:
        open_backend("broken")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == (
        "the device `broken` cannot be used: its cable is loose; push it in"
    )


def test_a_misspelt_one_is_known(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("train", "net.dnn", "--device", "toi", "--json")
    assert (answer.status, answer.codes) == (4, ["E601"])
    assert "did you mean `toy`?" in answer.err


@pytest.mark.parametrize("command", ["train", "lr-find", "eval", "predict", "report", "bench"])
def test_help_names_it(dnnc: Dnnc, command: str) -> None:
    told = " ".join(dnnc(command, "--help").out.split())
    assert "cpu (default), broken, cuda, toy, or auto" in told


def test_the_doctor_tries_it(dnnc: Dnnc) -> None:
    told = dnnc("doctor", "--json").json["devices"]
    assert list(told) == ["cpu", "broken", "cuda", "toy"]
    assert told["toy"] == {"works": True, "reason": ""}
    assert told["broken"] == {"works": False, "reason": "its cable is loose; push it in"}


def test_a_model_is_trained_on_it(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("train", "net.dnn", "--device", "toy", "--epochs", 1, "--out", "run")
    assert answer.status == 0, answer.err
    timed = dnnc("bench", "net.dnn", "--device", "toy", "--steps", 2, "--json").json
    assert timed["device"] == "toy"
