"""Gives data and export sections their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepdsl.core.registry import Registered, lookup
from deepdsl.data import augment, formats, transforms
from deepdsl.data.request import Placed
from deepdsl.data.rows import DataRow, HeldOut
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics.language.names import NotBuiltYet, UnknownReference, UnknownRow
from deepdsl.diagnostics.vocabulary import planned
from deepdsl.language.analysis.arguments import bind
from deepdsl.language.analysis.model import Exporting, Model
from deepdsl.language.analysis.quantize_exclusions import wrong_keeping
from deepdsl.language.analysis.section_rows import SPLITS, delegated, elsewhere, once
from deepdsl.language.analysis.values import FAILED, Environment
from deepdsl.language.sections.train_options import Onnx
from deepdsl.language.syntax import ast

# Defining the classes registers them; these modules are imported for that.
_VOCABULARY = (augment, formats, transforms)


# data ---------------------------------------------------------------------------------------------


def data_section(section: ast.Data, env: Environment) -> DataSpec:
    spec = DataSpec(section.name.text, span=section.name.span)
    rows = lookup("data_row")
    transforms = lookup("transform")
    for row in once(section.rows, env, frozenset({*transforms, "augment"})):
        name = row.name.text
        made: Any = None
        if name in SPLITS:
            made = _source_or_cut(row, env)
        elif name in transforms:
            made = bind(transforms[name], row.args, row.name.span, env)
        elif name == "augment":
            made = delegated(row, "augmentation", env)
        elif name in rows and name != "valid":
            made = bind(rows[name], row.args, row.name.span, env)
        elif name in planned("data"):
            env.say(NotBuiltYet(row.name.span, f"the row `{name}`"))
        else:
            known = (*SPLITS, *transforms, "augment", *(r for r in rows if r != "valid"))
            env.say(UnknownRow(row.name.span, "data", name, known, elsewhere("data", name)))
        if made is None or made is FAILED:
            continue
        placed = Placed(made, row.span)
        if isinstance(made, DataRow):
            env.report.extend(made.problems(row.span))
        if name in transforms:
            spec = replace(spec, transforms=(*spec.transforms, placed))
        elif name == "augment":
            spec = replace(spec, augments=(*spec.augments, placed))
        else:
            spec = replace(spec, **{name: placed})  # type: ignore[arg-type]
    return spec


def _source_or_cut(row: ast.Row, env: Environment) -> Any:
    """`train idx …` names a source; `valid first=5000` cuts rows out of train."""
    named = row.args and isinstance(row.args[0], ast.Path)
    if row.name.text == "valid" and not named:
        return bind(HeldOut, row.args, row.name.span, env)
    return delegated(row, "source", env)


# export -------------------------------------------------------------------------------------------


def export_section(
    section: ast.Export,
    models: Mapping[str, Model | None],
    env: Environment,
    others: Sequence[str] = (),
) -> Exporting | None:
    name = section.model.text
    if name not in models:
        env.say(UnknownReference(section.model.span, "model", name, (*models, *others)))
    known: Mapping[str, type[Registered]] = lookup("export_row")
    made: Onnx | Any | None = None
    at = section.model.span
    for row in once(section.rows, env, frozenset()):
        if row.name.text in known:
            at = row.span
            made = bind(known[row.name.text], row.args, row.name.span, env)
        elif row.name.text in planned("export"):
            env.say(NotBuiltYet(row.name.span, f"the row `{row.name.text}`"))
        else:
            hint = elsewhere("export", row.name.text)
            env.say(UnknownRow(row.name.span, "export", row.name.text, tuple(known), hint))
    if made is FAILED or made is None:
        return None
    place = section.model.span
    env.report.extend(wrong_keeping(made.quantize, made.keep_float, models.get(name), at))
    given = (made.file, made.fold_batch_norm, made.verify, place, made.quantize, made.keep_float)
    return Exporting(name, *given)
