"""Lints about the values that a network is fed with."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.data.request import Placed
from deepdsl.data.spec import DataSpec
from deepdsl.data.transforms import NormalizeTransform, Scale, Standardize, Transform
from deepdsl.diagnostics import Edit
from deepdsl.language.analysis.model import CheckedProgram, Model
from deepdsl.language.lints.base import Lint
from deepdsl.language.lints.walk import NORMS, Readers, after, kernel, readers_of
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import add_row
from deepdsl.nn.layers.activations.relu_variants import Selu

# Inputs above this are far from what initializers are made for, whose inputs are about 1.
_LARGE = 8.0


def _range_in_file(spec: DataSpec) -> float | None:
    """The largest value that a source has by its nature: values from 0 to this."""
    return spec.train.row.white if spec.train is not None else None


def known_range(spec: DataSpec, name: str) -> float | None:
    """The largest value of an input after scaling, where the source has it in its nature: values
    from 0 to this.
    """
    high = _range_in_file(spec)
    if high is None:
        return None
    for placed in spec.transforms:
        if placed.row.concerns(name):
            if not isinstance(placed.row, Scale):
                return None
            high *= placed.row.factor
    return high if high > 0 else None


def sets_variance(spec: DataSpec, name: str) -> bool:
    """Whether a transform brings an input to mean 0 and variance 1."""
    return any(
        placed.row.concerns(name) and isinstance(placed.row, Standardize | NormalizeTransform)
        for placed in spec.transforms
    )


@record
class UnscaledInput(Lint):
    """Raw pixels are much larger than the initial weights expect.

    Initializers are made for inputs of about 1. With bytes, 0 to 255, the variance before the first
    activation is up to 255² = 65,025 times what they aim at: units saturate, and the learning rate
    that suits the first layer is 255² times smaller than that of the others. `scale` and
    `standardize` become part of the exported model. An input that batch norm meets first may stay
    as it is.

    ```wrong
    data digits { train builtin digits }
    model net { input x[8 8]; flatten | dense 8 | relu | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 8 | relu | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "W419"
    input: str
    high: float
    in_file: float = 0.0  # the largest value before the rows of the section
    scaled: str = ""  # the row that scales already, as it is written

    @property
    def message(self) -> str:
        return f"`{self.input}` is fed with values from 0 to {_plain(self.high)}"

    @property
    def label(self) -> str:
        return (
            f"the variance before the first activation is up to {_plain(self.high)}² = "
            f"{self.high**2:,.0f} times what the initial weights are made for"
        )

    @property
    def help(self) -> str:
        return f"{self.fix}, or `standardize`"

    @property
    def fix(self) -> str:
        wanted = f"`scale (1 / {_plain(self.in_file or self.high)})`"
        if self.scaled:
            return f"write {wanted} in place of `{self.scaled}`"
        return f"add the row {wanted}"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            model, spec = program.models[training.model], program.datasets[training.data]
            readers = readers_of(model)
            for number, each in enumerate(model.inputs):
                high = known_range(spec, each.name)
                if high is None or high <= _LARGE or not _matters(model, number, readers):
                    continue
                assert spec.train is not None
                raw, rows = _range_in_file(spec) or high, _scales(spec, each.name)
                written = "; ".join(p.span.text for p in rows if p.span is not None)
                fixes = _scaled(program, spec, raw)
                yield cls(spec.train.span, each.name, high, raw, written, fixes=fixes)


def _matters(model: Model, value: int, readers: Readers) -> bool:
    """Whether the scale of a value reaches an activation, rather than a normalization."""
    for call, normalized in after(value, readers):
        if normalized or call.layer.name in NORMS:
            continue
        if isinstance(call.layer, Selu):
            return False  # a selu network wants `standardize`, which is a lint of its own
        if call.layer.activation is not None or call.output in model.outputs.values():
            return True
        if not call.layer.transparent and (
            (kernel(call) or call.layer.operands) and _matters(model, call.output, readers)
        ):
            return True
    return False


def _scales(spec: DataSpec, name: str) -> list[Placed[Transform]]:
    """The rows that change an input; where its range is known, they only scale."""
    return [placed for placed in spec.transforms if placed.row.concerns(name)]


def _plain(value: float) -> str:
    """A number for a reader, and for a program: without an exponent where that can be."""
    return f"{value:.0f}" if 1000 <= value < 1e9 else f"{value:.4g}"


def _scaled(program: CheckedProgram, spec: DataSpec, high: float) -> tuple[Edit, ...]:
    section = program.places.section(spec.span)
    if not isinstance(section, ast.Data):
        return ()
    factor = f"(1 / {_plain(high)})"
    if len(spec.transforms) == 1 and isinstance(spec.transforms[0].row, Scale):
        only, of = spec.transforms[0].span, spec.transforms[0].row.of
        return (Edit(only, f"scale {factor}"),) if only is not None and of is None else ()
    row = add_row(section, "scale", factor) if not spec.transforms else None
    return () if row is None else (row,)


@record
class MeansOfAnotherRange(Lint):
    """`normalize` has means and deviations for a different value range than the input's.

    The figures that are printed with trained networks are for pixels from 0 to 1 (0.485, 0.229) or
    from 0 to 255 (123.7, 58.4). Taken for the other range they make every image nearly the same
    number, and the network learns nothing or, trained before, sees nothing.

    ```wrong
    data digits { train builtin digits; normalize mean=[127.5] std=[127.5] }
    model net { input x[8 8]; flatten | dense 8 | relu | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    data digits { train builtin digits; normalize mean=[8] std=[8] }
    model net { input x[8 8]; flatten | dense 8 | relu | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "W438"
    input: str
    high: float
    mean: float

    @property
    def message(self) -> str:
        return f"these means are for a different value range than `{self.input}`"

    @property
    def label(self) -> str:
        return f"its values go from 0 to {_plain(self.high)}, and a mean is {self.mean:g}"

    @property
    def help(self) -> str:
        if self.mean > self.high:
            return f"divide means and deviations by what makes them fit 0 to {_plain(self.high)}"
        return f"write `scale (1 / {_plain(self.high)})` before it"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            model, spec = program.models[training.model], program.datasets[training.data]
            high = _range_in_file(spec)
            if high is None:
                continue
            for each in model.inputs:
                reached = high
                for placed in _scales(spec, each.name):
                    row = placed.row
                    if isinstance(row, NormalizeTransform) and _other_range(row, reached):
                        yield cls(placed.span, each.name, reached, max(row.mean))
                    if not isinstance(row, Scale):
                        break
                    reached *= row.factor


def _other_range(row: NormalizeTransform, high: float) -> bool:
    """Whether means and deviations cannot be those of values from 0 to this."""
    return 0 < high < max(row.mean) or (high > _LARGE and max(*row.mean, *row.std) <= 1)
