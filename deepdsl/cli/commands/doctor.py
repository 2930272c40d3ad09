"""`dnnc doctor`: versions, cores, devices, and whether a step runs on each."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deepdsl.cli.output import Output, table
from deepdsl.compiler.build import build
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.cores import usable_cores
from deepdsl.core.source import Source
from deepdsl.core.version import VERSION
from deepdsl.diagnostics import DnnError, ExitStatus
from deepdsl.graph.backend import DEFAULT_DEVICE, devices, open_backend
from deepdsl.training.stages import step_model

SUMMARY = "show what this machine can run"
POSITION = 19  # in `dnnc --help`

PACKAGES = ("lark", "numpy", "onnx", "onnxruntime-gpu", "onnxruntime", "safetensors", "tqdm")
PROBE = """
data digits { train builtin digits }
model probe { input image[8 8]; flatten | dense 10 | softmax }
train probe on digits { loss cross_entropy; optimizer sgd lr=1e-2; batch 32; seed 1 }
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments beside the common ones."""


def run(options: argparse.Namespace, output: Output) -> int:
    packages = {name: _version(name) for name in PACKAGES}
    reasons = {name: _why_not(name) for name in devices()}
    rows = [
        ["deepdsl", VERSION],
        ["python", platform.python_version()],
        ["system", platform.platform()],
    ]
    rows += [["cores", str(usable_cores())]]
    rows += [[name, found] for name, found in packages.items() if found]
    rows += [[name, "works" if not why else f"not usable: {why}"] for name, why in reasons.items()]
    problems = []
    if packages["onnxruntime-gpu"] and packages["onnxruntime"]:
        problems.append(
            "onnxruntime and onnxruntime-gpu are both installed and share a folder: "
            "uninstall both, then install one"
        )
    text = "\n".join([table(rows), *(f"problem: {p}" for p in problems)])
    output.result(
        text,
        {
            "deepdsl": VERSION,
            "python": platform.python_version(),
            "packages": packages,
            "devices": {name: {"works": not why, "reason": why} for name, why in reasons.items()},
            "problems": problems,
        },
    )
    broken = reasons.get(DEFAULT_DEVICE, "not installed") or problems
    return ExitStatus.RUNTIME if broken else 0


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _why_not(device: str) -> str:
    """Why one training step does not run on a device; empty when it does."""
    try:
        backend = open_backend(device)
        program, _ = load_program(Source("<probe>", PROBE))
        artifacts = build(open_job(program, program.trainings[0], Path(), ("train",)))
        stepper = backend.stepper(step_model(artifacts.stages[0]), artifacts.step_state)
        stepper.buffers(32)
        return "" if stepper.step(32)["all_finite"] else "a step gave NaN"
    except DnnError as error:
        first = error.diagnostics[0]
        return getattr(first, "reason", "") or first.message
