"""Which file, array or columns feed which input and target."""

from __future__ import annotations

from typing import TypeVar

from deepdsl.data.request import OpenRequest
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.inputs import InputNotFed, NoTarget, NothingToFeed, UnknownFeed

T = TypeVar("T")


def bind_inputs(
    request: OpenRequest,
    feeds: tuple[tuple[str, T], ...],
    first: T | None,
    target: T | None,
    example: str,
    first_is_given: bool = True,
) -> dict[str, T]:
    """What feeds each input and target by name: the named feeds, then `first` and `target` for
    those left out.

    `example` shows in messages how a feed is written.
    """
    inputs, targets, span = tuple(request.inputs), tuple(request.targets), request.span
    for name, _ in feeds:
        if name not in inputs and name not in targets:
            raise DnnError([UnknownFeed(span, name, inputs, targets)])
    given = {name: feed for name, feed in feeds if name in inputs or name in targets}
    left = tuple(name for name in inputs if name not in given)
    if first is not None and len(left) == 1:
        given[left[0]] = first
    elif left:
        raise DnnError([InputNotFed(span, left, example)])
    elif first is not None and first_is_given:
        raise DnnError([NothingToFeed(span, str(first))])
    left = tuple(name for name in targets if name not in given)
    if target is not None and len(left) == 1:
        given[left[0]] = target
    elif left:
        raise DnnError([NoTarget(span, left, example)])
    return given
