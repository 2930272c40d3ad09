"""`dnnc inspect FILE`: layers, shapes, parameters, memory and work."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import depth, read
from deepdsl.compiler.front_end import load_program, model_of
from deepdsl.core.registry import Registered
from deepdsl.core.text import plural
from deepdsl.insight.summary import Inspection, convolution_rows, inspect_model, table_rows
from deepdsl.language.analysis import Model, Training

SUMMARY = "show layers, shapes, parameters, memory, work"
POSITION = 4  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dnn file, or - for stdin")
    parser.add_argument("--model", metavar="M", help="which model; all by default")
    parser.add_argument(
        "--svg", metavar="OUT", help="draw the model into this file, or - for standard output"
    )
    parser.add_argument(
        "--depth",
        metavar="N",
        type=depth,
        help="frames inside frames in the picture; all by default",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    program, warnings = load_program(read(options.file))
    output.warnings(warnings)
    if options.svg is not None:
        return _draw(model_of(program, options.model), options, output)
    models = [model_of(program, options.model)] if options.model else list(program.models.values())
    if not models:
        models = [model_of(program, None)]
    found = []
    for model in models:
        training = next((t for t in program.trainings if t.model == model.name), None)
        data = program.datasets[training.data] if training else None
        found.append((inspect_model(model, data, training), training))
    pages = [_page(inspection, training) for inspection, training in found]
    if output.verbose:
        pages = [page + _convolutions(model) for page, model in zip(pages, models, strict=True)]
    text = "\n\n".join(pages)
    first = found[0][0].as_json()
    # One model is the object itself; several are told apart by name.
    machine = first if len(found) == 1 else {**first, "models": [f.as_json() for f, _ in found]}
    output.result(text, machine)
    return 0


def _convolutions(model: Model) -> str:
    """The convolutions of a model, where it has some, with their pads and how they are trained."""
    rows = convolution_rows(model)
    return "\n\n" + table(rows, right=(4,)) if rows else ""


def _draw(model: Model, options: argparse.Namespace, output: Output) -> int:
    from deepdsl.core.atomic_files import write_atomically
    from deepdsl.insight.drawing import picture

    drawn = picture(model, options.depth, alone=True)
    if options.svg == "-":
        output.result(drawn.rstrip("\n"), {"model": model.name, "svg": drawn})
        return 0
    place = Path(options.svg)
    write_atomically(place, drawn.encode())
    output.result(f"{place}: {model.name}", {"model": model.name, "file": str(place)})
    return 0


def _page(found: Inspection, training: object) -> str:
    lines = [f"model {found.model}", "", table(table_rows(found.rows), right=(3,)), ""]
    rest = found.total - found.trainable
    lines.append(f"parameters   {found.total:,} ({found.trainable:,} trainable, {rest:,} not)")
    lines.append(f"work         {_unit(found.flops_per_row, 'FLOP')} a row, forward")
    lines.append(
        f"memory       {_unit(found.total * 4, 'B')} of weights, "
        f"{_unit(found.activation_bytes_per_row, 'B')} of activations a row"
    )
    if isinstance(training, Training):
        lines[-1] += f", {_unit(found.state_bytes, 'B')} of training state"
        lines += ["", *_training(found, training)]
    return "\n".join(lines)


# How many tensors a line names.
NAMED = 4


def _training(found: Inspection, training: Training) -> list[str]:
    assert found.training is not None
    batch = f"batch {training.batch}"
    if training.accumulate > 1:
        batch += f", {training.accumulate} batches an update"
    lines = [
        f"trained on   {training.data}: {training.loss.show()}, {batch}, "
        f"{training.epochs} {plural(training.epochs, 'epoch')}, seed {training.seed}",
        f"optimizer    {_options(training.optimizer)}",
        f"schedule     {_options(training.schedule)}",
    ]
    if any(stage.phase for stage in training.stages):
        names = ", ".join(dict.fromkeys(stage.phase for stage in training.stages))
        lines[1:] = [f"phases       {names}; `dnnc plan` shows what holds in each"]
    if training.clip is not None:
        lines.append(f"clip         {_options(training.clip).removeprefix('clip ')}")
    decay = found.training["weight_decay"]
    if not decay["value"]:
        return [*lines, "weight decay none"]
    rest = decay["not_on"]
    more = f" and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
    not_on = f"; not on {', '.join(rest[:NAMED])}{more}" if rest else ""
    count = len(decay["on"])
    tensors = "1 tensor" if count == 1 else f"{count} tensors"
    return [*lines, f"weight decay {decay['value']:g} on {tensors}{not_on}"]


def _options(entry: Registered) -> str:
    """A name with all its options, defaults too."""
    told = [
        s.shown(value) if s.positional else f"{s.name}={s.shown(value)}"
        for s in entry.signature()
        if (value := getattr(entry, s.name)) is not None
    ]
    return " ".join([entry.name, *told])


def _unit(number: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1000
    return f"{number:.3g} T{unit}"
