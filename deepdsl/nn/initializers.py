"""Initializers: how a tensor begins.

Each tensor draws from a stream of its own, which depends on the file's seed and the tensor's path
and on nothing else: adding a layer changes no other layer's start.
"""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Entry, Number, OneOf, Registered, argument, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Fans = tuple[int, int]

# The standard deviation of a standard normal distribution cut at -2 and 2 (TensorFlow's
# VarianceScaling).
TRUNCATED_STD = 0.87962566103423978

_GLOROT = (
    "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural "
    "networks"
)
_HE = "He et al. 2015, arXiv:1502.01852"
_LECUN = "LeCun et al. 1998, Efficient BackProp"


def stream_key(seed: int, path: str, purpose: str = "init") -> int:
    """128 bits that depend on the seed, the tensor's path and what the numbers are for."""
    digest = blake2b(f"{seed}\0{purpose}\0{path}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little")


def stream(seed: int, path: str, purpose: str = "init") -> np.random.Generator:
    """The tensor's own random stream: Philox, a counter-based generator, under `stream_key`."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=stream_key(seed, path, purpose)))


@record
class Initializer(Registered, kind="initializer"):
    """Base of initializers."""

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Values in float64, to be rounded once by whoever stores them."""
        raise NotImplementedError(f"{type(self).__name__} has no sample")

    def variance(self, fans: Fans) -> float | None:
        """The variance that the values are drawn with, where it is known from the fans alone."""
        return None

    @property
    def center(self) -> float:
        """The mean that the values are drawn with."""
        return 0.0

    def second_moment(self, fans: Fans) -> float | None:
        """The mean of the values' squares, where it is known."""
        variance = self.variance(fans)
        return None if variance is None else variance + self.center**2


@record
class VarianceScaling(Initializer):
    """`variance_scaling(scale=2 mode=fan_avg distribution=uniform)`: variance v = scale / fan.

    Uniform on ±sqrt(3 v); normal with standard deviation sqrt(v); truncated_normal is cut at two
    standard deviations and widened by 1 / 0.8796 so that its standard deviation is sqrt(v), as in
    Keras.
    """

    scale: float = option(Number(above=0), "the numerator of the variance", 1.0)
    mode: str = option(OneOf(("fan_in", "fan_out", "fan_avg")), "which fan divides", "fan_in")
    distribution: str = option(
        OneOf(("truncated_normal", "normal", "uniform")), "the shape", "truncated_normal"
    )

    def variance(self, fans: Fans) -> float:
        fan_in, fan_out = fans
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        return self.scale / max(1.0, fan)

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        std = math.sqrt(self.variance(fans))
        if self.distribution == "uniform":
            return Uniform(limit=math.sqrt(3) * std).sample(shape, fans, rng)
        if self.distribution == "normal":
            return Normal(std=std).sample(shape, fans, rng)
        return TruncatedNormal(std=std / TRUNCATED_STD).sample(shape, fans, rng)


@record
class _Named(Initializer, abstract=True):
    """A variance scaling with a name of its own."""

    scaling: ClassVar[VarianceScaling]

    def scaled(self) -> VarianceScaling:
        """What it means."""
        return self.scaling

    def variance(self, fans: Fans) -> float:
        return self.scaled().variance(fans)

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        return self.scaled().sample(shape, fans, rng)


@record
class _He(_Named, abstract=True):
    """He et al. 2015, equation 15: half of the squares are lost in a relu, and 1 - slope^2 of that
    half in a leaky one.
    """

    slope: float = option(
        Number(minimum=0, maximum=1), "the activation's slope below 0: 2 / (1 + slope^2)", 0.0
    )

    def scaled(self) -> VarianceScaling:
        return replace(self.scaling, scale=self.scaling.scale / (1 + self.slope**2))


@record
class GlorotUniform(_Named):
    """`glorot_uniform`: uniform on ±sqrt(6 / (fan_in + fan_out)); variance 1 / fan_avg.

    Glorot & Bengio 2010, for layers with no activation, tanh, sigmoid or softmax.  Keras's default
    for dense layers.
    """

    source = _GLOROT
    scaling = VarianceScaling(scale=1.0, mode="fan_avg", distribution="uniform")


@record
class GlorotNormal(_Named):
    """`glorot_normal`: truncated normal with variance 1 / fan_avg.

    Glorot & Bengio 2010, for layers with no activation, tanh, sigmoid or softmax.  PyTorch's
    xavier_normal_ is not truncated.
    """

    source = _GLOROT
    scaling = VarianceScaling(scale=1.0, mode="fan_avg")


@record
class HeUniform(_He):
    """`he_uniform`: uniform on ±sqrt(6 / fan_in); variance 2 / fan_in.

    He et al. 2015, for relu and its variants, elu, gelu, swish and mish.  With `slope=a` the
    variance is 2 / ((1 + a^2) fan_in), for a leaky_relu or prelu of that slope; PyTorch's
    kaiming_uniform_ calls it `a`.  With fan_avg: `variance_scaling(scale=2 mode=fan_avg …)`.
    """

    source = _HE
    scaling = VarianceScaling(scale=2.0, distribution="uniform")


@record
class HeNormal(_He):
    """`he_normal`: truncated normal with variance 2 / fan_in.

    He et al. 2015, for relu and its variants, elu, gelu, swish and mish.  With `slope=a` the
    variance is 2 / ((1 + a^2) fan_in), for a leaky_relu or prelu of that slope.  PyTorch's
    kaiming_normal_ is not truncated, and calls the slope `a`.
    """

    source = _HE
    scaling = VarianceScaling(scale=2.0)


@record
class LecunUniform(_Named):
    """`lecun_uniform`: uniform on ±sqrt(3 / fan_in); variance 1 / fan_in.

    LeCun et al. 1998; the variance that selu needs.
    """

    source = _LECUN
    scaling = VarianceScaling(scale=1.0, distribution="uniform")


@record
class LecunNormal(_Named):
    """`lecun_normal`: truncated normal with variance 1 / fan_in.

    LeCun et al. 1998; Klambauer et al. 2017 require it for selu.
    """

    source = _LECUN
    scaling = VarianceScaling(scale=1.0)


@record
class Uniform(Initializer):
    """`uniform(limit=0.05)`: uniform on ±limit."""

    limit: float = argument(Number(above=0), "the largest absolute value", 0.05)

    def variance(self, fans: Fans) -> float:
        return self.limit**2 / 3

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        return rng.uniform(-self.limit, self.limit, shape)


@record
class Normal(Initializer):
    """`normal(std=0.01)`: normal with a mean and a standard deviation."""

    std: float = argument(Number(minimum=0), "the standard deviation", 0.05)
    mean: float = option(Number(), "the mean", 0.0)

    @property
    def center(self) -> float:
        return self.mean

    def variance(self, fans: Fans) -> float:
        return self.std**2

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        return self.mean + self.std * rng.standard_normal(shape)


@record
class TruncatedNormal(Initializer):
    """`truncated_normal(std=0.05)`: normal, drawn again where it falls beyond two standard
    deviations.

    `std` is that of the distribution before it is cut, as in Keras; the values' own is 0.8796 times
    that.
    """

    std: float = argument(Number(minimum=0), "the standard deviation before the cut", 0.05)
    mean: float = option(Number(), "the mean", 0.0)

    @property
    def center(self) -> float:
        return self.mean

    def variance(self, fans: Fans) -> float:
        return (self.std * TRUNCATED_STD) ** 2

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        import numpy as np

        out = rng.standard_normal(shape)
        flat = out.reshape(-1)
        beyond = np.flatnonzero(np.abs(flat) > 2)
        while beyond.size:
            flat[beyond] = rng.standard_normal(beyond.size)
            beyond = beyond[np.abs(flat[beyond]) > 2]
        return self.mean + self.std * out


@record
class Orthogonal(Initializer):
    """`orthogonal(gain=1)`: a matrix with orthonormal rows or columns, times gain.

    Saxe, McClelland & Ganguli 2014: the Q of a random matrix, its signs those of R's diagonal, so
    that it is uniform.
    """

    gain: float = option(Number(above=0), "a factor", 1.0)

    source = "Saxe, McClelland & Ganguli 2014, arXiv:1312.6120"

    def variance(self, fans: Fans) -> float:
        return self.gain**2 / max(fans)

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        import numpy as np

        rows = shape[0]
        columns = math.prod(shape[1:])
        normal = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(normal)
        q = q * np.sign(np.diag(r))
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@record
class ConstantInitializer(Initializer, name="constant"):
    """`constant(0.1)`: the same number everywhere.

    For biases and the slopes of prelu: hidden weights that start equal stay equal.
    """

    value: float = argument(Number(), "the number")

    @property
    def center(self) -> float:
        return self.value

    def variance(self, fans: Fans) -> float:
        return 0.0

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        import numpy as np

        return np.full(shape, self.value, np.float64)


@record
class Zeros(Initializer):
    """`zeros`: 0 everywhere; the default of biases.

    The weights of a hidden layer that start equal stay equal; a last layer may begin at zero.
    """

    def variance(self, fans: Fans) -> float:
        return 0.0

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        import numpy as np

        return np.zeros(shape, np.float64)


@record
class Ones(Initializer):
    """`ones`: 1 everywhere; the default of batch norm's gamma."""

    @property
    def center(self) -> float:
        return 1.0

    def variance(self, fans: Fans) -> float:
        return 0.0

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        import numpy as np

        return np.ones(shape, np.float64)


@record
class IdentityInitializer(Initializer, name="identity"):
    """`identity(gain=1)`: ones on the diagonal of a matrix, zeros elsewhere, times gain."""

    gain: float = option(Number(), "a factor", 1.0)

    source = "Le, Jaitly & Hinton 2015, arXiv:1504.00941"

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        import numpy as np

        return self.gain * np.eye(shape[0], math.prod(shape[1:])).reshape(shape)


@record
class Start(Entry):
    """An initializer, or the one number that a whole tensor begins with: `init=0.25`."""

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"{super().expected} or a number"

    def convert(self, value: object) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return ConstantInitializer(float(value))
        return super().convert(value)


class Deferred:
    """The start of a tensor whose values come from elsewhere (the data's statistics): given when
    state is made.
    """

    def show(self) -> str:
        return "from the data"
