"""A training step of 784-300-100-10 (relu, batch 32, Adam) here and in PyTorch eager, in turn, in
one run.

Usage: python benchmarks/step_ratio.py [ROUNDS]      (needs the extra `oracle`)

Each round runs each side in a process of its own, two threads, over the same number of rows in
memory, shuffled, gathering the batch included.  Printed are the fastest epoch's microseconds a step
of each round, and the ratio of the medians."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS, BATCH, EPOCHS = 12_800, 32, 5

OURS = """
data noise {{ train npz "{path}" }}
model mlp {{ input x[784]; dense 300 | relu | dense 100 | relu | dense 10 | softmax }}
train mlp on noise {{
  loss cross_entropy; optimizer adam lr=1e-3; batch {batch}; epochs {epochs}; seed 0
}}
"""


def noise() -> tuple[object, object]:
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, 784)).astype("float32"), rng.integers(0, 10, ROWS)


def ours() -> list[float]:
    """Microseconds a step of each epoch, through the trainer itself."""
    import numpy as np

    from deepdsl.backend import open_backend
    from deepdsl.compiler import build, check, open_job
    from deepdsl.source import Source
    from deepdsl.trainer import Epoch, Silent, Trainer

    class Memory:
        def save(self, name: str, checkpoint: object) -> None: ...
        def load(self, name: str) -> None: ...
        def log(self, record: Epoch) -> None: ...

    class Clock(Silent):
        def __init__(self) -> None:
            self.times: list[float] = []

        def epoch_done(self, record: Epoch) -> None:
            self.times.append(record.seconds / (ROWS // BATCH) * 1e6)

    with tempfile.TemporaryDirectory() as folder:
        x, y = noise()
        np.savez(Path(folder) / "noise.npz", x=x, y=y)
        text = OURS.format(path="noise.npz", batch=BATCH, epochs=EPOCHS + 1)
        program, report = check(Source("bench", text))
        assert program is not None, list(report)
        job = open_job(program, program.trainings[0], Path(folder), ("train",))
        clock = Clock()
        Trainer(job, build(job), open_backend("cpu", 2), Memory(), clock).run()
    return clock.times[1:]


def torch_eager() -> list[float]:
    """The same in PyTorch: nn.Sequential, fused Adam, tensors in memory, randperm."""
    import time

    import torch
    from torch import nn

    torch.set_num_threads(2)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    x, y = (torch.tensor(a) for a in noise())

    def epoch() -> float:
        order = torch.randperm(ROWS)
        begin = time.perf_counter()
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimizer.step()
        return (time.perf_counter() - begin) / (ROWS // BATCH) * 1e6

    epoch()
    return [epoch() for _ in range(EPOCHS)]


SIDES = {"deepdsl": ours, "torch": torch_eager}


def main() -> None:
    if len(sys.argv) == 2 and sys.argv[1] in SIDES:
        print(json.dumps(SIDES[sys.argv[1]]()))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    best: dict[str, list[float]] = {name: [] for name in SIDES}
    for number in range(rounds):
        for name in SIDES:
            made = subprocess.run(
                [sys.executable, __file__, name], capture_output=True, text=True, check=True
            )
            best[name].append(min(json.loads(made.stdout)))
        told = "  ".join(f"{name} {times[-1]:7.0f} µs" for name, times in best.items())
        print(f"round {number + 1}: {told}", flush=True)
    ratio = statistics.median(best["deepdsl"]) / statistics.median(best["torch"])
    print(f"median of the rounds' minima, deepdsl / torch eager: {ratio:.2f}")


if __name__ == "__main__":
    main()
