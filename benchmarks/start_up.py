"""Seconds from process start: the whole of `dnnc check` on a file of 100 lines, and the first step
of `dnnc train`.

Usage: python benchmarks/start_up.py [RUNS]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
DIGITS = HERE.parent / "examples" / "digits.dnn"

FIRST_STEP = """
import sys, time
from deepdsl.training.trainer import Trainer
import os
step = Trainer._step
def first(self, *rest):
    step(self, *rest)
    print(time.time(), flush=True)
    os._exit(0)
Trainer._step = first
from deepdsl.cli import main
main(["train", "-q", sys.argv[1], "--out", sys.argv[2]])
"""


def hundred_lines() -> str:
    layers = "\n".join("  dense 50 init=he_normal | batch_norm | elu" for _ in range(76))
    text = DIGITS.read_text()
    head = "model deep {\n  input image[8 8]\n  default dense bias=false\n  flatten\n"
    return f"{text}\n{head}{layers}\n  dense 10 bias=true | softmax\n}}\n"


def dnnc(*arguments: str) -> float:
    begin = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from deepdsl.cli import main; raise SystemExit(main())",
        *arguments,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def first_step(folder: str, number: int) -> float:
    begin = time.time()
    command = [sys.executable, "-c", FIRST_STEP, str(DIGITS), f"{folder}/run{number}"]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(made.stdout) - begin


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "deep.dnn"
        file.write_text(hundred_lines())
        print(f"{len(hundred_lines().splitlines())} lines")
        checks = [dnnc("check", str(file)) for _ in range(runs + 1)][1:]
        steps = [first_step(folder, n) for n in range(runs + 1)][1:]
    for name, times in (("dnnc check", checks), ("first step", steps)):
        print(f"{name}: min {min(times):.3f} s, median {statistics.median(times):.3f} s")
    print(
        json.dumps({"check_s": statistics.median(checks), "first_step_s": statistics.median(steps)})
    )


if __name__ == "__main__":
    main()
