"""Files with a few bytes changed are surveyed or refused; nothing else comes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_onnx import convolutions, letters, perceptron, words

from deepdsl.diagnostics import DnnError
from deepdsl.transfer.cut_points import Survey, starter_text, survey

FILES = [each().SerializeToString() for each in (perceptron, convolutions, words, letters)]


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_damaged_file_is_surveyed_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    seen: Survey | None = None
    told = ""
    try:
        seen = survey(file, None, "net.onnx")
        told = starter_text(seen, "net.onnx")
    except DnnError as error:
        told = str(error)
    assert told
    assert seen is None or seen.places == () or seen.params == seen.places[-1].params


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1])
def test_a_file_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(FILES[1][:cut])
    with pytest.raises(DnnError) as raised:
        survey(file)
    assert {d.code for d in raised.value.diagnostics} == {"E540"}
