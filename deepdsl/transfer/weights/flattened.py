"""In which order Keras has the numbers of a flattened image: with the channels last."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.core.record import record
from deepdsl.language.analysis.model import LayerCall, Model
from deepdsl.nn.layers.activations.relu_variants import Prelu
from deepdsl.nn.layers.batch_norm import BatchNorm
from deepdsl.nn.layers.conv import Convolving
from deepdsl.nn.layers.image_reshaping import Crop, Permute, SplitLayer, ZeroPad
from deepdsl.nn.layers.layer import Layer
from deepdsl.nn.layers.layer_norm import LayerNorm, RmsNorm
from deepdsl.nn.layers.pooling import AvgPool, MaxPool
from deepdsl.nn.layers.reshaping import AddLayer, Concat, Flatten, ReshapeTo
from deepdsl.nn.layers.upsampling import Upsample


@record
class Flattened:
    """For each number here its place there, and the sizes that were flattened; without places the
    order is not known.
    """

    sizes: tuple[int, ...]
    places: NDArray[np.intp] | None

    @property
    def told(self) -> str:
        axes = {2: "length", 3: "height width", 4: "depth height width"}.get(len(self.sizes), "…")
        return f"rows from {axes} channels to channels {axes}"


Order = Flattened | None

# Layers along whose outputs the channels lie as along their inputs.
_SPATIAL: tuple[type[Layer], ...] = (Convolving, MaxPool, AvgPool, Upsample, ZeroPad, Crop)
# Layers with weights for each feature, which change no places.
_FEATURES: tuple[type[Layer], ...] = (BatchNorm, LayerNorm, RmsNorm, Prelu)


def orders(model: Model) -> dict[int, Order]:
    """The order of each value that is a vector and is ordered otherwise by Keras."""
    made: dict[int, Order] = {}
    # Whether the channels of a value come first; a row of three axes is an image.
    first = {n: len(i.row_shape) >= 3 for n, i in enumerate(model.inputs)}
    for call in model.calls:
        before = call.inputs[0] if call.inputs else None
        given = model.type_of(before).row if before is not None else ()
        first[call.output] = _channels_first(call, given, bool(first.get(before or 0)))
        sizes = [prod(model.type_of(n).row) for n in call.inputs]
        order = _order(call, given, sizes, first, made)
        if order is not None:
            made[call.output] = order
    return made


def _channels_first(call: LayerCall, given: tuple[int, ...], before: bool) -> bool:
    layer, row = call.layer, call.type.row
    if isinstance(layer, Permute):
        return len(row) >= 2 and before and layer.order[0] == 1
    if isinstance(layer, _SPATIAL):
        return True
    if row == given or isinstance(layer, SplitLayer | Concat | AddLayer):
        return before
    return len(row) >= 3 and before


def _order(
    call: LayerCall,
    given: tuple[int, ...],
    sizes: list[int],
    first: dict[int, bool],
    made: dict[int, Order],
) -> Order:
    layer, row = call.layer, call.type.row
    orders = [made.get(n) for n in call.inputs]
    if isinstance(layer, Flatten | ReshapeTo) and len(row) == 1 and len(given) > 1:
        return _flattened(given) if first.get(call.inputs[0]) else None
    if not any(orders):
        return None
    if isinstance(layer, Concat) and len(row) == 1:
        return _joined(orders, sizes)
    if isinstance(layer, AddLayer):
        same = all(o is not None and _same(o, orders[0]) for o in orders)
        return orders[0] if same else _lost(orders)
    if row == given and (not call.params or isinstance(layer, _FEATURES)):
        return orders[0]
    # After weights of all numbers the order is the layer's own.
    return None if call.params else _lost(orders)


def _flattened(sizes: tuple[int, ...]) -> Order:
    channels, places = sizes[0], prod(sizes[1:])
    if channels == 1 or places == 1:
        return None
    return Flattened(sizes, np.arange(channels * places).reshape(places, channels).T.ravel())


def _same(one: Flattened, other: Order) -> bool:
    if other is None or one.places is None or other.places is None:
        return False
    return bool(np.array_equal(one.places, other.places))


def _lost(orders: list[Any]) -> Flattened:
    known = next(o for o in orders if o is not None)
    return Flattened(known.sizes, None)


def _joined(orders: list[Order], sizes: list[int]) -> Order:
    """Vectors side by side, each in its own order."""
    places, start = [], 0
    for order, size in zip(orders, sizes, strict=True):
        if order is not None and order.places is None:
            return _lost(orders)
        own = np.arange(size) if order is None or order.places is None else order.places
        places.append(own + start)
        start += size
    known = next(o for o in orders if o is not None)
    return Flattened(known.sizes, np.concatenate(places))
