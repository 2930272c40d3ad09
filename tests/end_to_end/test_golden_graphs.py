"""The graphs that small programs compile to, as text: a change of the compiler shows as a diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from places import GOLDEN

from deepdsl.compiler.build import build
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.graph import show_graph, verify
from deepdsl.graph.emit import onnx_text

GOLDEN = GOLDEN / "graphs"
UPDATE = os.environ.get("DNN_UPDATE_GOLDEN") == "1"

DATA = "data digits { train builtin digits; valid split=10%; scale (1 / 16) }\n"
PROGRAMS = {
    "softmax_sgd": """
model m { input image[8 8]; flatten | dense 4 | relu | dense 10 | softmax }
train m on digits { loss cross_entropy; optimizer sgd lr=0.1; seed 1 }
""",
    "norm_dropout_adam": """
model m {
  input image[8 8]
  flatten | dense 4 bias=false | batch_norm | elu | dropout 20% | dense 10 | softmax
}
train m on digits {
  loss cross_entropy; metric accuracy; optimizer adamw lr=1e-3; clip global_norm=1; seed 1
}
""",
    "shared_part_schedule": """
model m {
  input image[8 8]
  flatten
  part p { dense 64 | tanh }
  a = p
  b = a | p
  a + b | dense 10 | softmax
}
train m on digits {
  loss      cross_entropy smoothing=0.1
  optimizer sgd lr=0.1 momentum=0.9 nesterov=true
  schedule  exponential factor=0.1 every=10
  seed      1
}
""",
    "autoencoder": """
model m { input image[8 8]; flatten | dense 4 | selu | dense 64 | sigmoid | reshape [8 8] }
data pixels { train builtin digits; target input; standardize }
train m on pixels {
  loss mean_squared_error; metric mae; optimizer sgd lr=0.1; clip value=1 norm=2; seed 1
}
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_graphs_are_as_they_were(name: str) -> None:
    program, _ = load_program(Source(name, DATA + PROGRAMS[name]))
    artifacts = build(open_job(program, program.trainings[0], Path()))
    texts = {
        "step.txt": show_graph(verify(artifacts.step_graph)),
        "eval.txt": show_graph(verify(artifacts.evaluation_graph)),
        "infer.txt": show_graph(verify(artifacts.inference_graph)),
    }
    if name == "softmax_sgd":
        # Without the version of the producer, which is no part of the graph.
        text = onnx_text(artifacts.step)
        lines = [line for line in text.splitlines() if "producer_version" not in line]
        texts["step.onnx.txt"] = "\n".join(lines) + "\n"
    for suffix, text in texts.items():
        file = GOLDEN / f"{name}.{suffix}"
        if UPDATE:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"{file.name} has changed"
