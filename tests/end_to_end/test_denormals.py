"""Denormal numbers are flushed while a graph runs; the caller's own arithmetic is left as it is."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import scaled
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the floating-point environment is set on Linux x86-64",
)


def halved() -> bytes:
    b = Builder()
    x = b.input("x", Type(("N",)))
    return emit(b.graph({"y": scaled(b, 0.5, x)}), "halved").serialize()


def test_a_run_flushes_and_the_caller_does_not(tmp_path: Path) -> None:
    smallest = np.full(4, 1.5e-38, np.float32)  # normal, and its half is not
    made = open_backend("cpu").runner(halved()).run({"x": smallest})["y"]
    assert (made == 0).all()
    assert (smallest * np.float32(0.5) > 0).all()
