"""What an exported model of images is tried with: numbers that an image can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")

from deepdsl.cli import main
from deepdsl.inference.export import plausible
from deepdsl.training.run_directory import open_run

PROGRAM = """
model m {{ input image[3 8 8]; flatten; dense 16 | relu; dense 2 | softmax }}
data photos {{ train images "images" {options}; {rows} }}
train m on photos {{ loss cross_entropy; epochs 1; seed 1 }}
"""


@pytest.mark.parametrize(
    ("options", "rows", "high"),
    [
        ("", "", 1),
        ("", "normalize mean=[0.5 0.5 0.5] std=[0.25]", 1),
        ("range=bytes", "", 255),
        ("range=bytes", "scale (1 / 255)", 255),
    ],
)
def test_images_are_tried(
    options: str, rows: str, high: int, tmp_path: Path, page_module: Any
) -> None:
    page_module.write_images(tmp_path / "images", count=4)
    (tmp_path / "m.dnn").write_text(PROGRAM.format(options=options, rows=rows))
    assert main(["train", str(tmp_path / "m.dnn"), "--out", str(tmp_path / "run"), "-q"]) == 0
    tried = plausible(open_run(tmp_path / "run"), "image", (64, 3, 8, 8))
    assert tried.dtype == np.float32
    assert 0 <= tried.min() < 0.05 * high
    assert 0.95 * high < tried.max() <= high
    assert abs(tried.mean() / high - 0.5) < 0.02
    assert (high == 255) == bool((tried == np.round(tried)).all())
