"""Folders of images: what is found, how it is decoded, and what is said of what is wrong."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

from deepdsl.cli import main
from deepdsl.compiler.front_end import check, load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.data import Images, OpenRequest, Table, TargetSpec
from deepdsl.data.image_source import SUFFIXES
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.base import Diagnostic

TARGET = {"target": TargetSpec("index", 2)}
RANDOM = np.random.default_rng(5)


def open_folder(folder: Path, shape=(3, 8, 8), targets=TARGET, split="train", classes=None, **o):
    request = OpenRequest(folder.parent, {"image": shape}, targets, split, classes=classes)
    return Images(folder.name, **o).open(request)


def fails(folder: Path, *args: Any, **options: Any) -> Diagnostic:
    with pytest.raises(DnnError) as caught:
        values(open_folder(folder, *args, **options))
    (found,) = caught.value.diagnostics
    assert found.message
    assert found.help
    return found


def values(table: Table) -> np.ndarray:
    field = table.field("image")
    out = np.empty((table.rows, *field.shape), np.float32)
    field.read(np.arange(table.rows), out)
    return out


def labels(table: Table) -> list[int]:
    out = np.empty(table.rows, np.int64)
    table.field("target").read(np.arange(table.rows), out)
    return out.tolist()


def folder_of(place: Path, images: dict[str, Any], **options: Any) -> Path:
    """A folder with these files: arrays, Pillow's images, or bytes."""
    for name, image in images.items():
        file = place / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(image, bytes):
            file.write_bytes(image)
        else:
            made = image if isinstance(image, Image.Image) else Image.fromarray(image)
            made.save(file, **options)
    return place / "photos"


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape or (8, 8, 3), np.uint8)


A, B = noise(), noise()


# What is found ------------------------------------------------------------------------------------


def test_classes_and_order(tmp_path: Path) -> None:
    third = noise()
    files = {"dog/a.png": A, "cat/z.png": B, "cat/deep/er/b.PNG": third, ".git/x/y.png": A}
    files |= {"cat/.hidden.png": A, "cat/Thumbs.db": b"x"}
    table = open_folder(folder_of(tmp_path, files))
    assert table.classes == ("cat", "dog")
    assert labels(table) == [0, 0, 1]
    expected = np.stack([third, B, A]).transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(values(table), expected)
    assert not table.warnings
    assert table.field("image").place(0) == "photos/cat/deep/er/b.PNG"
    count = Images("photos").count(OpenRequest(tmp_path, {"image": (3, 8, 8)}, TARGET))
    assert count == table.rows == 3


def test_names_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"{i}/a.png": A for i in (10, 9, 0)})
    target = {"target": TargetSpec("index", 3)}
    assert open_folder(folder, targets=target).classes == ("0", "9", "10")


def test_values_as_torchvision_gives_them_or_bytes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    unit = values(open_folder(folder))
    assert unit.dtype == np.float32
    assert 0 <= unit.min() < 0.1
    assert 0.9 < unit.max() <= 1
    raw = values(open_folder(folder, range="bytes"))
    np.testing.assert_array_equal(raw[0], A.transpose(2, 0, 1))
    np.testing.assert_array_equal(unit, raw / np.float32(255))


def test_other_files_are_counted(tmp_path: Path) -> None:
    files = {"cat/a.png": A, "dog/a.png": B, "cat/a.txt": b"x", "cat/b.tiff": b"y", "c.png": A}
    table = open_folder(folder_of(tmp_path, files))
    assert [w.code for w in table.warnings] == ["W469", "W469"]
    assert "2 files" in table.warnings[0].message
    assert "c.png: it is in no folder of a class" in table.warnings[1].label
    assert table.rows == 2


def test_without_a_target_every_image_is_a_row(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"b.png": A, "deep/a.png": B})
    table = open_folder(folder, targets={})
    np.testing.assert_array_equal(values(table)[0] * 255, A.transpose(2, 0, 1))
    assert (table.rows, table.classes) == (2, None)


def test_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    assert fails(tmp_path / "fotos").code == "E401"
    assert 'did you mean "photos"?' in fails(tmp_path / "fotos").help
    assert fails(folder / "cat" / "a.png").code == "E461"
    assert "no folders of classes" in fails(folder / "cat").message
    (tmp_path / "empty").mkdir()
    assert fails(tmp_path / "empty").code == "E461"
    assert fails(tmp_path / "empty", targets={}).code == "E461"
    (folder / "notes").mkdir()
    found = fails(folder, targets={"target": TargetSpec("index", 3)})
    assert (found.code, found.message) == ("E467", 'the folder "photos/notes" has no image')


def test_classes_of_train_count(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    known = ("bird", "cat", "dog")
    three = {"target": TargetSpec("index", 3)}
    table = open_folder(folder, targets=three, split="test", classes=known)
    assert (labels(table), table.classes) == ([1, 2], known)
    found = fails(folder, split="test", classes=("cat", "bird"))
    assert (found.code, found.message) == ("E442", "no row of train has the class `dog`")
    one = {"target": TargetSpec("index", 1)}
    assert fails(folder, targets=one).code == "E441"
    (folder / "bird").mkdir()
    assert open_folder(folder, targets=three, split="valid", classes=known).rows == 2


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    os.mkfifo(folder / "cat" / "b.png")
    found = fails(folder)
    assert (found.code, "photos/cat/b.png" in found.message) == ("E402", True)


def test_a_file_that_goes_away_after_the_folder_was_opened(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deepdsl.data.image_field.AT_ONCE", 0)
        table = open_folder(folder)
    (folder / "dog" / "a.png").unlink()
    with pytest.raises(DnnError) as caught:
        values(table)
    (found,) = caught.value.diagnostics
    assert (found.code, "put it back" in found.help) == ("E403", True)


def test_folders_of_classes_for_other_models(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B, "c.png": A})
    assert "`target input`" in fails(folder, targets={"target": TargetSpec("value")}).help
    with pytest.raises(DnnError) as caught:
        Images("photos").open(OpenRequest(tmp_path, {"x": (3, 8, 8), "y": (2,)}, {}))
    (found,) = caught.value.diagnostics
    assert (found.code, "feeds one input" in found.help) == ("E434", True)
    (warning,) = open_folder(folder).warnings
    assert "folder of their class" in warning.help


def test_links(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    (folder / "dog" / "b.png").symlink_to(folder / "cat" / "a.png")
    assert open_folder(folder).rows == 3
    (tmp_path / "link").symlink_to(folder)
    assert open_folder(tmp_path / "link").rows == 3
    outside = folder / "dog" / "c.png"
    (tmp_path / "out.png").write_bytes(b"")
    outside.symlink_to(tmp_path / "out.png")
    assert "leads out of the folder" in fails(folder).message
    outside.unlink()
    outside.symlink_to(folder)
    assert "to another folder" in fails(folder).message
    outside.unlink()
    (folder / "dog" / "again").symlink_to(folder)
    assert fails(folder).code == "E466"
    (folder / "dog" / "again").unlink()
    (folder / "dog" / "again").symlink_to(folder / "cat")
    assert "to another folder" in fails(folder).message


# How it is decoded --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats(tmp_path: Path, suffix: str) -> None:
    smooth = np.linspace(40, 200, 64).reshape(8, 8, 1).repeat(3, 2).astype(np.uint8)
    lossless = {"lossless": True} if suffix == ".webp" else {}
    files = {f"cat/a{suffix}": smooth, f"dog/a{suffix}": smooth}
    table = open_folder(folder_of(tmp_path, files, **lossless), range="bytes")
    limit = 6 if suffix in (".jpg", ".jpeg") else 3 if suffix == ".gif" else 0
    assert np.abs(values(table)[0] - smooth.transpose(2, 0, 1)).max() <= limit


def one(tmp_path: Path, image: Any, shape=(3, 8, 8), name="a.png", **options):
    files = {f"cat/{name}": image, "dog/a.png": noise()}
    folder = folder_of(tmp_path, files)
    return values(open_folder(folder, shape, range="bytes", **options))[0]


def test_colours_to_gray_and_back(tmp_path: Path) -> None:
    gray = one(tmp_path, A, (8, 8))
    luma = A @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray - luma).max() < 1
    np.testing.assert_array_equal(one(tmp_path, A, (1, 8, 8))[0], gray)
    np.testing.assert_array_equal(one(tmp_path, noise(8, 8)).std(axis=0), 0)


def test_opacity(tmp_path: Path) -> None:
    image = noise(8, 8, 4)
    np.testing.assert_array_equal(one(tmp_path, image, (4, 8, 8)), image.transpose(2, 0, 1))
    np.testing.assert_array_equal(one(tmp_path, image), image[..., :3].transpose(2, 0, 1))
    assert (one(tmp_path, A, (4, 8, 8))[3] == 255).all()
    gray_alpha = Image.new("LA", (8, 8), (9, 7))
    np.testing.assert_array_equal(one(tmp_path, gray_alpha, (4, 8, 8))[:, 0, 0], [9, 9, 9, 7])
    np.testing.assert_array_equal(one(tmp_path, gray_alpha, (1, 8, 8)), np.full((1, 8, 8), 9))


def test_palettes(tmp_path: Path) -> None:
    few = (A // 128 * 200).astype(np.uint8)
    palette = Image.fromarray(few).quantize(8)
    np.testing.assert_array_equal(one(tmp_path, palette), few.transpose(2, 0, 1))
    stream = io.BytesIO()
    palette.save(stream, "PNG", transparency=bytes([0, 128] + [255] * 6))
    found = one(tmp_path, stream.getvalue(), (4, 8, 8))
    np.testing.assert_array_equal(found[:3], few.transpose(2, 0, 1))
    assert set(np.unique(found[3])) <= {0, 128, 255}
    assert found[3].min() == 0
    bits = Image.fromarray(A[..., 0] > 99)
    assert bits.mode == "1"
    np.testing.assert_array_equal(one(tmp_path, bits)[0], (A[..., 0] > 99) * 255)


def test_sixteen_bits_keep_their_upper_half(tmp_path: Path) -> None:
    wide = RANDOM.integers(0, 65536, (8, 8), np.uint16)
    np.testing.assert_array_equal(one(tmp_path, wide, (1, 8, 8))[0], wide >> 8)
    np.testing.assert_array_equal(one(tmp_path, wide)[2], wide >> 8)


def test_cmyk(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((8, 8, 3), (200, 100, 50), np.uint8)).convert("CMYK")
    found = one(tmp_path, image, name="a.jpg")
    assert np.abs(found[:, 4, 4] - (200, 100, 50)).max() < 8


def test_animations_give_their_first_picture(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0)))
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=[second])
    found = one(tmp_path, stream.getvalue(), name="a.gif")
    np.testing.assert_array_equal(found[:, 0, 0], (255, 0, 0))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation(tmp_path: Path, suffix: str) -> None:
    upright = np.zeros((8, 4, 3), np.uint8)
    upright[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: to be turned clockwise
    stored = Image.fromarray(np.rot90(upright).copy())
    files = {f"cat/a{suffix}": stored, f"dog/a{suffix}": stored}
    folder = folder_of(tmp_path, files, exif=exif)
    found = values(open_folder(folder, (3, 8, 4), range="bytes"))[0]
    assert np.abs(found - upright.transpose(2, 0, 1)).max() < 20
    found = values(open_folder(folder, (3, 4, 4), size=(4, 4), range="bytes"))[0]
    assert found[:, 0].min() > 200
    assert found[:, 3].max() < 50


def test_damaged_exif_is_no_orientation(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(A).save(stream, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03")
    assert one(tmp_path, stream.getvalue(), name="a.jpg").shape == (3, 8, 8)


def test_resizing(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 250
    shape = (3, 4, 4)
    size = {"size": (4, 4)}
    crop = one(tmp_path, wide, shape, resize="crop", **size)
    assert crop.min() > 200  # the filter looks at a pixel beside the middle
    np.testing.assert_array_equal(crop[..., 1:3], np.full((3, 4, 2), 250))
    stretch = one(tmp_path, wide, shape, resize="stretch", **size)
    assert stretch[0, 0, 0] < 60 < stretch[0, 0, 1]
    pad = one(tmp_path, wide, shape, resize="pad", **size)
    assert not pad[:, 0].any()
    assert not pad[:, -1].any()
    assert pad.max() > 100
    expected = Image.fromarray(A).resize((4, 4), Image.Resampling.BILINEAR)
    found = one(tmp_path, A, shape, **size)
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def test_large_jpegs_are_decoded_at_a_part_of_their_size(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(256), np.arange(256)).astype(np.float32) / 2
    image = smooth.astype(np.uint8)[..., None].repeat(3, 2)
    found = one(tmp_path, image, name="a.jpg", size=(8, 8))
    expected = image.reshape(8, 32, 8, 32, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(found - expected).max() < 12


def test_sizes_that_differ(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": noise(8, 9, 3)})
    found = fails(folder)
    assert found.code == "E463"
    assert found.message == '"photos/dog/a.png" is 8 × 9, the input is 8 × 8'
    assert "size=8x8" in found.help
    assert open_folder(folder, size=(8, 8)).rows == 2


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((192,), {}, "channels × height × width"),
        ((2, 8, 8), {}, "not 2"),
        ((8, 8, 3), {}, "[3 8 8]"),
        ((3, 8, 8), {"size": (4, 4)}, "size=8x8"),
        ((3, 9000, 8), {}, "longer than 8192"),
        (None, {}, "channels × height × width"),
    ],
)
def test_inputs_that_are_no_images(tmp_path: Path, shape: Any, options: Any, words: str) -> None:
    found = fails(folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B}), shape, **options)
    assert found.code == "E462"
    assert words in found.label + found.help


def test_check_knows_without_the_folder() -> None:
    text = """
    data photos { train images "nowhere" size=4x4 }
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    train m on photos { loss cross_entropy; optimizer sgd lr=0.1; batch 4; epochs 1; seed 1 }
    """
    _, report = check(Source("a.dnn", text))
    assert [d.code for d in report] == ["E462"]


# What is damaged ----------------------------------------------------------------------------------


def damaged(suffix: str) -> dict[str, bytes]:
    """A file of this kind, broken in each way."""
    stream = io.BytesIO()
    Image.fromarray(noise(32, 32, 3)).resize((8, 8)).save(
        stream, {"jpg": "JPEG"}.get(suffix[1:], suffix[1:])
    )
    whole = stream.getvalue()
    return {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "head": whole[:12],
        "text": b"<html>not found</html>",
        "zeros": bytes(100),
    }


@pytest.mark.parametrize("way", ["empty", "half", "head", "text", "zeros"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".gif"])
@pytest.mark.parametrize("at_once", [0, 1 << 20])
def test_damaged_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, way: str, at_once: int
) -> None:
    monkeypatch.setattr("deepdsl.data.image_field.AT_ONCE", at_once)
    broken = damaged(suffix)[way]
    folder = folder_of(tmp_path, {"cat/a.png": A, f"cat/b{suffix}": broken, "dog/a.png": B})
    found = fails(folder)
    assert found.code == "E464"
    assert f'"photos/cat/b{suffix}"' in found.message
    table = open_folder(folder, corrupt="skip")
    (warning,) = table.warnings
    assert (warning.code, table.rows) == ("W468", 2)
    assert f"photos/cat/b{suffix}" in warning.label
    expected = np.stack([A, B]).transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(values(table), expected)
    assert labels(table) == [0, 1]
    skipping = Images("photos", corrupt="skip")
    assert skipping.count(OpenRequest(tmp_path, {"image": (3, 8, 8)}, TARGET)) == 2


def test_nothing_is_left_of_a_damaged_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": b"", "dog/a.png": b"x"})
    assert fails(folder, corrupt="skip").code == "E461"


@pytest.mark.parametrize("side", [9_000, 12_000, 50_000])
def test_bombs(tmp_path: Path, side: int, page_module: Any) -> None:
    bomb = page_module.png_claiming(side, side)
    folder = folder_of(tmp_path, {"cat/a.png": A, "cat/b.png": bomb, "dog/a.png": B})
    found = fails(folder, size=(8, 8))
    assert (found.code, len(bomb) < 200) == ("E465", True)
    assert "8192" in found.label
    assert open_folder(folder, corrupt="skip").rows == 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    (folder / "cat" / "gone.png").symlink_to(folder / "cat" / "nothing.png")
    assert fails(folder).code == "E403"
    assert open_folder(folder, corrupt="skip").rows == 2


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, {"cat/a.png": A, "dog/a.png": B})
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = fails(folder)
    assert (found.code, found.help) == ("E615", 'pip install "deepdsl[images]"')


# When it is decoded -------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, 1 << 20])
@pytest.mark.parametrize("at_once", [0, 64, 1 << 20])
def test_rows_do_not_depend_on_when_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int, at_once: int
) -> None:
    images = {f"{'cat' if i % 2 else 'dog'}/{i}.png": noise() for i in range(8)}
    folder = folder_of(tmp_path, images)
    expected = values(open_folder(folder))
    monkeypatch.setattr("deepdsl.data.image_field.AT_ONCE", at_once)
    monkeypatch.setattr("deepdsl.data.image_field.memory_budget", lambda: budget)
    table = open_folder(folder)
    field = table.field("image")
    assert field.slow == (budget == 0 or at_once < 1000)
    order = np.array([5, 1, 5, 7, 0, 2, 3, 4, 6])
    out = np.empty((9, 3, 8, 8), np.float32)
    for _ in range(2):
        field.read(order, out)
        np.testing.assert_array_equal(out, expected[order])
    assert field.slow == (budget == 0)


# With a whole model -------------------------------------------------------------------------------

PROGRAM = """
model m {{ input image[3 8 8]; flatten; dense 16 | relu; dense 2 | softmax }}
data photos {{
  train images "images" {options}
  valid split=25% stratify=true
  test  images "images" {options}
  augment flip horizontal
  normalize mean=[0.5 0.5 0.5] std=[0.25]
}}
train m on photos {{
  loss cross_entropy; metric accuracy; optimizer sgd lr=0.05 momentum=0.9; batch 3; epochs 8; seed 1
}}
"""


@pytest.fixture
def trained(tmp_path: Path, page_module: Any) -> Path:
    page_module.write_images(tmp_path / "images", count=12)
    (tmp_path / "m.dnn").write_text(PROGRAM.format(options=""))
    assert main(["train", str(tmp_path / "m.dnn"), "--out", str(tmp_path / "run"), "-q"]) == 0
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "m.onnx"), "-q"]) == 0
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *command: object) -> Any:
    capsys.readouterr()
    assert main([*map(str, command), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_train_predict_eval_export(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((trained / "run" / "manifest.json").read_text())
    assert manifest["classes"] == ["cat", "dog"]
    how = {"channels": 3, "height": 8, "width": 8, "layout": "channels first"}
    assert manifest["images"] == {"image": {**how, "range": [0, 1], "resize": None}}
    run, file = trained / "run", trained / "m.onnx"
    ours = told(capsys, "eval", run)
    theirs = told(capsys, "eval", file, "--data", trained / "m.dnn")
    assert ours["accuracy"] == theirs["accuracy"] == 1
    assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
    image = trained / "images" / "dog" / "3.png"
    for model in (run, file):
        found = told(capsys, "predict", model, image, trained / "images")
        names = [Path(name).parent.name for name in found["files"]]
        assert names == ["dog", *["cat"] * 12, *["dog"] * 12]
        assert found["label"] == names
        out = trained / "out.jsonl"
        assert main(["predict", str(model), str(image), "-o", str(out), "-q"]) == 0
        line = json.loads(out.read_text())
        assert (line["file"], line["label"]) == (str(image), "dog")
        assert line["output"] == pytest.approx(found["outputs"]["output"][0], abs=1e-6)
    capsys.readouterr()
    assert main(["predict", str(run), str(image)]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "file,label,output_cat,output_dog"
    assert text[1].startswith(f"{image},dog,")


def test_predict_decodes_as_the_training_did(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = trained / "images" / "cat" / "1.png"
    pixels = np.asarray(Image.open(image), np.float32).transpose(2, 0, 1)[None] / np.float32(255)
    np.save(trained / "x.npy", pixels)
    by_array = told(capsys, "predict", trained / "run", trained / "x.npy")["outputs"]
    by_file = told(capsys, "predict", trained / "run", image)["outputs"]
    assert by_array == by_file
    Image.open(image).resize((16, 16), Image.Resampling.NEAREST).save(trained / "large.png")
    assert told(capsys, "predict", trained / "m.onnx", trained / "large.png")["label"] == ["cat"]


def test_predict_says_what_is_wrong(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trained / "bad.png").write_bytes(b"nothing")
    assert main(["predict", str(trained / "run"), str(trained / "bad.png")]) == 3
    assert "E464" in capsys.readouterr().err
    (trained / "empty").mkdir()
    assert main(["predict", str(trained / "run"), str(trained / "empty")]) == 3
    assert "E461" in capsys.readouterr().err
    text = (
        "model m { input x[8 8]; flatten; dense 10 | softmax }\ndata d { train builtin digits }\n"
    )
    text += "train m on d { loss cross_entropy; epochs 1; seed 1 }"
    (trained / "d.dnn").write_text(text)
    assert main(["train", str(trained / "d.dnn"), "--out", str(trained / "d"), "-q"]) == 0
    image = trained / "images" / "cat" / "1.png"
    capsys.readouterr()
    assert main(["predict", str(trained / "d"), str(image)]) == 3
    assert "not trained on images" in capsys.readouterr().err
    text = "model m { input x[8 8]; input y[2]; a = x | flatten; concat a y | dense 2 | softmax }\n"
    text += 'data d { train npz "two.npz" x=x y=y target=t }\n'
    text += "train m on d { loss cross_entropy; epochs 1; seed 1 }"
    (trained / "two.dnn").write_text(text)
    x, y, t = np.zeros((4, 8, 8)), np.zeros((4, 2)), np.array([0, 1, 0, 1])
    np.savez(trained / "two.npz", x=x, y=y, t=t)
    np.save(trained / "x.npy", x)
    assert main(["train", str(trained / "two.dnn"), "--out", str(trained / "two"), "-q"]) == 0
    for given in (image, trained / "x.npy"):
        capsys.readouterr()
        assert main(["predict", str(trained / "two"), str(given)]) == 3
        told = capsys.readouterr().err
        assert "several inputs" in told
        assert ".npz" in told


def test_eval_with_another_range(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = trained / "other.dnn"
    other.write_text(PROGRAM.format(options="range=bytes"))
    for model in ("run", "m.onnx"):
        capsys.readouterr()
        assert main(["eval", str(trained / model), "--data", str(other)]) == 3
        assert "E468" in capsys.readouterr().err


def test_the_target_of_the_language(tmp_path: Path, page_module: Any) -> None:
    """The data section of resnet20.dnn, with its sizes."""
    for split in ("train", "test"):
        page_module.write_images(tmp_path / "cifar" / split, ("a", "b"), 10)
    text = """
    model m { input image[3 32 32]; flatten; dense 2 | softmax }
    data cifar {
      train     images "cifar/train" size=32x32      # one folder a class
      valid     split=10% stratify=true
      test      images "cifar/test"  size=32x32
      augment   flip horizontal
      augment   crop pad=4
      normalize mean=[0.491 0.482 0.447] std=[0.247 0.243 0.262]
    }
    train m on cifar { loss cross_entropy smoothing=0.1; optimizer sgd; seed 7 }
    """
    program, warnings = load_program(Source("a.dnn", text))
    assert not warnings
    job = open_job(program, program.trainings[0], tmp_path, ("train", "valid", "test"))
    splits = job.splits
    assert [len(v) for v in (splits.train, splits.valid, splits.test)] == [18, 2, 20]
    assert not splits.warnings
    assert job.images["image"]["resize"] == "stretch"
