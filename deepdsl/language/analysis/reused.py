"""Which pieces of trained networks a model reuses, and where their weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span


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
class ImportedWeights:
    """The weights of a piece of an imported network.

    `weights` has the first value of every parameter, a NumPy array in our layout; `names` says
    which tensor of the file each one is.
    """

    weights: Mapping[str, Any]
    names: Mapping[str, str]


@record
class Reused:
    """A piece of a trained network that is in a model.

    `path` is what is after `reuse`, and `span` its place.  `tensors` says for each parameter
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
    imported: ImportedWeights | None = field(default=None, compare=False)
    match: str = "strict"
    prefix: str = ""
    rename: tuple[str, ...] = ()
    layout: str | None = None

    @property
    def kept(self) -> tuple[str, ...]:
        """The parameters here that come with their weights."""
        return tuple(here for here in self.tensors if here not in self.fresh)
