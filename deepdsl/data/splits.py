"""Opening a data section: which rows train, validate and test, as pure functions of the seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.data.augmented import augmented
from deepdsl.data.indices import check_indices
from deepdsl.data.order import random_order, stratified
from deepdsl.data.request import OpenRequest, Placed, Shape, Split, TargetSpec
from deepdsl.data.rows import HeldOut
from deepdsl.data.source import DataSource
from deepdsl.data.spec import DataSpec
from deepdsl.data.statistics import TrainingInput
from deepdsl.data.table import Array, OneHotField, Rows, Table, View
from deepdsl.diagnostics.base import Diagnostic, DnnError
from deepdsl.diagnostics.data.sequences import OverlappingWindows
from deepdsl.diagnostics.data.split import (
    ClassWithoutRows,
    HeldOutLacksClass,
    HeldOutTooLarge,
    NoClassesToStratify,
    TooFewToStratify,
)


@record(eq=False)
class Splits:
    """The parts that were asked for, and what a reader should know about them."""

    train: View | None = None
    valid: View | None = None
    test: View | None = None
    warnings: tuple[Diagnostic, ...] = ()
    classes: tuple[str, ...] | None = None


def load(
    spec: DataSpec,
    folder: Path,
    inputs: Mapping[str, Shape | None],
    targets: Mapping[str, TargetSpec],
    seed: int,
    select: Collection[Split] = ("train", "valid"),
    classes: tuple[str, ...] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> Splits:
    """Open the splits that `select` names, and no file beyond those that they need.

    `classes` and `columns` are the names that a trained model has for its classes and, by input,
    for the columns of a table; without classes a test set whose labels are texts has train opened
    too. With `target input` there are no targets: the loss compares with the transformed input.
    """
    return _Loader(spec, folder, inputs, targets, seed, classes, columns or {}).load(select)


def split_table(spec: DataSpec, table: Table, seed: int, valid: Table | None = None) -> Splits:
    """The splits of a table that is open already: `take` and `valid` cut it as they would cut a
    file's rows.
    """
    loader = _Loader(
        spec, Path(), {}, dict.fromkeys(table.targets, TargetSpec("any")), seed, None, {}
    )
    train, cut = loader.cut(table, _held_out(spec) if valid is None else None)
    if valid is not None:
        cut = View(valid, np.arange(valid.rows))
    return Splits(augmented(spec, train, seed), cut, None, table.warnings, table.classes)


def count_train_rows(
    spec: DataSpec,
    folder: Path,
    inputs: Mapping[str, Shape | None],
    targets: Mapping[str, TargetSpec] | None = None,
) -> int:
    """How many rows train has after `take` and `valid`, from the headers of files where they say
    it.
    """
    assert spec.train is not None
    wanted = {} if spec.target is not None else targets or {}
    request = OpenRequest(folder, inputs, wanted, "train", spec.train.span)
    rows: int = spec.train.row.count(request)
    if spec.take is not None:
        rows = spec.take.row.checked(rows, spec.take.span)
    held = _held_out(spec)
    return rows - held.row.count(rows, held.span) if held else rows


def fit_transforms(spec: DataSpec, train: View) -> tuple[dict[str, dict[str, Array]], ...]:
    """For each transform in order, its constants by input: each is fitted to what those before
    it leave.
    """
    names = (name for name in train.table.inputs if name not in spec.ready)
    applied: dict[str, list[Callable[[Array], Array]]] = {name: [] for name in names}
    fitted: list[dict[str, dict[str, Array]]] = []
    for placed in spec.transforms:
        found: dict[str, dict[str, Array]] = {}
        for name, steps in applied.items():
            if not placed.row.concerns(name):
                continue
            before = partial(_through, tuple(steps)) if steps else None
            constants = placed.row.fit(TrainingInput(train, name, before), placed.span)
            found[name] = constants
            steps.append(partial(placed.row.apply, constants=constants))
        fitted.append(found)
    return tuple(fitted)


def _through(steps: tuple[Callable[[Array], Array], ...], values: Array) -> Array:
    for step in steps:
        values = step(values)
    return values


def _held_out(spec: DataSpec) -> Placed[HeldOut] | None:
    if spec.valid is not None and isinstance(spec.valid.row, HeldOut):
        return Placed(spec.valid.row, spec.valid.span)
    return None


@dataclass
class _Loader:
    spec: DataSpec
    folder: Path
    inputs: Mapping[str, Shape | None]
    targets: Mapping[str, TargetSpec]
    seed: int
    classes: tuple[str, ...] | None
    known_columns: Mapping[str, Sequence[str]]
    warnings: list[Diagnostic] = field(default_factory=list)
    opened: Table | None = None  # train

    def load(self, select: Collection[Split]) -> Splits:
        spec = self.spec
        if spec.target is not None:
            spec.target.row.resolve(tuple(self.inputs), spec.target.span)
            self.targets = {}
        held = _held_out(spec)
        views: dict[Split, View] = {}
        if "train" in select or (held is not None and "valid" in select):
            train, valid = self.cut(self.train_table(), held)
            if "train" in select:
                views["train"] = augmented(spec, train, self.seed)
                self.warn_of_classes(train, valid if "valid" in select else None)
            if valid is not None and "valid" in select:
                views["valid"] = valid
        if "valid" in select and spec.valid is not None and held is None:
            views["valid"] = self.separate("valid", spec.valid)
        if "test" in select and spec.test is not None:
            views["test"] = self.separate("test", spec.test)
        names = next((view.classes for view in views.values() if view.classes), self.classes)
        return Splits(**views, warnings=tuple(self.warnings), classes=names)

    def train_table(self) -> Table:
        if self.opened is None:
            assert self.spec.train is not None
            self.opened = self.open(
                "train", self.spec.train.row, self.spec.train.span, self.classes
            )
        return self.opened

    def separate(self, split: Split, placed: Placed[DataSource] | Placed[HeldOut]) -> View:
        """A split with a source of its own.  Its labels count as those of train do."""
        row = placed.row
        assert isinstance(row, DataSource)
        classes = self.classes
        if classes is None and self.opened is not None and self.opened.classes_from_texts:
            classes = self.opened.classes
        table = self.open(split, row, placed.span, classes)
        if classes is None and table.classes_from_texts and self.spec.train is not None:
            table = self.open(split, row, placed.span, self.train_table().classes or ())
        return View(table, np.arange(table.rows))

    def open(
        self, split: Split, row: DataSource, span: Span | None, classes: tuple[str, ...] | None
    ) -> Table:
        columns = self.columns()

        def opened(targets: Mapping[str, TargetSpec]) -> Table:
            return row.open(
                OpenRequest(self.folder, self.inputs, targets, split, span, classes, columns)
            )

        table = as_rows(self.spec, self.targets, opened, classes)
        check_indices(table, self.inputs)
        self.warnings += [found for found in table.warnings if found not in self.warnings]
        return table

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that feed each input in train, where they have names."""
        if self.opened is None:
            return {name: tuple(columns) for name, columns in self.known_columns.items()}
        return {name: field.columns for name, field in self.opened.inputs.items()}

    def cut(self, table: Table, held: Placed[HeldOut] | None) -> tuple[View, View | None]:
        """The rows to train on and those held out, in the order of the file."""
        rows: Rows = np.arange(table.rows)
        take = self.spec.take
        if take is not None:
            count = take.row.checked(len(rows), take.span)
            rows, _ = self.draw(table, rows, count, take.row.stratify, "take", take.span)
        if held is None:
            return View(table, rows), None
        count = held.row.count(len(rows), held.span)
        if held.row.first is not None:
            first, rest = rows[:count], rows[count:]
            return self.apart(table, rest[rest > first[-1] + table.shared], first, held)
        if held.row.last is not None:
            rest, last = rows[:-count], rows[-count:]
            return self.apart(table, rest[rest < last[0] - table.shared], last, held)
        if table.shared:
            raise DnnError([OverlappingWindows(held.span, table.shared)])
        out, rest = self.draw(table, rows, count, held.row.stratify, "valid", held.span)
        return View(table, rest), View(table, out)

    def apart(
        self, table: Table, train: Rows, out: Rows, held: Placed[HeldOut]
    ) -> tuple[View, View]:
        """What is trained on, without the rows that have something in common with those held
        out.
        """
        if not len(train):
            raise DnnError([HeldOutTooLarge(held.span, len(out), table.rows)])
        return View(table, train), View(table, out)

    def draw(
        self, table: Table, rows: Rows, count: int, by_class: bool, purpose: str, span: Span | None
    ) -> tuple[Rows, Rows]:
        """This many of the rows at random, and the others."""
        order = random_order(self.seed, purpose, len(rows))
        if not by_class:
            chosen = order[:count]
        else:
            labels = self.labels(View(table, rows))
            if labels is None:
                raise DnnError([NoClassesToStratify(span)])
            quotas, chosen = stratified(order, labels, count)
            sizes = np.bincount(labels)
            for number, (size, quota) in enumerate(zip(sizes, quotas, strict=True)):
                whole = size == quota and purpose == "valid"
                if size and (quota == 0 or whole):
                    name = self.class_name(table, number)
                    problem = TooFewToStratify(span, name, int(size), int(quota), count)
                    raise DnnError([problem])
        inside = np.zeros(len(rows), bool)
        inside[chosen] = True
        return rows[inside], rows[~inside]

    def labels(self, view: View) -> Rows | None:
        """The class numbers of a view's rows; None where the target is not a class."""
        if len(self.targets) != 1:
            return None
        name, target = next(iter(self.targets.items()))
        source = view.table.targets[name]
        if isinstance(source, OneHotField):
            source = source.labels
        elif (
            target.kind == "value"
            or source.dtype.kind == "f"
            or not getattr(source, "has_classes", True)
        ):
            return None
        if int(np.prod(source.shape)) != 1:
            return None
        labels = np.empty(len(view), np.int64)
        source.read(view.rows, labels)
        return labels if not len(labels) or labels.min() >= 0 else None

    def class_name(self, table: Table, number: int) -> str:
        names = table.classes or ()
        return names[number] if number < len(names) else str(number)

    def warn_of_classes(self, train: View, valid: View | None) -> None:
        labels = self.labels(train)
        if labels is None:
            return
        spec = self.spec.train
        target = next(iter(self.targets.values()))
        classes = 2 if target.kind == "binary" else target.classes or len(train.classes or ())
        counts = np.bincount(labels, minlength=classes)
        missing = tuple(self.class_name(train.table, int(c)) for c in np.flatnonzero(counts == 0))
        if missing and classes:
            self.warnings.append(ClassWithoutRows(spec.span if spec else None, missing))
        held = self.labels(valid) if valid is not None else None
        if held is None or self.spec.valid is None:
            return
        shown = np.bincount(held, minlength=len(counts))
        lacking = np.flatnonzero((shown[: len(counts)] == 0) & (counts > 0))
        # A small part drawn at random may well miss a rare class; half of them it does not.
        if 2 * len(lacking) >= np.count_nonzero(counts):
            names = tuple(self.class_name(train.table, int(c)) for c in lacking)
            self.warnings.append(HeldOutLacksClass(self.spec.valid.span, names, len(held)))


def as_rows(
    spec: DataSpec,
    targets: Mapping[str, TargetSpec],
    opened: Callable[[Mapping[str, TargetSpec]], Table],
    classes: tuple[str, ...] | None = None,
) -> Table:
    """A table with its class numbers as rows of probabilities, where the section asks for those."""
    numbers = {name: _class_numbers(target) for name, target in targets.items()}
    if spec.one_hot is not None:
        return _hot(opened(numbers), numbers, classes)
    mixed = {n: numbers[n] for n, t in targets.items() if t.kind == "value" and t.classes}
    if not (spec.mixes and mixed):
        return opened(targets)
    try:
        return _hot(opened({**targets, **mixed}), mixed, classes)
    except DnnError as error:
        # Rows of probabilities can be mixed as they are.
        try:
            return opened(targets)
        except DnnError:
            raise error from None


def _hot(
    table: Table, wanted: Mapping[str, TargetSpec], classes: tuple[str, ...] | None = None
) -> Table:
    """A table of class numbers with rows of zeros with a one in their place."""
    made = dict(table.targets)
    for name in wanted:
        labels = table.targets[name]
        width = wanted[name].classes or len(classes or table.classes or ())
        if not width:
            numbers = View(table, np.arange(table.rows)).labels(name)
            width = int(numbers.max()) + 1
        made[name] = OneHotField(labels, width)
    return replace(table, targets=made)


def _class_numbers(target: TargetSpec) -> TargetSpec:
    """What the rows hold where `one_hot` makes the target: its last dimension is the number of
    classes.
    """
    shape = target.shape
    if target.kind == "value" and shape:
        return TargetSpec("index", target.classes or shape[-1], shape[:-1])
    if target.kind == "any":
        return TargetSpec("index", target.classes, () if shape is None else shape[:-1])
    return replace(target, kind="index")
