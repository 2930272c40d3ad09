"""The lines of a text as the formatter sees them, and which of their tokens are to align."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from deepdsl.language.syntax.scan import BraceFrame, Layout, Statement, Token
from deepdsl.language.syntax.spacing import loose_tokens

_SECTIONS = frozenset({"data", "train", "phase", "export"})


@dataclass(eq=False)
class Cell:
    """A token on its way from one column to another."""

    index: int
    text: str
    loose: bool
    column: int  # where it was
    gap: int  # the blanks that was before it
    group: AlignedGroup | None = None
    tab: int | None = None  # the distance from the first token of its row, in a section of rows


@dataclass(eq=False)
class AlignedGroup:
    """Tokens in several lines that are in one column because their author put them there."""

    column: int = 0
    merged: AlignedGroup | None = None  # the group that has taken this one in

    def whole(self) -> AlignedGroup:
        group = self
        while group.merged is not None:
            group = group.merged
        return group


@dataclass(eq=False)
class Line:
    cells: list[Cell]
    comment: Token | None
    margin: int  # where its first token or comment was
    comment_column: int
    blank_before: bool
    frame: BraceFrame  # around its first token
    comment_group: AlignedGroup | None = None
    comment_gap: int = 0  # the blanks that was before its comment


@dataclass
class Sheet:
    """All lines of a text, and for each frame whether its `{` ends a line."""

    layout: Layout
    lines: list[Line] = field(default_factory=list)
    hanging: dict[int, bool] = field(
        default_factory=dict
    )  # opening brace: whether code follows on its line


def sheet(layout: Layout) -> Sheet:
    made = Sheet(layout)
    loose = loose_tokens(layout)
    frame = layout.file
    frame_of_brace = {each.opening: each for each in layout.frames}
    blank = False
    for tokens in _physical(layout):
        first = tokens[0] if tokens else None
        if first is None or (line := _line(layout, tokens, loose, frame, blank)) is None:
            blank = True
        else:
            made.lines.append(line)
            blank = False
            for here, cell in enumerate(line.cells):
                if layout.tokens[cell.index].kind != "mark":
                    continue
                if cell.text == "{":
                    frame = frame_of_brace[cell.index]
                    following = line.cells[here + 1 : here + 2]
                    made.hanging[cell.index] = bool(following) and following[0].text != "}"
                elif cell.text == "}" and frame.parent is not None:
                    frame = frame.parent.frame
    _tabulate(made)
    _align(made)
    return made


def _physical(layout: Layout) -> Iterator[list[int]]:
    line: list[int] = []
    for index, token in enumerate(layout.tokens):
        if token.kind == "newline":
            yield line
            line = []
        else:
            line.append(index)
    yield line


def _line(
    layout: Layout, tokens: list[int], loose: list[bool], frame: BraceFrame, blank: bool
) -> Line | None:
    """A line without the `;` that separate nothing; None when that leaves it empty."""
    start = layout.text.rfind("\n", 0, layout.tokens[tokens[0]].start) + 1
    comment = layout.tokens[tokens[-1]] if layout.tokens[tokens[-1]].kind == "comment" else None
    code = tokens[:-1] if comment else tokens
    kept: list[int] = []
    for place, index in enumerate(code):
        if layout.tokens[index].text == ";":
            following = layout.tokens[code[place + 1]].text if place + 1 < len(code) else "}"
            if not kept or layout.tokens[kept[-1]].text == "{" or following in ("}", ";"):
                continue
        kept.append(index)
    if not kept and comment is None:
        return None
    cells = [
        Cell(
            index,
            layout.tokens[index].text,
            loose[index],
            layout.tokens[index].start - start,
            layout.tokens[index].start - layout.tokens[index - 1].end if index else 0,
        )
        for index in kept
    ]
    column = comment.start - start if comment else 0
    gap = comment.start - layout.tokens[code[-1]].end if comment and code else 0
    margin = cells[0].column if cells else column
    return Line(cells, comment, margin, column, blank, frame, comment_gap=gap)


def _tabulate(made: Sheet) -> None:
    """Rows of a section have their second tokens in one column."""
    by_index = {line.cells[0].index: line for line in made.lines if line.cells}
    for frame in made.layout.frames[1:]:
        assert frame.parent is not None
        assert frame.opening is not None
        header = made.layout.tokens[frame.parent.tokens[0]].text
        if header not in _SECTIONS or made.hanging.get(frame.opening, True):
            continue
        rows = [
            line
            for statement in frame.statements
            if (line := by_index.get(statement.tokens[0])) and _plain_row(made.layout, statement)
        ]
        longest = max((len(line.cells[0].text) for line in rows), default=0)
        seconds = [
            line for line in rows if len(line.cells) > 1 and line.cells[1].text not in (";", "}")
        ]
        offsets = {line.cells[1].column - line.cells[0].column for line in seconds}
        width = longest + 1
        if len(seconds) > 1 and offsets == {longest + 2}:
            width = longest + 2
        for line in seconds:
            line.cells[1].tab = width


def _plain_row(layout: Layout, statement: Statement) -> bool:
    return "{" not in layout.words(statement)


def _align(made: Sheet) -> None:
    """Group the tokens whose wide gaps bring them under a token of a line nearby."""
    before: Line | None = None
    paragraph: dict[tuple[int, int, str], Cell] = {}
    for line in made.lines:
        if line.blank_before:
            paragraph, before = {}, None
        neighbours = _movable(before) if before and before.frame is line.frame else {}
        for cell in _movable(line).values():
            for other in (
                neighbours.get(cell.column),
                paragraph.get((id(line.frame), cell.column, cell.text)),
            ):
                if other is not None and (cell.gap > 1 or other.gap > 1):
                    _join(cell, other)
            paragraph[id(line.frame), cell.column, cell.text] = cell
        _align_comments(before, line)
        before = line


def _movable(line: Line) -> dict[int, Cell]:
    return {cell.column: cell for cell in line.cells[1:] if cell.loose and cell.tab is None}


def _join(cell: Cell, other: Cell) -> None:
    mine = cell.group.whole() if cell.group else AlignedGroup()
    theirs = other.group.whole() if other.group else mine
    if theirs is not mine:
        mine.merged = theirs
    cell.group, other.group = mine, theirs


def _align_comments(before: Line | None, line: Line) -> None:
    if before is None or not (before.cells and line.cells):
        return
    if before.comment and line.comment and before.comment_column == line.comment_column:
        line.comment_group = before.comment_group = before.comment_group or AlignedGroup()
