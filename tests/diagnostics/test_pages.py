"""Every message has a page, and every page is true.

Its wrong program gives its code and no other, its right one gives nothing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from places import TESTS

from deepdsl.cli import main
from deepdsl.compiler.front_end import check, load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.insight import help_pages as pages

CODES = pages.codes()

# Messages that no program alone provokes, with the tests that do.
WITHOUT_PROGRAMS = {
    "E134": "language/blocks/test_used_files.py::test_files_in_a_circle",
    "E135": "language/blocks/test_used_files.py::test_a_model_that_cannot_stand_in_a_flow",
    "E308": "cli/test_train.py::test_which_training",
    "E309": "cli/test_inspect_and_build.py::test_which_model",
    "E310": "cli/test_train.py::test_a_setting_that_cannot_be_read",
    "E468": "data/test_images.py::test_eval_with_another_range",
    "E520": "transfer/weights/test_weight_messages.py::test_nothing_says_where",
    "E521": "transfer/weights/test_weight_messages.py::test_a_model_without_a_run",
    "E522": "transfer/weights/test_weight_messages.py::test_a_path_that_is_not_there",
    "E523": "transfer/weights/test_weight_messages.py::test_files_of_other_kinds",
    "E524": "transfer/weights/test_damaged_weights.py::test_damaged_safetensors",
    "E525": "transfer/weights/test_weight_messages.py::test_tensors_that_are_no_numbers",
    "E526": "transfer/weights/test_weight_messages.py::test_numbers_that_are_not_finite",
    "E527": "transfer/weights/test_weight_messages.py::test_a_missing_layer",
    "E528": "transfer/weights/test_weight_messages.py::test_a_head_of_another_size",
    "E529": "transfer/weights/test_weight_messages.py::test_layouts_that_cannot_be_told",
    "E530": "transfer/weights/test_weight_messages.py::test_nothing_that_matches",
    "E531": "transfer/weights/test_weight_messages.py::test_an_ambiguous_match",
    "E532": "transfer/weights/test_weight_messages.py::test_a_bias_that_nothing_takes",
    "E533": "transfer/weights/test_weight_messages.py::test_renames_that_fit_nothing",
    "E534": "transfer/weights/test_weight_messages.py::test_rows_whose_order_is_lost",
    "E540": "transfer/onnx_import/test_reading.py::test_a_part_of_a_file",
    "E541": "transfer/onnx_import/test_reading.py::test_weights_outside_of_the_folder",
    "E542": "transfer/onnx_import/test_reading.py::test_weights_that_are_missing",
    "E543": "transfer/onnx_import/test_reading.py::test_a_file_that_is_too_large",
    "E544": "transfer/onnx_import/test_pieces.py::test_a_tensor_that_is_not_there",
    "E545": "transfer/onnx_import/test_pieces.py::test_several_inputs",
    "E546": "transfer/onnx_import/test_pieces.py::test_several_outputs",
    "E547": "transfer/onnx_import/test_pieces.py::test_another_shape",
    "E548": "transfer/onnx_import/test_pieces.py::test_what_cannot_be_left_out",
    "E549": "transfer/onnx_import/test_pieces.py::test_arithmetic_with_the_size_of_the_batch",
    "E550": "transfer/onnx_import/test_reading.py::test_a_newer_version",
    "E551": "transfer/onnx_import/test_pieces.py::test_an_output_without_rows",
    "E560": "cli/test_zoo.py::test_what_cannot_be_published",
    "E561": "cli/test_zoo.py::test_an_index_that_is_wrong",
    "E562": "cli/test_zoo.py::test_a_name_that_is_not_there",
    "E563": "cli/test_zoo.py::test_a_package_that_is_missing_or_another_version",
    "E564": "cli/test_zoo.py::test_a_file_that_differs_is_not_kept",
    "E565": "cli/test_zoo.py::test_addresses_without_https",
    "E566": "cli/test_zoo.py::test_what_is_there_is_kept",
    "E567": "cli/test_zoo.py::test_verify_tells_what_is_not_so",
    "E568": "cli/test_zoo.py::test_what_cannot_be_published",
    "E570": "cli/test_surgery.py::test_free_sizes",
    "E502": "training/phases/test_pieces.py::test_a_file_without_weights",
    "E510": "training/phases/test_frozen.py::test_training_through_an_operator_without_a_gradient",
    "E580": "cli/test_sweep.py::test_values_that_cannot_be_read",
    "E581": "cli/test_sweep.py::test_nothing_to_compare_and_too_much_of_it",
    "E582": "cli/test_sweep.py::test_nothing_to_compare_and_too_much_of_it",
    "E583": "cli/test_sweep.py::test_what_it_compares_by",
    "E595": "inference/test_quantize.py::test_what_costs_most_is_named",
    "E601": "cli/test_failures.py::test_cuda_where_there_is_none",
    "E602": "cli/test_failures.py::test_numbers_that_go_wrong",
    "E603": "cli/test_failures.py::test_no_such_run",
    "E604": "cli/test_failures.py::test_a_damaged_checkpoint",
    "E605": "cli/test_failures.py::test_resuming_another_training",
    "E606": "cli/test_export_eval_predict.py::test_an_export_that_differs_is_not_written",
    "E607": "cli/test_failures.py::test_an_onnx_file_that_the_runtime_refuses",
    "E608": "cli/test_failures.py::test_files_that_cannot_be_read",
    "E609": "cli/test_failures.py::test_a_place_that_cannot_be_written",
    "E611": "cli/test_export_eval_predict.py::test_predict_refuses_what_it_does_not_know",
    "E612": "cli/test_export_eval_predict.py::test_eval_says_what_is_missing",
    "E613": "cli/test_train.py::test_an_existing_run_is_never_written_over",
    "E614": "cli/test_export_eval_predict.py::test_samples_where_there_is_no_noise",
    "E615": "cli/test_report.py::test_tensorboard_without_its_package",
    "E616": "training/phases/test_frozen.py::test_a_frozen_tensor_that_moved_is_told",
    "E699": "cli/test_failures.py::test_an_unexpected_exception_is_one_line",
}
# The file changes while it is read, which no program can say.
PROVOKED = {**WITHOUT_PROGRAMS, "E430": "data/test_messages.py::test_changed_csv"}
# Pages about syntax show a piece of the language, used and compiled or not.
BESIDE = {"E107", "W401"}
PROGRAMS = sorted(CODES.keys() - PROVOKED.keys())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = TESTS / "data" / "conftest.py"
    spec = importlib.util.spec_from_file_location("page_files", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = tmp_path_factory.mktemp("pages")
    module.write_page_files(made)
    return made


def programs(code: str) -> dict[str, str]:
    found = re.findall(r"```(\w+)\n(.*?)```", CODES[code].page(), re.DOTALL)
    return dict(found)


def said(text: str, folder: Path, syntax: bool) -> list[str]:
    """The codes of a program, of its data too where it trains."""
    _, report = check(Source("page.dnn", text))
    found = [d.code for d in report]
    if syntax:
        return [code for code in found if code not in BESIDE]
    if report.has_errors:
        return found
    program, _ = load_program(Source("page.dnn", text))
    try:
        for training in program.trainings:
            select: Any = ("train", "valid", "test")
            job = open_job(program, training, folder, select)
            found += [d.code for d in job.splits.warnings]
    except DnnError as error:
        found += [d.code for d in error.diagnostics]
    return found


@pytest.mark.parametrize("code", PROGRAMS)
def test_the_programs_of_a_page(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = programs(code)
    assert sorted(written) == ["right", "wrong"]
    real = os.stat

    def stat(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if str(path).endswith("forbidden.npz"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    syntax = code.startswith("E0")
    assert said(written["wrong"], folder, syntax) == [code]
    assert said(written["right"], folder, syntax) == []


def test_messages_without_programs_are_provoked_elsewhere() -> None:
    assert set(WITHOUT_PROGRAMS) == {code for code in CODES if not programs(code)}
    for code, place in PROVOKED.items():
        file, _, test = place.partition("::")
        text = (TESTS / file).read_text()
        assert f"def {test}(" in text, place
        body = text.split(f"def {test}(")[1].split("\ndef ")[0]
        assert f'"{code}"' in body, place


@pytest.mark.parametrize("code", CODES)
def test_a_page_opens_with_one_sentence(code: str) -> None:
    first, _, rest = CODES[code].page().partition("\n\n")
    assert re.fullmatch(r"[A-Z`].*[.]", first.replace("\n", " ")), first
    assert not rest or rest.strip()


def test_codes_are_unique() -> None:
    """A class with a code that is taken cannot be defined; this finds the codes in the text."""
    written: dict[str, str] = {}
    for path in sorted((TESTS.parent / "deepdsl").rglob("*.py")):
        for code in re.findall(r'^    code = "([EW]\d{3})"$', path.read_text(), re.MULTILINE):
            assert code not in written, f"{code} in {written.get(code)} and {path}"
            written[code] = str(path)
    assert set(written) == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_explain_prints_the_page(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code.lower()]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"{code}: ")
    assert "```" not in out
    first = CODES[code].page().splitlines()[0]
    assert first in out
    for fence, program in programs(code).items():
        assert f"{fence.capitalize()}:" in out
        for line in program.splitlines():
            assert line in out


ENTRIES = [(kind, name) for kind, known in pages.entries().items() for name in known]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_everything_that_a_file_can_name_has_a_page(
    kind: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cls = pages.entries()[kind][name]
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    assert f"{kind.replace('_', ' ')} `{name}`" in out
    doc = cls.page().splitlines()[0]
    assert doc.strip()
    assert doc in out
    for argument in cls.signature():
        (line,) = {
            each for each in cls.page().splitlines() if re.match(rf" +{argument.name}=? ", each)
        }
        assert line in out
        assert argument.doc in line
        assert argument.kind.expected in line


def test_explain_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["pages"]
    assert set(CODES) <= set(told)
    assert {name for _, name in ENTRIES} <= set(told)
    assert main(["explain"]) == 0
    out = capsys.readouterr().out
    assert all(code in out for code in CODES)
    assert main(["explain", "layers"]) == 0
    assert "dense" in capsys.readouterr().out


def test_explain_of_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "densse"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean `dense`?" in err
    assert main(["explain", "E999"]) == 2
    assert "no page for `E999`" in capsys.readouterr().err
    assert main(["explain", "densse", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["pages"] == []
    assert "did you mean `dense`?" in told["message"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nn.Linear", "`nn.Linear` is `dense` here."),
        ("Linear", "layer `dense`"),
        ("ReLU", "layer `relu`"),
        ("conv", "layer `conv`"),
        ("Conv2d", "`Conv2d` is `conv` here."),
        ("xavier", "E111"),
        ("activations", "leaky_relu: x where x > 0"),
        ("lints", "W419  Raw pixels"),
        ("gaussian_dropout", "layer `dropout`"),
        ("probe", "`dnnc probe --help`"),
        *((word, f"`{word} ") for word in ("let", "repeat", "default", "part", "block", "use")),
        *((word, f"`{word} ") for word in ("data", "model", "train", "export", "input", "output")),
    ],
)
def test_explain_leads_on(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 0
    assert words in capsys.readouterr().out


def test_explain_guesses_nothing_unrelated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "swiglu"]) == 2
    assert "selu" not in capsys.readouterr().err
