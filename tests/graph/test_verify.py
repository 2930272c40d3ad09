"""The builder refuses ill-typed graphs, and `verify` finds what a pass may break."""

from __future__ import annotations

from typing import Any

import pytest

from deepdsl.graph import Builder, Graph, Node, Param, ShapeError, Type, Value, verify
from deepdsl.graph.arithmetic import Add, Exp
from deepdsl.graph.concatenation import Concatenate
from deepdsl.graph.gemm import Gemm
from deepdsl.graph.verify import BrokenGraph
from deepdsl.nn.initializers import Zeros

X = Value("x", Type(("N", 3)))
Y = Value("y", Type(("N", 3)))
W = Param("w", Type((3,)), Zeros())


def graph(*nodes: Node, out: Value = Y, updates: Any = None, params: Any = ()) -> Graph:
    return Graph((X,), params, nodes, {"out": out}, updates or {})


def test_a_sound_graph_is_given_back() -> None:
    sound = graph(Node(Exp(), (X,), (Y,)))
    assert verify(sound) is sound


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (graph(Node(Exp(), (Value("z", X.type),), (Y,))), "before it is made"),
        (graph(Node(Exp(), (Y,), (Y,))), "before it is made"),
        (graph(Node(Exp(), (X,), (Value("y", Type(("N", 4))),)), out=X), "makes"),
        (graph(Node(Exp(), (X,), (Value("x", X.type),)), out=X), "twice"),
        (graph(), "never made"),
        (graph(Node(Exp(), (X,), (Y,)), updates={W: Y}, params=(W,)), "cannot become"),
        (graph(Node(Exp(), (X,), (Y,)), updates={W: W}), "never made"),
    ],
)
def test_a_broken_graph_is_refused(broken: Graph, message: str) -> None:
    with pytest.raises(BrokenGraph, match=message):
        verify(broken)


def test_types_are_checked_as_nodes_are_added() -> None:
    b = Builder()
    x = b.input("x", Type(("N", 3)))
    for op, other in (
        (Add(), Type(("N", 4))),
        (Add(), Type(("N", 3), "f64")),
        (Add(), Type(("M", 3))),
        (Gemm(), Type((4, 2))),
    ):
        with pytest.raises(ShapeError):
            b.add(op, x, b.input("y", other))
    with pytest.raises(ShapeError):
        b.add(Concatenate(1), x, b.input("z", Type(("M", 3))))
    assert not b.nodes


def test_names_are_unique_and_follow_the_path() -> None:
    b = Builder()
    x = b.input("x", Type(("N", 3)))
    with b.at("body.layer"):
        first, second = b.add(Exp(), x), b.add(Exp(), x)
    third = b.add(Exp(), second)
    assert [v.name for v in (first, second, third)] == ["body.layer/exp", "body.layer/exp_2", "exp"]
    verify(b.graph({"out": third}))


def test_a_parameter_asked_for_again_is_the_same() -> None:
    b = Builder()
    first = b.param("part.weight", Type((3, 2)), Zeros())
    assert b.param("part.weight", Type((3, 2)), Zeros()) is first
    with pytest.raises(ShapeError, match="shared weights"):
        b.param("part.weight", Type((4, 2)), Zeros())
    assert b.params == (first,)


def test_constants_are_made_once_and_kept_apart_by_sign_and_type() -> None:
    b = Builder()
    assert b.constant(1.0) is b.constant(1.0)
    made = [b.constant(0.0), b.constant(-0.0), b.constant(0.0, "f64"), b.constant(0, "i64")]
    assert len(set(made)) == 4


def test_an_update_is_seen_by_who_asks_for_the_current_value() -> None:
    b = Builder()
    w = b.param("w", Type(()), Zeros())
    assert b.current(w) is w
    following = b.add(Exp(), w)
    b.update(w, following)
    assert b.current(w) is following
    assert b.graph({}).results == (following,)
