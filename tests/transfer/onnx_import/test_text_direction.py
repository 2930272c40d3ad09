"""A model of another program, from its file to a deployed network of one's own: the text-direction
classifier of rapidocr gets a new head, which is trained on drawn lines of text, then all of it.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image, ImageDraw, ImageFont

from deepdsl.cli import main

MODEL = "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"
FONT = ImageFont.load_default(size=26)
WORDS = ("night", "paper", "field", "yellow", "grape", "bread", "forty", "under", "hotel", "lake")
FILE = """
use "cls.onnx" as cls
data lines {{
  train images "lines" size=48x192
  valid split=25% stratify=true
  normalize mean=[0.5 0.5 0.5] std=[0.5 0.5 0.5]
}}
model direction {{
  input image[3 48 192]
  part body {{ reuse cls until="reshape2_0.tmp_0" }}
  part head {{ dense 2 | softmax }}
}}
train direction on lines {{
  loss cross_entropy; metric accuracy; batch 10; seed 1
  phase frozen {{ freeze body; optimizer adam lr=3e-3; epochs {frozen} }}
  phase free   {{ unfreeze body; lr_mult body=0.1; optimizer sgd lr=3e-3; epochs {free} }}
}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    try:
        found = distribution("rapidocr-onnxruntime").locate_file(MODEL)
    except PackageNotFoundError:
        pytest.skip("the package that holds the model is not installed")
    (tmp_path / "cls.onnx").write_bytes(Path(str(found)).read_bytes())
    rng = np.random.default_rng(0)
    for name, turned in (("upright", False), ("turned", True)):
        (tmp_path / "lines" / name).mkdir(parents=True)
        for number in range(60):
            image = Image.new("RGB", (192, 48), tuple(rng.integers(180, 255, 3).tolist()))
            words = " ".join(rng.choice(WORDS, 2))
            ink = tuple(rng.integers(0, 90, 3).tolist())
            ImageDraw.Draw(image).text((10, 8), words, fill=ink, font=FONT)
            image = image.rotate(180) if turned else image
            image.save(tmp_path / "lines" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_head_frozen_then_free(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nine steps an epoch: 225 with a frozen body, 18 of all of it."""
    (folder / "direction.dnn").write_text(FILE.format(frozen=25, free=2))
    assert main(["train", "direction.dnn", "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["steps"] == 243
    assert "body: outputs cached for 90 + 30 rows" in err
    (proof,) = told["frozen"]
    assert proof["unchanged"]["body"] > 35 * 4
    lines = (folder / "runs/direction/log.jsonl").read_text().splitlines()
    log = [json.loads(line) for line in lines]
    assert log[24]["valid"]["accuracy"] >= 0.95
    # Batches of ten rows are small for batch norm, which learns again now.
    assert told["valid"]["accuracy"] >= 0.7
    assert main(["export", "runs/direction", "-o", "direction.onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["max_abs_error"] < 1e-4
    pixels = np.asarray(Image.open(folder / "lines" / "upright" / "0.png"), np.float32)
    session = ort.InferenceSession(folder / "direction.onnx", providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"image": pixels.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(made.sum(), 1, rtol=1e-5)
    assert made.shape == (1, 2)
