"""Activations that multiply x by a gate between 0 and 1: smooth forms of relu that dip below 0."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Number, OneOf, option
from deepdsl.graph.formula import erf, exp, hard_sigmoid, minimum, sigmoid, tanh
from deepdsl.nn.layers.activations.base import Activation

# exp of more than this makes the ratio in mish 1 in any precision, and its square is no overflow.
_LARGE = 20.0


@record
class Gelu(Activation):
    """`gelu`: x * Phi(x), where Phi is the distribution function of a standard normal variable.

    Hendrycks & Gimpel 2016; common in transformers.  The exact form is
    x (1 + erf(x / sqrt(2))) / 2.  `approximate=tanh` is
    x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, which differs by less than 0.0005; GPT-2 was
    trained with it.  Keras and PyTorch take the exact form by default.  Initialize with he_normal.
    """

    approximate: str = option(OneOf(("none", "tanh")), "which form", "none")

    activation = "he_normal"
    source = "Hendrycks & Gimpel 2016, arXiv:1606.08415"

    def function(self, x: Any) -> Any:
        if self.approximate == "tanh":
            inner = sqrt(2 / pi) * (x + 0.044715 * (x * x * x))
            return 0.5 * x * (1.0 + tanh(inner))
        return 0.5 * x * (1.0 + erf(x * sqrt(0.5)))


@record
class Swish(Activation):
    """`swish`: x * sigmoid(beta * x), also known as silu.

    Ramachandran, Zoph & Le 2017; with beta = 1 it is the SiLU of Hendrycks & Gimpel 2016 and of
    Elfwing, Uchibe & Doya 2017, and what Keras and PyTorch call so.  beta = 1.702 is near gelu.
    Initialize with he_normal.
    """

    beta: float = option(Number(above=0), "how steep the gate is", 1.0)

    activation = "he_normal"
    source = "Ramachandran, Zoph & Le 2017, arXiv:1710.05941; Elfwing et al. 2017, arXiv:1702.03118"

    def function(self, x: Any) -> Any:
        return x * sigmoid(x if self.beta == 1 else self.beta * x)


@record
class Mish(Activation):
    """`mish`: x * tanh(softplus(x)).

    Misra 2019.  Close to swish, a little lower below 0.  Computed as x n / (n + 2) with
    n = exp(x) (exp(x) + 2), which is the same and needs one exp.  Initialize with he_normal.
    """

    activation = "he_normal"
    source = "Misra 2019, arXiv:1908.08681"

    def function(self, x: Any) -> Any:
        e = exp(minimum(x, _LARGE))
        n = e * (e + 2.0)
        return x * (n / (n + 2.0))


@record
class HardSwish(Activation):
    """`hard_swish`: x * relu6(x + 3) / 6: swish with hard_sigmoid as its gate.

    Howard et al. 2019 (MobileNetV3): for devices on which exp is dear.  It is 0 up to -3 and x from
    3 on.  Initialize with he_normal.
    """

    activation = "he_normal"
    source = "Howard et al. 2019, arXiv:1905.02244"

    def function(self, x: Any) -> Any:
        return x * hard_sigmoid(x)
