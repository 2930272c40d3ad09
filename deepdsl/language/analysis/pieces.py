"""Takes a piece out of an unrolled network: its calls, what flows in, what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from deepdsl.core.record import record
from deepdsl.language.analysis.model import LayerCall, Model, Piece
from deepdsl.language.analysis.reused import Cut


class CannotCut(Exception):
    """A piece that cannot be taken out alone.  `word` is the option that is wrong, `""` for the
    path; `name` is what was looked for and not found, among `candidates`.
    """

    def __init__(
        self,
        message: str,
        help: str = "",
        word: str = "",
        name: str = "",
        candidates: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.help, self.word = message, help, word
        self.name, self.candidates = name, tuple(candidates)


@record
class Taken:
    """The calls of a piece in their order; `input` flows in, and `output` comes out of the piece.

    `instead` says for the output of a piece that is left out what means it.
    """

    input: int
    calls: tuple[LayerCall, ...]
    output: int
    instead: Mapping[int, int] = field(default_factory=dict)

    def read(self, value: int) -> int:
        """A value, or the one that means it."""
        while value in self.instead:
            value = self.instead[value]
        return value


def take(model: Model, path: str, cut: Cut) -> Taken:
    """The piece at a path (the whole model for an empty one), cut.  Raises CannotCut."""
    whole = _whole(model) if not path else _found(model, path, "", "")
    if whole.input is None:
        raise CannotCut(f"more than one value flows into `{path}`", "reuse a piece inside it")
    start, end, into, out = whole.start, whole.end, whole.input, whole.output
    if cut.start is not None:
        first = _found(model, cut.start, path, "from", whole)
        if first.input is None:
            told = f"more than one value flows into `{cut.start}`"
            raise CannotCut(told, "cut where nothing flows beside", "from")
        start, into = first.start, first.input
    if cut.until is not None:
        last = _found(model, cut.until, path, "until", whole)
        if last.start < start:
            told = f"`{cut.until}` stands before `{cut.start}`"
            raise CannotCut(told, "`from=` is what the piece begins with", "until")
        end, out = last.end, last.output
    instead: dict[int, int] = {}
    for name in cut.without:
        gone = _found(model, name, path, "without", whole)
        if gone.input is None:
            told = f"more than one value flows into `{name}`"
            raise CannotCut(told, "leave out what one value flows into", "without")
        instead[gone.output] = gone.input
    return _walked(model, Taken(into, model.calls[start:end], out, instead), start)


def _whole(model: Model) -> Piece:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        many = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise CannotCut(f"`{model.name}` has {many}", "reuse a part of it, through which one flows")
    (output,) = model.outputs.values()
    return Piece(0, len(model.calls), 0, output)


def _found(model: Model, name: str, path: str, word: str, within: Piece | None = None) -> Piece:
    """The first use of a part, block or layer, by its path from the piece or from the model."""
    for full in (f"{path}.{name}" if path else name, name):
        piece = model.pieces.get(full) or _layer(model, full)
        if piece is not None and (
            within is None or (within.start <= piece.start and piece.end <= within.end)
        ):
            return piece
    candidates = tuple(_names(model, path))
    what = f"the model `{model.name}`" if not path else f"`{path}`"
    raise CannotCut(f"{what} has no `{name}`", "", word, name, candidates)


def _layer(model: Model, path: str) -> Piece | None:
    for number, call in enumerate(model.calls):
        if call.path == path:
            into = call.inputs[0] if len(call.inputs) == 1 else None
            return Piece(number, number + 1, into, call.output)
    return None


def _names(model: Model, path: str) -> Iterator[str]:
    """What can be named inside a piece."""
    before = f"{path}." if path else ""
    for full in (*model.pieces, *dict.fromkeys(c.path for c in model.calls)):
        if full.startswith(before):
            yield full.removeprefix(before)


def _walked(model: Model, piece: Taken, start: int) -> Taken:
    """The piece without calls that do not lead to its output; what flows in must be one value."""
    inside = {call.output: call for call in piece.calls}
    needed: set[int] = set()
    todo, reached = [piece.read(piece.output)], False
    while todo:
        value = todo.pop()
        if value == piece.input:
            reached = True
        elif value not in inside:
            beside = model.call_of(value)
            told = f"`{beside.path}`" if beside is not None else f"`{model.inputs[value].name}`"
            raise CannotCut(
                f"the output of {told} flows around the cut",
                "a piece has one value that flows in and one that comes out: cut where nothing "
                "flows beside",
                "from",
            )
        elif value not in needed:
            needed.add(value)
            todo += [piece.read(v) for v in inside[value].inputs]
    for call in piece.calls:
        owner = getattr(call.layer, "tie", None) if call.output in needed else None
        if owner is not None and not any(
            c.path == owner and c.output in needed for c in piece.calls
        ):
            raise CannotCut(
                f"`{call.path}` is tied to `{owner}`, which is not in the piece",
                "take a piece that has both",
            )
    if not reached:
        raise CannotCut("nothing of what flows in reaches its end", "", "until")
    return Taken(
        piece.input,
        tuple(c for c in piece.calls if c.output in needed),
        piece.output,
        piece.instead,
    )


def layers_with_weights(calls: Sequence[LayerCall]) -> list[str]:
    """The paths of the layers that have weights, each once; norms go with the layer before."""
    return list(dict.fromkeys(c.path for c in calls if any(p.role == "weight" for p in c.params)))
