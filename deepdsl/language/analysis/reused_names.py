"""What the layers of a reused piece are called where it is put."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deepdsl.diagnostics.language.names import DefinedTwice
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Frame
from deepdsl.language.analysis.model import LayerCall, Piece
from deepdsl.language.analysis.pieces import Taken
from deepdsl.language.analysis.trained_network import TrainedNetwork
from deepdsl.language.syntax import ast


class ReusedNames:
    """The names of a piece's layers and parts, as if they were written where it is put."""

    def __init__(
        self,
        state: Elaboration,
        unit: ast.Reuse,
        frame: Frame,
        network: TrainedNetwork,
        taken: Taken,
    ) -> None:
        self.state, self.unit, self.frame = state, unit, frame
        self.model, self.taken = network.model, taken
        self.before = f"{network.path}." if network.path else ""
        self.layer_itself = any(c.path == network.path for c in taken.calls)
        self._names: dict[str, str | None] = {}

    def of(self, path: str) -> str | None:
        """The path here; None where its name is taken, which has been said."""
        if self.layer_itself:
            path, rest = path.rpartition(".")[2], ""
            head = path
        else:
            head, dot, rest = path.removeprefix(self.before).partition(".")
            rest = dot + rest
        if head not in self._names:
            self._names[head] = self._numbered(head)
        name = self._names[head]
        return None if name is None else f"{name}{rest}"

    def _numbered(self, head: str) -> str | None:
        """Layers and uses of blocks are numbered on; a part keeps its name."""
        full = f"{self.before}{head}"
        piece = self.model.pieces.get(full)
        kind, _, number = head.rpartition("_")
        if kind and number.isdigit() and (piece is None or piece.block):
            self.frame.counts[kind] += 1
            return self.frame.path(f"{kind}_{self.frame.counts[kind]}")
        first = self.frame.definitions.get(head)
        if first is not None and first != self.unit.span:
            self.state.say(DefinedTwice(self.unit.path.span, head, first))
            return None
        self.frame.definitions[head] = self.unit.span
        return self.frame.path(head)

    def layer(self, call: LayerCall) -> Any:
        """The layer, with the path of another one that it speaks of as it is here."""
        tie = getattr(call.layer, "tie", None)
        return call.layer if tie is None else replace(call.layer, tie=self.of(tie))  # type: ignore[call-arg]

    def keep_pieces(self, first: int, numbers: dict[int, int]) -> None:
        """Note the parts and uses of blocks that are here now, where they are whole."""
        place = {c.output: first + n for n, c in enumerate(self.taken.calls)}
        trace = self.state.trace
        for path, piece in self.model.pieces.items():
            whole = [place.get(c.output) for c in self.model.calls[piece.start : piece.end]]
            known = piece.input in numbers and piece.output in numbers
            if not path.startswith(self.before) or None in whole or not known or not whole:
                continue
            here = self.of(path)
            if here is not None and piece.input is not None:
                start = place[self.model.calls[piece.start].output]
                ends = numbers[piece.input], numbers[piece.output]
                copy = Piece(start, start + len(whole), *ends, piece.block)
                trace.pieces.setdefault(here, copy)
