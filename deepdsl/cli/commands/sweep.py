"""`dnnc sweep FILE`: trains a file with different settings, and compares them."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepdsl.cli import sweep_worker
from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_training_arguments, folder_of, positive, read
from deepdsl.insight import help_pages as pages

if TYPE_CHECKING:
    from deepdsl.training.sweep.grid import SweepAxis
    from deepdsl.training.sweep.runs import How, Planned, SweepResult
    from deepdsl.training.sweep.table import Comparison

SUMMARY = "train with different settings, and compare them"
POSITION = 8  # in `dnnc --help`

INTERRUPTED = 130


def arguments(parser: argparse.ArgumentParser) -> None:
    told = "optimizer.lr=0.1,0.01 or let.depth=1..5; several make all combinations"
    add_training_arguments(parser, told)
    parser.add_argument(
        "--seeds", metavar="N", help="with seeds 1 to N, or those of a list: 4..6, or 7,9"
    )
    parser.add_argument(
        "--reuse",
        metavar="K..L",
        help="how many layers of the reused piece keep their weights: 0..5, or 0,2,4",
    )
    parser.add_argument(
        "--reuse-of", metavar="PATH", help="which `reuse`, where the model has several"
    )
    parser.add_argument(
        "--on",
        metavar="FIGURE",
        help="what is compared: valid.accuracy; by default what `stop`"
        " watches, or the first metric",
    )
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="runs at a time (1)")
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        type=Path,
        help="where the runs go; runs/NAME-sweep by default",
    )
    parser.add_argument("--csv", metavar="OUT", type=Path, help="write a line for each run")


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.core.atomic_files import write_atomically
    from deepdsl.training.sweep.grid import points, seeds_of
    from deepdsl.training.sweep.runs import How, plan
    from deepdsl.training.sweep.table import Comparison, watched_figure

    if options.seed is not None and options.seeds is not None:
        return output.usage(
            "--seed and --seeds are one too many", "`--seeds 7,9` are seeds 7 and 9"
        )
    if options.reuse_of is not None and options.reuse is None:
        return output.usage("--reuse-of goes with --reuse", "such as --reuse 0..5")
    axes = _axes(options)
    seeds = seeds_of(options.seeds) if options.seeds is not None else (options.seed,)
    wanted = points(axes, seeds)
    source = read(options.file)
    stem = Path(options.file).stem if options.file != "-" else "stdin"
    out = options.out or Path("runs") / f"{stem}-sweep"
    planned = plan(source, wanted, options.model, out, stem)
    first = next(p for p in planned if p.training is not None)
    assert first.training is not None
    assert first.program is not None
    on = watched_figure(first.program, first.training, options.on)
    how = How(
        folder_of(options.file),
        options.device,
        options.jobs,
        sweep_worker.train_here,
        sweep_worker.__name__,
        options.threads,
    )
    out.mkdir(parents=True, exist_ok=True)
    made = _make(planned, how, on, output)
    compared = Comparison(axes, on, first.training.best_of(on), wanted, made)
    write_atomically(out / "sweep.json", (json.dumps(compared.as_json(), indent=2) + "\n").encode())
    if options.csv is not None:
        write_atomically(options.csv, compared.as_csv().encode())
    return _tell(compared, options, output, out)


def _axes(options: argparse.Namespace) -> list[SweepAxis]:
    from deepdsl.training.sweep.grid import SweepAxis, axis, layer_counts

    axes = [axis(text) for text in options.set]
    if options.epochs is not None:
        axes.append(axis(f"epochs={options.epochs}"))
    if options.reuse is not None:
        what = f"reuse:{options.reuse_of}" if options.reuse_of else "reuse"
        axes.append(SweepAxis(f"{what}.layers", layer_counts(options.reuse)))
    return axes


def _make(planned: Sequence[Planned], how: How, on: str, output: Output) -> list[SweepResult]:
    """Make what is not there yet; a line for each run on stderr."""
    from deepdsl.training.sweep.runs import known, make

    found = [(each, known(each)) for each in planned]
    made = [run for _, run in found if run is not None]
    missing = [each for each, run in found if run is None]
    before = sum(run.again for run in made)
    output.note(
        f"{len(planned)} runs, compared by {on}"
        + (f"; {before} of them are there already" if before else "")
    )
    for run in made:
        if run.failed and not run.again:
            output.note(_line(run, on, f"      {' '.join(run.point.written)}"))
    try:
        for run in make(missing, how):
            made.append(run)
            count = f"{len(made):>3}/{len(planned)}"
            output.note(_line(run, on, f"{count}  {' '.join(run.point.written)}"))
    except KeyboardInterrupt:
        # Between two runs.
        pass
    return made


def _line(run: SweepResult, on: str, begin: str) -> str:
    from deepdsl.training.sweep.table import figure

    value = figure(run, on)
    end = f"{on} {value:.4f}" if value is not None else f"no {on}"
    if run.failed:
        end = f"{run.reason} ({run.code})"
    return f"{begin}  {end}  {run.seconds:.1f} s"


def _tell(compared: Comparison, options: argparse.Namespace, output: Output, out: Path) -> int:
    lines = compared.lines()
    human = table(lines, range(len(lines[0]) - 1)) if len(lines) > 1 else ""
    best = compared.best
    if best is not None:
        words = ["dnnc", "train", options.file]
        words += ["--model", options.model] if options.model else []
        words += [word for s in best.settings for word in ("--set", str(s))]
        human += f"\nbest: {shlex.join(words)}"
    output.result(f"{human}\nruns: {out}".lstrip(), {**compared.as_json(), "folder": str(out)})
    if not compared.complete:
        output.note(
            f"interrupted after {len(compared.made)} of {len(compared.planned)} runs; "
            "the same command continues from here"
        )
        return INTERRUPTED
    if all(run.failed for run in compared.made):
        if compared.made[0].help:
            output.note(f"help: {compared.made[0].help}")
        return pages.codes()[compared.made[0].code].exit_status
    return 0
