"""Lints about self-normalizing networks: each condition of SELU that a program does not keep.

Klambauer, Unterthiner, Mayr & Hochreiter 2017, "Self-Normalizing Neural Networks".
"""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.core.registry import show
from deepdsl.core.source import Span
from deepdsl.diagnostics import Edit, Label
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model
from deepdsl.language.lints.base import Lint, before
from deepdsl.language.lints.inputs import known_range, sets_variance
from deepdsl.language.lints.walk import (
    NORMS,
    activations_after,
    at_one_place,
    below,
    kernel,
    readers_of,
)
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import add_row, drop_option, set_option
from deepdsl.nn.layers.activations.relu_variants import Selu
from deepdsl.nn.layers.dropout import Dropout

# How far the variance may be from 1 / fan_in, as a share of it.
_NEAR = 0.1


@record
class SeluInitializer(Lint):
    """SELU keeps mean 0 and variance 1 only when the weights have variance 1 / fan_in.

    Klambauer et al. 2017, theorem 1.  With another variance the fixed point is left and the signal
    grows or fades.

    ```wrong
    model net { input x[4]; dense 8 init=he_normal | selu | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 init=lecun_normal | selu | dense 3 | softmax }
    ```
    """

    code = "W403"
    initializer: str
    variance: float
    fan_in: int

    @property
    def message(self) -> str:
        return f"selu after {self.initializer}"

    @property
    def label(self) -> str:
        return (
            f"variance {self.variance:.3g}; SELU keeps mean 0 and variance 1 only with "
            f"1 / {self.fan_in:,} = {1 / self.fan_in:.3g}"
        )

    @property
    def help(self) -> str:
        return "init=lecun_normal"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            for span, calls in at_one_place(_selu_layers(model)).items():
                for call in calls:
                    has = kernel(call)
                    if has is None or has.variance is None:
                        continue
                    factor = has.variance * has.fans[0]
                    if abs(factor - 1) > _NEAR:
                        unit = program.places.unit(span)
                        fixes = (set_option(unit.layer, "init", "lecun_normal"),) if unit else ()
                        yield cls(span, has.init.name, has.variance, has.fans[0], fixes=fixes)
                        break


def _selu_layers(model: Model) -> list[LayerCall]:
    """The layers with weights that flow into selu, through no normalization, and into no other
    activation.
    """
    readers = readers_of(model)
    found = []
    mixed = set()
    for call in model.calls:
        if kernel(call) is None:
            continue
        reached = activations_after(call.output, readers)
        kinds = {type(c.layer) for c, _ in reached}
        if kinds == {Selu} and not any(norm for _, norm in reached):
            found.append(call)
        elif reached:
            mixed |= {call.path, str(call.span)}
    return [c for c in found if c.path not in mixed and str(c.span) not in mixed]


@record
class SeluDropout(Lint):
    """Dropout after selu moves the signal away from mean 0 and variance 1.

    Dropout sets values to 0 and makes the others larger: the variance becomes 1 / (1 - p).
    alpha_dropout sets them to SELU's lower limit, -1.758, and moves all of them so that mean 0 and
    variance 1 remain (Klambauer et al. 2017, section 3).

    ```wrong
    model net { input x[4]; dense 8 | selu | dropout 10% | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 | selu | alpha_dropout 10% | dense 3 | softmax }
    ```
    """

    code = "W406"
    rate: float
    written: str

    @property
    def message(self) -> str:
        return "dropout after selu"

    @property
    def label(self) -> str:
        return (
            f"in training the variance becomes 1 / (1 - {self.rate:g}) = "
            f"{1 / (1 - self.rate):.3g}; alpha_dropout keeps it at 1"
        )

    @property
    def help(self) -> str:
        return f"alpha_dropout {self.written}"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            dropouts = [c for c in model.calls if isinstance(c.layer, Dropout) and c.layer.rate]
            for span, calls in at_one_place(dropouts).items():
                # A shared one that is after other activations too is right for those.
                layer = calls[0].layer
                if not all(_behind_selu(model, c) for c in calls) or not isinstance(layer, Dropout):
                    continue
                unit = program.places.unit(span)
                fixes = (Edit(unit.layer.path.span, "alpha_dropout"),) if unit else ()
                written = unit.layer.args[0].span.text if unit and unit.layer.args else "10%"
                yield cls(span, layer.rate, written, fixes=fixes)


def _behind_selu(model: Model, call: LayerCall) -> bool:
    nearest = next((c for c in before(model, call) if not c.layer.transparent), None)
    return nearest is not None and isinstance(nearest.layer, Selu)


@record
class SeluPenalty(Lint):
    """A penalty or a limit on the weights before selu takes their variance from 1 / fan_in.

    With lecun_normal the weights into a unit have norm 1, and the mean 0 and variance 1 that SELU
    keeps rest on that. l1 and l2 shrink the norm, max_norm limits it. Regularize such a network
    with alpha_dropout or an early stop.

    ```wrong
    model net { input x[4]; dense 8 l2=1e-3 | selu | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 | selu | dense 3 l2=1e-3 | softmax }
    ```
    """

    code = "W407"
    options: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"{' and '.join(self.options)} before selu"

    @property
    def label(self) -> str:
        return "SELU keeps variance 1 while the weights into a unit have norm 1; this moves it"

    @property
    def help(self) -> str:
        names = " and ".join(o.partition("=")[0] for o in self.options)
        return f"leave out {names}; alpha_dropout regularizes a selu network"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            for call in _selu_layers(model):
                names = [n for n in ("l1", "l2", "max_norm") if getattr(call.layer, n, None)]
                if not names:
                    continue
                unit = program.places.unit(call.span)
                edits = [drop_option(unit.layer, n) if unit else None for n in names]
                options = tuple(f"{n}={show(getattr(call.layer, n))}" for n in names)
                fixes = tuple(e for e in edits if e is not None)
                yield cls(call.span, options, fixes=fixes if len(fixes) == len(names) else ())


@record
class SeluInputs(Lint):
    """The inputs of a selu network are not standardized.

    SELU keeps mean 0 and variance 1 from layer to layer; the inputs must have them (Klambauer et
    al. 2017, section 2). Values from 0 to 1 have a variance of at most 0.25, and no mean of 0.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 8 | selu | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    ```right
    data digits { train builtin digits; standardize }
    model net { input x[8 8]; flatten | dense 8 | selu | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "W408"
    input: str
    high: float | None
    selu: Label

    @property
    def message(self) -> str:
        return f"`{self.input}` feeds a selu network and is not standardized"

    @property
    def label(self) -> str:
        if self.high is None:
            return "SELU keeps mean 0 and variance 1; the inputs must have them"
        most = (self.high / 2) ** 2
        return (
            f"values from 0 to {self.high:.4g} have a variance of at most {most:.4g} and a mean "
            "above 0; SELU keeps 1 and 0"
        )

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.selu,)

    @property
    def help(self) -> str:
        return "add the row `standardize`"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            model, spec = program.models[training.model], program.datasets[training.data]
            section = program.places.section(spec.span)
            if spec.train is None or not isinstance(section, ast.Data):
                continue
            bare = []
            for number, each in enumerate(model.inputs):
                selu = _first_selu(model, number)
                if selu is not None and not sets_variance(spec, each.name):
                    bare.append((each.name, selu))
            if bare:
                name, selu = bare[0]
                row = add_row(section, "standardize", _of(name, len(bare) == len(model.inputs)))
                note = Label(selu, "the first selu")
                fixes = () if row is None else (row,)
                yield cls(spec.span, name, known_range(spec, name), note, fixes=fixes)


def _of(name: str, all_of_them: bool) -> str:
    return "" if all_of_them else f"of={name}"


def _first_selu(model: Model, number: int) -> Span | None:
    """The first selu that an input flows into through layers with weights, and through nothing that
    sets the variance.
    """
    reached = {number}
    for call in model.calls:
        if not reached.intersection(call.inputs) or call.layer.name in NORMS:
            continue
        if isinstance(call.layer, Selu):
            return call.span
        if call.layer.activation is None:
            reached.add(call.output)
    return None


@record
class SeluChain(Lint):
    """A selu network that is not a plain chain of dense layers.

    That SELU keeps mean 0 and variance 1 is proved for plain chains. A sum of two signals of
    variance 1 has variance 2; what runs around layers is joined with what went through them; batch
    norm sets mean and variance itself, so that selu has nothing left to do. Such networks do better
    with relu or elu, he_normal and batch norm.

    ```wrong
    model net {
      input x[8]
      a = x | dense 8 | selu
      b = a | dense 8 | selu
      a + b | dense 8 | selu | dense 3 | softmax
    }
    ```
    ```right
    model net {
      input x[8]
      a = x | dense 8 | elu
      b = a | dense 8 | elu
      a + b | dense 8 | elu | dense 3 | softmax
    }
    ```
    """

    code = "W409"
    layer: str
    terms: int
    selu: Label

    @property
    def message(self) -> str:
        return f"`{self.layer}` in a selu network"

    @property
    def label(self) -> str:
        if self.layer in NORMS:
            return "it sets mean 0 and variance 1 itself: selu has nothing left to do"
        if self.layer == "add":
            return f"the sum of {self.terms} signals of variance 1 has variance {self.terms}"
        return "SELU is proved to keep mean 0 and variance 1 in plain chains of dense layers only"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.selu,)

    @property
    def help(self) -> str:
        if self.layer in NORMS:
            return f"leave out {self.layer}, or have relu or elu with it"
        return "relu or elu with batch_norm, for networks that branch"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            if not any(isinstance(c.layer, Selu) for c in model.calls):
                continue
            readers = readers_of(model)
            for call in model.calls:
                norm = call.layer.name in NORMS and not _of_inputs(model, call)
                if not norm and not call.layer.operands:
                    continue
                reached = below(call.output, readers)
                selu = next((c for c in reached if isinstance(c.layer, Selu)), None)
                if selu is not None:
                    note = Label(selu.span, "it flows into this selu")
                    yield cls(call.span, call.layer.name, len(call.inputs), note)


def _of_inputs(model: Model, call: LayerCall) -> bool:
    """Whether nothing but rearrangement is between the inputs and this layer."""
    return all(c.layer.transparent for c in before(model, call))
