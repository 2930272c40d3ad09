"""What a model stands on: pieces of trained networks, and where their weights come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from deepdsl.ir import Type
from deepdsl.record import record
from deepdsl.source import Span

if TYPE_CHECKING:
    from deepdsl.analysis.model import Model


@record
class Cut:
    """Which piece of a network is meant: from a tensor or layer to another one, without some.

    `spans` has the place of each of these words, by `start`, `until`, `without`.
    """

    start: str | None = None
    until: str | None = None
    without: tuple[str, ...] = ()
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)


@record(eq=False)
class Imported:
    """A piece of a foreign network in layers of ours.

    `model` has one input and one output.  `weights` has the first value of every parameter of it,
    a NumPy array in our layout; `names` says which tensor of the file each one is.
    """

    model: Model
    weights: Mapping[str, Any]
    names: Mapping[str, str]


class Library(Protocol):
    """A file of another program that a text uses: an ONNX graph."""

    #: How messages name the file.
    shown: str

    def piece(self, given: Sequence[Type], cut: Cut, span: Span) -> Imported:
        """The piece as it is with inputs of these types (the batch first).

        Raises DnnError whose diagnostics stand at `span`, the `reuse`, or at a word of the cut.
        """
        ...


@record
class Reused:
    """A piece of a trained network that stands in a model.

    `path` is what stands behind `reuse`, and `span` its place.  `tensors` says for each parameter
    here which one of the source it is; those in `fresh` begin as if they were written here.  The
    weights come from a file or run directory `weights` (a path as seen from the working directory),
    from the run of another model of the same file, `trained`, or from `imported`.
    """

    path: str
    span: Span
    tensors: Mapping[str, str]
    fresh: frozenset[str] = frozenset()
    weights: str = ""
    weights_span: Span | None = field(default=None, compare=False)
    trained: str = ""
    imported: Imported | None = field(default=None, compare=False)
    match: str = "strict"
    prefix: str = ""
    rename: tuple[str, ...] = ()
    layout: str | None = None

    @property
    def kept(self) -> tuple[str, ...]:
        """The parameters here that come with their weights."""
        return tuple(here for here in self.tensors if here not in self.fresh)
