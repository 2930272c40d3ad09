"""Writes an index as people read it: what is short is in one line."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 100


def written(value: Any, indent: int = 0, room: int = WIDTH) -> str:
    """JSON of a value; lists of texts fill their lines."""
    flat = json.dumps(value, ensure_ascii=False)
    top = indent == 0 and isinstance(value, dict)
    if not isinstance(value, dict | list) or (len(flat) + indent <= room and not top):
        return flat
    inside = " " * (indent + 2)
    if isinstance(value, dict):
        lines = [
            f"{inside}{json.dumps(key, ensure_ascii=False)}: "
            + written(each, indent + 2, room - len(key) - 4)
            for key, each in value.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
    if all(isinstance(each, str) for each in value):
        return "[\n" + _filled(value, inside) + "\n" + " " * indent + "]"
    lines = [inside + written(each, indent + 2, room) for each in value]
    return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"


def _filled(texts: list[str], inside: str) -> str:
    lines = [inside]
    for number, text in enumerate(texts):
        word = json.dumps(text, ensure_ascii=False) + ("," if number + 1 < len(texts) else "")
        if len(lines[-1]) + len(word) + 1 > WIDTH and lines[-1] != inside:
            lines.append(inside)
        lines[-1] += word if lines[-1] == inside else f" {word}"
    return "\n".join(lines)
