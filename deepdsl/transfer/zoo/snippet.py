"""The beginning of a `.dnn` file that builds on a model of a zoo."""

from __future__ import annotations

from deepdsl.transfer.template import CutAt, TemplatePort, identifier, model_text, use_line
from deepdsl.transfer.zoo.entry import ZooEntry, ZooTensor


def snippet(entry: ZooEntry, file: str) -> str:
    """`use` and a model with a new head; the `use` alone where the sizes are not known."""
    alias = identifier(entry.name)
    use = use_line(file, alias)
    source = entry.inputs[0]
    if len(entry.inputs) != 1 or source.fixed is None or "int64" in source.dtype:
        return f"{use}\n"
    port = TemplatePort(source.name, source.fixed, about=source.about)
    cut = first_cut(entry)
    name = "classifier" if alias != "classifier" else "new_classifier"
    at = CutAt(cut.name, tuple(d or 2 for d in cut.shape)) if cut else None
    return f"{use}\n\n{model_text(port, alias, name, at)}"


def first_cut(entry: ZooEntry) -> ZooTensor | None:
    """The cut point that is recommended: the first one."""
    return entry.cuts[0] if entry.cuts else None
