"""Puts a model into a folder and its entry into the index there: a zoo of one's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deepdsl.core.atomic_files import write_atomically
from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError, did_you_mean
from deepdsl.diagnostics.transfer.zoo import CannotPublish
from deepdsl.graph.emit import Interface, read_interface
from deepdsl.transfer.cut_points import CutPointInfo, Seen, Survey, parse_size, survey
from deepdsl.transfer.onnx_import.reading import read_model, self_contained
from deepdsl.transfer.zoo.entry import INDEX, MOST_BYTES, ZooEntry
from deepdsl.transfer.zoo.index import open_index
from deepdsl.transfer.zoo.rules import FORMAT, VERSION, entries, wrong_name
from deepdsl.transfer.zoo.spdx import wrong_licence
from deepdsl.transfer.zoo.writing import written

# Cut points that an entry has where none are asked for.
MOST_CUTS = 4

# Writes the model of a run directory to a file.
Export = Callable[[Path, Path], object]


@record
class PublishOptions:
    """What is told of a model; where something is None, the entry keeps what it had."""

    name: str
    licence: str | None = None
    licence_source: str | None = None
    title: str | None = None
    does: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    cuts: tuple[str, ...] | None = None
    size: str | None = None


@record
class Published:
    """What was written: the model's file, the index, and the entry as a record and as JSON."""

    file: Path
    index: Path
    entry: ZooEntry
    document: Mapping[str, Any]
    renewed: bool
    count: int


def publish(model: Path, folder: Path, wanted: PublishOptions, export: Export) -> Published:
    """Copy a model, a run directory or an ONNX file, to FOLDER/NAME.onnx.

    `export` writes the model of a run directory to a file.

    Its entry in FOLDER/index.json is added or renewed; the others stay as they are, in their order.
    Raises DnnError with CannotPublish or BadIndex, and writes nothing then.
    """
    _check(wanted)
    index = folder / INDEX
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION, "models": []}
    if index.exists():
        document = dict(open_index(str(index)).document)
    models = list(document["models"])
    at = next((i for i, m in enumerate(models) if m["name"] == wanted.name), len(models))
    before = models[at] if at < len(models) else {}
    if not (wanted.licence or before):
        advice = "name it as SPDX does: --licence Apache-2.0"
        raise DnnError([CannotPublish(None, wanted.name, "a new model needs a licence", advice)])
    data = _bytes(model, export)
    made = _entry(data, model, wanted, before)
    models[at:] = [made, *models[at + 1 :]]
    document["models"] = models
    entry = entries(document, str(index))[wanted.name]
    file = folder / f"{wanted.name}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    # Between the two a reader finds another checksum, and takes nothing.
    write_atomically(file, data)
    write_atomically(index, f"{written(document)}\n".encode())
    return Published(file, index, entry, made, bool(before), len(models))


def _check(wanted: PublishOptions) -> None:
    if (reason := wrong_name(wanted.name)) is not None:
        advice = "such as text-direction"
        raise DnnError([CannotPublish(None, f"--name {wanted.name}", reason, advice)])
    if wanted.licence and (wrong := wrong_licence(wanted.licence)) is not None:
        raise DnnError([CannotPublish(None, f"--licence {wanted.licence}", *wrong)])


def _bytes(model: Path, export: Export) -> bytes:
    """The file that is published, with all its weights inside."""
    if model.is_dir():
        with TemporaryDirectory(prefix="dnnc-publish-") as place:
            file = Path(place) / "model.onnx"
            export(model, file)
            return file.read_bytes()
    read = read_model(model, str(model), None)
    data = self_contained(read, model, str(model))
    if len(data) > MOST_BYTES:
        raise DnnError([CannotPublish(None, str(model), f"it has more than {MOST_BYTES:,} bytes")])
    return data


def _entry(
    data: bytes, model: Path, wanted: PublishOptions, before: Mapping[str, Any]
) -> dict[str, Any]:
    """The entry as JSON; the keys of one that is renewed keep their order."""
    seen = _survey(data, model, wanted)
    interface = read_interface(data)
    title = wanted.title or before.get("title") or wanted.name
    fresh: dict[str, Any] = {
        "name": wanted.name,
        "title": title,
        "does": wanted.does or before.get("does") or title,
        "file": f"{wanted.name}.onnx",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": wanted.licence or before.get("licence"),
        "licence_source": wanted.licence_source
        or (
            before.get("licence_source")
            if wanted.licence in (None, before.get("licence"))
            else None
        )
        or "stated by who published it",
        "inputs": _inputs(seen, interface, wanted, before),
        "outputs": [
            {"name": o.name, "shape": _shape(o.shape, o.name, seen.file)} for o in seen.outputs
        ],
        "cuts": _cuts(seen, model, wanted, before),
    }
    if interface.classes:
        fresh["classes"] = list(interface.classes)
    elif "classes" in before:
        fresh["classes"] = before["classes"]
    order = [key for key in before if key in fresh]
    return {key: fresh[key] for key in (*order, *(k for k in fresh if k not in order))}


def _licence_source(wanted: PublishOptions, before: Mapping[str, Any]) -> str:
    """What was said before, of the same licence."""
    same = before and wanted.licence in (None, before["licence"])
    return str(before["licence_source"]) if same else "stated by who published it"


def _survey(data: bytes, model: Path, wanted: PublishOptions) -> Survey:
    with TemporaryDirectory(prefix="dnnc-publish-") as place:
        file = Path(place) / "model.onnx"
        file.write_bytes(data)
        size = parse_size(wanted.size, str(model)) if wanted.size else None
        return survey(file, size, str(model))


def _inputs(
    seen: Survey, interface: Interface, wanted: PublishOptions, before: Mapping[str, Any]
) -> list[dict[str, Any]]:
    names = [i.name for i in seen.inputs]
    for name in wanted.inputs:
        if name not in names:
            told = f"the model has no input `{name}`"
            advice = did_you_mean(name, names)
            raise DnnError([CannotPublish(None, f"--input {name}", told, advice)])
    had = {i["name"]: i.get("about") for i in before.get("inputs", ())}
    made = []
    for each in seen.inputs:
        shape = _shape(each.shape, each.name, seen.file)
        port: dict[str, Any] = {"name": each.name, "dtype": each.dtype, "shape": shape}
        if None in shape and seen.size:
            port["size"] = list(seen.size)
        about = wanted.inputs.get(each.name) or had.get(each.name) or _about(each, interface)
        made.append({**port, "about": about})
    return made


def _shape(shape: Sequence[int | None] | None, name: str, file: str) -> list[int | None]:
    """A shape that the entry can have: how many sizes there are must be known."""
    if shape is None:
        reason = f"the shape of `{name}` is not known, not even the number of its sizes"
        advice = "export the model with the shapes of its inputs and outputs"
        raise DnnError([CannotPublish(None, file, reason, advice)])
    return list(shape)


def _about(port: Seen, interface: Interface) -> str:
    """What an input's numbers must be, where the file says it."""
    rows = interface.rows.get(port.name)
    if rows:
        return f"whole numbers from 0 to {rows - 1}"
    steps = interface.metadata.get("deepdsl.preprocessing")
    if steps is None:
        return "as the network was trained with; not stated"
    try:
        told = ", ".join(f"`{step}`" for step in json.loads(steps))
    except (ValueError, TypeError):
        told = ""
    kind = _image(interface.images.get(port.name)) or "raw values"
    return f"{kind}: the file does {told} itself" if told else kind


def _image(decoding: Any) -> str:
    """What kind of image an input takes, where images fed it in training."""
    try:
        low, high = decoding["range"]
        colors = {1: "gray", 3: "red, green, blue", 4: "red, green, blue, opacity"}
        return f"images in {colors[decoding['channels']]}, {low} to {high}"
    except (TypeError, KeyError, ValueError):
        return ""


def _cuts(
    seen: Survey, model: Path, wanted: PublishOptions, before: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The cut points that are named, or the recommended one and a few before it."""
    had = {c["tensor"]: c["about"] for c in before.get("cuts", ())}
    known = {p.tensor: p for p in seen.places}
    if wanted.cuts is not None:
        for tensor in wanted.cuts:
            if tensor not in known:
                near = did_you_mean(tensor, known)
                advice = near if near.startswith("did") else "`dnnc surgery FILE` lists them"
                told = "this is no place to cut"
                raise DnnError([CannotPublish(None, f"{model}, --cut {tensor}", told, advice)])
        chosen = [known[tensor] for tensor in wanted.cuts]
    elif had and all(tensor in known for tensor in had):
        chosen = [known[tensor] for tensor in had]
    else:
        best = seen.recommended
        chosen = [p for p in reversed(seen.stages) if best is None or p.depth <= best.depth]
        chosen = sorted(chosen, key=lambda p: p is not best)[:MOST_CUTS]
    return [
        {
            "tensor": p.tensor,
            "shape": list(p.shape),
            "about": had.get(p.tensor) or _told(p, p is seen.recommended),
        }
        for p in chosen
        if p.shape is not None
    ]


def _told(place: CutPointInfo, recommended: bool) -> str:
    shape = place.shape or ()
    what = "features" if len(shape) == 1 else "channels"
    place_text = f"{shape[0]} {what} after" if shape else "after"
    return f"{place_text} {place.operator}" + (", before the classifier" if recommended else "")
