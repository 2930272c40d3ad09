"""Dropout, and the form of it that selu needs."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, OneOf, argument, option
from deepdsl.graph import Param, Type, Value
from deepdsl.graph.arithmetic import Less, Where, mul, plus, scaled
from deepdsl.graph.windows import space
from deepdsl.nn.layers.activations.relu_variants import SELU_ALPHA, SELU_SCALE
from deepdsl.nn.layers.image_reshaping import Within
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer
from deepdsl.nn.layers.random_draws import uniform


@record
class Dropout(Layer):
    """`dropout 20%`: in training each element is kept with probability 1 - rate and divided by it,
    else it is 0.

    Srivastava et al. 2014, in the inverted form.  At inference it does nothing.  The mask is a pure
    function of the seed, the layer's path, the step and the element.  `dnnc predict --samples 100`
    draws masks at inference too, and tells the mean and the deviation of what comes out (Monte
    Carlo dropout, Gal & Ghahramani 2016).

    With `per=channel` whole channels of an image are kept or dropped (Tompson et al. 2015):
    neighbours tell the same, so that single numbers are hardly missed.  Keras calls it
    SpatialDropout2D, PyTorch Dropout2d.
    """

    rate: float = argument(Number(minimum=0, below=1), "the share that is dropped")
    per: str = option(OneOf(("number", "channel")), "what is dropped together", "number")

    transparent = True
    source = "Srivastava et al. 2014, Journal of Machine Learning Research 15"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        sizes = space("dropout per=channel", x.type, "") if self.per == "channel" else ()
        if not scope.noisy or self.rate == 0:
            return x
        b = scope.builder
        each = x
        if self.per == "channel":
            # A channel's first number: what is drawn is drawn in its shape.
            each = b.add(Within((0,) * x.type.rank, (0, 0, *(n - 1 for n in sizes))), x)
        dropped = b.add(Less(), uniform(scope, each), b.like(self.rate, x))
        # One factor a unit, 0 or 1 / keep, serves the forward and the backward product alike.
        factor = b.add(Where(), dropped, b.like(0.0, x), b.like(1 / (1 - self.rate), x))
        return mul(b, x, factor)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """In training: what is kept grows, so that the mean stays and the mean square does not."""
        (x,) = inputs
        grown = 1 / (1 - self.rate)
        return Transfer(Moments(x.mean, x.square * grown, x.shared), (Gain.every(grown),))


# What selu tends to on the left, -scale * alpha: the value of a unit that is dropped.
_OFF = -SELU_SCALE * SELU_ALPHA


@record
class AlphaDropout(Layer):
    """`alpha_dropout 10%`: in training a * (x, or -1.7581 where dropped) + b, which keeps mean 0
    and variance 1.

    Klambauer et al. 2017, for networks of selu, whose fixed point dropout would leave: a dropped
    unit takes the value that selu tends to on the left, alpha' = -scale * alpha, and
    a = ((1 - rate) (1 + rate alpha'^2))^-1/2 and b = -a alpha' rate bring mean and variance back.
    With a rate of 10 % a is 0.92128 and b is 0.16197.  At inference it does nothing.  Rates of 5 to
    10 % are usual.  Keras and PyTorch have the same.
    """

    rate: float = argument(Number(minimum=0, below=1), "the share that is dropped")

    transparent = True
    source = "Klambauer et al. 2017, arXiv:1706.02515"

    @property
    def affine(self) -> tuple[float, float]:
        """a and b."""
        a = ((1 - self.rate) * (1 + self.rate * _OFF**2)) ** -0.5
        return a, -a * _OFF * self.rate

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if not scope.noisy or self.rate == 0:
            return x
        a, shift = self.affine
        b = scope.builder
        dropped = b.add(Less(), uniform(scope, x), b.like(self.rate, x))
        mixed = b.add(Where(), dropped, b.like(_OFF, x), x)
        return plus(b, scaled(b, a, mixed), shift)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """In training; rows have masks of their own."""
        (x,) = inputs
        (a, shift), keep = self.affine, 1 - self.rate

        def affine(product: float, mean: float) -> float:
            return a**2 * product + 2 * a * shift * mean + shift**2

        off = self.rate * _OFF
        mean = keep * x.mean + off
        square = affine(keep * x.square + self.rate * _OFF**2, mean)
        shared = None
        if x.shared is not None:
            both = keep**2 * x.shared + 2 * keep * off * x.mean + off**2
            shared = affine(both, mean)
        return Transfer(Moments(a * mean + shift, square, shared), (Gain.every(a**2 * keep),))
