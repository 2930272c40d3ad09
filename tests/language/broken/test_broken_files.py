"""Files that a newcomer may write: each mistake is said once, at its place, with a way out.

The whole messages are golden files; `DNN_UPDATE_GOLDEN=1` writes them anew.
"""

from __future__ import annotations

import os

import pytest
from places import GOLDEN

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, render_all

FILES = GOLDEN / "broken"

# File -> one line for each message: its code, line and column, and words that its help must have.
CASES: dict[str, str] = {
    "activation_as_string": """
        E009 3:13 relu
        E103 4:16 he_normal
    """,
    "activation_behind": """
        E105 3:11 … | relu
        E105 3:26 … | tanh
        E103 3:41 20%
        E105 4:11 … | softmax
    """,
    "add_clash": "E201 5:3 dense",
    "allow_error": "E101 3:3 dense",
    "arithmetic": """
        E110 1:9
        E009 3:14 x
        E109 4:10
        E110 5:10
    """,
    "block_arguments": """
        E103 1:47 let eight = …
        E103 1:69
        E104 5:3 `unit width=…`
        E105 6:19
        E102 7:10 act
        E106 7:20
        E106 8:19
        E103 9:10
        E102 10:25 slope
        E105 13:9
    """,
    "block_definitions": """
        E117 1:7
        E108 2:19
        E117 3:13
        E131 4:19 move `inner` before
        E131 4:45 a value of its own
        E101 4:87
        E108 5:7
        E203 7:7
        E108 8:7
    """,
    "block_faults": """
        E101 3:17 relu
        E110 4:9
        E201 12:3
    """,
    "block_recursion": """
        E115 1:43 repeat N { … }
        E115 4:40
        E115 5:21
    """,
    "block_sizes": """
        E116 5:25
        E116 6:43
    """,
    "block_unused": """
        W401 1:5
        W401 2:7
        W401 3:29
        W401 4:7
        W401 5:3
    """,
    "block_values": """
        E132 2:47
        E137 3:45 its last line
        E121 4:22 `in`
        E103 5:32 one of: in
        E107 6:17
        E136 9:8
        E102 12:13
        E132 13:3
    """,
    "braces": "E003 3:13",
    "called_layers": """
        E021 3:7 `x | dense 8`
        E021 4:3 `dense 8`
        E021 5:3 `relu`
        E021 6:3 `relu`
        E021 7:3 `dense 8 | relu`
        E021 8:3 `dense 8 | relu`
        E021 9:3 `dense 8`
        E021 10:3 `dropout 0.5`
        E021 11:3 `leaky_relu slope=0.2`
        E021 12:3 `conv 32 3x3`
        E021 13:7 `h | relu`
        E021 14:3 `dense 10`
        E021 15:3 `batch_norm`
        E021 16:3 `dense (8 * 2)`
        E021 17:3 `dense 8 | relu`
        E021 18:3 `dense 8`
        E021 19:3 `dense 3`
    """,
    "commas_and_colons": """
        E007 2:12 input x[4 4];
        E007 3:10 flatten | dense 10 | relu
        E007 4:10 dense 3 bias: false | softmax
        E008 4:16 dense 3, bias=false | softmax
    """,
    "commas_of_layers": """
        E007 3:10 `dense 8 | relu | dense 3 | softmax`
        E007 5:37 columns=[a b c e]
    """,
    "concat_clash": "E201 4:3",
    "concat_operands": """
        E007 4:15 h = concat a b
        E103 5:14
        E103 7:14
        E103 7:16
        E102 8:16 concat
    """,
    "conditions": """
        E101 5:41 identity
        E109 6:6 norm
        E109 7:6 depth
        E130 8:6
        E101 9:35 dense
        E101 9:44 relu
        E102 10:29 units
        E101 10:80 softmax
        E130 11:21
    """,
    "crlf": """
        E101 3:13 relu
        E102 4:11 init
    """,
    "data_rows": """
        E448 1:29 valid first=100
        E104 2:16 npz "file"
        E112 3:16 csv
        E105 3:36 split=20%
        E123 3:46 valid
        E123 4:16 train csv "x.csv"
        E104 4:25 normalize std=[0.5]
        E103 5:24 digits
        E113 5:32 standardize
        E113 5:45 one_hot
        E103 5:60 let all = …
        E103 6:44
        E120 6:50
        E105 7:42 mean=0.5
        E103 7:50
    """,
    "deep_nesting": "E101 15:22 dense",
    "default_errors": """
        E112 1:20 he_normal
        E102 1:29 bias
        E101 2:9 dense
        E105 3:15
        E105 4:41
    """,
    "dense_of_image": "E201 3:3 flatten | dense 300",
    "empty": "W437 1:1 `model NAME { … }`",
    "empty_bodies": """
        E202 1:7 input image[28 28]
        E203 2:7 dense 10 | softmax
        E203 3:28 dense 10 | softmax
        E203 4:23 dense 10 | softmax
    """,
    "export_rows": """
        E113 2:14 onnx
        E103 3:19 "net.onnx"
        E103 3:35 let tiny = …
    """,
    "gaps": """
        E001 1:16
        E006 3:10 ]
        E007 4:27 part body { dense hidden | relu }
        E101 9:18 relu
    """,
    "hidden_word": """
        E101 3:3 dense
        E101 4:3 dense
    """,
    "initializer_misspelt": """
        E112 3:16 he_normal
        E112 4:16 he_normal
        E112 5:16 glorot_uniform
        E111 6:16 glorot_uniform
        E103 7:46 fan_avg
    """,
    "input_shapes": """
        E001 1:18 input x[28 28]
        E205 2:18 input image[28 28]
        E205 3:18 input image[28 28]
        E205 4:18 input image[28 28]
        E205 5:18 input image[28 28]
        E205 6:18 input image[28 28]
        E001 7:18 input x[28 28]
        E201 8:22 flatten | dense 3
    """,
    "json_style": """
        E001 1:1
        E006 1:22 ]
    """,
    "keras_callbacks": """
        E113 5:3 stop
        E113 6:3 schedule
        E113 7:3 optimizer sgd lr=0.1
        E113 8:3
        E113 9:3 valid split=10%
    """,
    "keras_compile": """
        E112 4:8 cross_entropy
        E113 5:3 metric
        E112 6:13 adam
        E113 7:3 batch
        E001 8:9
    """,
    "keras_dense_call": """
        E021 3:3 `flatten`
        E021 4:3 `dense 300 | relu`
        E021 5:3 `dense 10 | softmax`
    """,
    "keras_dropout_rate": "E101 3:21 dropout",
    "keras_names": """
        E101 3:3 flatten
        E101 4:3 dense
        E101 4:15 batch_norm
        E101 4:36 relu
        E101 5:3 dense
        E101 5:14 softmax
    """,
    "keras_options": """
        E102 4:19 dense 300 | relu
        E102 4:35 init
        E102 4:64 bias
    """,
    "layer_misspelt": """
        E101 3:3 dense
        E101 3:14 leaky_relu
        E101 3:31 batch_norm
        E101 3:42 dropout
        E101 4:13 softmax
    """,
    "layer_names_as_names": """
        E117 2:9
        E117 3:3
        E117 4:8
        E117 5:7
        E117 6:8
    """,
    "lints": """
        W401 1:5
        W401 2:7
        W401 5:7
        W402 6:3 bias=false
        W412 7:20 after the last batch_norm
        W413 8:44 leave out
        W405 9:13 dense 1 | sigmoid
    """,
    "lints_allowed": "W405 7:13 dense 1 | sigmoid",
    "lints_ends": """
        W413 4:63 leave out sigmoid
        W413 5:55 leave out relu
        W415 6:56 softplus
        W413 7:59 leave out relu
        W416 9:28 loss cross_entropy
        W416 12:22 binary_cross_entropy
    """,
    "lints_selu": """
        W408 1:6 standardize
        W403 10:3 init=lecun_normal
        W406 10:41 alpha_dropout 20%
        W407 11:3 leave out l2
        W402 12:3 bias=false
        W409 12:46 leave out batch_norm
    """,
    "lints_start": """
        W410 4:14 init=he_normal
        W410 5:14 init=glorot_uniform
        W411 6:3 leave out init=zeros
        W411 7:3 leave out init=constant(0.1)
    """,
    "lints_training": """
        W419 2:3 scale (1 / 16)
        W414 13:7 seed 0
        W418 15:3 adamw weight_decay=0.0002
        W431 15:3 lr=0.01
        W417 16:3 batch 41
        W430 18:3 restore=best
    """,
    "loops": """
        E001 3:3 repeat 3 { … }
        E001 4:3 repeat 2 { … }
        E001 5:3 repeat 4 { … }
        E001 6:3 repeat 5 { … }
    """,
    "loss_aliases": """
        E112 3:28 mean_squared_error
        E112 4:28 binary_cross_entropy
        E112 5:28 cross_entropy
        E112 6:28 cross_entropy
    """,
    "loss_and_ending": """
        E302 6:21 | softmax
        E302 7:21 sigmoid
        E302 8:21 softmax
        E302 9:21 | softmax
    """,
    "loss_before_shape": "E302 3:18 move `sigmoid` to the end, after `reshape`",
    "lost_values": """
        W401 3:3
        W401 4:3
        W401 5:3
    """,
    "metric_does_not_fit": """
        E112 3:55 accuracy
        E303 4:48
    """,
    "missing_arguments": """
        E104 2:41 dense 10
        E104 2:49 dropout 20%
        E123 3:23
        E123 3:29
        E123 3:40
    """,
    "misspelt_then_unused": """
        E103 4:9 units
        E101 6:3 head
    """,
    "name_case": """
        E109 4:10 Hidden
        E103 4:37 Hidden
    """,
    "no_input": """
        E202 1:7 input image[28 28]
        E101 3:13 softmax
    """,
    "no_items": "E001 1:1 model NAME { … }",
    "no_loss": "E301 3:7 loss cross_entropy",
    "nothing_to_train": """
        E307 4:7 dense 10
        E304 5:7
    """,
    "numbers_written_oddly": """
        E016 1:9 1000
        E016 2:9 0.5
        E001 3:10
        E016 4:9 16
        E002 5:12
        E016 6:9 1e-3
        E002 7:9
    """,
    "only_blanks": "W437 1:1 `model NAME { … }`",
    "only_comments": "W437 1:1 `model NAME { … }`",
    "optimizer_options": """
        E102 5:26 beta_1=0.9 beta_2=0.999
        E102 5:44 epsilon
        E102 5:53
    """,
    "option_misspelt": """
        E102 3:11 init
        E102 3:33 alpha
        E102 4:23 std
    """,
    "options_meant": """
        E105 1:33 `max_norm=3`
        E105 1:60 `dense 10`
        E105 1:77 `normal(std=0.01)`
        E102 1:107 `max_norm=3`
        E102 1:137 `l2=0.01`
        E105 1:191 `truncated_normal(std=0.02 mean=0.5)`
        E102 3:52 weight_decay=1e-4
        E105 3:69 `global_norm=1.0`
        E112 3:91 `schedule exponential factor=0.5 every=10 staircase=true`
        E102 4:53 `optimizer adamw weight_decay=1e-3`
        E102 4:71 adamw
        E105 4:88 `global_norm=1.0`
        E112 4:110 every=30 staircase=true
    """,
    "outer_value": "E121 4:15 in",
    "outputs": """
        E114 6:10
        E203 8:32 dense 10 | softmax
    """,
    "outputs_named_oddly": """
        E103 4:10
        E102 5:10 output
        E103 6:10
    """,
    "part_errors": """
        E101 3:25 relu
        E101 6:18 body
    """,
    "part_recursion": "E115 4:25 repeat N { … }",
    "planned": """
        E107 3:51
    """,
    "python_style": """
        E001 1:1 model NAME { … }
        E001 2:7
        E001 3:1 model NAME { … }
        E001 4:5 model NAME { … }
    """,
    "reference_misspelt": """
        E114 3:7 net
        E114 3:15 digits
        E114 4:8 net
    """,
    "repeat_counts": """
        E103 4:10
        E103 5:10
        E103 6:10
        E103 7:10
    """,
    "reserved_names": """
        E122 2:9
        E122 4:8
    """,
    "reshape_clash": "E201 4:3",
    "row_misspelt": """
        E113 2:3 train
        E113 3:3 scale
        E113 7:3 loss
        E113 8:3 optimizer
        E113 9:3 epochs
        E113 10:3 batch
    """,
    "scale_the_wrong_way": "W419 2:10 `scale (1 / 255)` in place of `scale 255`",
    "schedules": """
        E112 3:52 exponential
        E112 4:52 cosine
        E103 5:62
        E103 5:66
        E103 6:68
        E112 7:52 exponential
        E102 8:84 factor
    """,
    "section_order": """
        E001 2:11
        E001 3:10
    """,
    "semicolons": """
        E101 1:41 dense
        E103 1:85 digits
        E103 1:140 let ten = …
    """,
    "several_stages": """
        E103 4:15 20%
        E024 5:11 scale (1 / 16)
        E103 9:19 untis
        E101 10:14 softmax
        E102 14:17 lr
    """,
    "shape_after_part": "E201 5:3 flatten | dense 10",
    "stop_watches": """
        E306 3:43 valid split=10%
        E306 4:43
        E306 5:60
        E105 6:48 patience=10
        E102 7:48 on
    """,
    "tabs": """
        E101 3:19 dense
        E112 4:15 false
    """,
    "too_large": "E116 3:13",
    "too_many": """
        E105 3:11
        E105 3:20
        E105 3:32
        E105 4:21
    """,
    "torch_linear": "E021 3:25 `dense 10`",
    "torch_loss": """
        E112 4:8 cross_entropy
        E112 5:13 sgd
        E113 6:3 schedule
        E113 7:3 epochs
    """,
    "torch_sequential": """
        E006 1:22 )
        E001 2:3 model NAME { … }
        E001 3:3 model NAME { … }
        E001 4:1
    """,
    "train_values": """
        E103 4:32
        E103 5:20
        E103 5:34
        E103 6:9
        E103 7:10
        E103 8:8
        E103 9:20
        E103 10:17
        E103 10:27 best
    """,
    "twice": """
        E108 3:5
        E102 6:21
        E106 6:36
        E108 8:8
        E108 10:7
        E120 11:52
    """,
    "two_inputs": "E204 4:3 left | dense …",
    "unicode": """
        E002 1:14 _
        E002 2:11 _
        E002 3:14 _
        E002 4:16 "
    """,
    "value_in_chain": "E118 4:21 +",
    "value_kinds": """
        E103 3:9
        E103 4:9
        E103 5:9
        E103 6:9
        E103 7:9
        E103 8:9
        E103 9:9
        E103 10:9 let ten = …
        E112 11:16
    """,
    "value_ranges": """
        E103 3:21
        E103 3:38
        E103 3:51
        E103 4:27
        E103 4:53
    """,
    "values_computed": """
        E026 4:9 `multiply a b`
        E026 5:5 `a + b`
    """,
    "wrong_section": """
        E113 1:37 batch
        E113 1:47 epochs
        E113 3:43 scale
        E113 3:59 onnx
        E113 3:76 optimizer sgd lr=0.1
        E113 4:14 seed
    """,
    "yaml_style": """
        E008 1:6 model
        E001 2:3 model NAME { … }
        E001 3:3 model NAME { … }
        E001 4:5
        E001 5:5
    """,
}


def said(name: str) -> list[Diagnostic]:
    text = (FILES / f"{name}.dnn").read_bytes().decode()
    return list(check(Source(f"{name}.dnn", text))[1])


def test_every_file_is_in_the_table() -> None:
    assert sorted(CASES) == sorted(path.stem for path in FILES.glob("*.dnn"))
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", CASES)
def test_codes_places_and_suggestions(name: str) -> None:
    wanted = [line.strip().split(" ", 2) for line in CASES[name].splitlines() if line.strip()]
    found = said(name)
    places = [(d.code, f"{d.span.line}:{d.span.column}") for d in found if d.span]
    assert places == [(code, place) for code, place, *_ in wanted]
    for diagnostic, (_, _, *words) in zip(found, wanted, strict=True):
        for word in words:
            assert word in diagnostic.help


@pytest.mark.parametrize("name", CASES)
def test_message(name: str) -> None:
    written = render_all(said(name))
    expected = FILES / f"{name}.txt"
    if os.environ.get("DNN_UPDATE_GOLDEN"):
        expected.write_text(written, encoding="utf-8")
    assert written == expected.read_text(encoding="utf-8")


def test_a_misspelt_word_is_met_with_the_right_one() -> None:
    """A name of another tool leads to ours, whatever is near it in spelling."""
    from deepdsl.diagnostics import closest
    from deepdsl.insight.help_pages import entries

    for registry, word, here in [
        ("layer", "Linear", "dense"),
        ("layer", "Dense", "dense"),
        ("layer", "fc", "dense"),
        ("layer", "BatchNorm1d", "batch_norm"),
        ("layer", "BatchNormalization", "batch_norm"),
        ("layer", "LeakyReLU", "leaky_relu"),
        ("initializer", "kaiming_normal", "he_normal"),
        ("initializer", "kaiming_uniform_", "he_uniform"),
        ("initializer", "glorot", "glorot_uniform"),
        ("loss", "CrossEntropyLoss", "cross_entropy"),
        ("loss", "sparse_categorical_crossentropy", "cross_entropy"),
        ("loss", "nll_loss", "cross_entropy"),
        ("loss", "bce", "binary_cross_entropy"),
        ("loss", "BCEWithLogitsLoss", "binary_cross_entropy"),
        ("loss", "mse", "mean_squared_error"),
        ("metric", "acc", "accuracy"),
        ("metric", "roc_auc", "auc"),
        ("optimizer", "SGD", "sgd"),
        ("optimizer", "AdamW", "adamw"),
        ("schedule", "ExponentialDecay", "exponential"),
        ("schedule", "MultiStepLR", "piecewise"),
        ("source", "numpy", "npz"),
        ("train_row", "batch_size", "batch"),
        ("train_row", "early_stopping", "stop"),
        ("train_row", "num_epochs", "epochs"),
        ("train_row", "random_state", "seed"),
    ]:
        assert closest(word, entries()[registry]) == here, word


def test_advice_on_calls_can_be_followed() -> None:
    """What a message says to write is a right program: nothing is left to be found out."""
    import re

    for diagnostic in said("called_layers"):
        advice = re.fullmatch(r"write `(.*)`", diagnostic.help)
        assert advice is not None
        image = "dense 16 | reshape [1 4 4] | " if advice[1].startswith("conv") else ""
        flat = "flatten; " if image else ""
        lines = f"h = x | dense 4; h | relu; {image}{advice[1]}; {flat}dense 3"
        text = f"model net {{ input x[4]; {lines} }}"
        errors = [d for d in check(Source("a.dnn", text))[1] if d.code.startswith("E")]
        assert not errors, (advice[1], errors)


def test_advice_on_options_can_be_followed() -> None:
    for form in (
        "schedule exponential factor=0.5 every=10 staircase=true",
        "schedule power every=(1 / 1e-4) per=step; optimizer sgd weight_decay=1e-4",
        "optimizer adamw weight_decay=1e-3",
        "clip global_norm=1.0",
    ):
        text = (
            "model net { input x[8 8]; flatten | dense 10 max_norm=3 l2=0.01 init=normal(std=0.01) "
            "| softmax }; data d { train builtin digits; scale (1 / 16) }; "
            f"train net on d {{ loss cross_entropy; seed 1; {form} }}"
        )
        errors = [d for d in check(Source("a.dnn", text))[1] if d.code.startswith("E")]
        assert not errors, (form, errors)


def test_what_parts_the_fields_has_a_name() -> None:
    text = 'data d { train csv "a.csv" sep=";" }'
    (found,) = [d for d in check(Source("a.dnn", text))[1] if d.code == "E102"]
    assert found.help == "write `delimiter=semicolon`"


def test_a_word_without_a_counterpart_leads_nowhere() -> None:
    from deepdsl.diagnostics import closest
    from deepdsl.insight.help_pages import entries

    assert closest("swiglu", entries()["layer"]) is None
    assert closest("gaussian_dropout", entries()["layer"]) == "dropout"
