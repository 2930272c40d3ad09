"""The model as boxes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from deepdsl.analysis import Model
from deepdsl.frontend import load_program
from deepdsl.report.drawing import boxes, draw_model
from deepdsl.source import Source

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


def test_layers_without_weights_stand_with_the_one_before() -> None:
    made = boxes(CHAIN)
    assert [(b.words, b.shape, b.params, b.inputs) for b in made] == [
        ("input x", (4,), 0, []),
        ("dense | relu | dropout", (8,), 40, [0]),
        ("dense | softmax", (3,), 27, [1]),
    ]


def test_a_value_that_is_used_twice_ends_its_box() -> None:
    assert [(b.words, b.inputs) for b in boxes(BRANCHES)] == [
        ("input x", []),
        ("dense | relu", [0]),
        ("dense | relu", [1]),
        ("add", [1, 2]),
        ("dense | softmax", [3]),
    ]


def test_shared_weights_are_counted_once() -> None:
    made = boxes(SHARED)
    assert [(b.path, b.params) for b in made if b.path.startswith("tower")] == [
        ("tower.dense_1", 40),
        ("tower.dense_1", 0),
    ]


def test_the_picture_has_a_box_and_an_arrow_for_each() -> None:
    for each, arrows in ((CHAIN, 2), (BRANCHES, 5), (SHARED, 5)):
        root = ET.fromstring(draw_model(each))
        assert len(list(root.iter(f"{SVG}rect"))) == len(boxes(each))
        assert len(list(root.iter(f"{SVG}path"))) == 2 * arrows  # a line and its head
        left, _, width, height = map(float, root.attrib["viewBox"].split())
        for text in root.iter(f"{SVG}text"):
            assert left <= float(text.attrib["x"]) <= width
            assert 0 <= float(text.attrib["y"]) <= height


def test_a_very_deep_model_is_cut() -> None:
    deep = model("model net { input x[4]; repeat 100 { dense 4 | tanh }; dense 2 | softmax }")
    told = [t.text for t in ET.fromstring(draw_model(deep)).iter(f"{SVG}text")]
    assert "and 42 boxes more" in told
