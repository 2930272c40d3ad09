"""lstm, gru and attention of PyTorch and Keras: their gates and heads in our order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from deepdsl.transfer.weights.conversion import (
    TRANSPOSED,
    Leaf,
    Leaves,
    Made,
    Misfit,
    Recast,
    plain,
    turned,
)
from deepdsl.transfer.weights.targets import TargetLayer, TargetTensor
from deepdsl.transfer.weights.weight_file import Array, Layout

BACKWARD = "backward_"


def _way(slot: TargetTensor) -> tuple[str, str]:
    """Whether it belongs to the way back, and its name without that."""
    local = slot.local.removeprefix(BACKWARD)
    return (BACKWARD if local != slot.local else ""), local


# Recurrent layers ---------------------------------------------------------------------------------

# Keras's names end in these; before them are the cell's, and the way's in a Bidirectional.
_CELL = re.compile(
    r"(?:(?P<way>forward|backward)_\w+\.)?(?:\w*cell\.)?"
    r"(?P<name>kernel|recurrent_kernel|bias|vars\.\d)"
)
_VARS = {"vars.0": "kernel", "vars.1": "recurrent_kernel", "vars.2": "bias"}


def _keras_names(leaves: Leaves) -> dict[tuple[str, str], str]:
    """Keras's tensors by way (`` or `backward_`) and name."""
    made = {}
    for leaf in leaves:
        match = _CELL.fullmatch(leaf)
        if match:
            name = _VARS.get(match["name"], match["name"])
            made[BACKWARD if match["way"] == "backward" else "", name] = leaf
    return made


def _recurrent(wanted: TargetLayer, slot: TargetTensor, leaves: Leaves, layout: Layout) -> Made:
    back, local = _way(slot)
    suffix = "_reverse" if back else ""
    if f"weight_ih_l0{suffix}" in leaves:
        return _of_torch(wanted, slot, local, leaves, suffix, layout)
    keras = _keras_names(leaves)
    if any(name.endswith("kernel") for _, name in keras):
        return _of_keras(
            wanted, slot, local, {n: t for (w, n), t in keras.items() if w == back}, leaves, layout
        )
    name = slot.local
    return plain(slot, name, leaves[name]) if name in leaves else None


def _of_torch(
    wanted: TargetLayer, slot: TargetTensor, local: str, leaves: Leaves, suffix: str, layout: Layout
) -> Made:
    gru = wanted.kind == "gru"
    if not getattr(wanted.layer, "reset_after", True):
        return Misfit(tuple(n for n in leaves if n.startswith("weight_")))  # another formula
    if local in ("weight", "recurrent_weight"):
        name = f"weight_{'ih' if local == 'weight' else 'hh'}_l0{suffix}"
        if name not in leaves:
            return None
        if leaves[name].shape != slot.shape[::-1] or layout != "torch":
            return Misfit((name,))
        told = f"{TRANSPOSED}, gates r z n to z r n" if gru else TRANSPOSED
        return Recast((name,), lambda a: _gates(a.T, gru), told)
    names = (f"bias_ih_l0{suffix}", f"bias_hh_l0{suffix}")
    if not all(name in leaves for name in names):
        return None
    units = slot.shape[0] // (1 if local == "recurrent_bias" else 3 if gru else 4)
    gates = 3 if gru else 4
    if layout != "torch" or any(leaves[n].shape != (gates * units,) for n in names):
        return Misfit(names)
    if not gru:
        return Recast(names, lambda a, b: a + b, "both biases added")
    if local == "recurrent_bias":
        return Recast(names[1:], lambda b: b[2 * units :], "that of the candidate")
    return Recast(names, lambda a, b: _joined_bias(_gates(a, True), _gates(b, True), units), _ADDED)


_ADDED = "biases of both gates added, r z n to z r n"


def _joined_bias(given: Array, recurrent: Array, units: int) -> Array:
    """The recurrent bias of the two gates only adds to the other; the candidate's is alone."""
    made = given.copy()
    made[: 2 * units] += recurrent[: 2 * units]
    return made


def _gates(a: Array, gru: bool) -> Array:
    """Columns r z n as z r n."""
    if not gru:
        return a
    r, z, n = np.split(a, 3, axis=-1)
    return np.concatenate([z, r, n], axis=-1)


def _of_keras(
    wanted: TargetLayer,
    slot: TargetTensor,
    local: str,
    names: Mapping[str, str],
    leaves: Leaves,
    layout: Layout,
) -> Made:
    """Keras's gates are in our order: i f c o and z r h."""
    known = {"weight": "kernel", "recurrent_weight": "recurrent_kernel"}
    name = names.get(known.get(local, "bias"))
    if name is None:
        return None
    if layout != "keras":
        return Misfit((name,))
    shape = leaves[name].shape
    if wanted.kind == "gru" and "bias" in local and len(shape) == 2:
        units = slot.shape[0] // (1 if local == "recurrent_bias" else 3)
        if shape != (2, 3 * units) or wanted.slot(f"{_way(slot)[0]}recurrent_bias") is None:
            return Misfit((name,))
        if local == "recurrent_bias":
            return Recast((name,), lambda a: a[1, 2 * units :], "that of the candidate")
        return Recast((name,), lambda a: _joined_bias(a[0], a[1], units), "both biases added")
    return plain(slot, name, leaves[name])


def _recurrent_list(wanted: TargetLayer, layout: Layout) -> tuple[str, ...]:
    locals_ = [slot.local for slot in wanted.slots]
    if layout == "deepdsl":
        return tuple(locals_)
    ways = [""] + [BACKWARD] * any(name.startswith(BACKWARD) for name in locals_)
    made: list[str] = []
    for way in ways:
        bias = f"{way}bias" in locals_
        if layout == "torch":
            suffix = "_reverse" if way else ""
            made += [f"weight_ih_l0{suffix}", f"weight_hh_l0{suffix}"]
            made += [f"bias_ih_l0{suffix}", f"bias_hh_l0{suffix}"] * bias
        else:
            cell = "" if len(ways) == 1 else "backward_rnn." if way else "forward_rnn."
            made += [f"{cell}cell.kernel", f"{cell}cell.recurrent_kernel"]
            made += [f"{cell}cell.bias"] * bias
    return tuple(made)


# Attention ----------------------------------------------------------------------------------------

_PRODUCTS = {
    "query": ("query", "q_proj", "q", "query_dense"),
    "key": ("key", "k_proj", "k", "key_dense"),
    "value": ("value", "v_proj", "v", "value_dense"),
    "output": ("output", "out_proj", "o_proj", "attention_output", "output_dense", "o"),
}


def _attention(wanted: TargetLayer, slot: TargetTensor, leaves: Leaves, layout: Layout) -> Made:
    product, _, what = slot.local.partition(".")
    joined = f"in_proj_{what}"
    if product != "output" and joined in leaves:
        return _third(slot, joined, leaves[joined], list(_PRODUCTS).index(product), layout)
    ends = ("kernel", "weight", "vars.0") if what == "weight" else ("bias", "vars.1")
    names = (f"{p}.{e}" for p in _PRODUCTS[product] for e in ends)
    name = next((n for n in names if n in leaves), None)
    if name is None:
        return None
    leaf = leaves[name]
    if what == "weight" and len(leaf.shape) == 2:
        swap = layout == "torch" if leaf.turned is None else leaf.turned
        if leaf.shape != (slot.shape[::-1] if swap else slot.shape):
            return Misfit((name,))
        if not swap:
            return Recast((name,), lambda a: a)
        return Recast((name,), turned((1, 0)), TRANSPOSED)
    return _heads(slot, product, name, leaf, layout)


def _heads(slot: TargetTensor, product: str, name: str, leaf: Leaf, layout: Layout) -> Made:
    """Keras keeps heads as an axis of their own."""
    shape = leaf.shape
    if shape == slot.shape:
        return Recast((name,), lambda a: a)
    if len(slot.shape) == 1:
        fits = len(shape) == 2 and (shape[0] * shape[1],) == slot.shape
    elif product == "output":
        fits = len(shape) == 3 and (shape[0] * shape[1], shape[2]) == slot.shape
    else:
        fits = len(shape) == 3 and (shape[0], shape[1] * shape[2]) == slot.shape
    if not fits or layout != "keras":
        return Misfit((name,))
    return Recast((name,), lambda a: a.reshape(slot.shape), "heads joined")


def _third(slot: TargetTensor, name: str, leaf: Leaf, number: int, layout: Layout) -> Made:
    """Query, key and value are above each other in PyTorch."""
    shape = slot.shape[::-1]
    if layout != "torch" or leaf.shape != (3 * shape[0], *shape[1:]):
        return Misfit((name,))
    part = slice(number * shape[0], (number + 1) * shape[0])
    told = f"rows {part.start} to {part.stop - 1}"
    if len(shape) == 1:
        return Recast((name,), lambda a: a[part], told)
    return Recast((name,), lambda a: a[part].T, f"{told}, {TRANSPOSED}")


def _attention_list(wanted: TargetLayer, layout: Layout) -> tuple[str, ...]:
    bias = any(slot.local.endswith(".bias") for slot in wanted.slots)
    ends = ["weight"] + ["bias"] * bias
    if layout == "torch":
        return tuple(f"in_proj_{e}" for e in ends) + tuple(f"out_proj.{e}" for e in ends)
    return tuple(f"{product}.{e}" for product in _PRODUCTS for e in ends)


# --------------------------------------------------------------------------------------------------

SEQUENCES: Mapping[str, Callable[[TargetLayer, TargetTensor, Leaves, Layout], Made]] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "attention": _attention,
}
LISTS: Mapping[str, Callable[[TargetLayer, Layout], tuple[str, ...]]] = {
    "lstm": _recurrent_list,
    "gru": _recurrent_list,
    "attention": _attention_list,
}
