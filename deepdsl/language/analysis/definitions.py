"""What the items of a file define, for the file itself and for those that use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Word, lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics import Report, Use
from deepdsl.diagnostics.language.arguments import (
    GivenTwice,
    TooManyArguments,
    UnknownOption,
    WrongValue,
)
from deepdsl.diagnostics.language.names import DefinedTwice, NameOfLayer
from deepdsl.diagnostics.language.templates import LaterParameter
from deepdsl.language.analysis.arguments import DefaultOption
from deepdsl.language.analysis.cycles import circular
from deepdsl.language.analysis.layer_defaults import add_default
from deepdsl.language.analysis.library import Library
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.values import Environment, LetConstant, evaluate
from deepdsl.language.sections.freeze_rows import ReuseOptions
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.uses import Uses
from deepdsl.language.syntax.walk import names_in, nodes


@record(eq=False)
class Template:
    """A block, or a model that is used as one, with what its file says above it."""

    syntax: ast.Block | ast.Model
    env: Environment
    defaults: Mapping[str, tuple[DefaultOption, ...]]
    home: Definitions

    @property
    def name(self) -> str:
        return self.syntax.name.text

    @property
    def what(self) -> str:
        return "block" if isinstance(self.syntax, ast.Block) else "model"

    @property
    def parameters(self) -> Sequence[ast.Parameter]:
        return self.syntax.parameters if isinstance(self.syntax, ast.Block) else ()

    @cached_property
    def own_names(self) -> frozenset[str]:
        """The names of its parameters, parts and values, which hide blocks."""
        inner = (n for n in nodes(self.syntax.body) if isinstance(n, ast.Part | ast.Bind))
        return frozenset(each.name.text for each in (*self.parameters, *inner))

    @property
    def inputs(self) -> Sequence[ast.Input]:
        """The inputs of a model."""
        return [s for s in self.syntax.body.statements if isinstance(s, ast.Input)]


@record
class BlockName(Word):
    """A bare word that names a block where it is written, wherever it is handed on to."""

    template: Template


class Definitions:
    """The constants, blocks and models of a file, and the files that it uses.

    A block or a model knows the constants and defaults above it.  `used` gets the place of every
    name that is spoken of.
    """

    def __init__(
        self,
        file: ast.File,
        report: Report,
        uses: Uses,
        used: set[Span] | None = None,
        known: dict[int, Definitions] | None = None,
    ) -> None:
        self.file, self.report, self.uses = file, report, uses
        self.env = Environment({}, report, used, self)
        self.defaults: dict[str, tuple[DefaultOption, ...]] = {}
        self.lets: dict[str, ast.Let] = {}
        self.templates: dict[str, Template] = {}
        self.files: dict[str, Definitions | None] = {}  # None where it could not be read
        self.libraries: dict[str, Library] = {}
        self.weights: dict[str, ast.String] = {}  # of a used file
        self.networks: dict[str, Model | None] = {}  # the models that others are on
        self.unrolling: set[str] = set()  # those that are being unrolled
        self.broken: set[str] = set()  # blocks that cannot be used, which has been said
        self._known = {} if known is None else known
        self._known[id(file)] = self
        self._names: dict[tuple[str, str], Span] = {}
        self._collect()

    # Looking up -----------------------------------------------------------------------------------

    def find(self, parts: Sequence[str]) -> Template | None:
        """The block that a name means here, or the model of a used file: `unit`, `other.unit`."""
        if len(parts) == 1:
            found = self.templates.get(parts[0])
            return found if found is not None and found.what == "block" else None
        home = self.files.get(parts[0]) if len(parts) == 2 else None
        return home.templates.get(parts[1]) if home is not None else None

    def template(self, parts: Sequence[str]) -> Template | None:
        """The same, where it counts as a use of the block and of the file."""
        found = self.find(parts)
        if len(parts) == 2 and parts[0] in self.files:
            self.env.used.add(self._names["use", parts[0]])
        if found is not None:
            self.env.used.add(found.syntax.name.span)
        return found

    def model(self, parts: Sequence[str]) -> Template | None:
        """The model of a used file."""
        found = self.template(parts) if len(parts) == 2 else None
        return found if found is not None and found.what == "model" else None

    def speaks_of(self, alias: str) -> None:
        """Note that something of a used file is used."""
        self.env.used.add(self._names["use", alias])

    def file_of(self, alias: str) -> str:
        """How the `use` line names a file."""
        uses = (i for i in self.file.items if isinstance(i, ast.Use) and i.name.text == alias)
        return next((use.file.value for use in uses), "")

    def is_lost(self, name: str) -> bool:
        first, dot, _ = name.partition(".")
        if not dot or first not in self.files:
            return False
        self.env.used.add(self._names["use", first])
        return self.files[first] is None

    def word(self, text: str) -> Word | None:
        parts = text.split(".")
        template = self.template(parts)
        if template is None:
            return Word(text) if len(parts) == 1 or parts[0] not in self.files else None
        return BlockName(text, template)

    def names(self, what: Sequence[str] = ("block", "model")) -> Iterator[str]:
        """The names under which templates are known here; the models of used files alone."""
        if "block" in what:
            yield from (n for n, t in self.templates.items() if t.what == "block")
        for alias, home in self.files.items():
            if home is not None:
                yield from (f"{alias}.{n}" for n, t in home.templates.items() if t.what in what)

    # Collecting -----------------------------------------------------------------------------------

    def _collect(self) -> None:
        shown: Environment | None = None  # what the templates see, until another line adds to it
        defaults = self.defaults
        for item in self.file.items:
            match item:
                case ast.Let():
                    if self._take("let", item.name):
                        self.lets[item.name.text] = item
                        made = LetConstant(evaluate(item.value, self.env), item.name.span)
                        self.env.constants[item.name.text] = made
                        shown = None
                case ast.Default():
                    defaults = dict(defaults)
                    add_default(item, defaults, self.env)
                    self.defaults = defaults
                case ast.Use():
                    self._use(item)
                    shown = None
                case ast.Block() | ast.Model():
                    shown = shown or self.env.inner({})
                    self._template(item, shown)
        self.broken |= circular(self.file, self.report)

    def _template(self, item: ast.Block | ast.Model, env: Environment) -> None:
        # One name for both: a used file's models are where blocks are.
        if not self._take("template", item.name):
            return
        if isinstance(item, ast.Block):
            if _is_layer(item.name.text):
                self.report.add(NameOfLayer(item.name.span, item.name.text))
                return
            self._parameters(item)
        self.templates[item.name.text] = Template(item, env, self.defaults, self)

    def _parameters(self, block: ast.Block) -> None:
        first: dict[str, Span] = {}
        later = {p.name.text for p in block.parameters}
        for parameter in block.parameters:
            name = parameter.name.text
            if name in first:
                self.report.add(DefinedTwice(parameter.name.span, name, first[name]))
                self.broken.add(block.name.text)
            elif _is_layer(name):
                self.report.add(NameOfLayer(parameter.name.span, name))
            first.setdefault(name, parameter.name.span)
            if parameter.default is not None:
                wrong = sorted(names_in(parameter.default) & later)
                if wrong:
                    self.broken.add(block.name.text)
                    self.report.add(LaterParameter(parameter.default.span, name, wrong[0]))
            later.discard(name)

    def _use(self, item: ast.Use) -> None:
        if not self._take("use", item.name):
            return
        name = item.name.text
        self.files[name] = None
        self._weights(item)
        library = self.uses.libraries.get(item.span)
        if library is not None:
            self.libraries[name] = library
        file = self.uses.files.get(item.span)
        if file is None:
            return
        home = self._known.get(id(file))
        if home is None:
            before = self.report.uses
            self.report.uses = (Use(f"`{name}`", item.span), *before)
            home = Definitions(file, self.report, self.uses, self.env.used, self._known)
            self.report.uses = before
        self.files[name] = home
        for let in home.lets:
            # Who speaks of it speaks of the file.
            made = LetConstant(home.env.constants[let].value, item.name.span)
            self.env.constants[f"{name}.{let}"] = made

    def _weights(self, item: ast.Use) -> None:
        """What is after the name of a used file: where its weights are."""
        for arg in item.args:
            if not isinstance(arg, ast.Keyword):
                takes = 'the file\'s name, and `weights="…"`'
                self.report.add(TooManyArguments(arg.span, "use", takes))
            elif arg.name.text != "weights":
                there = arg.name.text in {s.name for s in ReuseOptions.signature()}
                hint = f"write it behind `reuse`, as in `reuse {item.name.text}.… {arg.span.text}`"
                self.report.add(
                    UnknownOption(
                        arg.name.span, "use", arg.name.text, ("weights",), hint if there else ""
                    )
                )
            elif not isinstance(arg.value, ast.String):
                expected, shown = "a text in quotes", f"`{arg.value.span.text}`"
                self.report.add(WrongValue(arg.value.span, "use", "weights", expected, shown))
            elif item.name.text in self.weights:
                first = self.weights[item.name.text].span
                self.report.add(GivenTwice(arg.span, "use", "weights", first))
            else:
                self.weights[item.name.text] = arg.value

    def _take(self, kind: str, name: ast.Name) -> bool:
        first: Any = self._names.setdefault((kind, name.text), name.span)
        if first is not name.span:
            self.report.add(DefinedTwice(name.span, name.text, first))
            return False
        return True


def _is_layer(name: str) -> bool:
    return name in lookup("layer")
