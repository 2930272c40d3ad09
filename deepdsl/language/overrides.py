"""Settings from the command line, worked into the text of a file: what is run is what is
written.

`optimizer.lr=0.1` is an option of a row of the train section, `batch=64` its value,
`warm_up.epochs=3` and `warm_up.optimizer.lr=0.1` the same in a phase, `data.take=500` in the data
section, `let.depth=3` a constant, `default.dense.init=he_normal` an option of all layers of a kind,
`reuse.layers=2` an option of the piece that is reused, `reuse:old.net.body.layers=2` of one of
several.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import DnnError, closest, did_you_mean
from deepdsl.diagnostics.cli.files import BadSetting, NoTraining
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.parser import parse
from deepdsl.language.syntax.walk import nodes

_WORD = r"[A-Za-z_]\w*"
_FORM = re.compile(rf"({_WORD}(?::{_WORD}(?:\.{_WORD})*)?(?:\.{_WORD}){{0,2}})\s*=(.+)", re.DOTALL)


@record
class Setting:
    """What is set, as it was written, and to what."""

    key: str
    value: str

    @property
    def names(self) -> list[str]:
        """The key's words; those after a colon are one."""
        head, colon, path = self.key.partition(":")
        if not colon:
            return head.split(".")
        what, _, option = path.rpartition(".")
        return [f"{head}:{what}", option]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


# Rows of a training which those of a phase mean; what is frozen adds up.
ONCE = frozenset({"optimizer", "schedule", "clip", "epochs", "stop"})

# Characters of the text, and what is there instead.
_Edit = tuple[int, int, str]


def read_setting(text: str) -> Setting:
    """`KEY=VALUE`, or DnnError with BadSetting."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise DnnError([BadSetting(None, text)])
    return Setting(form[1], form[2].strip())


def apply_settings(source: Source, settings: Sequence[str], model: str | None = None) -> Source:
    """The source with each setting worked into it; what belongs to a training, into that of `model`
    where it is given.
    """
    name = f"{source.name} (with {', '.join(settings)})"
    for text in settings:
        setting = read_setting(text)
        # Messages about the changed text say that it is not the file's own.
        source = replace(_apply(source, setting, model), name=name)
    return source


def _apply(source: Source, setting: Setting, model: str | None) -> Source:
    file = parse(source)
    head = setting.names[0].partition(":")[0]
    edits = _KINDS.get(head, _training)(file, setting, model)
    text = source.text
    # From the end, so that the spans before stay right.
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return replace(source, text=text)


def _bad(setting: Setting, advice: str) -> DnnError:
    return DnnError([BadSetting(None, str(setting), advice)])


def _trains(file: ast.File, model: str | None) -> list[ast.Train]:
    trains = [
        item
        for item in file.items
        if isinstance(item, ast.Train) and model in (None, item.model.text)
    ]
    if not trains:
        raise DnnError([NoTraining(None, model or "", ())])
    return trains


# Sections -----------------------------------------------------------------------------------------


def _training(file: ast.File, setting: Setting, model: str | None) -> list[_Edit]:
    """A row of the train section or of a phase in it."""
    trains = _trains(file, model)
    names = setting.names
    phases = {p.name.text for t in trains for p in t.rows if isinstance(p, ast.Phase)}
    if names[0] not in phases:
        if len(names) > 2 or ":" in setting.key:
            near = closest(names[0], {*phases, *_KINDS})
            what = f"there is no phase `{names[0]}`" if phases else "the training has no phases"
            way = f"did you mean `{near}`?" if near else "write ROW.OPTION=VALUE"
            raise _bad(setting, f"{what}; {way}")
        if names == ["epochs"]:
            return [edit for t in trains for edit in _epochs(t, setting.value)]
        if all(_has_no_effect(t, names[0]) for t in trains):
            ways = ", ".join(f"{p}.{setting.key}={setting.value}" for p in sorted(phases)[:2])
            raise _bad(setting, f"each phase has its own `{names[0]}`; set that: {ways}")
        return [_row(t.rows, t.span, names, setting.value) for t in trains]
    if len(names) == 1:
        example = f"{names[0]}.epochs=3"
        raise _bad(setting, f"`{names[0]}` is a phase: set a row of it, such as {example}")
    return [
        _row(p.rows, p.span, names[1:], setting.value)
        for t in trains
        for p in t.rows
        if isinstance(p, ast.Phase) and p.name.text == names[0]
    ]


def _epochs(train: ast.Train, value: str) -> Iterator[_Edit]:
    """The epochs of a training, and of each phase that has a row of its own."""
    if not _has_no_effect(train, "epochs"):
        yield _row(train.rows, train.span, ["epochs"], value)
    for phase in train.rows:
        rows = phase.rows if isinstance(phase, ast.Phase) else ()
        if any(r.name.text == "epochs" for r in rows if isinstance(r, ast.Row)):
            yield _row(rows, phase.span, ["epochs"], value)


def _has_no_effect(train: ast.Train, row: str) -> bool:
    """Whether each phase of a training has a row of its own."""
    phases = [p for p in train.rows if isinstance(p, ast.Phase)]
    own = [{r.name.text for r in p.rows if isinstance(r, ast.Row)} for p in phases]
    return row in ONCE and bool(own) and all(row in names for names in own)


def _data(file: ast.File, setting: Setting, model: str | None) -> list[_Edit]:
    """A row of the data section of a training."""
    names = setting.names[1:]
    if not names:
        raise _bad(setting, "write data.ROW=VALUE or data.ROW.OPTION=VALUE, such as data.take=500")
    wanted = {t.data.text for t in _trains(file, model)}
    return [
        _row(d.rows, d.span, names, setting.value)
        for d in file.items
        if isinstance(d, ast.Data) and d.name.text in wanted
    ]


def _row(
    rows: Sequence[ast.Row | ast.Phase], section: Span, names: Sequence[str], value: str
) -> _Edit:
    """Which characters of a section become what."""
    name, option = names[0], names[1] if len(names) > 1 else None
    row = next((r for r in rows if isinstance(r, ast.Row) and r.name.text == name), None)
    written = f"{option}={value}" if option else value
    if row is None:
        # Before the closing brace, as a row of its own.
        return section.end - 1, section.end - 1, f"; {name} {written} "
    if option is None and row.args:
        if isinstance(row.args[0], ast.Number | ast.Percent | ast.Size) and "=" not in value:
            return row.args[0].span.start, row.args[0].span.end, value
        # All of it: the options of another optimizer would not fit the new one.
        return row.args[0].span.start, row.args[-1].span.end, value
    return _option(row.args, row.span, option, written)


def _option(args: Sequence[ast.Argument], span: Span, name: str | None, written: str) -> _Edit:
    for arg in args:
        if isinstance(arg, ast.Keyword) and arg.name.text == name:
            return arg.span.start, arg.span.end, written
    return span.end, span.end, f" {written}"


# The rest of a file -------------------------------------------------------------------------------


def _let(file: ast.File, setting: Setting, model: str | None) -> list[_Edit]:
    """A constant of the file, or else of its models and blocks."""
    names = setting.names
    name = names[1] if len(names) == 2 else ""
    lets = [item for item in file.items if isinstance(item, ast.Let)]
    inner = [each for each in nodes(file) if isinstance(each, ast.Let)]
    chosen = [let for let in lets if let.name.text == name][:1]
    chosen = chosen or [let for let in inner if let.name.text == name]
    if not chosen:
        known = sorted({let.name.text for let in inner})
        if not known:
            raise _bad(setting, "the file has no constants: add one, such as `let depth = 3`")
        near = did_you_mean(name, known) or f"it has {', '.join(known)}"
        raise _bad(setting, f"no constant `{name}`; {near}" if name else "write let.NAME=VALUE")
    return [_after_equals(let, setting.value) for let in chosen]


def _after_equals(let: ast.Let, value: str) -> _Edit:
    """All after the `=`: a computed value's span may be without its parentheses."""
    text = let.span.source.text
    start = text.index("=", let.name.span.end) + 1
    return start, max(let.span.end, let.value.span.end), f" {value}"


def _default(file: ast.File, setting: Setting, model: str | None) -> list[_Edit]:
    """An option of a `default` line of the file, or a line of its own."""
    if len(setting.names) != 3:
        raise _bad(
            setting, "write default.LAYER.OPTION=VALUE, such as default.dense.init=he_normal"
        )
    _, layer, option = setting.names
    written = f"{option}={setting.value}"
    lines = [i for i in file.items if isinstance(i, ast.Default) and i.layer.text == layer]
    has = [d for d in lines if any(_is_option(arg, option) for arg in d.args)]
    if lines:
        line = (has or lines)[-1]
        return [_option(line.args, line.span, option, written)]
    first = next((i for i in file.items if not isinstance(i, ast.Use)), None)
    at = first.span.start if first is not None else 0
    return [(at, at, f"default {layer} {written}\n")]


def _is_option(arg: ast.Argument, name: str) -> bool:
    return isinstance(arg, ast.Keyword) and arg.name.text == name


def _reuse(file: ast.File, setting: Setting, model: str | None) -> list[_Edit]:
    """An option of the `reuse` in the model that is trained."""
    head, *options = setting.names
    if len(options) != 1:
        raise _bad(setting, "write reuse.OPTION=VALUE, such as reuse.layers=2")
    wanted = {t.model.text for t in _trains(file, model)}
    found = [
        each
        for item in file.items
        if isinstance(item, ast.Model) and item.name.text in wanted
        for each in _reuses(item)
    ]
    if not found:
        raise _bad(setting, f"no `reuse` stands in {' or '.join(sorted(wanted))}")
    paths = sorted({each.path.text for each in found})
    which = head.partition(":")[2]
    if which and which not in paths:
        raise _bad(setting, f"nothing reuses `{which}`; {did_you_mean(which, paths)}")
    if not which and len(found) > 1:
        told = ", ".join(f"reuse:{path}.{options[0]}" for path in paths)
        raise _bad(setting, f"several pieces are reused: say which, {told}")
    written = f"{options[0]}={setting.value}"
    chosen = [each for each in found if which in ("", each.path.text)]
    return [_option(each.args, each.span, options[0], written) for each in chosen]


def _reuses(model: ast.Model) -> Iterator[ast.Reuse]:
    return (each for each in nodes(model) if isinstance(each, ast.Reuse))


_KINDS: dict[str, Callable[[ast.File, Setting, str | None], list[_Edit]]] = {
    "data": _data,
    "default": _default,
    "let": _let,
    "reuse": _reuse,
}
