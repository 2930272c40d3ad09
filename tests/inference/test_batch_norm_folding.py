"""Folding batch norms into dense layers leaves the outputs as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.training_step import inference_graph
from deepdsl.core.source import Source
from deepdsl.graph import verify
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.inference.batch_norm_folding import fold_batch_norms
from deepdsl.nn.layers.batch_norm import BatchNormInference

# body of the model, how many batch norms are folded, how many stay
BODIES = {
    "before the activation": ("dense 5 | batch_norm | elu | dense 3", 1, 0),
    "after the activation": ("dense 5 | elu | batch_norm | dense 3", 1, 0),
    "through dropout": ("dense 5 | elu | batch_norm | dropout 50% | dense 3", 1, 0),
    "first of all": ("batch_norm | dense 5 bias=false | relu | dense 3", 1, 0),
    "on both sides of a layer": ("batch_norm | dense 5 | batch_norm | relu | dense 3", 2, 0),
    "twice in a row": ("dense 5 | batch_norm | batch_norm | dense 3", 2, 0),
    "last of all": ("dense 5 | relu | dense 3 | batch_norm", 1, 0),
    "nothing beside it": ("relu | batch_norm | tanh | dense 3", 0, 1),
    "read twice": ("a = dense 3 | batch_norm; b = a | relu; a + b", 1, 0),
    "the layer is read twice": ("a = dense 3; b = a | batch_norm; a + b", 0, 1),
    "the norm is read twice": ("a = relu | batch_norm; b = a | dense 4; a + b", 0, 1),
    "a shared part": (
        "part p { dense 4 | batch_norm | relu }; a = p; b = a | p; a + b | dense 3",
        2,
        0,
    ),
    "behind tied weights": ("dense 6 | tanh | dense 4 tie=dense_1 | batch_norm | relu", 1, 0),
    "before tied weights": ("dense 6 | tanh | batch_norm | dense 4 tie=dense_1", 1, 0),
    "on both uses of tied weights": (
        "dense 6 | batch_norm | tanh | batch_norm | dense 4 tie=dense_1 bias=false | batch_norm",
        3,
        0,
    ),
    "one norm behind square tied weights and their owner": (
        "part p { batch_norm }; dense 4 bias=false | p | tanh | dense 4 tie=dense_1 bias=false | p",
        2,
        0,
    ),
    "beside tied weights alone": (
        "dense 6 | tanh | dense 4 tie=dense_1 | tanh | dense 6 | batch_norm",
        1,
        0,
    ),
    "a shared layer after two norms": (
        "part p { dense 4 }; a = relu | batch_norm | p; b = tanh | batch_norm | p; a + b",
        2,
        0,
    ),
}

# the same, on images
CONVOLUTIONS = {
    "behind a conv": ("conv 6 3x3 pad=same | batch_norm | relu | flatten | dense 3", 1, 0),
    "behind one in groups": ("conv 6 3x3 groups=2 bias=false | batch_norm | flatten", 1, 0),
    "behind a depthwise one": ("conv 8 3 groups=depthwise | batch_norm | flatten", 1, 0),
    "behind a transposed one": ("conv_transpose 6 3x3 stride=2 | batch_norm | flatten", 1, 0),
    "behind a transposed one in groups": (
        "conv_transpose 6 2x2 stride=2 groups=2 | batch_norm | flatten",
        1,
        0,
    ),
    "before a conv": ("batch_norm | conv 6 3x3 | relu | flatten", 1, 0),
    "before one in groups": ("batch_norm | conv 6 3x3 groups=2 bias=false | flatten", 1, 0),
    "before a strided one": ("relu | batch_norm | conv 6 2x2 stride=3 | flatten", 1, 0),
    # What is padded is 0, where a shift would have to be.
    "before a padded conv": ("batch_norm | conv 6 3x3 pad=same | relu | flatten", 0, 1),
    "before a transposed one": ("batch_norm | conv_transpose 6 2x2 stride=2 | flatten", 0, 1),
    "between two": ("conv 4 3x3 | batch_norm | conv 6 3x3 pad=1 | flatten", 1, 0),
    "on sequences": ("reshape [4 35] | conv 6 3 pad=same | batch_norm | flatten", 1, 0),
    "a residual block": (
        "default conv bias=false pad=same; "
        "a = conv 6 3x3 stride=2 | batch_norm | relu | conv 6 3x3 | batch_norm; "
        "b = x | conv 6 1x1 stride=2 | batch_norm; a + b | relu | flatten | dense 3",
        3,
        0,
    ),
}


def compiled(body: str, shape: str = "4") -> tuple[Any, dict[str, Any]]:
    program, _ = load_program(Source("fold", f"model m {{ input x[{shape}]; {body} }}"))
    graph = inference_graph(program.models["m"])
    rng = np.random.default_rng(3)
    weights = {
        p.name: (
            rng.normal(size=p.type.shape) ** 2 + 0.3
            if "variance" in p.name
            else rng.normal(size=p.type.shape)
        ).astype(np.float32)
        for p in graph.params
    }
    return graph, weights


def run(graph: Any, weights: Any, x: Any) -> Any:
    model = emit(graph, "m", weights)
    model.check()
    return open_backend("cpu").runner(model.serialize()).run({"x": x})["output"]


@pytest.mark.parametrize("name", [*BODIES, *CONVOLUTIONS])
def test_folding_keeps_the_outputs(name: str) -> None:
    body, folds, stays = {**BODIES, **CONVOLUTIONS}[name]
    shape = (4, 5, 7) if name in CONVOLUTIONS else (4,)
    graph, weights = compiled(body, " ".join(map(str, shape)))
    folded, new, count = fold_batch_norms(graph, weights)
    verify(folded)
    left = sum(isinstance(node.op, BatchNormInference) for node in folded.nodes)
    assert (count, left) == (folds, stays)
    x = np.random.default_rng(4).normal(size=(9, *shape)).astype(np.float32)
    before, after = run(graph, weights, x), run(folded, new, x)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    if folds:
        assert not np.allclose(before, 0)


def test_folding_leaves_the_given_weights_alone() -> None:
    graph, weights = compiled(BODIES["before the activation"][0])
    copies = {name: values.copy() for name, values in weights.items()}
    fold_batch_norms(graph, weights)
    assert copies.keys() == weights.keys()
    assert all(np.array_equal(copies[name], weights[name]) for name in copies)
