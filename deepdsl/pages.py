"""The pages of `dnnc explain` and of the reference: read off the registries, written nowhere
else.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable

from deepdsl import diagnostics
from deepdsl.diagnostics import Diagnostic, did_you_mean
from deepdsl.registry import Registered

# The registries in the order of the reference, with what they are called in the plural.
KINDS = {
    "layer": "layers",
    "initializer": "initializers",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "source": "data sources",
    "data_row": "rows of a data section",
    "transform": "transforms of the data",
    "train_row": "rows of a train section",
    "export_row": "rows of an export section",
}


def load_everything() -> None:
    """Import every module that registers something."""
    importlib.import_module("deepdsl.analysis")
    importlib.import_module("deepdsl.lints")
    for module in pkgutil.iter_modules(diagnostics.__path__):
        importlib.import_module(f"deepdsl.diagnostics.{module.name}")


def codes() -> dict[str, type[Diagnostic]]:
    """Every diagnostic by its code."""
    load_everything()
    return dict(sorted(Diagnostic.registry.items()))


def entries() -> dict[str, dict[str, type[Registered]]]:
    """Every registry with its entries by name."""
    load_everything()
    return {kind: dict(sorted(Registered.registries[kind].items())) for kind in KINDS}


def names() -> list[str]:
    return [*codes(), *sorted({name for known in entries().values() for name in known})]


def find(name: str) -> list[str]:
    """The pages under a name: a code, or every entry of that name; the list of a registry for its
    plural.
    """
    code = codes().get(name.upper())
    if code is not None:
        return [diagnostic_page(code)]
    for kind, plural in KINDS.items():
        if name in (kind, plural, plural.split(" of ")[0], f"{kind}s"):
            return [f"{plural}: " + ", ".join(entries()[kind])]
    found = [
        f"{kind.replace('_', ' ')} `{name}`\n\n{cls.page()}"
        for kind, known in entries().items()
        if (cls := known.get(name)) is not None
    ]
    return found or _option_pages(name)


def _option_pages(name: str) -> list[str]:
    """What has an option of this name, and what it means there."""
    return [
        f"`{name}` of the {kind.replace('_', ' ')} `{cls.name}`: {s.doc} "
        f"({s.kind.expected}; {'required' if s.required else f'default {s.shown(s.default)}'})"
        for kind, known in entries().items()
        for cls in known.values()
        for s in cls.signature()
        if s.name == name
    ]


def diagnostic_page(cls: type[Diagnostic]) -> str:
    """A diagnostic's docstring with its two programs under plain headings."""
    text = re.sub(r"```wrong\n(.*?)```", _fenced("Wrong:"), cls.page(), flags=re.S)
    text = re.sub(r"```right\n(.*?)```", _fenced("Right:"), text, flags=re.S)
    title = re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower()
    return f"{cls.code}: {title}\n\n{text.rstrip()}"


def _fenced(heading: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        body = "".join(f"    {line}\n" for line in match.group(1).splitlines())
        return f"{heading}\n\n{body}"

    return replace


def nearest(name: str) -> str:
    near = did_you_mean(name, names())
    return f"; {near}" if near.startswith("did") else "; `dnnc explain` lists them"


def overview() -> str:
    """All names by registry, and all codes."""
    lines = []
    for kind, known in entries().items():
        lines += [f"{KINDS[kind]}:", "    " + ", ".join(known), ""]
    lines.append("diagnostics:")
    lines += [f"    {code}  {cls.page().splitlines()[0]}" for code, cls in codes().items()]
    return "\n".join(lines)
