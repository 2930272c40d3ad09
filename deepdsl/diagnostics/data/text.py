"""Shapes, sizes and lists of names as messages about data write them."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic


def shape_text(shape: tuple[int, ...]) -> str:
    """`28 × 28`, or what a shape without dimensions is."""
    return " × ".join(str(side) for side in shape) if shape else "single numbers"


def shape_source(shape: tuple[int, ...]) -> str:
    """`[28 28]`, as a program writes it."""
    return "[" + " ".join(str(side) for side in shape or (1,)) + "]"


def size_text(count: int) -> str:
    """A count of bytes for a reader: `45.1 kB`."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.3g} PB"


def it_looks_like(source: str, file: str) -> str:
    """What a file given to the wrong source seems to be, and the source that reads it."""
    what = {"csv": "text", "npz": "npz, a zip of arrays"}.get(source, source)
    return f'it looks like {what}: `{source} "{file}"`'


@record
class FileDiagnostic(Diagnostic):
    """Base of the messages about one file, called by the name that the program gives it."""

    file: str


def names_text(names: tuple[str, ...], limit: int = 12) -> str:
    """`a`, `b` and 3 more."""
    shown = ", ".join(f"`{name}`" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
