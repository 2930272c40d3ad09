"""Binds what was written after a name to the typed fields of a registered class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Kind, Mismatch, Registered, Signature, Word, lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic
from deepdsl.diagnostics.language.arguments import (
    AmbiguousXavier,
    GivenTwice,
    MissingArgument,
    TooManyArguments,
    UnknownEntry,
    UnknownOption,
    WrongValue,
)
from deepdsl.diagnostics.language.names import NotBuiltYet
from deepdsl.diagnostics.vocabulary import advice, called_here, planned
from deepdsl.language.analysis import suggestions as instead
from deepdsl.language.analysis.values import FAILED, Closure, Environment, evaluate, found
from deepdsl.language.syntax import ast


@record
class DefaultOption:
    """An option that a `default` line gives, and where its names are looked up."""

    keyword: ast.Keyword
    env: Environment

    @property
    def option(self) -> str:
        return self.keyword.name.text


def bind(
    cls: type[Registered],
    args: Sequence[ast.Argument],
    span: Span,
    env: Environment,
    defaults: Sequence[DefaultOption] = (),
) -> Any:
    """An instance of `cls` made from arguments; `defaults` count where the arguments are silent.
    FAILED after errors.
    """
    signature = cls.signature()
    written = _Written(cls, signature, env, args)
    for arg in args:
        written.take(arg)
    for default in defaults:
        if default.option not in written.values:
            # Its names are those of the place where the `default` is.
            written.env = default.env.reporting(env.report)
            written.take(default.keyword)
    written.env = env
    values = written.finish(span)
    return FAILED if values is FAILED else cls(**values)


class _Written:
    """Sorts arguments into fields."""

    def __init__(
        self,
        cls: type[Registered],
        signature: Sequence[Signature],
        env: Environment,
        args: Sequence[ast.Argument],
    ) -> None:
        self.cls, self.env, self.args = cls, env, args
        self.signature = {s.name: s for s in signature}
        self.places = [s for s in signature if s.positional]
        self.values: dict[str, Any] = {}
        self.spans: dict[str, Span] = {}
        self.extra: dict[str, Any] = {}
        self.failed = False
        self.strange = False  # something is here that no field takes
        self.next = 0
        self.told = False  # the value after a bare option was named with it

    def take(self, arg: ast.Argument) -> None:
        if isinstance(arg, ast.Keyword):
            self._keyword(arg)
            return
        if self.next >= len(self.places):
            self._surplus(arg)
            return
        place = self.places[self.next]
        if place.many:
            value = self._one_of_many(arg, place)
            self.values.setdefault(place.name, [])
            self.values[place.name].append(value)
            self.spans.setdefault(place.name, arg.span)
            self.failed |= value is FAILED
            return
        self.next += 1
        if isinstance(arg, ast.Pair):
            self._wrong(place, arg.span, f"`{arg.span.text}`")
            return
        self._store(place, arg.span, self._value(arg, place))

    def _surplus(self, arg: ast.Value | ast.Pair) -> None:
        """A value that no field takes; what is after a bare option is told with that."""
        self.strange = True
        if self.told:
            self.told = False
            return
        hint = instead.for_surplus(
            self.cls, self.args, arg, self.spans, lambda value: evaluate(value, self.env)
        )
        following = instead.following_of(self.args, arg)
        free = [s.name for s in self.signature.values() if not s.positional]
        self.told = instead.option_word(arg, following, free) is not None
        self._fail(TooManyArguments(arg.span, self.cls.name, self._takes(), hint))

    def _keyword(self, arg: ast.Keyword) -> None:
        name = arg.name.text
        extra: Kind | None = getattr(self.cls, "extra_keywords", None)
        place = self.signature.get(name)
        first = self.spans.get(name)
        if first is not None:
            self._fail(GivenTwice(arg.span, self.cls.name, name, first))
        elif place is not None:
            self._store(place, arg.span, self._value(arg.value, place))
        elif extra is not None and not advice(self.cls.name, name):
            kept = Signature(name, extra, "", False, False, None)
            value = self._value(arg.value, kept)
            self.spans[name] = arg.span
            self.failed |= value is FAILED
            self.extra[name] = value
        elif name in planned(f"{self.cls.name}."):
            self._fail(NotBuiltYet(arg.span, f"`{name}` of `{self.cls.name}`"))
        else:
            self.strange = True
            hint = instead.for_option(self.cls, arg)
            # Values that are in a row are not written with their name.
            known = tuple(s.name for s in self.signature.values() if not s.many)
            self._fail(UnknownOption(arg.name.span, self.cls.name, name, known, hint))

    def _store(self, place: Signature, span: Span, value: Any) -> None:
        if place.name in self.spans:
            self._fail(GivenTwice(span, self.cls.name, place.name, self.spans[place.name]))
            return
        self.spans[place.name] = span
        self.values[place.name] = value
        self.failed |= value is FAILED

    def _fail(self, diagnostic: Diagnostic) -> None:
        self.env.say(diagnostic)
        self.failed = True

    def _wrong(self, place: Signature, span: Span, found: str, hint: str = "") -> Any:
        return self.env.say(
            WrongValue(span, self.cls.name, place.name, place.kind.expected, found, hint)
        )

    def _one_of_many(self, arg: ast.Value | ast.Pair, place: Signature) -> Any:
        """A value of a field that takes several, checked by itself so that the message points at
        it.
        """
        if isinstance(arg, ast.Pair):
            value = evaluate(arg.value, self.env)
            made = FAILED if value is FAILED else (arg.key.value, value)
        else:
            made = self._value(arg, place)
        if made is FAILED:
            return FAILED
        try:
            place.kind.convert((made,))
        except Mismatch:
            return self._wrong(place, arg.span, f"`{arg.span.text}`")
        return made

    def _value(self, syntax: ast.Value, place: Signature) -> Any:
        entry = instead.entry_of(place.kind)
        value = evaluate(syntax, self.env)
        if value is FAILED:
            return FAILED
        if isinstance(value, Closure):
            if entry is None:
                return self._wrong(place, syntax.span, found(syntax, value))
            there = value.env.reporting(self.env.report)
            return bind_entry(entry.registry, value.call.name, value.call.args, there)
        if place.many:
            return value
        if isinstance(value, Word) and entry is not None and isinstance(syntax, ast.Path):
            if value.text in ("none",) and place.default is None:
                return None
            name = ast.Name(value.text, span=syntax.span)
            words = ("false", "true") if entry is not place.kind else ()
            return bind_entry(entry.registry, name, (), self.env, words)
        try:
            return place.kind.convert(value)
        except Mismatch:
            hint = instead.for_value(place, value, self.env.constants)
            return self._wrong(place, syntax.span, found(syntax, value), hint)

    def _takes(self) -> str:
        count = len(self.places)
        if not count:
            return "no values" + (", only options" if self.signature else "")
        names = ", ".join(f"`{p.name}`" for p in self.places)
        return f"{count} value{'s' if count > 1 else ''}: {names}"

    def _with_those_before(self, missing: Signature) -> str:
        """An example of an argument, after what was given before it."""
        if not missing.positional or missing not in self.places:
            return instead.example(missing)
        before = self.places[: self.places.index(missing)]
        told = [
            self.spans[p.name].text if p.name in self.spans else instead.example(p) for p in before
        ]
        named = any(text.startswith(f"{p.name}=") for p, text in zip(before, told, strict=True))
        return " ".join([*told, f"{missing.name}=" * named + instead.example(missing)])

    def finish(self, span: Span) -> Any:
        for place in self.signature.values():
            if place.name in self.values and place.many:
                try:
                    converted = tuple(self.values[place.name])
                    self.values[place.name] = (
                        FAILED if self.failed else place.kind.convert(converted)
                    )
                except Mismatch:
                    self._wrong(place, self.spans[place.name], f"`{self.spans[place.name].text}`")
                    self.failed = True
            elif place.required and place.name not in self.spans and not self.strange:
                example = f"{self.cls.name} {self._with_those_before(place)}"
                missing = MissingArgument(
                    span, self.cls.name, place.name, place.doc, place.kind.expected, example
                )
                self._fail(missing)
        if self.failed:
            return FAILED
        if self.extra:
            self.values["feeds"] = tuple(self.extra.items())
        fields = {name: place.field for name, place in self.signature.items()}
        return {fields.get(name, name): value for name, value in self.values.items()}


def bind_entry(
    registry: str,
    name: ast.Name,
    args: Sequence[ast.Argument],
    env: Environment,
    words: tuple[str, ...] = (),
) -> Any:
    """An entry of a registry by its written name, or FAILED with a message that knows what was
    meant.

    `words` may be in its place.
    """
    known = lookup(registry)
    kind = registry.replace("_", " ")
    if name.text in known:
        return bind(known[name.text], args, name.span, env)
    ambiguous = name.text.startswith("xavier") and called_here(name.text, known) is None
    if registry == "initializer" and ambiguous:
        return env.say(AmbiguousXavier(name.span, name.text))
    if name.text in planned(registry):
        others = "this version has: " + ", ".join(sorted(known))
        return env.say(NotBuiltYet(name.span, f"the {kind} `{name.text}`", others))
    hint = instead.for_name(registry, name.text, args)
    return env.say(UnknownEntry(name.span, kind, name.text, (*words, *sorted(known)), hint))
