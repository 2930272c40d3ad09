"""The grammar's terminals in words that a reader of a `.dnn` file uses."""

from __future__ import annotations

from deepdsl.language.syntax.repair import short
from deepdsl.language.syntax.scan import Token

ITEMS = ("use", "let", "default", "block", "model", "data", "train", "export")

_ITEM = frozenset(word.upper() for word in ITEMS)
_VALUE = frozenset({"NUMBER", "PERCENT", "SIZE", "STRING", "NAME", "CALL", "LSQB", "LPAR", "MINUS"})
_COMPUTED = frozenset({"NUMBER", "PERCENT", "NAME", "LPAR", "MINUS"})
_END = frozenset({"_SEP", "$END", "RBRACE"})

# What is at the beginning of a line.
_BEGINNINGS = ("an item such as `model`", "a layer", "a row")

# What makes more of the value before it; naming that as well would only distract.
_INNER = frozenset({"EQUAL", "_COLON"})

# Sets of terminals that together are one thing to a reader, the larger before the smaller.
_GROUPS: tuple[tuple[frozenset[str], str], ...] = (
    (_ITEM, "an item such as `model`"),
    (frozenset({"INPUT", "DEFAULT", "LET", "PART", "IF", "REPEAT", "REUSE", "NAME"}), "a layer"),
    (frozenset({"IF", "REPEAT", "REUSE", "NAME"}), "a layer"),
    (frozenset({"REPEAT", "REUSE", "NAME"}), "a layer"),
    (frozenset({"PHASE", "NAME"}), "a row"),
    (_VALUE, "a value"),
    (_COMPUTED, "a value"),
    (frozenset({"PLUS", "MINUS", "STAR", "SLASH"}), "an operator"),
    (frozenset({"PLUS", "MINUS"}), "an operator"),
    (frozenset({"NUMBER", "PERCENT"}), "a number"),
)

_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "PERCENT": "a percentage",
    "SIZE": "a size",
    "STRING": 'a file name in `"`',
    "CALL": "a value with options",
    "COMPARE": "`==` or another comparison",
    "EQUAL": "`=`",
    "PLUS": "`+`",
    "MINUS": "`-`",
    "STAR": "`*`",
    "SLASH": "`/`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "_SEP": "the end of the line",
    "$END": "the end of the line",
    "_PIPE": "`|`",
    "_ELSE": "`else`",
    "_COLON": "`:`",
    "_COMMA": "`,`",
    "_DOT": "`.`",
}


def expected(accepts: frozenset[str]) -> str:
    """What could be at a place, as a phrase; empty when the parser does not know."""
    left = set(accepts)
    phrases: list[str] = []
    for terminals, phrase in _GROUPS:
        if terminals <= left:
            left -= terminals
            options = terminals is _VALUE and bool(left & (_END | {"RPAR"}))
            phrases.append("a value, an option" if options else phrase)
    left.discard("_DOT")
    if phrases or left & _END:
        left -= _INNER
    if "COMPARE" in left and "an operator" in phrases:
        phrases.remove("an operator")
    if "NAME" in left and "RBRACE" in left:
        left.discard("NAME")
        phrases.append("a row")
    if phrases[:1] and phrases[0] in _BEGINNINGS:
        left -= {"_SEP", "$END"}  # an empty line is no help
    elif "_SEP" in left:
        left.discard("RBRACE")  # where a line may end, to a reader that says it all
    names = sorted(_WORDS.get(each, f"`{each.lower()}`") for each in left)
    return _joined(list(dict.fromkeys([*phrases, *names])))


def _joined(phrases: list[str]) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return ", ".join(phrases[:-1]) + " or " + phrases[-1]


def found_words(found: Token, at_end: bool) -> str:
    if found.kind == "end":
        return "end of the file" if at_end else "end of the line"
    kind = {"number": "number ", "string": "string "}.get(found.kind, "")
    return f"{kind}`{short(found.text)}`"
