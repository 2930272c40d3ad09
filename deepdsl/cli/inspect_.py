"""`dnnc inspect FILE`: layers, shapes, parameters, memory and work."""

from __future__ import annotations

import argparse

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import read
from deepdsl.frontend import load_program, model_of
from deepdsl.inspection import Inspection, inspect_model, table_rows


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dnn file, or - for stdin")
    parser.add_argument("--model", metavar="M", help="which model; all by default")


def run(options: argparse.Namespace, output: Output) -> int:
    program, warnings = load_program(read(options.file))
    output.warnings(warnings)
    models = [model_of(program, options.model)] if options.model else list(program.models.values())
    if not models:
        models = [model_of(program, None)]
    found = []
    for model in models:
        training = next((t for t in program.trainings if t.model == model.name), None)
        data = program.datasets[training.data] if training else None
        found.append((inspect_model(model, data, training), training))
    text = "\n\n".join(_page(inspection, training) for inspection, training in found)
    first = found[0][0].as_json()
    # One model is the object itself; several are told apart by name.
    machine = first if len(found) == 1 else {**first, "models": [f.as_json() for f, _ in found]}
    output.result(text, machine)
    return 0


def _page(found: Inspection, training: object) -> str:
    from deepdsl.analysis import Training

    lines = [f"model {found.model}", "", table(table_rows(found), right=(3,)), ""]
    rest = found.total - found.trainable
    lines.append(f"parameters   {found.total:,} ({found.trainable:,} trainable, {rest:,} not)")
    lines.append(f"work         {_unit(found.flops_per_row, 'FLOP')} a row, forward")
    lines.append(
        f"memory       {_unit(found.total * 4, 'B')} of weights, "
        f"{_unit(found.activation_bytes_per_row, 'B')} of activations a row"
    )
    if isinstance(training, Training):
        lines[-1] += f", {_unit(found.state_bytes, 'B')} of training state"
        lines += [
            "",
            f"trained on   {training.data}: {training.loss.show()}, "
            f"{training.optimizer.name} lr={training.optimizer.lr:g}, "
            f"{training.schedule.name} schedule",
            f"             batch {training.batch}, {training.epochs} epochs, seed {training.seed}",
        ]
    return "\n".join(lines)


def _unit(number: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1000
    return f"{number:.3g} T{unit}"
