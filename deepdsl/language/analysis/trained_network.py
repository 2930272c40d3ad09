"""Which trained network a `reuse` speaks of."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError, Report
from deepdsl.diagnostics.language.names import UnknownReference
from deepdsl.diagnostics.language.reuse import CannotReuse, UnknownPiece
from deepdsl.graph import Type
from deepdsl.language.analysis.definitions import Definitions
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Frame
from deepdsl.language.analysis.library import Imported, Library
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.reused import Cut
from deepdsl.language.syntax import ast


@record
class TrainedNetwork:
    """The trained network that a `reuse` speaks of: `path` is inside of it; `alias` is the used
    file, of which `home` knows.
    """

    model: Model
    path: str
    home: Definitions
    alias: str = ""
    imported: Imported | None = None


def note_file_used(state: Elaboration, unit: ast.Reuse, frame: Frame) -> None:
    """Note that a file is used by a `reuse` that is not gone through."""
    home = state.home_of(frame)
    if unit.path.parts[0] in home.files:
        home.speaks_of(unit.path.parts[0])


def find_network(
    state: Elaboration, unit: ast.Reuse, frame: Frame, cut: Cut, flows: Type
) -> TrainedNetwork | None:
    """The network, for what flows into it; None after something was reported."""
    home = state.home_of(frame)
    first = unit.path.parts[0]
    if first not in home.files:
        return _in_this_file(state, unit, frame, home)
    home.speaks_of(first)
    library = home.libraries.get(first)
    if library is not None:
        return _in_library(state, unit, home, library, cut, flows)
    other = home.files[first]
    return None if other is None else _in_used_file(state, unit, home, other)


def _in_library(
    state: Elaboration,
    unit: ast.Reuse,
    home: Definitions,
    library: Library,
    cut: Cut,
    flows: Type,
) -> TrainedNetwork | None:
    """A piece of a graph made elsewhere, which has no names of ours inside."""
    alias, inside = unit.path.parts[0], unit.path.parts[1:]
    if inside:
        hint = f'a graph is cut at its tensors: `reuse {alias} until="TENSOR"`'
        file = f"the file `{alias}`"
        state.say(UnknownPiece(unit.path.span, ".".join(inside), file, (), hint))
        return None
    try:
        piece = library.piece([flows], cut, unit.span)
    except DnnError as error:
        state.report.extend(error.diagnostics)
        return None
    return TrainedNetwork(piece.model, "", home, alias, piece)


def _in_used_file(
    state: Elaboration, unit: ast.Reuse, home: Definitions, other: Definitions
) -> TrainedNetwork | None:
    """A model of another `.dnn` file."""
    alias, inside, span = unit.path.parts[0], unit.path.parts[1:], unit.path.span
    models = _models(other)
    if not inside:
        hint = f"name a model of it: `reuse {alias}.{(*models, 'MODEL')[0]}`"
        state.say(CannotReuse(span, unit.path.text, "this is a file, not a network", hint))
        return None
    name = inside[0]
    if name not in models:
        hint = ""
        if name in other.templates:
            hint = f"`{name}` is a block, which has no weights: use it as `{alias}.{name}`"
        state.say(UnknownPiece(span, name, f"the file `{alias}`", models, hint))
        return None
    model = state.elaborate_network(state, other.templates[name], span, state.report)
    if model is None:
        return None
    return TrainedNetwork(model, ".".join(inside[1:]), home, alias)


def _in_this_file(
    state: Elaboration, unit: ast.Reuse, frame: Frame, home: Definitions
) -> TrainedNetwork | None:
    """Another model of the file itself."""
    first, span = unit.path.parts[0], unit.path.span
    template = home.templates.get(first)
    if template is None or template.what != "model":
        if first in frame.parts or first in frame.values:
            what = "a part of this model" if first in frame.parts else "a value of this model"
            advice = f"using it again needs no word: `{first}`"
            state.say(CannotReuse(span, first, f"this is {what}", advice))
        elif template is not None:
            advice = f"a block makes fresh weights: `{first}`"
            state.say(CannotReuse(span, first, "this is a block", advice))
        else:
            names = (*home.files, *_models(home))
            state.say(UnknownReference(span, "network", unit.path.text, names))
        return None
    # The model's own mistakes are reported where it is written: here only of other files.
    report = Report() if home is state.home else state.report
    model = state.elaborate_network(state, template, span, report)
    if model is None:
        return None
    return TrainedNetwork(model, ".".join(unit.path.parts[1:]), home)


def _models(home: Definitions) -> tuple[str, ...]:
    return tuple(name for name, t in home.templates.items() if t.what == "model")
