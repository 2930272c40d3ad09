"""Augmentation: what each does, by seed, epoch and row alone, and to training rows alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdsl import api
from deepdsl.cli import main
from deepdsl.compiler.front_end import check, load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.data import Augmentation, View, from_arrays
from deepdsl.data.augment import ColorJitter, Cutout, Flip, Mixup, RandomCrop, ResizeCrop, Rotate
from deepdsl.data.augmented import AugmentedView
from deepdsl.data.pixels import ImageBatch
from deepdsl.data.row_rng import RowRng
from deepdsl.diagnostics import DnnError

RANDOM = np.random.default_rng(11)
ROWS = 40
IMAGES = RANDOM.random((ROWS, 3, 8, 10), np.float32)
STEPS: list[Augmentation] = [
    Flip("horizontal"),
    RandomCrop(pad=3),
    RandomCrop(pad=3, reflect=True),
    ResizeCrop(),
    Rotate(degrees=30),
    Cutout(size=4),
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4),
    Mixup(alpha=0.4),
]


def view_of(steps: list[Augmentation], seed: int = 0, images: Any = IMAGES) -> AugmentedView:
    table = from_arrays({"x": images}, {"y": np.eye(len(images), dtype=np.float32)})
    return AugmentedView(table, np.arange(len(images)), steps, seed, 1.0)


def read(view: View, positions: Any = None, epoch: int | None = 0) -> np.ndarray:
    at = np.arange(len(view)) if positions is None else np.asarray(positions)
    out = np.empty((len(at), *view.table.inputs["x"].shape), np.float32)
    view.read(at, {"x": out}, epoch)
    return out


def applied(step: Augmentation, images: np.ndarray, epoch: int = 0, white: float = 1) -> np.ndarray:
    given = images.copy()
    rng = RowRng(0, epoch, "test", np.arange(len(images)))
    out = step.apply(ImageBatch(images, white), rng).values
    np.testing.assert_array_equal(images, given)
    assert out.dtype == np.float32
    return out


# What is drawn ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.show())
def test_a_row_depends_on_seed_epoch_and_row_alone(step: Augmentation) -> None:
    view = view_of([step, Flip("vertical")])
    whole = read(view)
    order = RANDOM.permutation(ROWS)
    np.testing.assert_array_equal(read(view, order), whole[order])
    for size in (1, 7):
        parts = [read(view, np.arange(i, min(i + size, ROWS))) for i in range(0, ROWS, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(read(view_of([step, Flip("vertical")])), whole)
    assert (read(view, epoch=1) != whole).any()
    assert (read(view_of([step, Flip("vertical")], seed=1)) != whole).any()
    np.testing.assert_array_equal(read(view, epoch=None), IMAGES)


def test_a_part_of_the_rows_is_varied_as_in_the_whole() -> None:
    table = from_arrays({"x": IMAGES}, {"y": np.arange(ROWS)})
    steps = [RandomCrop(pad=2), Rotate(degrees=20)]
    part = AugmentedView(table, np.arange(5, 20), steps, 0, None)
    np.testing.assert_array_equal(read(part), read(view_of(steps))[5:20])


def test_inputs_are_varied_each_by_itself() -> None:
    table = from_arrays({"a": IMAGES, "b": IMAGES, "c": IMAGES[:, 0]}, {"y": np.arange(ROWS)})
    view = AugmentedView(
        table, np.arange(ROWS), [RandomCrop(pad=2), Flip("vertical", of="c")], 0, None
    )
    out = {n: np.empty((ROWS, *table.inputs[n].shape), np.float32) for n in "abc"}
    view.read(np.arange(ROWS), out, 0)
    assert (out["a"] != out["b"]).any()
    only = AugmentedView(table, np.arange(ROWS), [Flip("vertical", of="c")], 0, None)
    only.read(np.arange(ROWS), out, 0)
    np.testing.assert_array_equal(out["a"], IMAGES)
    turned = (out["c"] == IMAGES[:, 0, ::-1]).all(axis=(1, 2))
    same = (out["c"] == IMAGES[:, 0]).all(axis=(1, 2))
    assert (turned ^ same).all()
    assert turned.any()
    assert same.any()


def test_draws_are_even_and_unrelated() -> None:
    rows = np.arange(50_000)
    draws = RowRng(3, 1, "x", rows)
    first, second = draws.uniform(), draws.uniform()
    other = RowRng(3, 2, "x", rows).uniform()
    for numbers in (first, second, other):
        counts = np.bincount((numbers * 20).astype(int), minlength=20)
        assert abs(counts - 2500).max() < 5 * np.sqrt(2500)
    for a, b in ((first, second), (first, other), (first[1:], first[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(rows))
    whole = draws.whole(-2, 2)
    assert sorted(set(whole.tolist())) == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 0.500001, 0.8, 1.0, 4.0, 100.0])
def test_beta(alpha: float) -> None:
    """Its moments, and what has no upper tail: P(x < 1/2) = 1/2."""
    shares = RowRng(0, 0, "beta", np.arange(60_000)).beta(alpha)
    assert shares.min() >= 0
    assert shares.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    # The fourth central moment of Beta(a, a) is 3 / (16 (2a + 1) (2a + 3)).
    fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))
    spread = np.sqrt((fourth - variance**2) / len(shares))
    assert shares.mean() == pytest.approx(0.5, abs=5 * np.sqrt(variance / len(shares)))
    assert ((shares - 0.5) ** 2).mean() == pytest.approx(variance, abs=5 * spread)
    assert (shares < 0.5).mean() == pytest.approx(0.5, abs=0.011)


# What each does -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 3), ("vertical", 2)])
def test_flip(direction: str, axis: int) -> None:
    out = applied(Flip(direction), IMAGES)
    turned = (out == np.flip(IMAGES, axis)).all(axis=(1, 2, 3))
    same = (out == IMAGES).all(axis=(1, 2, 3))
    assert (turned ^ same).all()
    assert 8 < turned.sum() < 32
    np.testing.assert_array_equal(applied(Flip(direction, rate=1.0), IMAGES), np.flip(IMAGES, axis))


@pytest.mark.parametrize("reflect", [False, True])
def test_crop(reflect: bool) -> None:
    pad = 2
    out = applied(RandomCrop(pad=pad, reflect=reflect), IMAGES)
    sides = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    wide = np.pad(IMAGES, sides, mode="reflect" if reflect else "constant")
    places = set()
    for row, image in zip(wide, out, strict=True):
        found = [
            (i, j)
            for i in range(2 * pad + 1)
            for j in range(2 * pad + 1)
            if (row[:, i : i + 8, j : j + 10] == image).all()
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 12


def test_cutout() -> None:
    ones = np.ones((200, 3, 8, 10), np.float32)
    out = applied(Cutout(size=4, fill=0.5), ones)
    assert set(np.unique(out)) == {0.5, 1.0}
    assert (out == out[:, :1]).all()
    covered = (out[:, 0] == 0.5).sum(axis=(1, 2))
    assert covered.max() == 16
    assert covered.min() == 4  # in a corner a quarter is left
    first = (out[:, 0] == 0.5).any(axis=2).sum(axis=1) * (out[:, 0] == 0.5).any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(first, covered)  # rectangles


def test_rotate_by_nothing_and_by_right_angles() -> None:
    square = IMAGES[..., :8]
    for quarter in range(4):
        angle = np.full(ROWS, quarter * np.pi / 2)
        out = ImageBatch(square).rotated(angle).values
        # Counterclockwise, as rot90 turns the first of its axes to the second.
        np.testing.assert_allclose(out, np.rot90(square, quarter, (2, 3)), atol=1e-5)


def test_rotate_against_pillow() -> None:
    image = pytest.importorskip("PIL.Image")
    plane = np.add.outer(np.arange(32.0), 2 * np.arange(32.0)).astype(np.float32)
    degrees = 17.0
    ours = ImageBatch(plane[None, None]).rotated(np.array([np.radians(degrees)])).values[0, 0]
    theirs = np.asarray(image.fromarray(plane).rotate(degrees, image.Resampling.BILINEAR))
    inner = slice(8, 24)
    np.testing.assert_allclose(ours[inner, inner], theirs[inner, inner], atol=1e-2)
    assert ours[0, 0] == 0


def test_resize_crop() -> None:
    out = applied(ResizeCrop(scale=(1.0, 1.0), ratio=(1.25, 1.25)), IMAGES)
    np.testing.assert_allclose(out, IMAGES, atol=1e-6)  # 10 / 8 is its own proportion
    ramp = np.broadcast_to(np.arange(10, dtype=np.float32), (500, 1, 8, 10)).copy()
    out = applied(ResizeCrop(scale=(0.25, 0.25), ratio=(1.25, 1.25)), ramp)
    # A quarter of the area is half of the width: the slope is halved.
    slopes = np.diff(out[:, 0, 0, 1:-1], axis=1)
    np.testing.assert_allclose(slopes, 0.5, atol=1e-5)
    starts = out[:, 0, 0, 1]
    assert starts.min() < 0.5
    assert starts.max() > 4.5
    assert (out >= 0).all()
    assert (out <= 9).all()


def test_color_jitter() -> None:
    dim = IMAGES * 0.4
    out = applied(ColorJitter(brightness=0.5), dim)
    factor = (out / dim).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(out, dim * factor.reshape(-1, 1, 1, 1), rtol=1e-4)
    assert 0.5 <= factor.min() < 0.7
    assert 1.3 < factor.max() <= 1.5
    assert applied(ColorJitter(brightness=2.0), IMAGES).max() == 1
    assert applied(ColorJitter(brightness=2.0), IMAGES * 255, white=255).max() == 255
    assert applied(ColorJitter(brightness=2.0, white=9.0), IMAGES * 9, white=1).max() == 9
    gray = (IMAGES * np.array([0.299, 0.587, 0.114], np.float32).reshape(3, 1, 1)).sum(axis=1)
    out = applied(ColorJitter(contrast=0.3), IMAGES * 0.5 + 0.2)
    gray = gray * 0.5 + 0.2
    new = (out * np.array([0.299, 0.587, 0.114], np.float32).reshape(3, 1, 1)).sum(axis=1)
    np.testing.assert_allclose(new.mean(axis=(1, 2)), gray.mean(axis=(1, 2)), rtol=1e-4)
    spread = new.std(axis=(1, 2)) / gray.std(axis=(1, 2))
    assert 0.7 <= spread.min() < 0.85 < 1.15 < spread.max() <= 1.301
    out = applied(ColorJitter(saturation=1.0), IMAGES)
    assert out.min() >= 0
    rgba = np.concatenate([IMAGES, IMAGES[:, :1]], axis=1)
    out = applied(ColorJitter(brightness=0.5, contrast=0.5, saturation=0.5), rgba)
    np.testing.assert_array_equal(out[:, 3], rgba[:, 3])


def test_mixup() -> None:
    view = view_of([Mixup(alpha=1.0)])
    x, y = np.empty_like(IMAGES), np.empty((ROWS, ROWS), np.float32)
    view.read(np.arange(ROWS), {"x": x, "y": y}, 0)
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    assert ((y > 0).sum(axis=1) <= 2).all()
    assert (y.max(axis=1) < 1).sum() > ROWS / 2
    # A row's target says which rows it is made of, and how much of each.
    np.testing.assert_allclose(x, np.einsum("nm,mchw->nchw", y, IMAGES), atol=1e-6)


def test_mixup_takes_the_other_row_as_it_is_in_the_epoch() -> None:
    before: list[Augmentation] = [Flip("horizontal", rate=1.0), RandomCrop(pad=2)]
    plain = read(view_of(before))
    view = view_of([*before, Mixup(alpha=1.0)])
    x, y = np.empty_like(IMAGES), np.empty((ROWS, ROWS), np.float32)
    view.read(np.arange(ROWS), {"x": x, "y": y}, 0)
    np.testing.assert_allclose(x, np.einsum("nm,mchw->nchw", y, plain), atol=1e-6)


# In a training ------------------------------------------------------------------------------------

PROGRAM = """
model m { input image[8 8]; flatten; dense 16 | relu; dense 10 | softmax }
data digits {
  train builtin digits
  take 200
  valid split=20%
  AUGMENT
  scale (1 / 16)
}
train m on digits {
  loss LOSS; metric accuracy; optimizer sgd lr=0.1 momentum=0.9
  batch 32; epochs EPOCHS; seed 4
}
"""
ALL = "augment rotate degrees=10; augment crop pad=1; augment mixup alpha=0.2"


def program(augment: str = ALL, loss: str = "cross_entropy", epochs: int = 3) -> str:
    text = PROGRAM.replace("AUGMENT", augment).replace("LOSS", loss)
    return text.replace("EPOCHS", str(epochs))


def weights(run: api.Run) -> dict[str, Any]:
    return dict(run.weights)


def test_augmentation_is_for_train_alone(tmp_path: Path) -> None:
    source = Source("a.dnn", program())
    loaded, _ = load_program(source)
    job = open_job(loaded, loaded.trainings[0], tmp_path, ("train", "valid", "test"))
    plain_source = Source("a.dnn", program(""))
    loaded, _ = load_program(plain_source)
    plain = open_job(loaded, loaded.trainings[0], tmp_path, ("train", "valid"))
    assert isinstance(job.splits.train, AugmentedView)
    for ours, theirs in (
        (job.splits.train, plain.splits.train),
        (job.splits.valid, plain.splits.valid),
    ):
        assert ours is not None
        assert theirs is not None
        x, y = (np.empty((len(v), 8, 8), np.float32) for v in (ours, theirs))
        ours.read(np.arange(len(ours)), {"image": x})
        theirs.read(np.arange(len(theirs)), {"image": y})
        np.testing.assert_array_equal(x, y)
    valid = job.splits.valid
    assert valid is not None
    assert not isinstance(valid, AugmentedView)
    assert not valid.slow


@pytest.mark.parametrize("stop_after", [1, 2])
def test_resuming_gives_the_same_bits(tmp_path: Path, stop_after: int) -> None:
    whole = api.loads(program()).train(out=tmp_path / "whole")
    api.loads(program(epochs=stop_after)).train(out=tmp_path / "parts")
    parts = api.loads(program()).train(out=tmp_path / "parts", resume=True)
    assert whole.history[-1]["train"] == parts.history[-1]["train"]
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(value, parts.weights[name])


def test_the_rows_of_augment_may_be_changed(tmp_path: Path) -> None:
    api.loads(program(epochs=1)).train(out=tmp_path / "run")
    run = api.loads(program("augment crop pad=2", epochs=2)).train(
        out=tmp_path / "run", resume=True
    )
    assert len(run.history) == 2


def test_what_is_exported_is_not_augmented(tmp_path: Path) -> None:
    run = api.loads(program()).train(out=tmp_path / "run")
    exported = run.export(tmp_path / "m.onnx")
    assert exported.max_abs_error < 1e-5
    x = RANDOM.integers(0, 17, (5, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(run.predict(x), run.predict(x))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["target"]["kind"] == "one_hot"
    assert main(["eval", str(tmp_path / "run"), "--split", "valid", "-q"]) == 0


@pytest.mark.parametrize(
    ("head", "loss"),
    [
        ("dense 10 | softmax", "cross_entropy smoothing=0.1"),
        ("dense 10 | softmax", "focal"),
        ("dense 10 | softmax", "kl_divergence"),
    ],
)
def test_mixup_with_losses_over_classes(tmp_path: Path, head: str, loss: str) -> None:
    run = api.loads(program(loss=loss)).train(out=tmp_path / "run")
    losses = [r["train"]["loss"] for r in run.history]
    assert losses[-1] < losses[0]
    assert main(["eval", str(tmp_path / "run"), "-q", "--split", "valid"]) == 0


def test_mixup_of_numbers_and_of_yes_and_no(tmp_path: Path) -> None:
    x = RANDOM.random((64, 4), np.float32)
    text = """
    model m { input x[4]; dense 8 | relu; dense 1 END }
    data d { augment mixup alpha=0.4 }
    train m on d { loss LOSS; epochs 2; batch 16; seed 1 }
    """
    for end, loss, y in (
        ("", "mean_squared_error", x[:, :1]),
        ("| sigmoid", "binary_cross_entropy", (x[:, :1] > 0.5).astype(int)),
    ):
        run = api.loads(text.replace("END", end).replace("LOSS", loss))
        made = run.train(x, y, out=tmp_path / loss)
        assert np.isfinite(made.figures["train"]["loss"])


def test_arrays_with_mixup_take_class_numbers_or_rows(tmp_path: Path) -> None:
    x, y = RANDOM.random((64, 8, 8), np.float32), RANDOM.integers(0, 10, 64)
    text = program().replace("train builtin digits", "").replace("take 200", "")
    numbers = api.loads(text).train(x, y, out=tmp_path / "numbers")
    rows = api.loads(text).train(x, np.eye(10, dtype=np.float32)[y], out=tmp_path / "rows")
    assert numbers.figures["train"] == rows.figures["train"]
    with pytest.raises(DnnError) as caught:
        api.loads(text).train(x, y + 5, out=tmp_path / "wrong")
    assert caught.value.diagnostics[0].code == "E439"


def test_jitter_of_arrays_needs_white(tmp_path: Path) -> None:
    text = program("augment color_jitter brightness=0.2")
    text = text.replace("train builtin digits", "").replace("take 200", "")
    with pytest.raises(DnnError) as caught:
        api.loads(text).train(IMAGES[:, 0, :, :8], np.arange(ROWS) % 10, out=tmp_path / "a")
    assert caught.value.diagnostics[0].code == "E481"


# What does not fit --------------------------------------------------------------------------------


def said(data: str, model: str = "input image[3 8 8]; flatten; dense 2 | softmax", loss: str = ""):
    text = f"model m {{ {model} }}\ndata d {{ {data} }}\n"
    text += f"train m on d {{ loss {loss or 'cross_entropy'}; optimizer sgd; seed 1 }}"
    return [d for d in check(Source("a.dnn", text))[1] if d.code[0] == "E"]


IMAGE_ROW = 'train images "photos"; '


@pytest.mark.parametrize(
    ("row", "model", "words"),
    [
        ("flip horizontal", "input x[4]; dense 2 | softmax", "`x` is no image"),
        ("flip horizontal", "input x[8 8 3]; flatten; dense 2 | softmax", "come first here"),
        ("flip horizontal", "input x[5 8 8]; flatten; dense 2 | softmax", "1, 3 or 4 channels"),
        ("flip horizontal of=imag", "", "did you mean `image`?"),
        ("crop pad=8", "", "may leave nothing"),
        ("color_jitter", "", "it changes nothing"),
        ("resize_crop scale=[1 0.5]", "", "`scale=[0.5 1]`"),
        (
            "color_jitter saturation=0.5",
            "input x[8 8]; flatten; dense 2 | softmax",
            "it has no saturation",
        ),
        (
            "flip vertical",
            "input a[3]; input b[3 8 8]; left = b | flatten; concat a left | dense 2 | softmax",
            "`of=b`",
        ),
    ],
)
def test_misfits(row: str, model: str, words: str) -> None:
    data = f'train npz "a.npz"; augment {row}'
    found = said(data, model) if model else said(IMAGE_ROW + f"augment {row}")
    told = [d for d in found if d.code == "E481"]
    assert told
    assert words in told[0].message + told[0].help
    assert told[0].span is not None


def test_white_is_asked_for_where_it_is_not_known() -> None:
    row = "augment color_jitter brightness=0.1"
    (found,) = said(f'train npz "a.npz"; {row}')
    assert (found.code, "white=255" in found.help) == ("E481", True)
    assert not said(f'train npz "a.npz"; {row} white=255')
    assert not said(f"{IMAGE_ROW}{row}")


def test_mixup_and_margins() -> None:
    model = "input image[3 8 8]; flatten; dense 1"
    (found,) = said(IMAGE_ROW + "augment mixup", model, "hinge")
    assert found.code == "E482"


@pytest.mark.parametrize(
    "row", ["augment", "augment crop", "augment flop horizontal", "augment flip"]
)
def test_rows_that_are_not_whole(row: str) -> None:
    (found,) = said(IMAGE_ROW + row)
    assert found.code.startswith("E1")
    assert found.help
