"""Which tensor is which layer: names, prefixes, renames, shapes, orders, layouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reused import (
    NET,
    as_keras,
    as_torch,
    drawn,
    loaded,
    model,
    one_problem,
    problems,
    same,
    torch_file,
)
from safetensors.numpy import save_file
from workbench import Array, program

from deepdsl.diagnostics import DnnError
from deepdsl.transfer.weights import load_reused
from deepdsl.transfer.weights.matching import shared

few = settings(max_examples=40, deadline=None, derandomize=True)

# Names --------------------------------------------------------------------------------------------


@few
@given(
    st.sampled_from(["", "module.", "encoder/", "net.a.b."]),
    st.sampled_from([{}, {"head.dense_1": "fc1"}, {"head": "top", "body.conv_1": "features.0"}]),
    st.booleans(),
)
def test_prefix_and_rename_find_what_was_renamed(
    tmp_path_factory: pytest.TempPathFactory, prefix: str, called: dict[str, str], keras: bool
) -> None:
    values = drawn(program(NET).models["m"])
    stored = as_keras(values) if keras else as_torch(values)
    named: dict[str, Array] = {}
    for name, value in stored.items():
        for ours, theirs in called.items():
            if name.replace("/", ".").startswith(f"{ours}."):
                name = name.replace(ours.replace(".", "/") if keras else ours, theirs, 1)
        named[f"{prefix}{name}"] = value
    named["other.weight"] = np.zeros(3, np.float32)
    path = tmp_path_factory.mktemp("n") / "n.npz"
    np.savez(path, **named)
    rename = tuple(f"{theirs}={ours}" for ours, theirs in called.items())
    made = loaded(NET, path, prefix=prefix, rename=rename)
    assert same(made.values, values)
    assert made.unused == ("other.weight",)


def test_names_within_the_piece(tmp_path: Path) -> None:
    """The piece stands deeper there, and elsewhere here."""
    text = "model m { input x[2]; part here { dense 3 } }"
    path = tmp_path / "t.npz"
    values = {"weight": np.ones((3, 2), np.float32), "bias": np.ones(3, np.float32)}
    tensors = {f"here.dense_1.{n}": f"net.body.dense_1.{n}" for n in values}
    for name in ("net.body.dense_1", "dense_1", "here.dense_1"):
        np.savez(path, **{f"{name}.{n}": v for n, v in values.items()})
        made = loaded(text, path, tensors=tensors)
        assert [row.there for row in made.rows] == [f"{name}.weight", f"{name}.bias"]
    np.savez(path, **{f"fc.{n}": v for n, v in values.items()})
    for ours in ("dense_1", "net.body.dense_1", "here.dense_1"):
        assert loaded(text, path, tensors=tensors, rename=(f"fc={ours}",)).unused == ()


def test_a_name_of_another_layer_is_not_taken(tmp_path: Path) -> None:
    """`dense_2` of the file is no layer of the piece, though one of it has that name within it."""
    text = "model m { input x[2]; dense 2 | dense 2 }"
    names = {n: f"body.{n}" for n in drawn(program(text).models["m"])}
    tensors = {n: np.ones((2, 2) if "weight" in n else 2, np.float32) for n in names}
    stored = {f"body.{n}" if "dense_1" in n else n: v for n, v in tensors.items()}
    np.savez(tmp_path / "t.npz", **stored)
    found = one_problem(text, tmp_path / "t.npz", tensors=names, layout="torch")
    assert found.code == "E527"
    assert "`weight` and `bias` of `dense_2`" in found.message
    made = loaded(
        text, tmp_path / "t.npz", tensors=names, layout="torch", rename=("dense_2=dense_2",)
    )
    assert made.unused == ()


def test_shared_pieces_of_paths() -> None:
    assert shared(["a.b.x", "a.b.y"]) == "a.b."
    assert shared(["a.b.x", "a.by"]) == "a."
    assert shared(["a.b"]) == "a."
    assert shared(["x", "y"]) == shared([]) == ""


def test_what_begins_afresh_is_not_looked_for(tmp_path: Path) -> None:
    values = drawn(program(NET).models["m"])
    kept = {n: v for n, v in values.items() if not n.startswith("head.dense_2")}
    path = torch_file(tmp_path, {**kept, "other.weight": values["head.dense_1.weight"]})
    fresh = frozenset(values.keys() - kept.keys())
    made = loaded(NET, path, fresh=fresh)
    assert same(made.values, kept)
    assert made.left_out == ("head.dense_2.weight", "head.dense_2.bias")
    assert [r.done for r in made.rows if r.here in fresh] == ["starts from scratch"] * 2
    assert made.unused == ("other.weight",)


# Order and shape ----------------------------------------------------------------------------------

LAYERS = ("conv 4 3x3 pad=same", "batch_norm", "relu", "layer_norm", "conv 6 1x1 bias=false")
flows = st.lists(st.sampled_from(LAYERS), min_size=1, max_size=6).map(" | ".join)
ends = st.lists(st.sampled_from(["dense 5", "dense 7", "batch_norm", "elu"]), max_size=4)


@few
@given(flows, ends, st.booleans(), st.booleans())
def test_order_finds_every_network_whatever_its_names(
    tmp_path_factory: pytest.TempPathFactory,
    flow: str,
    end: list[str],
    nameless: bool,
    keras: bool,
) -> None:
    text = f"model m {{ input image[3 6 6]; {' | '.join([flow, 'flatten', 'dense 5', *end])} }}"
    made = program(text).models["m"]
    values = drawn(made)
    calls = [call for call in made.calls if call.params]
    if keras:
        channels = made.type_of(next(c for c in made.calls if c.path == "flatten_1").inputs[0])
        stored = as_keras({n: v for n, v in values.items() if n != "dense_1.weight"})
        kernel, count = values["dense_1.weight"], int(channels.row[0])
        rows = kernel.reshape(count, -1, 5).transpose(1, 0, 2).reshape(kernel.shape)
        stored = {n: stored.get(n, rows) for n in as_keras(values)}
    else:
        stored = as_torch(values)
    named: dict[str, Array] = {}
    for number, call in enumerate(calls):
        for name, value in stored.items():
            if name.replace("/", ".").startswith(f"{call.path}."):
                local = name.replace("/", ".").removeprefix(f"{call.path}.")
                named[f"arr_{len(named)}" if nameless else f"x.{number}.{local}"] = value
    if nameless:
        named = {n: v for n, v in named.items() if v.ndim}
        named = {f"arr_{n}": v for n, v in enumerate(named.values())}
    path = tmp_path_factory.mktemp("o") / "o.npz"
    np.savez(path, **named)
    layout = "keras" if keras else "torch"
    assert same(loaded(text, path, match="order", layout=layout).values, values)


@few
@given(st.permutations(range(4)), st.booleans())
def test_shapes_find_layers_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], square: bool
) -> None:
    """A kernel (5, 5) is found too: the others say how kernels lie."""
    units = [4, 6, 5, 5 if square else 9]
    text = f"model m {{ input x[3]; {' | '.join(f'dense {n}' for n in units)} }}"
    values = drawn(program(text).models["m"])
    stored = as_torch(values)
    path = tmp_path_factory.mktemp("s") / "s.npz"
    named = {
        f"layer{number}.{part}": stored[f"dense_{number + 1}.{part}"]
        for number in order
        for part in ("weight", "bias")
    }
    np.savez(path, **named)
    assert same(loaded(text, path, match="shape").values, values)


def test_shapes_that_leave_two_ways(tmp_path: Path) -> None:
    text = "model m { input x[3]; dense 4 | dense 5 | dense 5 | dense 5 }"
    stored = as_torch(drawn(program(text).models["m"]))
    path = tmp_path / "s.npz"
    np.savez(path, **{n.replace("dense", "fc"): v for n, v in stored.items()})
    found = one_problem(text, path, match="shape")
    assert found.code == "E531"
    assert found.message == (f"`dense_3`, `dense_4` fit more than one of `fc_3`, `fc_4` in {path}")
    assert "match=order" in found.help


def test_shapes_without_names(tmp_path: Path) -> None:
    text = "model m { input x[3]; dense 4 | dense 5 }"
    values = drawn(program(text).models["m"])
    np.savez(tmp_path / "a.npz", *[v.T for v in values.values()][::-1])
    assert same(loaded(text, tmp_path / "a.npz", match="shape").values, values)


def test_a_wrong_order_does_not_fit(tmp_path: Path) -> None:
    text = "model m { input x[3]; dense 4 | batch_norm | dense 5 }"
    stored = as_torch(drawn(program(text).models["m"]))
    names = {"dense_1": "b", "batch_norm_1": "a", "dense_2": "c"}
    path = tmp_path / "t.npz"
    kept = {f"{names[n.split('.')[0]]}.{n.split('.')[1]}": v for n, v in stored.items()}
    np.savez(path, **dict(sorted(kept.items())))
    found = problems(text, path, match="order")
    assert {d.code for d in found} == {"E528", "E532", "E527"}


def test_safetensors_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    text = f"model m {{ input x[3]; {' | '.join(['dense 3'] * 12)} }}"
    values = drawn(program(text).models["m"])
    path = tmp_path / "t.safetensors"
    save_file({n.replace("dense_", "fc"): v for n, v in as_torch(values).items()}, path)
    assert same(loaded(text, path, match="order", layout="torch").values, values)


def test_several_pieces_of_one_model(tmp_path: Path) -> None:
    """All that is wrong with all of them is told at once."""
    values = drawn(program(NET).models["m"])
    path = torch_file(tmp_path, values)
    whole = model(NET, weights=str(path))
    (one,) = whole.reused
    parts = [
        replace(one, tensors={n: n for n in one.tensors if n.startswith(part)}, path=f"old.{part}")
        for part in ("body", "head")
    ]
    made = load_reused(replace(whole, reused=tuple(parts)), {})
    assert same({**made[0].values, **made[1].values}, values)
    assert len(made[0].unused) == 4
    assert made[0].rows[0].here == "body.conv_1.weight"
    wrong = [replace(part, weights=part.path) for part in parts]
    with pytest.raises(DnnError) as caught:
        load_reused(replace(whole, reused=tuple(wrong)), {})
    assert [d.code for d in caught.value.diagnostics] == ["E522", "E522"]


def test_safetensors_without_an_order(tmp_path: Path) -> None:
    """Layers of one shape whose names differ in words may stand in any order."""
    text = "model m { input x[3]; dense 3 | batch_norm | dense 3 | batch_norm | dense 2 }"
    values = drawn(program(text).models["m"])
    stored = as_torch(values)
    path = tmp_path / "t.safetensors"
    names = {"dense_1": "fc1", "batch_norm_1": "bn1", "dense_2": "fc2", "batch_norm_2": "bn2"}
    names["dense_3"] = "classifier"

    def called(name: str) -> str:
        layer, _, part = name.partition(".")
        return f"{names[layer]}.{part}"

    save_file({called(n): v for n, v in stored.items()}, path)
    assert same(loaded(text, path, match="order").values, values)
    names["dense_2"] = "hidden"
    save_file({called(n): v for n, v in stored.items()}, path)
    found = one_problem(text, path, match="order")
    assert found.code == "E531"
    assert found.message == (
        f"{path} keeps no order, and `dense_1`, `dense_2` may be any of `fc1`, `hidden`"
    )
    assert "`np.savez(" in found.help
    np.savez(tmp_path / "t.npz", **{called(n): v for n, v in stored.items()})
    assert same(loaded(text, tmp_path / "t.npz", match="order").values, values)
