"""Networks that others made, where their packages are installed: the text-direction classifier,
the detector and the recognizer of rapidocr-onnxruntime, and the file types of magika.
"""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import SPAN, kinds, ours, run

from deepdsl.graph import Type
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import import open_onnx

OCR, MAGIKA = "rapidocr_onnxruntime", "magika"


def model(package: str, file: str) -> Path:
    """A file of a package, without importing it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(found.origin).parent / "models" / file


def agrees(
    path: Path, row: tuple[int, ...], numbers: Any, until: str | None = None
) -> Counter[str]:
    """The layers, which all are our own, and calculate what onnxruntime does on the file."""
    whole = numbers.dtype.kind == "i"
    given = Type(("N", *row), "i64" if whole else "f32")
    imported = open_onnx(path, path.name, SPAN).piece([given], Cut(until=until), SPAN)
    file = onnx.load(path)
    if until is not None:
        file.graph.output.append(onnx.ValueInfoProto(name=until))
    for rows in (1, 3):
        x = numbers[:rows]
        wanted = run(file, x.astype(np.int32) if whole else x, until)
        np.testing.assert_allclose(ours(imported, x), wanted, 1e-4, 1e-4)
    return Counter(kinds(imported))


def images(*row: int) -> Any:
    return np.random.default_rng(1).normal(0, 1, (3, *row)).astype(np.float32)


def test_the_text_direction_classifier() -> None:
    """Weights in Constant nodes, 35 batch norms, hard_swish and squeeze-and-excitation written out,
    a reshape that is calculated from sizes.
    """
    path = model(OCR, "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    found = agrees(path, (3, 48, 192), images(3, 48, 192))
    assert found == Counter(
        conv=53, batch_norm=35, hard_swish=18, relu=15, global_avg_pool=10, reshape=9, mul=9,
        hard_sigmoid=9, multiply=9, add=7, max_pool=1, dense=1, softmax=1,
    )  # fmt: skip
    # Its features, for another head, at another size of images.
    body = agrees(path, (3, 32, 64), images(3, 32, 64), until="pool2d_10.tmp_0")
    assert body["conv"] == 53
    assert body["dense"] == body["softmax"] == 0


def test_the_text_detector() -> None:
    """Upsampling, transposed convolutions, and a map as large as the image."""
    path = model(OCR, "ch_PP-OCRv4_det_infer.onnx")
    found = agrees(path, (3, 64, 96), images(3, 64, 96))
    assert found["conv"] == 62
    assert (found["upsample"], found["conv_transpose"]) == (6, 2)
    assert not any(kind.startswith("<") for kind in found)


def test_the_text_recognizer() -> None:
    """Attention and layer norms that are written out, positions along the width."""
    path = model(OCR, "ch_PP-OCRv4_rec_infer.onnx")
    found = agrees(path, (3, 48, 160), images(3, 48, 160))
    assert (found["conv"], found["layer_norm"], found["swish"]) == (38, 5, 7)
    assert not any(kind.startswith("<") for kind in found)


def test_the_file_types() -> None:
    """Bytes as whole numbers, one-hot rows, gelu by tanh, a norm of a mean of squares."""
    path = model(MAGIKA, "standard_v3_3/model.onnx")
    x = np.random.default_rng(1).integers(0, 257, (3, 2048))
    found = agrees(path, (2048,), x)
    assert (found["gelu"], found["conv"], found["dense"], found["softmax"]) == (2, 1, 2, 1)
    assert not any(kind.startswith("<") for kind in found)
