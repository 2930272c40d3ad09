"""A small program, and a run of it that many tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import SPEC

from deepdsl.cli import main


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.dnn"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs: read it, do not change it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "net.dnn").write_text(SPEC)
    place = folder / "run"
    assert (
        main(["train", str(folder / "net.dnn"), "-q", "--threads", "1", "--out", str(place)]) == 0
    )
    return place
