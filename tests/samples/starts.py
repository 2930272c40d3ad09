"""One row for each initializer."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from deepdsl.nn import initializers
from deepdsl.nn.initializers import Initializer


@dataclass(frozen=True)
class InitializerSample:
    """An initializer, and what a kernel of 784 by 300 must show: deviation and largest value."""

    init: Initializer
    std: float
    limit: float = float("inf")


# A normal distribution that is cut at two standard deviations and widened ends there.
_CUT = 2 / initializers.TRUNCATED_STD

INITIALIZERS = (
    InitializerSample(initializers.GlorotUniform(), 0.04299, 0.07440),
    InitializerSample(initializers.GlorotNormal(), 0.04295, _CUT * sqrt(1 / 542)),
    InitializerSample(initializers.HeUniform(), sqrt(2 / 784), sqrt(6 / 784)),
    InitializerSample(initializers.HeNormal(), 0.0505, _CUT * sqrt(2 / 784)),
    InitializerSample(
        initializers.HeUniform(slope=0.25), sqrt(2 / (784 * 1.0625)), sqrt(6 / (784 * 1.0625))
    ),
    InitializerSample(
        initializers.HeNormal(slope=0.5), sqrt(2 / (784 * 1.25)), _CUT * sqrt(2 / (784 * 1.25))
    ),
    InitializerSample(initializers.LecunUniform(), sqrt(1 / 784), sqrt(3 / 784)),
    InitializerSample(initializers.LecunNormal(), 0.0357, _CUT * sqrt(1 / 784)),
    InitializerSample(
        initializers.VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform"),
        sqrt(2 / 542),
        0.10521,
    ),
    InitializerSample(
        initializers.VarianceScaling(scale=1.0, mode="fan_out", distribution="normal"),
        sqrt(1 / 300),
    ),
    InitializerSample(initializers.Uniform(0.3), 0.3 / sqrt(3), 0.3),
    InitializerSample(initializers.Normal(0.3), 0.3),
    InitializerSample(initializers.TruncatedNormal(0.3), 0.3 * initializers.TRUNCATED_STD, 2 * 0.3),
    InitializerSample(initializers.Orthogonal(gain=2.0), 2.0 / sqrt(784)),
    InitializerSample(initializers.ConstantInitializer(0.1), 0.0, 0.1),
    InitializerSample(initializers.Zeros(), 0.0, 0.0),
    InitializerSample(initializers.Ones(), 0.0, 1.0),
    InitializerSample(
        initializers.IdentityInitializer(gain=3.0), 3 * sqrt(1 / 784 - 1 / 784**2), 3.0
    ),
)
