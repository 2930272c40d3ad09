"""The syntax tree: what was written, with its place, and no meaning yet.

Spans take no part in equality, so two texts that say the same have equal trees.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deepdsl.source import Span


@dataclass(frozen=True, kw_only=True)
class Syntax:
    span: Span = field(compare=False, repr=False)


# Values: what stands behind a layer or an option ---------------------------------------------------------


@dataclass(frozen=True)
class Name(Syntax):
    """A single word where only a name may stand (what a `let` binds, the name of a model …)."""

    text: str


@dataclass(frozen=True)
class Number(Syntax):
    """A number as it was written: `300`, `1e-3`, `-0.5`."""

    text: str

    @property
    def value(self) -> int | float:
        try:
            return int(self.text)
        except ValueError:
            return float(self.text)


@dataclass(frozen=True)
class Percent(Syntax):
    """`20%`, the number 0.2."""

    text: str

    @property
    def value(self) -> float:
        return float(self.text[:-1]) / 100


@dataclass(frozen=True)
class Size(Syntax):
    """`3x3`, `2x2x2`: a window or an image size."""

    sides: tuple[int, ...]


@dataclass(frozen=True)
class String(Syntax):
    """`"a file"`; `value` is without the quotes."""

    value: str


@dataclass(frozen=True)
class Path(Syntax):
    """A dotted name: `relu`, `body.dense_1`, `valid.loss`; also `true`, `false`, `in`, `none`."""

    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class List(Syntax):
    """`[a b c]`."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class Call(Syntax):
    """`variance_scaling(scale=2 mode=fan_avg)`: a value that has options of its own."""

    name: Name
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Binary(Syntax):
    """`depth - 1`, inside parentheses."""

    operator: str  # + - * /
    left: Value
    right: Value


Value = Number | Percent | Size | String | Path | List | Call | Binary


@dataclass(frozen=True)
class Keyword(Syntax):
    """`lr=1e-3`."""

    name: Name
    value: Value


@dataclass(frozen=True)
class Pair(Syntax):
    """`80:0.01`, a step of a piecewise schedule."""

    key: Number
    value: Value


Argument = Value | Keyword | Pair


# Flows: what happens to a tensor, left to right ----------------------------------------------------------


@dataclass(frozen=True)
class Layer(Syntax):
    """`dense 300 init=he_normal`; also the bare name of a part, a block, an input or a bound value."""

    path: Path
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Repeat(Syntax):
    """`repeat 5 { … }`."""

    count: Value
    body: Body


@dataclass(frozen=True)
class Reuse(Syntax):
    """`reuse fashion.mlp.body match=strict`."""

    path: Path
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Sum(Syntax):
    """`main + side`: two terms or more."""

    terms: tuple[Unit, ...]


Unit = Layer | Repeat | Reuse


@dataclass(frozen=True)
class Chain(Syntax):
    """`dense 300 | batch_norm | elu`: what stands first, then what it flows through.  A single unit is a chain too."""

    head: Sum | Unit
    rest: tuple[Unit, ...]


@dataclass(frozen=True)
class Condition(Syntax):
    operator: str  # == != < <= > >=
    left: Value
    right: Value


@dataclass(frozen=True)
class Choose(Syntax):
    """`if stride == 1 then in else in | conv …`."""

    condition: Condition
    then: Flow
    otherwise: Flow


Flow = Chain | Choose


# Statements of a body -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input(Syntax):
    """`input image[28 28]`."""

    name: Name
    shape: List
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Default(Syntax):
    """`default dense init=he_normal`."""

    layer: Name
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Let(Syntax):
    """`let classes = 10`."""

    name: Name
    value: Value


@dataclass(frozen=True)
class Part(Syntax):
    """`part body { … }`: a named piece, one set of weights."""

    name: Name
    body: Body


@dataclass(frozen=True)
class Bind(Syntax):
    """`a = left | tower`."""

    name: Name
    flow: Flow


Statement = Input | Default | Let | Part | Bind | Chain | Choose


@dataclass(frozen=True)
class Body(Syntax):
    statements: tuple[Statement, ...]


# Items of a file ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use(Syntax):
    """`use "fashion.dnn" as fashion weights="runs/fashion"`."""

    file: String
    name: Name
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Parameter(Syntax):
    name: Name
    default: Value | None


@dataclass(frozen=True)
class Block(Syntax):
    name: Name
    parameters: tuple[Parameter, ...]
    body: Body


@dataclass(frozen=True)
class Model(Syntax):
    name: Name
    body: Body


@dataclass(frozen=True)
class Row(Syntax):
    """A line of a data, train, phase or export section: a word and its arguments."""

    name: Name
    args: tuple[Argument, ...]


@dataclass(frozen=True)
class Phase(Syntax):
    name: Name
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Data(Syntax):
    name: Name
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Train(Syntax):
    model: Path
    data: Name
    rows: tuple[Row | Phase, ...]


@dataclass(frozen=True)
class Export(Syntax):
    model: Path
    rows: tuple[Row, ...]


Item = Use | Let | Default | Block | Model | Data | Train | Export


@dataclass(frozen=True)
class File(Syntax):
    items: tuple[Item, ...]
