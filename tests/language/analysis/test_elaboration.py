"""Each piece of the elaboration alone: bodies and other networks are what a test hands in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deepdsl.core.registry import lookup
from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Report
from deepdsl.graph import Type
from deepdsl.language.analysis.blocks import apply_block
from deepdsl.language.analysis.definitions import Definitions
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.flows import unroll_flow
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.layer_calls import apply_layer
from deepdsl.language.analysis.model import BATCH, Model
from deepdsl.language.analysis.parts import apply_part, apply_repeat
from deepdsl.language.analysis.reuse import apply_reuse
from deepdsl.language.analysis.templates import Called
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.parser import parse
from deepdsl.language.syntax.uses import Uses

Body = Callable[[Elaboration, ast.Body, Frame, str, Span], None]


def no_body(state: Elaboration, body: ast.Body, frame: Frame, what: str, named: Span) -> None:
    raise AssertionError(f"went into {what}")


def no_network(*_: Any) -> Model | None:
    raise AssertionError("unrolled another model")


def one_dense(state: Elaboration, body: ast.Body, frame: Frame, what: str, named: Span) -> None:
    """A body that is one dense layer, whatever is written."""
    assert frame.current is not None
    frame.current = apply_layer(state, lookup("layer")["dense"](3), named, frame, [frame.current])


class Place:
    """The beginning of the last model of a text, where an input of four numbers flows."""

    def __init__(self, text: str, body: Body = no_body, network: Any = no_network) -> None:
        self.home = Definitions(parse(Source("", text)), Report(), Uses())
        self.report = Report()
        template = list(self.home.templates.values())[-1]
        self.state = Elaboration(template, self.report, set(), body, network)
        self.statements = template.syntax.body.statements
        span = template.syntax.name.span
        value = self.state.trace.add_input("x", Type((BATCH, 4), "f32"), span)
        self.into = Flowing(value, span)
        self.frame = Frame("model", "", template.env.reporting(self.report), template.defaults)
        self.frame.current = self.frame.values["x"] = self.into

    def unit(self) -> Any:
        (statement,) = self.statements
        assert isinstance(statement, ast.Chain)
        return statement.head

    @property
    def paths(self) -> list[str]:
        return [call.path for call in self.state.trace.calls]

    @property
    def codes(self) -> list[str]:
        return [diagnostic.code for diagnostic in self.report]


def test_a_flow_of_layers_enters_no_body() -> None:
    place = Place("model net { x | dense 5 | relu | dense 2 }")
    out = unroll_flow(place.state, place.statements[0], place.frame)  # type: ignore[arg-type]
    assert out.value is not None
    assert out.value.type.shape == (BATCH, 2)
    assert place.paths == ["dense_1", "relu_1", "dense_2"]


def test_a_repeat_goes_through_its_body_as_often_as_it_says() -> None:
    place = Place("model net { repeat 3 { relu } }", one_dense)
    out = apply_repeat(place.state, place.unit(), place.frame, place.into)
    assert place.paths == ["dense_1", "dense_2", "dense_3"]
    assert out.value is not None
    assert place.frame.current is place.into


@pytest.mark.parametrize(("flowing", "codes"), [(1, []), (0, ["E204"])])
def test_a_part_needs_something_that_flows_in(flowing: int, codes: list[str]) -> None:
    place = Place("model net { part body { relu } }", one_dense)
    part = place.statements[0]
    assert isinstance(part, ast.Part)
    into = place.into if flowing else None
    apply_part(place.state, part, place.frame, into, part.span)
    assert place.codes == codes
    assert place.paths == ["body.dense_1"] * flowing


def test_each_use_of_a_block_has_a_path_of_its_own() -> None:
    place = Place("block unit(n) { dense n }\nmodel net { unit 3 }", one_dense)
    unit = place.unit()
    called = Called("unit", unit.path.span, unit.args, unit.span, place.frame.env)
    for _ in range(2):
        apply_block(place.state, place.home.templates["unit"], called, place.frame, place.into)
    assert place.paths == ["unit_1.dense_1", "unit_2.dense_1"]
    assert place.state.reached == {place.home.templates["unit"]}


def test_a_reuse_asks_for_the_network_that_it_names() -> None:
    asked = []

    def network(state: Elaboration, template: Any, span: Span, report: Report) -> None:
        asked.append(template.name)

    place = Place("model base { relu }\nmodel net { reuse base }", network=network)
    out = apply_reuse(place.state, place.unit(), place.frame, place.into)
    assert asked == ["base"]
    assert out.value is None
