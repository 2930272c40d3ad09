"""How long it takes to compile networks of growing depth: a plain chain of dense layers, and a
residual network of convolutions.

Usage: python benchmarks/compile_time.py [LAYERS …]

Seconds for each stage, the least of three: parsing, analysis and lints (`dnnc check`); lowering and
differentiation; passes; ONNX; and a session of onnxruntime for the step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from deepdsl.compiler.front_end import check
from deepdsl.compiler.training_step import Task, step_with_gradients
from deepdsl.core.source import Source
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.graph.passes import optimize

RUNS = 3
T = TypeVar("T")

TRAINING = """
data d {{ train npz "none.npz" }}
train net on d {{ loss cross_entropy; metric accuracy
  optimizer sgd lr=0.1 momentum=0.9 weight_decay=1e-4; batch 128; epochs 1 }}
model net {{
{body}
}}
"""


def plain(layers: int) -> str:
    """A chain, every layer on a line of its own."""
    lines = ["input x[64]", *["dense 64 | batch_norm | relu"] * layers, "dense 10 | softmax"]
    return TRAINING.format(body="\n".join(lines))


def residual(layers: int) -> str:
    """Three stages as in He et al. 2015, with two convolutions a block."""
    lines = ["input image[3 32 32]", "x0 = image | conv 16 3x3 pad=same bias=false | batch_norm"]
    blocks = max(1, layers // 6)
    for number in range(3 * blocks):
        filters, first = 16 * 2 ** (number // blocks), number % blocks == 0
        stride = 2 if number and first else 1
        conv = f"conv {filters} {{0}} pad=same bias=false stride={{1}} | batch_norm"
        side = f"x{number} | {conv.format('1x1', stride)}" if stride == 2 else f"x{number}"
        lines += [
            f"main{number} = x{number} | {conv.format('3x3', stride)} | relu | "
            f"{conv.format('3x3', 1)}",
            f"side{number} = {side}",
            f"x{number + 1} = main{number} + side{number} | relu",
        ]
    lines.append(f"x{3 * blocks} | global_avg_pool | dense 10 | softmax")
    return TRAINING.format(body="\n".join(lines))


def least(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and what was made."""
    best, made = float("inf"), None
    for _ in range(RUNS):
        begin = time.perf_counter()
        made = work()
        best = min(best, time.perf_counter() - begin)
    return best, made  # type: ignore[return-value]


def measured(text: str) -> list[Any]:
    source = Source("net.dnn", text)
    checking, (program, report) = least(lambda: check(source))
    report.raise_if_errors()
    assert program is not None
    (training,) = program.trainings
    task = Task(program.models["net"], training, program.datasets["d"])
    lowering, (raw, _) = least(lambda: step_with_gradients(task, 100))
    passing, graph = least(lambda: optimize(raw))
    writing, data = least(lambda: emit(graph, "net").serialize())
    opening, _ = least(lambda: open_backend("cpu", 2).runner(data))
    seconds = [checking, lowering, passing, writing, opening]
    return [len(graph.nodes), *(f"{s:.2f}" for s in seconds)]


def main() -> None:
    depths = [int(n) for n in sys.argv[1:]] or [10, 30, 100, 300]
    print("| network | layers | operations | check | lower | passes | emit | session |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, text in (("plain", plain), ("residual", residual)):
        for layers in depths:
            figures = " | ".join(map(str, measured(text(layers))))
            print(f"| {name} | {layers} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
