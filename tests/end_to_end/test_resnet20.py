"""The residual network of the examples: its size, a training on a folder of images, its export."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from places import EXAMPLES

import deepdsl
from deepdsl.compiler.front_end import load_program, read_source

pytest.importorskip("PIL", reason="Pillow, of the extra `images`, is not installed")

EXAMPLE = EXAMPLES / "resnet20.dnn"


def test_it_has_the_parameters_of_the_paper() -> None:
    """He et al. 2015, section 4.2, with n = 3 and option B: 3x3 kernels in 16, 32 and 64 channels,
    1x1 kernels where the size changes, two numbers for each channel that is normalized.
    """
    kernels = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    shortcuts = 16 * 32 + 32 * 64
    normalized = 16 + 6 * (16 + 32 + 64) + 32 + 64
    head = 64 * 10 + 10
    wanted = kernels + shortcuts + 2 * normalized + head
    assert wanted == 272_474
    (model,) = load_program(read_source(EXAMPLE))[0].models.values()
    assert sum(p.type.count or 0 for p in model.params if p.trainable) == wanted
    assert sum(p.type.count or 0 for p in model.params) == wanted + 2 * normalized
    names = {p.name for p in model.params}
    assert "body.stage_2.residual_1.conv_1.weight" in names
    assert Counter(c.layer.name for c in model.calls)["conv"] == 21


def images(folder: Path, count: int) -> None:
    """Ten classes, told by their colour."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in range(10):
        place = folder / f"class_{label}"
        place.mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 60, (32, 32, 3)) + 18 * label
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


def test_it_trains_on_a_folder_and_its_export_has_no_batch_norm(tmp_path: Path) -> None:
    images(tmp_path / "cifar" / "train", 10)
    images(tmp_path / "cifar" / "test", 1)
    text = EXAMPLE.read_text().replace("batch      128", "batch      45")
    text = re.sub(r"epochs +160", "epochs 2", text)
    (tmp_path / "resnet20.dnn").write_text(text)
    run = deepdsl.load(tmp_path / "resnet20.dnn").train(out=tmp_path / "run")
    assert np.isfinite(run.figures["train"]["loss"])
    exported = run.export(tmp_path / "resnet20.onnx")
    assert exported.folded == 21
    nodes = Counter(n.op_type for n in onnx.load(tmp_path / "resnet20.onnx").graph.node)
    assert nodes["Conv"] == 21
    assert nodes["BatchNormalization"] == nodes["Sqrt"] == nodes["Div"] - 1 == 0  # one of normalize
    assert nodes["Add"] == 9
