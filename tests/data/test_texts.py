"""Texts as rows: windows, numbers of characters, what is held out, and what is said of bad ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepdsl.data import Builtin, DataSpec, HeldOut, Placed, TargetSpec, TextSource, View, load
from deepdsl.data.splits import Splits
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.base import Diagnostic
from deepdsl.graph.types import IndexShape

PLAY = "to be, or not to be: that is the question\n"


def opened(
    folder: Path,
    text: str | bytes,
    length: int = 4,
    stride: int | None = None,
    each: bool = True,
    classes: int | None = None,
    **rows: object,
) -> Splits:
    raw = text.encode() if isinstance(text, str) else text
    (folder / "text.txt").write_bytes(raw)
    placed = {name: Placed(row) for name, row in rows.items()}
    spec = DataSpec("d", Placed(TextSource("text.txt", stride=stride)), **placed)  # type: ignore[arg-type]
    inputs = {"x": IndexShape((length,))}
    targets = {"target": TargetSpec("index", classes, (length,) if each else ())}
    return load(spec, folder, inputs, targets, 0, ("train", "valid", "test"))


def problem(folder: Path, text: str | bytes, **options: object) -> Diagnostic:
    with pytest.raises(DnnError) as caught:
        opened(folder, text, **options)  # type: ignore[arg-type]
    (found,) = caught.value.diagnostics
    assert found.message
    assert found.help
    return found


def rows(view: View, each: bool = True, length: int = 4) -> tuple[list[str], list[str]]:
    """The windows and what stands behind them, as texts."""
    assert view.classes is not None
    x = np.empty((len(view), length), np.int64)
    y = np.empty((len(view), length) if each else len(view), np.int64)
    view.read(np.arange(len(view)), {"x": x, "target": y})
    names = np.array(view.classes)
    return ["".join(names[row]) for row in x], ["".join(names[np.atleast_1d(row)]) for row in y]


def test_windows_and_what_follows_them(tmp_path: Path) -> None:
    splits = opened(tmp_path, "abcdefghij")
    assert splits.train is not None
    assert splits.classes == tuple("abcdefghij")
    assert rows(splits.train) == (["abcd", "efgh"], ["bcde", "fghi"])
    splits = opened(tmp_path, "abcdefghij", stride=3, each=False)
    assert splits.train is not None
    assert rows(splits.train, each=False) == (["abcd", "defg"], ["e", "h"])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.text(alphabet="abcé\n🙂", min_size=5, max_size=60), st.integers(1, 4), st.integers(1, 9))
def test_every_window_is_a_piece_of_the_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, length: int, stride: int
) -> None:
    splits = opened(tmp_path_factory.mktemp("t"), text, length, stride)
    assert splits.train is not None
    assert splits.classes == tuple(sorted(set(text)))
    windows, behind = rows(splits.train, length=length)
    starts = [i * stride for i in range(len(windows))]
    assert windows == [text[s : s + length] for s in starts]
    assert behind == [text[s + 1 : s + 1 + length] for s in starts]
    assert starts[-1] + length < len(text) <= starts[-1] + stride + length


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines_marks_and_gzip(tmp_path: Path, end: str) -> None:
    raw = b"\xef\xbb\xbf" + PLAY.replace("\n", end).encode()
    for packed in (raw, gzip.compress(raw)):
        splits = opened(tmp_path, packed)
        assert splits.train is not None
        assert splits.classes == tuple(sorted(set(PLAY)))
        assert "".join(rows(splits.train)[0]) == PLAY[: 4 * len(splits.train)]


def test_another_text_has_the_numbers_of_train(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("not to be\n")
    splits = opened(tmp_path, PLAY, test=TextSource("test.txt"))
    assert splits.test is not None
    assert rows(splits.test)[0] == ["not ", "to b"]
    (tmp_path / "test.txt").write_text("not\nto be!\n")
    found = problem(tmp_path, PLAY, test=TextSource("test.txt"))
    assert found.code == "E243"
    assert "`!` (U+0021)" in found.message
    assert "line 2" in found.label


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("end", ["first", "last"])
def test_nothing_that_is_held_out_was_seen(tmp_path: Path, stride: int, end: str) -> None:
    text = "".join(chr(0x4E00 + i) for i in range(200))  # every character once
    splits = opened(tmp_path, text, stride=stride, valid=HeldOut(**{end: 0.2}))  # type: ignore[arg-type]
    assert splits.train is not None
    assert splits.valid is not None
    trained, held = (set("".join(rows(view)[0])) for view in (splits.train, splits.valid))
    assert not trained & held
    every = opened(tmp_path, text, stride=stride).train
    assert every is not None
    assert len(splits.valid) == int(len(every) * 0.2 + 0.5)
    # No more is left out than must be.
    gap = -(-4 // stride) - 1
    assert len(splits.train) == len(every) - len(splits.valid) - gap


def test_overlapping_rows_are_not_drawn_at_random(tmp_path: Path) -> None:
    assert problem(tmp_path, PLAY, stride=2, valid=HeldOut(split=0.2)).code == "E247"
    assert opened(tmp_path, PLAY, valid=HeldOut(split=0.2)).valid is not None


def test_a_gap_that_leaves_nothing(tmp_path: Path) -> None:
    assert problem(tmp_path, "abcdefgh", stride=1, valid=HeldOut(last=1)).code == "E443"


@pytest.mark.parametrize("text", ["", "\ufeff", "a", "abcd"])
def test_too_short(tmp_path: Path, text: str) -> None:
    found = problem(tmp_path, text)
    assert found.code == "E242"
    assert ("is empty" in found.message) == (text in ("", "\ufeff"))


def test_one_window(tmp_path: Path) -> None:
    splits = opened(tmp_path, "abcde")
    assert splits.train is not None
    assert rows(splits.train) == (["abcd"], ["bcde"])


def test_other_encodings(tmp_path: Path) -> None:
    found = problem(tmp_path, b"to be\nor not to b\xe9\n")
    assert (found.code, found.label) == ("E244", "line 2 holds other bytes")
    assert "UTF-16" in problem(tmp_path, PLAY.encode("utf-16")).label


def test_as_many_characters_as_the_model_has_room_for(tmp_path: Path) -> None:
    found = problem(tmp_path, PLAY, classes=20)
    assert found.code == "E241"
    assert found.help.startswith(f"write `embedding {len(set(PLAY))} …`")


@pytest.mark.parametrize(
    ("inputs", "target"),
    [
        ({"x": (4,)}, TargetSpec("index", None, (4,))),
        ({"x": IndexShape((2, 2))}, TargetSpec("index", None, (4,))),
        ({"x": IndexShape((4,)), "y": IndexShape((4,))}, TargetSpec("index", None, (4,))),
        ({"x": IndexShape((4,))}, TargetSpec("index", None, (5,))),
        ({"x": IndexShape((4,))}, TargetSpec("value", None, (4,))),
        ({"x": IndexShape((4,))}, TargetSpec("binary", 2, (1,))),
    ],
)
def test_models_that_a_text_does_not_fit(
    tmp_path: Path, inputs: dict[str, tuple[int, ...]], target: TargetSpec
) -> None:
    (tmp_path / "text.txt").write_text(PLAY)
    spec = DataSpec("d", Placed(TextSource("text.txt")))
    with pytest.raises(DnnError) as caught:
        load(spec, tmp_path, inputs, {"target": target}, 0)
    (found,) = caught.value.diagnostics
    assert found.code == "E245"
    assert found.help


def test_the_place_of_a_row_is_a_line(tmp_path: Path) -> None:
    splits = opened(tmp_path, "abcd\nefgh\nij")
    assert splits.train is not None
    assert [splits.train.place(n) for n in range(2)] == ['"text.txt", line 1', '"text.txt", line 1']
    assert splits.train.place(1).endswith("line 1")


@pytest.mark.parametrize("part", ["train", "test", "all"])
@pytest.mark.parametrize("length", [16, 64])
def test_alice(part: str, length: int) -> None:
    source = Builtin("alice", part=part)
    spec = DataSpec("d", Placed(source))
    inputs = {"x": IndexShape((length,), 69)}
    splits = load(spec, Path(), inputs, {"target": TargetSpec("index", 69, (length,))}, 0)
    assert splits.train is not None
    assert splits.classes is not None
    assert len(splits.classes) == 69
    request = type("Request", (), {"inputs": inputs, "split": "train"})
    assert len(splits.train) == source.count(request)  # type: ignore[arg-type]
    windows, behind = rows(splits.train, length=length)
    begins = "CHAPTER XII\n\nAlice's Evidence" if part == "test" else "CHAPTER I\n\nDown the Rabbit"
    assert "".join(windows).startswith(begins)
    assert behind[0][:-1] == windows[0][1:]
