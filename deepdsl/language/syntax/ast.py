"""The syntax tree: what was written, with its place, and no meaning yet.

Spans take no part in equality, so two texts that say the same have equal trees.
"""

from __future__ import annotations

from dataclasses import field

from deepdsl.core.record import record
from deepdsl.core.source import Span


@record(kw_only=True)
class Syntax:
    span: Span = field(compare=False, repr=False)


# Values: what is after a layer or an option --------------------------------------------------


@record
class Name(Syntax):
    """A single word where only a name may be (what a `let` binds, the name of a model …)."""

    text: str


@record
class Number(Syntax):
    """A number as it was written: `300`, `1e-3`, `-0.5`."""

    text: str

    @property
    def value(self) -> int | float:
        try:
            return int(self.text)
        except ValueError:
            return float(self.text)


@record
class Percent(Syntax):
    """`20%`, the number 0.2."""

    text: str

    @property
    def value(self) -> float:
        return float(self.text[:-1]) / 100


@record
class Size(Syntax):
    """`3x3`, `2x2x2`: a window or an image size."""

    sides: tuple[int, ...]


@record
class String(Syntax):
    """`"a file"`; `value` is without the quotes."""

    value: str


@record
class Path(Syntax):
    """A dotted name: `relu`, `body.dense_1`, `valid.loss`; also `true`, `false`, `in`, `none`."""

    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        return ".".join(self.parts)


@record
class List(Syntax):
    """`[a b c]`."""

    items: tuple[Value, ...]


@record
class Call(Syntax):
    """`variance_scaling(scale=2 mode=fan_avg)`: a value that has options of its own."""

    name: Name
    args: tuple[Argument, ...]


@record
class Binary(Syntax):
    """`depth - 1`, inside parentheses."""

    operator: str  # + - * /
    left: Value
    right: Value


Value = Number | Percent | Size | String | Path | List | Call | Binary


@record
class Keyword(Syntax):
    """`lr=1e-3`."""

    name: Name
    value: Value


@record
class Pair(Syntax):
    """`80:0.01`, a step of a piecewise schedule."""

    key: Number
    value: Value


Argument = Value | Keyword | Pair


# Flows: what happens to a tensor, left to right ---------------------------------------------------


@record
class Layer(Syntax):
    """`dense 300 init=he_normal`; also the bare name of a part, a block, an input or a bound
    value.
    """

    path: Path
    args: tuple[Argument, ...]


@record
class Repeat(Syntax):
    """`repeat 5 { … }`."""

    count: Value
    body: Body


@record
class Reuse(Syntax):
    """`reuse fashion.mlp.body match=strict`."""

    path: Path
    args: tuple[Argument, ...]


@record
class Sum(Syntax):
    """`main + side`: two terms or more."""

    terms: tuple[Unit, ...]


Unit = Layer | Repeat | Reuse


@record
class Chain(Syntax):
    """`dense 300 | batch_norm | elu`: what is first, then what it flows through.  A single unit
    is a chain too.
    """

    head: Sum | Unit
    rest: tuple[Unit, ...]


@record
class Condition(Syntax):
    operator: str  # == != < <= > >=
    left: Value
    right: Value


@record
class Choose(Syntax):
    """`if stride == 1 then in else in | conv …`."""

    condition: Condition
    then: Flow
    otherwise: Flow


Flow = Chain | Choose


# Statements of a body -----------------------------------------------------------------------------


@record
class Input(Syntax):
    """`input image[28 28]`."""

    name: Name
    shape: List
    args: tuple[Argument, ...]


@record
class Default(Syntax):
    """`default dense init=he_normal`."""

    layer: Name
    args: tuple[Argument, ...]


@record
class Let(Syntax):
    """`let classes = 10`."""

    name: Name
    value: Value


@record
class Part(Syntax):
    """`part body { … }`: a named piece, one set of weights."""

    name: Name
    body: Body


@record
class Bind(Syntax):
    """`a = left | tower`."""

    name: Name
    flow: Flow


Statement = Input | Default | Let | Part | Bind | Chain | Choose


@record
class Body(Syntax):
    statements: tuple[Statement, ...]


# Items of a file ----------------------------------------------------------------------------------


@record
class Use(Syntax):
    """`use "fashion.dnn" as fashion weights="runs/fashion"`."""

    file: String
    name: Name
    args: tuple[Argument, ...]


@record
class Parameter(Syntax):
    name: Name
    default: Value | None


@record
class Block(Syntax):
    name: Name
    parameters: tuple[Parameter, ...]
    body: Body


@record
class Model(Syntax):
    name: Name
    body: Body


@record
class Row(Syntax):
    """A line of a data, train, phase or export section: a word and its arguments."""

    name: Name
    args: tuple[Argument, ...]


@record
class Phase(Syntax):
    name: Name
    rows: tuple[Row, ...]


@record
class Data(Syntax):
    name: Name
    rows: tuple[Row, ...]


@record
class Train(Syntax):
    model: Path
    data: Name
    rows: tuple[Row | Phase, ...]


@record
class Export(Syntax):
    model: Path
    rows: tuple[Row, ...]


Item = Use | Let | Default | Block | Model | Data | Train | Export


@record
class File(Syntax):
    items: tuple[Item, ...]
