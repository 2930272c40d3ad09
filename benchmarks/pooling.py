"""Lowerings of max pooling with its gradient on a CPU: milliseconds for the forward pass and the
gradient together, the least of many runs that are made in turn.

Usage: python benchmarks/pooling.py [RUNS]

`chosen` is what the compiler emits.  With PyTorch installed its figure is beside."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.emit import emit
from deepdsl.graph.passes import optimize
from deepdsl.graph.reshaping import sum_all
from deepdsl.nn.layers.pooling import MaxWithPlace, largest, pool_windows

try:
    import torch
except ImportError:
    torch = None

THREADS = 2
Case = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
CASES: list[Case] = [
    ((128, 64, 28, 28), (2, 2), (2, 2), (0, 0)),
    ((128, 6, 24, 24), (2, 2), (2, 2), (0, 0)),
    ((64, 32, 256), (2,), (2,), (0,)),
    ((16, 8, 16, 16, 16), (2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((128, 64, 27, 27), (3, 3), (3, 3), (0, 0)),
    ((128, 64, 28, 28), (3, 3), (2, 2), (1, 1)),
    ((32, 64, 112, 112), (3, 3), (2, 2), (1, 1)),
]


class Graph:
    """Nodes of an ONNX graph that reads x and g, the gradient of the pool."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def __call__(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"v{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def reshape(self, x: str, *shape: int) -> str:
        return str(self("Reshape", x, self.constant(shape)))

    def model(self, case: Case, results: list[str]) -> bytes:
        f32 = TensorProto.FLOAT
        inputs = [
            helper.make_tensor_value_info(name, f32, shape)
            for name, shape in (("x", case[0]), ("g", pooled(case)))
        ]
        outputs = [helper.make_tensor_value_info(name, f32, None) for name in results]
        graph = helper.make_graph(self.nodes, "pool", inputs, outputs, self.stored)
        opset = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        return bytes(model.SerializeToString())


def pooled(case: Case) -> tuple[int, ...]:
    shape, size, stride, pad = case
    space = zip(shape[2:], size, stride, pad, strict=True)
    return (*shape[:2], *((n + 2 * p - k) // s + 1 for n, k, s, p in space))


def maximum(g: Graph, case: Case, outputs: int = 1) -> Any:
    _, size, stride, pad = case
    return g("MaxPool", "x", outputs=outputs, kernel_shape=size, strides=stride, pads=pad + pad)


def forward(case: Case) -> bytes:
    """The pool alone."""
    g = Graph()
    return g.model(case, [maximum(g, case)])


def unpool(case: Case) -> bytes:
    """Indices and MaxUnpool, which CUDA does not have; wrong where windows overlap."""
    g, (shape, size, stride, pad) = Graph(), case
    out, places = maximum(g, case, 2)
    made = g(
        "MaxUnpool",
        "g",
        places,
        g.constant(shape),
        kernel_shape=size,
        strides=stride,
        pads=pad + pad,
    )
    return g.model(case, [out, made])


def enlarged(case: Case) -> bytes:
    """Indices enlarged as numbers, compared with the places; windows side by side."""
    g, (shape, size, *_) = Graph(), case
    out, places = maximum(g, case, 2)
    count = int(np.prod(shape[2:]))
    ones = [1] * len(size)
    starts = np.arange(shape[0] * shape[1]).reshape(*shape[:2], *ones) * count
    local = g("Cast", g("Sub", places, g.constant(starts)), to=TensorProto.INT32)
    scales = g.constant((1, 1, *size), np.float32)
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    at, up = (g("Resize", v, "", scales, mode="nearest", **how) for v in (local, "g"))
    iota = g.constant(np.arange(count).reshape(1, 1, *shape[2:]), np.int32)
    zero = g.constant(0.0, np.float32)
    return g.model(case, [out, g("Where", g("Equal", at, iota), up, zero)])


def slices(case: Case) -> bytes:
    """Four strided slices, compared with the largest in turn; 2x2 alone."""
    g, (shape, *_) = Graph(), case
    out, rest, rows, zero = maximum(g, case), "g", [], g.constant(0.0, np.float32)
    for a in range(2):
        row = []
        for b in range(2):
            bounds = ((a, b), shape[2:], (2, 3), (2, 2))
            equal = g("Equal", g("Slice", "x", *map(g.constant, bounds)), out)
            row.append(g("Unsqueeze", g("Where", equal, rest, zero), g.constant((4,))))
            rest = g("Where", equal, zero, rest)
        rows.append(g("Unsqueeze", g("Concat", *row, axis=4), g.constant((3,))))
    return g.model(case, [out, g.reshape(g("Concat", *rows, axis=3), *shape)])


def ours(case: Case, indexed: bool) -> bytes:
    shape, size, stride, pad = case
    b = Builder()
    x = b.input("x", Type(shape))
    over = pool_windows("max_pool", x.type, size, stride, pad)
    out = b.apply(MaxWithPlace(over), x)[0] if indexed else largest(b, x, over)
    total = sum_all(b, mul(b, out, b.input("g", out.type)))
    (grad,) = gradients(b, total, [x]).values()
    return emit(optimize(b.graph({"out": out, "grad": grad})), "pool").serialize()


def indices(case: Case) -> bytes:
    """Indices and ScatterElements with add."""
    return ours(case, indexed=True)


def chosen(case: Case) -> bytes:
    return ours(case, indexed=False)


def opened(model: bytes, feeds: dict[str, Any]) -> tuple[Callable[[], None], Any]:
    """A run with inputs and outputs bound once, and what it makes of x."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 4
    # Threads that wait for work in one session would hold up the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in feeds.items():
        if name in {i.name for i in session.get_inputs()}:
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    made = session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})
    for output, array in zip(session.get_outputs(), made, strict=True):
        value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        binding.bind_ortvalue_output(output.name, value)
    return lambda: session.run_with_iobinding(binding), made


def in_torch(case: Case, feeds: dict[str, Any]) -> Callable[[], None]:
    shape, size, stride, pad = case
    torch.set_num_threads(THREADS)
    function = getattr(torch.nn.functional, f"max_pool{len(shape) - 2}d")
    x, g = torch.tensor(feeds["x"], requires_grad=True), torch.tensor(feeds["g"])

    def run() -> None:
        x.grad = None
        function(x, size, stride, pad).backward(g)

    return run


LOWERINGS = (forward, chosen, indices, unpool, enlarged, slices)


def fits(lowering: Any, case: Case) -> bool:
    _, size, stride, pad = case
    if lowering in (unpool, enlarged):
        return size == stride and not any(pad)
    return lowering is not slices or (size == stride == (2, 2))


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    names = [f.__name__ for f in LOWERINGS] + (["PyTorch"] if torch else [])
    print(f"| x, window, stride, pad | {' | '.join(names)} |")
    print("| --- |" + " ---: |" * len(names))
    for case in CASES:
        rng = np.random.default_rng(0)
        feeds = {
            "x": np.maximum(rng.standard_normal(case[0]), 0).astype(np.float32),
            "g": rng.standard_normal(pooled(case)).astype(np.float32),
        }
        ready = {f.__name__: opened(f(case), feeds) for f in LOWERINGS if fits(f, case)}
        wanted = ready["indices"][1][1]
        for name, (_, made) in ready.items():
            assert len(made) == 1 or np.array_equal(made[1], wanted), name
        timed = {name: run for name, (run, _) in ready.items()}
        if torch:
            timed["PyTorch"] = in_torch(case, feeds)
        best = dict.fromkeys(timed, float("inf"))
        for _ in range(runs):
            for name, run in timed.items():
                begin = time.perf_counter()
                run()
                best[name] = min(best[name], time.perf_counter() - begin)
        told = [f"{best[n] * 1e3:.1f}" if n in best else "" for n in names]
        what = ", ".join("×".join(map(str, part)) for part in case)
        print(f"| {what} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
