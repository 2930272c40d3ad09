"""Typed registries: what a name in a `.dnn` file may be, and which arguments it takes.

Defining a class registers it: `class LeakyRelu(Layer)` is the layer `leaky_relu`.  Its dataclass
fields are its signature, its docstring is its page.  The grammar knows none of these names;
messages, documentation and the binding of arguments all read them from here.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from dataclasses import MISSING, field, fields
from importlib import import_module
from keyword import iskeyword
from typing import Any, ClassVar, TypeVar

from deepdsl.core.record import record


class Mismatch(Exception):
    """A value is not of the kind that an argument takes; the text says what it is, or what it
    should be.
    """


@record
class Word:
    """A bare word or dotted path in value position that is not a constant: `fan_avg`, `valid.loss`,
    `he_normal`.
    """

    text: str


class Kind:
    """What values an argument takes.  `expected` completes "… takes ___"."""

    expected: str = "a value"

    def convert(self, value: object) -> Any:
        """The value as the field wants it, or Mismatch."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """The field's value as a file would write it."""
        return show(value)


def show(value: object) -> str:
    """A value as it would be written in a `.dnn` file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Word):
        return value.text
    if isinstance(value, tuple):
        return "[" + " ".join(show(v) for v in value) + "]"
    if value is None:
        return "none"
    if isinstance(value, Registered):
        return value.show()
    return str(value)


@record
class Number(Kind):
    """A number between bounds; `above` and `below` exclude the bound."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False

    @property
    def expected(self) -> str:  # type: ignore[override]
        what = "a whole number" if self.whole else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{what} from {_grouped(self.minimum)} to {_grouped(self.maximum)}"
        bounds = (
            ("of at least", self.minimum),
            ("above", self.above),
            ("of at most", self.maximum),
            ("below", self.below),
        )
        told = [f"{word} {_grouped(bound)}" for word, bound in bounds if bound is not None]
        return f"{what} {' and '.join(told)}".strip()

    def convert(self, value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Mismatch(self.expected)
        if self.whole:
            if value != int(value):
                raise Mismatch(self.expected)
            value = int(value)
        if (
            (self.minimum is not None and value < self.minimum)
            or (self.maximum is not None and value > self.maximum)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        ):
            raise Mismatch(self.expected)
        return value if self.whole else float(value)


def _grouped(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def Integer(minimum: float | None = None, maximum: float | None = None) -> Number:  # noqa: N802
    """The kind of a whole number between bounds."""
    return Number(minimum, maximum, whole=True)


@record
class Boolean(Kind):
    expected = "`true` or `false`"

    def convert(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Mismatch(self.expected)
        return value


@record
class Text(Kind):
    """A quoted string, such as the name of a file."""

    expected = "a text in quotes"

    def convert(self, value: object) -> str:
        if not isinstance(value, str):
            raise Mismatch(self.expected)
        return value


@record
class OneOf(Kind):
    """One word out of a few."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:  # type: ignore[override]
        return " or ".join(f"`{w}`" for w in self.words)

    def convert(self, value: object) -> str:
        if not isinstance(value, Word) or value.text not in self.words:
            raise Mismatch(self.expected)
        return value.text

    def show(self, value: Any) -> str:
        return str(value)


@record
class Names(Kind):
    """A bare word: the name of a column, a tensor, a metric.  A quoted text serves where it is no
    word.
    """

    expected = "a name"

    def convert(self, value: object) -> str:
        if isinstance(value, Word):
            return value.text
        if isinstance(value, str):
            return value
        raise Mismatch(self.expected)

    def show(self, value: Any) -> str:
        return str(value) if re.fullmatch(r"[A-Za-z_][\w.]*", value) else show(value)


@record
class ListOf(Kind):
    """`[a b c]`; a single value is a list of one."""

    item: Kind
    length: int | None = None

    @property
    def expected(self) -> str:  # type: ignore[override]
        count = "" if self.length is None else f"of {self.length} "
        return f"a list {count}in brackets, each {self.item.expected}"

    def convert(self, value: object) -> tuple[Any, ...]:
        items = value if isinstance(value, tuple) else (value,)
        if self.length is not None and len(items) != self.length:
            raise Mismatch(f"a list of {self.length}")
        return tuple(self.item.convert(v) for v in items)


@record
class Entry(Kind):
    """An entry of another registry, by name, with arguments of its own: `init=normal(std=0.01)`."""

    registry: str

    @property
    def expected(self) -> str:  # type: ignore[override]
        article = "an" if self.registry[0] in "aeiou" else "a"
        return f"{article} {self.registry.replace('_', ' ')}"

    def convert(self, value: object) -> Any:
        if isinstance(value, Registered) and value.kind == self.registry:
            return value
        raise Mismatch(self.expected)


@record
class Either(Kind):
    """One of several kinds; the first that takes the value."""

    kinds: tuple[Kind, ...]

    @property
    def expected(self) -> str:  # type: ignore[override]
        return " or ".join(k.expected for k in self.kinds)

    def convert(self, value: object) -> Any:
        for kind in self.kinds:
            try:
                return kind.convert(value)
            except Mismatch:
                continue
        raise Mismatch(self.expected)

    def show(self, value: Any) -> str:
        written = Word(value) if isinstance(value, str) else value
        for kind in self.kinds:
            try:
                kind.convert(written)
            except Mismatch:
                continue
            return kind.show(value)
        return show(value)


@record
class Pairs(Kind):
    """`0:0.1 80:0.01`: all pairs of a row, as ((0, 0.1), (80, 0.01))."""

    key: Kind
    value: Kind
    expected = "pairs such as `0:0.1 80:0.01`"

    def convert(self, value: object) -> tuple[tuple[Any, Any], ...]:
        if not isinstance(value, tuple) or not value:
            raise Mismatch(self.expected)
        if any(not isinstance(pair, tuple) or len(pair) != 2 for pair in value):
            raise Mismatch(self.expected)
        return tuple((self.key.convert(k), self.value.convert(v)) for k, v in value)

    def show(self, value: Any) -> str:
        return " ".join(f"{self.key.show(k)}:{self.value.show(v)}" for k, v in value)


def argument(kind: Kind, doc: str, default: Any = MISSING, many: bool = False) -> Any:
    """A field that is given by its place (or by its name).  With `many` it takes all the values
    that are left.
    """
    metadata = {"kind": kind, "doc": doc, "positional": True, "many": many}
    return field(default=default, metadata=metadata)


def option(kind: Kind, doc: str, default: Any = MISSING) -> Any:
    """A field that is given as `name=value`."""
    metadata = {"kind": kind, "doc": doc, "positional": False, "many": False}
    return field(default=default, metadata=metadata, kw_only=True)


@record
class Signature:
    """One argument of a registered class, as the language sees it."""

    name: str
    kind: Kind
    doc: str
    positional: bool
    many: bool
    default: Any

    @property
    def field(self) -> str:
        """The name of the field, which has a `_` after it where the name is a word of Python."""
        return f"{self.name}_" if iskeyword(self.name) else self.name

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def shown(self, value: Any) -> str:
        """A value of the argument as a file would write it."""
        return "none" if value is None else self.kind.show(value)


T = TypeVar("T", bound="Registered")


class Registered:
    """Base of everything that a `.dnn` file can name: layers, initializers, optimizers, rows …"""

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    #: Who found it, and where it is written.
    source: ClassVar[str] = ""
    registries: ClassVar[dict[str, dict[str, type[Any]]]] = {}

    def __init_subclass__(
        cls, kind: str | None = None, name: str | None = None, abstract: bool = False, **kw: Any
    ) -> None:
        super().__init_subclass__(**kw)
        if kind is not None:
            cls.kind = kind
            cls.registries.setdefault(kind, {})
            return
        if abstract:
            return
        cls.name = name or snake_case(cls.__name__)
        known = cls.registries[cls.kind]
        if cls.name in known and known[cls.name].__module__ != cls.__module__:
            raise TypeError(f"{cls.kind} `{cls.name}` is defined twice")
        known[cls.name] = cls

    @classmethod
    def formula(cls) -> str:
        """What it computes, as its page's first sentence has it: the words after "`name`:"."""
        first = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        return re.sub(r"^`[^`]*`(?:, or `[^`]*`)*: ", "", first).rstrip(".;")

    @classmethod
    def signature(cls) -> tuple[Signature, ...]:
        return tuple(
            Signature(
                f.name.rstrip("_"), m["kind"], m["doc"], m["positional"], m["many"], f.default
            )
            for f in fields(cls)  # type: ignore[arg-type]  # each subclass is a record
            if "kind" in (m := f.metadata)
        )

    @classmethod
    def page(cls) -> str:
        """The docstring, its source, then one line for each argument with its kind, default and
        words.
        """
        lines = [inspect.cleandoc(cls.__doc__ or "")]
        if cls.source:
            lines += ["", f"Source: {cls.source}."]
        head_lines = len(lines)
        for s in cls.signature():
            what = s.kind.expected
            default = "required" if s.required else f"default {s.shown(s.default)}"
            head = s.name if s.positional else f"{s.name}="
            if len(lines) == head_lines:
                lines.append("")
            lines.append(f"    {head:<14} {s.doc} ({what}; {default})")
        return "\n".join(lines)

    def show(self) -> str:
        """How this value is written: `normal(std=0.01)`, or the bare name when all is default."""
        told = [
            s.shown(v) if s.positional else f"{s.name}={s.shown(v)}"
            for s in self.signature()
            if (v := getattr(self, s.field)) != s.default
        ]
        return f"{self.name}({' '.join(told)})" if told else self.name


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def import_modules(package: str) -> None:
    """Import every module and package in a package: defining the classes in them registers them.

    The packages of layers, losses, metrics, optimizers, schedules, data formats and lints do this
    when they are imported, so that a new one is found by itself.
    """
    for name in module_names(package):
        import_module(f"{package}.{name}")


def module_names(package: str) -> list[str]:
    """The names of the modules and packages in an imported package.

    They are listed here since pkgutil asks of each file what kind of module it is, which start-up
    would feel.
    """
    found = (name for folder in sys.modules[package].__path__ for name in os.listdir(folder))
    modules = (n.removesuffix(".py") for n in found if n.endswith(".py") or "." not in n)
    return sorted(name for name in modules if not name.startswith("__"))


def lookup(kind: str) -> dict[str, type[Any]]:
    """All entries of a registry by name."""
    return Registered.registries.get(kind, {})
