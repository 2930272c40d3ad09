"""What the grammar refused, said in words: a list of rules, each for one mistake that people make.

The first rule that knows the place wins; the last one always does.  They see what the parser
found, what it would have accepted there, and the words around.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches

from lark.exceptions import UnexpectedInput

from deepdsl.core.source import Span
from deepdsl.diagnostics.language.structure import (
    ComputedBare,
    DanglingPipe,
    KeywordAsName,
    MissingOpeningBrace,
    MissingSeparator,
    NothingToContinue,
    ValuesComputed,
)
from deepdsl.diagnostics.language.syntax import (
    ColonAfterName,
    CommaBetween,
    EqualsConfusion,
    IfWithoutElse,
    MissingValue,
    QuotedWord,
    UnexpectedText,
)
from deepdsl.language.syntax.calls import layer_called
from deepdsl.language.syntax.expected import ITEMS, expected, found_words
from deepdsl.language.syntax.failure import Failure, locate
from deepdsl.language.syntax.repair import Finding, Repair, blank, blank_statement, short
from deepdsl.language.syntax.scan import Layout, Statement
from deepdsl.language.syntax.tree import RESERVED
from deepdsl.language.syntax.words import flowing, in_section, wrapped

_BODY_WORDS = ("input", "default", "let", "part")


def explain(layout: Layout, error: UnexpectedInput) -> Finding:
    failure = locate(layout, error)
    for rule in RULES:
        if (finding := rule(failure)) is not None:
            return finding
    raise AssertionError("the last rule takes everything")


# The rules ---------------------------------------------------------------------------------------


def comma(failure: Failure) -> Finding | None:
    layout, statement = failure.layout, failure.statement
    if failure.found.text != "," or "NUMBER" not in failure.accepts or statement is None:
        return None
    if failure.previous.kind == "mark" and failure.previous.text not in (")", "]"):
        return None
    tokens = [i for i in statement.tokens if layout.tokens[i].text == ","]
    edits = tuple(blank(layout, layout.tokens[i].start, layout.tokens[i].end) for i in tokens)
    line = failure.span.line
    end = failure.found.start - failure.span.column + 1 + len(layout.source.line(line))
    here = [i for i in tokens if failure.found.start <= layout.tokens[i].start < end]
    joins = [i for i in here if _layer_behind(layout, i)]
    listed = [] if joins else _list_around(failure)
    changes: list[tuple[int, int, str]] = []
    for i in here:
        token = layout.tokens[i]
        gap = "" if layout.text[token.end : token.end + 1] == " " else " "
        changes.append((token.start, token.end, (" |" if i in joins else "") + gap))
    if listed:
        first, last = layout.tokens[listed[0]].start, layout.tokens[listed[-1]].end
        changes += [(first, first, "["), (last, last, "]")]
    return Finding(CommaBetween(failure.span, failure.mended(*changes), bool(joins)), edits)


def _layer_behind(layout: Layout, comma: int) -> bool:
    """Whether a step of its own is after a comma: `dense 8, relu`."""
    following = layout.after(comma)
    if following is None or in_section(layout, comma):
        return False
    behind = layout.tokens[following + 1].text if following + 1 < len(layout.tokens) else ""
    token = layout.tokens[following]
    return token.kind == "name" and behind != "=" and layer_called(token.text) is not None


def _list_around(failure: Failure) -> list[int]:
    """The tokens of a list that lacks its brackets: `columns=a,b,c`."""
    layout, statement = failure.layout, failure.statement
    assert statement is not None
    tokens = statement.tokens
    place = failure.place
    if place < 3 or layout.tokens[tokens[place - 2]].text != "=":
        return []
    last = place - 1
    while last + 2 < len(tokens) and layout.tokens[tokens[last + 1]].text == ",":
        item = layout.tokens[tokens[last + 2]]
        named = last + 3 < len(tokens) and layout.tokens[tokens[last + 3]].text == "="
        if item.kind not in ("name", "number", "string") or named:
            break
        last += 2
    return tokens[place - 1 : last + 1] if last >= place else []


def colon(failure: Failure) -> Finding | None:
    if failure.found.text != ":" or failure.previous.kind not in ("name", "string"):
        return None
    if failure.accepts and failure.accepts <= {"LBRACE", "_DOT"}:
        return None  # `model tiny:` lacks its brace
    layout, before = failure.layout, failure.before
    assert before is not None
    start, end = failure.found.start, failure.found.end
    name = failure.previous.text.strip('"')
    if failure.statement is not None and before in layout.heads(failure.statement):
        mended = failure.mended((start, end, ""))
        return Finding(
            ColonAfterName(failure.span, short(name), mended), (blank(layout, start, end),)
        )
    while layout.text[end : end + 1] == " ":
        end += 1
    mended = failure.mended((failure.previous.start, end, f"{name}="))
    if failure.previous.kind == "string":
        return Finding(ColonAfterName(failure.span, short(name), mended), failure.rest())
    edit = Repair(start, start + 1, "=")
    return Finding(ColonAfterName(failure.span, short(name), mended), (edit,))


def reserved_name(failure: Failure) -> Finding | None:
    if failure.found.text != "=" or failure.previous.text not in RESERVED - {"let"}:
        return None
    assert failure.before is not None
    span = failure.layout.span(failure.before)
    return Finding(KeywordAsName(span, failure.previous.text), failure.rest())


def equals(failure: Failure) -> Finding | None:
    found = failure.found
    if found.text == "==" and "EQUAL" in failure.accepts:
        wanted, edit = "=", Repair(found.start, found.end, "= ")
    elif found.text == "=" and "COMPARE" in failure.accepts:
        wanted, edit = "==", Repair(found.start, found.end + 1, "==")
    else:
        return None
    mended = failure.mended((found.start, found.end, wanted))
    roomy = wanted == "=" or failure.layout.text[found.end : found.end + 1] == " "
    edits = (edit,) if roomy else failure.rest()
    return Finding(EqualsConfusion(failure.span, found.text, wanted, mended), edits)


def no_value(failure: Failure) -> Finding | None:
    if failure.previous.text != "=" or not (failure.stops or failure.found.text in "|)]"):
        return None
    before = failure.before
    assert before is not None
    name = failure.layout.tokens[before - 1].text if before else ""
    return Finding(MissingValue(failure.layout.span(before), short(name)), failure.rest())


def dangling_pipe(failure: Failure) -> Finding | None:
    if failure.previous.text != "|" or not (failure.stops or failure.found.text == "|"):
        return None
    assert failure.before is not None
    span = failure.layout.span(failure.before)
    line_end = failure.index is None and not failure.at_end
    return Finding(DanglingPipe(span, line_end), (blank(failure.layout, span.start, span.end),))


def pipe_without_flow(failure: Failure) -> Finding | None:
    if failure.found.text != "|" or failure.index is None:
        return None
    layout, index = failure.layout, failure.index
    after_other = failure.first_word in _BODY_WORDS
    first = layout.starts_line(index) or failure.previous.text in ("", "{", ";")
    if not (after_other or first) or not failure.accepts & {"RBRACE", "_SEP", "$END"}:
        return None
    edits = (blank(layout, failure.found.start, failure.found.end),) if first else failure.rest()
    return Finding(NothingToContinue(failure.span), edits)


def no_brace(failure: Failure) -> Finding | None:
    if "LBRACE" not in failure.accepts or not failure.accepts <= {"LBRACE", "_DOT"}:
        return None
    layout, before = failure.layout, failure.before
    assert before is not None
    statement = layout.statement_of[before]
    assert statement is not None
    head = max(index for index in layout.heads(statement) if index <= before)
    start, end = layout.tokens[head].start, layout.tokens[before].end
    what = layout.text[start:end]
    following = layout.after(before)
    if failure.stops and following is not None and layout.tokens[following].text == "{":
        # The brace is on the next line: pull that up.
        edits: tuple[Repair, ...] = (Repair(end, *_joined(layout, end, following)),)
    else:
        edits = (*failure.rest(), *_set_in_below(layout, statement))
    if layout.tokens[head].text == "repeat" and not failure.stops:
        last = layout.tokens[statement.tokens[-1]].end
        mended = failure.mended((end, end, " {"), (last, last, " }"))
    else:
        mended = ""
    whole = mended or f"{short(what)} {{"
    return Finding(MissingOpeningBrace(Span(layout.source, start, end), short(what), whole), edits)


def _set_in_below(layout: Layout, header: Statement) -> Iterator[Repair]:
    """Blank out what was meant to be in the braces: the lines below that are set in deeper."""
    margin = layout.span(header.tokens[0]).column
    below = [each for each in header.frame.statements if each.tokens[0] > header.tokens[0]]
    for statement in below:
        if layout.span(statement.tokens[0]).column <= margin:
            break
        yield blank_statement(layout, statement)


def _joined(layout: Layout, start: int, following: int) -> tuple[int, str]:
    end = layout.tokens[following].start
    return end, " " * (end - start)


def quoted_word(failure: Failure) -> Finding | None:
    word = failure.found.text[1:-1]
    wanted = "NAME" in failure.accepts and "STRING" not in failure.accepts
    if failure.found.kind != "string" or not wanted or not word.isidentifier():
        return None
    start, end = failure.found.start, failure.found.end
    diagnostic = QuotedWord(failure.span, short(word), expected(failure.accepts))
    return Finding(diagnostic, (Repair(start, end, f" {word} "),))


def half_an_if(failure: Failure) -> Finding | None:
    if "THEN" in failure.accepts:
        missing = "then"
    elif "_ELSE" in failure.accepts and (failure.stops or failure.found.text == "{"):
        missing = "else"
    else:
        return None
    layout, before = failure.layout, failure.before
    assert before is not None
    statement = layout.statement_of[before]
    assert statement is not None
    ifs = [i for i in statement.tokens if i <= before and layout.tokens[i].text == "if"]
    end = Span(layout.source, failure.previous.end, failure.previous.end)
    place = layout.span(ifs[-1] if ifs else before)
    return Finding(IfWithoutElse(place, missing, end), failure.rest())


def computed(failure: Failure) -> Finding | None:
    if failure.statement is None or failure.index is None:
        return None
    layout, place = failure.layout, failure.place
    operand = failure.previous.kind in ("name", "number") or failure.previous.text == ")"
    if failure.found.text in ("+", "*", "/", "-") and operand:
        operator = place
    elif (failure.previous.text == "-" and failure.found.text not in (")", "|", "=")) or (
        failure.previous.text == "+" and failure.found.kind == "number"
    ):
        operator = place - 1
    else:
        return None
    if operator < 0 or layout.computing(failure.statement)[operator]:
        return None
    index = failure.statement.tokens[operator]
    if flowing(layout, failure.statement, operator):
        values = ValuesComputed(layout.span(index), layout.tokens[index].text)
        return Finding(values, (blank_statement(layout, failure.statement),))
    mended = wrapped(layout, failure.statement, operator)
    diagnostic = ComputedBare(layout.span(index), layout.tokens[index].text, mended)
    return Finding(diagnostic, (blank_statement(layout, failure.statement),))


def run_on(failure: Failure) -> Finding | None:
    if "_SEP" not in failure.accepts or failure.found.kind != "name":
        return None
    layout, before = failure.layout, failure.before
    if before is None or failure.previous.text in ("{", ";"):
        return None
    statement = layout.statement_of[before]
    if statement is None or layout.statement_of[failure.index or 0] is not statement:
        return None
    start, end = layout.extent(statement)
    ended = Span(layout.source, max(start, failure.previous.start), failure.previous.end)
    gap = failure.found.start - 1
    edits: tuple[Repair, ...] = (Repair(gap, gap + 1, ";"),)
    if layout.text[gap] not in " \t":
        edits = (blank(layout, failure.found.start, end),)
    return Finding(MissingSeparator(failure.span, ended), edits)


def misplaced_section(failure: Failure) -> Finding | None:
    """`prat body {` and `data x {` in a body: grammatical up to the brace."""
    layout, statement = failure.layout, failure.statement
    if failure.found.text != "{" or statement is None or statement.frame is layout.file:
        return None
    word = failure.first_word
    span = layout.span(statement.tokens[0])
    words = ("phase",) if "_PIPE" not in failure.accepts else ("part", "repeat")
    if word in ITEMS:
        advice = f"`{word}` is outside of all braces"
    elif near := _near(word, words):
        advice = f"did you mean `{near}`?"
    else:
        return None
    diagnostic = UnexpectedText(
        span, f"`{short(word)}` before a `{{`", expected_words(words), advice
    )
    return Finding(diagnostic, (blank_statement(layout, statement),))


def _near(word: str, words: tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(word.lower(), words, n=1, cutoff=0.7)), None)


def expected_words(words: tuple[str, ...]) -> str:
    return " or ".join(f"`{word}`" for word in words)


def anything_else(failure: Failure) -> Finding | None:
    found = found_words(failure.found, failure.at_end)
    diagnostic = UnexpectedText(failure.span, found, expected(failure.accepts), _advice(failure))
    return Finding(diagnostic, failure.rest())


def _advice(failure: Failure) -> str:
    found, accepts = failure.found, failure.accepts
    if "MODEL" in accepts and found.kind == "name":
        near = _near(found.text, ITEMS)
        return f"did you mean `{near}`?" if near else "layers belong in a `model NAME { … }`"
    if found.text == "{" and failure.previous.text == "repeat":
        return "say how often: `repeat 5 { … }`"
    if found.text == ")" or found.text == "]":
        opening = "(" if found.text == ")" else "["
        return f"there is no `{opening}` for it" if "_SEP" in accepts else ""
    if accepts == {"LSQB"}:
        return f"an input has a shape: `input {short(failure.previous.text)}[28 28]`"
    if found.text == "then" and "COMPARE" in accepts:
        return f"compare it: `if {short(failure.previous.text)} == true then …`"
    return ""


RULES: tuple[Callable[[Failure], Finding | None], ...] = (
    comma,
    colon,
    reserved_name,
    equals,
    no_value,
    dangling_pipe,
    pipe_without_flow,
    no_brace,
    quoted_word,
    half_an_if,
    computed,
    misplaced_section,
    run_on,
    anything_else,
)
