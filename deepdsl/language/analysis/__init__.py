"""From syntax tree to typed program, with every mistake that can be found without reading data."""

from __future__ import annotations

from deepdsl.core.source import Source, Span
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import Report, Severity, Use
from deepdsl.diagnostics.language.names import DefinedTwice
from deepdsl.language.analysis.definitions import Definitions, Template
from deepdsl.language.analysis.model import (
    BATCH,
    CheckedProgram,
    Exporting,
    LayerCall,
    Model,
    ModelInput,
    Training,
)
from deepdsl.language.analysis.network import elaborate_model, look_at_block
from deepdsl.language.analysis.sections import data_section, export_section
from deepdsl.language.analysis.training_section import train_section
from deepdsl.language.analysis.unused import unused_in_file
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.uses import Uses

__all__ = [
    "BATCH",
    "CheckedProgram",
    "Exporting",
    "LayerCall",
    "Model",
    "ModelInput",
    "Training",
    "analyse",
]


def analyse(
    file: ast.File, report: Report, data_given: bool = False, uses: Uses | None = None
) -> CheckedProgram:
    """The program that a file means.  What cannot be made is left out, and `report` says why.

    With `data_given` the data comes from elsewhere (arrays of a Python program): data sections may
    be missing, or lack their sources.  `uses` are the files that it uses.
    """
    uses = uses or Uses()
    home = Definitions(file, report, uses)
    models = _models(home, report)
    datasets, broken = _datasets(home, report)
    if data_given:
        broken |= frozenset(i.data.text for i in file.items if isinstance(i, ast.Train))
        for name in broken:
            datasets.setdefault(name, DataSpec(name))
    others = tuple(home.names(("model",)))
    trainings = [
        train_section(item, models, datasets, broken, home.env, data_given, others)
        for item in file.items
        if isinstance(item, ast.Train)
    ]
    exports = [
        export_section(item, models, home.env, others)
        for item in file.items
        if isinstance(item, ast.Export)
    ]
    if not report.has_errors:
        report.extend(unused_in_file(home))
    source = file.span.source if file.span else Source("", "")
    return CheckedProgram(
        source,
        {n: m for n, m in models.items() if m is not None},
        datasets,
        tuple(t for t in trainings if t is not None),
        {e.model: e for e in exports if e is not None},
        file,
        uses,
    )


def _models(home: Definitions, report: Report) -> dict[str, Model | None]:
    """The models of a file, and those of used files that its sections speak of."""
    models: dict[str, Model | None] = {}
    reached: set[Template] = set()
    for template in home.templates.values():
        if template.what == "model":
            # Each model is checked with a report of its own: one model's errors do not silence
            # another's lints.
            own = Report()
            models[template.name] = elaborate_model(template, own, reached)
            report.extend(own)
    for item in home.file.items:
        if not isinstance(item, ast.Train | ast.Export) or item.model.text in models:
            continue
        name = item.model.text
        if home.is_lost(name):
            models[name] = None
        elif (used := home.model(item.model.parts)) is not None:
            own = Report()
            own.uses = (Use(f"`{name}`", item.model.span),)
            models[name] = elaborate_model(used, own, reached, name)
            # What its own file can say of it is not repeated here.
            report.extend(d for d in own if d.severity is Severity.ERROR)
    for template in home.templates.values():
        if template.what == "block" and template not in reached:
            own = Report()
            look_at_block(template, own, reached)
            report.extend(own)
    return models


def _datasets(home: Definitions, report: Report) -> tuple[dict[str, DataSpec], frozenset[str]]:
    """The data sections, and the names of those with a mistake: of these nothing more is said, as
    what seems to be missing may be what is wrong.
    """
    datasets: dict[str, DataSpec] = {}
    broken: frozenset[str] = frozenset()
    first: dict[str, Span] = {}
    for item in home.file.items:
        if not isinstance(item, ast.Data):
            continue
        name = item.name.text
        if name in first:
            report.add(DefinedTwice(item.name.span, name, first[name]))
            continue
        first[name] = item.name.span
        own = Report()
        datasets[name] = data_section(item, home.env.reporting(own))
        report.extend(own)
        if own.has_errors:
            broken |= {name}
    return datasets, broken
