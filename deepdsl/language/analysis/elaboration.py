"""A model as far as it is elaborated: what all that goes through its text shares."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic, Report
from deepdsl.graph import Value
from deepdsl.language.analysis.definitions import Definitions, Template
from deepdsl.language.analysis.frames import Flowing, Frame, names_used
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.reused import Reused
from deepdsl.language.analysis.sizes import Sizes
from deepdsl.language.analysis.ties import Ties
from deepdsl.language.analysis.trace import Trace
from deepdsl.language.syntax import ast


class ElaborateBody(Protocol):
    """Goes through the statements of a body; `what` says in messages which body it is."""

    def __call__(
        self, state: Elaboration, body: ast.Body, frame: Frame, what: str, named: Span, /
    ) -> None: ...


class ElaborateNetwork(Protocol):
    """A model that another one reuses; None after something was reported."""

    def __call__(
        self, state: Elaboration, template: Template, span: Span, report: Report, /
    ) -> Model | None: ...


class Elaboration:
    """The state of one elaboration.

    Bodies contain parts, blocks and repeats, which have bodies; models reuse others. These two
    recursions are handed in as `elaborate_body` and `elaborate_network`, so that imports go one
    way. `reached` gets the blocks that it goes through. With `for_reuse` the model is elaborated
    for another one that reuses it.
    """

    def __init__(
        self,
        template: Template,
        report: Report,
        reached: set[Template],
        elaborate_body: ElaborateBody,
        elaborate_network: ElaborateNetwork,
        for_reuse: bool = False,
    ) -> None:
        self.template, self.report, self.reached = template, report, reached
        self.elaborate_body, self.elaborate_network = elaborate_body, elaborate_network
        self.for_reuse = for_reuse
        self.trace = Trace(report)
        self.ties = Ties(self.trace, report)
        self.sizes = Sizes()
        self.stack: list[Template] = []  # the blocks around the body that is gone through
        self.lets: list[ast.Let] = []  # those of the model, not of blocks
        self.placed: set[Span] = set()  # the names of the parts that are used somewhere
        self.reused: list[Reused] = []
        self.looked_at: set[Span] = set()  # what is not reached and was looked at
        self._names_used: dict[int, Collection[str]] = {}

    @property
    def home(self) -> Definitions:
        return self.template.home

    def say(self, diagnostic: Diagnostic) -> None:
        self.report.add(diagnostic)

    def home_of(self, frame: Frame) -> Definitions:
        """The definitions of the file where a frame's text is."""
        home = frame.env.home
        return home if isinstance(home, Definitions) else self.home

    def input_names(self) -> tuple[str, ...]:
        return tuple(i.name for i in self.trace.inputs)

    def note_read(self, flowing: Flowing | None) -> None:
        """Note that something reads a value."""
        if flowing is not None and flowing.value is not None:
            self.trace.read.add(flowing.value)

    def names_used_in(self, body: ast.Body) -> Collection[str]:
        """The names that a body speaks of, found once: a `repeat` goes through it many times."""
        names = self._names_used.get(id(body))  # the template keeps the body alive
        if names is None:
            names = self._names_used[id(body)] = names_used(body)
        return names

    def may_enter(self, body: Span, span: Span, frame: Frame) -> bool:
        """Whether a body is gone through: once where it is not reached, else within the limits."""
        if frame.idle:
            seen = body in self.looked_at
            self.looked_at.add(body)
            return not seen
        return self.trace.enter(span)


def value_of(frame: Frame) -> Value | None:
    """The value that a body has come to."""
    return frame.current.value if frame.current is not None else None
