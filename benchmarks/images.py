"""How much of a training the step waits for its rows, on a folder of images and on a csv file.

    python benchmarks/images.py [--count 10000] [--side 32] [--model conv|dense] [--workers N]

Makes a folder of images (the same ones each time), trains two epochs on it with augmentation, and
prints for each epoch the seconds, those in which the step waited for rows, and their share; then
the same for a csv file of 784 columns that stays on the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from deepdsl.compiler.build import build
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import Job, open_job
from deepdsl.core.source import Source
from deepdsl.data import files
from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import Epoch
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint

CONV = "conv 16 3x3 pad=same | relu | conv 16 3x3 stride=2 pad=same | relu | global_avg_pool"
DENSE = "flatten | dense 256 | relu | dense 256 | relu"
PROGRAM = """
model net {{ input image[3 {side} {side}]; {body} | dense 10 | softmax }}
data photos {{
  train images "photos" {size}
  augment flip horizontal
  augment crop pad={pad}
  normalize mean=[0.5] std=[0.25]
}}
train net on photos {{ loss cross_entropy; optimizer sgd lr=0.05; batch {batch}; epochs 2; seed 1 }}
"""
TABLE = """
model net { input x[784]; dense 300 | relu | dense 100 | relu | dense 10 | softmax }
data rows { train csv "rows.csv" target=label; scale (1 / 255) }
train net on rows { loss cross_entropy; optimizer adam; batch 32; epochs 2; seed 1 }
"""


class Nowhere:
    """Keeps the records of the epochs and nothing else."""

    def __init__(self) -> None:
        self.records: list[Epoch] = []

    def save(self, name: str, checkpoint: Checkpoint) -> None: ...

    def load(self, name: str) -> Checkpoint | None:
        return None

    def log(self, record: Epoch) -> None:
        self.records.append(record)


def make_images(folder: Path, count: int, side: int, suffix: str) -> None:
    """Ten classes of blocks of colour with noise, which compress about as photographs do."""
    random = np.random.default_rng(0)
    for i in range(count):
        place = folder / f"class-{i % 10}"
        place.mkdir(parents=True, exist_ok=True)
        blocks = random.integers(0, 256, (4, 4, 3)).repeat(side // 4, 0).repeat(side // 4, 1)
        pixels = (blocks + random.normal(0, 8, blocks.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{i:06}{suffix}")


def make_table(file: Path, count: int) -> None:
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (count, 784))
    with file.open("w") as stream:
        stream.write(",".join(f"p{i}" for i in range(784)) + ",label\n")
        for i, row in enumerate(rows.tolist()):
            stream.write(",".join(map(str, row)) + f",{i % 10}\n")


def opened(text: str, folder: Path) -> Job:
    program, _ = load_program(Source("bench.dnn", text))
    return open_job(program, program.trainings[0], folder)


def measure(name: str, text: str, folder: Path, workers: int | None) -> None:
    begin = time.perf_counter()
    job = opened(text, folder)
    print(f"{name}: opened in {time.perf_counter() - begin:.2f} s")
    keeper = Nowhere()
    trainer = Trainer(job, build(job), open_backend("cpu"), keeper, workers=workers)
    trainer.run()
    for record in keeper.records:
        steps = job.steps_per_epoch
        print(
            f"  epoch {record.number}: {record.seconds:.2f} s, {1e3 * record.seconds / steps:.2f}"
            f" ms a step, waited {record.data_wait:.3f} s,"
            f" {100 * record.data_wait / record.seconds:.1f} %"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--file-side", type=int, help="of the files, where they are resized")
    parser.add_argument("--suffix", default=".png")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--model", choices=("conv", "dense"), default="conv")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--rows", type=int, default=10_000, help="of the csv file")
    options = parser.parse_args()
    side = options.side
    size = f"size={side}x{side}" if options.file_side else ""
    body = CONV if options.model == "conv" else DENSE
    text = PROGRAM.format(
        side=side, body=body, size=size, pad=max(1, side // 8), batch=options.batch
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.count:
            make_images(folder / "photos", options.count, options.file_side or side, options.suffix)
            measure(f"{options.count:,} images", text, folder, options.workers)
        if options.rows:
            make_table(folder / "rows.csv", options.rows)
            files.IN_MEMORY = files.KEPT = 0
            measure(f"{options.rows:,} rows of csv", TABLE, folder, options.workers)


if __name__ == "__main__":
    main()
