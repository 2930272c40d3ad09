"""Compares models with what an index says of them: checksums first, then the networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from deepdsl.core.record import record
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.diagnostics.transfer.zoo import NotAtHand, NotInIndex, OtherNetwork
from deepdsl.transfer.cut_points import Survey, survey
from deepdsl.transfer.zoo.copying import compare, entry_of
from deepdsl.transfer.zoo.entry import Index, Shape, ZooEntry, ZooTensor, shape_text
from deepdsl.transfer.zoo.network import CHUNK
from deepdsl.transfer.zoo.places import Located, locate, open_regular


@record
class Verified:
    """What came of a model: `state` is `ok`, `wrong`, or why its file is not at hand."""

    entry: ZooEntry
    state: str
    file: Path | None = None
    what: str = ""
    problems: tuple[Diagnostic, ...] = ()


def verify(index: Index, named: str | None = None) -> tuple[Verified, ...]:
    """Look at one model, at a copy of one, or at all that are at hand; nothing is fetched.

    Raises DnnError with NotInIndex where the name is not known, and with NotAtHand where a model
    that was named is not here.
    """
    if named is None:
        found = [(entry, locate(entry, index)) for entry in index.entries.values()]
        return tuple(_verified(entry, at, at.path) for entry, at in found)
    if named in index.entries or not Path(named).exists():
        entry = entry_of(index, named)
        at = locate(entry, index)
        if at.path is None:
            advice = f"`dnnc zoo get {named}` fetches it; then verify the file"
            online = NotAtHand(None, named, "its file is not on this machine", advice)
            raise DnnError([at.trouble or online])
        return (_verified(entry, at, at.path),)
    return (_copy(index, Path(named)),)


def _copy(index: Index, file: Path) -> Verified:
    """A file that was got before: the model with its checksum, or else with its name."""
    _, sha256 = digest(file, None)
    entry = next((e for e in index.entries.values() if e.sha256 == sha256), None)
    entry = entry or index.entries.get(file.stem)
    if entry is None:
        raise DnnError([NotInIndex(None, index.shown, str(file), tuple(index.entries), True)])
    return _verified(entry, Located("here", file), file)


def _verified(entry: ZooEntry, at: Located, file: Path | None) -> Verified:
    if file is None:
        return Verified(entry, at.state, None)
    try:
        compare(entry, str(file), *digest(file, entry.bytes))
        # Only now is anything of the file read as a network.
        size = entry.inputs[0].size if len(entry.inputs) == 1 else ()
        seen = survey(file, size or None, str(file))
    except DnnError as error:
        return Verified(entry, "wrong", file, problems=error.diagnostics)
    problems = tuple(_differences(entry, seen))
    count = f"{entry.bytes:,} bytes, sha256, {len(entry.inputs)} input{_s(entry.inputs)}, "
    what = f"{count}{len(entry.cuts)} cut point{_s(entry.cuts)}"
    return Verified(entry, "wrong" if problems else "ok", file, what, problems)


def _s(things: tuple[ZooTensor, ...]) -> str:
    return "s" * (len(things) != 1)


def digest(file: Path, most: int | None) -> tuple[int, str]:
    """The size and the sha256 of a file; of one longer than `most` not of all."""
    sum_, size = hashlib.sha256(), 0
    with open_regular(file) as opened:
        while piece := opened.read(CHUNK):
            sum_.update(piece)
            size += len(piece)
            if most is not None and size > most:
                break
    return size, sum_.hexdigest()


def _differences(entry: ZooEntry, seen: Survey) -> Iterator[Diagnostic]:
    """What of the inputs, outputs and cut points is not as the index says."""
    for kind, wanted, there in (
        ("input", entry.inputs, seen.inputs),
        ("output", entry.outputs, seen.outputs),
    ):
        names = tuple(f"`{t.name}`" for t in wanted), tuple(f"`{t.name}`" for t in there)
        if sorted(names[0]) != sorted(names[1]):
            what = f"its list of {kind}s"
            yield OtherNetwork(None, entry.name, what, ", ".join(names[0]), ", ".join(names[1]))
            continue
        known = {t.name: t for t in there}
        for tensor in wanted:
            what = f"the {kind} `{tensor.name}`"
            yield from _unlike(entry, what, tensor, known[tensor.name].shape)
            found = known[tensor.name].dtype
            if kind == "input" and found != tensor.dtype:
                what = f"the element type of `{tensor.name}`"
                yield OtherNetwork(None, entry.name, what, tensor.dtype, found)
    for cut in entry.cuts:
        what = f"the cut point `{cut.name}`"
        if cut.name not in seen.tensors:
            yield OtherNetwork(None, entry.name, what, shape_text(cut.shape), "not in the file")
        else:
            yield from _unlike(entry, what, cut, seen.tensors[cut.name])


def _unlike(
    entry: ZooEntry, what: str, wanted: ZooTensor, found: Shape | None
) -> Iterator[Diagnostic]:
    """A size that is free on one of the two sides fits any; None is a shape that is not known."""
    if found is None:
        return
    same = len(wanted.shape) == len(found) and all(
        a is None or b is None or a == b for a, b in zip(wanted.shape, found, strict=False)
    )
    if not same:
        told = shape_text(wanted.shape), shape_text(found)
        yield OtherNetwork(None, entry.name, what, *told)
