"""Rows for layers and operations of sequences, with their equations in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepdsl.graph import matmul as batched
from deepdsl.nn import initializers
from deepdsl.nn.layers import attention, embedding, recurrence, recurrent
from deepdsl.nn.layers import gru as gru_steps
from deepdsl.nn.layers import lstm as lstm_steps
from deepdsl.nn.layers.dense import Dense

from .feeds import Array, Feed, below, real
from .formulas import log_softmax, sigmoid
from .layers import LayerSample, layer
from .operations import OpSample, flat, smooth

_NORMAL = initializers.Normal(std=0.5)
# Positions, features, units.
T, D, U = 4, 3, 2


def along(step: Any, x: Array, states: tuple[Array, ...], reverse: bool) -> tuple[Array, ...]:
    """The results of a step at each position of x [T, N, features]."""
    made = []
    order = range(len(x))
    for t in reversed(order) if reverse else order:
        states, results = step(states, x[t])
        made.append(results)
    made = made[::-1] if reverse else made
    return tuple(np.stack(parts) for parts in zip(*made, strict=True))


def zero(x: Array, units: int) -> Array:
    return np.zeros((x.shape[1], units), x.dtype)


def lstm_states(z: Array, weight: Array, reverse: bool = False) -> tuple[Array, ...]:
    units = len(weight)

    def step(states: tuple[Array, ...], now: Array) -> Any:
        h, c = states
        i, f, g, o = np.split(now + h @ weight, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        return (h, c), (h, np.concatenate([i, f], 1), g, o, c)

    return along(step, z, (zero(z, units), zero(z, units)), reverse)


def lstm(
    x: Array, weight: Array, recurrent_weight: Array, bias: Array, reverse: bool = False
) -> Array:
    """Over [T, N, features]."""
    return lstm_states(x @ weight + bias, recurrent_weight, reverse)[0]


def gru_states(
    gates: Array, candidate: Array, weight: Array, bias: Array, reverse: bool = False
) -> tuple[Array, ...]:
    units = len(weight)

    def step(states: tuple[Array, ...], now: Array) -> Any:
        (h,) = states
        product = h @ weight
        both = sigmoid(now[:, : 2 * units] + product[:, : 2 * units])
        u = product[:, 2 * units :] + bias
        n = np.tanh(now[:, 2 * units :] + both[:, units:] * u)
        update = both[:, :units]
        h = update * h + (1 - update) * n
        return (h,), (h, both, n, u)

    return along(step, np.concatenate([gates, candidate], 2), (zero(gates, units),), reverse)


def gru_reset_steps(
    gates: Array, candidate: Array, of_gates: Array, of_candidate: Array, reverse: bool = False
) -> tuple[Array, ...]:
    units = len(of_gates)

    def step(states: tuple[Array, ...], now: Array) -> Any:
        (h,) = states
        both = sigmoid(now[:, : 2 * units] + h @ of_gates)
        n = np.tanh(now[:, 2 * units :] + (both[:, units:] * h) @ of_candidate)
        update = both[:, :units]
        h = update * h + (1 - update) * n
        return (h,), (h, both, n)

    return along(step, np.concatenate([gates, candidate], 2), (zero(gates, units),), reverse)


def gru(
    x: Array,
    weight: Array,
    recurrent_weight: Array,
    bias: Array,
    recurrent_bias: Array | None = None,
    reverse: bool = False,
) -> Array:
    """Over [T, N, features]; without a recurrent bias the reset comes first."""
    units = len(recurrent_weight)
    z = x @ weight + bias
    gates, candidate = z[..., : 2 * units], z[..., 2 * units :]
    if recurrent_bias is not None:
        return gru_states(gates, candidate, recurrent_weight, recurrent_bias, reverse)[0]
    parts = recurrent_weight[:, : 2 * units], recurrent_weight[:, 2 * units :]
    return gru_reset_steps(gates, candidate, *parts, reverse)[0]


def rows_first(made: Array) -> Array:
    return np.swapaxes(made, 0, 1)


def in_both_directions(x: Array, cell: Any, sequence: bool, **weights: Array) -> Array:
    x = rows_first(x)
    behind = {k: v for k, v in weights.items() if k.startswith("backward_")}
    ahead = cell(x, **{k: v for k, v in weights.items() if k not in behind})
    back = cell(x, **{k.removeprefix("backward_"): v for k, v in behind.items()}, reverse=True)
    if sequence:
        return rows_first(np.concatenate([ahead, back], 2))
    return np.concatenate([ahead[-1], back[0]], 1)


def attend(x: Array, heads: int, causal: bool, **weights: Array) -> Array:
    """Vaswani et al. 2017, one row and one head at a time."""
    rows = []
    for row in x:
        q, k, v = (
            row @ weights[f"{n}.weight"] + weights.get(f"{n}.bias", 0)
            for n in ("query", "key", "value")
        )
        each = q.shape[1] // heads
        parts = []
        for head in range(heads):
            at = slice(head * each, (head + 1) * each)
            scores = q[:, at] @ k[:, at].T / np.sqrt(each)
            if causal:
                scores = np.where(np.tri(len(row), dtype=bool), scores, -np.inf)
            parts.append(np.exp(log_softmax(scores)) @ v[:, at])
        rows.append(np.concatenate(parts, 1))
    return np.stack(rows) @ weights["output.weight"] + weights.get("output.bias", 0)


def sines(x: Array) -> Array:
    t, features = x.shape[1:]
    angle = np.arange(t)[:, None] / 10000 ** (2 * (np.arange(features) // 2) / features)
    return x + np.where(np.arange(features) % 2, np.cos(angle), np.sin(angle))


def summed(rows: int, indices: Array, vectors: Array) -> Array:
    made = np.zeros((rows, vectors.shape[-1]), vectors.dtype)
    np.add.at(made, indices, vectors)
    return made


SEQUENCE = real("N", T, D)


def time_first(*features: int) -> tuple[Feed, ...]:
    return tuple(real(T, "N", n) for n in features)


OPS = (
    smooth(batched.MatMul(), real("N", 2, 3), real("N", 3, 4), formula=np.matmul),
    smooth(batched.MatMul(), real("N", 2, 4, 3), real("N", 2, 3, 4), formula=np.matmul),
    smooth(batched.Transpose((1, 0, 2)), real("N", 2, 3), formula=lambda x: x.transpose(1, 0, 2)),
    smooth(
        batched.Transpose((0, 3, 1, 2)),
        real("N", 2, 3, 4),
        formula=lambda x: x.transpose(0, 3, 1, 2),
    ),
    OpSample(embedding.TakeRows(), (real(7, 3), below(7, "N", 4)), lambda w, i: w[i], (0,)),
    OpSample(embedding.TakeRows(), (real(300, 2), below(7, "N")), lambda w, i: w[i], (0,)),
    flat(
        embedding.SumRows(7),
        below(7, "N", 4),
        real("N", 4, 3),
        formula=lambda i, v: summed(7, i, v),
    ),
    flat(
        embedding.SumRows(300),
        below(9, "N", 4),
        real("N", 4, 3),
        formula=lambda i, v: summed(300, i, v),
    ),
    smooth(
        recurrence.Previous(),
        real(T, "N", U),
        formula=lambda x: np.concatenate([0 * x[:1], x[:-1]]),
    ),
    smooth(
        recurrence.Previous(reverse=True),
        real(T, "N", U),
        formula=lambda x: np.concatenate([x[1:], 0 * x[:1]]),
    ),
    smooth(recurrence.Previous(), real(1, "N", U), formula=lambda x: 0 * x),
    smooth(lstm_steps.LstmSteps(), *time_first(4 * U), real(U, 4 * U), formula=lstm_states),
    smooth(
        lstm_steps.LstmSteps(reverse=True),
        *time_first(4 * U),
        real(U, 4 * U),
        formula=lambda z, r: lstm_states(z, r, True),
    ),
    flat(lstm_steps.LstmStepsBack(), *time_first(U, 4 * U, U, U), real(U, 4 * U)),
    smooth(
        lstm_steps.LstmOperator(),
        *time_first(D),
        real(D, 4 * U),
        real(U, 4 * U),
        real(4 * U),
        formula=lstm,
    ),
    smooth(
        lstm_steps.LstmOperator(reverse=True),
        *time_first(D),
        real(D, 4 * U),
        real(U, 4 * U),
        real(4 * U),
        formula=lambda *v: lstm(*v, reverse=True),
    ),
    smooth(
        gru_steps.GruSteps(), *time_first(2 * U, U), real(U, 3 * U), real(U), formula=gru_states
    ),
    smooth(
        gru_steps.GruSteps(reverse=True),
        *time_first(2 * U, U),
        real(U, 3 * U),
        real(U),
        formula=lambda *v: gru_states(*v, reverse=True),
    ),
    flat(gru_steps.GruStepsBack(), *time_first(U, 3 * U, U), real(U, 3 * U)),
    smooth(
        gru_steps.GruResetSteps(),
        *time_first(2 * U, U),
        real(U, 2 * U),
        real(U, U),
        formula=gru_reset_steps,
    ),
    smooth(
        gru_steps.GruResetSteps(reverse=True),
        *time_first(2 * U, U),
        real(U, 2 * U),
        real(U, U),
        formula=lambda *v: gru_reset_steps(*v, reverse=True),
    ),
    flat(
        gru_steps.GruResetStepsBack(),
        *time_first(U, U, U, U, U, U),
        real(U, 2 * U),
        real(U, U),
    ),
    *(
        smooth(
            gru_steps.GruOperator(reverse=reverse),
            *time_first(D),
            real(D, 3 * U),
            real(U, 3 * U),
            real(3 * U),
            real(U),
            formula=lambda *v, reverse=reverse: gru(*v, reverse=reverse),
        )
        for reverse in (False, True)
    ),
    smooth(
        gru_steps.GruOperator(reset_after=False),
        *time_first(D),
        real(D, 3 * U),
        real(U, 3 * U),
        real(3 * U),
        real(U),
        # What is added to the candidate's bias is a bias like it.
        formula=lambda x, w, r, b, c: gru(x, w, r, b + np.pad(c, (2 * U, 0))),
    ),
    flat(
        attention.CausalMask(3),
        formula=lambda: np.where(np.tri(3, dtype=bool), 0, attention.MASKED).astype(np.float32),
    ),
)


def lstm_of(x: Array, **weights: Array) -> Array:
    return lstm(rows_first(x), **weights)


LAYERS = (
    LayerSample(embedding.Embedding(7, 3), (below(7, "N", T),), lambda x, weight: weight[x]),
    LayerSample(embedding.Embedding(200, 2), (below(7, "N", T),), lambda x, weight: weight[x]),
    layer(
        Dense(4, init=_NORMAL, bias=_NORMAL, per="position"),
        SEQUENCE,
        formula=lambda x, weight, bias: x @ weight + bias,
    ),
    layer(
        Dense(4, init=_NORMAL, bias=False, per="position"),
        SEQUENCE,
        formula=lambda x, weight: x @ weight,
    ),
    layer(recurrent.Lstm(U), SEQUENCE, formula=lambda x, **w: lstm_of(x, **w)[-1]),
    layer(recurrent.Lstm(U), real("N", 1, D), formula=lambda x, **w: lstm_of(x, **w)[-1]),
    layer(
        recurrent.Lstm(U, sequence=True, bias=_NORMAL, forget_bias=-0.5),
        SEQUENCE,
        formula=lambda x, **w: rows_first(lstm_of(x, **w)),
    ),
    layer(
        recurrent.Lstm(U, direction="backward", bias=False),
        SEQUENCE,
        formula=lambda x, **w: lstm_of(x, **w, bias=np.zeros(4 * U), reverse=True)[0],
    ),
    layer(
        recurrent.Lstm(U, direction="both", bias=_NORMAL),
        SEQUENCE,
        formula=lambda x, **w: in_both_directions(x, lstm, False, **w),
    ),
    layer(
        recurrent.Lstm(U, direction="both", sequence=True, bias=_NORMAL),
        SEQUENCE,
        formula=lambda x, **w: in_both_directions(x, lstm, True, **w),
    ),
    layer(
        recurrent.Gru(U, bias=_NORMAL),
        SEQUENCE,
        formula=lambda x, **w: gru(rows_first(x), **w)[-1],
    ),
    layer(
        recurrent.Gru(U, bias=False, sequence=True),
        SEQUENCE,
        formula=lambda x, **w: rows_first(
            gru(rows_first(x), **w, bias=np.zeros(3 * U), recurrent_bias=np.zeros(U))
        ),
    ),
    layer(
        recurrent.Gru(U, bias=_NORMAL, reset_after=False, sequence=True),
        SEQUENCE,
        formula=lambda x, **w: rows_first(gru(rows_first(x), **w)),
    ),
    layer(
        recurrent.Gru(U, bias=_NORMAL, direction="both", sequence=True),
        SEQUENCE,
        formula=lambda x, **w: in_both_directions(x, gru, True, **w),
    ),
    layer(
        recurrent.Gru(U, bias=_NORMAL, reset_after=False, direction="both"),
        SEQUENCE,
        formula=lambda x, **w: in_both_directions(x, gru, False, **w),
    ),
    layer(
        attention.Attention(bias=_NORMAL),
        SEQUENCE,
        formula=lambda x, **w: attend(x, 1, False, **w),
    ),
    layer(
        attention.Attention(2, causal=True, size=6, bias=_NORMAL),
        SEQUENCE,
        formula=lambda x, **w: attend(x, 2, True, **w),
    ),
    layer(
        attention.Attention(3, causal=True, bias=False, dropout=0.2),
        SEQUENCE,
        formula=lambda x, **w: attend(x, 3, True, **w),
    ),
    layer(
        attention.PositionEmbedding(init=_NORMAL), SEQUENCE, formula=lambda x, weight: x + weight
    ),
    layer(attention.SinusoidalPositions(), real("N", T, 6), formula=sines),
    layer(attention.SinusoidalPositions(), SEQUENCE, formula=sines),
)
