"""Fixes: whatever is fixed still means something, and fixing twice changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lint_programs import DIGITS, net, said, trained

from deepdsl.compiler.front_end import check, diagnose
from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic, Edit
from deepdsl.language.fixes import apply, fix
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import add_row, drop_statement
from deepdsl.language.syntax.parser import parse
from deepdsl.language.syntax.printer import format_source


def fixed(text: str) -> str:
    return fix(Source("a.dnn", text), diagnose).source.text


def edited(source: Source, edit: Edit | None) -> str:
    assert edit is not None
    return source.text[: edit.span.start] + edit.text + source.text[edit.span.end :]


# What a fix writes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  dense 8 | batch_norm | relu", "  dense 8 bias=false | batch_norm | relu"),
        ("  dense 8 bias=true | batch_norm | relu", "  dense 8 bias=false | batch_norm | relu"),
        ("  dense 8 init=normal(std=1) | selu", "  dense 8 init=lecun_normal | selu"),
        # A default stays: it may be right for other layers.
        (
            "  default dense init=he_normal\n  dense 8 | selu",
            "  default dense init=he_normal\n  dense 8 init=lecun_normal | selu",
        ),
        (
            "  default dense init=zeros\n  dense 8 | relu",
            "  default dense init=zeros\n  dense 8 init=he_normal | relu",
        ),
        ("  dense 8   init=zeros | relu", "  dense 8 | relu"),
        ("  dense 8 | selu | dropout 5%", "  dense 8 | selu | alpha_dropout 5%"),
        ("  dense 8 l1=1e-3 max_norm=2 | selu", "  dense 8 | selu"),
        ("  dense 8 | relu | relu", "  dense 8 | relu"),
        ("  dense 8 | relu\n  relu # again", "  dense 8\n  relu # again"),
        ("  let a = 3\n  dense 8 | relu", "  dense 8 | relu"),
        ("  let a = 3; dense 8 | relu", "  dense 8 | relu"),
        ("  dense 8 | relu; let a = 3", "  dense 8 | relu"),
        ("  let a = 3 # three\n  dense 8 | relu", "  dense 8 | relu"),
    ],
)
def test_a_fix_in_a_model(before: str, after: str) -> None:
    rest = "\n  dense 3 | softmax"
    assert fixed(net(before + rest)) == net(after + rest)


@pytest.mark.parametrize(
    "lines",
    [
        # The relu of the repeat stands between its layers too.
        "  repeat 2 { dense 8 | relu }\n  relu | dense 3 | softmax",
        "  repeat 2 { relu | dense 8 | relu }\n  dense 3 | softmax",
        "  part p { relu }\n  dense 8 | p | p | dense 3 | softmax",
        "  h = dense 8 | relu\n  r = h | relu\n  h + r | dense 3 | softmax",
        # A shared part that is right in another place.
        "  part q { softmax }\n  a = x | dense 1 | q\n  b = x | dense 3 | q\n  concat a b",
    ],
)
def test_what_serves_elsewhere_too_is_not_taken_out(lines: str) -> None:
    text = net(lines)
    assert {d.code for d in said(text)} & {"W405", "W413"}
    assert fixed(text) == text


def test_a_file_with_errors_is_left_alone() -> None:
    text = net("  dense 8 | batch_norm | relu\n  densse 3 | softmax")
    done = fix(Source("a.dnn", text), diagnose)
    assert done.source.text == text
    assert done.made == ()
    assert done.left.has_errors


def test_unused_constants_go_one_after_the_other() -> None:
    text = "let a = 3\nlet b = (a + 1)\nlet c = (b * 2) # six\n\n" + net("  dense 3 | softmax")
    done = fix(Source("a.dnn", text), diagnose)
    assert done.source.text == "\n" + net("  dense 3 | softmax")
    assert [d.code for d in done.made] == ["W401"] * 3


def test_a_block_goes_whole() -> None:
    text = "block b(n, m=2) {\n  dense n | relu # wide\n}\n" + net("  dense 3 | softmax")
    assert fixed(text) == net("  dense 3 | softmax")


def test_a_fix_that_would_make_an_error_is_not_made() -> None:
    """The metric does not fit the loss that would come with sigmoid."""
    text = trained("dense 1 | softmax", "loss cross_entropy(smoothing=0.1); seed 1")
    done = fix(Source("a.dnn", text), diagnose)
    assert done.source.text == text
    assert [d.code for d in done.left] == ["W405"]
    text = trained("dense 10 | softmax", "loss mean_squared_error; metric mae; seed 1")
    text = text.replace("scale", "one_hot; scale")
    done = fix(Source("a.dnn", text), diagnose)
    assert done.source.text == text
    assert [d.code for d in done.left] == ["W416"]


def test_softmax_of_one_takes_the_loss_along() -> None:
    text = trained("dense 1 | softmax", "loss cross_entropy; metric accuracy; seed 1")
    assert fixed(text) == text.replace("softmax", "sigmoid").replace(
        "cross_entropy", "binary_cross_entropy"
    )


def test_an_allowed_warning_is_not_fixed() -> None:
    text = net("  dense 8 | batch_norm | relu # dnnc: allow W402\n  dense 3 | softmax")
    assert fixed(text) == text
    text = "# dnnc: allow-file W402 W403\n" + net("  dense 8 | batch_norm | relu\n  dense 3")
    assert fixed(text) == text
    plain = Source("a.dnn", net("  dense 8 | batch_norm | relu\n  dense 3 | softmax"))
    assert fix(plain, diagnose, frozenset({"W402"})).source.text == plain.text


@pytest.mark.parametrize(
    ("section", "row"),
    [
        ("{ loss cross_entropy }", "{ loss cross_entropy; seed 0 }"),
        ("{ loss cross_entropy; }", "{ loss cross_entropy; seed 0; }"),
        ("{\n  loss cross_entropy\n}", "{\n  loss cross_entropy\n  seed 0\n}"),
        (
            "{\n  loss      cross_entropy\n  epochs    3 # few\n\n}",
            "{\n  loss      cross_entropy\n  epochs    3 # few\n  seed      0\n\n}",
        ),
        ("{\n  loss cross_entropy; batch 8\n}", "{\n  loss cross_entropy; batch 8\n  seed 0\n}"),
        ("{ loss cross_entropy\n  batch 8 }", "{ loss cross_entropy\n  batch 8; seed 0 }"),
    ],
)
def test_a_row_stands_like_those_before_it(section: str, row: str) -> None:
    text = f"{DIGITS}\n{net('  flatten | dense 10 | softmax', '8 8')}train net on digits @\n"
    assert fixed(text.replace("@", section)) == text.replace("@", row)


def test_a_row_with_a_long_name() -> None:
    source = Source("a.dnn", "data d {\n  train builtin digits\n}\n")
    (section,) = parse(source).items
    assert isinstance(section, ast.Data)
    made = edited(source, add_row(section, "standardize"))
    assert made == "data d {\n  train builtin digits\n  standardize\n}\n"
    assert edited(source, add_row(section, "scale", "2")) == (
        "data d {\n  train builtin digits\n  scale 2\n}\n"
    )


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("«let a = 3»", ""),
        ("«let a = 3»\nlet b = 4\n", "let b = 4\n"),
        ("let b = 4\n  «let a = 3» # why\nlet c = 5", "let b = 4\nlet c = 5"),
        ("«let a = 3»; let b = 4\n", "let b = 4\n"),
        ("let b = 4; «let a = 3»\n", "let b = 4\n"),
        ("let b = 4; «let a = 3»; let c = 5\n", "let b = 4; let c = 5\n"),
        ("model n { «let a = 3»; dense 4 }", "model n { dense 4 }"),
        ("model n {\n  input x[4]\n  «let a = [\n  ]»\n}", "model n {\n  input x[4]\n}"),
    ],
)
def test_a_statement_taken_out(text: str, after: str) -> None:
    start = text.index("«")
    plain = text.replace("«", "").replace("»", "")
    source = Source("a.dnn", plain)
    assert edited(source, drop_statement(Span(source, start, text.index("»") - 1))) == after


def test_edits_of_several_warnings_are_made_together() -> None:
    text = net(
        "  dense 8 init=he_normal | selu | dropout 5% | dense 8 | batch_norm | relu\n  dense 3"
    )
    found = [d for d in said(text) if d.fixes]
    assert len(found) >= 3
    made = apply(Source("a.dnn", text), found).text
    assert "init=lecun_normal | selu | alpha_dropout 5% | dense 8 bias=false | batch_norm" in made


# Any combination ----------------------------------------------------------------------------------

LINES = [
    "dense 8 | batch_norm | relu",
    "dense 8 bias=true init=he_normal | batch_norm | selu",
    "dense 8 init=he_normal | selu | dropout 10%",
    "dense 16 l2=1e-3 | selu",
    "repeat 3 { dense 8 init=normal(std=1) | relu | relu }",
    "repeat 2 { dense 8 init=he_normal | tanh; dropout 20% }",
    "dense 64 init=normal(std=2) | sigmoid",
    "dense 8 init=zeros | relu",
    "let spare = 3; dense 8 | elu",
    "let spare = 4",
    "tanh | tanh",
    "part body { dense 8 init=glorot_normal | leaky_relu }",
    "default dense init=ones",
    "default dense l1=1e-4",
    "softmax | dense 8",
    "dense 4; relu",
]
ENDS = ["dense 10 | softmax", "dense 10 | relu | softmax", "dense 10 | softmax | softmax"]
TRAIN = [
    "seed 1",
    "batch 1",
    "batch 1436",
    "batch 64 # rows",
    "stop patience=3 on=train.loss",
    "optimizer adam lr=3",
    "metric accuracy",
]
DATA = ["scale (1 / 16)", "standardize", "one_hot", "take 129"]


@st.composite
def programs(draw: st.DrawFn) -> str:
    lines = draw(st.lists(st.sampled_from(LINES), max_size=6, unique=True))
    lines = [line for n, line in enumerate(lines) if "spare" not in line or n == 0]
    joint = draw(st.sampled_from(["\n  ", "; "]))
    body = joint.join(["flatten", *lines, draw(st.sampled_from(ENDS))])
    rows = draw(st.lists(st.sampled_from(TRAIN), unique_by=lambda r: r.split()[0]))
    loss = draw(st.sampled_from(["cross_entropy", "mean_squared_error"]))
    data = draw(st.lists(st.sampled_from(DATA), unique=True))
    top = draw(st.sampled_from(["", "let unused = 3\n", "let a = 1\nlet b = (a + 1)\n"]))
    rows_of_data = "; ".join(["test builtin digits", *data])
    return (
        f"{top}data digits {{\n  train builtin digits\n  {rows_of_data}\n}}\n"
        f"model net {{\n  input x[8 8]\n  {body}\n}}\n"
        f"train net on digits {{\n  " + "\n  ".join([f"loss {loss}", *rows]) + "\n}\n"
    )


@given(programs())
@settings(max_examples=150, deadline=None)
def test_fixing_ends_with_a_program_that_needs_no_more(text: str) -> None:
    before = list(check(Source("a.dnn", text))[1])
    done = fix(Source("a.dnn", text), diagnose)
    if any(d.code.startswith("E") for d in before):
        assert done.source.text == text
        return
    left = list(check(done.source)[1])
    assert [d.as_json() for d in left] == [d.as_json() for d in done.left]
    assert not [_told(d) for d in left if d.code.startswith("E") or d.fixes], done.source.text
    assert fix(done.source, diagnose).source.text == done.source.text
    format_source(done.source)  # it can be read, and laid out


def _told(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.code} {diagnostic.message}"
