"""Lints about weights that begin with the wrong variance, or with none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from deepdsl.core.record import record
from deepdsl.core.registry import lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics import Edit
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model
from deepdsl.language.lints.base import Lint
from deepdsl.language.lints.walk import (
    Kernel,
    Readers,
    activations_after,
    after,
    at_one_place,
    below,
    kernel,
    readers_of,
    uses_by_path,
)
from deepdsl.language.syntax.edits import drop_option, set_option
from deepdsl.nn.initializers import Initializer, Orthogonal, VarianceScaling
from deepdsl.nn.layers.activations.base import Sigmoid, Softmax
from deepdsl.nn.layers.activations.relu_variants import Selu
from deepdsl.nn.layers.conv import Convolving

# Off by less than this, either way, a variance is near enough.
TOLERANCE = 1.5
# The last layer before probabilities may begin small, and is not deep: only this much is too large.
EXTREME = 10.0
# The slope of the logistic function at 0 is 1/4: weights four times as wide, 16 times the variance,
# do for it what Glorot's do for tanh (Glorot & Bengio 2010).
LOGISTIC = 16.0


@record
class InitializerMisfit(Lint):
    """The variance of the initial weights does not fit the activation after them.

    A relu passes half of the signal's power, so its weights need variance 2 / fan_in (He et al.
    2015); tanh passes small signals whole and needs 1 / fan_avg (Glorot & Bengio 2010). After
    rectifiers, what is off by a factor f in one layer is off by f to the power n after n layers, in
    the signal and in the gradient; tanh saturates instead. The "factor 4" that some notes give is
    for the logistic function; before tanh it saturates half of the units.

    Without `init=` the initializer follows the activation. After batch norm the scale of the
    weights does not matter, and this is not said.

    ```wrong
    model net { input x[64]; repeat 9 { dense 64 init=he_normal | tanh }; dense 3 | softmax }
    ```
    ```right
    model net { input x[64]; repeat 9 { dense 64 | tanh }; dense 3 | softmax }
    ```
    """

    code = "W410"
    initializer: str
    activation: str
    variance: float
    wanted: str
    wanted_variance: float
    layers: int
    reader: Span
    bounded: bool

    @property
    def message(self) -> str:
        return f"{self.initializer} before {self.activation}"

    @property
    def label(self) -> str:
        factor = self.variance / self.wanted_variance
        told = (
            f"variance {self.variance:.3g} where {self.activation} needs "
            f"{self.wanted_variance:.3g}: {factor:.3g} times"
        )
        if self.layers > 1 and not self.bounded:
            told += f", and {_power(factor, self.layers)} times over {self.layers} layers"
        if self.activation == "tanh" and 3.5 < factor < 20:
            told += "; the factor 4 belongs to the logistic function"
        return told

    @property
    def help(self) -> str:
        return f"init={self.wanted}"

    @property
    def causes_at(self) -> tuple[Span | None, ...]:
        return (self.span, self.reader)

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            readers, uses = readers_of(model), uses_by_path(model)
            for span, calls in at_one_place(model.calls).items():
                if kernel(calls[0]) is None:
                    continue
                everywhere = [c for path in {c.path for c in calls} for c in uses[path]]
                found = _misfit(model, calls, everywhere, readers)
                if found is None:
                    continue
                has, reader, wanted, variance = found
                bounded = getattr(reader.layer, "bounds", None) is not None
                unit = program.places.unit(span)
                yield cls(
                    span,
                    has.init.name,
                    reader.layer.name,
                    has.variance or 0.0,
                    wanted,
                    variance,
                    len(calls),
                    reader.span,
                    bounded,
                    fixes=(set_option(unit.layer, "init", wanted),) if unit else (),
                )


def _power(factor: float, count: int) -> str:
    """The power, written short; its logarithm cannot overflow."""
    exponent = count * math.log10(factor)
    if -3 < exponent < 4:
        return f"{factor**count:.3g}"
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.1f}e{whole}"


def _misfit(
    model: Model, calls: Sequence[LayerCall], uses: Sequence[LayerCall], readers: Readers
) -> tuple[Kernel, LayerCall, str, float] | None:
    """What the weights at a place have, the activation, and the name and variance that it needs;
    `uses` are all the calls that these weights have.
    """
    found = [a for call in uses for a in activations_after(call.output, readers)]
    # Weights that several activations, or a normalization, are after have no one right variance.
    names = {c.layer.activation for c, _ in found}
    if len(names) != 1 or any(norm for _, norm in found):
        return None
    reader = found[0][0]
    if any(isinstance(c.layer, Selu) for c, _ in found):
        return None  # a lint of its own
    wanted = names.pop()
    assert wanted is not None
    for call in calls:
        has = kernel(call)
        if has is None or not has.variance or isinstance(has.init, Orthogonal):
            continue
        ideal = lookup("initializer")[wanted]()
        needed = ideal.variance(has.fans)
        if needed and not _fits(has, needed, ideal, model, [c for c, _ in found], readers):
            return has, reader, wanted, needed
    return None


def _fits(
    has: Kernel,
    needed: float,
    ideal: Initializer,
    model: Model,
    activations: Sequence[LayerCall],
    readers: Readers,
) -> bool:
    assert has.variance is not None
    high = TOLERANCE
    if all(isinstance(c.layer, Sigmoid) for c in activations):
        high *= LOGISTIC
    last = all(
        isinstance(c.layer, Softmax | Sigmoid) and c.output in model.outputs.values()
        for c in activations
    )
    if last:
        return has.variance / needed <= max(EXTREME, high)
    # Which fan divides is a choice between the signal and the gradient: the scale is what counts.
    own, right = _scaling(has.init), _scaling(ideal)
    if own is not None and right is not None and _near(own.scale / right.scale, high):
        return True
    if has.variance < needed and any(_is_added(call, readers) for call in activations):
        return True  # branches that begin small are how residual networks are made deep
    return _near(has.variance / needed, high)


def _is_added(call: LayerCall, readers: Readers) -> bool:
    return any(each.layer.name == "add" for each in below(call.output, readers))


def _near(factor: float, high: float) -> bool:
    return 1 / TOLERANCE - 1e-9 <= factor <= high + 1e-9


def _scaling(init: Initializer) -> VarianceScaling | None:
    if isinstance(init, VarianceScaling):
        return init
    found = getattr(init, "scaling", None)
    return found if isinstance(found, VarianceScaling) else None


@record
class EqualUnits(Lint):
    """All weights of a hidden layer start equal: its units are copies of each other.

    They compute the same number, so the layer says no more than one unit would. If the layer after
    begins constant too, their gradients are equal as well, and they stay copies for ever. Zeros
    before relu are worse: the output is 0 and so is relu's slope there, and nothing is learned
    at all. Random weights break the symmetry. A last layer of zeros, or a last layer of a branch
    that is added to something, is a good start and is not warned about.

    ```wrong
    model net { input x[4]; dense 8 init=zeros | relu | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 | relu | dense 3 init=zeros | softmax }
    ```
    """

    code = "W411"
    layer: str
    initializer: str
    units: int
    stuck: str

    @property
    def message(self) -> str:
        return f"all weights of this `{self.layer}` begin equal"

    @property
    def label(self) -> str:
        return f"its {self.units:,} units are one unit, {self.units:,} times{self.stuck}"

    @property
    def help(self) -> str:
        return f"{self.fix}: random weights tell the units apart"

    @property
    def fix(self) -> str:
        return f"leave out init={self.initializer}"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            readers = readers_of(model)
            for span, calls in at_one_place(model.calls).items():
                call = calls[0]
                has = kernel(call)
                if has is None or not _constant(call, has):
                    continue
                units, alike = _units(model, call, has)
                if alike < 2:
                    continue
                if not all(_hidden(c, readers) for c in calls):
                    continue
                stuck = _stuck(call, has, readers)
                fixes = _random_again(program, span, call, readers)
                shown = has.init.show()
                yield cls(span, call.layer.name, shown, units, stuck, fixes=fixes)


def _units(model: Model, call: LayerCall, has: Kernel) -> tuple[int, int]:
    """How many units a layer has, and how many of them look at the same numbers: those of one group
    of a convolution.
    """
    layer, channels = call.layer, model.type_of(call.inputs[0]).shape[1]
    if isinstance(layer, Convolving) and isinstance(channels, int):
        return layer.filters, layer.filters // layer.parts(channels)
    return has.fans[1], has.fans[1]


def _constant(call: LayerCall, has: Kernel) -> bool:
    if has.variance != 0:
        return False
    bias = getattr(call.layer, "bias", False)
    return not (isinstance(bias, Initializer) and bias.variance(has.fans) != 0)


def _hidden(call: LayerCall, readers: Readers) -> bool:
    """Whether it flows into an activation or a layer, and weights come after."""
    first = [c for c, _ in after(call.output, readers)]
    stops = [c for c in first if not c.layer.transparent]
    straight = stops and all(c.layer.activation is not None or kernel(c) for c in stops)
    return bool(straight) and any(kernel(c) is not None for c in below(call.output, readers))


def _stuck(call: LayerCall, has: Kernel, readers: Readers) -> str:
    first = activations_after(call.output, readers)
    if has.init.variance(has.fans) == 0 and _zero(has.init):
        dead = first and all(c.layer.name in ("relu", "relu6") for c, _ in first)
        if dead and not any(norm for _, norm in first):
            return "; relu's slope at 0 is 0, so it never learns"
    behind = _next_kernels(call.output, readers)
    if behind and all(k is not None and k.variance == 0 for k in behind):
        return ", and stay equal: the weights after them are equal too"
    return ""


def _next_kernels(value: int, readers: Readers) -> list[Kernel | None]:
    """The first weights on each way from a value; None where other values are mixed in."""
    found: list[Kernel | None] = []
    for call in readers.get(value, ()):
        if (has := kernel(call)) is not None:
            found.append(has)
        elif call.layer.operands:
            found.append(None)
        else:
            found += _next_kernels(call.output, readers)
    return found


def _zero(init: Initializer) -> bool:
    return init.name == "zeros" or 0.0 in (
        getattr(init, "value", None),
        getattr(init, "mean", None),
    )


def _random_again(
    program: CheckedProgram, span: Span, call: LayerCall, readers: Readers
) -> tuple[Edit, ...]:
    unit = program.places.unit(span)
    if unit is None:
        return ()
    # Where a `default` is above, leaving the option out would bring the default's.
    if not program.places.has_default(call.layer.name, "init"):
        dropped = drop_option(unit.layer, "init")
        return (dropped,) if dropped is not None else ()
    wanted = next((c.layer.activation for c, _ in activations_after(call.output, readers)), None)
    return (set_option(unit.layer, "init", wanted or "glorot_uniform"),)
