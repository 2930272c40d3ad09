"""Finds out what a path is, and opens the tensors after it."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepdsl.diagnostics import Diagnostic, DnnError, closest
from deepdsl.diagnostics.training.runtime import DamagedCheckpoint
from deepdsl.diagnostics.transfer.weights import DamagedWeights, NoSuchWeights, UnknownWeights
from deepdsl.transfer.weights import checkpoint, npz_file, safetensors_file, tfjs
from deepdsl.transfer.weights.weight_file import Stored, TensorPlace, Unreadable, in_memory

MANIFEST = "manifest.json"
LONGEST_JSON = 500_000_000

_TORCH = (
    'in PyTorch: `safetensors.torch.save_file(model.state_dict(), "model.safetensors")`; '
    "nothing is unpickled here"
)
_KERAS = 'in Keras: `np.savez("model.npz", **{w.path: w.numpy() for w in model.weights})`'
_PICKLED = f"a pickle, which would run as a program; {_TORCH}"

# What a file's first bytes say that it is, and how its weights are had.
_FIRST_BYTES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (.h5)", _KERAS),
    (b"\x80", "a pickle, which would run as a program", _TORCH),
    (b"\x93NUMPY", "a single array", 'with names: `np.savez("model.npz", **{"fc.weight": w, …})`'),
    (b"GGUF", "a GGUF file", _TORCH),
    (b"\x1f\x8b", "packed with gzip", "unpack it: `gunzip FILE`"),
    (b"version https://git-lfs", "a pointer of git LFS, not the file", "fetch it: `git lfs pull`"),
    (b"<!DOCTYPE", "a web page, not weights", "fetch the file itself"),
    (b"<html", "a web page, not weights", "fetch the file itself"),
)
# What files in a zip archive say.
_MEMBERS = (
    ("data.pkl", "a pickle of PyTorch, which would run as a program", _TORCH),
    ("model.weights.h5", "a Keras archive (.keras)", _KERAS),
)
_KINDS = (
    "weights are read from run directories, .safetensors, .npz, model.json of TensorFlow.js and "
    ".onnx"
)


def open_path(path: Path, where: TensorPlace, written: str = "") -> Stored:
    """The tensors at a path; DnnError with what is wrong, at the place `where`.

    `written` is the path as is in the text.
    """
    if not os.path.lexists(path) or not path.exists():
        raise DnnError([NoSuchWeights(where.span, where.shown, _meant(path, where, written))])
    try:
        return _folder(path, where) if path.is_dir() else _file(path, where)
    except Unreadable as error:
        raise DnnError([refused(error, where)]) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DnnError([DamagedWeights(where.span, where.shown, reason)]) from error


def refused(error: Unreadable, where: TensorPlace) -> Diagnostic:
    if error.kind == "unknown":
        return UnknownWeights(where.span, where.shown, error.reason, error.advice)
    return DamagedWeights(where.span, where.shown, error.reason, error.advice)


def _meant(path: Path, where: TensorPlace, written: str) -> str:
    """What else may be meant by a path that is not there, as it would be written in the text."""
    base = where.span.source.folder or "."

    def shown(other: str | Path) -> str:
        if os.path.isabs(written or path):
            return Path(other).as_posix()
        return Path(os.path.relpath(other, base)).as_posix()

    if written and not os.path.isabs(written) and os.path.exists(written):
        return f"paths are relative to the file: `{shown(written)}`"
    source = Path(base) / f"{path.name}.dnn"
    if not path.suffix and source.is_file():
        return f"train it first: `dnnc train {source.as_posix()} --out {path.as_posix()}`"
    lacks, folder = path, path.parent
    while not folder.is_dir() and folder != folder.parent:
        lacks, folder = folder, folder.parent
    try:
        there = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    except OSError:
        return ""
    near = closest(lacks.name, there)
    if near and near != lacks.name:
        return f"did you mean `{shown(folder / near)}`?"
    if 0 < len(there) <= 8:
        return f"in {folder.as_posix()} there are: {', '.join(there)}"
    return f"there is no {lacks.name} in {folder.as_posix()}"


# Folders ------------------------------------------------------------------------------------------


def _folder(path: Path, where: TensorPlace) -> Stored:
    if (path / checkpoint.META).is_file() and (path / checkpoint.WEIGHTS).is_file():
        return _checkpoint(path, where, where.shown)
    if (path / MANIFEST).is_file():
        return _run(path, where)
    if (path / "model.json").is_file():
        return _file(path / "model.json", TensorPlace(where.span, f"{where.shown}/model.json"))
    if (path / "saved_model.pb").is_file():
        advice = f"{_KERAS}; or convert it to ONNX"
        raise Unreadable("a SavedModel of TensorFlow", advice, "unknown")
    found = [n for n in _listed(path) if n.endswith((".safetensors", ".npz", ".onnx"))]
    runs = [n for n in _listed(path) if (path / n / MANIFEST).is_file()]
    advice = "a run directory is made by `dnnc train`, and has a manifest.json"
    if runs or found:
        names = ", ".join(f"{where.shown}/{n}" for n in (runs or found)[:4])
        advice = f"name one of what is in it: {names}"
    raise Unreadable("a folder that is no run", advice, "unknown")


def _listed(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def _checkpoint(path: Path, where: TensorPlace, shown: str, notes: tuple[str, ...] = ()) -> Stored:
    try:
        state = checkpoint.read(path).state
    except DnnError as error:
        raise DnnError(
            replace(d, span=where.span, path=shown) if isinstance(d, DamagedCheckpoint) else d
            for d in error.diagnostics
        ) from error
    # What only further training needs is in a file of its own.
    weights = path / checkpoint.WEIGHTS
    mine = safetensors_file.read(weights, shown).tensors if weights.is_file() else state
    arrays = {name: array for name, array in state.items() if name in mine}
    return Stored(shown, in_memory(arrays), "deepdsl", "", own=True, notes=notes)


def _run(path: Path, where: TensorPlace) -> Stored:
    """The weights that a run ended with; of one that is not finished, the last ones."""
    try:
        manifest: Any = json.loads((path / MANIFEST).read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"its manifest.json is no JSON ({error})") from error
    if not isinstance(manifest, dict) or "state" not in manifest:
        raise Unreadable(
            "a folder whose manifest.json is not of a run",
            "a run directory is made by `dnnc train`",
            "unknown",
        )
    notes: tuple[str, ...] = ()
    which = manifest.get("final")
    if which is None:
        which = "last"
        notes = (f"the run {where.shown} is not finished: its last checkpoint is taken",)
    if which not in ("last", "best"):
        raise Unreadable(f"its manifest.json says that its result is {which!r}")
    folder = path / "checkpoints" / which
    if not folder.is_dir() and not folder.with_name(f"{which}.old").is_dir():
        raise Unreadable(
            "a run without a checkpoint: its training has kept nothing yet",
            f"train it to its end: `dnnc train … --resume --out {where.shown}`",
            "unknown",
        )
    return _checkpoint(folder, where, f"{where.shown} ({which})", notes)


# Files --------------------------------------------------------------------------------------------


def _file(path: Path, where: TensorPlace) -> Stored:
    if not path.is_file():
        raise Unreadable("neither a file nor a folder", _KINDS, "unknown")
    shown = where.shown
    with path.open("rb") as file:
        first = file.read(64)
    if not first:
        raise Unreadable("it is empty")
    if path.name == checkpoint.WEIGHTS and (path.parent / checkpoint.META).is_file():
        return _checkpoint(path.parent, where, shown)
    suffix = path.suffix.lower()
    # A safetensors file begins with a number, which may be any bytes: its brace comes first.
    if safetensors_file.looks_like(first) or suffix == ".safetensors":
        return safetensors_file.read(path, shown)
    if first[:4] in (b"PK\x03\x04", b"PK\x05\x06") or suffix == ".npz":
        return _zip(path, shown)
    for start, what, advice in _FIRST_BYTES:
        if first.startswith(start):
            raise Unreadable(what, advice, "unknown")
    if first[4:8] == b"TFL3":
        raise Unreadable(
            "a TensorFlow Lite file", f"take the model that it was made of; {_KERAS}", "unknown"
        )
    if first.lstrip()[:1] == b"{":
        return _json(path, shown)
    if suffix == ".onnx" or first[:1] == b"\x08":
        return _onnx(path, shown)
    if suffix in (".ckpt", ".index") or ".data-" in path.name:
        raise Unreadable("a checkpoint of TensorFlow", _KERAS, "unknown")
    raise Unreadable("of a kind that is not known", _KINDS, "unknown")


def _json(path: Path, shown: str) -> Stored:
    """A model of TensorFlow.js, or the list of the files of a large safetensors."""
    if path.stat().st_size > LONGEST_JSON:
        raise Unreadable(f"it has more than {LONGEST_JSON:,} bytes")
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON ({error})") from error
    if isinstance(told, dict) and "weight_map" in told:
        return safetensors_file.read_shards(path, told["weight_map"], shown)
    if isinstance(told, dict) and "weightsManifest" in told:
        return tfjs.read(path, told["weightsManifest"], shown)
    raise Unreadable("JSON without weights of TensorFlow.js", _KINDS, "unknown")


def _zip(path: Path, shown: str) -> Stored:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except npz_file.BROKEN as error:
        reason = str(error).strip() or type(error).__name__
        raise Unreadable(f"its archive is damaged ({reason})") from error
    for name in names:
        for ending, what, advice in _MEMBERS:
            if name.endswith(ending):
                raise Unreadable(what, advice, "unknown")
    return npz_file.read(path, shown)


def _onnx(path: Path, shown: str) -> Stored:
    from deepdsl.transfer.onnx_import.weights import read_weights

    try:
        found = read_weights(path)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    arrays = in_memory({name: array for name, (array, _) in found.items()})
    tensors = {name: replace(tensor, turned=found[name][1]) for name, tensor in arrays.items()}
    return Stored(shown, tensors, layouts=("torch", "deepdsl"))
