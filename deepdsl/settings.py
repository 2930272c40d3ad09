"""Settings from the command line, worked into the text of a file: what is run is what is
written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.files import BadSetting, NoTraining
from deepdsl.record import changed
from deepdsl.source import Source
from deepdsl.syntax import ast
from deepdsl.syntax.parser import parse

_FORM = re.compile(r"([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?=(.+)")


def apply_settings(source: Source, settings: Sequence[str], model: str | None = None) -> Source:
    """The source with each setting worked into its train section (that of `model`, where it is
    given).
    """
    name = f"{source.name} (with {', '.join(settings)})"
    for setting in settings:
        form = _FORM.fullmatch(setting.strip())
        if form is None:
            raise DnnError([BadSetting(None, setting)])
        row, option, value = form.groups()
        # Messages about the changed text say that it is not the file's own.
        source = changed(_apply(source, row, option, value.strip(), model), name=name)
    return source


def _apply(source: Source, row: str, option: str | None, value: str, model: str | None) -> Source:
    trains = [
        item
        for item in parse(source).items
        if isinstance(item, ast.Train) and model in (None, item.model.text)
    ]
    if not trains:
        raise DnnError([NoTraining(None, model or "", ())])
    text = source.text
    # From the end, so that the spans before stay right.
    for train in reversed(trains):
        start, end, new = _edit(train, row, option, value)
        text = text[:start] + new + text[end:]
    return changed(source, text=text)


def _edit(train: ast.Train, name: str, option: str | None, value: str) -> tuple[int, int, str]:
    """Which characters become what."""
    row = next((r for r in train.rows if isinstance(r, ast.Row) and r.name.text == name), None)
    written = f"{option}={value}" if option else value
    if row is None:
        # Before the closing brace, as a row of its own.
        return train.span.end - 1, train.span.end - 1, f"; {name} {written} "
    if option is None and row.args:
        # All of it: the options of another optimizer would not fit the new one.
        return row.args[0].span.start, row.args[-1].span.end, value
    for arg in row.args:
        if isinstance(arg, ast.Keyword) and arg.name.text == option:
            return arg.span.start, arg.span.end, written
    return row.span.end, row.span.end, f" {written}"
