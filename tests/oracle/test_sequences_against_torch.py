"""Layers of sequences against PyTorch: values, gradients, and several steps of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import Training, near, on_runtime, training_file

from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.passes import optimize
from deepdsl.graph.reshaping import sum_all
from deepdsl.nn.layers.attention import Attention
from deepdsl.nn.layers.dense import Dense
from deepdsl.nn.layers.embedding import Embedding
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.recurrent import Gru, Lstm

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")
F = torch.nn.functional

Array = np.ndarray[Any, Any]
N = 3


def ours(
    layer: Layer, x: Array, training: bool = True
) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Results and gradients, with the weights and the gradient at the output, all drawn."""
    rng = np.random.default_rng(5)
    b = Builder()
    whole = x.dtype.kind == "i"
    value = b.input("x", Type(("N", *x.shape[1:]), "i64" if whole else "f32"))
    out = layer.expand(Scope(b, "l", training), value)
    total = sum_all(b, mul(b, out, b.input("upper", out.type)))
    wanted = [*([] if whole else [value]), *b.params]
    grads = gradients(b, total, wanted)
    results = {"out": out, **{f"d:{v.name.removeprefix('l.')}": g for v, g in grads.items()}}
    weights = {
        p.name: (0.5 * rng.standard_normal([int(d) for d in p.type.shape])).astype(np.float32)
        for p in b.params
    }
    upper = rng.standard_normal([len(x), *map(int, out.type.shape[1:])]).astype(np.float32)
    made = on_runtime(optimize(b.graph(results)), {"x": x, "upper": upper, **weights})
    return made, {k.removeprefix("l."): v for k, v in weights.items()}, upper


def tensor(x: Array, grad: bool = False) -> Any:
    return torch.tensor(x.astype(np.float64) if x.dtype.kind == "f" else x, requires_grad=grad)


def sequence(positions: int, features: int) -> Array:
    rng = np.random.default_rng(9)
    return rng.standard_normal((N, positions, features)).astype(np.float32)


def load(module: Any, values: dict[str, Array]) -> Any:
    module.double()
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).copy_(tensor(value))
    return module


def agree(made: dict[str, Array], wanted: dict[str, Any], tolerance: float = 3e-5) -> None:
    assert made.keys() == wanted.keys()
    for name, value in wanted.items():
        near(made[name], value.detach().numpy().astype(np.float32), tolerance)


def blocks(x: Any, order: tuple[int, ...]) -> Any:
    """The gates of PyTorch's tensors in our order; ours are columns, its are rows."""
    parts = x.chunk(len(order), 0)
    return torch.cat([parts[n] for n in order], 0).T


DIRECTIONS = st.sampled_from(["forward", "backward", "both"])
few = settings(max_examples=12, deadline=None, derandomize=True)


@few
@given(DIRECTIONS, st.booleans(), st.booleans(), st.integers(1, 6), st.booleans())
def test_lstm(direction: str, whole: bool, bias: bool, positions: int, training: bool) -> None:
    x = sequence(positions, 3)
    layer = Lstm(4, sequence=whole, direction=direction, bias=bias)
    made, weights, upper = ours(layer, x, training)
    both = direction == "both"
    module = torch.nn.LSTM(3, 4, batch_first=True, bias=bias, bidirectional=both)
    ways = {"": ""} | ({"backward_": "_reverse"} if both else {})
    values = {}
    for prefix, suffix in ways.items():
        values[f"weight_ih_l0{suffix}"] = weights[f"{prefix}weight"].T
        values[f"weight_hh_l0{suffix}"] = weights[f"{prefix}recurrent_weight"].T
        if bias:
            values[f"bias_ih_l0{suffix}"] = weights[f"{prefix}bias"]
            values[f"bias_hh_l0{suffix}"] = 0 * weights[f"{prefix}bias"]
    load(module, values)
    given_x = tensor(x, grad=True)
    fed = given_x.flip(1) if direction == "backward" else given_x
    states, (last, _) = module(fed)
    if direction == "backward":
        states = states.flip(1)
    out = states if whole else torch.cat(list(last), 1)
    out.backward(tensor(upper))
    wanted = {"out": out, "d:x": given_x.grad}
    for prefix, suffix in ways.items():
        wanted[f"d:{prefix}weight"] = getattr(module, f"weight_ih_l0{suffix}").grad.T
        wanted[f"d:{prefix}recurrent_weight"] = getattr(module, f"weight_hh_l0{suffix}").grad.T
        if bias:
            wanted[f"d:{prefix}bias"] = getattr(module, f"bias_ih_l0{suffix}").grad
    agree(made, wanted)


@few
@given(st.sampled_from(["forward", "both"]), st.booleans(), st.integers(1, 6), st.booleans())
def test_gru(direction: str, whole: bool, positions: int, training: bool) -> None:
    x = sequence(positions, 3)
    made, weights, upper = ours(Gru(4, sequence=whole, direction=direction), x, training)
    both = direction == "both"
    module = torch.nn.GRU(3, 4, batch_first=True, bidirectional=both)
    ways = {"": ""} | ({"backward_": "_reverse"} if both else {})
    # PyTorch's gates are reset, update, candidate; ours update, reset, candidate.
    order, values = (1, 0, 2), {}
    for prefix, suffix in ways.items():
        for ours_, theirs in (("weight", "weight_ih_l0"), ("recurrent_weight", "weight_hh_l0")):
            values[f"{theirs}{suffix}"] = blocks(tensor(weights[f"{prefix}{ours_}"].T), order).T
        values[f"bias_ih_l0{suffix}"] = blocks(tensor(weights[f"{prefix}bias"])[:, None], order)[0]
        second = np.concatenate([np.zeros(8), weights[f"{prefix}recurrent_bias"]])
        values[f"bias_hh_l0{suffix}"] = second
    load(module, {k: np.asarray(v) for k, v in values.items()})
    given_x = tensor(x, grad=True)
    states, last = module(given_x)
    out = states if whole else torch.cat(list(last), 1)
    out.backward(tensor(upper))
    wanted = {"out": out, "d:x": given_x.grad}
    for prefix, suffix in ways.items():
        grads = {k: getattr(module, f"{k}_l0{suffix}").grad for k in ("weight_ih", "weight_hh")}
        wanted[f"d:{prefix}weight"] = blocks(grads["weight_ih"], order)
        wanted[f"d:{prefix}recurrent_weight"] = blocks(grads["weight_hh"], order)
        bias = getattr(module, f"bias_ih_l0{suffix}").grad
        wanted[f"d:{prefix}bias"] = blocks(bias[:, None], order)[0]
        wanted[f"d:{prefix}recurrent_bias"] = getattr(module, f"bias_hh_l0{suffix}").grad[8:]
    agree(made, wanted)


@few
@given(st.sampled_from([1, 2, 3]), st.booleans(), st.booleans(), st.integers(1, 6))
def test_attention(heads: int, causal: bool, bias: bool, positions: int) -> None:
    x = sequence(positions, 6)
    made, weights, upper = ours(Attention(heads, causal=causal, bias=bias), x)
    module = torch.nn.MultiheadAttention(6, heads, bias=bias, batch_first=True).double()
    names = ("query", "key", "value")
    with torch.no_grad():
        joined = np.concatenate([weights[f"{n}.weight"].T for n in names])
        module.in_proj_weight.copy_(tensor(joined))
        module.out_proj.weight.copy_(tensor(weights["output.weight"].T))
        if bias:
            module.in_proj_bias.copy_(tensor(np.concatenate([weights[f"{n}.bias"] for n in names])))
            module.out_proj.bias.copy_(tensor(weights["output.bias"]))
    given_x = tensor(x, grad=True)
    mask = torch.ones(positions, positions, dtype=torch.bool).triu(1) if causal else None
    out, _ = module(given_x, given_x, given_x, attn_mask=mask, need_weights=False)
    out.backward(tensor(upper))
    wanted = {"out": out, "d:x": given_x.grad, "d:output.weight": module.out_proj.weight.grad.T}
    for name, part in zip(names, module.in_proj_weight.grad.chunk(3), strict=True):
        wanted[f"d:{name}.weight"] = part.T
    if bias:
        wanted["d:output.bias"] = module.out_proj.bias.grad
        for name, part in zip(names, module.in_proj_bias.grad.chunk(3), strict=True):
            wanted[f"d:{name}.bias"] = part
    agree(made, wanted)


@pytest.mark.parametrize("count", [7, 129, 1000])
@pytest.mark.parametrize("shape", [(N, 5), (40, 33)], ids=str)
def test_embedding(count: int, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).integers(0, count, shape)
    made, weights, upper = ours(Embedding(count, 3), x)
    table = tensor(weights["weight"], grad=True)
    out = F.embedding(tensor(x), table)
    out.backward(tensor(upper))
    agree(made, {"out": out, "d:weight": table.grad})


def test_dense_per_position() -> None:
    x = sequence(5, 4)
    made, weights, upper = ours(Dense(3, per="position"), x)
    leaves = {k: tensor(v, grad=True) for k, v in {"x": x, **weights}.items()}
    out = F.linear(leaves["x"], leaves["weight"].T, leaves["bias"])
    out.backward(tensor(upper))
    agree(made, {"out": out, **{f"d:{k}": v.grad for k, v in leaves.items()}})


class Theirs(torch.nn.Module):  # type: ignore[misc]
    """The model of the test below."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, 6)
        self.attend = torch.nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = torch.nn.LayerNorm(6, eps=1e-3)
        self.lstm = torch.nn.LSTM(6, 5, batch_first=True)
        self.head = torch.nn.Linear(5, 11)
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        e = self.table(x)
        mask = torch.ones(7, 7, dtype=torch.bool).triu(1)
        attended, _ = self.attend(e, e, e, attn_mask=mask, need_weights=False)
        return self.head(self.lstm(self.norm(e + attended))[0])


MODEL = """
input text[7] dtype=int64
e = embedding 11 6
a = e | attention 2 causal=true
e + a | layer_norm | lstm 5 sequence=true | dense 11 per=position | softmax
"""
# Our paths, and the tensors of PyTorch that they are, turned.
SAME = {
    "embedding_1.weight": ("table.weight", False),
    "attention_1.output.weight": ("attend.out_proj.weight", True),
    "attention_1.output.bias": ("attend.out_proj.bias", False),
    "layer_norm_1.gamma": ("norm.weight", False),
    "layer_norm_1.beta": ("norm.bias", False),
    "lstm_1.weight": ("lstm.weight_ih_l0", True),
    "lstm_1.recurrent_weight": ("lstm.weight_hh_l0", True),
    "lstm_1.bias": ("lstm.bias_ih_l0", False),
    "dense_1.weight": ("head.weight", True),
    "dense_1.bias": ("head.bias", False),
}


def test_training_a_model_of_sequences() -> None:
    """Eight steps of SGD with momentum: losses, accuracy and all weights."""
    text = training_file(
        MODEL,
        "loss cross_entropy; metric accuracy top5 perplexity; optimizer sgd lr=0.3 "
        "momentum=0.9; batch 9",
    )
    training = Training(text)
    theirs = Theirs().double()
    own = dict(theirs.named_parameters())
    with torch.no_grad():
        theirs.lstm.bias_hh_l0.zero_()
        for path, (name, turned) in SAME.items():
            value = tensor(training.weight(path))
            own[name].copy_(value.T if turned else value)
        for kind in ("weight", "bias"):
            parts = [training.weight(f"attention_1.{n}.{kind}") for n in ("query", "key", "value")]
            joined = np.concatenate(parts, -1)
            own[f"attend.in_proj_{kind}"].copy_(
                tensor(joined).T if kind == "weight" else tensor(joined)
            )
    optimizer = torch.optim.SGD(
        [p for p in theirs.parameters() if p.requires_grad], lr=0.3, momentum=0.9
    )
    rng = np.random.default_rng(4)
    for _ in range(8):
        x = rng.integers(0, 11, (9, 7))
        y = (x * 3 + 1) % 11
        made = training.step(text=x, target=y)
        optimizer.zero_grad()
        logits = theirs(tensor(x))
        loss = F.cross_entropy(logits.reshape(-1, 11), tensor(y).reshape(-1))
        loss.backward()
        optimizer.step()
        near(made["loss"], loss.detach().numpy().astype(np.float32), 1e-5)
        right = logits.argmax(2) == tensor(y)
        near(made["accuracy"] / 9, right.double().mean().numpy().astype(np.float32), 1e-6)
        ranks = logits.topk(5, 2).indices == tensor(y)[..., None]
        near(made["top5"] / 9, ranks.any(2).double().mean().numpy().astype(np.float32), 1e-6)
        near(made["perplexity"] / 9, loss.detach().numpy().astype(np.float32), 1e-5)
    for path, (name, turned) in SAME.items():
        value = own[name].detach().numpy()
        near(training.weight(path), (value.T if turned else value).astype(np.float32), 1e-4)
