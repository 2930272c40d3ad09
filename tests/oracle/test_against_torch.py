"""Whole models against PyTorch: one set of weights, the same batches, ten steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from workbench import Training, on_runtime, training_file

from deepdsl.graph import Builder, Type
from deepdsl.nn.layers.dropout import Dropout
from deepdsl.nn.layers.layer import Scope

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")

Array = np.ndarray[Any, Any]
Tensors = dict[str, Any]
STEPS, ROWS = 10, 16
EPSILON, MOMENTUM = 1e-3, 0.9


class Net:
    """A model's state in PyTorch, in float64, under this package's own paths.

    Kernels are (inputs, units) here and (units, inputs) there, so products are written out.
    """

    def __init__(self, state: Mapping[str, Array], trainable: frozenset[str]) -> None:
        self.tensors: Tensors = {}
        for path, value in state.items():
            if value.dtype == np.float32:
                self.tensors[path] = torch.tensor(value.astype(np.float64))
        for path in trainable:
            self.tensors[path].requires_grad_()
        self.trainable = trainable

    @property
    def weights(self) -> Tensors:
        return {path: self.tensors[path] for path in sorted(self.trainable)}

    def dense(self, x: Any, path: str) -> Any:
        bias = self.tensors.get(f"{path}.bias")
        return torch.nn.functional.linear(x, self.tensors[f"{path}.weight"].T, bias)

    def batch_norm(self, x: Any, path: str) -> Any:
        """In training mode.  PyTorch moves its running variance by the unbiased one."""
        t = self.tensors
        mean, variance = (t[f"{path}.running_{n}"].clone() for n in ("mean", "variance"))
        kept = MOMENTUM * variance
        out = torch.nn.functional.batch_norm(
            x,
            mean,
            variance,
            t[f"{path}.gamma"],
            t[f"{path}.beta"],
            training=True,
            momentum=1 - MOMENTUM,
            eps=EPSILON,
        )
        count = x.numel() // x.shape[1]
        t[f"{path}.running_mean"] = mean
        t[f"{path}.running_variance"] = kept + (variance - kept) * (count - 1) / count
        return out


Forward = Callable[[Net, Tensors], Any]


@dataclass(frozen=True)
class Case:
    """A model in both languages; `forward` stops before a softmax or sigmoid at the end."""

    body: str
    inputs: dict[str, tuple[int, ...]]
    forward: Forward
    loss: str = "cross_entropy"
    classes: int = 4
    data: str = ""
    target: tuple[int, ...] = field(default=())


F = torch.nn.functional
BN = f"batch_norm momentum={MOMENTUM} epsilon={EPSILON}"


def _chain(*activations: Any) -> Forward:
    def forward(net: Net, batch: Tensors) -> Any:
        x = batch["x"].flatten(1)
        for number, activation in enumerate(activations, 1):
            x = activation(net.dense(x, f"dense_{number}"))
        return net.dense(x, f"dense_{len(activations) + 1}")

    return forward


def _normalized(before: bool) -> Forward:
    def forward(net: Net, batch: Tensors) -> Any:
        x = batch["x"]
        for n in (1, 2):
            x = net.dense(x, f"dense_{n}")
            if before:
                x = F.leaky_relu(net.batch_norm(x, f"batch_norm_{n}"), 0.2)
            else:
                x = net.batch_norm(F.leaky_relu(x, 0.2), f"batch_norm_{n}")
        return net.dense(x, "dense_3")

    return forward


def _towers(net: Net, batch: Tensors) -> Any:
    left, right = (torch.tanh(net.dense(batch[n], "tower.dense_1")) for n in ("left", "right"))
    joined = torch.cat([left, right], 1)
    return net.dense(F.relu(net.dense(joined, "dense_1")), "dense_2")


def _residual(net: Net, batch: Tensors) -> Any:
    h = F.elu(net.dense(batch["x"], "dense_1"))
    for n in (2, 4):
        inner = net.dense(F.relu(net.dense(h, f"dense_{n}")), f"dense_{n + 1}")
        h = torch.tanh(inner + h)
    return net.dense(h, "dense_6")


def _autoencoder(net: Net, batch: Tensors) -> Any:
    code = F.selu(net.dense(batch["x"].flatten(1) * 0.5, "dense_1"))
    return net.dense(code, "dense_2")


def _normalized_images(net: Net, batch: Tensors) -> Any:
    x = net.batch_norm(batch["x"], "batch_norm_1").flatten(1)
    return net.dense(torch.softmax(net.dense(x, "dense_1"), 1), "dense_2")


CASES = {
    "relu": Case(
        "input x[2 3]\n flatten | dense 8 | relu | dense 6 | relu | dense 4 | softmax",
        {"x": (2, 3)},
        _chain(F.relu, F.relu),
    ),
    "batch norm before leaky relu": Case(
        f"""input x[6]
        dense 8 bias=false | {BN} | leaky_relu 0.2
        dense 8 bias=false | {BN} | leaky_relu 0.2 | dense 4 | softmax""",
        {"x": (6,)},
        _normalized(before=True),
    ),
    "batch norm after leaky relu": Case(
        f"""input x[6]
        dense 8 | leaky_relu 0.2 | {BN} | dense 8 | leaky_relu 0.2 | {BN} | dense 4 | softmax""",
        {"x": (6,)},
        _normalized(before=False),
    ),
    "batch norm of images": Case(
        f"input x[3 2 2]\n {BN} | flatten | dense 5 | softmax | dense 4 | softmax",
        {"x": (3, 2, 2)},
        _normalized_images,
    ),
    "elu": Case(
        "input x[6]\n dense 8 | elu | dense 8 | elu alpha=0.5 | dense 4 | softmax",
        {"x": (6,)},
        _chain(F.elu, lambda x: F.elu(x, 0.5)),
    ),
    "selu": Case(
        "input x[6]\n dense 8 | selu | dense 8 | selu | dense 4 | softmax",
        {"x": (6,)},
        _chain(F.selu, F.selu),
    ),
    "sigmoid and tanh": Case(
        "input x[6]\n dense 8 | sigmoid | dense 8 | tanh | dense 4 | softmax",
        {"x": (6,)},
        _chain(torch.sigmoid, torch.tanh),
    ),
    "smoothed": Case(
        "input x[6]\n dense 8 | tanh | dense 4 | softmax",
        {"x": (6,)},
        _chain(torch.tanh),
        loss="cross_entropy smoothing=0.1",
    ),
    "two inputs, one tower": Case(
        """input left[5]
        input right[5]
        part tower { dense 6 | tanh }
        l = left | tower
        r = right | tower
        concat l r | dense 5 | relu | dense 1 | sigmoid""",
        {"left": (5,), "right": (5,)},
        _towers,
        loss="binary_cross_entropy",
        target=(1,),
    ),
    "residual": Case(
        """input x[6]
        h = dense 5 | elu
        a = h | dense 5 | relu | dense 5
        g = a + h | tanh
        c = g | dense 5 | relu | dense 5
        c + g | tanh | dense 4 | softmax""",
        {"x": (6,)},
        _residual,
    ),
    "autoencoder": Case(
        "input x[2 3]\n flatten | dense 3 | selu | dense 6",
        {"x": (2, 3)},
        _autoencoder,
        loss="mean_squared_error",
        data="scale 0.5; target input",
    ),
    "regression": Case(
        "input x[6]\n dense 8 | relu | dense 2",
        {"x": (6,)},
        _chain(F.relu),
        loss="mean_squared_error",
        target=(2,),
    ),
}


def batches(case: Case, seed: int = 0) -> list[dict[str, Array]]:
    """Ten batches, the last of them shorter."""
    rng = np.random.default_rng(seed)
    made = []
    for step in range(STEPS):
        rows = ROWS if step < STEPS - 1 else 5
        batch: dict[str, Array] = {
            name: rng.standard_normal((rows, *shape)).astype(np.float32)
            for name, shape in case.inputs.items()
        }
        if case.loss.startswith("cross_entropy"):
            batch["target"] = rng.integers(0, case.classes, rows)
        elif case.loss == "binary_cross_entropy":
            batch["target"] = rng.integers(0, 2, (rows, *case.target)).astype(np.float32)
        elif case.target:
            batch["target"] = rng.standard_normal((rows, *case.target)).astype(np.float32)
        made.append(batch)
    return made


def loss_of(case: Case, net: Net, batch: Mapping[str, Array]) -> Any:
    fed = {
        k: torch.tensor(v if v.dtype == np.int64 else v.astype(np.float64))
        for k, v in batch.items()
    }
    out = case.forward(net, fed)
    if case.loss.startswith("cross_entropy"):
        smoothing = float(case.loss.partition("=")[2] or 0)
        return F.cross_entropy(out, fed["target"], label_smoothing=smoothing)
    if case.loss == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(out, fed["target"])
    target = fed.get("target")
    return F.mse_loss(out, fed["x"].flatten(1) * 0.5 if target is None else target)


def start(case: Case, rows: str = "") -> tuple[Training, Net]:
    made = Training(training_file(case.body, f"loss {case.loss}; {rows}; seed 4", case.data))
    # Biases, scales and shifts begin away from their defaults, so that none of them hides.
    rng = np.random.default_rng(3)
    for param in made.graph.params:
        if param.role in ("bias", "norm"):
            noise = 0.2 * rng.standard_normal([int(d) for d in param.type.shape])
            made.state[param.name] = (made.state[param.name] + noise).astype(np.float32)
    trainable = frozenset(p.name for p in made.graph.params if p.trainable)
    return made, Net(made.state, trainable)


def agree(made: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    """Within a relative tolerance of the tensor's largest value."""
    wanted = wanted.detach().numpy() if hasattr(wanted, "detach") else np.asarray(wanted)
    scale = max(float(np.abs(wanted).max()), 1e-3)
    assert np.abs(np.asarray(made, np.float64) - wanted).max() <= tolerance * scale


Update = Callable[[Net, Tensors, int], None]


def train(case: Case, rows: str, update: Update, tolerance: float = 1e-5) -> None:
    """Ten steps in both; `update` moves PyTorch's weights by their gradients."""
    made, net = start(case, rows)
    for t, batch in enumerate(batches(case), 1):
        loss = loss_of(case, net, batch)
        grads = dict(
            zip(net.weights, torch.autograd.grad(loss, list(net.weights.values())), strict=True)
        )
        result = made.step(**batch)
        agree(result["loss"], loss, tolerance)
        with torch.no_grad():
            update(net, grads, t)
    for path, value in net.tensors.items():
        if not path.startswith("optimizer."):
            agree(made.weight(path), value, tolerance)


def optimizer(make: Callable[[list[Any]], Any]) -> Update:
    """One of PyTorch's own optimizers."""
    kept: dict[str, Any] = {}

    def update(net: Net, grads: Tensors, t: int) -> None:
        if not kept:
            kept["it"] = make(list(net.weights.values()))
        for path, weight in net.weights.items():
            weight.grad = grads[path]
        kept["it"].step()

    return update


def _sgd(**options: Any) -> Update:
    return optimizer(lambda weights: torch.optim.SGD(weights, **options))


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    case = CASES[name]
    made, net = start(case)
    for batch in batches(case)[-2:]:
        loss = loss_of(case, net, batch)
        loss.backward()
        found = made.gradient(**batch)
        assert found.keys() == net.weights.keys()
        for path, weight in net.weights.items():
            agree(found[path], weight.grad)
            weight.grad = None


@pytest.mark.parametrize("name", CASES)
def test_ten_steps(name: str) -> None:
    train(CASES[name], "optimizer sgd lr=0.1", _sgd(lr=0.1))


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ("momentum=0.9", {"momentum": 0.9}),
        ("momentum=0.9 nesterov=true", {"momentum": 0.9, "nesterov": True}),
    ],
)
@pytest.mark.parametrize("name", ["relu", "batch norm before leaky relu"])
def test_sgd(name: str, rows: str, options: dict[str, Any]) -> None:
    train(CASES[name], f"optimizer sgd lr=0.05 {rows}", _sgd(lr=0.05, **options))


def by_decay(net: Net, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and normalization do not."""
    decayed = [w for p, w in net.weights.items() if p.endswith(".weight")]
    others = [w for p, w in net.weights.items() if not p.endswith(".weight")]
    return [
        {"params": decayed, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]


@pytest.mark.parametrize("name", ["relu", "batch norm after leaky relu"])
def test_weight_decay_in_the_gradient(name: str) -> None:
    kept: dict[str, Any] = {}

    def update(net: Net, grads: Tensors, t: int) -> None:
        own = kept.setdefault("it", torch.optim.SGD(by_decay(net, 0.05), lr=0.1, momentum=0.8))
        for path, weight in net.weights.items():
            weight.grad = grads[path]
        own.step()

    train(CASES[name], "optimizer sgd lr=0.1 momentum=0.8 weight_decay=0.05", update)


@pytest.mark.parametrize("name", ["elu", "two inputs, one tower"])
@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_adam_with_an_epsilon_of_next_to_nothing(name: str, kind: str) -> None:
    """Keras adds epsilon to the uncorrected root, PyTorch to the corrected one."""
    kept: dict[str, Any] = {}

    def update(net: Net, grads: Tensors, t: int) -> None:
        if not kept:
            groups = by_decay(net, 0.1 if kind == "adamw" else 0.0)
            cls = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
            kept["it"] = cls(groups, lr=0.01, eps=1e-15)
        for path, weight in net.weights.items():
            weight.grad = grads[path]
        kept["it"].step()

    decay = " weight_decay=0.1" if kind == "adamw" else ""
    # Adam divides by the size of the gradient: what is nearly 0 keeps fewer digits.
    train(CASES[name], f"optimizer {kind} lr=0.01 epsilon=1e-15{decay}", update, 1e-4)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_adam_in_keras_s_form(epsilon: float) -> None:
    slots: dict[str, tuple[Any, Any]] = {}

    def update(net: Net, grads: Tensors, t: int) -> None:
        rate = 0.01 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
        for path, weight in net.weights.items():
            g = grads[path]
            m, v = slots.get(path, (torch.zeros_like(g), torch.zeros_like(g)))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            slots[path] = m, v
            weight.sub_(rate * m / (v.sqrt() + epsilon))

    tolerance = 1e-4 if epsilon < 1e-5 else 1e-5
    train(CASES["selu"], f"optimizer adam lr=0.01 epsilon={epsilon}", update, tolerance)


@pytest.mark.parametrize("limit", [0.02, 0.5])
@pytest.mark.parametrize("how", ["value", "norm", "global_norm"])
@pytest.mark.parametrize("name", ["relu", "autoencoder"])
def test_clipping(name: str, how: str, limit: float) -> None:
    utilities = torch.nn.utils

    def update(net: Net, grads: Tensors, t: int) -> None:
        weights = list(net.weights.values())
        for path, weight in net.weights.items():
            weight.grad = grads[path].clone()
        if how == "value":
            utilities.clip_grad_value_(weights, limit)
        elif how == "norm":
            for weight in weights:
                weight.grad *= min(1.0, limit / float(weight.grad.norm()))
        else:
            # PyTorch divides by the norm + 1e-6.
            whole = utilities.get_total_norm([w.grad for w in weights])
            for weight in weights:
                weight.grad *= min(1.0, limit / float(whole))
        for weight in weights:
            weight -= 0.5 * weight.grad

    train(CASES[name], f"optimizer sgd lr=0.5; clip {how}={limit}", update)


@pytest.mark.parametrize(
    "name", ["batch norm before leaky relu", "batch norm after leaky relu", "batch norm of images"]
)
def test_inference_after_training(name: str) -> None:
    """The running statistics of ten steps, in PyTorch's evaluation mode."""
    case = CASES[name]
    made, net = start(case, "optimizer sgd lr=0.1")
    for batch in batches(case):
        made.step(**batch)
    state = {k: torch.tensor(v.astype(np.float64)) for k, v in made.state.items()}

    class Evaluating(Net):
        def batch_norm(self, x: Any, path: str) -> Any:
            names = ("running_mean", "running_variance", "gamma", "beta")
            return F.batch_norm(x, *(state[f"{path}.{n}"] for n in names), eps=EPSILON)

    net = Evaluating(made.state, frozenset())
    (batch, *_) = batches(case, seed=5)
    out = case.forward(net, {"x": torch.tensor(batch["x"].astype(np.float64))})
    agree(made.infer(x=batch["x"]), torch.softmax(out, 1))


def test_dropout_with_our_own_mask() -> None:
    """The mask comes from the graph's random numbers; the rest is PyTorch's."""

    def mask(path: str, step: int, rows: int) -> Any:
        b = Builder()
        x = b.input("x", Type(("N", 8)))
        out = Dropout(0.4).expand(Scope(b, path, True, 4), x)
        feeds = {"x": np.ones((rows, 8), np.float32), "step": np.array(step)}
        return torch.tensor(on_runtime(b.graph({"out": out}), feeds)["out"].astype(np.float64))

    now = [0]

    def forward(net: Net, batch: Tensors) -> Any:
        x = batch["x"]
        for n in (1, 2):
            x = F.relu(net.dense(x, f"dense_{n}")) * mask(f"dropout_{n}", now[0], len(x))
        now[0] += 1
        return net.dense(x, "dense_3")

    body = "dense 8 | relu | dropout 40% | dense 8 | relu | dropout 40% | dense 4 | softmax"
    case = Case(f"input x[6]\n {body}", {"x": (6,)}, forward)
    train(case, "optimizer sgd lr=0.1", _sgd(lr=0.1))
