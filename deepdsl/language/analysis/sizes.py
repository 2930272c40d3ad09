"""How large a block becomes at least, told from its text alone.

Blocks that use others twice, at many levels, would come to millions of layers: they are refused
before the first is made.
"""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import lookup
from deepdsl.language.analysis.definitions import Template
from deepdsl.language.analysis.frames import names_used
from deepdsl.language.syntax import ast

# Deeper ones are refused for that.
DEEPEST = 50


@record
class BlockSize:
    """This many layers, and this many uses of blocks and parts."""

    layers: int = 0
    bodies: int = 0

    def __add__(self, other: BlockSize) -> BlockSize:
        return BlockSize(self.layers + other.layers, self.bodies + other.bodies)

    def __mul__(self, times: int) -> BlockSize:
        return BlockSize(self.layers * times, self.bodies * times)


NOTHING, ONE_LAYER, ONE_BODY = BlockSize(), BlockSize(layers=1), BlockSize(bodies=1)


class Sizes:
    """The least sizes of templates, each worked out once.

    What depends on arguments counts as nothing, and of two branches the smaller counts.
    """

    def __init__(self) -> None:
        self._known: dict[Template, BlockSize] = {}
        self._inside: list[Template] = []

    def of(self, template: Template) -> BlockSize:
        known = self._known.get(template)
        if known is not None:
            return known
        if template in self._inside or len(self._inside) > DEEPEST:
            return NOTHING
        self._inside.append(template)
        made = self._known[template] = ONE_BODY + self._body(template.syntax.body, template)
        self._inside.pop()
        return made

    def _body(self, body: ast.Body, home: Template) -> BlockSize:
        total, used = NOTHING, names_used(body)
        for statement in body.statements:
            match statement:
                case ast.Part() if statement.name.text not in used:
                    total += ONE_BODY + self._body(statement.body, home)
                case ast.Bind():
                    total += self._flow(statement.flow, home)
                case ast.Chain() | ast.Choose():
                    total += self._flow(statement, home)
        return total

    def _flow(self, flow: ast.Flow, home: Template) -> BlockSize:
        if isinstance(flow, ast.Choose):
            sides = (self._flow(flow.then, home), self._flow(flow.otherwise, home))
            return BlockSize(min(s.layers for s in sides), min(s.bodies for s in sides))
        total = NOTHING
        head = flow.head.terms if isinstance(flow.head, ast.Sum) else (flow.head,)
        for unit in (*head, *flow.rest):
            total += self._unit(unit, home)
        return total

    def _unit(self, unit: ast.Unit, home: Template) -> BlockSize:
        if isinstance(unit, ast.Repeat):
            turns = unit.count.value if isinstance(unit.count, ast.Number) else 0
            whole = turns if isinstance(turns, int) and turns > 0 else 0
            return self._body(unit.body, home) * whole if whole else NOTHING
        if isinstance(unit, ast.Reuse):
            return NOTHING
        if unit.path.text in lookup("layer"):
            return ONE_LAYER
        if unit.path.text in home.own_names or unit.path.text in home.env.constants:
            return NOTHING
        template = home.home.find(unit.path.parts)
        return NOTHING if template is None else self.of(template)
