"""A layer that is called as in Python, written as it is here: `Dense(8, activation="relu")` is
`dense 8 | relu`.

What has no sure counterpart is left out, so that what is advised can always be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module

from deepdsl.core.record import record
from deepdsl.core.registry import ListOf, Mismatch, Registered, Signature, lookup
from deepdsl.diagnostics.vocabulary import called_here, plain

_KEYWORD = re.compile(r"([A-Za-z_]\w*)\s*=(?!=)\s*(.+)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_]\w*")
_TUPLE = re.compile(r"[(\[]\s*[1-9][0-9]*(\s*,\s*[1-9][0-9]*){1,2}\s*,?\s*[)\]]")
_COMPUTED = re.compile(r"[\w\s.+*/()-]*[+*/-][\w\s.+*/()-]*")


@record
class Written:
    """A call as steps of a flow: what flows in, the layer, its arguments, what comes after."""

    before: str
    name: str
    arguments: tuple[str, ...]
    behind: str
    lacking: bool  # a required argument could not be taken over

    def text(self) -> str:
        step = " ".join([self.name, *self.arguments, *(("…",) if self.lacking else ())])
        return " | ".join(part for part in (self.before, step, self.behind) if part)


def layer_called(path: str) -> str | None:
    """The layer that a name of Python's frameworks means here."""
    import_module("deepdsl.nn.layers")  # registers the layers; formatting does not need them
    word = path.rpartition(".")[2]
    known = lookup("layer")
    folded = {plain(name): name for name in sorted(known)}
    return folded.get(plain(word)) or called_here(word, known)


def rewritten(path: str, inner: str) -> Written | None:
    """What a call means here; None where its name is not a layer's."""
    parts = _split(inner)
    if plain(path.rpartition(".")[2]) == "activation" and len(parts) == 1:
        name = layer_called(parts[0].strip("\"' "))
        return Written("", name, (), "", False) if name else None
    name = layer_called(path)
    if name is None:
        return None
    return _written(name, lookup("layer")[name], parts)


def _written(name: str, cls: type[Registered], parts: Sequence[str]) -> Written:
    signature = {s.name: s for s in cls.signature()}
    places = [s for s in signature.values() if s.positional]
    bare = [part for part in parts if not _KEYWORD.fullmatch(part)]
    before = ""
    many = bool(places) and places[-1].many
    if bare and _WORD.fullmatch(bare[0]) and not many and len(bare) > len(places):
        before = bare.pop(0)  # `dense(x, 8)`: what flows in
    if "units" in signature and len(bare) == 2 and all(map(_NUMBER.fullmatch, bare)):
        bare = bare[1:]  # `Linear(4, 8)`: how many come in is known
    sized = len(bare) + any(part.startswith("kernel_size") for part in parts)
    if "filters" in signature and sized > 2 and all(map(_NUMBER.fullmatch, bare[:2])):
        bare = bare[1:]  # `Conv2d(3, 64, 5)`
    arguments, behind, given = [], "", set()
    takers = [*places, *[places[-1]] * len(bare)] if many else places
    for place, part in zip(takers, bare, strict=False):
        if value := _value(part, place):
            arguments.append(value)
            given.add(place.name)
    for word in bare[len(places) :] if not many else ():
        behind = behind or _activation(word)
    for option, text in (m.groups() for part in parts if (m := _KEYWORD.fullmatch(part))):
        if option == "activation":
            behind = _activation(text)
            continue
        here = option if option in signature else called_here(option, signature)
        if here and here not in given and (value := _value(text, signature[here])):
            arguments.append(value if signature[here].required else f"{here}={value}")
            given.add(here)
    lacking = any(s.required and s.name not in given for s in places)
    return Written(before, name, tuple(arguments), behind, lacking)


def _activation(text: str) -> str:
    found = layer_called(text.strip("\"' "))
    return found if found and found in lookup("layer") else ""


def _value(text: str, place: Signature) -> str:
    """A value as it is written here, if the argument takes it; otherwise nothing."""
    text = text.strip()
    if text in ("True", "False"):
        text = text.lower()
    if _NUMBER.fullmatch(text):
        number = float(text) if re.search(r"[.eE]", text) else int(text)
        return text if _fits(number, place) else ""
    if re.fullmatch(r"\"\w+\"|'\w+'", text):
        text = text[1:-1]
    if _WORD.fullmatch(text):
        registry = getattr(place.kind, "registry", None)
        if registry is not None:
            return text if text in lookup(registry) else called_here(text, lookup(registry)) or ""
        known = text in ("true", "false")
        return text if not known or _fits(text == "true", place) else ""
    if _TUPLE.fullmatch(text):
        sides = re.findall(r"[0-9]+", text)
        if not _fits(tuple(map(int, sides)), place):
            return ""
        return f"[{' '.join(sides)}]" if isinstance(place.kind, ListOf) else "x".join(sides)
    if _COMPUTED.fullmatch(text) and text.count("(") == text.count(")"):
        return f"({text})"
    return ""


def _fits(value: object, place: Signature) -> bool:
    try:
        place.kind.convert((value,) if place.many else value)
    except Mismatch:
        return False
    return True


def _split(inner: str) -> list[str]:
    """The parts between commas that are in no bracket."""
    return [part for part in _parts(inner) if part]


def _parts(inner: str) -> Iterator[str]:
    depth, start = 0, 0
    for place, mark in enumerate(inner):
        depth += (mark in "([{") - (mark in ")]}")
        if mark == "," and depth == 0:
            yield inner[start:place].strip()
            start = place + 1
    yield inner[start:].strip()
