"""One way out for arguments that do not fit: what was meant by a value or an option here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from deepdsl.core.registry import (
    Either,
    Entry,
    Kind,
    ListOf,
    Mismatch,
    Number,
    OneOf,
    Registered,
    Signature,
    Text,
    Word,
    lookup,
)
from deepdsl.diagnostics import closest
from deepdsl.diagnostics.vocabulary import advice, plain
from deepdsl.language.syntax import ast

# `{name|other=1}` in an advice: the number that the argument has, or this one.
_PLACE = re.compile(r"\{([\w|]*)=([^}]*)\}")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?(?![\w.%])")


def entry_of(kind: Kind) -> Entry | None:
    """The registry whose names a kind of value takes, if it takes names."""
    if isinstance(kind, Entry):
        return kind
    if isinstance(kind, Either):
        return next((e for k in kind.kinds if (e := entry_of(k)) is not None), None)
    return None


# A value of the wrong kind --------------------------------------------------------------------


def for_value(place: Signature, value: Any, constants: Collection[str]) -> str:
    """One way out for a value of the wrong kind."""
    entry = entry_of(place.kind)
    if isinstance(value, Word):
        if isinstance(place.kind, OneOf):
            near = closest(value.text, place.kind.words)
            return f"did you mean `{near}`?" if near else ""
        if isinstance(place.kind, Number):
            near = closest(value.text, constants)
            define = f"to use a name here, define it: `let {value.text} = …`"
            return f"did you mean `{near}`?" if near else define
        if isinstance(place.kind, Text):
            return f'write `"{value.text}"`'
    if isinstance(value, str):
        named = entry is not None and value in lookup(entry.registry)
        chosen = isinstance(place.kind, OneOf) and value in place.kind.words
        if isinstance(place.kind, OneOf) and value in _MARKS and _MARKS[value] in place.kind.words:
            return f"write `{place.name}={_MARKS[value]}`"
        number = isinstance(place.kind, Number) and value.strip().isdecimal()
        return f"write `{value.strip()}`, without quotes" if named or chosen or number else ""
    if isinstance(place.kind, Number) and _percentage(place.kind, value):
        return f"a share is written `{value}%`"
    return ""


# Marks that have names here.
_MARKS = {",": "comma", ";": "semicolon", "\t": "tab", "\\t": "tab", "|": "pipe"}


def _percentage(kind: Number, value: Any) -> bool:
    """Whether a whole number up to 100 is where a share of 1 is wanted: `dropout 20`."""
    high = kind.below if kind.below is not None else kind.maximum
    return high == 1 and isinstance(value, int) and 5 <= value < 100


def example(place: Signature) -> str:
    """A value that an argument takes, for the advice to write it."""
    if own := getattr(place.kind, "example", ""):
        text = own
    elif isinstance(place.kind, ListOf):
        text = "[28 28]" if getattr(place.kind.item, "whole", False) else "[0.5]"
    elif isinstance(place.kind, Entry):
        text = next(iter(sorted(lookup(place.kind.registry))), "…")
    else:
        text = {"a text in quotes": '"file"', "a name": "name"}.get(place.kind.expected, "")
        if not text:
            text = "20%" if getattr(place.kind, "below", None) == 1 else "10"
    return text if place.positional else f"{place.name}={text}"


# A value that no field takes ------------------------------------------------------------------


def for_surplus(
    cls: type[Registered],
    args: Sequence[ast.Argument],
    arg: ast.Value | ast.Pair,
    given: Collection[str],
    value_of: Callable[[ast.Value], Any],
) -> str:
    """What may have been meant by a value that no field takes; `given` are the fields that have
    one.
    """
    following = following_of(args, arg)
    given = {*given, *(each.name.text for each in args if isinstance(each, ast.Keyword))}
    free = [s for s in cls.signature() if not s.positional and s.name not in given]
    if (name := option_word(arg, following, [s.name for s in free])) and following is not None:
        return f"options have names: `{name}={following.span.text}`"
    if cls.kind == "layer" and isinstance(arg, ast.Path):
        near = closest(arg.text, lookup("layer"))
        return f"each layer is a step of its own: `… | {near}`" if near else ""
    if isinstance(arg, ast.Pair):
        return ""
    if both := _mean_and_std(cls, args, arg):
        return both
    known = advice(f"{cls.kind}.{cls.name}", "surplus")
    if known and isinstance(arg, ast.Number):
        return known
    fitting = [s.name for s in free if _takes(s, arg, value_of)]
    usual = [name for name in _usual(cls) if name in fitting]
    shown = usual[:1] or fitting
    if not shown or len(shown) > 3:
        return ""
    return "options have names: " + " or ".join(f"`{name}={arg.span.text}`" for name in shown)


def option_word(
    arg: ast.Argument, following: ast.Argument | None, options: Collection[str]
) -> str | None:
    """The option that a bare word names, where a value is after it: `max_norm 3`."""
    if not isinstance(arg, ast.Path) or following is None:
        return None
    if isinstance(following, ast.Keyword | ast.Pair):
        return None
    return arg.text if arg.text in options else None


def following_of(args: Sequence[ast.Argument], arg: ast.Argument) -> ast.Argument | None:
    """What is after an argument."""
    place = next((i for i, each in enumerate(args) if each is arg), len(args))
    return args[place + 1] if place + 1 < len(args) else None


def _mean_and_std(cls: type[Registered], args: Sequence[ast.Argument], arg: ast.Value) -> str:
    """PyTorch's order, mean and standard deviation; the other order here would start every unit
    alike.
    """
    if not {"mean", "std"} <= {s.name for s in cls.signature()}:
        return ""
    numbers = [each for each in args if isinstance(each, ast.Number)]
    if len(numbers) != 2 or len(args) != 2 or arg is not args[1]:
        return ""
    mean, std = numbers if numbers[1].value else reversed(numbers)
    named = f"std={std.span.text}" + (f" mean={mean.span.text}" if mean.value else "")
    return f"name them: `{cls.name}({named})`"


def _takes(place: Signature, arg: ast.Value, value_of: Callable[[ast.Value], Any]) -> bool:
    if entry_of(place.kind) is not None and not isinstance(arg, ast.Number):
        return False
    try:
        place.kind.convert(value_of(arg))
    except Mismatch:
        return False
    return True


def _usual(cls: type[Registered]) -> list[str]:
    """The options that the page of a thing begins with: the usual ones."""
    form = re.match(r"`([^`]*)`", inspect.cleandoc(cls.__doc__ or ""))
    return re.findall(r"(\w+)=", form[1]) if form else []


# An option or a name that is not known ----------------------------------------------------------


def for_option(cls: type[Registered], keyword: ast.Keyword) -> str:
    """What to do instead of an option that there is not; empty where nothing is known."""
    name, value = keyword.name.text, keyword.value
    number = _NUMBER.findall(value.span.text)
    if isinstance(value, ast.Call) and len(number) == 1:
        # Keras's objects for one number: `kernel_constraint=max_norm(3)`.
        own = [s.name for s in cls.signature() if s.name == value.name.text]
        if own:
            return f"write `{own[0]}={number[0]}`"
    known = advice(cls.name, name) or advice(cls.kind, name)
    numbers = {name: number[0]} if len(number) == 1 else {}
    if isinstance(value, ast.String) and value.value in _MARKS:
        numbers[name] = _MARKS[value.value]
    return filled(known, numbers)


def for_name(registry: str, name: str, args: Sequence[ast.Argument]) -> str:
    """What to do instead of a name that a registry does not have; empty where nothing is
    known.
    """
    numbers: dict[str, str] = {}
    bare = [arg for arg in args if not isinstance(arg, ast.Keyword)]
    for key, arg in [
        *((str(i), each) for i, each in enumerate(bare)),
        *((arg.name.text, arg.value) for arg in args if isinstance(arg, ast.Keyword)),
    ]:
        if isinstance(arg, ast.Number):
            numbers[key] = arg.span.text
    return filled(advice(registry, plain(name)), numbers)


def filled(text: str, numbers: dict[str, str]) -> str:
    """An advice with the numbers that were written, where it has places for them."""

    def number(match: re.Match[str]) -> str:
        return next((numbers[k] for k in match[1].split("|") if k in numbers), match[2])

    return _PLACE.sub(number, text)
