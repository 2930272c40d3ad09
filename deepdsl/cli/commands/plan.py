"""`dnnc plan FILE`: each layer in each phase: frozen or not, how fast it learns, where its weights
come from, whether its outputs are kept.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_file_arguments, changed_source

if TYPE_CHECKING:
    from deepdsl.insight.training_plan import Plan

SUMMARY = "show each layer in each phase of a training"
POSITION = 5  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    add_file_arguments(parser)
    parser.add_argument("--tensors", action="store_true", help="a row for each tensor")


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.compiler.front_end import load_program, training_of
    from deepdsl.insight.training_plan import plan

    program, warnings = load_program(changed_source(options))
    output.warnings(warnings)
    one = options.model is not None or len(program.trainings) < 2
    trainings = [training_of(program, options.model)] if one else list(program.trainings)
    plans = [plan(program, training) for training in trainings]
    machine = plans[0].as_json()
    if len(plans) > 1:
        machine = {**machine, "plans": [p.as_json() for p in plans]}
    output.result("\n\n".join(_page(p, options.tensors) for p in plans), machine)
    return 0


def _page(made: Plan, tensors: bool) -> str:
    lines = [f"{made.model.name} on {made.training.data}", ""]
    lines.append(table(made.rows(tensors), right=(1,)))
    lines.append("")
    for number, phase in enumerate(made.phases, 1):
        name = phase.name or (f"stage {number}" if len(made.phases) > 1 else "training")
        stage = phase.training
        told = f"{stage.optimizer.show()}, {stage.schedule.show()}"
        if stage.stop is not None:
            told += f", stop after {stage.stop.patience} epochs without a better {stage.stop.on}"
        lines.append(f"{name}: {told}")
        if phase.why_not:
            lines.append(f"  outputs of frozen layers are not cached: {phase.why_not}")
    return "\n".join(lines)
