"""Words, marks and comments of a text, and how braces and line ends group them into statements.

The grammar decides what is right.  This is for the work around it that must also are texts that
are wrong: finding where a faulty statement ends, matching braces, and moving tokens in the
formatter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from deepdsl.core.source import Source, Span

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t]+)
  | (?P<newline>\r?\n)
  | (?P<comment>\#[^\r\n]*)
  | (?P<string>"[^"\r\n]*")
  | (?P<open_string>"[^"\r\n]*(?<![ \t{}]))
  | (?P<number>(?:(?<![A-Za-z0-9_\])])\.)?[0-9](?:[eE][+-](?=[0-9])|[A-Za-z0-9_%]|\.(?!\.))*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?![^\W\d]))
  | (?P<slashes>//[^\r\n]*)
  | (?P<arrow>->|=>|\|>|[→⇒➜])
  | (?P<mark>[=!<>]=|[{}()\[\]|+\-*/=:;,.<>])
  | (?P<odd>[^\W\d]\w*|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    kind: str  # newline comment string open_string number name slashes arrow mark odd
    text: str
    start: int
    end: int


class Statement:
    """The tokens between two separators on one level of braces.

    `tokens` are positions in `Layout.tokens`; a brace belongs to the statement that opens it,
    what is inside does not.
    """

    def __init__(self, frame: BraceFrame) -> None:
        self.frame = frame
        self.tokens: list[int] = []


class BraceFrame:
    """What is between two braces, or the whole file."""

    def __init__(self, opening: int | None, parent: Statement | None) -> None:
        self.opening = opening  # the `{`, as a position in `Layout.tokens`
        self.parent = parent  # the statement with that `{`
        self.statements: list[Statement] = []
        self.closing: int | None = None


class Layout:
    """A text cut into tokens, statements and frames; braces without a partner are listed.

    `text` is the source's, or that with faulty places blanked out: places are the same in both.
    """

    def __init__(self, source: Source, text: str | None = None) -> None:
        self.source = source
        self.text = source.text if text is None else text
        self.tokens = list(scan(self.text))
        self.file = BraceFrame(None, None)
        self.frames = [self.file]
        self.unclosed: list[BraceFrame] = []
        self.stray: list[int] = []
        self.statement_of: list[Statement | None] = [None] * len(self.tokens)
        self._group()

    def _group(self) -> None:
        stack = [self.file]
        current: Statement | None = None
        for index, token in enumerate(self.tokens):
            if token.kind == "comment":
                continue
            if token.kind == "newline" or token.text == ";":
                if self.ends_statement(index):
                    current = None
                continue
            if token.kind == "mark" and token.text == "}":
                if len(stack) == 1:
                    self.stray.append(index)
                    current = None
                    continue
                frame = stack.pop()
                frame.closing = index
                current = frame.parent
            if current is None:
                current = Statement(stack[-1])
                stack[-1].statements.append(current)
            current.tokens.append(index)
            self.statement_of[index] = current
            if token.kind == "mark" and token.text == "{":
                frame = BraceFrame(index, current)
                self.frames.append(frame)
                stack.append(frame)
                current = None
        self.unclosed = stack[1:]

    def ends_statement(self, index: int) -> bool:
        """Whether a line end or `;` separates statements: after it no `|` or `else` continues."""
        return self.tokens[index].text == ";" or not self._goes_on(index)

    def _goes_on(self, newline: int) -> bool:
        following = self._following[newline]
        return following is not None and self.tokens[following].text in ("|", "else")

    @cached_property
    def _following(self) -> list[int | None]:
        """For each token, the next one that is neither a line end nor a comment."""
        following: list[int | None] = [None] * len(self.tokens)
        seen: int | None = None
        for index in range(len(self.tokens) - 1, -1, -1):
            following[index] = seen
            if self.tokens[index].kind not in ("newline", "comment"):
                seen = index
        return following

    def after(self, index: int) -> int | None:
        """The next token that is neither a line end nor a comment."""
        return self._following[index]

    def before(self, index: int) -> int | None:
        """The token before that is neither a line end nor a comment."""
        index -= 1
        while index >= 0 and self.tokens[index].kind in ("newline", "comment"):
            index -= 1
        return index if index >= 0 else None

    def glued(self, index: int) -> bool:
        """Whether nothing is between a token and the one before it."""
        return index > 0 and self.tokens[index - 1].end == self.tokens[index].start

    def starts_line(self, index: int) -> bool:
        return index == 0 or self.tokens[index - 1].kind == "newline"

    def span(self, first: int, last: int | None = None) -> Span:
        end = self.tokens[first if last is None else last].end
        return Span(self.source, self.tokens[first].start, end)

    def statements(self) -> Iterator[Statement]:
        for frame in self.frames:
            yield from frame.statements

    def partner(self, opening: int) -> int | None:
        """The `)` of a `(` on the same line."""
        depth = 0
        for index in range(opening, len(self.tokens)):
            token = self.tokens[index]
            depth += (token.text == "(") - (token.text == ")")
            if token.kind == "newline":
                return None
            if depth == 0:
                return index
        return None

    def computing(self, statement: Statement) -> list[bool]:
        """For each token, whether a `-` there would subtract: in parentheses and conditions."""
        result: list[bool] = []
        stack: list[bool] = [False]
        for place, index in enumerate(statement.tokens):
            text = self.tokens[index].text
            result.append(stack[-1])
            if text in ("(", "["):
                named = place > 0 and self.tokens[statement.tokens[place - 1]].kind == "name"
                call = named and self.glued(index) and not self._keyword_before(statement, place)
                stack.append(text == "(" and not call)
            elif text in (")", "]") and len(stack) > 1:
                stack.pop()
            elif text in ("if", "then") and len(stack) == 1:
                stack[-1] = text == "if"
        return result

    def _keyword_before(self, statement: Statement, place: int) -> bool:
        """Whether the word before a bracket begins a `repeat` or an `if` rather than a call."""
        index = statement.tokens[place - 1]
        if self.tokens[index].text not in ("repeat", "if"):
            return False
        before = self.tokens[statement.tokens[place - 2]].text if place > 1 else ""
        return before in ("", "|", "+", "=", "then", "else")

    def words(self, statement: Statement) -> list[str]:
        return [self.tokens[index].text for index in statement.tokens]

    def extent(self, statement: Statement) -> tuple[int, int]:
        """The characters of a statement, first token to last, with all that its braces hold."""
        first, last = statement.tokens[0], statement.tokens[-1]
        end = self.tokens[last].end
        if self.tokens[last].text == "{":  # the brace was never closed
            end = len(self.text)
        return self.tokens[first].start, end

    def heads(self, statement: Statement) -> Iterator[int]:
        """The tokens at which a layer, a row, a part or an item begins."""
        for place, index in enumerate(statement.tokens):
            before = self.tokens[statement.tokens[place - 1]].text if place else ""
            bound = before == "=" and place == 2 and self.tokens[statement.tokens[0]].kind == "name"
            if place == 0 or bound or before in ("|", "+", "then", "else"):
                yield index


def scan(text: str) -> Iterator[Token]:
    """Cut a text into tokens; blanks are left out, everything else is there."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind != "blank":
            assert kind is not None
            yield Token(kind, match.group(), match.start(), match.end())
