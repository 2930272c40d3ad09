"""Models as trees, and trees as pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise

import pytest

from deepdsl.compiler.front_end import load_program
from deepdsl.core.source import Source
from deepdsl.insight.drawing import Box, BoxGroup, picture, tree
from deepdsl.insight.drawing.layout import PlacedBox, placed
from deepdsl.insight.drawing.tree import ENTRY, folded, gathered
from deepdsl.language.analysis import Model

SVG = "{http://www.w3.org/2000/svg}"


def model(text: str) -> Model:
    program, _ = load_program(Source("net.dnn", text))
    (found,) = program.models.values()
    return found


CHAIN = model("model net { input x[4]; dense 8 | relu | dropout 20% | dense 3 | softmax }")
BRANCHES = model(
    "model net { input x[4]\n  a = x | dense 8 | relu\n  b = a | dense 8 | relu\n"
    "  a + b | dense 3 | softmax }"
)
SHARED = model(
    "model net { input left[4]; input right[4]\n  part tower { dense 8 | relu }\n"
    "  a = left | tower\n  b = right | tower\n  concat a b | dense 1 | sigmoid }"
)
NESTED = model(
    "model net { input x[4]\n"
    "  part body {\n    part first { main = in | dense 4 | tanh; main + in | relu }\n"
    "    part second { main = in | dense 4 | tanh; main + in | relu }\n  }\n"
    "  dense 3 | softmax }"
)
DEEP = model("model net { input x[4]; repeat 100 { dense 4 | tanh }; dense 2 | softmax }")
ALL = (CHAIN, BRANCHES, SHARED, NESTED, DEEP)


def rows(box: object) -> list[tuple[str, tuple[int, ...], int]]:
    assert isinstance(box, Box)
    return [(r.words, r.shape, r.params) for r in box.rows]


def test_a_chain_is_one_box_with_a_row_for_each_layer_with_weights() -> None:
    made = tree(CHAIN)
    given, chain = made.nodes
    assert rows(given) == [("input x", (4,), 0)]
    assert rows(chain) == [
        ("dense 8 | relu | dropout 0.2", (8,), 40),
        ("dense 3 | softmax", (3,), 27),
    ]
    assert made.edges == [(0, 1)]


def test_a_value_that_is_used_twice_ends_its_box() -> None:
    made = tree(BRANCHES)
    assert [rows(n)[0][0] for n in made.nodes] == [
        "input x",
        "dense 8 | relu",
        "dense 8 | relu",
        "add",
    ]
    assert made.edges == [(0, 1), (1, 2), (1, 3), (2, 3)]


def test_each_use_of_a_part_is_a_frame_and_shared_weights_are_counted_once() -> None:
    made = tree(SHARED)
    left, right = (n for n in made.nodes if isinstance(n, BoxGroup))
    assert (left.name, left.params, right.name, right.params) == ("tower", 40, "tower", 0)
    assert isinstance(right.nodes[0], Box)
    assert right.nodes[0].rows[0].shared
    assert left.edges == [(ENTRY, 0)]
    assert made.params == 40 + 17


def test_parts_within_parts_with_what_flows_in_and_out() -> None:
    made = tree(NESTED)
    body = made.nodes[1]
    assert isinstance(body, BoxGroup)
    first, second = body.nodes
    assert isinstance(first, BoxGroup)
    assert (first.path, first.params) == ("body.first", 20)
    assert set(first.edges) == {(ENTRY, 0), (ENTRY, 1), (0, 1)}
    assert first.exits == [1]
    assert body.edges == [(ENTRY, 0), (0, 1)]
    assert body.exits == [1]
    assert made.edges == [(0, 1), (1, 2)]
    assert body.shape == second.shape == (4,)


@pytest.mark.parametrize("each", ALL)
def test_every_parameter_is_counted(each: Model) -> None:
    total = sum(p.type.count or 0 for p in each.params)
    whole = tree(each)
    assert whole.params == total
    assert gathered(whole).params == total
    assert folded(whole, 0).params == total


def test_neighbours_that_are_alike_are_told_once() -> None:
    (box,) = (n for n in gathered(tree(DEEP)).nodes[1:])
    assert isinstance(box, Box)
    assert [(r.words, r.times) for r in box.rows] == [
        ("dense 4 | tanh", 100),
        ("dense 2 | softmax", 1),
    ]
    chain = model(
        "model net { input x[4]\n  part a1 { main = in | dense 4; main + in }\n"
        "  part a2 { main = in | dense 4; main + in }\n  part b { dense 4 | tanh }\n"
        "  dense 1 }"
    )
    told = gathered(tree(chain))
    groups = [(n.name, n.times, n.params) for n in told.nodes if isinstance(n, BoxGroup)]
    assert groups == [("a1", 2, 20), ("b", 1, 20)]
    assert told.edges == [(0, 1), (1, 2), (2, 3)]


def drawn(each: PlacedBox, x: float = 0, y: float = 0) -> Iterator[tuple[PlacedBox, float, float]]:
    yield each, x, y
    for inner in each.inner:
        yield from drawn(inner, x + inner.x, y + inner.y)


@pytest.mark.parametrize("each", ALL)
def test_boxes_stand_inside_their_frames_and_apart_from_one_another(each: Model) -> None:
    for at, _, _ in drawn(placed(tree(each))):
        for i, one in enumerate(at.inner):
            assert one.x >= 0
            assert one.x + one.width <= at.width
            assert one.y >= 0
            assert one.y + one.height <= at.height
            for other in at.inner[:i]:
                beside = one.x >= other.x + other.width or other.x >= one.x + one.width
                below = one.y >= other.y + other.height or other.y >= one.y + one.height
                assert beside or below


@pytest.mark.parametrize("each", ALL)
def test_arrows_go_down_and_pass_no_box(each: Model) -> None:
    for at, _, _ in drawn(placed(tree(each))):
        for wire in at.wires:
            heights = [y for _, y in wire.points]
            assert heights == sorted(heights)
            for (x1, y1), (x2, y2) in pairwise(wire.points):
                crossed = [
                    n
                    for n in at.inner
                    if x1 == x2
                    and n.x < x1 < n.x + n.width
                    and max(y1, n.y) < min(y2, n.y + n.height) - 1e-6
                ]
                assert crossed == []


@pytest.mark.parametrize("each", ALL)
def test_the_picture_is_whole_and_well_formed(each: Model) -> None:
    root = ET.fromstring(picture(each))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "The model net"
    assert "http" not in picture(each).replace("http://www.w3.org/2000/svg", "")
