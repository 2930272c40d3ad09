"""What a diagnostic is: a code, facts as fields, a message, one line of help, and a page.

A diagnostic is one frozen dataclass.  Defining the class registers it under its code; its docstring
is its page, with a program that is wrong and one that is right in fences marked `wrong` and
`right`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import field, replace
from difflib import get_close_matches
from enum import Enum, IntEnum
from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.vocabulary import called_here, unlike_all


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


class ExitStatus(IntEnum):
    """The exit status of a command that ends with an error."""

    SPEC = 1
    USAGE = 2
    FILES = 3
    RUNTIME = 4
    NUMBERS = 5


@record
class Label:
    """A place in the text with a few words under it."""

    span: Span
    text: str


@record
class Use:
    """Where a block, a model or a file is used, whose text a message is about."""

    name: str
    span: Span


@record
class Edit:
    """Characters of the text, and what is there instead."""

    span: Span
    text: str


@record
class Diagnostic:
    """Base of every message about a `.dnn` file, its data or its run.

    Subclasses set `code` and define `message`; they may define `label` (words under the carets),
    `help` (one way out) and `notes` (other places that belong to the story, with their words).
    `fixes` are the edits that do what `help` says, made together or not at all.  `uses` lead from
    the text that this is about to where it is used, the innermost first; `elsewhere` counts other
    ways that lead to the same fault.
    """

    span: Span | None
    fixes: tuple[Edit, ...] = field(default=(), kw_only=True, repr=False, compare=False)
    uses: tuple[Use, ...] = field(default=(), kw_only=True, repr=False, compare=False)
    elsewhere: int = field(default=0, kw_only=True, repr=False, compare=False)

    code: ClassVar[str] = ""
    severity: ClassVar[Severity] = Severity.ERROR
    exit_status: ClassVar[ExitStatus] = ExitStatus.SPEC
    #: What must have been read whole for this to be true: the `item` it is in, or the `file`.
    depends_on: ClassVar[str] = ""
    registry: ClassVar[dict[str, type[Diagnostic]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.code:
            return  # an abstract family
        if cls.registry.get(cls.code, cls).__qualname__ != cls.__qualname__:
            raise TypeError(
                f"diagnostic code {cls.code} is taken by {cls.registry[cls.code].__name__}"
            )
        cls.registry[cls.code] = cls

    @property
    def message(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} has no message")

    @property
    def label(self) -> str:
        return ""

    @property
    def help(self) -> str:
        return ""

    @property
    def fix(self) -> str:
        """What `fixes` do, in a few words."""
        return self.help

    @property
    def notes(self) -> tuple[Label, ...]:
        return ()

    @classmethod
    def page(cls) -> str:
        return inspect.cleandoc(cls.__doc__ or "")

    @property
    def sort_key(self) -> tuple[str, int, str]:
        if self.span is None:
            return ("", 0, self.code)
        return (self.span.source.name, self.span.start, self.code)

    def __str__(self) -> str:
        """The message in one line, with its place in front and the way out after it."""
        where = (
            f"{self.span.source.name}:{self.span.line}:{self.span.column}: " if self.span else ""
        )
        label = f": {self.label}" if self.label else ""
        help = f" ({self.help})" if self.help else ""
        uses = "".join(f"; in {use.name}, used at {use.span!r}" for use in self.uses)
        return f"{where}{self.severity.value}[{self.code}]: {self.message}{label}{help}{uses}"

    def as_json(self) -> dict[str, Any]:
        """The fields of `--json`: code, severity, message, help, fixable, uses, file, line, column
        (the last three may be null).
        """
        where = self.span
        label = f": {self.label}" if self.label else ""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message + label,
            "help": self.help,
            "fixable": bool(self.fixes),
            "uses": [_used(use) for use in self.uses],
            "file": where.source.name if where else None,
            "line": where.line if where else None,
            "column": where.column if where else None,
        }


def _used(use: Use) -> dict[str, Any]:
    where = use.span
    place = {"file": where.source.name, "line": where.line, "column": where.column}
    return {"of": use.name, **place}


class DnnError(Exception):
    """Raised where work cannot continue; carries every diagnostic found up to then, errors and
    warnings.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: d.sort_key))
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


class Report:
    """Collects diagnostics while a stage continues past the first error.  Each is kept once."""

    def __init__(self) -> None:
        #: The uses that have led to the text that is being looked at.
        self.uses: tuple[Use, ...] = ()
        self._found: dict[tuple[Any, ...], Diagnostic] = {}
        self._ways: dict[tuple[Any, ...], set[tuple[Use, ...]]] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        if self.uses and not diagnostic.uses:
            diagnostic = replace(diagnostic, uses=self.uses)
        # A part used twice is analysed twice: what it says at one place is said once.
        key = self._key(diagnostic)
        ways = self._ways.setdefault(key, set())
        first = self._found.setdefault(key, diagnostic)
        if first is not diagnostic and diagnostic.uses not in ways:
            more = first.elsewhere + 1 + diagnostic.elsewhere
            self._found[key] = replace(first, elsewhere=more)
        ways.add(diagnostic.uses)

    def _key(self, diagnostic: Diagnostic) -> tuple[Any, ...]:
        key = (diagnostic.code, diagnostic.span, diagnostic.message)
        if not diagnostic.uses or key in self._found:
            return key
        # A block is used with other numbers each time: its first message means all.
        same = (k for k, d in self._found.items() if d.uses and k[:2] == key[:2])
        return next((k for k in same if diagnostic.uses not in self._ways[k]), key)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(sorted(self._found.values(), key=lambda d: d.sort_key))

    @property
    def has_errors(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self._found.values())

    def raise_if_errors(self) -> None:
        if self.has_errors:
            raise DnnError(self)


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most likely meant, if one is near enough to say so."""
    names = list(dict.fromkeys(candidates))
    folded = {name.lower().replace("-", "_"): name for name in reversed(names)}
    key = word.lower().replace("-", "_")
    if key in folded and folded[key] != word:
        return folded[key]
    if key.replace("_", "") in (plain := {k.replace("_", ""): v for k, v in folded.items()}):
        return plain[key.replace("_", "")]
    if (here := called_here(word, names)) is not None:
        return here
    if unlike_all(word):
        return None
    near = get_close_matches(key, folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`did you mean `x`?`, or the possible names when there are few, or nothing."""
    names = sorted(set(candidates))
    near = closest(word, names)
    if near is not None and near != word:
        return f"did you mean `{near}`?"
    if 0 < len(names) <= 12:
        return "one of: " + ", ".join(names)
    return ""
