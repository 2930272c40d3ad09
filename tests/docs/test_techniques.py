"""Every technique of the subject has a page, a formula and a source, and stands in the table."""

from __future__ import annotations

import re

import pytest
from places import ROOT

from deepdsl.insight import help_pages as pages

TABLE = (ROOT / "docs" / "techniques.md").read_text(encoding="utf-8")

# The subject, by kind: what a reader of its chapters looks for.
SUBJECT = {
    "initializer": "glorot_uniform glorot_normal he_uniform he_normal lecun_uniform lecun_normal "
    "variance_scaling uniform normal truncated_normal orthogonal constant zeros ones identity",
    "layer": "sigmoid tanh softmax relu leaky_relu prelu rrelu elu selu gelu swish mish softplus "
    "softsign hard_sigmoid hard_swish celu relu6 threshold log_softmax identity "
    "batch_norm layer_norm group_norm rms_norm dropout alpha_dropout gaussian_noise "
    "embedding lstm gru attention position_embedding sinusoidal_positions",
    "optimizer": "sgd adagrad rmsprop adam adamax nadam adamw amsgrad lion",
    "schedule": "constant power exponential piecewise plateau one_cycle cosine polynomial linear",
    "train_row": "clip stop accumulate batch epochs seed",
    "loss": "cross_entropy binary_cross_entropy mean_squared_error huber hinge kl_divergence focal",
    "metric": "accuracy top5 f1 precision recall confusion_matrix r2 mse mae auc perplexity",
    "augmentation": "flip crop resize_crop rotate cutout color_jitter mixup",
}
NAMES = [(kind, name) for kind, names in SUBJECT.items() for name in names.split()]

# Plain definitions, of which nobody is the author.
DEFINITIONS = {
    "initializer": "uniform normal truncated_normal constant zeros ones variance_scaling",
    "layer": "sigmoid identity log_softmax",
    "schedule": "constant piecewise power exponential polynomial linear plateau",
    "train_row": "batch epochs seed accumulate stop",
    "loss": "mean_squared_error mean_absolute_error",
    "metric": "accuracy mse mae rmse confusion_matrix",
}

# Options that are techniques by themselves: an option's page is found by its name.
OPTIONS = "l1 l2 max_norm smoothing momentum nesterov weight_decay warmup global_norm restore"


@pytest.mark.parametrize(("kind", "name"), NAMES, ids=lambda v: v)
def test_a_technique_has_a_page_and_a_row(kind: str, name: str) -> None:
    cls = pages.entries()[kind].get(name)
    assert cls is not None, f"{kind} `{name}` is not there"
    assert len(cls.page().split()) > 8
    row = next((line for line in TABLE.splitlines() if line.startswith(f"| `{name}` |")), None)
    assert row is not None, f"docs/techniques.md has no row for `{name}`"
    for each in cls.signature():
        if not each.required and each.default is not None:
            assert f"`{each.name}={each.shown(each.default)}`" in TABLE


@pytest.mark.parametrize(
    ("kind", "name", "cls"),
    [
        pytest.param(kind, name, cls, id=name)
        for kind in SUBJECT
        for name, cls in pages.entries()[kind].items()
    ],
)
def test_a_technique_has_a_formula_and_a_source(kind: str, name: str, cls: type) -> None:
    first = cls.page().partition("\n\n")[0]
    assert re.match(r"`[^`]+`(?:, or `[^`]+`)*: ", first), f"{name}: {first}"
    assert cls.formula()
    plain = kind == "layer" and cls.activation is None and not name.endswith(("_norm", "dropout"))
    if name not in DEFINITIONS.get(kind, "").split() and not plain:
        assert re.search(r"\b(1[89]|20)\d\d\b", cls.source), f"{kind} `{name}` has no source"
        assert f"Source: {cls.source}." in cls.page()


@pytest.mark.parametrize("name", OPTIONS.split())
def test_an_option_that_is_a_technique_is_explained(name: str) -> None:
    assert pages.find(name)
