"""The 300-100 network with leaky ReLU on Fashion-MNIST, ten epochs of plain SGD, over three seeds.

Usage: python benchmarks/fashion.py [FOLDER [EPOCHS]]

FOLDER holds the four idx files (Debian's package `dataset-fashion-mnist` installs them; the default
is its place).  The figures to expect, from a Keras run of the same network (A. Géron, Hands-On
Machine Learning, chapter 11): validation loss 0.482 and accuracy 0.840 after ten epochs, allow
0.015."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import deepdsl

PLACE = "/usr/share/datasets/fashion-mnist"  # where the package puts them
EXPECTED_LOSS, EXPECTED_ACCURACY, TOLERANCE = 0.482, 0.840, 0.015

PROGRAM = """
data fashion {{
  train idx "{folder}/train-images-idx3-ubyte.gz" target="{folder}/train-labels-idx1-ubyte.gz"
  valid first=5000
  test  idx "{folder}/t10k-images-idx3-ubyte.gz"  target="{folder}/t10k-labels-idx1-ubyte.gz"
  scale (1 / 255)
}}
model mlp {{
  input   image[28 28]
  default dense init=he_normal
  flatten
  dense 300 | leaky_relu 0.3
  dense 100 | leaky_relu 0.3
  dense 10 init=glorot_uniform | softmax
}}
train mlp on fashion {{
  loss cross_entropy; metric accuracy; optimizer sgd lr=1e-3; batch 32; epochs {epochs}
}}
"""


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else PLACE).absolute()
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    program = deepdsl.loads(PROGRAM.format(folder=folder.as_posix(), epochs=epochs))
    met = []
    with tempfile.TemporaryDirectory() as out:
        for seed in (1, 2, 3):
            run = program.train(seed=seed, out=f"{out}/{seed}")
            valid, test = run.figures["valid"], run.figures["test"]
            met.append(abs(valid["accuracy"] - EXPECTED_ACCURACY) <= TOLERANCE)
            print(
                f"seed {seed}: valid loss {valid['loss']:.4f} accuracy {valid['accuracy']:.4f}, "
                f"test accuracy {test['accuracy']:.4f}, {run.figures['step_us']:.0f} µs a step",
                flush=True,
            )
    told = "within" if all(met) else "NOT within"
    print(f"expected loss {EXPECTED_LOSS}, accuracy {EXPECTED_ACCURACY} ± {TOLERANCE}: {told}")


if __name__ == "__main__":
    main()
