"""The command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Answer, Dnnc

from deepdsl.cli import main


@pytest.fixture
def dnnc(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Dnnc:
    """Runs one command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        status = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(status, out, err)

    return run
