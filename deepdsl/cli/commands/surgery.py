"""`dnnc surgery FILE.onnx`: where a trained network can be cut, and a starter file that does it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from deepdsl.cli.output import Output, exit_status, file_status, table
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.transfer.zoo import FileThere

if TYPE_CHECKING:
    from deepdsl.transfer.cut_points import CutPointInfo, Survey

SUMMARY = "show where an ONNX file can be cut, and write a starter file for it"
POSITION = 15  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.onnx", type=Path)
    parser.add_argument(
        "-o", "--out", metavar="STARTER.dnn", type=Path, help="write the starter file here"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    parser.add_argument(
        "--size",
        metavar="3x48x192",
        help="the sizes of one row, channels first, where the file leaves them free",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.core.atomic_files import write_atomically
    from deepdsl.transfer.cut_points import parse_size, starter_text, survey

    if options.out is not None and options.out.exists() and not options.force:
        raise DnnError([FileThere(None, str(options.out))])
    size = parse_size(options.size, str(options.file)) if options.size is not None else None
    try:
        seen = survey(options.file, size, str(options.file))
    except DnnError as error:
        return file_status(output.failure(error))
    shown = seen.places if output.verbose else seen.stages
    text = _page(seen, shown)
    try:
        starter = starter_text(seen, _relative(options.file, options.out))
    except DnnError as error:
        # The places are worth seeing without sizes; a file that was asked for cannot be written.
        if options.out is not None or output.as_json:
            raise
        output.result(text, None)
        return exit_status(output.failure(error))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out, starter.encode())
        told = f"{text}\n\n{options.out}: now `dnnc check {options.out}`"
    else:
        told = f"{text}\n\n{starter.rstrip()}"
    output.result(told, _as_json(seen, starter, options.out))
    return 0


def _page(seen: Survey, shown: tuple[CutPointInfo, ...] | list[CutPointInfo]) -> str:
    from deepdsl.transfer.cut_points import shown_shape

    lines = [
        f"{kind:<7} {t.name}  {shown_shape(t.shape)}  {t.dtype}"
        for kind, tensors in (("input", seen.inputs), ("output", seen.outputs))
        for t in tensors
    ]
    lines.append("")
    if not seen.places:
        return "\n".join([*lines, "no place to cut: no tensor has everything flow through it"])
    rows = [["", "tensor", "one row", "depth", "parameters before", "made by"]]
    rows += [
        [
            "→" if place is seen.recommended else "",
            place.tensor,
            shown_shape(place.shape),
            str(place.depth),
            f"{place.params:,}",
            place.operator,
        ]
        for place in shown
    ]
    lines.append(table(rows, right=(3, 4)))
    if len(shown) < len(seen.places):
        lines.append(f"{len(shown)} of {len(seen.places)} places; -v shows all")
    if seen.recommended is not None:
        lines.append(f'→ before the classifier: until="{seen.recommended.tensor}"')
    return "\n".join(lines)


def _relative(file: Path, out: Path | None) -> str:
    """The path that leads from the starter file to the network."""
    if out is None or file.is_absolute():
        return file.as_posix()
    import os

    return Path(os.path.relpath(file, out.parent)).as_posix()


def _as_json(seen: Survey, starter: str, out: Path | None) -> dict[str, object]:
    return {
        "file": seen.file,
        "inputs": [{"name": t.name, "shape": t.shape, "dtype": t.dtype} for t in seen.inputs],
        "outputs": [{"name": t.name, "shape": t.shape, "dtype": t.dtype} for t in seen.outputs],
        "params": seen.params,
        "size": seen.size,
        "recommended": seen.recommended.tensor if seen.recommended else None,
        "places": [
            {
                "tensor": p.tensor,
                "shape": p.shape,
                "depth": p.depth,
                "params": p.params,
                "operator": p.operator,
                "recommended": p is seen.recommended,
            }
            for p in seen.places
        ],
        "starter": starter,
        "out": str(out) if out else None,
    }
