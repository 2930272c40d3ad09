"""Models parted behind their frozen beginning: where, and why not."""

from __future__ import annotations

import numpy as np
import pytest
from frozen import drawn, freezing
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import Array, near, program, training_file

from deepdsl.compiler.build import initial_values
from deepdsl.compiler.training_step import inference_graph
from deepdsl.data.spec import DataSpec
from deepdsl.graph import Graph
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.language.analysis import Model
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.language.frozen_prefix import FrozenPrefix, cut_frozen

TRAIN = "loss mean_squared_error; optimizer sgd lr=0.1; batch 8; epochs 2; seed 3"

# A model's body, what is frozen, and what is kept of a row.
CUTS = {
    "a part": (
        "input x[6]; part body { dense 5 | relu | dense 4 | tanh }; dense 2",
        "body",
        ["frozen/body.tanh_1"],
    ),
    "layers by name": ("input x[6]; dense 5 | relu | dense 4", "dense_1", ["frozen/relu_1"]),
    "activations and a flatten behind": (
        "input x[2 6 6]; part body { conv 3 3x3 }; relu | max_pool 2x2 | flatten | dense 2",
        "body",
        ["frozen/flatten_1"],
    ),
    "a dropout behind": (
        "input x[6]; part body { dense 5 | relu }; dropout 20% | dense 2",
        "body",
        ["frozen/body.relu_1"],
    ),
    "a dropout inside": (
        "input x[6]; part body { dense 5 | dropout 20% | dense 4 }; dense 2",
        "body",
        ["frozen/body.dense_2"],
    ),
    "batch norm inside": (
        "input x[6]; part body { dense 5 | batch_norm | elu }; dense 4 | batch_norm | dense 2",
        "body",
        ["frozen/body.elu_1"],
    ),
    "a global pool is behind the cut": (
        "input x[2 6 6]; part body { conv 9 3x3 | relu }; global_avg_pool | dense 2",
        "body",
        ["frozen/global_avg_pool_1"],
    ),
    "what makes much of a row is left": (
        "input x[2 6 6]; part body { conv 2 3x3 | relu }; upsample 2 | flatten | dense 2",
        "body",
        ["frozen/body.relu_1"],
    ),
    "a residual over the cut": (
        "input x[6]; part body { dense 6 | relu }; a = body; b = a | dense 6; a + b | dense 2",
        "body",
        ["frozen/body.relu_1"],
    ),
    "the rest reads the rows too": (
        "input x[6]; part body { dense 5 | relu }; a = x | body; concat a x | dense 2",
        "body",
        ["x", "frozen/body.relu_1"],
    ),
    "the rest reads the rows, behind a layer": (
        "input x[6]; part body { dense 5 | relu }; part side { dense 3 };"
        " a = x | body; b = x | side; concat a b | dense 2",
        "body",
        ["x", "frozen/body.relu_1"],
    ),
    "two inputs, one tower": (
        "input left[6]; input right[4]; part one { dense 5 | relu }; part two { dense 5 | relu };"
        " a = left | one; b = right | two; a + b | dense 2",
        "one",
        ["right", "frozen/one.relu_1"],
    ),
    "two inputs, shared weights": (
        "input left[6]; input right[6]; part tower { dense 5 | relu };"
        " a = left | tower; b = right | tower; concat a b | dense 2",
        "tower",
        ["frozen/concat_1"],
    ),
    "several values cross": (
        "input left[6]; input right[6]; part tower { dense 5 | relu };"
        " part top { dense 5 };"
        " a = left | tower; b = right | tower; c = a | top; d = b | top; c + d + a | dense 2",
        "tower",
        ["frozen/tower.relu_1", "frozen/tower.relu_1/2"],
    ),
    "an embedding with layers behind": (
        "input words[7] dtype=int64; embedding 20 6 | flatten | dense 5 | relu | dense 2",
        "embedding_1 dense_1",
        ["frozen/relu_1"],
    ),
    "a sequence": (
        "input x[5 3]; part body { lstm 4 }; dense 2",
        "body",
        ["frozen/body.lstm_1"],
    ),
    "a part used again behind": (
        "input x[6]; part body { dense 6 | relu }; body | dense 6 | body | dense 2",
        "body",
        ["frozen/body.relu_1"],
    ),
    "a frozen layer behind one that learns": (
        "input x[6]; dense 5 | relu | dense 4 | relu | dense 3 | dense 2",
        "dense_1 dense_3",
        ["frozen/relu_1"],
    ),
    "branches of several depths": (
        "input x[1 8 8]; part body { conv 4 3x3 | relu }; a = body; b = a | global_avg_pool;"
        " c = a | conv 2 3x3 | global_avg_pool; concat b c | dense 2",
        "body",
        ["frozen/body.relu_1"],
    ),
    "separate branches, one of them large": (
        "input x[1 8 8]; part body { conv 2 3x3 | relu }; a = x | upsample 3 | flatten;"
        " b = x | body | flatten; c = a | dense 3; concat b c | dense 2",
        "body",
        ["x", "frozen/flatten_2"],
    ),
}


def parted(body: str, frozen: str, data: str = "") -> tuple[Model, DataSpec, FrozenPrefix | str]:
    whole = program(training_file(body, TRAIN, data))
    model, spec = whole.models["m"], whole.datasets["d"]
    return model, spec, cut_frozen(model, freezing(model, *frozen.split()), spec)


def run(graph: Graph, feeds: dict[str, Array], state: dict[str, Array]) -> dict[str, Array]:
    made = emit(graph, "m")
    made.check()
    fed = {p.name: state[p.name] for p in graph.params}
    return open_backend("cpu", 1).runner(made.serialize()).run({**fed, **feeds})


@pytest.mark.parametrize(("body", "frozen", "kept"), CUTS.values(), ids=CUTS)
def test_a_model_in_two_is_the_model(body: str, frozen: str, kept: list[str]) -> None:
    model, spec, cut = parted(body, frozen, "" if "int64" in body else "scale 0.5")
    assert isinstance(cut, FrozenPrefix)
    assert [i.name for i in cut.rest.inputs] == kept
    assert set(cut.prefix.outputs) == set(kept) - {i.name for i in model.inputs}
    whole = inference_graph(model, spec)
    front, back = inference_graph(cut.prefix, spec), inference_graph(cut.rest, cut.data)
    state = initial_values((*whole.params, *front.params), 5)
    assert {p.name for p in (*front.params, *back.params)} == {p.name for p in whole.params}
    x = drawn(model, 8)
    features = run(front, x, state)
    (wanted,) = run(whole, x, state).values()
    (found,) = run(back, {**x, **features}, state).values()
    np.testing.assert_array_equal(found, wanted)
    assert cut.row_bytes == sum(v[0].nbytes for v in features.values())
    assert set(cut.layers) <= {c.path for c in model.calls}


# A model's body, what is frozen, rows of the data, and why it is not parted.
REASONS = {
    "augmentation": (
        "input x[1 6 6]; conv 2 3x3 | flatten | dense 2",
        "conv_1",
        "augment flip horizontal",
        "augmentation changes the rows in every epoch",
    ),
    "the beginning learns": (
        "input x[6]; dense 5 | relu | dense 4 | dense 2",
        "dense_2",
        "",
        "the first layers are not frozen",
    ),
    "a dropout at the beginning": (
        "input x[6]; dropout 20% | dense 5 | dense 2",
        "dense_1",
        "",
        "`dropout_1` draws random numbers in every step",
    ),
    "noise at the beginning": (
        "input x[6]; gaussian_noise 0.1 | dense 5 | dense 2",
        "dense_1",
        "",
        "`gaussian_noise_1` draws random numbers in every step",
    ),
    "the input is the target": (
        "input x[6]; dense 3 | dense 6",
        "dense_1",
        "target input",
        "the target is the model's own input",
    ),
    "everything is frozen": (
        "input x[6]; dense 5 | dense 2",
        "dense_1 dense_2",
        "",
        "nothing behind the frozen layers learns",
    ),
    "a table": (
        "input words[7] dtype=int64; embedding 20 6 | flatten | dense 2",
        "embedding_1",
        "",
        "looking up a table is as quick as reading what it gave",
    ),
    "nothing is frozen": ("input x[6]; dense 5 | dense 2", "nothing", "", "nothing is frozen"),
}


@pytest.mark.parametrize(("body", "frozen", "data", "reason"), REASONS.values(), ids=REASONS)
def test_why_nothing_is_kept(body: str, frozen: str, data: str, reason: str) -> None:
    assert parted(body, frozen, data)[2] == reason


def body_and(
    freezes: dict[str, object], body: str = "part body { dense 5 | batch_norm }"
) -> object:
    whole = program(training_file(f"input x[6]; {body}; dense 2", TRAIN))
    model = whole.models["m"]
    return cut_frozen(model, freezing(model, "body", **freezes), whole.datasets["d"])  # type: ignore[arg-type]


def test_it_can_be_refused() -> None:
    assert body_and({"cache": "off"}) == "cache=off"


def test_a_batch_norm_that_moves() -> None:
    """What stands before it can be kept; where nothing does, it is the reason."""
    made = body_and({"moving": "body.batch_norm_1"})
    assert isinstance(made, FrozenPrefix)
    assert list(made.prefix.outputs) == ["frozen/body.dense_1"]
    first = body_and({"moving": "body.batch_norm_1"}, "part body { batch_norm | dense 5 }")
    assert first == "`body.batch_norm_1` normalizes by the batch and moves its statistics"


def test_single_tensors_are_frozen() -> None:
    """A layer whose tensors stand still is as one that does, unless it looks at other rows."""
    whole = program(training_file("input x[6]; dense 5 | batch_norm | relu; dense 2", TRAIN))
    model, spec = whole.models["m"], whole.datasets["d"]
    names = frozenset(p.name for c in model.calls[:2] for p in c.params)
    made = cut_frozen(model, Freezing(tensors=names), spec)
    assert isinstance(made, FrozenPrefix)
    assert list(made.prefix.outputs) == ["frozen/dense_1"]
    one = cut_frozen(model, Freezing(tensors=frozenset({"dense_1.weight"})), spec)
    assert one == "the first layers are not frozen"


TITLES = {
    "stem, body": ("part stem { dense 5 }; part body { dense 4 }; dense 2", "stem body"),
    "dense_1 to dense_3": ("dense 5 | dense 4 | dense 3 | dense 2", "dense_1 dense_2 dense_3"),
    "body": ("part body { dense 5 | relu | dense 4 }; dense 2", "body.dense_1 body.dense_2"),
}


@pytest.mark.parametrize(("title", "told"), TITLES.items())
def test_it_has_a_name(title: str, told: tuple[str, str]) -> None:
    cut = parted(f"input x[6]; {told[0]}", told[1])[2]
    assert isinstance(cut, FrozenPrefix)
    assert cut.title == title


LAYERS = (
    "dense 6",
    "dense 6 bias=false",
    "relu",
    "tanh",
    "batch_norm",
    "layer_norm",
    "dropout 30%",
    "gelu",
    "dense 9 | elu | dense 6",
)


@st.composite
def nets(draw: st.DrawFn) -> tuple[str, list[int]]:
    """Flows of layers of one width, some of which reach back to an earlier value, and the numbers
    of the layers that are frozen.
    """
    lines, names = ["input x[6]"], ["x"]
    for number in range(draw(st.integers(2, 7))):
        layer = draw(st.sampled_from(LAYERS))
        lines.append(f"v{number} = {draw(st.sampled_from(names[-2:]))} | {layer}")
        names.append(f"v{number}")
        if draw(st.booleans()) and len(names) > 2:
            other = draw(st.sampled_from(names[:-1]))
            lines.append(f"w{number} = v{number} + {other}")
            names.append(f"w{number}")
    lines.append(f"{' + '.join(names[1:])} | dense 3")
    return "; ".join(lines), draw(st.lists(st.integers(0, 40), max_size=12))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(nets())
def test_any_model_in_two_is_the_model(drawn_net: tuple[str, list[int]]) -> None:
    body, numbers = drawn_net
    whole = program(training_file(body, TRAIN))
    model, spec = whole.models["m"], whole.datasets["d"]
    paths = [c.path for c in model.calls if c.params or "dropout" in c.path][:-1]
    frozen = [paths[n] for n in numbers if n < len(paths)]
    ice = freezing(model, *frozen)
    cut = cut_frozen(model, ice, spec)
    if isinstance(cut, str):
        assert cut
        return
    assert all(path in ice.calls for path in cut.layers)
    assert all(p.name in ice.tensors for c in cut.prefix.calls for p in c.params if p.trainable)
    everything = inference_graph(model, spec)
    front, back = inference_graph(cut.prefix, spec), inference_graph(cut.rest, cut.data)
    state = initial_values((*everything.params, *front.params, *back.params), 5)
    x = drawn(model, 8)
    (wanted,) = run(everything, x, state).values()
    (found,) = run(back, {**x, **run(front, x, state)}, state).values()
    near(found, wanted)
