"""A place where the grammar refused a text: what was found, what would have been accepted."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from lark.exceptions import UnexpectedInput, UnexpectedToken

from deepdsl.core.source import Span
from deepdsl.language.syntax.repair import Repair, blank, blank_statement, mended_line
from deepdsl.language.syntax.scan import Layout, Statement, Token

_NOTHING = Token("end", "", 0, 0)


@dataclass
class Failure:
    """A place where the parser could not continue."""

    layout: Layout
    index: (
        int | None
    )  # what it found, as a position in the layout's tokens; None at a line's or the text's end
    before: int | None  # the token before that
    at_end: bool  # of the whole text
    accepts: frozenset[str]

    @property
    def found(self) -> Token:
        return self.layout.tokens[self.index] if self.index is not None else _NOTHING

    @property
    def previous(self) -> Token:
        return self.layout.tokens[self.before] if self.before is not None else _NOTHING

    @property
    def stops(self) -> bool:
        """Whether the statement ends here, rightly or not."""
        return self.index is None or self.found.text in (";", "}")

    @property
    def span(self) -> Span:
        if self.index is not None:
            return self.layout.span(self.index)
        end = self.previous.end
        return Span(self.layout.source, end, end)

    @cached_property
    def statement(self) -> Statement | None:
        """The statement that is faulty; at its end, the one that has just been read."""
        place = self.before if self.stops else self.index
        return self.layout.statement_of[place] if place is not None else None

    @property
    def place(self) -> int:
        """Where in its statement the found token is."""
        assert self.statement is not None
        assert self.index is not None
        return bisect_left(self.statement.tokens, self.index)

    @property
    def first_word(self) -> str:
        return self.layout.tokens[self.statement.tokens[0]].text if self.statement else ""

    def mended(self, *changes: tuple[int, int, str]) -> str:
        return mended_line(self.layout.source, changes[0][0], *changes)

    def rest(self) -> tuple[Repair, ...]:
        """Blank out the faulty statement, or only what is too much after a whole one."""
        if self.statement is None:
            found = self.found if self.index is not None else self.previous
            return (blank(self.layout, found.start, found.end),)
        end = self.layout.extent(self.statement)[1]
        if not self.stops and self.accepts & {"_SEP", "$END"} and self.found.start < end:
            return (blank(self.layout, self.found.start, end),)
        return (blank_statement(self.layout, self.statement),)


def locate(layout: Layout, error: UnexpectedInput) -> Failure:
    accepts: frozenset[str] = frozenset()
    at_end = False
    start = error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken):
        accepts = frozenset(error.accepts or ())
        at_end = error.token.type == "$END"
        # These two take the line ends before them along.
        trailing = {"_PIPE": 1, "_ELSE": 4}.get(error.token.type)
        if trailing and error.token.end_pos is not None:
            start = error.token.end_pos - trailing
    if at_end:
        start = len(layout.text)
    index = bisect_left(layout.tokens, start, key=lambda token: token.start)
    if index and layout.tokens[index - 1].end > start:
        index -= 1
    before = layout.before(index)
    while index < len(layout.tokens) and layout.tokens[index].kind == "comment":
        index += 1
    ended = index >= len(layout.tokens) or layout.tokens[index].kind == "newline"
    return Failure(layout, None if ended else index, before, at_end, accepts)
