"""From syntax tree to typed program, with every mistake that can be found without reading data."""

from __future__ import annotations

from typing import Any

from deepdsl.analysis.arguments import Environment, evaluate
from deepdsl.analysis.layer_defaults import add_default
from deepdsl.analysis.model import (
    BATCH,
    Call,
    Exporting,
    Input,
    Model,
    Program,
    Training,
)
from deepdsl.analysis.network import Elaborator
from deepdsl.analysis.sections import data_section, export_section, train_section
from deepdsl.data.request import DataSpec
from deepdsl.diagnostics import Report
from deepdsl.diagnostics.lints import UnusedName
from deepdsl.diagnostics.names import DefinedTwice, NotBuiltYet
from deepdsl.source import Source, Span
from deepdsl.syntax import ast
from deepdsl.syntax.edits import drop_statement

__all__ = [
    "BATCH",
    "Call",
    "Exporting",
    "Input",
    "Model",
    "Program",
    "Training",
    "analyse",
]


def analyse(file: ast.File, report: Report, data_given: bool = False) -> Program:
    """The program that a file means.  What cannot be made is left out, and `report` says why.

    With `data_given` the data comes from elsewhere (arrays of a Python program): data sections may
    be missing, or lack their sources.
    """
    env = Environment({}, report)
    names = _Names(report)
    defaults: dict[str, tuple[ast.Keyword, ...]] = {}
    lets: dict[str, ast.Let] = {}
    models: dict[str, Model | None] = {}
    blocks = frozenset(i.name.text for i in file.items if isinstance(i, ast.Block))
    for item in file.items:
        match item:
            case ast.Let():
                if names.take("let", item.name):
                    lets[item.name.text] = item
                    env.constants[item.name.text] = evaluate(item.value, env)
            case ast.Default():
                add_default(item, defaults, env)
            case ast.Use():
                report.add(NotBuiltYet(item.span, "`use`"))
            case ast.Block():
                names.take("block", item.name)
            case ast.Model():
                if names.take("model", item.name):
                    # Each model is checked with a report of its own: one model's errors do not
                    # silence another's lints.
                    own = Environment(env.constants, Report(), env.used)
                    models[item.name.text] = Elaborator(item, own, defaults, blocks).run()
                    report.extend(own.report)
    datasets: dict[str, DataSpec] = {}
    # Of a section with a mistake, nothing more is said: what seems to be missing may be what is
    # wrong.
    broken: frozenset[str] = frozenset()
    for item in file.items:
        if isinstance(item, ast.Data) and names.take("data", item.name):
            own = Environment(env.constants, Report(), env.used)
            datasets[item.name.text] = data_section(item, own)
            report.extend(own.report)
            if own.report.has_errors:
                broken |= {item.name.text}
    if data_given:
        broken |= frozenset(i.data.text for i in file.items if isinstance(i, ast.Train))
        for name in broken:
            datasets.setdefault(name, DataSpec(name))
    trainings = [
        train_section(item, models, datasets, broken, env, data_given)
        for item in file.items
        if isinstance(item, ast.Train)
    ]
    exports = [
        export_section(item, models, env) for item in file.items if isinstance(item, ast.Export)
    ]
    if not report.has_errors:
        for name, let in lets.items():
            if name not in env.used:
                fix = drop_statement(let.span)
                report.add(UnusedName(let.name.span, "constant", name, fixes=(fix,)))
        # A file that uses a block has an error in this version.
        for item in file.items:
            if isinstance(item, ast.Block):
                fix = drop_statement(item.span)
                report.add(UnusedName(item.name.span, "block", item.name.text, fixes=(fix,)))
    source = file.span.source if file.span else Source("", "")
    return Program(
        source,
        {n: m for n, m in models.items() if m is not None},
        datasets,
        tuple(t for t in trainings if t is not None),
        {e.model: e for e in exports if e is not None},
        file,
    )


class _Names:
    """The names of a file's items, so that a second one of a kind is told where the first
    stands.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.seen: dict[tuple[str, str], Span] = {}

    def take(self, kind: str, name: ast.Name) -> bool:
        first: Any = self.seen.setdefault((kind, name.text), name.span)
        if first is not name.span:
            self.report.add(DefinedTwice(name.span, name.text, first))
            return False
        return True
