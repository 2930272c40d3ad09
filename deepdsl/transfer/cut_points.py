"""Where a trained network can be cut for another head, read off its ONNX file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.transfer.zoo import WrongSizes
from deepdsl.transfer.onnx_import import OnnxFile, open_onnx
from deepdsl.transfer.onnx_import.shapes import can_take, holds_indices, row_shapes
from deepdsl.transfer.template import CutAt, TemplatePort, starter

Sizes = tuple[int | None, ...]

# What a classifier's last layer is made of.
_DENSE = {"Gemm", "MatMul", "Conv", "ConvTranspose", "MatMulInteger", "QLinearMatMul"}
_RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}
_LARGEST = 1 << 16
# Places of a long file that are shown where not all are asked for.
SHOWN = 16
# Places before the recommended one that are tried where that cannot be taken.
TRIED = 8


@record
class Seen:
    """A tensor of a file: the shape of one row, None where it is not known."""

    name: str
    shape: Sizes | None
    dtype: str


@record
class CutPointInfo:
    """Where a file can be cut: a tensor that everything flows through.

    `shape` is that of one row, None where it is not known; `params` counts the weights before it.
    """

    tensor: str
    shape: Sizes | None
    depth: int
    params: int
    operator: str


@record
class Survey:
    """What a file takes and makes, and where it can be cut.

    `size` is one row of its only input, where it is known or was given.  `recommended` is the last
    place before the classifier, `stages` those of the places that a long list is shortened to;
    `tensors` has the shape of one row of every tensor.  With `indices` the numbers at the input say
    which rows of a table are meant.
    """

    file: str
    inputs: tuple[Seen, ...]
    outputs: tuple[Seen, ...]
    places: tuple[CutPointInfo, ...]
    recommended: CutPointInfo | None
    stages: tuple[CutPointInfo, ...]
    size: tuple[int, ...] | None
    tensors: Mapping[str, Sizes | None]
    indices: bool

    @property
    def params(self) -> int:
        return self.places[-1].params if self.places else 0


def parse_size(text: str, file: str) -> tuple[int, ...]:
    """`3x48x192`, the sizes of one row; DnnError with WrongSizes where it is none."""
    if not re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9})*", text):
        advice = "write the sizes of one row, channels first: --size 3x48x192"
        raise DnnError([WrongSizes(None, file, f"`{text}` are no sizes", advice)])
    made = tuple(int(part) for part in text.split("x"))
    if not all(1 <= n <= _LARGEST for n in made) or prod(made) > 1 << 30:
        advice = f"each is at least 1 and at most {_LARGEST:,}"
        raise DnnError([WrongSizes(None, file, f"`{text}` cannot be the sizes of a row", advice)])
    return made


def survey(path: Path, size: tuple[int, ...] | None = None, shown: str = "") -> Survey:
    """Read a file; with `size`, as it is for rows of that shape.

    Raises DnnError where the file cannot be read, and with WrongSizes where the size does not fit.
    """
    file = open_onnx(path, shown or str(path))
    inputs = tuple(Seen(p.name, _row(p.shape), p.dtype) for p in file.inputs)
    if size is not None:
        _fits(file, inputs, size)
    elif len(inputs) == 1:
        size = _fixed(inputs[0].shape)
    shapes = _shapes(file, size if len(inputs) == 1 else None)
    found = [(p, shapes.get(p.tensor)) for p in file.places() if p.shape != ()]
    places = tuple(CutPointInfo(p.tensor, s, p.depth, p.parameters, p.operator) for p, s in found)
    best = recommended(places)
    if best is not None and size is not None:
        best = _taken(file, size, places[: places.index(best) + 1])
    return Survey(
        file.shown,
        inputs,
        tuple(Seen(p.name, shapes.get(p.name) or _row(p.shape), p.dtype) for p in file.outputs),
        places,
        best,
        stages(places, best),
        size,
        shapes,
        len(inputs) == 1 and holds_indices(file),
    )


def _shapes(file: OnnxFile, size: tuple[int, ...] | None) -> dict[str, Sizes | None]:
    """The shape of one row of every tensor, None where it is not known."""
    told = {name: _row(info.shape) for name, info in file.graph.infos.items()}
    flowing = {n: told.get(n) for node in file.graph.nodes for n in node.outputs if n}
    if size is None:
        return flowing
    # With the sizes of a row, what the file itself says of them is not needed.
    return {**dict.fromkeys(flowing), **row_shapes(file, size)}


def _taken(file: OnnxFile, size: tuple[int, ...], places: Sequence[CutPointInfo]) -> CutPointInfo:
    """The last of these places up to which the file can be reused, or the last where none can."""
    near = [p for p in places[-TRIED:] if p.shape is not None]
    return next((p for p in reversed(near) if can_take(file, size, p.tensor)), places[-1])


def recommended(places: Sequence[CutPointInfo]) -> CutPointInfo | None:
    """The last place before the last layer with weights of the kind that classifiers are made of.

    What comes after (a bias, a softmax, a reshape) goes with that layer.
    """
    for number in range(len(places) - 1, 0, -1):
        here, before = places[number], places[number - 1]
        if here.operator in _DENSE and here.params > before.params:
            return _with_known_shape(places[:number])
    weighty = [p for p in places if p.params < places[-1].params]
    return _with_known_shape(weighty) if weighty and weighty[-1].params else None


def _with_known_shape(places: Sequence[CutPointInfo]) -> CutPointInfo:
    """The last place, or one a reshape before it where that has no shape that is known."""
    best = len(places) - 1
    while best and places[best].shape is None and places[best].operator in _RESHAPES:
        best -= 1
    return places[best] if places[best].shape is not None else places[-1]


def stages(places: Sequence[CutPointInfo], best: CutPointInfo | None) -> tuple[CutPointInfo, ...]:
    """The places where the shape is about to change, the last ones of them, and the recommended."""
    if len(places) <= SHOWN:
        return tuple(places)
    ends = [
        here
        for here, behind in zip(places, (*places[1:], None), strict=True)
        if behind is None or here.shape != behind.shape or here.shape is None
    ]
    kept = [*ends[-SHOWN:], *([best] if best is not None and best not in ends[-SHOWN:] else [])]
    return tuple(p for p in places if p in kept)


def starter_text(seen: Survey, file: str, about: str = "") -> str:
    """A `.dnn` file that uses the ONNX file `file` up to the recommended place; DnnError with
    WrongSizes where its sizes are not known.
    """
    if len(seen.inputs) != 1 or seen.size is None:
        shapes = ", ".join(f"`{i.name}` {shown_shape(i.shape)}" for i in seen.inputs)
        if len(seen.inputs) != 1:
            reason = f"it has {len(seen.inputs)} inputs: {shapes}"
            advice = 'a piece has one input: begin where they come together, with `from="TENSOR"`'
        else:
            reason = f"the sizes of its input are free: {shapes}"
            advice = f"say which ones to work with: --size {_example(seen.inputs[0].shape)}"
        raise DnnError([WrongSizes(None, seen.file, reason, advice)])
    source, best = seen.inputs[0], seen.recommended
    port = TemplatePort(source.name, seen.size, seen.indices, about)
    cut = CutAt(best.tensor, _numbers(best.shape)) if best is not None else None
    weights = seen.params if best is None else best.params
    return starter(file, port, cut, weights > 0)


def shown_shape(shape: Sizes | None) -> str:
    """`3 × ? × 192`, as tables and messages write it."""
    if shape is None:
        return "?"
    return " × ".join("?" if d is None else str(d) for d in shape) or "a number"


def _fits(file: OnnxFile, inputs: Sequence[Seen], size: tuple[int, ...]) -> None:
    told = "x".join(map(str, size))
    if len(inputs) != 1:
        names = ", ".join(f"`{i.name}`" for i in inputs)
        advice = "leave `--size` out"
        raise DnnError([WrongSizes(None, file.shown, f"it has the inputs {names}", advice)])
    (source,) = inputs
    shape = source.shape
    if shape is None:
        advice = "leave `--size` out; export the file with the shape of its input"
        reason = f"the number of sizes of its input `{source.name}` is not known"
        raise DnnError([WrongSizes(None, file.shown, reason, advice)])
    if len(shape) != len(size) or any(a not in (None, b) for a, b in zip(shape, size, strict=True)):
        reason = f"rows of {told} do not fit its input `{source.name}`, {shown_shape(shape)}"
        advice = f"such as --size {_example(shape)}"
        raise DnnError([WrongSizes(None, file.shown, reason, advice)])


def _example(shape: Sizes | None) -> str:
    """A size that would fit: what is free is as large as an image."""
    return "x".join(str(d or 224) for d in shape or (3, None, None))


def _row(shape: Sizes | None) -> Sizes | None:
    return shape[1:] if shape else None


def _fixed(shape: Sizes | None) -> tuple[int, ...] | None:
    known = _numbers(shape)
    return known if shape is not None and len(known) == len(shape) else None


def _numbers(shape: Sizes | None) -> tuple[int, ...]:
    return tuple(d for d in shape or () if d is not None)
