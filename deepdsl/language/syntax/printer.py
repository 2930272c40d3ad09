"""The formatter: one way of spacing, with its author's line breaks, comments and alignments kept.

Lines keep their tokens and change their columns.  A block is set in by two blanks, or is
under the first token after its `{`; a line that begins with `|` is under the first `|` of
its flow, `else` under its `if`.  A gap is one blank unless it brings a token under a token of a
line nearby; rows have their second words in one column.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deepdsl.core.source import Source
from deepdsl.language.syntax.lines import AlignedGroup, Cell, Line, Sheet, sheet
from deepdsl.language.syntax.parser import parse
from deepdsl.language.syntax.scan import BraceFrame, Layout, Statement

_STEP = 2
_BEFORE_COMMENT = 2
_ROUNDS = 40


def format_source(source: Source) -> str:
    """The text in its one form; raises DnnError for a text with syntax errors."""
    parse(source)
    text = source.text.removeprefix("\ufeff")
    for _ in range(_ROUNDS):
        formatted = _format(Source(source.name, text))
        if formatted == text:
            break
        text = formatted
    return text


def _format(source: Source) -> str:
    made = sheet(Layout(source))
    for _ in range(_ROUNDS):
        placing = _Placing(made)
        placing.place()
        if not placing.moved:
            break
    else:
        # Two alignments push each other to the right for ever.
        for line in made.lines:
            line.comment_group = None
            for cell in line.cells:
                cell.group = None
        placing = _Placing(made)
        placing.place()
    return placing.text


@dataclass
class _Flow:
    """What later lines of a statement are under."""

    base: int
    pipe: int | None = None
    ifs: list[int] = field(default_factory=list)


class _Placing:
    """One walk over the lines, which gives each token its column."""

    def __init__(self, made: Sheet) -> None:
        self.made = made
        self.tokens = made.layout.tokens
        self.moved = False
        self._lines: list[str] = []
        self._flows: dict[int, _Flow] = {}
        self._indent: dict[int, int] = {id(made.layout.file): 0}
        self._margin: dict[int, int] = {}  # of the line in which a frame was opened
        self._frames = {each.opening: each for each in made.layout.frames}
        self._closing = {each.closing: each for each in made.layout.frames}

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self._lines)

    def place(self) -> None:
        before: Line | None = None
        for line in self.made.lines:
            if before is not None and line.blank_before and self._may_part(before, line):
                self._lines.append("")
            self._lines.append(self._line(line))
            before = line

    def _may_part(self, before: Line, line: Line) -> bool:
        """Whether a blank line may be between two lines."""
        if before.cells and before.cells[-1].text == "{":
            return False
        return not (line.cells and line.cells[0].text in ("}", "|", "else"))

    def _line(self, line: Line) -> str:
        if not line.cells:
            assert line.comment is not None
            return " " * self._indent[id(line.frame)] + line.comment.text.rstrip()
        margin = self._first_column(line)
        pieces: list[str] = []
        end = 0
        hanging: BraceFrame | None = None
        for cell in line.cells:
            column = self._column(cell, end, margin) if end else margin
            if hanging is not None:
                self._indent[id(hanging)] = column
            hanging = self._note(cell.index, column, margin)
            pieces += " " * (column - end), cell.text
            end = column + len(cell.text)
        if line.comment is not None:
            column = self._comment_column(line, end, margin)
            pieces += " " * (column - end), line.comment.text.rstrip()
        return "".join(pieces)

    def _column(self, cell: Cell, end: int, margin: int) -> int:
        column = end + cell.loose
        if cell.tab is not None:
            column = max(column, margin + cell.tab)
        return column if cell.group is None else self._aligned(cell.group.whole(), column)

    def _comment_column(self, line: Line, end: int, margin: int) -> int:
        column = end + _BEFORE_COMMENT
        group = line.comment_group
        if group is not None or line.comment_gap > _BEFORE_COMMENT:
            column = max(column, line.comment_column - line.margin + margin)
        return column if group is None else self._aligned(group, column)

    def _aligned(self, group: AlignedGroup, column: int) -> int:
        """The group's column, which is the farthest that any of its tokens needs."""
        if column > group.column:
            group.column = column
            self.moved = True
        return group.column

    def _first_column(self, line: Line) -> int:
        cell = line.cells[0]
        statement = self._statement(cell.index)
        if cell.text == "}" and cell.index in self._closing:
            return self._margin[id(self._closing[cell.index])]
        if statement.tokens[0] == cell.index:
            return self._indent[id(statement.frame)]
        flow = self._flows[id(statement)]
        if cell.text == "else" and flow.ifs:
            return flow.ifs[-1]
        return flow.pipe if flow.pipe is not None else flow.base + _STEP

    def _note(self, index: int, column: int, margin: int) -> BraceFrame | None:
        """Remember what other lines are under; a frame comes back to learn its first column."""
        token = self.tokens[index]
        if token.text == ";":
            return None
        statement = self._statement(index)
        flow = self._flows.setdefault(id(statement), _Flow(column))
        if token.text == "|" and flow.pipe is None:
            flow.pipe = column
        elif token.text == "if":
            flow.ifs.append(column)
        elif token.text == "else":
            flow.pipe, flow.base = None, column
            flow.ifs = flow.ifs[:-1]
        elif token.text == "{" and token.kind == "mark":
            frame = self._frames[index]
            self._margin[id(frame)] = margin
            self._indent[id(frame)] = margin + _STEP
            return frame if self.made.hanging[index] else None
        return None

    def _statement(self, index: int) -> Statement:
        statement = self.made.layout.statement_of[index]
        assert statement is not None
        return statement
