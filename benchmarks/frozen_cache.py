"""How much faster an epoch is when the outputs of a frozen body are kept, and that nothing else
changes.

    python benchmarks/frozen_cache.py [dense|conv|resnet] [--rows 4096] [--threads 1] [--rounds 2]

Trains a head on a frozen body, on rows drawn at random: with `cache=off`, in memory and from the
disk, in turn.  Prints the median seconds of an epoch after the first (validation not among them),
and whether all figures and weights are those without a cache, to the last bit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from deepdsl.compiler.build import build
from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import Job
from deepdsl.compiler.training_step import Task
from deepdsl.core.source import Source
from deepdsl.data import from_arrays
from deepdsl.data.splits import split_table
from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import Epoch
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint

BODIES = {
    "dense": ("784", "dense 512 | relu | dense 512 | relu | dense 512 | relu | dense 128 | relu"),
    "conv": (
        "1 28 28",
        "conv 16 3x3 pad=same | batch_norm | relu | max_pool 2x2 | conv 32 3x3 pad=same"
        " | batch_norm | relu | max_pool 2x2 | conv 64 3x3 pad=same | batch_norm | relu"
        " | global_avg_pool",
    ),
    "resnet": (
        "3 32 32",
        "conv 16 3x3 | batch_norm | relu; repeat 3 { residual 16 }; residual 32 stride=2;"
        " repeat 2 { residual 32 }; residual 64 stride=2; repeat 2 { residual 64 };"
        " global_avg_pool",
    ),
}
PROGRAM = """
default conv init=he_normal bias=false pad=same
block residual(filters, stride=1) {{
  main = in | conv filters 3x3 stride=stride | batch_norm | relu | conv filters 3x3 | batch_norm
  side = if stride == 1 then in else in | conv filters 1x1 stride=stride | batch_norm
  main + side | relu
}}
model net {{
  input x[{shape}]
  part body {{ {body} }}
  part head {{ dense 64 | relu | dropout 20% | dense 10 | softmax }}
}}
data rows {{ train npz "none.npz"; valid split=20%; standardize }}
train net on rows {{
  loss cross_entropy; metric accuracy; optimizer adam lr=1e-3
  batch 64; epochs 4; seed 1
  freeze body cache={cache}
}}
"""


class Told:
    """Keeps the records of the epochs and nothing else."""

    def __init__(self) -> None:
        self.records: list[Epoch] = []

    def save(self, name: str, checkpoint: Checkpoint) -> None: ...

    def load(self, name: str) -> Checkpoint | None:
        return None

    def log(self, record: Epoch) -> None:
        self.records.append(record)


def job_of(kind: str, cache: str, rows: int) -> Job:
    shape, body = BODIES[kind]
    text = PROGRAM.format(shape=shape, body=body, cache=cache)
    program, _ = load_program(Source("bench.dnn", text), data_given=True)
    (training,) = program.trainings
    spec = replace(program.datasets["rows"], train=None)
    task = Task(program.models["net"], training, spec)
    rng = np.random.default_rng(0)
    sides = tuple(map(int, shape.split()))
    x = rng.standard_normal((rows, *sides)).astype(np.float32)
    table = from_arrays({"x": x}, {TARGET: rng.integers(0, 10, rows)}, inputs={"x": sides})
    return Job(task, split_table(spec, table, training.seed), program.source)


def trained(job: Job, threads: int, place: Path) -> tuple[Told, dict[str, bytes]]:
    told = Told()
    trainer = Trainer(job, build(job), open_backend("cpu", threads), told, cache=place)
    state = trainer.run().state
    return told, {name: np.ascontiguousarray(value).tobytes() for name, value in state.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Frozen bodies with and without kept outputs.")
    parser.add_argument("kind", nargs="?", choices=list(BODIES), help="all of them by default")
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    slow = False
    print(f"{'body':8} {'cache':6} {'epoch s':>9} {'times':>6}  the same figures and weights")
    for kind in [options.kind] if options.kind else BODIES:
        seconds: dict[str, list[float]] = {"off": [], "ram": [], "disk": []}
        same = dict.fromkeys(seconds, True)
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(options.rounds):
                whole = None
                for cache in seconds:
                    job = job_of(kind, cache, options.rows)
                    told, state = trained(job, options.threads, Path(folder))
                    seconds[cache] += [r.seconds for r in told.records[1:]]
                    figures = [(r.train, r.valid) for r in told.records]
                    whole = whole or (figures, state)
                    same[cache] &= whole == (figures, state)
        best = {cache: statistics.median(all_) for cache, all_ in seconds.items()}
        for cache, value in best.items():
            times = best["off"] / value
            print(f"{kind:8} {cache:6} {value:9.4f} {times:6.1f}  {same[cache]}")
        slow |= best["off"] < 3 * best["ram"] or not all(same.values())
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
