"""Starter files: a `.dnn` text that puts a new head on the body of a trained network."""

from __future__ import annotations

import re

from deepdsl.core.record import record
from deepdsl.core.registry import Registered
from deepdsl.language.syntax.tree import RESERVED

_ITEMS = {"use", "block", "model", "data", "train", "export", "phase", "reuse", "output"}
# Classes of the new head, which the reader puts their own number for.
CLASSES = 10
LONGEST_COMMENT = 88


@record
class TemplatePort:
    """An input as the new model has it: the shape of one row, and what its numbers should be."""

    name: str
    shape: tuple[int, ...]
    indices: bool = False  # of rows of a table
    about: str = ""


@record
class CutAt:
    """The tensor after which the new head is, and the shape of one row of it."""

    tensor: str
    shape: tuple[int, ...]


def identifier(name: str, other: str = "net") -> str:
    """A name of the language near to a file's or a tensor's."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower().encode("ascii", "ignore").decode()).strip("_")
    word = re.sub(r"_onnx$", "", word) or other
    taken = RESERVED | _ITEMS | {n for known in Registered.registries.values() for n in known}
    return f"{other}_{word}" if word[0].isdigit() or word in taken else word


def use_line(file: str, alias: str) -> str:
    """`use "net.onnx" as net`."""
    return f"use {quoted(file)} as {alias}"


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def model_text(port: TemplatePort, alias: str, name: str, cut: CutAt | None) -> str:
    """The model: the trained body, a new head."""
    sizes = " ".join(map(str, port.shape))
    until = f" until={quoted(cut.tensor)}" if cut else ""
    gives = f"  # gives {' × '.join(map(str, cut.shape))}" if cut and cut.shape else ""
    return (
        f"model {name} {{\n"
        f"  input {identifier(port.name, 'x')}[{sizes}]{' dtype=int64' if port.indices else ''}\n"
        f"  part body {{ reuse {alias}{until} }}{gives}\n"
        f"  part head {{ {head(cut)} }}  # one output for each of your classes\n"
        "}\n"
    )


def head(cut: CutAt | None) -> str:
    """A new head on values of a shape."""
    shape = cut.shape if cut else ()
    dense = f"dense {CLASSES} | softmax"
    if len(shape) == 1:
        return dense
    if len(shape) == 3 and shape[1] * shape[2] > 1:
        return f"global_avg_pool | {dense}"
    return f"flatten | {dense}"


def starter(file: str, port: TemplatePort, cut: CutAt | None, weights: bool = True) -> str:
    """The whole file: it is complete but for the rows, which are the reader's own.

    A body without `weights` has nothing to freeze, and one phase is enough.
    """
    alias = identifier(file.rpartition("/")[2].removesuffix(".onnx"), "body")
    name = "classifier" if alias != "classifier" else "new_classifier"
    return "\n".join(
        [
            f"# A new head on the body of {file}{ORDER if weights else '.'}\n"
            "# Name your own rows in `data`, put your number of classes into the head; then "
            "`dnnc train`.\n"
            f"{use_line(file, alias)}\n",
            _data(port),
            model_text(port, alias, name, cut),
            TRAIN.format(
                name=name, rows=_rows(6 if weights else 9), steps=PHASES if weights else ONE
            ),
            f'export {name} {{ onnx "{name}.onnx" }}\n',
        ]
    )


ORDER = ": first the head alone, then all of it."

TRAIN = "train {name} on rows {{\n{rows}{steps}}}\n"

# What all phases have in common; the formatter aligns rows that are together.
ROWS = {"loss": "cross_entropy", "metric": "accuracy", "batch": "32", "seed": "7"}

PHASES = """
  phase warm_up {
    freeze    body                   # weights, batch norms' running values, dropout off
    optimizer adam lr=1e-3
    epochs    5
  }
  phase fine_tune {
    unfreeze  body
    lr_mult   body=0.1
    optimizer adam lr=1e-3
    epochs    15
    stop      patience=4 on=valid.loss restore=best
  }
"""

ONE = """\
  optimizer adam lr=1e-3
  epochs    20
  stop      patience=4 on=valid.loss restore=best
"""


def _rows(width: int) -> str:
    return "".join(f"  {key:<{width}} {value}\n" for key, value in ROWS.items())


def _data(port: TemplatePort) -> str:
    lines = _comment(f"{port.name}: {port.about}") if port.about else []
    shape = port.shape
    valid = "valid split=20% stratify=true"
    if not port.indices and len(shape) == 3 and shape[0] in (1, 3, 4):
        size = f"{shape[1]}x{shape[2]}"
        lines += [f'train images "rows" size={size}  # one folder a class; values 0 to 1', valid]
        if not port.about:
            lines.append(
                "# normalize mean=[…] std=[…]: the numbers that the network was trained with"
            )
    elif not port.indices and len(shape) == 1:
        lines += ['train csv "rows.csv" target=label', valid]
    else:
        lines += ['train npz "rows.npz"  # the arrays x and y', valid]
    return "\n".join(["data rows {", *(f"  {line}" for line in lines), "}\n"])


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + len(word) >= LONGEST_COMMENT:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]
