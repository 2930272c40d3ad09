"""An index is read strictly: what is wrong is told with its place and a way out."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from deepdsl.diagnostics import DnnError
from deepdsl.transfer.zoo.entry import Beside, Online, Packaged
from deepdsl.transfer.zoo.index import open_index, parsed
from deepdsl.transfer.zoo.rules import entries, wrong_address, wrong_path
from deepdsl.transfer.zoo.spdx import COMMON, wrong_licence
from deepdsl.transfer.zoo.writing import written

MODEL: dict[str, Any] = {
    "name": "net",
    "title": "a network",
    "does": "Tells one from another.",
    "file": "models/net.onnx",
    "sha256": "0" * 64,
    "bytes": 1234,
    "licence": "MIT",
    "licence_source": "its README",
    "inputs": [
        {
            "name": "x",
            "dtype": "float32",
            "shape": [3, None, None],
            "size": [3, 32, 32],
            "about": "0 to 1",
        }
    ],
    "outputs": [{"name": "y", "shape": [10]}],
    "cuts": [{"tensor": "h", "shape": [64], "about": "features"}],
    "classes": ["a", "b"],
}
INDEX: dict[str, Any] = {"format": "deepdsl-zoo", "version": 1, "models": [MODEL]}
GONE = object()


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """The index with one value put at a place, or taken away."""
    document = copy.deepcopy(INDEX)
    at: Any = document
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


def faults(document: Any) -> list[tuple[str, str, str]]:
    """Pointer, message and help of everything that is wrong."""
    with pytest.raises(DnnError) as raised:
        entries(parsed(json.dumps(document).encode(), "index.json"), "index.json")
    assert {d.code for d in raised.value.diagnostics} == {"E560"}
    return [(d.pointer, d.message, d.help) for d in raised.value.diagnostics]  # type: ignore[attr-defined]


def test_what_is_right_is_read() -> None:
    (entry,) = entries(INDEX, "index.json").values()
    assert entry.place == Beside("models/net.onnx")
    assert entry.inputs[0].shape == (3, None, None)
    assert entry.inputs[0].fixed == (3, 32, 32)
    assert (entry.cuts[0].name, entry.cuts[0].shape) == ("h", (64,))
    assert entry.classes == ("a", "b")
    online = entries(changed("models", 0, "file", value="https://a.org/n.onnx"), "i")["net"]
    assert online.place == Online("https://a.org/n.onnx")
    where = {"package": "some-package", "version": "1.0", "path": "some/net.onnx"}
    packaged = entries(changed("models", 0, "file", value=where), "i")["net"]
    assert packaged.place == Packaged("some-package", "1.0", "some/net.onnx")


WRONG = [
    ((), [1], "", "this is a list"),
    (("format",), "zoo", "/format", 'this is "zoo"'),
    (("version",), 2, "/version", "this is version 2"),
    (("version",), True, "/version", "this is version true"),
    (("models",), {}, "/models", "this is an object"),
    (("models",), GONE, "", "the key `models` is missing"),
    (("titel",), "x", "/titel", "there is no such key"),
    (("models", 0), "net", "/models/0", "this is a text"),
    (("models", 0, "licens/e"), "MIT", "/models/0/licens~1e", "there is no such key"),
    (("models", 0, "sha256"), GONE, "/models/0", "the key `sha256` is missing"),
    (("models", 0, "sha256"), "0" * 63, "/models/0/sha256", "is no sha256"),
    (("models", 0, "sha256"), "G" * 64, "/models/0/sha256", "is no sha256"),
    (("models", 0, "sha256"), "A" * 64, "/models/0/sha256", "is no sha256"),
    (("models", 0, "bytes"), 0, "/models/0/bytes", "not between 1 and 2,147,483,647"),
    (("models", 0, "bytes"), 1 << 40, "/models/0/bytes", "not between"),
    (("models", 0, "bytes"), 1.5, "/models/0/bytes", "this is a number"),
    (("models", 0, "bytes"), True, "/models/0/bytes", "this is true or false"),
    (("models", 0, "name"), "Net", "/models/0/name", "small letters and digits"),
    (("models", 0, "name"), "../net", "/models/0/name", "small letters and digits"),
    (("models", 0, "name"), "a" * 65, "/models/0/name", "at most 64"),
    (("models", 0, "name"), "con", "/models/0/name", "device on Windows"),
    (("models", 0, "title"), "", "/models/0/title", "empty"),
    (("models", 0, "title"), "a\x1b[2Jb", "/models/0/title", "control characters"),
    (("models", 0, "does"), 3, "/models/0/does", "this is a number"),
    (("models", 0, "does"), "x" * 4001, "/models/0/does", "more than 4,000"),
    (
        ("models", 0, "licence"),
        "Apache 2.0",
        "/models/0/licence",
        "not a licence expression of SPDX",
    ),
    (("models", 0, "file"), "../net.onnx", "/models/0/file", "does not leave its folder"),
    (("models", 0, "file"), "a/../../b", "/models/0/file", "does not leave its folder"),
    (("models", 0, "file"), "/etc/passwd", "/models/0/file", "relative to the folder"),
    (("models", 0, "file"), "C:/net.onnx", "/models/0/file", "relative to the folder"),
    (("models", 0, "file"), "~/net.onnx", "/models/0/file", "relative to the folder"),
    (("models", 0, "file"), "a\\b.onnx", "/models/0/file", "`/` between"),
    (("models", 0, "file"), "a//b.onnx", "/models/0/file", "between each two"),
    (("models", 0, "file"), "a%2e.onnx", "/models/0/file", "has no `%`"),
    (("models", 0, "file"), "http://a.org/n.onnx", "/models/0/file", "http without s"),
    (("models", 0, "file"), "ftp://a.org/n.onnx", "/models/0/file", "begins with https"),
    (("models", 0, "file"), "file:///etc/passwd", "/models/0/file", "begins with https"),
    (("models", 0, "file"), "https://u:p@a.org/n", "/models/0/file", "no user name"),
    (("models", 0, "file"), "https:///n.onnx", "/models/0/file", "no address"),
    (
        ("models", 0, "file"),
        {"package": "p", "path": "n"},
        "/models/0/file",
        "the key `version` is missing",
    ),
    (
        ("models", 0, "file"),
        {"package": "p", "version": "1", "path": "../x"},
        "/models/0/file/path",
        "does not leave",
    ),
    (
        ("models", 0, "file"),
        {"package": "p;q", "version": "1", "path": "x"},
        "/models/0/file/package",
        "no package",
    ),
    (("models", 0, "inputs"), [], "/models/0/inputs", "this list is empty"),
    (("models", 0, "inputs", 0, "shape"), [0], "/models/0/inputs/0/shape/0", "not between"),
    (("models", 0, "inputs", 0, "shape"), "3", "/models/0/inputs/0/shape", "this is a text"),
    (("models", 0, "inputs", 0, "shape"), [1] * 9, "/models/0/inputs/0/shape", "at most 8"),
    (("models", 0, "inputs", 0, "size"), [1, 32, 32], "/models/0/inputs/0/size", "not fit"),
    (("models", 0, "inputs", 0, "dtype"), "double", "/models/0/inputs/0/dtype", "element type"),
    (("models", 0, "cuts", 0, "about"), GONE, "/models/0/cuts/0", "the key `about` is missing"),
    (("models", 0, "classes", 1), None, "/models/0/classes/1", "this is null"),
]


@pytest.mark.parametrize(("path", "value", "pointer", "words"), WRONG)
def test_what_is_wrong_is_told_with_its_place(
    path: tuple[Any, ...], value: Any, pointer: str, words: str
) -> None:
    found = faults(changed(*path, value=value) if path else value)
    assert len(found) == 1, found
    assert found[0][0] == pointer
    assert words in found[0][1]
    assert f"index.json{f', {pointer}' if pointer else ''}: " in found[0][1]


def test_all_faults_are_told_at_once() -> None:
    document = changed("models", 0, "sha256", value="x")
    document["models"].append({**MODEL, "bytes": -1, "licens": "MIT"})
    document["models"].append({**MODEL})
    document["models"].append({**MODEL})
    found = {pointer: help for pointer, _, help in faults(document)}
    assert set(found) == {
        "/models/0/sha256",
        "/models/1/bytes",
        "/models/1/licens",
        "/models/3/name",
    }
    assert found["/models/1/licens"] == "did you mean `licence`?"


def test_what_is_no_json(tmp_path: Path) -> None:
    for data, words in (
        (b"", "it is no JSON: expecting value (line 1, column 1)"),
        (b"{\n  'a': 1}", "(line 2, column 3)"),
        (b'{"version": NaN}', "NaN is no JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "/a: this key stands here twice"),
    ):
        (tmp_path / "index.json").write_bytes(data)
        with pytest.raises(DnnError) as raised:
            open_index(str(tmp_path))
        assert words in str(raised.value)
        assert {d.code for d in raised.value.diagnostics} == {"E560"}


def test_a_newer_index_says_only_that() -> None:
    document = {"format": "deepdsl-zoo", "version": 2, "networks": []}
    assert [(p, h) for p, _, h in faults(document)] == [
        ("/version", "this version of dnnc reads version 1")
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    below = [p for k, v in inner if isinstance(v, dict | list) for p in places(v, (*at, k))]
    keys = value if isinstance(value, dict) else range(len(value))
    return [*((*at, k) for k in keys), *below]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(places(INDEX)), JSON)
def test_any_value_at_any_place_is_taken_or_told(place: tuple[Any, ...], value: Any) -> None:
    document = changed(*place, value=value)
    taken, told = {}, set()
    try:
        taken = {name: entry.name for name, entry in entries(document, "index.json").items()}
    except DnnError as error:
        told = {d.code for d in error.diagnostics}
    assert all(name == its for name, its in taken.items())
    assert told <= {"E560"}


@settings(max_examples=100, derandomize=True, deadline=None)
@given(JSON)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert json.loads(written(value)) == value
    assert json.loads(written({"models": [value]})) == {"models": [value]}


def test_the_shipped_index_is_written_as_it_would_be() -> None:
    index = open_index(None)
    file = ROOT / "deepdsl" / "transfer" / "zoo" / "index.json"
    assert file.read_text(encoding="utf-8") == written(json.loads(file.read_bytes())) + "\n"
    assert set(index.entries) == {"text-direction", "file-type"}
    for entry in index.entries.values():
        assert isinstance(entry.place, Packaged)
        assert entry.licence == "Apache-2.0"
        assert len(entry.classes) == entry.outputs[0].shape[0]


def test_the_index_in_the_documents_is_one() -> None:
    text = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```$", text, re.S | re.M)
    assert list(entries(parsed(example.encode(), "docs/zoo.md"), "docs/zoo.md")) == ["digits"]
    # Every key of a model has its row.
    for key in MODEL:
        assert f"| `{key}` |" in text


def test_licences() -> None:
    for right in (
        *COMMON,
        "MIT OR Apache-2.0",
        "(MIT AND BSD-3-Clause) OR Zlib",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "LicenseRef-Own",
    ):
        assert wrong_licence(right) is None, right
    for wrong, meant in (
        ("Apache 2.0", "Apache-2.0"),
        ("apache-2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("GPLv3", "GPL-3.0-only"),
        ("MIT or Zlib", ""),
        ("MIT OR", ""),
        ("(MIT", ""),
        ("", ""),
        ("MIT;rm", ""),
    ):
        told = wrong_licence(wrong)
        assert told is not None, wrong
        assert meant in told[1]


def test_paths_and_addresses() -> None:
    for path in ("net.onnx", "a/b/net.v2.onnx", "ünet.onnx", "a b.onnx"):
        assert wrong_path(path) is None
    for address in ("https://a.org/x.onnx", "https://127.0.0.1:8443/x?v=1"):
        assert wrong_address(address) is None
    assert wrong_address("https://[::1/x") == "this is no address"
    assert wrong_address("https://a.org:port/x") == "this is no address"
