"""For all tests: the command line in this process, and settings of property tests, which try the
same examples every time where CI is set.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Answer, Dnnc
from hypothesis import HealthCheck, settings

from deepdsl.cli import main

# What lands must not depend on luck, nor on how busy a machine is; elsewhere examples are new.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if os.environ.get("CI"):
    settings.load_profile("ci")


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
