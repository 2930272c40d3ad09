"""`dnnc new NAME`: a starter file that trains as is."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.cli.files import FileTrouble
from deepdsl.language.syntax.tree import RESERVED

SUMMARY = "write a starter file"
POSITION = 1  # in `dnnc --help`

TEMPLATE = """\
# {title}: a network to begin with.  `dnnc train {file}` trains it on the digits that dnnc ships.
data digits {{
  train builtin digits
  valid split=10% stratify=true
  test  builtin digits
  scale (1 / 16)                   # pixels are 0 to 16; the exported model scales by itself
}}

model {name} {{
  input image[8 8]
  part body {{ flatten | dense 64 | relu | dense 32 | relu }}
  part head {{ dense 10 | softmax }}
}}

train {name} on digits {{
  loss      cross_entropy
  metric    accuracy
  optimizer adam lr=3e-3
  batch     32
  epochs    30
  stop      patience=10 on=valid.loss restore=best
  seed      42
}}

export {name} {{ onnx "{name}.onnx" }}
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the model; the file is NAME.dnn")


def run(options: argparse.Namespace, output: Output) -> int:
    path = Path(options.name if options.name.endswith(".dnn") else f"{options.name}.dnn")
    name = (
        "".join(c if c.isascii() and c.isalnum() else "_" for c in path.stem.lower()).strip("_")
        or "net"
    )
    name = f"net_{name}" if name[0].isdigit() or name in RESERVED else name
    text = TEMPLATE.format(title=path.stem, file=path, name=name)
    try:
        # "x": an existing file is never overwritten.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        reason = "it exists already, and nothing was written"
        raise DnnError([FileTrouble(None, str(path), reason)]) from error
    output.result(f"{path}: now `dnnc train {path}`", {"file": str(path)})
    return 0
