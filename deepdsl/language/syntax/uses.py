"""The files that a file uses, as they were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Source, Span
from deepdsl.language.syntax import ast


@record
class Uses:
    """The file after each `use` line, at any depth; one that could not be read is not there.

    `libraries` are files of other programs (analysis.library.Library).
    """

    files: Mapping[Span, ast.File] = field(default_factory=dict)
    libraries: Mapping[Span, Any] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The text of each file once, in the order in which they were reached."""
        return tuple({id(f): f.span.source for f in self.files.values()}.values())
