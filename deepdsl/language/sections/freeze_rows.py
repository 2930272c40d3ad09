"""Words of transfer learning: what is reused, what is frozen, how fast the rest learns."""

from __future__ import annotations

from typing import ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import (
    Integer,
    Kind,
    ListOf,
    Names,
    Number,
    OneOf,
    Registered,
    Text,
    argument,
    option,
)
from deepdsl.language.sections.train_options import TrainRow

CACHES = ("auto", "ram", "disk", "off")


@record
class PlainWord(Registered, kind="word"):
    """Base of words of the language that take options and are no row, layer or value."""


@record
class ReuseOptions(PlainWord, name="reuse"):
    """`reuse fashion.mlp.body`: layers of a trained network, with its weights.

    The path names a part, a use of a block or a layer of a model of a used file
    (`FILE.MODEL.PART`), of a model of this file (`MODEL.PART`, with the weights that its training
    ends with), or a used .onnx file (`FILE`), which is taken whole where nothing is cut.  The
    layers are here under the names that they would have if they were written here, so that
    `freeze body` means those of `part body { reuse fashion.mlp.body }`.

    until=LAYER ends with that layer or part, until="TENSOR" with that tensor of an ONNX graph.
    from=LAYER begins with that layer, from="TENSOR" after that tensor.  without=[head] leaves
    parts out.  layers=3 keeps the weights of the first three layers that have some (with the
    normalization after them); those above begin from scratch and are never frozen.

    match=strict wants every tensor, by name and shape.  match=shape and match=order are for files
    whose names are others: tensors are told apart by their shape, or taken in their order.
    prefix="module." is taken off the names of the file, and rename=["fc1=dense_1"] says what a
    layer of the file is called here.  layout=torch says that kernels lie (out, in), layout=keras
    that they lie (in, out) and images have their channels last, layout=deepdsl that they lie as
    here, (in, out) with the channels first, where shapes cannot tell.
    """

    until: str | None = option(Names(), "the layer or tensor that it ends with", None)
    from_: str | None = option(Names(), "the layer or tensor that it begins with", None)
    without: tuple[str, ...] = option(ListOf(Names()), "parts that are left out", ())
    layers: int | None = option(
        Integer(minimum=0), "how many layers with weights keep them; all by default", None
    )
    weights: str | None = option(
        Text(), "a run directory or a file of weights; by default that of the `use` line", None
    )
    match: str = option(
        OneOf(("strict", "shape", "order")), "how tensors of the file are found", "strict"
    )
    prefix: str = option(Text(), "what the file's names begin with", "")
    rename: tuple[str, ...] = option(ListOf(Text()), 'names, as `"theirs=ours"`', ())
    layout: str | None = option(
        OneOf(("torch", "keras", "deepdsl")),
        "how the file's kernels lie, where shapes cannot tell",
        None,
    )


@record
class Freeze(TrainRow):
    """`freeze body until=5`: layers that are not trained.

    Their weights are frozen, batch norm uses its running values and does not move them, dropout is
    off.  They have no optimizer state, count in no clipping norm and no penalty, and no gradient is
    computed below the first layer that is trained.  After the run the frozen tensors are compared
    with what they were, bit for bit, and the run says so.

    A path means everything below it: `body`, `body.dense_1`; a quoted text may have `*` for
    any letters: `"body.conv_*"`, `"*.bias"`.  A pattern that ends at tensors freezes these alone.
    With until=5 the layers unfreeze after five epochs of the phase; where the row is before
    the phases, the epochs of all are counted.

    A frozen beginning gives the same outputs in every epoch, so these are computed once and kept,
    where nothing random is before them: in memory, or on disk where they are large.  cache=ram
    and cache=disk say where, cache=off that nothing is kept.  The results are the same.

    In Keras `trainable = False` does the first of these, and the second for batch norm alone; in
    PyTorch `requires_grad_(False)` leaves batch norm's running values moving, and `eval()` is
    needed as well.  batch_norm=update is that behaviour, where it is wanted.
    """

    source = "Yosinski et al. 2014, arXiv:1411.1792"

    paths: tuple[str, ...] = argument(ListOf(Names()), "what is frozen", many=True)
    until: int | None = option(Integer(minimum=1), "epochs after which it thaws", None)
    batch_norm: str = option(
        OneOf(("keep", "update")), "whether batch norm's running values stand still", "keep"
    )
    cache: str = option(OneOf(CACHES), "where the outputs of frozen layers are kept", "auto")


@record
class Unfreeze(TrainRow):
    """`unfreeze body`: layers that an earlier phase froze are trained from here on.

    Paths and patterns are those of `freeze`.  The optimizer's state of what is unfrozen begins
    from scratch. Unfreezing from the top, a part with each phase, and at a lower rate (`lr_mult`)
    keeps what was learned.
    """

    source = "Howard & Ruder 2018, arXiv:1801.06146"

    paths: tuple[str, ...] = argument(ListOf(Names()), "what thaws", many=True)


@record
class LrMult(TrainRow):
    """`lr_mult body=0.1`: layers that learn slower or faster than the others.

    The learning rate of every tensor below the path is multiplied with the number, with every
    optimizer: a step is this many times as long.  A later row for the same tensors replaces it,
    also in a later phase.  Decoupled weight decay goes with the rate.
    """

    source = "Howard & Ruder 2018, arXiv:1801.06146"
    extra_keywords: ClassVar[Kind | None] = Number(above=0)

    feeds: tuple[tuple[str, float], ...] = ()
