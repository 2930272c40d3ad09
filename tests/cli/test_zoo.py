"""`dnnc zoo`: a stand-in package, a folder, a server on this machine; what is refused, and how."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import pytest
from commands import Answer, Dnnc
from small_onnx import convolutions, perceptron, two_inputs

from deepdsl.transfer.zoo.index import open_index

PACKAGE = "stand-in-models"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(data: bytes, file: Any, **changes: Any) -> dict[str, Any]:
    """What an index says of the perceptron."""
    told = {
        "name": "net",
        "title": "three kinds of twelve numbers",
        "does": "Tells three kinds apart.",
        "file": file,
        "sha256": sha256(data),
        "bytes": len(data),
        "licence": "MIT",
        "licence_source": "its metadata",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [12], "about": "about 0 to 1"}],
        "outputs": [{"name": "probabilities", "shape": [3]}],
        "cuts": [{"tensor": "features", "shape": [8], "about": "before the classifier"}],
    }
    return {**told, **changes}


def index_of(folder: Path, *models: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "index.json"
    text = json.dumps({"format": "deepdsl-zoo", "version": 1, "models": list(models)})
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def data() -> bytes:
    return perceptron().SerializeToString()


@pytest.fixture
def package(tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with the perceptron in it, which cannot be imported."""
    site = tmp_path / "site"
    (site / "stand_in" / "models").mkdir(parents=True)
    (site / "stand_in" / "__init__.py").write_text("raise SystemExit('imported')")
    (site / "stand_in" / "models" / "net.onnx").write_bytes(data)
    (site / "stand_in" / "secret.txt").write_text("not part of it")
    about = site / "stand_in_models-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.2\n")
    (about / "RECORD").write_text("stand_in/__init__.py,,\nstand_in/models/net.onnx,,\n")
    monkeypatch.syspath_prepend(str(site))
    return site


def packaged(path: str = "stand_in/models/net.onnx", version: str = "1.2") -> dict[str, str]:
    return {"package": PACKAGE, "version": version, "path": path}


def codes(answer: Answer, status: int = 3) -> list[str]:
    assert answer.status == status, answer.err
    return answer.codes


# Packages -----------------------------------------------------------------------------------------


def test_a_model_in_an_installed_package(
    dnnc: Dnnc, package: Path, data: bytes, tmp_path: Path
) -> None:
    index = index_of(tmp_path / "mine", entry(data, packaged()))
    listed = dnnc("zoo", "list", "--index", index)
    assert listed.status == 0
    assert listed.out.splitlines() == [
        "name   size  licence  from                 at hand    what it is",
        f"net   {len(data)} B  MIT      stand-in-models 1.2  installed  three kinds of twelve "
        "numbers",
    ]
    told = dnnc("zoo", "list", "--index", index, "--json").json["models"][0]
    assert (told["name"], told["at_hand"], told["state"]) == ("net", True, "installed")
    assert dnnc("zoo", "--json", "list", "--index", index).json["models"][0] == told
    assert "before the classifier" in dnnc("zoo", "list", "-v", "--index", index).out

    got = dnnc("zoo", "get", "net", "--index", index, "-o", "copy.onnx")
    assert got.status == 0
    assert got.out == (
        f"copy.onnx: {len(data):,} bytes, sha256 as the index says\n"
        "licence: MIT (its metadata)\n"
        "\n"
        'use "copy.onnx" as net\n'
        "\n"
        "model classifier {\n"
        "  input x[12]\n"
        '  part body { reuse net until="features" }  # gives 8\n'
        "  part head { dense 10 | softmax }  # one output for each of your classes\n"
        "}\n"
    )
    assert Path("copy.onnx").read_bytes() == data
    json_ = dnnc("zoo", "get", "net", "--index", index, "--json").json
    assert (json_["file"], json_["sha256"], json_["licence"]) == ("net.onnx", sha256(data), "MIT")
    assert json_["use"] == 'use "net.onnx" as net'
    assert dnnc("zoo", "verify", "net", "--index", index).out.startswith("net  ok  ")
    assert "stand_in" not in sys.modules


def test_a_package_that_is_missing_or_another_version(
    dnnc: Dnnc, package: Path, data: bytes, tmp_path: Path
) -> None:
    index = index_of(
        tmp_path,
        entry(data, packaged(version="1.3"), name="newer"),
        entry(data, {**packaged(), "package": "no-such-package-here"}, name="absent"),
        entry(data, packaged("stand_in/secret.txt"), name="unlisted"),
    )
    found = {
        m["name"]: m["state"]
        for m in dnnc("zoo", "list", "--index", index, "--json").json["models"]
    }
    assert found == {
        "newer": "1.2 installed",
        "absent": "not installed",
        "unlisted": "damaged package",
    }
    for name, message, help_ in (
        (
            "newer",
            "it is in stand-in-models 1.3, and stand-in-models 1.2 is installed",
            "pip install --no-deps stand-in-models==1.3",
        ),
        (
            "absent",
            "it is in the package no-such-package-here 1.2, which is not installed",
            "pip install --no-deps no-such-package-here==1.2",
        ),
        (
            "unlisted",
            "the installed stand-in-models 1.2 has no file stand_in/secret.txt",
            "pip install --no-deps stand-in-models==1.2 --force-reinstall",
        ),
    ):
        for action in ("get", "verify"):
            answer = dnnc("zoo", action, name, "--index", index, "--json")
            assert codes(answer) == ["E563"]
            (told,) = answer.json["diagnostics"]
            assert (told["message"], told["help"]) == (f"`{name}`: {message}", help_)
    assert not list(tmp_path.glob("*.onnx"))
    # Without a name, what is not here is no mistake.
    assert dnnc("zoo", "verify", "--index", index).status == 0


def test_the_shipped_models_where_they_are_installed(dnnc: Dnnc, tmp_path: Path) -> None:
    here = []
    for told in open_index(None).document["models"]:
        where = told["file"]
        try:
            if version(where["package"]) == where["version"]:
                here.append(told["name"])
        except PackageNotFoundError:
            continue
    if not here:
        pytest.skip("none of the packages is installed")
    for name in here:
        assert dnnc("zoo", "get", name).status == 0
        assert dnnc("zoo", "verify", f"{name}.onnx").out.startswith(f"{name}")
        session = ort.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
        (source,) = open_index(None).entries[name].inputs
        assert [i.name for i in session.get_inputs()] == [source.name]
    assert dnnc("zoo", "verify").status == 0


def test_the_shipped_index_without_its_packages(
    dnnc: Dnnc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("deepdsl.transfer.zoo.places.distribution", missing)
    listed = dnnc("zoo", "list")
    assert listed.status == 0
    assert listed.out == (
        "name                size  licence     from                        at hand        "
        "what it is\n"
        "text-direction  585.5 kB  Apache-2.0  rapidocr-onnxruntime 1.4.4  not installed  "
        "text direction of a line: upright or upside down\n"
        "file-type         3.2 MB  Apache-2.0  magika 1.0.3                not installed  "
        "content type of a file from its bytes, 214 classes\n"
    )
    told = dnnc("zoo", "get", "text-direction").err
    assert "help: pip install --no-deps rapidocr-onnxruntime==1.4.4\n" in told


# Folders ------------------------------------------------------------------------------------------


def test_a_folder(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    index_of(tmp_path / "zoo", entry(data, "nets/net.onnx"))
    (tmp_path / "zoo" / "nets").mkdir()
    missing = dnnc("zoo", "get", "net", "--index", "zoo", "--json")
    assert codes(missing) == ["E563"]
    (tmp_path / "zoo" / "nets" / "net.onnx").write_bytes(data)
    (tmp_path / "copies").mkdir()
    assert dnnc("zoo", "get", "net", "--index", "zoo", "-o", "copies").status == 0
    assert (tmp_path / "copies" / "net.onnx").read_bytes() == data
    verified = dnnc("zoo", "verify", "copies/net.onnx", "--index", "zoo", "--json")
    assert verified.json["models"] == [{"name": "net", "state": "ok", "file": "copies/net.onnx"}]
    assert verified.json["diagnostics"] == []


def test_what_is_there_is_kept(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    index_of(tmp_path / "zoo", entry(data, "net.onnx"))
    (tmp_path / "zoo" / "net.onnx").write_bytes(data)
    mine = tmp_path / "net.onnx"
    mine.write_text("mine")
    assert codes(dnnc("zoo", "get", "net", "--index", "zoo", "--json")) == ["E566"]
    assert mine.read_text() == "mine"
    assert dnnc("zoo", "get", "net", "--index", "zoo", "--force").status == 0
    assert mine.read_bytes() == data
    # Even then a file is not copied onto itself.
    onto = dnnc("zoo", "get", "net", "--index", "zoo", "-o", "zoo/net.onnx", "--force", "--json")
    assert codes(onto) == ["E609"]
    assert (tmp_path / "zoo" / "net.onnx").read_bytes() == data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d[:-1], "its size is"),
        (lambda d: d + b"x", "its size is more than"),
        (lambda d: bytes([d[0] ^ 1]) + d[1:], "its sha256 is"),
    ],
    ids=["shorter", "longer", "another bit"],
)
def test_a_file_that_differs_is_not_kept(
    dnnc: Dnnc, data: bytes, tmp_path: Path, change: Any, words: str, monkeypatch: Any
) -> None:
    index_of(tmp_path / "zoo", entry(data, "net.onnx"))
    (tmp_path / "zoo" / "net.onnx").write_bytes(change(data))

    def parsed(*_: Any) -> None:
        raise AssertionError("it was read before its checksum was compared")

    monkeypatch.setattr("deepdsl.transfer.onnx_import.reading.parsed", parsed)
    for force in ([], ["--force"]):
        answer = dnnc("zoo", "get", "net", "--index", "zoo", "--json", *force)
        assert codes(answer) == ["E564"]
        assert words in answer.err
        assert [p.name for p in tmp_path.iterdir()] == ["zoo"]
    verified = dnnc("zoo", "verify", "--index", "zoo", "--json")
    assert codes(verified) == ["E564"]
    assert verified.json["models"][0]["state"] == "wrong"


def test_no_way_out_of_the_folder(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    index_of(tmp_path / "zoo", entry(data, "link.onnx"), entry(data, "way/net.onnx", name="two"))
    (tmp_path / "net.onnx").write_bytes(data)
    try:
        os.symlink(tmp_path / "net.onnx", tmp_path / "zoo" / "link.onnx")
        os.symlink(tmp_path, tmp_path / "zoo" / "way", target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    for name in ("net", "two"):
        answer = dnnc("zoo", "get", name, "--index", "zoo", "-o", "out.onnx", "--json")
        assert codes(answer) == ["E563"]
        assert "leads out of the folder" in answer.err
    (tmp_path / "zoo" / "inner.onnx").write_bytes(data)
    (tmp_path / "zoo" / "link.onnx").unlink()
    os.symlink("inner.onnx", tmp_path / "zoo" / "link.onnx")
    assert dnnc("zoo", "get", "net", "--index", "zoo", "-o", "out.onnx").status == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_waited_for(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    index_of(tmp_path / "zoo", entry(data, "net.onnx"))
    os.mkfifo(tmp_path / "zoo" / "net.onnx")
    assert codes(dnnc("zoo", "get", "net", "--index", "zoo", "--json")) == ["E563"]
    os.mkfifo(tmp_path / "pipe.onnx")
    assert dnnc("zoo", "verify", "pipe.onnx", "--index", "zoo").status == 3


def test_a_name_that_is_not_there(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    index_of(tmp_path / "zoo", entry(data, "net.onnx"), entry(data, "net.onnx", name="other"))
    for action in ("get", "verify"):
        answer = dnnc("zoo", action, "othre", "--index", "zoo", "--json")
        assert codes(answer) == ["E562"]
        assert "did you mean `other`?" in answer.err
    (tmp_path / "strange.onnx").write_text("something")
    answer = dnnc("zoo", "verify", "strange.onnx", "--index", "zoo", "--json")
    assert codes(answer) == ["E562"]
    assert "the sha256 or the name of this file" in answer.err


def test_an_index_that_is_wrong(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    index_of(tmp_path / "zoo", entry(data, "../net.onnx", sha256="12"))
    answer = dnnc("zoo", "list", "--index", "zoo")
    assert answer.status == 3
    assert answer.out == ""
    assert answer.err == (
        'error[E560]: zoo/index.json, /models/0/file: "../net.onnx": a path does not leave its '
        "folder: no `..`\n"
        "help: such as models/net.onnx\n"
        "\n"
        'error[E560]: zoo/index.json, /models/0/sha256: "12" is no sha256\n'
        "help: the 64 small hexadecimal digits that `sha256sum FILE` prints\n"
        "\n"
        "2 errors\n"
    )
    for place in ("nowhere", "zoo/nothing.json", tmp_path.parent / "no\0name"):
        assert codes(dnnc("zoo", "list", "--index", place, "--json")) == ["E561"]
    (tmp_path / "empty").mkdir()
    assert codes(dnnc("zoo", "list", "--index", "empty", "--json")) == ["E561"]


def test_addresses_without_https(dnnc: Dnnc, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("the network was used")

    monkeypatch.setattr("deepdsl.transfer.zoo.network._open", never)
    for address in ("http://127.0.0.1:1/zoo", "ftp://127.0.0.1/zoo", "file:///etc"):
        answer = dnnc("zoo", "list", "--index", address, "--json")
        assert codes(answer) == ["E565"]
    assert "http without s" in dnnc("zoo", "list", "--index", "http://127.0.0.1:1/zoo").err


def test_usage(dnnc: Dnnc) -> None:
    for arguments in ((), ("lst",), ("get",), ("publish", "x.onnx"), ("list", "--indx", "a")):
        assert dnnc("zoo", *arguments).status == 2


# Over the network ---------------------------------------------------------------------------------


def test_an_index_at_an_address(
    dnnc: Dnnc, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A published folder as a server gives it, without a server."""
    (tmp_path / "n.onnx").write_bytes(data)
    arguments = ("--to", "site", "--name", "net", "--licence", "MIT", "--title", "a net")
    assert dnnc("zoo", "publish", "n.onnx", *arguments).status == 0
    asked: list[tuple[str, int]] = []

    class Answer:
        def __init__(self, url: str) -> None:
            self.url, self.headers = url, dict[str, str]()
            path = url.removeprefix("https://zoo.test/models/")
            self.file = (tmp_path / "site" / path).open("rb")
            self.read = self.file.read

        def geturl(self) -> str:
            return self.url

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    def opened(request: Any, timeout: float) -> Answer:
        asked.append((request.full_url, int(timeout)))
        return Answer(request.full_url)

    monkeypatch.setattr("deepdsl.transfer.zoo.network._open", opened)
    address = "https://zoo.test/models"
    listed = dnnc("zoo", "list", "--index", address, "--json").json
    assert listed["index"] == f"{address}/index.json"
    assert listed["models"][0]["state"] == "online"
    assert listed["models"][0]["address"] == f"{address}/net.onnx"
    got = dnnc("zoo", "get", "net", "--index", f"{address}/index.json", "-o", "far.onnx", "--json")
    assert got.json["from"] == f"{address}/net.onnx"
    assert (tmp_path / "far.onnx").read_bytes() == data
    assert asked == [(f"{address}/index.json", 30)] * 2 + [(f"{address}/net.onnx", 30)]
    # A file that has grown is left where it is.
    (tmp_path / "site" / "net.onnx").write_bytes(data + b"x")
    longer = dnnc("zoo", "get", "net", "--index", address, "-o", "b.onnx", "--json")
    assert codes(longer) == ["E565"]
    assert not list(tmp_path.glob("*b.onnx*"))


# Publishing ---------------------------------------------------------------------------------------


def test_publish_writes_an_entry_from_the_file(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_bytes(data)
    made = dnnc(
        "zoo", "publish", "n.onnx", "--to", "a/zoo", "--name", "net", "--licence", "MIT"
    )  # fmt: skip
    assert made.status == 0
    assert made.out == (
        f"a/zoo/net.onnx: {len(data):,} bytes, MIT\n"
        "a/zoo/index.json: `net` added, 1 model\n"
    )  # fmt: skip
    assert (
        (tmp_path / "a/zoo/index.json").read_text()
        == f"""\
{{
  "format": "deepdsl-zoo",
  "version": 1,
  "models": [
    {{
      "name": "net",
      "title": "net",
      "does": "net",
      "file": "net.onnx",
      "sha256": "{sha256(data)}",
      "bytes": {len(data)},
      "licence": "MIT",
      "licence_source": "stated by who published it",
      "inputs": [
        {{
          "name": "x",
          "dtype": "float32",
          "shape": [12],
          "about": "as the network was trained with; not stated"
        }}
      ],
      "outputs": [{{"name": "probabilities", "shape": [3]}}],
      "cuts": [
        {{
          "tensor": "features",
          "shape": [8],
          "about": "8 features after Relu, before the classifier"
        }},
        {{"tensor": "hb", "shape": [8], "about": "8 features after Add"}},
        {{"tensor": "h", "shape": [8], "about": "8 features after MatMul"}}
      ]
    }}
  ]
}}
"""
    )
    assert dnnc("zoo", "verify", "--index", "a/zoo").status == 0


def test_publish_keeps_what_is_there(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    """Other entries, the order of keys, and what is not said anew."""
    (tmp_path / "n.onnx").write_bytes(data)
    first = entry(data, "net.onnx", name="first", title="ä first")
    second = dict(reversed(entry(data, "https://a.org/n.onnx", title="kept").items()))
    index = index_of(tmp_path / "zoo", first, second)
    document = json.loads(index.read_text())
    document["title"] = "my own"
    index.write_text(json.dumps(document))
    (tmp_path / "zoo" / "first.onnx").write_text("another's")
    made = dnnc("zoo", "publish", "n.onnx", "--to", "zoo", "--name", "net", "--cut", "h", "--json")
    assert made.status == 0
    assert made.json["renewed"]
    now = json.loads(index.read_text(encoding="utf-8"))
    assert (now["title"], now["models"][0]) == ("my own", first)
    assert list(now["models"][1]) == list(second)
    renewed = now["models"][1]
    assert (renewed["title"], renewed["licence"], renewed["file"]) == ("kept", "MIT", "net.onnx")
    assert renewed["licence_source"] == "its metadata"
    assert renewed["inputs"][0]["about"] == "about 0 to 1"
    assert [c["tensor"] for c in renewed["cuts"]] == ["h"]
    assert (tmp_path / "zoo" / "first.onnx").read_text() == "another's"
    other = dnnc("zoo", "publish", "n.onnx", "--to", "zoo", "--name", "net", "--licence", "ISC")
    assert other.status == 0
    renewed = json.loads(index.read_text(encoding="utf-8"))["models"][1]
    # What was said of another licence is not said of this one.
    assert (renewed["licence"], renewed["licence_source"]) == ("ISC", "stated by who published it")


def test_a_run_is_exported_and_published(dnnc: Dnnc, run_folder: Path, tmp_path: Path) -> None:
    words = ("--licence", "CC0-1.0", "--title", "digits", "--does", "Reads a digit.")
    made = dnnc("zoo", "publish", run_folder, "--to", "zoo", "--name", "digits", *words, "--json")
    assert made.status == 0, made.err
    told = made.json["entry"]
    assert told["classes"] == [str(n) for n in range(10)]
    assert told["inputs"] == [
        {
            "name": "image",
            "dtype": "float32",
            "shape": [8, 8],
            "about": "raw values: the file does `scale(0.0625)` itself",
        }
    ]
    assert told["outputs"] == [{"name": "output", "shape": [10]}]
    assert told["cuts"][0]["shape"] == [16]
    assert "before the classifier" in told["cuts"][0]["about"]
    onnx.checker.check_model(onnx.load(tmp_path / "zoo" / "digits.onnx"), full_check=True)
    assert dnnc("zoo", "verify", "digits", "--index", "zoo").status == 0
    assert sorted(p.name for p in (tmp_path / "zoo").iterdir()) == ["digits.onnx", "index.json"]


def test_images_are_published_as_they_were_decoded(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(data)
    noted = {
        "deepdsl.preprocessing": '["scale(0.5)"]',
        "deepdsl.images": '{"x": {"channels": 3, "range": [0, 255]}}',
    }
    onnx.helper.set_model_props(model, noted)
    onnx.save(model, tmp_path / "n.onnx")
    words = ("--to", "zoo", "--name", "net", "--licence", "MIT", "--json")
    told = dnnc("zoo", "publish", "n.onnx", *words).json["entry"]["inputs"][0]["about"]
    assert told == "images in red, green, blue, 0 to 255: the file does `scale(0.5)` itself"
    # Any program may have written the file.
    onnx.helper.set_model_props(model, {"deepdsl.preprocessing": "x", "deepdsl.images": "[]"})
    onnx.save(model, tmp_path / "n.onnx")
    told = dnnc("zoo", "publish", "n.onnx", *words[:3], "other", *words[4:]).json["entry"]
    assert told["inputs"][0]["about"] == "raw values"


def test_free_sizes_are_published_with_those_that_are_given(dnnc: Dnnc, tmp_path: Path) -> None:
    onnx.save(convolutions(), tmp_path / "c.onnx")
    made = dnnc(
        "zoo", "publish", "c.onnx", "--to", "zoo", "--name", "c", "--licence", "MIT",
        "--size", "3x32x32", "--input", "image=RGB, 0 to 1", "--json",
    )  # fmt: skip
    assert made.json["entry"]["inputs"] == [
        {
            "name": "image",
            "dtype": "float32",
            "shape": [3, None, None],
            "size": [3, 32, 32],
            "about": "RGB, 0 to 1",
        }
    ]
    assert made.json["entry"]["cuts"][0] == {
        "tensor": "features",
        "shape": [4],
        "about": "4 features after Flatten, before the classifier",
    }
    assert dnnc("zoo", "verify", "--index", "zoo").status == 0
    onnx.save(two_inputs(), tmp_path / "two.onnx")
    two = dnnc("zoo", "publish", "two.onnx", "--to", "zoo", "--name", "two", "--licence", "MIT")
    assert two.status == 0
    assert dnnc("zoo", "verify", "--index", "zoo").status == 0


def test_what_cannot_be_published(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_bytes(data)

    def published(*arguments: str, model: str = "n.onnx", name: str = "net") -> Answer:
        words = [*arguments] if "--licence" in arguments else [*arguments, "--licence", "MIT"]
        return dnnc("zoo", "publish", model, "--to", "zoo", "--name", name, *words, "--json")

    for answer, words in (
        (published(name="Net"), "small letters"),
        (published("--licence", "Apache 2"), "did you mean `Apache-2.0`?"),
        (published("--cut", "featurs"), "did you mean `features`?"),
        (published("--input", "y=0 to 1"), "the model has no input `y`"),
        (published("--input", "0 to 1"), "names no input"),
    ):
        assert codes(answer) == ["E568"]
        assert words in answer.err
    new = dnnc("zoo", "publish", "n.onnx", "--to", "zoo", "--name", "net", "--json")
    assert codes(new) == ["E568"]
    assert "--licence Apache-2.0" in new.err
    (tmp_path / "bad.onnx").write_bytes(b"\x80\x04K\x01.")  # a pickle
    assert codes(published(model="bad.onnx")) == ["E540"]
    assert codes(published(model="nowhere.onnx")) == ["E540"]
    assert codes(published("--title", "a\nb")) == ["E560"] * 2  # what it does is its title
    assert not (tmp_path / "zoo").exists()
    index_of(tmp_path / "zoo", entry(data, "../x"))
    before = (tmp_path / "zoo" / "index.json").read_bytes()
    assert codes(published()) == ["E560"]
    assert (tmp_path / "zoo" / "index.json").read_bytes() == before


def test_verify_tells_what_is_not_so(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    told = entry(data, "net.onnx")
    told["inputs"] = [{**told["inputs"][0], "shape": [13], "dtype": "int64"}]
    told["outputs"] = [{"name": "y", "shape": [3]}]
    told["cuts"] = [
        {"tensor": "features", "shape": [8, 1], "about": "a"},
        {"tensor": "fetures", "shape": [8], "about": "b"},
    ]
    index_of(tmp_path, told)
    (tmp_path / "net.onnx").write_bytes(data)
    answer = dnnc("zoo", "verify", "--index", "index.json", "--json")
    assert codes(answer) == ["E567"] * 5
    assert [d["message"] for d in answer.json["diagnostics"]] == [
        "`net`: the input `x` is 12, and the index says 13",
        "`net`: the element type of `x` is float32, and the index says int64",
        "`net`: its list of outputs is `probabilities`, and the index says `y`",
        "`net`: the cut point `features` is 8, and the index says 8 × 1",
        "`net`: the cut point `fetures` is not in the file, and the index says 8",
    ]


def test_verify_with_sizes_that_do_not_fit(dnnc: Dnnc, data: bytes, tmp_path: Path) -> None:
    told = entry(data, "net.onnx")
    told["inputs"] = [{**told["inputs"][0], "shape": [None], "size": [13]}]
    index_of(tmp_path, told)
    (tmp_path / "net.onnx").write_bytes(data)
    answer = dnnc("zoo", "verify", "--index", ".", "--json")
    assert codes(answer) == ["E570"]
    assert "rows of 13 do not fit its input `x`, 12" in answer.err


def test_verify_of_what_is_no_network(dnnc: Dnnc, tmp_path: Path) -> None:
    data = b"\x80\x04K\x01."
    index_of(tmp_path, entry(data, "net.onnx"))
    (tmp_path / "net.onnx").write_bytes(data)
    answer = dnnc("zoo", "verify", "--index", ".", "--json")
    assert codes(answer) == ["E540"]
    assert answer.json["models"][0]["state"] == "wrong"
    assert "looks like a pickle" in answer.err
