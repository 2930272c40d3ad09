"""Mistakes that show in single words and brackets, found before the grammar is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from deepdsl.core.source import Source, Span
from deepdsl.diagnostics.language.structure import CalledLayer, ComputedBare, ValuesComputed
from deepdsl.diagnostics.language.syntax import ElseWithoutIf, UnexpectedText
from deepdsl.diagnostics.language.text import (
    Arrow,
    ForeignComment,
    MalformedNumber,
    NestingTooDeep,
    NotText,
    UnclosedBracket,
    UnclosedString,
    UnexpectedCharacter,
)
from deepdsl.language.syntax.calls import layer_called, rewritten
from deepdsl.language.syntax.repair import (
    Finding,
    Repair,
    blank,
    blank_statement,
    closes,
    mended_line,
    short,
)
from deepdsl.language.syntax.scan import Layout, Statement

DEEPEST = 40
_LONGEST_NUMBER = 40
_SHOWN = 100  # tokens of a statement that is repeated in a help text

_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]|\r(?!\n)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(%|[eE][+-]?[0-9]+)?|[1-9][0-9]*(x[1-9][0-9]*){1,2}")

# A word with a bracket right after it that is no call.
_NOT_CALLED = frozenset({"repeat", "if", "then", "else"})


def not_text(source: Source) -> Iterator[Finding]:
    if found := _NOT_TEXT.search(source.text):
        span = Span(source, found.start(), found.end())
        yield Finding(NotText(span, found.group()), (), fatal=True)


def too_deep(layout: Layout) -> Iterator[Finding]:
    # What an open bracket adds besides itself: the operators and `if`s since the statement began.
    added = [0]
    brackets = [""]
    depth = 0
    comparing = False
    for index, token in enumerate(layout.tokens):
        if token.kind not in ("mark", "name", "newline"):
            continue
        if token.text in ("(", "[", "{"):
            added.append(0)
            brackets.append(token.text)
            depth += 1
        elif token.text in (")", "]", "}"):
            if len(added) > 1:
                depth -= 1 + added.pop()
                brackets.pop()
        elif token.text in ("if", "then"):
            comparing = token.text == "if"
            added[-1] += comparing
            depth += comparing
        elif token.text in ("+", "-", "*", "/"):
            # Elsewhere `+` adds flows, and however many make one flat sum.
            if comparing or "(" in brackets[-1]:
                added[-1] += 1
                depth += 1
        elif (token.kind == "newline" or token.text == ";") and layout.ends_statement(index):
            depth -= added[-1]
            added[-1] = 0
        if depth > DEEPEST:
            yield Finding(NestingTooDeep(layout.span(index), DEEPEST), (), fatal=True)
            return


def odd_characters(layout: Layout) -> Iterator[Finding]:
    seen: Statement | None = None
    for index, token in enumerate(layout.tokens):
        if token.kind != "odd" or layout.statement_of[index] is seen:
            continue
        seen = layout.statement_of[index]
        offset = next((i for i, c in enumerate(token.text) if ord(c) > 127), 0)
        start = token.start + offset
        diagnostic = UnexpectedCharacter(Span(layout.source, start, start + 1), token.text[offset])
        yield Finding(diagnostic, (_around(layout, index),))


def _around(layout: Layout, index: int) -> Repair:
    statement = layout.statement_of[index]
    assert statement is not None
    return blank_statement(layout, statement)


_COUNTS: tuple[tuple[str, Callable[[re.Match[str]], int]], ...] = (
    (r"range\(\s*(\d{1,6})\s*\)", lambda m: int(m[1])),
    (r"range\(\s*(\d{1,6})\s*,\s*(\d{1,6})\s*\)", lambda m: int(m[2]) - int(m[1])),
    (r"\bin\s+0\s*\.\.\s*(\d{1,6})", lambda m: int(m[1])),
    (r"\bin\s+(\d{1,6})\s*\.\.\s*(\d{1,6})", lambda m: int(m[2]) - int(m[1]) + 1),
    (r"\bin\s+(\d{1,6})\b", lambda m: int(m[1])),
    (r"<\s*(\d{1,6})\b", lambda m: int(m[1])),
)


def loops(layout: Layout) -> Iterator[Finding]:
    """`for i in 1..3 {`, as other languages say `repeat 3 {`."""
    for statement in layout.statements():
        first = statement.tokens[0]
        words = layout.words(statement)
        if words[0] not in ("for", "while") or statement.frame is layout.file:
            continue
        head = layout.source.line(layout.span(first).line)
        if words[1:2] == ["="] or not re.search(r"[{:]", head):
            continue
        found = ((re.search(pattern, head), count) for pattern, count in _COUNTS)
        times = next((count(match) for match, count in found if match), 0)
        advice = f"say how often: `repeat {times if times > 0 else 5} {{ … }}`"
        loop = UnexpectedText(layout.span(first), f"`{words[0]}`", "a layer or `repeat`", advice)
        start, end = layout.extent(statement)
        last = statement
        if "(" in words and ")" not in words:  # `for (i = 0; i < 3; i++) {`: three statements
            same = [s for s in statement.frame.statements if s.tokens[0] >= first]
            last = next((s for s in same if "{" in layout.words(s)), statement)
            end = max(end, layout.extent(last)[1])
        yield Finding(loop, (blank(layout, start, end),))


def open_strings(layout: Layout) -> Iterator[Finding]:
    for index, token in enumerate(layout.tokens):
        if token.kind == "open_string":
            # A file name with a blank is rarer than an option after a file name.
            mended = short(token.text.split(" ")[0], 60) + '"'
            diagnostic = UnclosedString(layout.span(index), mended)
            yield Finding(diagnostic, (_around(layout, index),))


def malformed_numbers(layout: Layout) -> Iterator[Finding]:
    for index, token in enumerate(layout.tokens):
        if token.kind == "number" and (fault := _fault(token.text)):
            diagnostic = MalformedNumber(layout.span(index), token.text, *fault)
            yield Finding(diagnostic, (_around(layout, index),))


def _fault(text: str) -> tuple[str, str] | None:
    """What is wrong with a number, and how it is written instead."""
    if len(text) > _LONGEST_NUMBER:
        return f"longer than {_LONGEST_NUMBER} characters", ""
    if _NUMBER.fullmatch(text):
        endless = text[-1] != "%" and "x" not in text and float(text) == float("inf")
        return ("too large for a floating-point number", "") if endless else None
    for pattern, reason, mended in _FAULTS:
        if match := re.fullmatch(pattern, text):
            return reason, mended(match)
    return "this is neither a number nor a size", ""


def _sides(match: re.Match[str]) -> str:
    return f"{match[1]}x{match[1]}" if int(match[1]) else ""


_FAULTS: tuple[tuple[str, str, Callable[[re.Match[str]], str]], ...] = (
    (r"\.([0-9].*)", "a digit is missing before the point", lambda m: f"0.{m[1]}"),
    (r"([0-9]+)\.", "a digit is missing after the point", lambda m: f"{m[1]}.0"),
    (r"([0-9]+)\.([eE%].*)", "a digit is missing after the point", lambda m: f"{m[1]}.0{m[2]}"),
    (r"([0-9.]+)[eE]", "the exponent is missing", lambda m: f"{m[1]}e-3"),
    (r"[0-9]+(_[0-9]+)+", "`_` is not allowed between digits", lambda m: m[0].replace("_", "")),
    (r"0[xX]([0-9a-fA-F]+)", "there are no hexadecimal numbers", lambda m: str(int(m[1], 16))),
    (r"([0-9]+)[xX]", "a side of the size is missing", _sides),
    (r"[0-9]+(X[0-9]+)+", "a size is written with a small `x`", lambda m: m[0].lower()),
    (r"[0-9]+(x[0-9]+){3,}", "a size has two or three sides", lambda m: ""),
    (r"[0-9]+(x[0-9]+)+", "a side of a size begins with 1 to 9", lambda m: ""),
    (r"([0-9]+)([A-Za-z_]\w*)", "a space is missing after the digits", lambda m: f"{m[1]} {m[2]}"),
)  # fmt: skip


def foreign_comments(layout: Layout) -> Iterator[Finding]:
    for index, token in enumerate(layout.tokens):
        if token.kind == "slashes":
            start = Span(layout.source, token.start, token.start + 2)
            text = short(token.text.lstrip("/"), 60)
            edits = [blank(layout, token.start, token.end)]
            statement = layout.statement_of[index]
            if statement is not None and _unclosed(layout, statement):
                # The other half of a bracket is after the slashes: `(7 // 2)`.
                edits.append(blank_statement(layout, statement))
                text = ""
            yield Finding(ForeignComment(start, text), tuple(edits))


def arrows(layout: Layout) -> Iterator[Finding]:
    for statement in layout.statements():
        found = [i for i in statement.tokens if layout.tokens[i].kind == "arrow"]
        if not found:
            continue
        tokens = [layout.tokens[index] for index in found]
        line = layout.source.position(tokens[0].start)[0]
        changes = [
            (token.start, token.end, "|")
            for token in tokens
            if layout.source.position(token.start)[0] == line
        ]
        mended = mended_line(layout.source, tokens[0].start, *changes) or "|"
        edits = tuple(Repair(t.start, t.end, "|".rjust(len(t.text))) for t in tokens)
        yield Finding(Arrow(layout.span(found[0]), tokens[0].text, mended), edits)


def unmatched_elses(layout: Layout) -> Iterator[Finding]:
    for statement in layout.statements():
        ifs = 0
        words = layout.words(statement)
        for place, word in enumerate(words):
            ifs += word == "if"
            if word != "else" or words[place - 1 : place] == ["."]:
                continue
            if ifs == 0:
                index = statement.tokens[place]
                end = layout.extent(statement)[1]
                edit = blank(layout, layout.tokens[index].start, end)
                yield Finding(ElseWithoutIf(layout.span(index)), (edit,))
                break
            ifs -= 1


def open_brackets(layout: Layout) -> Iterator[Finding]:
    for statement in layout.statements():
        if unclosed := _unclosed(layout, statement):
            index, stop = unclosed
            found = layout.span(stop) if stop is not None else None
            opening = layout.tokens[index].text
            diagnostic = UnclosedBracket(layout.span(index), opening, found)
            start, end = layout.extent(statement)
            # A list over several lines is one mistake, and its other lines are none.
            end = (closes(layout, index) or end) if stop is None else end
            yield Finding(diagnostic, (blank(layout, start, end),))


def _unclosed(layout: Layout, statement: Statement) -> tuple[int, int | None] | None:
    """The first bracket without its partner, and what is where the partner should."""
    stack: list[int] = []
    end = 0
    for index in statement.tokens:
        token = layout.tokens[index]
        if stack and "\n" in layout.text[end : token.start]:
            return stack[-1], None
        end = token.end
        if token.kind != "mark":
            continue
        if token.text in ("(", "["):
            stack.append(index)
        elif stack and token.text in (")", "]"):
            opening = layout.tokens[stack[-1]].text
            if opening + token.text not in ("()", "[]"):
                return stack[-1], index
            stack.pop()
        elif stack and token.text in ("{", "}"):
            return stack[-1], index
    return (stack[-1], None) if stack else None


def called_layers(layout: Layout) -> Iterator[Finding]:
    for statement in layout.statements():
        if statement.frame is layout.file:
            continue
        for index in layout.heads(statement):
            if called := _called(layout, index):
                here = layer_called(called[1]) if not in_section(layout, index) else None
                diagnostic = CalledLayer(
                    layout.span(index, called[0] - 1), *called[1:], here or called[1]
                )
                yield Finding(diagnostic, (blank_statement(layout, statement),))
                break


def _called(layout: Layout, head: int) -> tuple[int, str, str] | None:
    """For a layer that is called: its `(`, its name, and the line as it should be."""
    tokens = layout.tokens
    if tokens[head].kind != "name" or tokens[head].text in _NOT_CALLED:
        return None
    last = head + 1
    while last + 1 < len(tokens) and tokens[last].text == "." and tokens[last + 1].kind == "name":
        last += 2
    if last >= len(tokens) or tokens[last].text != "(" or not layout.glued(last):
        return None
    name = layout.text[tokens[head].start : tokens[last].start]
    closing = layout.partner(last)
    if closing is None:
        return last, name, ""
    inner = layout.text[tokens[last].end : tokens[closing].start]
    written = None if in_section(layout, head) else rewritten(name, inner)
    if written is not None:
        return last, name, short(written.text(), 80)
    if any(tokens[i].text in ("+", "-", "*", "/") for i in range(last, closing)):
        inner = f"({inner})"
    plain = f"{name} {' '.join(inner.replace(',', ' ').split())}".strip()
    return last, name, short(plain, 80) if len(plain) <= 80 else ""


def in_section(layout: Layout, index: int) -> bool:
    """Whether a token is in a row of a section, where no layer can."""
    statement = layout.statement_of[index]
    while statement is not None and statement.frame.parent is not None:
        statement = statement.frame.parent
    return statement is not None and layout.words(statement)[0] in ("data", "train", "export")


def glued_minuses(layout: Layout) -> Iterator[Finding]:
    """`n-1` and `n - 1` where arguments are: the grammar would see two of them."""
    for statement in layout.statements():
        computing = layout.computing(statement)
        for place, index in enumerate(statement.tokens):
            if place == 0 or layout.tokens[index].text != "-":
                continue
            left = layout.tokens[statement.tokens[place - 1]]
            operand = left.kind in ("name", "number") or left.text in (")", "]")
            number = place + 1 < len(statement.tokens) and _signed(layout, index)
            apart = not layout.glued(index) and number
            if operand and not apart and not computing[place]:
                if flowing(layout, statement, place):
                    yield Finding(
                        ValuesComputed(layout.span(index), "-"),
                        (blank_statement(layout, statement),),
                    )
                    break
                mended = wrapped(layout, statement, place)
                yield Finding(
                    ComputedBare(layout.span(index), "-", mended),
                    (blank_statement(layout, statement),),
                )
                break


def flowing(layout: Layout, statement: Statement, operator: int) -> bool:
    """Whether an operator is between two values of a flow, as in `h * x`, not between
    arguments.
    """
    tokens = [layout.tokens[index] for index in statement.tokens]
    if not 0 < operator < len(tokens) - 1 or in_section(layout, statement.tokens[operator]):
        return False
    left, right = tokens[operator - 1], tokens[operator + 1]
    if statement.frame is layout.file or right.kind not in ("name", "number"):
        return False
    first = statement.tokens[operator - 1] in set(layout.heads(statement))
    named = left.kind == "name" and left.text not in _WORDS
    return first and named and layer_called(left.text) is None


_WORDS = frozenset({"repeat", "if", "then", "else", "let", "input", "default", "part", "reuse"})


def _signed(layout: Layout, minus: int) -> bool:
    return layout.tokens[minus + 1].kind == "number" and layout.glued(minus + 1)


def wrapped(layout: Layout, statement: Statement, place: int) -> str:
    """The line around an operator, with parentheses round what is computed."""
    if not 0 < place < len(statement.tokens) - 1 or len(statement.tokens) > _SHOWN:
        return ""
    tokens = [layout.tokens[index] for index in statement.tokens]
    first = last = place
    sign = not layout.glued(statement.tokens[place]) and layout.glued(statement.tokens[place] + 1)
    if not sign and not (tokens[place - 1].kind == "mark" and tokens[place - 1].text in "=[(|+:"):
        first = _operand(layout, statement, place - 1, -1)
    while last < len(tokens) and tokens[last].text in ("+", "-", "*", "/"):
        if last + 1 >= len(tokens):
            return ""
        last = _operand(layout, statement, last + 1, 1) + 1
    start, end = tokens[first].start, tokens[last - 1].end
    return mended_line(layout.source, tokens[place].start, (start, start, "("), (end, end, ")"))


def _operand(layout: Layout, statement: Statement, place: int, step: int) -> int:
    """The far end of the operand that begins or ends at `place`."""
    words = layout.words(statement)
    opening, closing = ("(", ")") if step > 0 else (")", "(")
    depth = 0
    while 0 <= place < len(words):
        depth += (words[place] == opening) - (words[place] == closing)
        beyond = place + step
        dotted = 0 <= beyond < len(words) and "." in (words[beyond], words[place])
        if depth <= 0 and not dotted:
            return place
        place = beyond
    return max(0, min(place, len(words) - 1))


CHECKS: tuple[Callable[[Layout], Iterator[Finding]], ...] = (
    loops,
    odd_characters,
    open_strings,
    malformed_numbers,
    foreign_comments,
    arrows,
    open_brackets,
    unmatched_elses,
    called_layers,
    glued_minuses,
)
