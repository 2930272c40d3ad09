"""Recurrent layers: ONNX puts positions first, then directions, then rows."""

from __future__ import annotations

import numpy as np

from deepdsl.nn.layers.layer import Layer
from deepdsl.nn.layers.recurrent import Gru, Lstm
from deepdsl.transfer.onnx_import.conversion import Array, Conversion, Weight, converts
from deepdsl.transfer.onnx_import.conversions.reshaping import within
from deepdsl.transfer.onnx_import.graph import OnnxNode

# For each gate of ours, in our order, the place of ONNX's.
_LSTM = (0, 2, 3, 1)  # i f g o, of i o f c
_GRU = (0, 1, 2)  # z r n, of z r h


@converts("LSTM", "GRU")
def recurrent(at: Conversion, node: OnnxNode) -> bool:
    """With first states of zero, all positions of each row, and the usual functions.

    Of the results the states at all positions, and the last one of a single direction.
    """
    usual = ["Sigmoid", "Tanh", "Tanh"] if node.op == "LSTM" else ["Sigmoid", "Tanh"]
    ways = 2 if node.get("direction", "forward") == "bidirectional" else 1
    functions = [_text(f) for f in node.get("activations") or usual * ways]
    if functions != usual * ways or node.get("layout", 0) or "clip" in node.attributes:
        return False
    if node.get("input_forget", 0) or node.input(4) or (len(node.outputs) > 2 and node.outputs[2]):
        return False
    firsts = [n for n in (node.input(5), node.input(6) if node.op == "LSTM" else "") if n]
    if any(at.flows(n) or np.any(at.array(n)) for n in firsts):
        return False
    peephole = at.constant(node, 7) if node.op == "LSTM" else None
    if node.input(7) and (peephole is None or np.any(peephole)):
        return False
    return _expanded(at, node, ways)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _expanded(at: Conversion, node: OnnxNode, ways: int) -> bool:
    steps, rows, _ = at.sizes(node.inputs[0])
    units = int(node.get("hidden_size"))
    direction = {"forward": "forward", "reverse": "backward", "bidirectional": "both"}[
        _text(node.get("direction", "forward"))
    ]
    weights = _weights(at, node, ways, units)
    layer: Layer
    if node.op == "LSTM":
        layer = Lstm(units, sequence=True, direction=direction)
    else:
        after = bool(node.get("linear_before_reset", 0))
        layer = Gru(units, sequence=True, direction=direction, reset_after=after)
    x = at.permute(at.number(node.inputs[0]), (1, 0, 2))
    states = at.layer(layer, x, weights=weights)  # [rows, steps, ways * units]
    if node.outputs[0]:
        if ways == 1:
            made = at.reshape(at.permute(states, (1, 0, 2)), (steps, 1, rows, units))
        else:
            apart = at.reshape(states, (rows, steps, ways, units))
            made = at.permute(apart, (1, 2, 0, 3))
        at.give(node, made)
    if len(node.outputs) > 1 and node.outputs[1]:
        lasts = []
        for way in range(ways):
            own = within(at, states, 2, way * units, (ways - 1 - way) * units)
            backward = direction == "backward" or way == 1
            end, begin = (steps - 1, 0) if backward else (0, steps - 1)
            lasts.append(at.reshape(within(at, own, 1, begin, end), (1, rows, units)))
        made = lasts[0]
        if ways == 2:
            from deepdsl.graph.concatenation import Concatenate

            made = at.compute(Concatenate(0), *lasts)
        at.give(node, made, 1)
    return True


def _weights(at: Conversion, node: OnnxNode, ways: int, units: int) -> dict[str, Weight]:
    order = _LSTM if node.op == "LSTM" else _GRU
    after = node.op == "GRU" and bool(node.get("linear_before_reset", 0))

    def gates(array: Array) -> Array:
        """The gates in our order, along the first axis."""
        return np.concatenate([array[g * units : (g + 1) * units] for g in order])

    found: dict[str, Weight] = {}
    for way in range(ways):
        prefix = "backward_" if way == 1 else ""
        for name, place in (("weight", 1), ("recurrent_weight", 2)):
            given = gates(at.array(node.inputs[place])[way]).T
            found[f"{prefix}{name}"] = at.weight(node.inputs[place], given)
        count = len(order) * units
        if node.input(3):
            both, origin = at.array(node.inputs[3])[way], at.origin(node.inputs[3])
        else:
            both, origin = np.zeros(2 * count, np.float32), ""
        of_input, of_state = gates(both[:count]), gates(both[count:])
        bias = of_input + of_state
        if after:
            # The state's part of the candidate's bias is inside of the reset.
            bias = np.concatenate([bias[: 2 * units], of_input[2 * units :]])
            found[f"{prefix}recurrent_bias"] = Weight(of_state[2 * units :], origin)
        found[f"{prefix}bias"] = Weight(bias, origin)
    return found
