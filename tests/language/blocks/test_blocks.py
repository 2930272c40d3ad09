"""Blocks: weights, stable names, parameters, what stands in them, how large they become."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import Training, near, program, training_file

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic
from deepdsl.language.analysis import Model


def net(text: str) -> Model:
    return program(text).models["net"]


def paths(text: str) -> list[str]:
    return [call.path for call in net(text).calls]


def written(text: str) -> list[str]:
    """Each layer as it would be written with all that was filled in."""
    return [call.layer.show() for call in net(text).calls]


def said(text: str) -> list[Diagnostic]:
    return list(check(Source("a.dnn", text))[1])


def whole(blocks: str, lines: str, size: str = "4") -> str:
    return f"{blocks}\nmodel net {{ input x[{size}]; {lines} | dense 3 | softmax }}\n"


# Names and weights --------------------------------------------------------------------------------

UNIT = "block unit(width, act=relu) { dense width | act }"


def test_each_use_has_weights_of_its_own_under_its_number() -> None:
    text = whole(UNIT, "unit 8 | unit 4; part body { unit 5 }; dense 2")
    assert paths(text) == [
        "unit_1.dense_1",
        "unit_1.relu_1",
        "unit_2.dense_1",
        "unit_2.relu_1",
        "body.unit_1.dense_1",
        "body.unit_1.relu_1",
        "dense_1",
        "dense_2",
        "softmax_1",
    ]
    assert len({p.name for p in net(text).params}) == 10


def test_a_block_in_a_shared_part_is_shared() -> None:
    text = f"""{UNIT}
    model net {{
      input a[4]; input b[4]
      part tower {{ unit 8 | unit 4 }}
      left = a | tower
      right = b | tower
      left + right | dense 3 | softmax
    }}"""
    assert paths(text)[:8] == ["tower.unit_1.dense_1", "tower.unit_1.relu_1"] * 0 + [
        f"tower.unit_{n}.{layer}_1" for _ in "ab" for n in (1, 2) for layer in ("dense", "relu")
    ]
    assert len(net(text).params) == 6


def test_what_is_added_at_the_end_renames_nothing_before_it() -> None:
    """Nor do initial weights change, which follow the names."""
    block = "block unit(width) {{ dense width | relu{more} }}"
    before = net(whole(block.format(more=""), "unit 8 | unit 8; part body { unit 8 }; dense 2"))
    for more, lines in (
        (" | dense 8 | relu", "unit 8 | unit 8; part body { unit 8 }; dense 2"),
        ("", "unit 8 | unit 8; part body { unit 8 | unit 8 }; unit 8 | unit 8"),
    ):
        after = net(whole(block.format(more=more), lines))
        names = [c.path for c in before.calls if "unit" in c.path]
        assert set(names) <= {c.path for c in after.calls}
        assert {p.name for p in before.params if "unit" in p.name} <= {p.name for p in after.params}


def test_blocks_and_layers_are_numbered_by_kind() -> None:
    blocks = f"{UNIT}\nblock other() {{ unit 8 }}"
    found = paths(whole(blocks, "unit 8 | other | unit 8 | dense 2 | other"))
    assert [p for p in found if p.endswith("dense_1")] == [
        "unit_1.dense_1",
        "other_1.unit_1.dense_1",
        "unit_2.dense_1",
        "dense_1",
        "other_2.unit_1.dense_1",
    ]


# Parameters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "layer"),
    [
        ("16", "dense(16)"),
        ("width=16", "dense(16)"),
        ("(4 * 4) he_normal", "dense(16 init=he_normal)"),
        ("wide start", "dense(16 init=normal(std=0.2))"),
        ("16 init=normal(std=deviation)", "dense(16 init=normal(std=0.1))"),
        ("16 bias=false", "dense(16 bias=false)"),
        ("16 none false 1e-3", "dense(16 bias=false l2=0.001)"),
        ("l2=10% width=16", "dense(16 l2=0.1)"),
    ],
)
def test_a_parameter_holds_what_an_argument_may(use: str, layer: str) -> None:
    text = """
    let deviation = 0.1
    let start = normal(std=(2 * deviation))
    let wide = 16
    block unit(width, init=none, bias=true, l2=0) { dense width init=init bias=bias l2=l2 | relu }
    """
    found = net(whole(text, f"unit {use}")).calls[0].layer
    if "init" not in layer:
        layer = f"{layer[:-1]} init=he_normal)".replace("(16 bias", "(16 bias")
    wanted = net(whole("", layer.replace("(", " ", 1)[:-1] + " | relu")).calls[0].layer
    assert found == wanted


def test_lists_and_texts_are_handed_on_too() -> None:
    assert written(whole("block to(shape) { reshape shape }", "to [2 2] | flatten"))[0] == (
        "reshape([2 2])"
    )


def test_a_default_value_is_made_from_parameters_before_it() -> None:
    block = "block unit(width, inner=(width * 2)) { dense inner | dense width | relu }"
    for use, widths in (("unit 4", [8, 4]), ("unit 4 6", [6, 4])):
        assert [c.type.shape[1] for c in net(whole(block, use)).calls[:2]] == widths


@pytest.mark.parametrize(
    ("act", "layers"),
    [
        ("act=tanh", ["tanh"]),
        ("act=leaky_relu(slope=0.2)", ["leaky_relu(0.2)"]),
        ("act=none", []),
        ("act=wide", ["dense(7 init=glorot_uniform)", "elu"]),
        ("act=tall(5)", ["dense(5 init=glorot_uniform)", "relu"]),
        ("act=usual", ["swish"]),
    ],
)
def test_a_parameter_names_a_layer_or_a_block(act: str, layers: list[str]) -> None:
    text = """
    let usual = swish
    block tall(n) { dense n init=glorot_uniform | relu }
    block wide() { dense 7 init=glorot_uniform | elu }
    block unit(width, act=relu) { dense width init=he_normal | act }
    block around(act) { unit 8 act=act }
    """
    assert written(whole(text, f"around {act}"))[1 : 1 + len(layers)] == layers
    assert len(written(whole(text, f"around {act}"))) == len(layers) + 3


def test_values_are_handed_to_a_block() -> None:
    text = """
    block merge(other, width) { concat in other | dense width | relu }
    block either(a, b) { a + b | relu }
    model net {
      input x[4]; input y[4]
      c = either x y
      d = x | merge c 6
      d | merge y width=5 | dense 3 | softmax
    }"""
    found = {c.path: c for c in net(text).calls}
    assert found["merge_1.concat_1"].inputs == (0, found["either_1.relu_1"].output)
    assert found["merge_2.concat_1"].inputs == (found["merge_1.relu_1"].output, 1)
    assert said(text) == []


def test_a_block_sees_what_stands_above_it() -> None:
    text = whole(
        """
        let width = 8
        default dense init=he_normal
        block first() { dense width }
        default dense bias=false
        let height = 5
        block second() { dense height }
        """,
        "default dense init=zeros l2=0.1; first | second",
    )
    assert written(text)[:3] == [
        "dense(8 init=he_normal)",
        "dense(5 init=he_normal bias=false)",
        "dense(3 init=zeros bias=false l2=0.1)",
    ]


def test_names_of_a_default_are_those_of_its_place() -> None:
    text = whole(
        """
        let spread = 0.5
        default dense init=normal(std=spread)
        block unit(spread) { default dense l2=spread; dense 4 | relu }
        """,
        "unit 0.25",
    )
    assert written(text)[0] == "dense(4 init=normal(0.5) l2=0.25)"


# Choices and repeats ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "value", "taken"),
    [
        ("n == 3", "3", True),
        ("n == 3", "3.0", True),
        ("n != 3", "4", True),
        ("n < 3", "3", False),
        ("n <= 3", "3", True),
        ("n > (2 + 1)", "4", True),
        ("n >= 5", "4", False),
        ("n == batch", "batch", True),
        ("n == batch", "layer", False),
        ("n != none", "none", False),
        ("n == auto", "3", False),
        ("n == true", "true", True),
        ("n == true", "1", False),
        ("n == false", "false", True),
        ("n == normal", "normal(std=1)", True),
        ("n == unit", "unit", True),
        ("n * 2 > m", "3", True),
    ],
)
def test_conditions(condition: str, value: str, taken: bool) -> None:
    text = f"block unit(n) {{ let m = 5; if {condition} then tanh else sigmoid }}"
    text = text.replace("let m = 5; ", "" if " m" not in condition else "let m = 5; ")
    assert written(whole(text, f"unit {value}"))[0] == ("tanh" if taken else "sigmoid")


def test_choices_in_choices() -> None:
    text = """
    block unit(n) {
      if n == 1 then tanh else if n == 2 then if n > 1 then relu else elu else sigmoid | dense 2
    }"""
    assert [s.partition("(")[0] for s in written(whole(text, "unit 1 | unit 2 | unit 3"))] == [
        "tanh",
        "relu",
        "sigmoid",
        "dense",
        "dense",
        "softmax",
    ]


def test_a_branch_that_is_not_taken_counts_as_a_reader() -> None:
    text = """
    let width = 9
    block unit(n, other) {
      side = in | dense 4 | relu
      part rest { dense 5 | relu }
      if n == 1 then in else side + other | rest | dense width | pair side
    }
    block pair(with) { in + with }
    model net { input x[4]; y = x | dense 4 | tanh; unit 1 y | dense 3 | softmax }
    """
    assert said(text) == []


def test_nothing_is_made_of_a_branch_that_is_not_taken() -> None:
    text = whole(
        "block unit(n) { dense 4; if n > 1 then group_norm n | dense 9 else tanh }", "unit 1"
    )
    assert paths(text)[:2] == ["unit_1.dense_1", "unit_1.tanh_1"]
    assert said(text) == []  # in groups of 1 there would be an error


def test_a_computed_repeat_may_have_no_turns() -> None:
    text = "block stack(depth) { tanh; repeat (depth - 1) { dense 4 | tanh } }"
    assert [len(paths(whole(text, f"stack {n}"))) - 2 for n in (1, 2, 3)] == [1, 3, 5]
    assert said(whole(text, "stack 1")) == []
    (error,) = said(whole(text, "stack 0"))
    assert (error.code, error.label) == ("E103", "found `(depth - 1)`, which is -1")
    (error,) = said("model net { input x[4]; repeat 0 { dense 4 }; dense 3 | softmax }")
    assert error.code == "E103"


def test_parts_of_a_block_are_its_own() -> None:
    text = """
    block twins() { part body { dense 4 | tanh }; a = in | body; b = a | body; a + b }
    model net { input x[4]; part body { twins }; twins | dense 3 | softmax }
    """
    assert [p.name for p in net(text).params if p.name.endswith("weight")] == [
        "body.twins_1.body.dense_1.weight",
        "twins_1.body.dense_1.weight",
        "dense_1.weight",
    ]
    assert said(text) == []


# Messages -----------------------------------------------------------------------------------------


def test_a_fault_is_told_once_with_the_way_to_it() -> None:
    text = """block unit(width) {
  dense width | relu
  image 3
}
block stage(width) { unit width; unit width }
model net { input x[4]; stage 8 | stage 9; repeat 3 { stage 8 }; dense 3 | softmax }
"""
    (error,) = said(text)
    assert (error.code, error.elsewhere) == ("E101", 5)
    assert [(u.name, u.span.line) for u in error.uses] == [("`unit`", 5), ("`stage`", 6)]
    assert error.as_json()["uses"] == [
        {"of": "`unit`", "file": "a.dnn", "line": 5, "column": 22},
        {"of": "`stage`", "file": "a.dnn", "line": 6, "column": 25},
    ]


def test_a_warning_in_a_block_has_the_way_to_it() -> None:
    text = "block unit(n) { dense n init=he_normal | selu }\n"
    text += "model net {\n  input x[4]\n  unit 8 | unit 8 | dense 3 | softmax\n}\n"
    (warning,) = [d for d in said(text) if d.code == "W403"]
    assert [(u.name, u.span.line) for u in warning.uses] == [("`unit`", 4)]


def test_two_faults_of_one_place_are_both_told() -> None:
    text = whole("block unit(n) { npz n }\nblock two() { dense 3 bais=3 uints=4 }", "unit 3 | two")
    assert [d.code for d in said(text)] == ["E101", "E102", "E102"]


def test_blocks_that_nothing_uses_are_looked_at() -> None:
    text = """block lost(n, other, act) {
  dense n | act | rleu
  in + other | dense (n / 2) unit=3
  if n == 3 then conccat in other else repeat n { dens 3 }
}
model net { input x[4]; dense 3 | softmax }
"""
    assert [(d.code, d.span and d.span.line) for d in said(text)] == [
        ("E101", 2),
        ("E102", 3),
        ("E101", 4),
        ("E101", 4),
    ]


def test_a_file_of_blocks_is_for_others() -> None:
    assert said(f"let width = 3\n{UNIT}\nblock other() {{ unit 8 }}") == []


def test_fixes_in_a_block() -> None:
    from deepdsl.compiler.front_end import diagnose
    from deepdsl.language.fixes import fix

    text = "block unit(n) { dense n | batch_norm | relu }\nblock never() { relu }\n"
    text += "model net { input x[4]; unit 8 | unit 9 | dense 3 | softmax }\n"
    fixed = fix(Source("a.dnn", text), diagnose)
    assert list(fixed.left) == []
    assert fixed.source.text == (
        "block unit(n) { dense n bias=false | batch_norm | relu }\n"
        "model net { input x[4]; unit 8 | unit 9 | dense 3 | softmax }\n"
    )


# Sizes --------------------------------------------------------------------------------------------


def doubling(levels: int, first: str) -> str:
    blocks = [f"block b0() {{ {first} }}"]
    blocks += [f"block b{n}() {{ b{n - 1} | b{n - 1} }}" for n in range(1, levels + 1)]
    return whole("\n".join(blocks), f"b{levels}")


@pytest.mark.parametrize("first", ["dense 4 | relu", "in", "dense four"])
def test_blocks_that_double_are_refused_at_once(first: str) -> None:
    begin = time.perf_counter()
    found = said(doubling(30, first))
    assert time.perf_counter() - begin < 2
    assert "E116" in [d.code for d in found]


def test_deep_nesting_is_refused() -> None:
    blocks = ["block b0() { dense 4 | relu }"]
    blocks += [f"block b{n}() {{ b{n - 1} }}" for n in range(1, 300)]
    (found,) = said(whole("\n".join(blocks), "b299"))
    assert (found.code, len(found.uses)) == ("E116", 50)
    assert paths(whole("\n".join(blocks), "b40"))[0].count(".") == 41


def test_time_grows_with_the_layers() -> None:
    def seconds(uses: int) -> float:
        text = whole(UNIT, " | ".join(["unit 8"] * uses))
        best = []
        for _ in range(3):
            begin = time.perf_counter()
            assert program(text).models
            best.append(time.perf_counter() - begin)
        return min(best)

    seconds(10)
    assert seconds(400) < 8 * 3 * seconds(50)  # 8 where it is linear


# A block is what it stands for --------------------------------------------------------------------


class Random:
    """A file of random blocks, with and without its blocks: each use is a part by the name that
    the use gets.
    """

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.blocks: list[list[tuple[object, ...]]] = []
        for level in range(self.rnd.randint(1, 4)):
            self.blocks.append([("dense", 1, 1), *self.lines(level, 3)])
        self.main = [*self.lines(len(self.blocks), 4), ("use", len(self.blocks) - 1, 5, 0, 2)]

    def lines(self, level: int, most: int) -> list[tuple[object, ...]]:
        return [self.line(level) for _ in range(self.rnd.randint(1, most))]

    def line(self, level: int) -> tuple[object, ...]:
        rnd = self.rnd
        kinds = ["dense", "act", "sum"] + ["repeat", "if", "use", "use"] * bool(level)
        match rnd.choice(kinds):
            case "dense":
                return "dense", rnd.randint(1, 3), rnd.randint(0, 2)
            case "act":
                return "act", rnd.choice(["relu", "tanh", "dropout 0.1", "identity"])
            case "sum":
                return "sum", rnd.randint(1, 3)
            case "repeat":
                return "repeat", rnd.randint(0, 2), [*self.lines(0, 2), self.use(level)]
            case "if":
                return "if", rnd.randint(1, 6), self.use(level), ("dense", 2, 1)
        return self.use(level)

    def use(self, level: int) -> tuple[object, ...]:
        rnd = self.rnd
        return "use", rnd.randrange(level), rnd.randint(0, 3), rnd.randint(0, 1), rnd.randint(1, 3)

    def with_blocks(self) -> str:
        text = [
            f"block b{number}(n, d=1) {{\n{self.templated(lines)}\n}}"
            for number, lines in enumerate(self.blocks)
        ]
        self.rnd.shuffle(text)  # a block may stand below its use
        body = f"let n = 3; let d = 2\n{self.templated(self.main)}"
        return "\n".join([f"model net {{\ninput x[4]\n{body}\ndense 3 | softmax\n}}", *text])

    def templated(self, lines: list[tuple[object, ...]]) -> str:
        return "\n".join(self.template(line) for line in lines)

    def template(self, line: tuple[object, ...]) -> str:
        match line:
            case "dense", a, b:
                return f"dense (n * {a} + {b}) | relu"
            case "act", name:
                return str(name)
            case "sum", a:
                return f"repeat 1 {{ dense (n * {a}) | tanh }}"
            case "repeat", less, [*inner]:
                return f"repeat (d * 2 - {less} * d) {{\n{self.templated(inner)}\n}}"
            case "if", limit, then, other:
                taken = f"if n > {limit} then {self.template(then)}"  # type: ignore[arg-type]
                return f"{taken} else {self.template(other)}"  # type: ignore[arg-type]
            case "use", block, a, b, depth:
                return f"b{block} (n * {b} + {a} + 1) d={depth}"
        raise AssertionError(line)

    def without(self) -> str:
        body = "\n".join(self.expanded(self.main, 3, 2, {}))
        return f"model net {{\ninput x[4]\n{body}\ndense 3 | softmax\n}}"

    def expanded(
        self, lines: list[tuple[object, ...]], n: int, d: int, counts: dict[object, int]
    ) -> Iterator[str]:
        for line in lines:
            match line:
                case "dense", int(a), int(b):
                    yield f"dense {n * a + b} | relu"
                case "act", name:
                    yield str(name)
                case "sum", int(a):
                    yield f"dense {n * a} | tanh"
                case "repeat", int(less), [*inner]:
                    for _ in range(d * 2 - less * d):
                        yield from self.expanded(inner, n, d, counts)
                case "if", int(limit), then, other:
                    taken: list[tuple[object, ...]] = [then if n > limit else other]  # type: ignore[list-item]
                    yield from self.expanded(taken, n, d, counts)
                case "use", int(block), int(a), int(b), int(depth):
                    counts[block] = counts.get(block, 0) + 1
                    yield f"part b{block}_{counts[block]} {{"
                    yield from self.expanded(self.blocks[block], n * b + a + 1, depth, {})
                    yield "}"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_a_block_is_what_it_stands_for(seed: int) -> None:
    """The same layers under the same names, with the same parameters, from the same values."""
    made = Random(seed)
    blocks, parts = net(made.with_blocks()), net(made.without())
    assert blocks.outputs == parts.outputs
    assert len(blocks.calls) == len(parts.calls)
    for one, other in zip(blocks.calls, parts.calls, strict=True):
        assert (one.path, one.layer, one.inputs, one.type) == (
            other.path,
            other.layer,
            other.inputs,
            other.type,
        )
    assert [(p.name, p.type, p.init, p.role, p.fans) for p in blocks.params] == [
        (p.name, p.type, p.init, p.role, p.fans) for p in parts.params
    ]


def test_the_numbers_of_a_block_are_those_of_its_text() -> None:
    """Losses, gradients and steps, with the weights of one copied to the other."""
    blocks = """
    block unit(width) { a = in | dense width | tanh; side = if width == 6 then in else a
                        a + side | batch_norm }
    """
    whole_ = "{} dense 3 | softmax"
    rows = "loss cross_entropy; optimizer sgd lr=0.5; seed 1"
    short = training_file("input x[6]; repeat 2 { unit 6 }; unit 4; dense 3 | softmax", rows)
    long = training_file(
        """input x[6]
        a = x | dense 6 | tanh; b = a + x | batch_norm
        c = b | dense 6 | tanh; d = c + b | batch_norm
        e = d | dense 4 | tanh; e + e | batch_norm; """
        + whole_.format(""),
        rows,
    )
    one, other = Training(blocks + short), Training(long)
    of = {
        f"unit_{n}.{kind}_1": f"{kind}_{n}" for n in (1, 2, 3) for kind in ("dense", "batch_norm")
    }
    renamed = {"dense_1": "dense_4", **of}

    def there(name: str) -> str:
        path, _, tensor = name.rpartition(".")
        return f"{renamed.get(path, path)}.{tensor}" if path in renamed else name

    assert {there(name) for name in one.state} == set(other.state)
    other.state.update({there(name): value for name, value in one.state.items()})
    rnd = np.random.default_rng(0)
    batch = {"x": rnd.normal(size=(8, 6)).astype("f4"), "target": rnd.integers(0, 3, 8)}
    batch["target"] = batch["target"].astype(np.int64)
    near(one.infer(x=batch["x"]), other.infer(x=batch["x"]))
    for _ in range(3):
        near(one.step(**batch)["loss"], other.step(**batch)["loss"])
    for name, value in one.state.items():
        near(value, other.state[there(name)], 1e-5)
