"""Digests of what `dnnc build` writes for every example and forty generated programs.

A change that only moves code must not change a byte of it:

    python benchmarks/build_digests.py > before.txt     # and again afterwards; compare with diff

A line is a program and the sha256 over the names and sha256s of its files.  The generated programs
are functions of their number; data that an example needs is made here, the same each time.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
DIGITS = (
    "data digits { train builtin digits; valid split=10%STRATIFY; test builtin digits; "
    "scale (1 / 16) }"
)
INITIALIZERS = ["he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal"]
INITIALIZERS += ["orthogonal"]
ACTIVATIONS = ["relu", "elu", "selu", "gelu", "swish", "tanh", "sigmoid", "softplus", "prelu"]
ACTIVATIONS += ["leaky_relu 0.2", "mish"]
OPTIMIZERS = [
    "sgd lr=1e-2",
    "sgd lr=1e-2 momentum=0.9",
    "sgd lr=1e-2 momentum=0.9 nesterov=true",
    "adam lr=1e-3",
    "adamw lr=1e-3 weight_decay=1e-2",
    "nadam lr=1e-3",
    "adamax lr=1e-3",
    "rmsprop lr=1e-3",
    "rmsprop lr=1e-3 momentum=0.9 centered=true",
    "adagrad lr=1e-2",
    "lion lr=1e-4",
    "amsgrad lr=1e-3",
]
SCHEDULES = [
    "",
    "schedule exponential factor=0.1 every=20",
    "schedule piecewise 0:0.01 3:0.001",
    "schedule cosine",
    "schedule one_cycle max=0.1",
    "schedule power every=10",
    "schedule plateau factor=0.5 patience=3",
    "schedule cosine warmup=2",
]
CLIPS = ["", "clip global_norm=1.0", "clip value=0.5", "clip norm=1.0"]
KINDS = ["dense", "conv", "residual", "sequence", "regression"]


def program(number: int) -> str:
    """A generated program: a network, its data and its training."""
    r = random.Random(1000 + number)
    kind = KINDS[number % len(KINDS)]
    regression = kind == "regression"
    body = [*_body(r, kind), "dense 1" if regression else "dense 10 | softmax"]
    if regression:
        losses = ["mean_squared_error", "huber", "mean_absolute_error"]
        metrics = ["mae", "rmse", "r2", "mae rmse"]
    else:
        losses = ["cross_entropy", "cross_entropy smoothing=0.1", "focal"]
        metrics = ["accuracy", "top5", "f1", "accuracy top5"]
    schedule = r.choice(SCHEDULES)
    rows = [f"loss {r.choice(losses)}", f"metric {r.choice(metrics)}"]
    rows += [f"optimizer {r.choice(OPTIMIZERS)}", schedule, r.choice(CLIPS)]
    if r.random() < 0.25 and "plateau" not in schedule:
        rows.append("accumulate 4")
    rows += [f"batch {r.choice([16, 32, 50])}", f"seed {r.randint(0, 99)}"]
    rows += _freezing(r, kind)
    data = DIGITS.replace("STRATIFY", "" if regression else " stratify=true")
    train = "; ".join(row for row in rows if row)
    lines = "".join(f"  {line}\n" for line in ["input image[8 8]", *body])
    return f"{data}\nmodel net {{\n{lines}}}\ntrain net on digits {{ {train} }}\n"


def _body(r: random.Random, kind: str) -> list[str]:
    if kind == "conv":
        part = "; ".join(_layer(r, conv=True) for _ in range(r.randint(1, 3)))
        return [
            "reshape [1 8 8]",
            f"part body {{ {part} }}",
            r.choice(["global_avg_pool", "flatten"]),
        ]
    if kind == "residual":
        lines, before = ["h0 = image | flatten | dense 32"], "h0"
        for n in range(1, r.randint(2, 4)):
            act = r.choice(ACTIVATIONS)
            lines += [f"m{n} = {before} | dense 32 | {act} | dense 32"]
            lines += [f"h{n} = m{n} + {before} | {r.choice(ACTIVATIONS)}"]
            before = f"h{n}"
        return [*lines, f"{before} | dropout 20%"]
    if kind == "sequence":
        cell = r.choice(["lstm 12", "gru 12", "gru 9", "lstm 7", "attention heads=2"])
        return [cell, *(["layer_norm"] if r.random() < 0.5 else []), "flatten"]
    part = "; ".join(_layer(r, conv=False) for _ in range(r.randint(1, 6)))
    return ["flatten", f"part body {{ {part} }}"]


def _layer(r: random.Random, conv: bool) -> str:
    if conv:
        size, stride = r.choice(["3x3", "1x1", "5x5"]), r.choice([1, 1, 2])
        layer = f"conv {r.choice([4, 6, 8])} {size} pad=same stride={stride}"
    else:
        layer = f"dense {r.choice([16, 24, 32, 40])}"
    norm = r.random() < 0.4
    layer += f" init={r.choice(INITIALIZERS)}" if r.random() < 0.6 else ""
    layer += " bias=false | batch_norm" if norm else f" l2={r.choice(['1e-3', '1e-4'])}"
    layer += f" | {r.choice(ACTIVATIONS)}"
    return layer + (f" | dropout {r.choice(['10%', '25%'])}" if r.random() < 0.25 else "")


def _freezing(r: random.Random, kind: str) -> list[str]:
    if kind == "dense":
        return [r.choice(["freeze body until=3", "lr_mult body=0.1", ""]), "epochs 10"]
    if kind == "conv" and r.random() < 0.6:
        first, second = "freeze body; epochs 2", "unfreeze body; lr_mult body=0.1; epochs 3"
        return [f"phase first {{ {first} }}", f"phase second {{ {second} }}"]
    return ["epochs 10"]


def make_data(folder: Path) -> None:
    """The data that the examples name, in small: the graphs do not depend on its numbers."""
    r = np.random.default_rng(0)
    for name in ("pairs", "pairs_test"):
        x1, x2 = r.integers(0, 17, (2, 400, 8, 8)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x1=x1, x2=x2, same=r.integers(0, 2, 400))
    for split in ("train", "test"):
        for number in range(100):
            place = folder / "cifar" / split / f"class{number % 10}"
            place.mkdir(parents=True, exist_ok=True)
            pixels = r.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    (folder / "fashion").mkdir()
    for split, rows in (("train", 6000), ("t10k", 100)):
        images = b"\0\0\x08\x03" + np.array([rows, 28, 28], ">i4").tobytes() + bytes(784 * rows)
        labels = b"\0\0\x08\x01" + np.array([rows], ">i4").tobytes()
        labels += (np.arange(rows) % 10).astype(np.uint8).tobytes()
        for name, content in (("images-idx3", images), ("labels-idx1", labels)):
            file = folder / "fashion" / f"{split}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(content, mtime=0))


def programs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each program's name, and the arguments of the command that builds it."""
    for file in sorted(folder.glob("*.dnn")):
        # `build` reads no runs of other models of the file, which the classifier would need.
        yield file.stem, [str(file), *(["--model", "coder"] if file.stem == "pretrain" else [])]


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.update(f"{file.relative_to(folder)} ".encode())
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copytree(EXAMPLES, work / "examples")
        make_data(work / "examples")
        for number in range(40):
            (work / "examples" / f"generated{number:02}.dnn").write_text(program(number))

        def dnnc(*arguments: str) -> None:
            command = [sys.executable, "-m", "deepdsl", *arguments, "-q"]
            subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)

        dnnc("train", "examples/digits.dnn", "--out", "runs/digits")
        for title, arguments in programs(work / "examples"):
            out = work / "out" / title.replace(" ", "-")
            dnnc("build", *arguments, "-o", str(out))
            print(f"{title:22} {digest(out)}", flush=True)


if __name__ == "__main__":
    main()
