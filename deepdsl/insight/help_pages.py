"""The pages of `dnnc explain` and of the reference: read off the registries, written nowhere
else.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable

from deepdsl import diagnostics
from deepdsl.core.registry import Registered
from deepdsl.diagnostics import Diagnostic, Severity, did_you_mean
from deepdsl.diagnostics.vocabulary import called_here, plain, planned, unlike_all
from deepdsl.nn.layers.activations.base import Activation

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
    "augmentation": "augmentations of training images",
    "train_row": "rows of a train section",
    "export_row": "rows of an export section",
    "word": "words for trained layers",
}


# The words of the language: the form, and what it is for.
WORDS = {
    "let": "`let NAME = value`: a constant, for what stands below it",
    "default": "`default LAYER name=value …`: options of one kind of layer, where none are given",
    "model": "`model NAME { input x[28 28]; flatten | dense 10 | softmax }`: a network",
    "data": '`data NAME { train csv "a.csv" target=y; valid split=10% }`: where rows come from',
    "train": "`train MODEL on DATA { loss cross_entropy; epochs 10 }`: how a model is trained",
    "augment": "`augment flip horizontal`: training rows varied anew in each epoch; the kinds are "
    "listed by `dnnc explain augmentations`",
    "export": '`export MODEL { onnx "net.onnx" }`: what is deployed',
    "input": "`input NAME[28 28]`: what the model takes, with the shape of one row",
    "output": "`output NAME`: a value that the model gives; the last line where none is named",
    "part": "`part NAME { dense 8 | relu }`: layers with a name, which a line then uses by it",
    "repeat": "`repeat 3 { dense 8 | relu }`: the same layers, several times, each with weights",
    "phase": "`phase NAME { freeze body; optimizer sgd lr=0.1; epochs 5 }`: a stage of a training",
    "block": "`block NAME(n=8) { dense n | relu }`: a template, with fresh weights at each use",
    "use": '`use "file.dnn" as NAME weights="runs/file"`: the blocks, models and constants of '
    "another file, and its trained weights for `reuse`; or an .onnx file",
    "if": "`if n == 1 then in else in | dense 8`: a choice, made when the file is compiled",
}


def load_everything() -> None:
    """Import every module that registers something."""
    importlib.import_module("deepdsl.language.analysis")
    importlib.import_module("deepdsl.language.lints")
    for module in pkgutil.walk_packages(diagnostics.__path__, "deepdsl.diagnostics."):
        importlib.import_module(module.name)


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
    if pages := _list_of(name):
        return pages
    word = [f"{WORDS[name]}\n\nSee docs/language.md."] if name in WORDS else []
    found = word + [
        f"{kind.replace('_', ' ')} `{name}`\n\n{cls.page()}"
        for kind, known in entries().items()
        if (cls := known.get(name)) is not None
    ]
    return found or _option_pages(name) or _called_elsewhere(name)


def _list_of(name: str) -> list[str]:
    """What belongs together and is no registry of its own."""
    if name in ("activation", "activations"):
        known = entries()["layer"].values()
        lines = [f"{cls.name}: {cls.formula()}" for cls in known if issubclass(cls, Activation)]
        return ["activations, which are layers:\n\n" + "\n".join(f"    {each}" for each in lines)]
    if name in ("lint", "lints", "warning", "warnings"):
        found = [(code, cls) for code, cls in codes().items() if cls.severity is Severity.WARNING]
        return ["\n".join(f"{code}  {cls.page().splitlines()[0]}" for code, cls in found)]
    return []


def _called_elsewhere(name: str) -> list[str]:
    """The page of what another tool calls by this name: `nn.Linear`, `xavier`, `Conv2d`."""
    word = name.rpartition(".")[2]
    if plain(word) == "xavier":
        return [diagnostic_page(codes()["E111"])]
    for kind, known in entries().items():
        here = called_here(word, known) or next((n for n in known if plain(n) == plain(word)), None)
        if here is not None:
            return [f"`{name}` is `{here}` here.", *find_in(kind, here)]
        awaited = planned(kind)
        later = word if word in awaited else called_here(word, awaited)
        if later is not None:
            return [f"the {kind.replace('_', ' ')} `{later}` is known and not built yet"]
    return []


def find_in(kind: str, name: str) -> list[str]:
    """The page of an entry of one registry."""
    return [f"{kind.replace('_', ' ')} `{name}`\n\n{entries()[kind][name].page()}"]


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
    near = "" if unlike_all(name) else did_you_mean(name, names())
    return f"; {near}" if near.startswith("did") else "; `dnnc explain` lists them"


def overview() -> str:
    """All names by registry, and all codes."""
    lines = []
    for kind, known in entries().items():
        lines += [f"{KINDS[kind]}:", "    " + ", ".join(known), ""]
    lines.append("diagnostics:")
    lines += [f"    {code}  {cls.page().splitlines()[0]}" for code, cls in codes().items()]
    return "\n".join(lines)
