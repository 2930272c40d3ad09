"""A training step here and in PyTorch eager, in turn, in one run.

Usage: python benchmarks/step_ratio.py [WORKLOAD] [ROUNDS]      (needs the extra `oracle`)

The workloads are `mlp32` (784-300-100-10, relu, batch 32) and `cnn128` (two 3x3 convolutions of 32
and 64 filters, relu, a 2x2 max pool, 128, 10, batch 128), both with Adam.  Each round runs each
side in a process of its own, two threads, over the same number of rows in memory, shuffled,
gathering the batch included.  Printed are the fastest epoch's microseconds a step of each round,
and the ratio of the medians."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCHS = 5

TRAIN = """
data noise {{ train npz "noise.npz" }}
train net on noise {{
  loss cross_entropy; optimizer adam lr=1e-3; batch {batch}; epochs {epochs}; seed 0
}}
"""


def mlp() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def cnn() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 14 * 14, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


@dataclass(frozen=True)
class Workload:
    model: str
    shape: tuple[int, ...]
    rows: int
    batch: int
    net: Any

    @property
    def steps(self) -> int:
        return self.rows // self.batch


WORKLOADS = {
    "mlp32": Workload(
        "input x[784]; dense 300 | relu | dense 100 | relu | dense 10 | softmax",
        (784,),
        12_800,
        32,
        mlp,
    ),
    "cnn128": Workload(
        "input x[1 28 28]; conv 32 3x3 pad=same | relu | conv 64 3x3 pad=same | relu\n"
        "max_pool 2x2 | flatten | dense 128 | relu | dense 10 | softmax",
        (1, 28, 28),
        2_560,
        128,
        cnn,
    ),
}


def noise(work: Workload) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((work.rows, *work.shape)).astype("float32")
    return x, rng.integers(0, 10, work.rows)


def ours(work: Workload) -> list[float]:
    """Microseconds a step of each epoch, through the trainer itself."""
    import numpy as np

    from deepdsl.compiler.build import build
    from deepdsl.compiler.front_end import check
    from deepdsl.compiler.job import open_job
    from deepdsl.core.source import Source
    from deepdsl.graph.backend import open_backend
    from deepdsl.training.callbacks import Epoch, NullCallback
    from deepdsl.training.trainer import Trainer

    class Memory:
        def save(self, name: str, checkpoint: object) -> None: ...
        def load(self, name: str) -> None: ...
        def log(self, record: Epoch) -> None: ...

    class Clock(NullCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def epoch_done(self, record: Epoch) -> None:
            self.times.append(record.seconds / work.steps * 1e6)

    with tempfile.TemporaryDirectory() as folder:
        x, y = noise(work)
        np.savez(Path(folder) / "noise.npz", x=x, y=y)
        text = f"model net {{ {work.model} }}" + TRAIN.format(batch=work.batch, epochs=EPOCHS + 1)
        program, report = check(Source("bench", text))
        assert program is not None, list(report)
        job = open_job(program, program.trainings[0], Path(folder), ("train",))
        clock = Clock()
        Trainer(job, build(job), open_backend("cpu", 2), Memory(), clock).run()
    return clock.times[1:]


def torch_eager(work: Workload) -> list[float]:
    """The same in PyTorch: nn.Sequential, fused Adam, tensors in memory, randperm."""
    import time

    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    net = work.net()
    loss = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    x, y = (torch.tensor(a) for a in noise(work))

    def epoch() -> float:
        order = torch.randperm(work.rows)
        begin = time.perf_counter()
        for start in range(0, work.rows, work.batch):
            rows = order[start : start + work.batch]
            optimizer.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimizer.step()
        return (time.perf_counter() - begin) / work.steps * 1e6

    epoch()
    return [epoch() for _ in range(EPOCHS)]


SIDES = {"deepdsl": ours, "torch": torch_eager}


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] in SIDES:
        print(json.dumps(SIDES[sys.argv[1]](WORKLOADS[sys.argv[2]])))
        return
    given = sys.argv[1:]
    name = given.pop(0) if given and given[0] in WORKLOADS else "mlp32"
    rounds = int(given[0]) if given else 5
    best: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES:
            made = subprocess.run(
                [sys.executable, __file__, side, name], capture_output=True, text=True, check=True
            )
            best[side].append(min(json.loads(made.stdout)))
        told = "  ".join(f"{side} {times[-1]:7.0f} µs" for side, times in best.items())
        print(f"{name}, round {number + 1}: {told}", flush=True)
    ratio = statistics.median(best["deepdsl"]) / statistics.median(best["torch"])
    print(f"median of the rounds' minima, deepdsl / torch eager: {ratio:.2f}")


if __name__ == "__main__":
    main()
