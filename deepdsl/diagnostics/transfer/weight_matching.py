"""E52 and E53: which tensor of a file is which parameter here."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, Label


@record
class Matching(Diagnostic):
    """Base: a message about a layer, which may be in another text than the `reuse`."""

    reused: Span | None

    @property
    def notes(self) -> tuple[Label, ...]:
        if self.reused is None or self.reused == self.span:
            return ()
        return (Label(self.reused, "reused here"),)


@record
class MissingWeights(Matching):
    """The file has no weights for a reused layer.

    With `match=strict`, the default, each tensor is found by its name: the path of the layer there,
    after `prefix=` was taken off and `rename=` was applied, and what the framework calls a kernel,
    a bias, a running mean.  A layer that is to begin from scratch gets another name, or is left out with
    `without=` and written again after.
    """

    code = "E527"
    exit_status = ExitStatus.FILES
    layers: tuple[str, ...]
    #: What is missing of the layer, where it is one.
    tensors: tuple[str, ...]
    shown: str
    near: str = ""
    unused: tuple[str, ...] = ()
    #: How the layer may be found all the same, in words.
    advice: str = ""

    @property
    def message(self) -> str:
        if len(self.layers) == 1:
            told = " and ".join(f"`{t}`" for t in self.tensors)
            return f"{self.shown} has nothing for {told} of `{self.layers[0]}`"
        few = ", ".join(f"`{layer}`" for layer in self.layers[:6])
        more = len(self.layers) - 6
        return f"{self.shown} has not all weights of {few}" + (
            f" and {more} more layers" if more > 0 else ""
        )

    @property
    def label(self) -> str:
        if not self.unused:
            return "nothing in the file is left over"
        few = ", ".join(self.unused[:4])
        rest = len(self.unused) - 4
        return f"left over in the file: {few}" + (f" and {rest} more" if rest > 0 else "")

    @property
    def help(self) -> str:
        if self.advice:
            return self.advice
        if self.near:
            return f'is it `{self.near}`? then `rename=["{self.near}={self.layers[0]}"]`'
        return (
            "to learn it from scratch, leave it out with `without=…` and write it after the `reuse`; "
            "for the names of a different program use `rename=` or `match=order`"
        )


@record
class WrongShape(Matching):
    """A tensor has the name of a parameter but a different shape.

    A head for another number of classes is the common case: leave it out, `reuse net.model
    without=head`, and write a new one after.  Where the file has kernels laid out differently,
    `layout=torch` or `layout=keras` says so; neither fits here.
    """

    code = "E528"
    exit_status = ExitStatus.FILES
    param: str
    wants: str
    tensor: str
    has: str
    shown: str
    layout: str = ""
    last: bool = False

    @property
    def message(self) -> str:
        if self.param == self.tensor:
            return f"`{self.param}` is {self.wants} here and {self.has} in {self.shown}"
        return f"`{self.param}` is {self.wants}, and `{self.tensor}` of {self.shown} is {self.has}"

    @property
    def label(self) -> str:
        return self.layout

    @property
    def help(self) -> str:
        layer = self.param.rpartition(".")[0]
        if self.wants == self.has:
            return "leave `layout=` out, or say the one in which they fit"
        if self.last:
            return (
                f"replace the head: leave it out with `without={layer.split('.')[0]}` and write a "
                "new one after it"
            )
        return (
            f"give `{layer}` the sizes that it was trained with, or another name, "
            "to learn it from scratch"
        )


@record
class LayoutUnknown(Diagnostic):
    """The kernels of a file fit both as PyTorch lays them out and as Keras does, and nothing in it
    says which.

    PyTorch's dense kernels are (out, in), Keras's (in, out): a square one fits both ways, and with
    the wrong one the network computes nonsense without any complaint.  Names that only one of them
    gives (`running_var`, `kernel`), the metadata of safetensors, and a kernel that is not square
    decide for the whole file.  After a flatten of channels Keras's rows are in another order.
    """

    code = "E529"
    exit_status = ExitStatus.FILES
    tensors: tuple[str, ...]
    shown: str
    layouts: tuple[str, ...]

    @property
    def message(self) -> str:
        few = ", ".join(f"`{t}`" for t in self.tensors[:3])
        rest = len(self.tensors) - 3
        few += f" and {rest} more" if rest > 0 else ""
        fit = "fits" if len(self.tensors) == 1 else "fit"
        return f"{few} of {self.shown} {fit} in more than one layout, and nothing says in which"

    @property
    def help(self) -> str:
        words = {
            "torch": "`layout=torch` for (out, in)",
            "keras": "`layout=keras` for (in, out), channels last",
            "deepdsl": "`layout=deepdsl` for (in, out), channels first",
        }
        return "say it: " + " or ".join(words[layout] for layout in self.layouts)


@record
class NothingMatches(Diagnostic):
    """No tensor of the file belongs to the piece.

    Most often the names begin with something more (`module.`, `encoder/`), for which there is
    `prefix=`, or another program gave them: then `match=order` or `match=shape` is meant, or
    another file.
    """

    code = "E530"
    exit_status = ExitStatus.FILES
    path: str
    shown: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    advice: str = ""

    @property
    def message(self) -> str:
        return f"nothing in {self.shown} matches `{self.path}`"

    @property
    def label(self) -> str:
        mine, other = (", ".join(f"`{n}`" for n in side[:3]) for side in (self.ours, self.theirs))
        return f"here are {mine}; in the file {other or 'there is nothing'}"

    @property
    def help(self) -> str:
        usual = 'name the file of this network, or add `rename=["theirs=ours"]` to the `reuse`'
        return self.advice or usual


@record
class AmbiguousMatch(Diagnostic):
    """`match=shape` or `match=order` is ambiguous.

    `match=shape` finds a layer by its shapes, and several of the file have the same.  `match=order`
    goes by the order of layers, which .npz and ONNX keep and safetensors do not: there the numbers
    in the names tell it, where layers of the same shapes differ in nothing else.  `rename=` names
    single ones.
    """

    code = "E531"
    exit_status = ExitStatus.FILES
    layers: tuple[str, ...]
    fit: tuple[str, ...]
    shown: str
    match: str = "shape"

    @property
    def message(self) -> str:
        mine, theirs = (
            ", ".join(f"`{n}`" for n in side[:4]) + (f" and {len(side) - 4} more" * (len(side) > 4))
            for side in (self.layers, self.fit)
        )
        if self.match == "order":
            return f"{self.shown} keeps no order, and {mine} may be any of {theirs}"
        verb = "fits" if len(self.layers) == 1 else "fit"
        return f"{mine} {verb} more than one of {theirs} in {self.shown}"

    @property
    def help(self) -> str:
        named = f'name them with `match=strict rename=["{self.fit[0]}={self.layers[0]}" …]`'
        if self.match == "order":
            kept = "{k: v.numpy() for k, v in model.state_dict().items()}"
            return f'an .npz keeps the order: `np.savez("model.npz", **{kept})`; or {named}'
        return f"say `match=order`, or {named}"


@record
class WeightsLeftOver(Matching):
    """The file has a tensor that the reused layer does not have here.

    A bias that is left away changes what the network computes, without any complaint: the layer
    here must be built as the one that was trained.
    """

    code = "E532"
    exit_status = ExitStatus.FILES
    layer: str
    tensors: tuple[str, ...]
    shown: str
    advice: str = ""

    @property
    def message(self) -> str:
        told = ", ".join(f"`{t}`" for t in self.tensors[:4])
        return f"`{self.layer}` has no place for {told} of {self.shown}"

    @property
    def help(self) -> str:
        return self.advice or "build the layer as the one that was trained"


@record
class WrongRename(Diagnostic):
    """A `prefix=` or `rename=` does not fit the file.

    `prefix="module."` is taken off the names in the file; names without it are left alone.
    `rename=["fc1=dense_1" "features.0=stem.conv_1"]` says what layers are called here, the name in
    the file first; it is for whole pieces of a name, from its beginning.
    """

    code = "E533"
    exit_status = ExitStatus.FILES
    what: str
    reason: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"`{self.what}`: {self.reason}"

    @property
    def help(self) -> str:
        return self.advice


@record
class OrderUnknown(Matching):
    """Keras flattens with the channels last, and here they are first: the rows of a kernel after a
    flatten must change places, and what is between leaves their order unknown.

    A split of a flattened vector, or a permute that moves the channels between others, is the
    cause.
    """

    code = "E534"
    exit_status = ExitStatus.FILES
    param: str
    tensor: str

    @property
    def message(self) -> str:
        return f"the row order of `{self.tensor}` is ambiguous for `{self.param}`"

    @property
    def help(self) -> str:
        return (
            "move the flatten next to the dense layer, or export the model as ONNX and reuse that"
        )
