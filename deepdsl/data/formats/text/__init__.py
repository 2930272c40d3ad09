"""The source `text`: windows of characters, to predict the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deepdsl.core.record import record
from deepdsl.core.registry import Integer, Text, argument, option
from deepdsl.core.source import Span
from deepdsl.data.request import Shape
from deepdsl.data.source import DataSource
from deepdsl.diagnostics.base import Diagnostic
from deepdsl.diagnostics.data.sequences import TextMisfit
from deepdsl.graph.types import IndexShape


@record
class TextSource(DataSource, name="text"):
    """A text to predict the next character of.

    The file is UTF-8.  Its different characters, in the order of their code points, are numbered
    from 0 on: the numbers feed the input, `input text[64] dtype=int64`, and the characters are the
    names of the classes.  A row is a window of as many characters as the input has.  What is to be
    learned is the character after each position, where the model has an output for each position,
    or the one after the last.  Windows begin `stride` characters apart; left out, they do not
    overlap.  A text for `valid` or `test` has the numbers of the one that trains.

    `valid last=10%` holds out the end.  Of windows that overlap those at the cut are left out, so
    that nothing that is validated on was seen in training; the characters are those of the whole
    text.  A carriage return and a line feed count as one character, and a byte order mark as none.
    """

    file: str = argument(Text(), "the file")
    stride: int | None = option(
        Integer(1), "characters from one window to the next; as many as it has", default=None
    )

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        yield from text_misfits(inputs, span)


def text_misfits(inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
    """What of a model's inputs a text cannot feed."""
    if len(inputs) != 1:
        advice = "for several, write the windows into arrays and take `npz`"
        yield TextMisfit(span, f"a text feeds one input, the model has {len(inputs)}", advice)
        return
    ((name, shape),) = inputs.items()
    if not isinstance(shape, IndexShape) or len(shape) != 1:
        advice = f"write `input {name}[{shape[0] if len(shape) == 1 else 64}] dtype=int64`"
        found = "numbers with fractions" if len(shape) == 1 else f"{len(shape)} dimensions"
        reason = f"a text feeds a row of indices, and `{name}` has {found}"
        yield TextMisfit(span, reason, advice)
