"""Names that the language has and this version cannot compile yet, so that messages can say so."""

from __future__ import annotations

_PLANNED = {
    "layer": (
        "conv conv_transpose max_pool avg_pool global_avg_pool global_max_pool upsample zero_pad crop permute "
        "embedding lstm gru attention multiply split mean prelu rrelu gelu swish mish softplus softsign hard_sigmoid "
        "hard_swish celu relu6 threshold log_softmax alpha_dropout gaussian_noise layer_norm group_norm rms_norm"
    ),
    "dense.": "tie l1 l2 max_norm",
    "batch_norm.": "",
    "loss": "huber hinge kl_divergence focal",
    "metric": "top5 f1 precision recall confusion_matrix r2 mse",
    "optimizer": "adagrad rmsprop adamax nadam amsgrad lion",
    "schedule": "power plateau one_cycle cosine polynomial linear",
    "source": "images parquet",
    "data": "augment",
    "train": "precision accumulate freeze unfreeze lr_mult cache",
    "export": "quantize",
    "onnx.": "quantize",
}


def planned(registry: str) -> frozenset[str]:
    """The names of a registry that are known and not built yet; for options, `layer_name.`."""
    return frozenset(_PLANNED.get(registry, "").split())
