"""What the tensors of a layer are called elsewhere, how they lie there, how they become ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from deepdsl.transfer.weights.conversion import (
    AS_IT_IS,
    TRANSPOSED,
    Leaf,
    Leaves,
    Made,
    Misfit,
    Recast,
    plain,
    turned,
)
from deepdsl.transfer.weights.sequences import LISTS, SEQUENCES
from deepdsl.transfer.weights.targets import TargetLayer, TargetTensor
from deepdsl.transfer.weights.weight_file import Layout

# What a parameter of ours is called elsewhere, by layer and its name here.
_KERNEL = {
    "weight": ("weight", "kernel", "MatMul.ReadVariableOp", "Tensordot.ReadVariableOp"),
    "bias": ("bias", "BiasAdd.ReadVariableOp"),
}
_CONV = {
    "weight": ("weight", "kernel", "depthwise_kernel", "Conv2D.ReadVariableOp"),
    "bias": ("bias", "BiasAdd.ReadVariableOp"),
}
_NORM = {"gamma": ("gamma", "weight", "scale"), "beta": ("beta", "bias")}
_TABLE = {"weight": ("weight", "embeddings", "embedding", "position_embeddings")}
SPELLINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "dense": _KERNEL,
    "conv": _CONV,
    "conv_transpose": _CONV,
    "batch_norm": {
        **_NORM,
        "running_mean": ("running_mean", "moving_mean", "mean"),
        "running_variance": ("running_variance", "running_var", "moving_variance", "var"),
    },
    "layer_norm": _NORM,
    "group_norm": _NORM,
    "rms_norm": {"gamma": _NORM["gamma"]},
    "embedding": _TABLE,
    "position_embedding": _TABLE,
    "prelu": {"slope": ("slope", "weight", "alpha")},
}


def recast(wanted: TargetLayer, slot: TargetTensor, leaves: Leaves, layout: Layout) -> Made:
    """How a parameter is had from the tensors of a layer in a file; None where it has none."""
    special = SEQUENCES.get(wanted.kind)
    if special is not None:
        return special(wanted, slot, leaves, layout)
    table = SPELLINGS.get(wanted.kind, {slot.local: (slot.local,)})
    names = (*table.get(slot.local, ()), slot.local, *_by_number(table, slot.local))
    name = next((n for n in names if n in leaves), None)
    if name is None:
        return _left_away(wanted, slot, leaves, layout)
    return _formed(wanted, slot, name, leaves[name], layout)


# What a norm multiplies with and adds where it was told to learn neither.
_NEUTRAL = {"gamma": (1.0, "ones: it has none there"), "beta": (0.0, "zeros: it has none there")}


def _left_away(wanted: TargetLayer, slot: TargetTensor, leaves: Leaves, layout: Layout) -> Made:
    """Keras's `scale=False` and PyTorch's `affine=False` are a gamma of 1 and a beta of 0."""
    table = SPELLINGS.get(wanted.kind, {})
    known = {n for names in table.values() for n in names}
    if wanted.kind not in _NORMS or slot.local not in _NEUTRAL or not known & leaves.keys():
        return None
    if layout == "torch" and slot.local == "gamma" and leaves.keys() & set(table["beta"]):
        return None  # PyTorch's norms may lack the beta alone, but not the gamma
    value, told = _NEUTRAL[slot.local]
    return Recast((), lambda: np.full(slot.shape, value), told)


def _by_number(table: Mapping[str, object], local: str) -> tuple[str, ...]:
    """Keras's files count the tensors of a layer."""
    return (f"vars.{list(table).index(local)}",) if local in table else ()


def _formed(wanted: TargetLayer, slot: TargetTensor, name: str, leaf: Leaf, layout: Layout) -> Made:
    form = _FORMS.get(wanted.kind) if slot.local == "weight" else None
    if form is not None:
        return form(wanted, slot, name, leaf, layout)
    made = _slopes(slot, name, leaf) if wanted.kind == "prelu" else plain(slot, name, leaf)
    return _rows(wanted, name, made, layout) if wanted.kind in _ROWS else made


_NORMS = ("batch_norm", "layer_norm", "group_norm")
# Layers with a number for each feature.
_ROWS = ("batch_norm", "layer_norm", "rms_norm", "prelu")


def _rows(wanted: TargetLayer, name: str, made: Made, layout: Layout) -> Made:
    """In the order in which the inputs are here."""
    order = wanted.order
    if order is None or layout != "keras" or not isinstance(made, Recast):
        return made
    if order.places is None:
        return Misfit((name,), unordered=True)
    places, before = order.places, made.make
    told = order.told if made.done == AS_IT_IS else f"{made.done}, {order.told}"
    return Recast((name,), lambda a: before(a)[places], told)


def _dense(wanted: TargetLayer, slot: TargetTensor, name: str, leaf: Leaf, layout: Layout) -> Made:
    """(in, out) here and in Keras, (out, in) in PyTorch."""
    swap = layout == "torch" if leaf.turned is None else leaf.turned
    if leaf.shape != (slot.shape[::-1] if swap else slot.shape):
        return Misfit((name,))
    made = Recast((name,), turned((1, 0)), TRANSPOSED) if swap else Recast((name,), lambda a: a)
    return _rows(wanted, name, made, layout)


def _conv(wanted: TargetLayer, slot: TargetTensor, name: str, leaf: Leaf, layout: Layout) -> Made:
    """OIHW here and in PyTorch, HWIO in Keras; HWI and a multiplier for each channel by itself."""
    if layout != "keras":
        return plain(slot, name, leaf)
    rank = len(slot.shape)
    # Here (filters, channels of a group, …); where it is turned round, (channels, filters, …).
    axes = (rank - 1, rank - 2, *range(rank - 2))
    if len(leaf.shape) != rank:
        return Misfit((name,))
    if tuple(leaf.shape[a] for a in axes) == slot.shape and name != "depthwise_kernel":
        return Recast((name,), turned(axes), "axes " + " ".join(map(str, axes)))
    if wanted.kind != "conv" or slot.shape[1] != 1:
        return Misfit((name,))
    channels, each = leaf.shape[-2:]
    if (channels * each, 1, *leaf.shape[:-2]) != slot.shape:
        return Misfit((name,))
    apart = (rank - 2, rank - 1, *range(rank - 2))
    told = "axes " + " ".join(map(str, apart)) + ", channels and multipliers joined"
    return Recast((name,), lambda a: np.transpose(a, apart).reshape(slot.shape), told)


def _slopes(slot: TargetTensor, name: str, leaf: Leaf) -> Made:
    """One for each feature; PyTorch has a single one by default, Keras axes of size 1."""
    if leaf.shape == slot.shape:
        return plain(slot, name, leaf)
    if prod(leaf.shape) == 1:
        return Recast((name,), lambda a: np.full(slot.shape, a.item()), "one slope for all")
    if prod(leaf.shape) == slot.shape[0] in leaf.shape:
        return Recast((name,), lambda a: a.reshape(slot.shape), "without axes of size 1")
    return Misfit((name,))


Form = Callable[[TargetLayer, TargetTensor, str, Leaf, Layout], Made]
_FORMS: Mapping[str, Form] = {"dense": _dense, "conv": _conv, "conv_transpose": _conv}


def anonymous(wanted: TargetLayer, layout: Layout) -> tuple[str, ...]:
    """The tensors of a layer in the order in which a program lists them, by names known here."""
    listed = LISTS.get(wanted.kind)
    return listed(wanted, layout) if listed else tuple(slot.local for slot in wanted.slots)
