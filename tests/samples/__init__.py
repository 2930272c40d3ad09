"""One row of test data for each operation and for each name of the language."""

from . import convolutions, imports, pools, sequences
from .feeds import ROWS, Array, Feed
from .judging import LOSSES, METRICS, LossSample, MetricSample
from .layers import LAYERS, LayerSample
from .moving import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerSample,
    ScheduleSample,
    adam_rule,
    sgd_rule,
)
from .operations import OPS, OpSample
from .starts import INITIALIZERS, InitializerSample

LAYERS = (*LAYERS, *sequences.LAYERS, *pools.LAYERS, *convolutions.LAYERS)
OPS = (*OPS, *sequences.OPS, *pools.OPS, *convolutions.OPS, *imports.OPS)

__all__ = [
    "INITIALIZERS",
    "LAYERS",
    "LOSSES",
    "METRICS",
    "OPS",
    "OPTIMIZERS",
    "ROWS",
    "SCHEDULES",
    "Array",
    "Feed",
    "InitializerSample",
    "LayerSample",
    "LossSample",
    "MetricSample",
    "OpSample",
    "OptimizerSample",
    "ScheduleSample",
    "adam_rule",
    "sgd_rule",
]
