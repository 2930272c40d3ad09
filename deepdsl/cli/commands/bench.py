"""`dnnc bench FILE`: how long a step takes, how much memory, and how long until the first step."""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_training_arguments, changed_source, folder_of, positive

SUMMARY = "time training steps"
POSITION = 17  # in `dnnc --help`

WARM_UP = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    add_training_arguments(parser)
    parser.add_argument(
        "--steps", type=positive, default=500, metavar="N", help="steps to time (500)"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    begin = time.perf_counter()
    import numpy as np

    from deepdsl.compiler.build import build
    from deepdsl.compiler.front_end import load_program, training_of
    from deepdsl.compiler.job import open_job
    from deepdsl.data.order import epoch_order
    from deepdsl.data.prefetch import reading
    from deepdsl.graph.backend import open_backend
    from deepdsl.training.stages import step_model

    source = changed_source(options)
    program, _ = load_program(source)
    training = training_of(program, options.model)
    backend = open_backend(options.device, options.threads)
    job = open_job(program, training, folder_of(options.file), ("train",))
    view = job.splits.train
    assert view is not None
    compiling = time.perf_counter()
    artifacts = build(job)
    compile_s = time.perf_counter() - compiling
    stepper = backend.stepper(step_model(artifacts.stages[0]), artifacts.step_state)
    rows = min(training.batch, len(view))
    order = epoch_order(training.seed, 0, len(view))
    starts = range(0, len(view) - rows + 1, rows)

    count = max(1, options.steps)
    chosen = [starts[n % len(starts)] for n in (0, *range(WARM_UP), *range(count))]
    pieces = [np.asarray(order[start : start + rows]) for start in chosen]
    times = []
    with reading(view, pieces, stepper.buffers(rows), 0) as reader:

        def step() -> None:
            reader.fill(stepper.buffers(rows))
            stepper.step(rows)

        step()
        first_step_s = time.perf_counter() - begin
        for _ in range(WARM_UP):
            step()
        before = reader.waited
        for _ in range(count):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1e6)
        wait = (reader.waited - before) / count * 1e6
    median = statistics.median(times)
    peak = _peak_megabytes()
    nodes = len(artifacts.step.proto.graph.node)
    figures = {
        "step_us": {"min": round(min(times), 1), "median": round(median, 1)},
        "data_wait_us": round(wait, 1),
        "rows_per_s": round(rows / median * 1e6, 1),
        "first_step_s": round(first_step_s, 3),
        "compile_s": round(compile_s, 4),
        "peak_rss_mb": round(peak, 1),
        "batch": rows,
        "steps": len(times),
        "nodes": nodes,
        "device": backend.name,
    }
    lines = [
        [
            "step",
            f"{min(times):,.0f} µs min, {median:,.0f} µs median, {len(times)} steps of {rows} rows",
        ],
        ["of which", f"{wait:,.0f} µs mean in waiting for rows"],
        ["throughput", f"{rows / median * 1e6:,.0f} rows/s"],
        [
            "first step",
            f"{first_step_s:.2f} s after the start, of which {compile_s:.3f} s compiling",
        ],
        ["memory", f"{peak:,.0f} MB at most"],
        ["graph", f"{nodes} nodes, on {backend.name}"],
    ]
    output.result(table(lines), figures)
    return 0


def _peak_megabytes() -> float:
    """The most memory that this process has held; NaN where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    # Linux counts in kilobytes, macOS in bytes.
    shift = 20 if sys.platform == "darwin" else 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << shift)
