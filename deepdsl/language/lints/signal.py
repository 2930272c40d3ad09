"""Lints about what will become of signals and gradients, predicted from the text alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics import Label
from deepdsl.diagnostics.base import Edit
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model
from deepdsl.language.lints.base import Lint, Predictions
from deepdsl.language.propagation import LARGEST, Prediction, kernels, predict
from deepdsl.language.propagation.remedies import changed_kernels, remedy, with_fitting_initializers
from deepdsl.language.syntax.edits import keyword, set_option
from deepdsl.nn.layers.activations.base import Activation, edges
from deepdsl.nn.layers.propagation import STANDARD, Moments, share_beyond, width

# Powers of ten: a gradient that arrives with a thousandth of its size, or a thousand times it.
FAR = 3.0
MOSTLY = 0.5


def _times(log: float) -> str:
    """A factor in words: `1e-12 of`, `0.14 of`, `30 times`, `1e20 times`."""
    if log < 0:
        return f"{_short(log)} of"
    return f"{_short(log)} times"


def _short(log: float) -> str:
    if -2 < log < 3:
        return f"{10**log:.2g}" if log < 2 else f"{10**log:.0f}"
    power = int(log // 1)
    head = 10 ** (log - power)
    return f"{head:.0f}e{power}" if round(head) < 10 else f"1e{power + 1}"


@record
class _SignalLint(Lint):
    """Base of the lints that follow gradients from the top of a model to its bottom."""

    layers: int
    ratio: float
    cause: str
    way_out: str
    others: tuple[Label, ...] = ()

    @property
    def message(self) -> str:
        size = _times(self.ratio)
        return f"after {self.layers} layers the gradient is {size} what it was at the top"

    @property
    def label(self) -> str:
        return self.cause

    @property
    def help(self) -> str:
        return self.way_out

    @property
    def notes(self) -> tuple[Label, ...]:
        return self.others

    @classmethod
    def wrong(cls, ratio: float) -> bool:
        """Whether this lint is about such a ratio (log10)."""
        raise NotImplementedError

    @classmethod
    def check_signals(cls, program: CheckedProgram, predictions: Predictions) -> Iterator[Lint]:
        for name, model in program.models.items():
            prediction = predictions[name]
            ratio = prediction.weight_ratio(model)
            if ratio is not None and cls.wrong(ratio) and _certain(cls, model):
                yield _explained(cls, program, model, prediction, ratio)


@record
class VanishingGradient(_SignalLint):
    """The gradients of the lower layers vanish: a thousandth of the top's or less.

    Predicted from the text by mean-field theory (Glorot & Bengio 2010; Poole et al. 2016;
    Schoenholz et al. 2017): each layer multiplies the gradient's mean square by units times the
    weights' variance, and by the mean of the squared derivative of the activation.  `dnnc probe`
    measures the same on the graph itself.  Where a kernel is used at many places of an image, its
    gradient is the sum over them.

    ```wrong
    model net { input x[256]; repeat 20 { dense 256 | sigmoid }; dense 10 | softmax }
    ```
    ```right
    model net { input x[256]; repeat 20 { dense 256 | relu }; dense 10 | softmax }
    ```
    """

    code = "W420"
    is_consequence = True

    @classmethod
    def wrong(cls, ratio: float) -> bool:
        return ratio < -FAR


@record
class ExplodingGradient(_SignalLint):
    """The gradients of the lower layers explode: a thousand times the top's or more.

    Predicted as for W420.  With a variance above what the activation needs each layer multiplies
    the gradient, and the activations as well, by the same factor.  Clipping cures the symptom; the
    initializer is the cause.

    ```wrong
    model net { input x[256]; repeat 20 { dense 256 init=normal(std=1) | relu }; dense 2 | softmax }
    ```
    ```right
    model net { input x[256]; repeat 20 { dense 256 init=he_normal | relu }; dense 10 | softmax }
    ```
    """

    code = "W421"
    is_consequence = True

    @classmethod
    def wrong(cls, ratio: float) -> bool:
        return ratio > FAR


# Over a layer of n units the mean square of a signal strays by a factor of about e^±sqrt(5 / n),
# and over this many layers by the root of their sum, however the weights are drawn.
STRAY = 5.0


def _certain(cls: type[_SignalLint], model: Model) -> bool:
    """Whether the ratio is bad too for signals that luck has made larger, or smaller.

    For relu their size does not count; gelu and swish pass large ones and quench small ones, so
    that a network of few units may fare far better than the mean of all.
    """
    widths = [width(model.type_of(n)) for n in kernels(model)]
    spread = math.sqrt(sum(STRAY / units for units in widths))
    for factor in (math.exp(spread), math.exp(-spread)):
        inputs = {i.name: STANDARD.grown(0.0, factor) for i in model.inputs}
        ratio = predict(model, inputs).weight_ratio(model)
        if ratio is None or not cls.wrong(ratio):
            return False
    return True


def _fixes(program: CheckedProgram, inits: dict[Span, str]) -> tuple[Edit, ...]:
    """`init=` set to another name wherever it is written, or nothing where a default gives it."""
    units = {span: program.places.unit(span) for span in inits}
    if any(u is None or keyword(u.layer, "init") is None for u in units.values()):
        return ()
    return tuple(set_option(u.layer, "init", inits[s]) for s, u in units.items() if u is not None)


def _explained(
    cls: type[_SignalLint],
    program: CheckedProgram,
    model: Model,
    prediction: Prediction,
    ratio: float,
) -> _SignalLint:
    """The lint with its cause, which is what the least remedy changes."""
    layers = len(kernels(model))
    found = remedy(model)
    if found is None:
        call, cause = _worst(model, prediction, ratio)
        way_out = "batch_norm between the layers, or sums round them: `h + (h | dense … )`"
        return cls(call.span, layers, ratio, cause, way_out)
    change, other, then = found
    changes = list(changed_kernels(model, other))
    if change is with_fitting_initializers and changes:
        here, there, _ = max(changes, key=lambda each: abs(each[2]))
        init = here.params[0].init
        fans = here.params[0].fans or (1, 1)
        wanted = there.params[0].init
        cause = (
            f"{init.show()} gives these weights a variance of {init.variance(fans):.2g}; "
            f"{wanted.name} gives {wanted.variance(fans):.2g}"
        )
        way_out = f"init={wanted.name}: {_times(then)} it would arrive"
        fixes = _fixes(program, {c.span: t.params[0].init.name for c, t, _ in changes})
        return cls(here.span, layers, ratio, cause, way_out, fixes=fixes)
    call = next(c for c in model.calls if isinstance(c.layer, Activation) and c.layer.bounds)
    slopes = [
        t.gains[0].tt
        for c, t in zip(model.calls, prediction.transfers, strict=True)
        if type(c.layer) is type(call.layer) and t is not None and t.gains[0].tt > 0
    ]
    # Their geometric mean, so that this many of them multiply to the whole.
    slope = math.exp(sum(map(math.log, slopes)) / (2 * len(slopes))) if slopes else 0.0
    cause = f"the derivative of {call.layer.name} is {slope:.2g} on average"
    cause += f", {len(slopes)} times" if len(slopes) > 1 else ""
    way_out = (
        f"relu, with he_normal: {_times(then)} it would arrive; "
        "or batch_norm before each activation"
    )
    return cls(call.span, layers, ratio, cause, way_out)


def _worst(model: Model, prediction: Prediction, ratio: float) -> tuple[LayerCall, str]:
    """The call that takes the most away, or adds the most."""
    sign = -1 if ratio < 0 else 1

    def share(pair: tuple[LayerCall, float]) -> float:
        return sign * pair[1]

    gains = [
        (call, max(gain.tt for gain in transfer.gains))
        for call, transfer in zip(model.calls, prediction.transfers, strict=True)
        if transfer is not None and transfer.gains
    ]
    call, gain = max(gains, key=share)
    return call, f"the gradient is {gain**0.5:.2g} times as large below this `{call.layer.name}`"


@record
class SaturatedAtStart(Lint):
    """Most units of this layer start saturated: they pass no gradient.

    The share is that of a normal distribution with the spread that the initializers give what flows
    in.  A logistic unit is taken as saturated below 0.01 or above 0.99, a tanh below -0.98 or above
    0.98.

    ```wrong
    model net { input x[256]; dense 256 init=normal(std=1) | sigmoid; dense 10 | softmax }
    ```
    ```right
    model net { input x[256]; dense 256 init=glorot_normal | sigmoid; dense 10 | softmax }
    ```
    """

    code = "W422"
    is_consequence = True
    layer: str
    share: float
    spread: float

    @property
    def message(self) -> str:
        return f"{self.share:.0%} of the units of this `{self.layer}` start saturated"

    @property
    def label(self) -> str:
        return f"what flows in has a standard deviation of {self.spread:.2g}"

    @property
    def help(self) -> str:
        return "leave `init=` out before it: then what flows in has about 1"

    @classmethod
    def check_signals(cls, program: CheckedProgram, predictions: Predictions) -> Iterator[Lint]:
        for name, model in program.models.items():
            prediction = predictions[name]
            for call in model.calls:
                layer = call.layer
                before = _moments(model, prediction, call.inputs[0])
                if (
                    isinstance(layer, Activation)
                    and layer.bounds is not None
                    and call.output not in model.outputs.values()
                    and before is not None
                ):
                    share = share_beyond(layer.function, before, *edges(layer.bounds))
                    if share > MOSTLY:
                        yield cls(call.span, layer.name, share, before.std)


def _moments(model: Model, prediction: Prediction, number: int) -> Moments | None:
    """What is predicted of a value; None for an input, whose scale the text does not say."""
    number -= len(model.inputs)
    return prediction.layers[number].moments if number >= 0 else None


@record
class SignalLeavesRange(Lint):
    """The activations overflow float32 before they reach the top.

    Predicted as for W420, going forward: the mean square of what flows out of a layer is fan_in
    times the weights' variance times that of what flows in.

    ```wrong
    model net { input x[256]; repeat 40 { dense 256 init=normal(std=1) | relu }; dense 2 | softmax }
    ```
    ```right
    model net { input x[256]; repeat 40 { dense 256 init=he_normal | relu }; dense 10 | softmax }
    ```
    """

    code = "W423"
    is_consequence = True
    depth: int
    initializer: str

    @property
    def message(self) -> str:
        return f"after {self.depth} layers the activations are beyond 1e38, the largest float32"

    @property
    def label(self) -> str:
        return f"each layer like this one multiplies them; it starts with {self.initializer}"

    @property
    def help(self) -> str:
        return "leave `init=` out: the start then follows the activation"

    @classmethod
    def check_signals(cls, program: CheckedProgram, predictions: Predictions) -> Iterator[Lint]:
        for name, model in program.models.items():
            prediction = predictions[name]
            for n, (call, transfer) in enumerate(
                zip(model.calls, prediction.transfers, strict=True)
            ):
                if transfer is not None and transfer.out.square >= LARGEST:
                    first = next(c for c in model.calls if c.params)
                    depth = sum(1 for c in model.calls[: n + 1] if c.params)
                    init = first.params[0].init
                    yield cls(call.span, depth, init.show() if init is not None else "")
                    break
