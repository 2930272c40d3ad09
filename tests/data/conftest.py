"""A folder with the files that the pages of the data messages name, sound ones and broken ones."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from typing import Any
from zlib import compress, crc32

import numpy as np
import pytest

ROWS = np.arange(32, dtype=np.float32).reshape(8, 4) / 32
LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1])
SORTED = np.array([0, 0, 0, 0, 0, 1, 1, 1])
_IDX = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    head = struct.pack(
        f">BBBB{array.ndim}I", 0, 0, _IDX[array.dtype.name], array.ndim, *array.shape
    )
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def csv_text(labels: object = LABELS, rows: np.ndarray[Any, Any] = ROWS) -> str:
    lines = ["a,b,c,d,label"]
    for row, label in zip(rows.tolist(), list(labels), strict=True):  # type: ignore[call-overload]
        lines.append(",".join(map(str, row)) + f",{label}")
    return "\n".join(lines) + "\n"


def write_page_files(folder: Path) -> None:
    """Every file that a page names, so that its two programs do what the page says."""
    bytes_of_rows = (ROWS * 32).astype(np.uint8)
    good = csv_text()
    files: dict[str, bytes | str] = {
        "plain.gz": idx_bytes(bytes_of_rows),
        "rows.gz": gzip.compress(idx_bytes(bytes_of_rows)),
        "labels.gz": gzip.compress(idx_bytes(LABELS.astype(np.uint8))),
        "truncated.gz": gzip.compress(idx_bytes(bytes_of_rows))[:-12],
        "strange.idx": b"\0\0\x07\x01\0\0\0\1\0",
        "short.idx": idx_bytes(bytes_of_rows)[:-1],
        "good.csv": good,
        "twice.csv": good.replace("a,b,c", "a,b,b"),
        "pandas.csv": "\n".join(
            f"{i - 1 if i else ''},{line}" for i, line in enumerate(good.splitlines())
        ),
        "ragged.csv": good + "1,2,3,0\n",
        "text.csv": "name," + good.replace("\n", "\nx,").removesuffix("x,"),
        "empty-field.csv": good + "1,,3,4,0\n",
        "nothing.csv": "",
        "numbers.csv": "0.5,1,0\n0.25,2,1\n",
        "header.csv": "a,b,c,d,label\n",
        "latin.csv": (good + "1,2,3,4,é\n").encode("latin-1"),
        "quote.csv": good + '1,2,3,4,"0\n',
        "changing.csv": good,
        "names.csv": csv_text(["no", "yes"] * 4),
        "three.csv": csv_text(["no", "yes", "maybe", "yes"] * 2),
    }
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(raw)
    (folder / "play.txt").write_text("to be, or not to be: so we\n")
    (folder / "verse.txt").write_text("to be, or not to be!\n")
    (folder / "latin.txt").write_bytes("to be, or not to bé: so we\n".encode("latin-1"))
    np.savez(folder / "indices.npz", x=np.arange(32).reshape(8, 4) % 8, y=LABELS)
    with open(folder / "huge.gz", "wb") as stream:  # a terabyte of promises in a file of holes
        stream.write(gzip.compress(b"\0\0\x08\x02" + struct.pack(">II", 1 << 30, 1 << 12)))
        stream.truncate(5 << 30)
    np.save(folder / "good.npy", ROWS)
    np.save(folder / "labels.npy", LABELS)
    np.save(folder / "few-labels.npy", LABELS[:5])
    objects = np.array([{"a": 1}] * 8, dtype=object)
    np.savez(folder / "objects.npz", x=objects, y=LABELS)
    np.savez(folder / "dates.npz", x=ROWS.astype("M8[s]"), y=LABELS)
    with_nan = ROWS.copy()
    with_nan[5, 2] = np.nan
    np.savez(folder / "nan.npz", x=with_nan, y=LABELS)
    np.savez(folder / "halves.npz", x=ROWS, y=LABELS / 2)
    np.savez(folder / "one-class.npz", x=ROWS, y=LABELS * 0)
    np.savez(folder / "sorted.npz", x=ROWS, y=SORTED)
    for name in ("good.npz", "forbidden.npz"):
        np.savez_compressed(folder / name, x=ROWS, y=LABELS)
    write_image_folders(folder)
    write_parquet_files(folder)


def png_claiming(width: int, height: int) -> bytes:
    """A sound header of a png file of any size, and no more pixels than it takes to be opened."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", compress(b"\0" * 64)) + chunk(b"IEND", b"")


def write_images(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 4) -> None:
    """Images of noise, 8 × 8, of which each class is bright in another colour."""
    from PIL import Image

    random = np.random.default_rng(3)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 128, (8, 8, 3), np.uint8)
            pixels[..., number % 3] += 100
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def write_image_folders(folder: Path) -> None:
    for name in ("images", "broken", "huge", "linked", "half", "mixed"):
        write_images(folder / (name if name == "images" else f"{name}-images"))
    whole = (folder / "images" / "cat" / "0.png").read_bytes()
    (folder / "broken-images" / "cat" / "9.png").write_bytes(whole[: len(whole) // 2])
    (folder / "huge-images" / "cat" / "9.png").write_bytes(png_claiming(50_000, 50_000))
    (folder / "linked-images" / "cat" / "9.png").symlink_to(folder / "images" / "cat" / "0.png")
    (folder / "half-images" / "notes").mkdir()
    (folder / "mixed-images" / "cat" / "readme.txt").write_text("cats")


def write_parquet_files(folder: Path) -> None:
    from pyarrow import parquet, table

    columns = {name: ROWS[:, i] for i, name in enumerate("abcd")}
    good = {**columns, "label": LABELS}
    lists = [row.tolist() for row in ROWS]
    files = {
        "good": good,
        "nulls": {**good, "b": [0.5] * 7 + [None]},
        "texts": {"name": ["x"] * 8, **good},
        "ragged": {"x": [*lists[:7], [1.0]], "label": LABELS},
    }
    for name, values in files.items():
        parquet.write_table(table(values), folder / f"{name}.parquet")


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_page_files(folder)
    return folder


@pytest.fixture
def folder(page_folder: Path) -> Path:
    """Read from it; what a test writes goes to its own tmp_path."""
    return page_folder


@pytest.fixture
def page_module() -> Any:
    """The functions above, for tests that make files of their own."""
    return sys.modules[__name__]
