"""Cuts a piece out of a graph, before anything of it is looked at: what lies outside the piece does
not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepdsl.core.source import Span
from deepdsl.diagnostics.transfer.onnx_import import (
    NoSuchTensor,
    NotOneFlow,
    NotOneInput,
    SeveralOnnxOutputs,
)
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import.graph import Info, OnnxGraph, OnnxNode, captured
from deepdsl.transfer.onnx_import.reading import refused


class Cutter:
    """One cut of one graph."""

    def __init__(self, graph: OnnxGraph, shown: str, cut: Cut, span: Span) -> None:
        self.graph = replace(graph, nodes=list(graph.nodes), outputs=list(graph.outputs))
        self.shown, self.cut, self.span = shown, cut, span

    def run(self) -> OnnxGraph:
        """The piece: a graph with one input and one output, and the nodes between."""
        for number, name in enumerate(self.cut.without):
            self._drop(name, self._place(f"without.{number}", "without"))
        output = self._output()
        start = self.cut.start and self._tensor(self.cut.start, "start")
        nodes = self._behind(output, start or "")
        piece = replace(self.graph, nodes=nodes, outputs=[output])
        reached = [n for n in self.graph.inputs if n == output or _reads(nodes, n)]
        if start:
            reached = [start] if start == output or _reads(nodes, start) else []
            reached += [n for n in self.graph.inputs if n != start and _reads(nodes, n)]
        if len(reached) != 1:
            place = self._place("until") if self.cut.until else self.span
            raise refused(NotOneInput(place, self.shown, output, tuple(reached)))
        (name,) = reached
        info = self.graph.infos.get(name)
        piece.inputs = {name: info or Info(0, None)}
        return piece

    def _place(self, *words: str) -> Span:
        return next((self.cut.spans[w] for w in words if w in self.cut.spans), self.span)

    # Names ----------------------------------------------------------------------------------------

    def _tensor(self, name: str, word: str) -> str:
        """A tensor that depends on the input, or the diagnostic."""
        graph = self.graph
        known = [*graph.inputs, *(n for node in graph.nodes for n in node.outputs if n)]
        if name in known:
            return name
        hint = ""
        named = [node for node in graph.nodes if node.name and node.name == name]
        if named:
            made = [n for n in named[0].outputs if n]
            hint = f"that is a node; what it makes is the tensor `{made[0]}`" if made else ""
        elif name in graph.constants:
            hint = "that is a weight of the file, which does not depend on the input"
        near, place = tuple(_near(name, known)), self._place(word)
        raise refused(NoSuchTensor(place, self.shown, name, "tensor", near, hint))

    def _output(self) -> str:
        if self.cut.until is not None:
            return self._tensor(self.cut.until, "until")
        outputs = list(dict.fromkeys(self.graph.outputs))
        if len(outputs) > 1:
            raise refused(SeveralOnnxOutputs(self.span, self.shown, tuple(outputs)))
        return outputs[0]

    # Taking out -----------------------------------------------------------------------------------

    def _behind(self, output: str, start: str) -> list[OnnxNode]:
        """The nodes on the ways from the start, or from the inputs, to the output."""
        needed, kept = {output}, []
        if output == start:
            return []
        for node in reversed(self.graph.nodes):
            if any(name in needed and name != start for name in node.outputs if name):
                kept.append(node)
                needed.update((*node.read, *captured(node)))
        return kept[::-1]

    def _drop(self, name: str, place: Span) -> None:
        """Leave nodes out; what flowed into them flows on."""
        graph = self.graph
        gone = [node for node in graph.nodes if _named(node, name)]
        if not gone:
            nodes = [node.name for node in graph.nodes if node.name]
            hint = ""
            makers = graph.makers()
            if name in makers:
                hint = f"that is a tensor; the node that makes it is `{makers[name].name}`"
            near = tuple(_near(name, nodes))
            raise refused(NoSuchTensor(place, self.shown, name, "node", near, hint))
        left = [node for node in graph.nodes if not _named(node, name)]
        flowing = graph.depending()
        made = {n for node in gone for n in node.outputs if n}
        ins = [
            n
            for n in dict.fromkeys(n for node in gone for n in (*node.read, *captured(node)))
            if n in flowing and n not in made
        ]
        outs = [
            n
            for n in dict.fromkeys(n for node in gone for n in node.outputs if n)
            if n in graph.outputs or _reads(left, n)
        ]
        between = [n for n in outs if _reads(left, n)]
        if len(ins) != 1 or len(outs) != 1 or (between and outs[0] in graph.outputs):
            raise refused(NotOneFlow(place, self.shown, name, tuple(ins), tuple(outs)))
        (source,), (target,) = ins, outs
        graph.nodes = [
            replace(node, inputs=[source if n == target else n for n in node.inputs])
            for node in left
        ]
        graph.outputs = [source if n == target else n for n in graph.outputs]


def _named(node: OnnxNode, name: str) -> bool:
    """Whether a node is meant: by its name, or by what it begins with."""
    if not node.name.startswith(name):
        return False
    behind = node.name[len(name) :]
    return not behind or name.endswith("/") or not behind[0].isalnum()


def _reads(nodes: Sequence[OnnxNode], name: str) -> bool:
    return any(name in node.read or name in captured(node) for node in nodes)


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Names that may be meant: all where they are few, else those that have the word in them."""
    if len(known) <= 200:
        return list(known)
    word = name.rsplit("/", 1)[-1].lower()
    return [n for n in known if word and word in n.lower()] or list(known)
