"""Inputs of indices: what every source must give, and the place of what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdsl.data import Csv, DataSource, DataSpec, Npy, Npz, Placed, TargetSpec, from_arrays, load
from deepdsl.data.indices import check_indices
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.base import Diagnostic
from deepdsl.graph.types import IndexShape

TWO = {"target": TargetSpec("index", 2)}
LABELS = np.array([0, 1, 0, 1, 0])
GOOD = np.array([[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4], [5, 6, 0]])


def written(folder: Path, values: Any, kind: str) -> DataSource:
    values = np.asarray(values)
    if kind == "csv":
        lines = [
            "a,b,c,label",
            *(",".join(map(str, [*r, n])) for r, n in zip(values, LABELS, strict=True)),
        ]
        (folder / "x.csv").write_text("\n".join(lines) + "\n")
        return Csv("x.csv", target=("label",))
    if kind == "npz":
        np.savez(folder / "x.npz", x=values, y=LABELS)
        return Npz("x.npz")
    np.save(folder / "x.npy", values)
    np.save(folder / "y.npy", LABELS)
    return Npy("x.npy", target="y.npy")


def opened(folder: Path, values: Any, kind: str, count: int | None = 7) -> Any:
    spec = DataSpec("d", Placed(written(folder, values, kind)))
    return load(spec, folder, {"word": IndexShape((3,), count)}, TWO, 0).train


kinds = pytest.mark.parametrize("kind", ["csv", "npz", "npy"])


@kinds
@pytest.mark.parametrize("dtype", ["int64", "uint8", "int32", "float32", "float64"])
def test_indices_are_read_as_whole_numbers(tmp_path: Path, kind: str, dtype: str) -> None:
    view = opened(tmp_path, GOOD.astype(dtype), kind)
    out = np.empty((5, 3), np.int64)
    view.read(np.arange(5), {"word": out})
    np.testing.assert_array_equal(out, GOOD)


@kinds
@pytest.mark.parametrize(
    ("value", "shown", "advice"),
    [
        (
            7,
            "index 7 is out of range for the embedding (0 to 6)",
            "the largest index is 7: `embedding 8 …`",
        ),
        (-1, "index -1 is out of range", "number what is meant from 0 on"),
        (
            1.5,
            "1.5 is not an index: the embedding takes integers from 0 to 6",
            "number what is meant from 0 on",
        ),
    ],
)
def test_what_is_no_index(tmp_path: Path, kind: str, value: float, shown: str, advice: str) -> None:
    bad = GOOD.astype(np.float64 if value == 1.5 else np.int64)
    bad[3, 1] = value
    with pytest.raises(DnnError) as caught:
        opened(tmp_path, bad, kind)
    (found,) = caught.value.diagnostics
    assert found.code == "E240"
    assert shown in found.message
    assert "0 to 6" in found.message
    assert advice in found.help
    place = "line 5, column `b`" if kind == "csv" else "row 3, column 1"
    assert place in found.label + found.message


def test_arrays_of_a_program() -> None:
    table = from_arrays(GOOD, inputs={"word": IndexShape((3,), 7)})
    assert table.rows == 5
    with pytest.raises(DnnError) as caught:
        from_arrays(GOOD, inputs={"word": IndexShape((3,), 6)})
    (found,) = caught.value.diagnostics
    assert isinstance(found, Diagnostic)
    assert found.code == "E240"
    assert "row 1" not in found.message
    assert "row 2, column 0" in found.message


def test_a_trained_table_is_as_it_is() -> None:
    table = from_arrays(GOOD, inputs={"word": IndexShape((3,), 7)})
    with pytest.raises(DnnError) as caught:
        check_indices(table, {"word": IndexShape((3,), 6)}, trained=True)
    (found,) = caught.value.diagnostics
    assert "embedding" in found.message
    assert "embedding 7" not in found.help


def test_without_a_table_only_whole_numbers_count() -> None:
    from_arrays(GOOD + 1000, inputs={"word": IndexShape((3,))})
    with pytest.raises(DnnError):
        from_arrays(GOOD - 1, inputs={"word": IndexShape((3,))})
