"""Words in messages that depend on a number."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """The noun for a count: `row`, or `rows` for every count but 1."""
    return noun if count == 1 else f"{noun}s"
