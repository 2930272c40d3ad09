"""Forms that a convolution and its two gradients can be written in, timed on shapes of usual nets.

Usage: python benchmarks/convolutions.py [SECONDS] [OUT.md]

Each form is a graph of its own on onnxruntime with two threads.  The forms of a shape are run in
turn, so long in all; printed are the fastest runs in milliseconds, with the form that is taken in
bold.  What the package has is beside what was tried and not taken.  Where PyTorch is installed
its time is the last column of each pass."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, conv_lowering
from deepdsl.graph.backend import open_backend
from deepdsl.graph.conv_lowering import TRANSPOSED, WEIGHTS, Geometry
from deepdsl.graph.emit import emit

# name: rows, channels, size, filters, kernel, stride, groups; padded as `same` but for LeNet.
SHAPES: dict[str, tuple[int, ...]] = {
    "LeNet 1 -> 6, 5 x 5": (128, 1, 28, 6, 5, 1, 1),
    "LeNet 6 -> 16, 5 x 5": (128, 6, 12, 16, 5, 1, 1),
    "cnn128 1 -> 32, 3 x 3": (128, 1, 28, 32, 3, 1, 1),
    "cnn128 32 -> 64, 3 x 3": (128, 32, 28, 64, 3, 1, 1),
    "resnet20 16, 3 x 3": (128, 16, 32, 16, 3, 1, 1),
    "resnet20 32, 3 x 3": (128, 32, 16, 32, 3, 1, 1),
    "resnet20 64, 3 x 3": (128, 64, 8, 64, 3, 1, 1),
    "resnet20 16, 3 x 3, batch 32": (32, 16, 32, 16, 3, 1, 1),
    "resnet20 16 -> 32, 3 x 3 / 2": (128, 16, 32, 32, 3, 2, 1),
    "resnet20 16 -> 32, 1 x 1 / 2": (128, 16, 32, 32, 1, 2, 1),
    "64 -> 128, 1 x 1": (32, 64, 16, 128, 1, 1, 1),
    "depthwise 32, 3 x 3": (128, 32, 28, 32, 3, 1, 32),
    "3 -> 64, 7 x 7 / 2": (4, 3, 224, 64, 7, 2, 1),
    "64, 3 x 3": (16, 64, 56, 64, 3, 1, 1),
    "sequences 32 -> 64, 5": (128, 32, 0, 64, 5, 1, 1),
}
LENGTH = 200  # of a sequence


def geometry(shape: tuple[int, ...], padded: bool) -> Geometry:
    _, channels, size, filters, kernel, stride, groups = shape
    rank = 2 if size else 1
    size, pad = size or LENGTH, kernel // 2 if padded else 0
    out = (size + 2 * pad - kernel) // stride + 1
    sizes, outs, kernels = (size,) * rank, (out,) * rank, (kernel,) * rank
    steps, flat, pads = (stride,) * rank, (1,) * rank, (pad,) * rank
    return Geometry(channels, filters, groups, sizes, outs, kernels, steps, flat, pads, pads)


# What was tried and not taken ---------------------------------------------------------------------


def _columns(onnx: Emitter, g: Geometry, x: str) -> str:
    """[rows, places, kernel * channels], gathered from the images with the channels last."""
    rank = len(g.kernel)
    x = onnx.node("Transpose", x, perm=(0, *g.axes, 1))
    if any(g.begins):
        x = onnx.node("Pad", x, onnx.constant((0, *g.begins, 0, 0, *g.ends, 0), "i64"))
    around = [n + b + e for n, b, e in zip(g.ins, g.begins, g.ends, strict=True)]
    flat = onnx.constant((0, prod(around), g.channels), "i64")
    place = np.zeros((*g.outs, *g.kernel), np.int64)
    for axis in range(rank):
        out = np.arange(g.outs[axis]).reshape([-1 if a == axis else 1 for a in range(2 * rank)])
        at = np.arange(g.kernel[axis]).reshape(
            [-1 if a == rank + axis else 1 for a in range(2 * rank)]
        )
        place = place * around[axis] + out * g.strides[axis] + at
    table = onnx.constant(place.reshape(-1), "i64")
    gathered = onnx.node("Gather", onnx.node("Reshape", x, flat), table, axis=1)
    shape = (0, prod(g.outs), prod(g.kernel) * g.channels)
    return onnx.node("Reshape", gathered, onnx.constant(shape, "i64"))


def forward_columns(onnx: Emitter, g: Geometry, x: str, w: str) -> str:
    flat = onnx.constant((g.filters, -1), "i64")
    weight = onnx.node("Reshape", onnx.node("Transpose", w, perm=(0, *g.axes, 1)), flat)
    turned = onnx.node("Transpose", _columns(onnx, g, x), perm=(0, 2, 1))
    shape = onnx.constant((0, g.filters, *g.outs), "i64")
    return onnx.node("Reshape", onnx.node("MatMul", weight, turned), shape)


def weights_swapped(onnx: Emitter, g: Geometry, x: str, grad: str) -> str:
    """A convolution with rows and channels exchanged, its output as small as the kernel."""
    swap = (1, 0, *g.axes)
    made = onnx.node(
        "Conv",
        onnx.node("Transpose", x, perm=swap),
        onnx.node("Transpose", grad, perm=swap),
        dilations=g.strides,
        pads=(*g.begins, *g.ends),
    )
    vectors = ((0,) * len(g.kernel), g.kernel, tuple(g.axes))
    made = onnx.node("Slice", made, *(onnx.constant(v, "i64") for v in vectors))
    return onnx.node("Transpose", made, perm=swap)


def weights_columns(onnx: Emitter, g: Geometry, x: str, grad: str) -> str:
    """Columns, one product a row, and the sum over the rows."""
    upper = onnx.node("Reshape", grad, onnx.constant((0, g.filters, prod(g.outs)), "i64"))
    made = onnx.node("MatMul", upper, _columns(onnx, g, x))
    summed = onnx.node("ReduceSum", made, onnx.constant((0,), "i64"), keepdims=0)
    shape = onnx.constant((g.filters, *g.kernel, g.channels), "i64")
    rank = len(g.kernel)
    return onnx.node(
        "Transpose",
        onnx.node("Reshape", summed, shape),
        perm=(0, 1 + rank, *range(1, 1 + rank)),
    )


Form = Callable[..., str]
Runs = dict[tuple[str, str], Callable[[], Any]]
PASSES: dict[str, dict[str, Form]] = {
    "forward": {"conv": conv_lowering.convolution, "columns": forward_columns},
    "to input": {**TRANSPOSED},
    "to weights": {**WEIGHTS, "swapped": weights_swapped, "columns": weights_columns},
}
CHOICE: dict[str, Callable[[Geometry], str]] = {
    "forward": lambda g: "conv",
    "to input": conv_lowering.input_gradient,
    "to weights": conv_lowering.weight_gradient,
}


@record
class Timed(Op):
    """One form as an operation."""

    form: Any
    geometry: Any
    made: Any

    def infer(self, *inputs: Type) -> Type:
        return Type(self.made)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        written: str = self.form(onnx, self.geometry, *inputs)
        return written


def fits(name: str, g: Geometry) -> bool:
    """Whether a form is there for a geometry."""
    if name == "conv" and any(s > 1 for s in g.strides):
        return False
    return g.groups == 1 or name not in ("swapped", "columns")


def runs(rows: int, g: Geometry) -> tuple[Runs, Runs]:
    """Every form of every pass, ready to be run; and PyTorch's passes."""
    shapes = {
        "x": ("N", g.channels, *g.ins),
        "w": (g.filters, g.channels // g.groups, *g.kernel),
        "grad": ("N", g.filters, *g.outs),
    }
    of = {
        "forward": ("x", "w", "grad"),
        "to input": ("grad", "w", "x"),
        "to weights": ("x", "grad", "w"),
    }
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.standard_normal([rows if isinstance(d, str) else d for d in shape]).astype("f4")
        for name, shape in shapes.items()
    }
    made = {}
    for which, forms in PASSES.items():
        first, second, out = of[which]
        for name, form in forms.items():
            if which != "forward" and not fits(name, g):
                continue
            if which == "forward" and g.groups > 1 and name == "columns":
                continue
            b = Builder()
            inputs = [b.input(n, Type(shapes[n])) for n in (first, second)]
            graph = b.graph({"out": b.add(Timed(form, g, shapes[out]), *inputs)})
            runner = open_backend("cpu", 2).runner(emit(graph, name).serialize())
            feeds = {n: arrays[n] for n in (first, second)}
            made[which, name] = lambda runner=runner, feeds=feeds: runner.run(feeds)
    return made, torch_runs(g, arrays)


def torch_runs(g: Geometry, arrays: dict[str, Any]) -> Runs:
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(2)
    x, w, grad = (torch.tensor(arrays[n]) for n in ("x", "w", "grad"))
    rank = len(g.kernel)
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[rank - 1]
    options = (None, [*g.strides], [*g.begins], [*g.dilations])

    def back(mask: list[bool]) -> Any:
        return torch.ops.aten.convolution_backward(
            grad, x, w, *options, False, [0] * rank, g.groups, mask
        )

    return {
        ("forward", "PyTorch"): lambda: convolve(x, w, *options, g.groups),
        ("to input", "PyTorch"): lambda: back([True, False, False]),
        ("to weights", "PyTorch"): lambda: back([False, True, False]),
    }


def measure(made: Runs, seconds: float) -> dict[Any, float]:
    best: dict[Any, float] = dict.fromkeys(made, float("inf"))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or max(best.values(), default=0.0) == float("inf"):
        for key, run in made.items():
            start = time.perf_counter()
            run()
            best[key] = min(best[key], (time.perf_counter() - start) * 1e3)
    return best


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    columns = [(p, form) for p, forms in PASSES.items() for form in (*forms, "PyTorch")]
    head = ["shape", *(f"{p}: {form}" for p, form in columns)]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * len(columns)]
    print("\n".join(lines), flush=True)
    for name, shape in SHAPES.items():
        g = geometry(shape, padded=not name.startswith("LeNet"))
        forms, theirs = runs(shape[0], g)
        # One after the other: each side's waiting threads would take the other's cores.
        best = measure(forms, seconds) | (measure(theirs, seconds / 3) if theirs else {})
        cells = []
        for which, form in columns:
            cell = f"{best[which, form]:.1f}" if (which, form) in best else ""
            cells.append(f"**{cell}**" if CHOICE[which](g) == form else cell)
        lines.append(
            "| "
            + " | ".join([f"{name}, batch {shape[0]}" if "batch" not in name else name, *cells])
            + " |"
        )
        print(lines[-1], flush=True)
    if len(sys.argv) > 2:
        title = (
            "# Convolutions, timed\n\n"
            "Milliseconds, the fastest run, two threads; bold is the form that is taken.\n"
            "Written by `python benchmarks/convolutions.py 10 benchmarks/convolutions.md`.\n\n"
        )
        Path(sys.argv[2]).write_text(title + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
