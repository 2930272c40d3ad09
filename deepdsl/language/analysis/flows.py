"""Goes through flows: what is first, what it flows through, and choices between flows."""

from __future__ import annotations

from deepdsl.core.registry import lookup
from deepdsl.diagnostics.language.arguments import TooManyArguments
from deepdsl.diagnostics.language.names import OuterValue
from deepdsl.language.analysis.conditions import holds
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.reuse import Reuses
from deepdsl.language.analysis.values import FAILED
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.walk import names_in


class Flows(Reuses):
    """Follows flows through a model."""

    def flow(self, flow: ast.Flow, frame: Frame) -> Flowing:
        """The value of a flow that starts in a frame."""
        chosen = self.chosen(flow, frame)
        if chosen is None:
            return Flowing(None, flow.span)
        made = self._head(chosen.head, frame)
        for unit in chosen.rest:
            made = self.unit(unit, frame, made)
        return Flowing(made.value, made.span)

    def chosen(self, flow: ast.Flow, frame: Frame) -> ast.Chain | None:
        """The chain that a flow comes to, through its choices; None where that is not known."""
        while isinstance(flow, ast.Choose):
            taken = holds(flow.condition, frame.env)
            if taken is FAILED:
                for branch in (flow.then, flow.otherwise):
                    self._pass_by(branch, frame)
                return None
            self._pass_by(flow.otherwise if taken else flow.then, frame)
            flow = flow.then if taken else flow.otherwise
        return flow

    def _pass_by(self, flow: ast.Flow, frame: Frame) -> None:
        """Look at the names and options of a flow that is not taken; it makes nothing."""
        for name in names_in(flow):
            known = frame.values.get(name)
            if known is not None and known.value is not None:
                self.trace.read.add(known.value)
        if flow.span not in self.looked_at:
            self.looked_at.add(flow.span)
            self.flow(flow, frame.unreached())

    def _head(self, head: ast.Sum | ast.Unit, frame: Frame) -> Flowing:
        if isinstance(head, ast.Sum):
            terms = [self._start(term, frame) for term in head.terms]
            if any(t.value is None for t in terms):
                return Flowing(None, head.span)
            return self.apply(lookup("layer")["add"](), head.span, frame, terms)
        return self._start(head, frame)

    def _start(self, unit: ast.Unit, frame: Frame) -> Flowing:
        """What is first in a line: a value, or a layer that continues from the line above."""
        value = self._value_named(unit, frame)
        if value is not None:
            return value
        return self.unit(unit, frame, frame.current)

    def _value_named(self, unit: ast.Unit, frame: Frame) -> Flowing | None:
        if not isinstance(unit, ast.Layer) or len(unit.path.parts) != 1:
            return None
        name = unit.path.text
        known = frame.values.get(name)
        if known is None:
            here = name in frame.parts or name in lookup("layer") or name in frame.env.constants
            if name in frame.outer and not here and self.template(name, frame) is None:
                self.say(OuterValue(unit.path.span, name, frame.what))
                return Flowing(None, unit.span)
            return None
        if known.value is not None:
            for arg in unit.args:
                self.say(TooManyArguments(arg.span, name, "nothing: it is a value"))
            self.trace.read.add(known.value)
        return Flowing(known.value, unit.span)

    def starts_afresh(self, flow: ast.Flow, frame: Frame) -> bool:
        """Whether a line begins with a value rather than going on from the line above."""
        chain = self.chosen(flow, frame)
        return chain is not None and not (
            isinstance(chain.head, ast.Layer)
            and lookup("layer").get(chain.head.path.text) is not None
        )
