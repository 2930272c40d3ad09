"""From the records of what is reused to the first values of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.core.record import record
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.diagnostics.transfer.weights import (
    ModelNotTrained,
    NoWeights,
    WeightsNotFinite,
    WrongNumbers,
)
from deepdsl.graph.emit import NUMPY
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.reused import Reused
from deepdsl.transfer.weights.conversion import Recast
from deepdsl.transfer.weights.matching import Found, MatchTask
from deepdsl.transfer.weights.names import evidence, ignored, named
from deepdsl.transfer.weights.resolve import Resolved, resolve
from deepdsl.transfer.weights.sources import open_path, refused
from deepdsl.transfer.weights.targets import wanted
from deepdsl.transfer.weights.weight_file import (
    FLOATS,
    Array,
    Shape,
    Stored,
    TensorPlace,
    Unreadable,
    in_memory,
)

AFRESH = "starts from scratch"


@record
class MatchRow:
    """A line of the table: a parameter here, the tensor that it was, and what was done to it."""

    here: str
    shape: Shape
    there: str
    done: str


@record
class Loaded:
    """The trained values of a reused piece.

    `values` are by parameter, in the parameter's own shape and type.  `source` is where they come
    from, `layout` how the file lays out kernels and what told so, `notes` what else is to be said.
    `unused` are tensors of the file that nothing took, `left_out` parameters that begin from
    scratch.
    """

    path: str
    source: str
    values: Mapping[str, NDArray[Any]]
    rows: tuple[MatchRow, ...]
    layout: str = ""
    unused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_reused(model: Model, runs: Mapping[str, Path]) -> tuple[Loaded, ...]:
    """The values of all that a model reuses; `runs` has the run directories of the models of the
    same file that are trained.

    Raises DnnError with everything that is wrong.
    """
    made: list[Loaded] = []
    problems: list[Diagnostic] = []
    opened: dict[str, Stored] = {}
    for reused in model.reused:
        try:
            made.append(_load(model, reused, runs, opened))
        except DnnError as error:
            problems += error.diagnostics
    if problems:
        raise DnnError(dict.fromkeys(problems))
    return tuple(made)


def _load(
    model: Model, reused: Reused, runs: Mapping[str, Path], opened: dict[str, Stored]
) -> Loaded:
    where = _where(reused, runs)
    stored = _open(model, reused, runs, where, opened)
    where = TensorPlace(where.span, stored.shown)
    asked = TensorPlace(reused.span, stored.shown)
    names, problems = named(stored, reused.prefix, reused.rename, asked)
    if problems:
        raise DnnError(problems)
    layers = wanted(model, reused)
    afresh = tuple(n for n in reused.tensors if n in reused.fresh)
    if not layers:
        return _made(model, reused, stored, None, {}, tuple(stored.tensors), afresh)
    task = MatchTask(layers, stored, names, bool(reused.prefix or reused.rename))
    resolved, problems = resolve(task, reused, where)
    if resolved is None:
        raise DnnError(problems)
    values = _values(stored, resolved.attempt.found, where)
    left = (n for n in stored.tensors if n not in resolved.attempt.used and not ignored(n))
    # In an order of its own: a safetensors file has them in any.
    unused = tuple(sorted(left))
    return _made(model, reused, stored, resolved, values, unused, afresh)


# Sources ------------------------------------------------------------------------------------------


def _where(reused: Reused, runs: Mapping[str, Path]) -> TensorPlace:
    shown = reused.weights
    if not shown and reused.trained:
        shown = str(runs.get(reused.trained, ""))
    return TensorPlace(reused.weights_span or reused.span, shown or reused.path)


def _open(
    model: Model,
    reused: Reused,
    runs: Mapping[str, Path],
    where: TensorPlace,
    opened: dict[str, Stored],
) -> Stored:
    """Where the tensors of a piece come from; a path is opened once."""
    if reused.weights:
        path = Path(reused.weights)
    elif reused.imported is not None and not reused.trained:
        return Stored(reused.path, in_memory(reused.imported.weights), "deepdsl", "", own=True)
    elif not reused.trained:
        raise DnnError([NoWeights(where.span, reused.path)])
    elif reused.trained not in runs or not runs[reused.trained].exists():
        place = str(runs[reused.trained]) if reused.trained in runs else ""
        file = model.span.source.name
        raise DnnError([ModelNotTrained(where.span, reused.path, reused.trained, file, place)])
    else:
        path = runs[reused.trained]
    if str(path) not in opened:
        opened[str(path)] = open_path(path, where, _written(reused))
    return opened[str(path)]


def _written(reused: Reused) -> str:
    """The path as is in the text."""
    text = reused.weights_span.text if reused.weights_span is not None else ""
    return text.removeprefix("weights=").strip().strip('"')


# Values -------------------------------------------------------------------------------------------


def _values(
    stored: Stored, found: tuple[Found, ...], where: TensorPlace
) -> dict[str, NDArray[Any]]:
    """The numbers of all parameters, of which each tensor is read once for each that needs it."""
    values: dict[str, NDArray[Any]] = {}
    problems: dict[Diagnostic, None] = {}
    for each in found:
        assert isinstance(each.made, Recast)
        given = []
        for name in each.tensors:
            try:
                given.append(_numbers(stored, name, where))
            except DnnError as error:
                problems.update(dict.fromkeys(error.diagnostics))
        if len(given) == len(each.tensors):
            made = np.ascontiguousarray(each.made.make(*given), NUMPY[each.slot.dtype])  # type: ignore[index]
            assert made.shape == each.slot.shape, each.slot.here
            values[each.slot.here] = made
    if problems:
        raise DnnError(problems)
    return values


def _numbers(stored: Stored, name: str, where: TensorPlace) -> Array:
    """A tensor in float32; every number of it finite."""
    tensor = stored.tensors[name]
    if tensor.dtype not in FLOATS:
        raise DnnError([WrongNumbers(where.span, where.shown, name, tensor.dtype)])
    try:
        raw = tensor.read()
    except Unreadable as error:
        raise DnnError([refused(error, where)]) from error
    except OSError as error:
        told = Unreadable((error.strerror or str(error)).lower())
        raise DnnError([refused(told, where)]) from error
    with np.errstate(over="ignore", invalid="ignore"):
        made: Array = raw.astype(np.float32)
    bad = int(np.count_nonzero(~np.isfinite(made)))
    if bad:
        large = bool(np.isfinite(raw).all())
        raise DnnError([WeightsNotFinite(where.span, where.shown, name, bad, made.size, large)])
    return made


def _made(
    model: Model,
    reused: Reused,
    stored: Stored,
    resolved: Resolved | None,
    values: Mapping[str, NDArray[Any]],
    unused: tuple[str, ...],
    afresh: tuple[str, ...],
) -> Loaded:
    found = {f.slot.here: f for f in resolved.attempt.found} if resolved else {}
    rows = tuple(_rows(model, reused, found))
    told = resolved.told if resolved else ""
    notes = (*stored.notes, *(_epsilons(stored, resolved) if resolved else ()))
    return Loaded(reused.path, stored.shown, values, rows, told, unused, afresh, notes)


# What PyTorch's norms add to the variance, where ours add more.
_TORCH_EPSILON = 1e-5


def _epsilons(stored: Stored, resolved: Resolved) -> Iterator[str]:
    """What is no tensor, and would be forgotten."""
    if stored.own or resolved.attempt.layout != "torch":
        return
    if stored.layout != "torch" and not resolved.told and "torch" not in evidence(stored.tensors):
        return
    layers = {f.wanted.here: f.wanted for f in resolved.attempt.found}
    norms = [
        (path, epsilon)
        for path, w in layers.items()
        if w.kind in ("batch_norm", "layer_norm", "group_norm")
        and (epsilon := getattr(w.layer, "epsilon", _TORCH_EPSILON)) != _TORCH_EPSILON
    ]
    if norms:
        path, epsilon = norms[0]
        more = f" and {len(norms) - 1} more" if len(norms) > 1 else ""
        yield f"epsilon is {epsilon:g} in `{path}`{more}; PyTorch's default is {_TORCH_EPSILON:g}"


def _rows(model: Model, reused: Reused, found: Mapping[str, Found]) -> Iterator[MatchRow]:
    imported = reused.imported
    for param in model.params:
        name = param.name
        shape = tuple(d for d in param.type.shape if isinstance(d, int))
        if name in found and isinstance(made := found[name].made, Recast):
            there = " + ".join(found[name].tensors)
            if imported is not None and not reused.weights:
                there = imported.names.get(there, there)
            yield MatchRow(name, shape, there, made.done)
        elif name in reused.tensors:
            yield MatchRow(name, shape, "", AFRESH)
