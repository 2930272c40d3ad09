"""Runs graphs in tests: on onnx's reference in any precision, and on onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_scan as onnx_scan

from deepdsl.compiler.build import Artifacts, build, initial_state
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import Job, open_job
from deepdsl.compiler.training_step import (
    Task,
    evaluation_graph,
    inference_graph,
    step_with_gradients,
)
from deepdsl.core.source import Source
from deepdsl.data.splits import Splits
from deepdsl.graph import Graph, verify
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.graph.passes import optimize
from deepdsl.language.analysis import CheckedProgram
from deepdsl.training.callbacks import Outcome
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


class Erf(OpRun):  # type: ignore[misc]
    """In double precision; onnx's own rounds to single, which no difference quotient bears."""

    def _run(self, x: Array) -> tuple[Array]:
        return (np.vectorize(erf, otypes=[np.float64])(x).astype(x.dtype),)


class ConvTranspose(OpRun):  # type: ignore[misc]
    """With several groups; onnx's own mistakes the shape of their weights."""

    def _run(self, x: Array, w: Array, bias: Any = None, **options: Any) -> tuple[Array]:
        group, rank = options["group"] or 1, w.ndim - 2
        strides = options["strides"] or [1] * rank
        dilations = options["dilations"] or [1] * rank
        pads = options["pads"] or [0] * 2 * rank
        more = options["output_padding"] or [0] * rank
        outs, kernel = x.shape[2:], w.shape[2:]
        sizes = [
            (n - 1) * s + (k - 1) * d + 1 + p
            for n, s, k, d, p in zip(outs, strides, kernel, dilations, more, strict=True)
        ]
        channels = w.shape[1] * group
        made = np.zeros((len(x), channels, *sizes), x.dtype)
        grouped, weights = x.reshape(len(x), group, -1, *outs), w.reshape(group, -1, *w.shape[1:])
        for place in np.ndindex(*kernel):
            seen = tuple(
                slice(i * d, i * d + (n - 1) * s + 1, s)
                for i, d, n, s in zip(place, dilations, outs, strides, strict=True)
            )
            part = np.einsum("ngf...,gfc->ngc...", grouped, weights[(..., *place)])
            made[(slice(None), slice(None), *seen)] += part.reshape(len(x), channels, *outs)
        inner = tuple(slice(pads[i], sizes[i] - pads[rank + i]) for i in range(rank))
        made = made[(slice(None), slice(None), *inner)]
        return (made if bias is None else made + bias.reshape(-1, *[1] * rank),)


class Scan(onnx_scan.Scan):  # type: ignore[misc]
    """In either direction; onnx's own goes forwards alone."""

    def __init__(self, node: Any, run_params: Any) -> None:
        turned = onnx.NodeProto()
        turned.CopyFrom(node)
        self.reverse = False
        for attribute in turned.attribute:
            if attribute.name.endswith("_directions"):
                self.reverse = any(attribute.ints)
                attribute.ints[:] = [0] * len(attribute.ints)
        super().__init__(turned, run_params)

    def _run(self, *args: Array, **kwargs: Any) -> tuple[Array, ...]:
        if not self.reverse:
            made: tuple[Array, ...] = super()._run(*args, **kwargs)
            return made
        states = len(args) - self.num_scan_inputs
        made = super()._run(*args[:states], *(x[::-1] for x in args[states:]), **kwargs)
        return (*made[:states], *(x[::-1] for x in made[states:]))


# Graphs -------------------------------------------------------------------------------------------


def reference(graph: Graph, feeds: Arrays) -> dict[str, Array]:
    """A graph's outputs and updates by onnx's reference, after the checker has passed it."""
    model = emit(verify(graph), "sample")
    model.check()
    names = [o.name for o in model.proto.graph.output]
    # Hashes wrap round, and a limit is divided by a norm of zero, on purpose.
    with np.errstate(over="ignore", divide="ignore"):
        made = ReferenceEvaluator(model.proto, new_ops=[ConvTranspose, Erf, Scan]).run(
            None, dict(feeds)
        )
    return dict(zip(names, made, strict=True))


def on_runtime(graph: Graph, feeds: Arrays, threads: int = 1) -> dict[str, Array]:
    """A graph's outputs and updates by onnxruntime."""
    model = emit(verify(graph), "sample")
    model.check()
    return open_backend("cpu", threads).runner(model.serialize()).run(feeds)


def near(actual: Any, wanted: Any, tolerance: float = 1e-6) -> None:
    """Equal up to a relative tolerance, and an absolute one of the same size."""
    assert np.shape(actual) == np.shape(wanted)
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# Programs -----------------------------------------------------------------------------------------


def program(text: str) -> CheckedProgram:
    return load_program(Source("test.dnn", text))[0]


def task(text: str, one_hot: bool = False) -> Task:
    """The task of a file's one training, without opening its data."""
    whole = program(text)
    (training,) = whole.trainings
    return Task(whole.models[training.model], training, whole.datasets[training.data], one_hot)


def training_file(model: str, train: str, data: str = "") -> str:
    """A file with a model's body and a train section's rows, on data that no test opens."""
    return (
        f'data d {{ train npz "none.npz"; {data} }}\n'
        f"model m {{\n{model}\n}}\n"
        f"train m on d {{ {train} }}\n"
    )


class Training:
    """A training without data files: the step on onnxruntime, fed by hand."""

    def __init__(
        self,
        text: str,
        one_hot: bool = False,
        steps_per_epoch: int = 10,
        state: Arrays | None = None,
        threads: int = 1,
    ) -> None:
        self.task = task(text, one_hot)
        self.threads = threads
        raw, self.gradients = step_with_gradients(self.task, steps_per_epoch)
        self.raw = verify(raw)
        self.graph = optimize(raw, verify)
        self.evaluation = evaluation_graph(self.task)
        self.inference = inference_graph(self.task.model, self.task.data)
        graphs = (self.graph, self.evaluation, self.inference)
        job = Job(self.task, Splits(), Source("test.dnn", text))
        self.state: dict[str, Array] = {**initial_state(graphs, job), **(state or {})}

    @cached_property
    def _step(self) -> Any:
        return self._open(self.graph)

    @cached_property
    def _evaluate(self) -> Any:
        return self._open(self.evaluation)

    @cached_property
    def _infer(self) -> Any:
        return self._open(self.inference)

    @cached_property
    def _gradients(self) -> Any:
        named = {f"gradient:{p.name}": g for p, g in self.gradients.items()}
        raw = self.raw
        return self._open(optimize(Graph(raw.inputs, raw.params, raw.nodes, named), verify))

    def _open(self, graph: Graph) -> Any:
        model = emit(graph, "test")
        model.check()
        return open_backend("cpu", self.threads).runner(model.serialize())

    def weight(self, path: str) -> Array:
        return self.state[path]

    def step(self, **batch: Array) -> dict[str, Array]:
        """One step: the results, and `state` moves on."""
        made: dict[str, Array] = self._step.run({**self.state, **batch})
        for name in [n for n in made if n.startswith("next:")]:
            self.state[name.removeprefix("next:")] = made.pop(name)
        return made

    def gradient(self, **batch: Array) -> dict[str, Array]:
        """The gradient of each parameter before clipping."""
        made = self._gradients.run({**self.state, **batch})
        return {name.removeprefix("gradient:"): g for name, g in made.items()}

    def evaluate(self, **batch: Array) -> dict[str, Array]:
        made: dict[str, Array] = self._evaluate.run({**self.state, **batch})
        return made

    def infer(self, **inputs: Array) -> Array:
        (out,) = self._infer.run({**self.state, **inputs}).values()
        return out


# Whole runs ---------------------------------------------------------------------------------------


class Memory:
    """Keeps checkpoints and records as a run directory does, without a disk."""

    def __init__(self) -> None:
        self.kept: dict[str, Checkpoint] = {}
        self.records: list[Any] = []

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        state = {k: v.copy() for k, v in checkpoint.state.items()}
        c = checkpoint
        self.kept[name] = Checkpoint(state, c.epoch, c.steps_done, c.sums, c.best, c.watched)

    def load(self, name: str) -> Checkpoint | None:
        return self.kept.get(name)

    def log(self, record: Any) -> None:
        self.records.append(record)


def opened(text: str, folder: Path = Path()) -> tuple[Job, Artifacts]:
    """A file's one training with its data opened and its graphs made."""
    whole = program(text)
    (training,) = whole.trainings
    job = open_job(whole, training, folder)
    return job, build(job)


def run(
    text: str,
    threads: int = 1,
    start: Checkpoint | None = None,
    keeper: Memory | None = None,
    listener: Any = None,
) -> Outcome:
    """Train a file to its end."""
    job, artifacts = opened(text)
    extra = {} if listener is None else {"listener": listener}
    backend = open_backend("cpu", threads)
    return Trainer(job, artifacts, backend, keeper or Memory(), start=start, **extra).run()
