"""Each lint speaks where it should, at the right place, and is silent in neighbours that are right.

A row is a program with `«` where the warning stands; without a mark there is none.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_programs import DIGITS, RAW, TABLE, marked, net, said, trained
from places import ROOT

from deepdsl.compiler.front_end import check, diagnose, read_source
from deepdsl.core.source import Source
from deepdsl.language.fixes import fix
from deepdsl.language.lints import Lint

SHARED = """model net {
  input a[8]
  input b[8]
  part tower { «dense 8 init=he_normal | selu }
  c = a | tower
  d = b | tower
  «concat c d | dense 4 | selu | dense 3 | softmax
}
"""
FORK = """model net {
  input x[64]
  h = x | dense 64 init=he_normal
  a = h | relu
  b = h | tanh
  a + b | dense 3 | softmax
}
"""
RESIDUAL = """model net {
  input x[64]
  h = x | dense 64 | relu
  b = h | dense 64 | relu | dense 64 init=zeros
  h + b | dense 3 | softmax
}
"""

NORMED = """
data digits {{ train builtin digits; scale (1 / 16) }}
model old {{
  input x[8 8]
  part body {{ flatten | dense 8 bias=false | batch_norm | relu }}
  dense 10 | softmax
}}
model new {{ input x[8 8]; part body {{ reuse old.body }}; dense 10 | softmax }}
train old on digits {{ loss cross_entropy; seed 1 }}
train new on digits {{ loss cross_entropy; seed 1; {} }}
"""
STANDING = """
data old {{ train builtin digits; scale (1 / 16) }}
data new {{ train builtin digits; take 100; {} }}
model old {{ input x[8 8]; part body {{ flatten | dense 8 | relu }}; dense 10 | softmax }}
model new {{ input x[8 8]; part body {{ {}reuse old.body }}; dense 10 | softmax }}
train old on old {{ loss cross_entropy; seed 1 }}
train new on new {{ loss cross_entropy; seed 1 }}
"""

# Code -> programs.  The code's warnings stand at the marks and nowhere else.
CASES: dict[str, list[str]] = {
    "W402": [
        net("  «dense 8 | batch_norm | relu | dense 3 | softmax"),
        net("  «dense 8 bias=true | batch_norm | relu | dense 3 | softmax"),
        net("  repeat 3 { «dense 8 | batch_norm | relu }\n  dense 3 | softmax"),
        net("  default dense bias=false\n  dense 8 | batch_norm | relu | dense 3 | softmax"),
        net("  dense 8 bias=false | batch_norm | relu | dense 3 | softmax"),
        net("  dense 8 | relu | batch_norm | dense 3 | softmax"),
        # Used twice, once without batch norm: there the bias does something.
        net(
            "  part p { dense 64 }\n  a = x | p | batch_norm\n  b = a | p | relu\n"
            "  b | dense 3 | softmax"
        ),
        # What goes on beside the batch norm keeps its bias.
        net("  h = dense 8\n  n = h | batch_norm\n  h + n | dense 3 | softmax"),
    ],
    "W403": [
        net("  «dense 8 init=he_normal | selu | dense 3 | softmax"),
        net("  «dense 8 init=normal(std=1) | selu | dense 3 | softmax"),
        net("  default dense init=he_normal\n  «dense 8 | dropout 0% | selu\n  dense 3 | softmax"),
        net("  repeat 3 { «dense 64 init=he_uniform | selu }\n  dense 3 | softmax"),
        net("  dense 8 | selu | dense 3 | softmax"),
        net("  dense 8 init=lecun_uniform | selu | dense 3 | softmax"),
        net("  dense 64 init=glorot_normal | selu | dense 3 | softmax"),  # square: 1 / fan_in
        net("  dense 8 init=normal(std=0.125) | selu | dense 3 | softmax"),
        net("  dense 8 init=he_normal bias=false | batch_norm | selu | dense 3 | softmax"),
    ],
    "W405": [
        net("  dense 1 | «softmax"),
        net("  dense 2 | softmax"),
        net("  dense 1 | sigmoid"),
    ],
    "W406": [
        net("  dense 8 | selu | «dropout 10% | dense 3 | softmax"),
        net("  dense 8 | selu\n  «dropout 10%\n  dense 3 | softmax"),
        net("  repeat 2 { dense 8 | selu | «dropout 0.5 }\n  dense 3 | softmax"),
        net("  dense 8 | selu | dropout 0% | dense 3 | softmax"),
        net("  dense 8 | relu | dropout 10% | dense 3 | softmax"),
        net("  dropout 10% | dense 8 | selu | dense 3 | softmax"),
        net("  dense 8 | selu | dense 8 | dropout 10% | dense 3 | softmax"),
        net("  dense 8 | selu | alpha_dropout 10% | dense 3 | softmax"),
    ],
    "W407": [
        net("  «dense 8 l2=1e-3 | selu | dense 3 | softmax"),
        net("  «dense 8 l1=1e-3 max_norm=2 | selu | dense 3 | softmax"),
        net("  default dense l2=1e-3\n  repeat 2 { «dense 8 | selu }\n  dense 3 l2=0 | softmax"),
        net("  dense 8 | selu | dense 3 l2=1e-3 | softmax"),
        net("  dense 8 l2=0 | selu | dense 3 | softmax"),
        net("  dense 8 l2=1e-3 | relu | dense 3 | softmax"),
    ],
    "W408": [
        trained("dense 8 | selu | dense 10 | softmax").replace("data digits", "data «digits", 1),
        trained("dense 8 | selu | dense 10 | softmax", data=RAW).replace(
            "data digits", "data «digits", 1
        ),
        trained("dense 8 | selu | dense 10 | softmax", data=TABLE).replace(
            "data digits", "data «digits", 1
        ),
        trained("dense 8 | selu | dense 10 | softmax", data=RAW[:-2] + "; standardize }"),
        trained(
            "dense 8 | selu | dense 10 | softmax", data=RAW[:-2] + "; normalize mean=5 std=6 }"
        ),
        trained("dense 8 | relu | dense 10 | softmax"),
        trained("batch_norm | dense 8 | selu | dense 10 | softmax"),
        net("  dense 8 | selu | dense 3 | softmax"),  # nothing is known of its data
    ],
    "W409": [
        SHARED.replace("«dense", "dense"),
        net("  a = x | dense 8 | selu\n  b = a | dense 8 | selu\n  «a + b | dense 8 | selu"),
        net("  dense 8 bias=false | «batch_norm | selu | dense 3 | softmax"),
        net("  batch_norm | dense 8 | selu | dense 3 | softmax"),
        net("  dense 8 | selu | dense 3 bias=false | batch_norm | softmax"),
        net("  a = x | dense 8 | elu\n  b = a | dense 8 | elu\n  a + b | dense 8 | elu"),
    ],
    "W410": [
        net("  «dense 64 init=he_normal | tanh | dense 3 | softmax"),
        net("  «dense 64 init=glorot_uniform | relu | dense 3 | softmax"),
        net("  «dense 64 init=lecun_normal | elu | dense 3 | softmax"),
        net("  «dense 64 init=variance_scaling(scale=4) | tanh | dense 3 | softmax"),
        net("  «dense 64 init=normal(std=0.3) | relu | dense 3 | softmax"),
        net(
            "  default dense init=he_normal\n  «dense 64 | dropout 10% | tanh\n  dense 3 | softmax"
        ),
        net("  repeat 4 { «dense 64 init=he_uniform | tanh }\n  dense 3 | softmax"),
        net("  dense 8 | tanh | «dense 10 init=normal(std=3) | softmax"),  # extreme at the end
        net("  dense 64 init=he_normal | relu | dense 3 | softmax"),
        net("  dense 64 init=he_uniform | leaky_relu | dense 3 | softmax"),
        net("  dense 16 init=glorot_uniform | relu | dense 3 | softmax"),  # 1 / 40 of 2 / 64
        net("  dense 64 init=lecun_normal | tanh | dense 3 | softmax"),
        net("  dense 9 init=variance_scaling(scale=2 mode=fan_avg) | relu | dense 3 | softmax"),
        net("  dense 64 init=variance_scaling(scale=16 mode=fan_avg) | sigmoid | dense 1 | tanh"),
        net("  dense 64 init=orthogonal | relu | dense 3 | softmax"),
        net("  dense 64 init=identity | relu | dense 3 | softmax"),
        net("  dense 64 init=he_normal bias=false | batch_norm | tanh | dense 3 | softmax"),
        net("  dense 8 | relu | dense 10 init=he_normal | softmax"),
        net("  dense 8 | relu | dense 10 init=zeros | softmax"),
        net("  dense 64 init=he_normal | dense 3 | softmax"),
        FORK,
        # A branch that begins small is how deep residual networks are made.
        RESIDUAL.replace("init=zeros", "| relu").replace(
            "b = h | dense 64", "b = h | dense 64 init=normal(std=0.01)"
        ),
    ],
    "W411": [
        net("  «dense 8 init=zeros | relu | dense 3 | softmax"),
        net("  «dense 8 init=constant(0.1) | tanh | dense 3 | softmax"),
        net("  «dense 8 init=ones bias=false | batch_norm | relu | dense 3 | softmax"),
        net("  «dense 8 init=normal(std=0) | relu | dropout 5% | dense 3 | softmax"),
        net("  default dense init=zeros\n  «dense 8 | relu\n  dense 3 | softmax"),
        net("  dense 8 | relu | dense 3 init=zeros | softmax"),
        net("  dense 1 init=zeros | tanh | dense 3 | softmax"),
        net("  dense 8 init=zeros bias=normal(std=1) | tanh | dense 3 | softmax"),
        net("  dense 64 init=identity | relu | dense 3 | softmax"),
        RESIDUAL,
    ],
    "W412": [
        net("  «dropout 20% | batch_norm | dense 3 | softmax"),
        net(
            "  dense 8 | relu | «dropout 20% | dense 8 bias=false | batch_norm\n  dense 3 | softmax"
        ),
        net(
            "  repeat 2 { dense 8 bias=false | batch_norm | relu | «dropout 5% }\n"
            "  dense 3 | softmax"
        ),
        net("  dense 8 bias=false | batch_norm | relu | dropout 5% | dense 3 | softmax"),
        net("  dropout 0% | dense 8 bias=false | batch_norm | relu | dense 3 | softmax"),
    ],
    "W413": [
        net("  dense 10 | softmax | «softmax"),
        net("  dense 10 | sigmoid | «softmax"),
        net("  dense 10 | relu | dropout 10% | «softmax"),
        net("  dense 1 | tanh | «sigmoid"),
        net("  dense 8 | relu | «relu | dense 1"),
        net("  dense 8 | tanh\n  «tanh\n  dense 1"),
        net("  dense 8 | relu | dense 8 | relu | dense 3 | softmax"),
        net("  dense 8 | leaky_relu | dense 1 | sigmoid"),
        net("  dense 8 | identity | relu | dense 3 | softmax"),
        net("  dense 8 | elu | tanh | dense 3 | softmax"),
        net("  dense 8 bias=false | batch_norm | relu | batch_norm | relu | dense 3 | softmax"),
    ],
    "W414": [
        trained("dense 10 | softmax", "loss cross_entropy").replace("train net", "train «net"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 0"),
    ],
    "W415": [
        trained("dense 1 | «relu", "loss mean_squared_error; seed 1", TABLE),
        trained("dense 4 | «relu6 | identity", "loss mean_squared_error; seed 1", TABLE),
        trained("dense 1", "loss mean_squared_error; seed 1", TABLE),
        trained("dense 1 | softplus", "loss mean_squared_error; seed 1", TABLE),
        trained("dense 1 | leaky_relu", "loss mean_squared_error; seed 1", TABLE),
        trained("dense 8 | relu | dense 1 | tanh", "loss mean_squared_error; seed 1", TABLE),
        net("  dense 8 | relu"),
    ],
    "W416": [
        trained("dense 10 | softmax", "«loss mean_squared_error; seed 1"),
        trained("dense 1 | sigmoid", "«loss mean_squared_error; seed 1", TABLE),
        trained("dense 10 | softmax"),
        trained("dense 1", "loss mean_squared_error; seed 1", TABLE),
        trained(
            "dense 4 | relu | dense 64 | sigmoid | reshape [8 8]",
            "loss mean_squared_error; seed 1",
            DIGITS[:-2] + "; target input }",
        ),
        trained(
            "dense 64 | sigmoid", "loss mean_squared_error; seed 1", TABLE[:-2] + "; target input }"
        )
        .replace("flatten | ", "")
        .replace("x[8 8]", "x[64]"),
    ],
    "W417": [
        trained(
            "dense 8 bias=false | batch_norm | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «batch 1",
        ),
        trained(
            "dense 8 bias=false | batch_norm | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «batch 1436",
        ),
        trained(
            "dense 8 bias=false | batch_norm | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «batch 100",
            DIGITS[:-2] + "; take 501; valid last=100 }",
        ),
        trained(
            "dense 8 bias=false | batch_norm | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; batch 100",
            DIGITS[:-2] + "; take 502; valid last=100 }",
        ),
        trained("dense 8 | relu | dense 10 | softmax", "loss cross_entropy; seed 1; batch 1"),
        trained(
            "dense 8 bias=false | batch_norm | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; batch 32",
        ),
    ],
    "W418": [
        trained(
            "dense 8 l2=1e-4 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «optimizer adam",
        ),
        trained(
            "dense 8 | relu | dense 10 l2=1e-4 | softmax",
            "loss cross_entropy; seed 1; «optimizer rmsprop lr=1e-3",
        ),
        trained(
            "dense 8 l2=1e-4 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; optimizer sgd momentum=0.9",
        ),
        trained(
            "dense 8 max_norm=3 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; optimizer adam",
        ),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; optimizer adamw"),
    ],
    "W419": [
        trained("dense 8 | relu | dense 10 | softmax", data=RAW).replace("train b", "«train b"),
        trained(
            "dense 10 | softmax",
            data='data digits {\n  «train idx "x.gz" target="y.gz"\n}',
        ),
        trained(
            "dense 10 | softmax",
            data='data digits { «train idx "x.gz" target="y.gz"; scale (1 / 16) }',
        ),
        trained("dense 10 | softmax", data=RAW[:-2] + "; standardize }"),
        trained("dense 10 | softmax", data=RAW[:-2] + "; normalize mean=5 std=6 }"),
        trained("dense 10 | softmax", data=RAW[:-2] + "; scale 0.1 }"),
        trained("dense 10 | softmax", data=TABLE),
        trained("batch_norm | dense 10 | softmax", data=RAW),
        trained("dense 8 bias=false | batch_norm | relu | dense 10 | softmax", data=RAW),
    ],
    "W430": [
        trained(
            "dense 10 | softmax",
            "loss cross_entropy; seed 1; «stop patience=3",
            DIGITS[:-2] + "; valid split=10% }",
        ),
        trained(
            "dense 10 | softmax",
            "loss cross_entropy; seed 1; stop patience=3 restore=best",
            DIGITS[:-2] + "; valid split=10% }",
        ),
        trained(
            "dense 10 | softmax",
            "loss cross_entropy; seed 1; stop patience=3 restore=none",
            DIGITS[:-2] + "; valid split=10% }",
        ),
    ],
    "W431": [
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; «optimizer adam lr=0.5"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; «optimizer sgd lr=20"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; «optimizer sgd lr=1e-6"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; optimizer adam lr=3e-2"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; optimizer adam lr=1e-6"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; optimizer sgd lr=1"),
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; optimizer sgd lr=1e-4"),
    ],
    "W432": [
        *(
            trained(
                "dense 10 | softmax",
                f"loss cross_entropy; seed 1; epochs 8; «{row}",
                DIGITS[:-2] + "; valid split=10% }",
            )
            for row in (
                "stop patience=8 restore=best",
                "schedule plateau",
                "schedule cosine warmup=9",
                "schedule piecewise 10:1e-3 20:1e-4",
                "schedule linear over=100",
            )
        ),
        *(
            trained(
                "dense 10 | softmax",
                f"loss cross_entropy; seed 1; epochs 8; {row}",
                DIGITS[:-2] + "; valid split=10% }",
            )
            for row in (
                "stop patience=7 restore=best",
                "schedule plateau patience=2",
                "schedule cosine warmup=1",
                "schedule cosine over=10",
                "schedule cosine over=100 restarts=true",
                "schedule piecewise 4:1e-3 20:1e-4",
                "schedule linear over=100 per=step",
                "schedule exponential every=100",
            )
        ),
    ],
    "W433": [
        trained("dense 10 | softmax", "loss cross_entropy; seed 1; «optimizer sgd nesterov=true"),
        trained(
            "dense 10 | softmax",
            "loss cross_entropy; seed 1; optimizer sgd nesterov=true momentum=0.5",
        ),
    ],
    "W434": [
        net("  dense 64 | «dense 64 | relu | dense 3"),
        net("  dense 200 | «dense 10 | softmax"),
        net("  dense 8\n  «dense 8 | relu | dense 2", "8"),
        # A bottleneck limits the rank; a value that is read elsewhere is wanted for itself.
        net("  dense 4 | dense 64 | relu | dense 3"),
        net("  h = x | dense 64\n  a = h | dense 64 | relu\n  a + h | relu | dense 3"),
        net("  dense 64 | batch_norm | dense 64 | relu | dense 3"),
    ],
    "W435": [
        net("  dense 16 | «softmax | dense 3"),
        net("  dense 16 | «softmax | dropout 10% | dense 3 | softmax"),
        net("  dense 16 | relu | dense 3 | softmax"),
        net("  a = x | dense 64 | softmax\n  a + x | dense 3"),
    ],
    "W436": [
        net("  dense 16 | relu | dense 3 | «dropout 50% | softmax"),
        trained("dense 16 | relu | dense 2 | «dropout 10%", "loss mean_squared_error; seed 1"),
        net("  dense 16 | relu | «dropout 50% | dense 3 | softmax").replace("«", ""),
        net("  dense 16 | relu | dropout 50%"),
        net("  dense 300 | dropout 20%"),
    ],
    "W438": [
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1",
            "data digits { train builtin digits; «normalize mean=[127.5] std=[127.5] }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1",
            "data digits { train builtin digits; «normalize mean=[0.3] std=[0.4] }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1",
            "data digits { train builtin digits; scale (1 / 16); «normalize mean=[5] std=[6] }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1",
            "data digits { train builtin digits; scale (1 / 16); normalize mean=[0.3] std=[0.4] }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1",
            "data digits { train builtin digits; normalize mean=[5] std=[6] }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1",
            "data digits { train builtin digits; standardize; normalize mean=[20] std=[6] }",
        ),
    ],
    "W501": [
        trained(
            "dense 8 | relu | dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «freeze dense_2",
        ),
        trained(
            "dense 8 | relu | dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; phase a { freeze dense_1; epochs 2 };"
            " phase b { unfreeze dense_1; «freeze dense_2; epochs 2 }",
        ),
        trained(
            "dense 8 | relu | dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; freeze dense_1",
        ),
    ],
    "W502": [
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; epochs 4; «freeze dense_1 until=4",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; epochs 5; freeze dense_1 until=4",
        ),
    ],
    "W503": [
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; freeze dense_1; «lr_mult dense_1=0.1",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; phase a { freeze dense_1; lr_mult dense_1=0.1; epochs 2 };"
            " phase b { unfreeze dense_1; epochs 2 }",
        ),
    ],
    "W504": [
        STANDING.format("", "«"),
        STANDING.format("scale (1 / 16)", ""),
        STANDING.format("", "").replace("reuse old.body", "flatten | dense 8 | relu"),
    ],
    "W505": [
        NORMED.format("«batch 8"),
        NORMED.format("phase a { freeze body; epochs 1 }; phase b { unfreeze body }; «batch 8"),
        NORMED.format("batch 32"),
        NORMED.format('batch 8; freeze "body.*batch_norm_*"'),
    ],
    "W506": [
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «epochs 9; phase a { epochs 2 }; phase b { epochs 3 }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «optimizer adam; phase a { optimizer sgd lr=0.1 }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; epochs 9; optimizer adam; phase a { epochs 2 };"
            " phase b { freeze dense_1 }",
        ),
    ],
    "W510": [
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; «freeze dense_1 cache=ram",
            DIGITS[:-2] + "; augment crop pad=1 }",
        ),
        trained(
            "dense 8 | relu | dense 10 | softmax",
            "loss cross_entropy; seed 1; freeze dense_1 cache=ram",
        ),
    ],
}
ROWS = [
    pytest.param(code, text, id=f"{code}-{n}")
    for code in CASES
    for n, text in enumerate(CASES[code])
]

# Lints of signals have their tests beside what they predict with.
SIGNALS = "W42"


@pytest.mark.parametrize(("code", "program"), ROWS)
def test_a_lint_speaks_where_it_should(code: str, program: str) -> None:
    text, places = marked(program)
    found = [(d.span.line, d.span.column) for d in said(text) if d.code == code and d.span]
    assert found == places


@pytest.mark.parametrize(("code", "program"), ROWS)
def test_what_is_fixable_is_gone_after_the_fix(code: str, program: str) -> None:
    text, _ = marked(program)
    fixable = {(d.code, d.message) for d in said(text) if d.fixes}
    fixed = fix(Source("a.dnn", text), diagnose)
    left = list(check(fixed.source)[1])
    assert not [d for d in left if d.code.startswith("E")]
    assert not {(d.code, d.message) for d in left} & fixable, fixed.source.text
    assert fixed.source.text == text or fixed.made
    again = fix(fixed.source, diagnose)
    assert (again.source.text, again.made) == (fixed.source.text, ())


def test_every_lint_is_in_the_table_with_both_sides() -> None:
    lints = {c.code for c in Lint.registry.values() if issubclass(c, Lint)}
    assert {code for code in lints if not code.startswith(SIGNALS)} == set(CASES)
    for code, texts in CASES.items():
        assert any("«" in text for text in texts), code
        assert any("«" not in text for text in texts), code


def test_a_shared_part_and_a_repeat_are_told_once() -> None:
    text, places = marked(SHARED)
    assert [(d.code, d.span.line, d.span.column) for d in said(text) if d.span] == [
        ("W403", *places[0]),
        ("W409", *places[1]),
    ]


def test_each_model_of_a_file_is_looked_at() -> None:
    one = net("  dense 8 init=he_normal | selu | dense 3 | softmax")
    two = one.replace("net", "other")
    found = said(one + two)
    assert [(d.code, d.span.line) for d in found if d.span] == [("W403", 3), ("W403", 7)]


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.dnn")), ids=lambda p: p.stem)
def test_the_examples_are_clean(file: Path) -> None:
    assert list(check(read_source(file))[1]) == []


# The figures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            net("  dense 96 init=he_normal | selu | dense 3 | softmax"),
            "variance 0.0312; SELU keeps mean 0 and variance 1 only with 1 / 64 = 0.0156",
        ),
        (
            net("  dense 8 | selu | dropout 20% | dense 3 | softmax"),
            "the variance becomes 1 / (1 - 0.2) = 1.25",
        ),
        (
            net("  repeat 9 { dense 64 init=glorot_normal | relu }\n  dense 3 | softmax"),
            "variance 0.0156 where relu needs 0.0312: 0.5 times, and 0.00195 times over 9 layers",
        ),
        (
            net("  dense 64 init=variance_scaling(scale=4) | tanh | dense 3 | softmax"),
            "4 times; the factor 4 belongs to the logistic function",
        ),
        (
            net("  dense 10 | softmax | softmax"),
            "no probability of 10 can be above 0.232, no loss below 1.46",
        ),
        (net("  dense 1 | tanh | sigmoid"), "its output can only be from 0.269 to 0.731"),
        (
            net("  dense 8 init=zeros | relu | dense 3 | softmax"),
            "its 8 units are one unit, 8 times; relu's slope at 0 is 0, so it never learns",
        ),
        (
            net("  dense 8 init=ones | tanh | dense 3 init=ones | softmax"),
            "and stay equal: the weights after them are equal too",
        ),
        (
            trained("dense 8 | relu | dense 10 | softmax", data=RAW),
            "up to 16² = 256 times what the initial weights are made for",
        ),
        (
            trained("dense 8 | selu | dense 10 | softmax"),
            "values from 0 to 1 have a variance of at most 0.25",
        ),
        (
            trained(
                "dense 8 bias=false | batch_norm | relu | dense 10 | softmax",
                "loss cross_entropy; seed 1; batch 359",
            ),
            "1,437 = 4 × 359 + 1 rows",
        ),
        (
            trained(
                "dense 8 l2=1e-4 | relu | dense 10 | softmax",
                "loss cross_entropy; seed 1; optimizer adam",
            ),
            "optimizer adamw weight_decay=0.0002",
        ),
    ],
)
def test_a_reason_has_its_figures(program: str, words: str) -> None:
    (found,) = said(program)
    assert words in f"{found.label} {found.help}"


def test_equal_units_stay_equal() -> None:
    """What W411 says, in NumPy: constant weights in a row stay copies, one random layer parts
    them; zeros before relu never move.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((50, 4)), rng.standard_normal((50, 3))

    def after(w: np.ndarray, v: np.ndarray, relu: bool) -> np.ndarray:
        for _ in range(20):
            h = np.maximum(x @ w, 0) if relu else np.tanh(x @ w)
            error = (h @ v - target) / len(x)
            slope = (h > 0) if relu else 1 - h**2
            w, v = w - 0.1 * x.T @ (error @ v.T * slope), v - 0.1 * h.T @ error
        return w

    ones, random = np.ones((8, 3)) / 4, rng.standard_normal((8, 3))
    assert np.ptp(after(np.ones((4, 8)) / 4, ones, False), axis=1).max() < 1e-12
    assert np.ptp(after(np.ones((4, 8)) / 4, random, False), axis=1).max() > 1e-2
    assert np.all(after(np.zeros((4, 8)), random, True) == 0)
