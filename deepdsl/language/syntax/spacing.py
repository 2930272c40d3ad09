"""Where blanks are between the tokens of a statement, whatever its lines."""

from __future__ import annotations

from deepdsl.language.syntax.scan import Layout, Statement, Token

_NO_BLANK_BEFORE = frozenset({")", "]", ",", ".", ":"})
_NO_BLANK_AFTER = frozenset({"(", "[", ".", ":"})
_KEYWORDS_BEFORE_VALUES = frozenset({"repeat", "if"})


def loose_tokens(layout: Layout) -> list[bool]:
    """For each token, whether a blank is before it where it does not begin a line."""
    loose = [True] * len(layout.tokens)
    for index, token in enumerate(layout.tokens):
        if token.text == ";":
            loose[index] = False
    for statement in layout.statements():
        _of_statement(layout, statement, loose)
    return loose


def _of_statement(layout: Layout, statement: Statement, loose: list[bool]) -> None:
    tokens = [layout.tokens[index] for index in statement.tokens]
    computing = layout.computing(statement)
    binding = _binding(tokens)
    for place in range(1, len(tokens)):
        index, token, before = statement.tokens[place], tokens[place], tokens[place - 1]
        if place in (binding, binding + 1):
            continue
        if token.kind != "mark":
            loose[index] = not _tight_after(tokens, computing, place - 1)
        elif token.text in _NO_BLANK_BEFORE or token.text == "=":
            loose[index] = False
        elif token.text == "(":
            loose[index] = not (_call(layout, statement, tokens, place) or _tight(before))
        elif token.text == "[":
            shape = place == 2 and tokens[0].text == "input"
            loose[index] = not (shape or _tight(before))
        else:
            loose[index] = not _tight_after(tokens, computing, place - 1)
        if token.text in ("(", "[") and _tight_after(tokens, computing, place - 1):
            loose[index] = False


def _binding(tokens: list[Token]) -> int:
    """The place of the `=` of `let x = …` or `a = …`, which has blanks around it."""
    for place in (1, 2):
        named = place == 1 or tokens[0].text == "let"
        if named and len(tokens) > place and tokens[place].text == "=":
            return place
    return -2


def _tight(token: Token) -> bool:
    return token.kind == "mark" and (token.text in _NO_BLANK_AFTER or token.text == "=")


def _tight_after(tokens: list[Token], computing: list[bool], place: int) -> bool:
    """Whether the token at `place` holds the next one close: an opening bracket, a sign."""
    if _tight(tokens[place]):
        return True
    if tokens[place].kind != "mark" or tokens[place].text != "-":
        return False
    operand = place > 0 and (tokens[place - 1].kind != "mark" or tokens[place - 1].text in ")]")
    word = operand and tokens[place - 1].text in ("if", "then", "else") and computing[place]
    return not (operand and computing[place]) or word


def _call(layout: Layout, statement: Statement, tokens: list[Token], place: int) -> bool:
    """Whether a `(` belongs to the name before it: options of a value, parameters of a block."""
    if place == 2 and tokens[0].text == "block":
        return True
    if tokens[place - 1].kind != "name" or not layout.glued(statement.tokens[place]):
        return False
    if tokens[place - 1].text not in _KEYWORDS_BEFORE_VALUES:
        return True
    return place > 1 and tokens[place - 2].text not in ("|", "+", "=", "then", "else")
