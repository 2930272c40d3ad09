"""What `check` says of signals and gradients: which cause it names, and what the way out gives."""

from __future__ import annotations

import re
import time

import pytest

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic
from deepdsl.language.analysis.model import Model
from deepdsl.language.lints import base
from deepdsl.language.lints.signal import FAR
from deepdsl.language.propagation import Prediction, predict

CODES = {"W420", "W421", "W422", "W423"}


def model(lines: str, size: int = 256) -> str:
    return f"model net {{\n  input x[{size}]\n{lines}\n}}\n"


def said(text: str) -> list[Diagnostic]:
    _, report = check(Source("a.dnn", text))
    assert not report.has_errors, [str(d) for d in report]
    return [d for d in report if d.code in CODES]


@pytest.mark.parametrize(
    ("lines", "code", "line", "cause", "way_out"),
    [
        ("repeat 20 { dense 256 | sigmoid }", "W420", 3, "derivative of sigmoid", "relu"),
        ("repeat 12 { dense 256 | sigmoid }\n dense 10", "W420", 3, "12 times", "relu"),
        (
            "repeat 15 { dense 128 init=normal(std=0.01) | tanh }",
            "W420",
            3,
            "normal(0.01) gives these weights a variance of 0.0001; glorot_uniform gives",
            "init=glorot_uniform",
        ),
        (
            "dense 256 | relu\n repeat 20 {\n dense 256 init=normal(std=1) | relu\n }",
            "W421",
            5,
            "he_normal gives 0.0078",
            "init=he_normal",
        ),
        (
            "repeat 30 { dense 256 init=glorot_normal | relu }",
            "W420",
            3,
            "glorot_normal gives",
            "init=he_normal",
        ),
        (
            "dense 256 init=normal(std=1) | sigmoid\n dense 10 | softmax",
            "W422",
            3,
            "standard deviation of 16",
            "init",
        ),
        ("repeat 60 { dense 64 init=normal(std=3) | relu }", "W423", 3, "normal(3)", "init"),
    ],
)
def test_the_cause_and_the_way_out(
    lines: str, code: str, line: int, cause: str, way_out: str
) -> None:
    (found,) = said(model(lines))
    assert found.code == code
    assert found.span is not None
    assert found.span.line == line
    assert cause in f"{found.message}: {found.label}"
    assert way_out in found.help


@pytest.mark.parametrize(
    ("activation", "units", "layers"),
    [("gelu", 64, 40), ("gelu", 256, 30), ("swish", 64, 40), ("hard_swish", 64, 40)],
)
def test_silent_where_luck_decides(activation: str, units: int, layers: int) -> None:
    """Where a signal dies away by itself, a network may lie powers of ten beside the mean."""
    assert said(model(f"repeat {layers} {{ dense {units} | {activation} }}", units)) == []


@pytest.mark.parametrize(
    "lines",
    [
        "repeat 20 { dense 256 | relu }\n dense 10 | softmax",
        "repeat 20 { dense 256 | batch_norm | sigmoid }\n dense 10 | softmax",
        "repeat 100 { dense 100 | selu }\n dense 10 | softmax",
        "repeat 3 { dense 64 | sigmoid }\n dense 1 | sigmoid",
        "repeat 20 { dense 100 | tanh }\n dense 10",
        "repeat 50 { dense 100 | elu | batch_norm }\n dense 10",
        "dense 256 init=zeros | relu | dense 10",
        "dense 10 | softmax",
    ],
)
def test_silent_where_the_gradient_arrives(lines: str) -> None:
    assert said(model(lines)) == []


def test_residual_sums_are_no_reason_to_warn() -> None:
    lines = "h0 = x | dense 64\n" + "\n".join(
        f"b{i} = h{i} | dense 64 | relu | dense 64\nh{i + 1} = h{i} + b{i}" for i in range(8)
    )
    assert said(model(f"{lines}\nh8 | dense 10", 64)) == []


def test_the_words_are_the_prediction() -> None:
    text = model("repeat 20 { dense 256 | sigmoid }")
    program, _ = check(Source("a.dnn", text))
    assert program is not None
    net = program.models["net"]
    ratio = predict(net).gradient_ratio(net)
    assert ratio is not None
    assert ratio < -FAR
    (found,) = said(text)
    told = re.search(r"the gradient is (\S+) of what it was", found.message)
    assert told is not None
    assert float(told[1]) == pytest.approx(10**ratio, rel=0.5)


def test_the_fix_does_what_it_says() -> None:
    text = model("repeat 20 {\n  dense 256 init=normal(std=1) | relu\n}")
    (found,) = said(text)
    for edit in sorted(found.fixes, key=lambda e: -e.span.start):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert "init=he_normal" in text
    assert said(text) == []


def test_several_models_are_judged_one_by_one() -> None:
    bad = "repeat 20 { dense 256 | sigmoid }"
    text = (
        model(bad)
        + model("dense 10 | relu").replace("net", "fine")
        + model(bad).replace("net", "third")
    )
    assert [d.span.line for d in said(text) if d.span is not None] == [3, 11]


def test_it_can_be_allowed() -> None:
    lines = "# dnnc: allow W420\nrepeat 20 { dense 256 | sigmoid }"
    assert said(model(lines)) == []


def test_a_thousand_layers_of_selu_are_followed_to_the_end() -> None:
    """At the fixed point each layer multiplies the gradient's square by 1.07: 1e15 over a thousand.

    The pass is linear in the layers and remembers what it has integrated: fractions of a second."""
    begin = time.process_time()
    (found,) = said(model("repeat 1000 { dense 64 | selu }", 64))
    assert time.process_time() - begin < 30
    assert found.code == "W421"
    told = re.search(r"(\d)e(\d+) times", found.message)
    assert told is not None
    assert 13 <= int(told[2]) <= 17


def test_a_mean_over_many_places_is_not_a_vanishing_gradient() -> None:
    """Each place gets a thousandth of it, and the weights the sum over the places."""
    convolutions = "conv 16 3x3 pad=same | relu | conv 32 3x3 pad=same stride=2 | relu"
    mean = (
        f"model net {{ input x[3 64 64]; {convolutions} | global_avg_pool | dense 10 | softmax }}"
    )
    program, _ = check(Source("a.dnn", mean))
    assert program is not None
    net = program.models["net"]
    ratio, summed = predict(net).gradient_ratio(net), predict(net).weight_ratio(net)
    assert ratio is not None
    assert summed is not None
    assert ratio < -2.5
    assert abs(summed) < 1
    assert said(mean) == []
    deep = "repeat 20 { conv 16 3x3 pad=same | sigmoid } | global_avg_pool | dense 10 | softmax"
    assert [d.code for d in said(f"model net {{ input x[3 32 32]; {deep} }}")] == ["W420"]


def test_a_model_is_predicted_once_for_all_lints(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted = []

    def counted(model: Model) -> Prediction:
        predicted.append(model.name)
        return predict(model)

    monkeypatch.setattr(base, "predict", counted)
    net = "{ input x[256]; dense 64 | dropout 0.5 | batch_norm | tanh; dense 2 | softmax }"
    said(f"model first {net}\nmodel second {net}")
    assert predicted == ["first", "second"]
