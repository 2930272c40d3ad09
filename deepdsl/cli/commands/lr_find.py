"""`dnnc lr-find FILE`: which learning rate suits, from one pass in which it grows."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_training_arguments, changed_source, folder_of, positive

SUMMARY = "find a learning rate by increasing it over one epoch"
POSITION = 6  # in `dnnc --help`

PICTURE = "lr-find.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    add_training_arguments(parser)
    parser.add_argument(
        "--from", dest="low", type=_rate, default=1e-6, metavar="R", help="first rate (1e-6)"
    )
    parser.add_argument(
        "--to", dest="high", type=_rate, default=10.0, metavar="R", help="last rate (10)"
    )
    parser.add_argument(
        "--steps",
        type=_steps,
        metavar="N",
        help="updates, 10 or more; one epoch's by default, but at least 100 and at most 1,000",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE.html",
        type=Path,
        default=Path(PICTURE),
        help=f"the picture; {PICTURE} by default, and written over",
    )


def _steps(text: str) -> int:
    from deepdsl.training.lr_finder import FEWEST_POINTS

    if (steps := positive(text)) < FEWEST_POINTS:
        told = f"{steps} steps cannot show a curve: take at least {FEWEST_POINTS}"
        raise argparse.ArgumentTypeError(told)
    return steps


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is no learning rate above 0")
    return rate


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.compiler.front_end import load_program, training_of
    from deepdsl.compiler.job import open_job
    from deepdsl.graph.backend import open_backend
    from deepdsl.insight.charts import text_plot
    from deepdsl.insight.report.search import write_search
    from deepdsl.training.lr_finder import find_rate

    if options.low >= options.high:
        told = f"`--from` ({options.low:g}) must be below `--to` ({options.high:g})"
        return output.usage(told)
    program, warnings = load_program(changed_source(options))
    training = training_of(program, options.model)
    output.warnings(warnings)
    backend = open_backend(options.device, options.threads)
    job = open_job(program, training, folder_of(options.file), ("train",))
    output.warnings(job.splits.warnings)
    search = find_rate(job, backend, options.low, options.high, options.steps)
    write_search(search, job, options.out)
    plot = text_plot(search.rates, search.smoothed, log_x=True, mark=search.suggestion)
    batch = training.batch * training.accumulate
    rows = [["steps", f"{len(search.rates)} of {batch} rows, loss smoothed above"]]
    if search.diverged_at is not None:
        rows.append(["diverged", f"at {search.diverged_at:.2g}"])
    if search.steepest is not None and search.tenth is not None:
        rows += [
            ["steepest", f"{search.steepest:g}  where the smoothed loss falls fastest"],
            ["minimum", f"{search.tenth:g}  a tenth of the rate at which it is lowest"],
        ]
    if search.suggestion is None:
        rows.append(["suggestion", f"none: {search.reason}"])
    else:
        # With phases it is the first that was looked at, whose optimizer may be its own.
        first = training.stages[0]
        own = first.spans.get("optimizer") != training.spans.get("optimizer")
        where = f"{first.phase}." if own else ""
        told = f"{where}optimizer.lr={search.suggestion:g}: {search.reason}"
        rows.append(["suggestion", told])
    rows.append(["picture", str(options.out)])
    human = f"{plot}\n\n{table(rows)}"
    output.result(human, {**search.as_json(), "file": str(options.out)})
    return 0
