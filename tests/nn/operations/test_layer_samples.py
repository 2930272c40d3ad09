"""Every layer, in training and at inference: types, numbers, gradients of all that it reads."""

from __future__ import annotations

import pytest
from layer_checks import check_gradients, check_inference, check_types_and_onnxruntime
from samples import LAYERS, LayerSample

rows = pytest.mark.parametrize("sample", LAYERS, ids=lambda s: s.id)
modes = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])


@rows
@modes
def test_types_and_onnxruntime(sample: LayerSample, training: bool) -> None:
    check_types_and_onnxruntime(sample, training)


@pytest.mark.parametrize("sample", [s for s in LAYERS if s.formula], ids=lambda s: s.id)
def test_inference_is_the_formula(sample: LayerSample) -> None:
    check_inference(sample)


@rows
@modes
def test_gradients_of_operands_and_weights(sample: LayerSample, training: bool) -> None:
    check_gradients(sample, training)
