"""Each optimizer and schedule against PyTorch's over a hundred steps of one small network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from workbench import Training, training_file

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")

Array = np.ndarray[Any, Any]
STEPS, ROWS, EPOCH = 100, 16, 25
BODY = "input x[6]\n dense 16 | relu | dense 12 | relu | dense 4 | softmax"
LAYERS = ("dense_1", "dense_2", "dense_3")
# So small that it does not matter whether it is added inside a root, outside, or before a
# correction: the same formula is compared.
NONE = 1e-15

Make = Callable[[list[Any]], Any]


def batches() -> list[dict[str, Array]]:
    """A task that can be learned: the class is the largest of four sums of the inputs."""
    rng = np.random.default_rng(5)
    mixing = rng.standard_normal((6, 4))
    made = []
    for _ in range(STEPS):
        x = rng.standard_normal((ROWS, 6)).astype(np.float32)
        made.append({"x": x, "target": (x @ mixing).argmax(1)})
    return made


class Net:
    """The network in float64, from the same start."""

    def __init__(self, made: Training, activation: Any = torch.relu) -> None:
        self.activation = activation
        self.tensors = {
            f"{layer}.{name}": torch.tensor(made.weight(f"{layer}.{name}").astype(np.float64))
            for layer in LAYERS
            for name in ("weight", "bias")
        }
        for tensor in self.tensors.values():
            tensor.requires_grad_()

    @property
    def weights(self) -> list[Any]:
        return [t for p, t in self.tensors.items() if p.endswith("weight")]

    @property
    def biases(self) -> list[Any]:
        return [t for p, t in self.tensors.items() if p.endswith("bias")]

    def loss(self, batch: dict[str, Array]) -> Any:
        x = torch.tensor(batch["x"].astype(np.float64))
        for layer in LAYERS:
            x = x @ self.tensors[f"{layer}.weight"] + self.tensors[f"{layer}.bias"]
            x = self.activation(x) if layer != LAYERS[-1] else x
        return torch.nn.functional.cross_entropy(x, torch.tensor(batch["target"]))


def compare(
    rows: str,
    make: Callable[[Net], Any],
    schedule: Callable[[Any], Any] | None = None,
    clip: Callable[[list[Any]], Any] | None = None,
    body: str = BODY,
    after: Callable[[Net], None] | None = None,
    penalty: Callable[[Net], Any] | None = None,
) -> Training:
    """Every loss of a hundred steps within 1e-4, relatively; the training in our own graph."""
    text = training_file(body, f"loss cross_entropy; epochs {STEPS // EPOCH}; seed 3; {rows}")
    made = Training(text, steps_per_epoch=EPOCH)
    net = Net(made, torch.tanh if "tanh" in body else torch.relu)
    own = make(net)
    scheduler = schedule(own) if schedule else None
    ours, theirs, rates = [], [], []
    for batch in batches():
        loss = net.loss(batch)
        own.zero_grad()
        (loss + penalty(net) if penalty else loss).backward()
        if clip:
            clip([*net.tensors.values()])
        rates.append(own.param_groups[0]["lr"])
        own.step()
        if after:
            after(net)
        if scheduler:
            scheduler.step()
        result = made.step(**batch)
        ours.append((float(result["loss"]), float(result["lr"])))
        theirs.append(float(loss.detach()))
    np.testing.assert_allclose([loss for loss, _ in ours], theirs, rtol=1e-4)
    np.testing.assert_allclose([rate for _, rate in ours], rates, rtol=1e-5, atol=1e-9)
    # Something was learned, so that the losses say something.
    assert np.mean(theirs[-10:]) < np.mean(theirs[:10]) - 0.02
    return made


def all_of(cls: Any, **options: Any) -> Callable[[Net], Any]:
    return lambda net: cls([*net.tensors.values()], **options)


def decaying(cls: Any, decay: float, **options: Any) -> Callable[[Net], Any]:
    """Kernels decay, biases do not."""

    def make(net: Net) -> Any:
        groups = [
            {"params": net.weights, "weight_decay": decay},
            {"params": net.biases, "weight_decay": 0.0},
        ]
        return cls(groups, **options)

    return make


class Keras(torch.optim.Optimizer):  # type: ignore[misc, name-defined, unused-ignore]
    """An optimizer by its formula, which gets (tensor, gradient, state, rate, decay)."""

    def __init__(self, params: Any, lr: float, rule: Any, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.rule = rule

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                self.rule(p, p.grad, self.state[p], group["lr"], group["weight_decay"])


def lion(p: Any, g: Any, state: Any, lr: float, decay: float) -> None:
    """Program 1 of the paper."""
    m = state.setdefault("m", torch.zeros_like(p))
    p.mul_(1 - lr * decay).sub_(lr * torch.sign(0.9 * m + 0.1 * g))
    m.mul_(0.99).add_(0.01 * g)


def inner_adagrad(p: Any, g: Any, state: Any, lr: float, decay: float) -> None:
    """Keras: epsilon 1e-7 inside the root."""
    a = state.setdefault("a", torch.full_like(p, 0.1))
    a.add_(g * g)
    p.sub_(lr * g / torch.sqrt(a + 1e-7))


def inner_rmsprop(p: Any, g: Any, state: Any, lr: float, decay: float) -> None:
    v = state.setdefault("v", torch.zeros_like(p))
    v.mul_(0.9).add_(0.1 * g * g)
    p.sub_(lr * g / torch.sqrt(v + 1e-3))


o = torch.optim
OPTIMIZERS: dict[str, Callable[[Net], Any]] = {
    "sgd lr=0.1": all_of(o.SGD, lr=0.1),
    "sgd lr=0.05 momentum=0.9": all_of(o.SGD, lr=0.05, momentum=0.9),
    "sgd lr=0.05 momentum=0.9 nesterov=true": all_of(o.SGD, lr=0.05, momentum=0.9, nesterov=True),
    "sgd lr=0.05 momentum=0.5 weight_decay=0.01": decaying(o.SGD, 0.01, lr=0.05, momentum=0.5),
    f"adam lr=3e-3 epsilon={NONE}": all_of(o.Adam, lr=3e-3, eps=NONE),
    f"adamw lr=3e-3 weight_decay=0.1 epsilon={NONE}": decaying(o.AdamW, 0.1, lr=3e-3, eps=NONE),
    f"amsgrad lr=3e-3 epsilon={NONE}": all_of(o.Adam, lr=3e-3, eps=NONE, amsgrad=True),
    f"amsgrad lr=3e-3 beta_2=0.7 epsilon={NONE}": all_of(
        o.Adam, lr=3e-3, betas=(0.9, 0.7), eps=NONE, amsgrad=True
    ),
    f"adamax lr=3e-3 epsilon={NONE}": all_of(o.Adamax, lr=3e-3, eps=NONE),
    # Keras and PyTorch add it to the corrected root, and Keras's momentum schedule is its own.
    "nadam lr=3e-3 epsilon=1e-7": all_of(o.NAdam, lr=3e-3, eps=1e-7, momentum_decay=1),
    f"adagrad lr=0.05 epsilon={NONE}": all_of(
        o.Adagrad, lr=0.05, initial_accumulator_value=0.1, eps=NONE
    ),
    "adagrad lr=0.05": lambda net: Keras(net.tensors.values(), 0.05, inner_adagrad),
    f"rmsprop lr=2e-3 epsilon={NONE}": all_of(o.RMSprop, lr=2e-3, alpha=0.9, eps=NONE),
    "rmsprop lr=2e-3 epsilon=1e-3": lambda net: Keras(net.tensors.values(), 2e-3, inner_rmsprop),
    f"rmsprop lr=1e-3 momentum=0.8 epsilon={NONE}": all_of(
        o.RMSprop, lr=1e-3, alpha=0.9, momentum=0.8, eps=NONE
    ),
    f"rmsprop lr=1e-3 rho=0.95 momentum=0.5 centered=true epsilon={NONE}": all_of(
        o.RMSprop, lr=1e-3, alpha=0.95, momentum=0.5, centered=True, eps=NONE
    ),
    "lion lr=5e-4": lambda net: Keras(net.tensors.values(), 5e-4, lion),
    "lion lr=1e-3 weight_decay=0.5": decaying(Keras, 0.5, lr=1e-3, rule=lion),
}


@pytest.mark.parametrize("rows", OPTIMIZERS)
def test_a_hundred_steps(rows: str) -> None:
    # Lion's step is a sign: one that rounding turns, as it may at relu's corner, is seen for long.
    body = BODY.replace("relu", "tanh") if rows.startswith("lion") else BODY
    compare(f"optimizer {rows}", OPTIMIZERS[rows], body=body)


MOMENTUM = {"lr": 0.05, "momentum": 0.9}


@pytest.mark.parametrize("limit", [0.3, 2.0])
def test_clipping_by_the_global_norm(limit: float) -> None:
    """PyTorch divides by the norm + 1e-6."""

    def clip(tensors: list[Any]) -> None:
        torch.nn.utils.clip_grad_norm_(tensors, limit)

    rows = f"optimizer sgd lr=0.05 momentum=0.9; clip global_norm={limit}"
    compare(rows, all_of(o.SGD, **MOMENTUM), clip=clip)


def test_clipping_by_value() -> None:
    def clip(tensors: list[Any]) -> None:
        torch.nn.utils.clip_grad_value_(tensors, 0.02)

    rows = "optimizer adam lr=3e-3 epsilon=1e-15; clip value=0.02"
    compare(rows, all_of(o.Adam, lr=3e-3, eps=NONE), clip=clip)


s = torch.optim.lr_scheduler
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "cosine": lambda own: s.CosineAnnealingLR(own, STEPS),
    "cosine over=100 end=0.01 per=step": lambda own: s.CosineAnnealingLR(own, 100, 0.01),
    "cosine over=10 restarts=true per=step": lambda own: s.CosineAnnealingWarmRestarts(own, 10),
    "cosine over=8 restarts=true multiplier=2 end=0.001 per=step": lambda own: (
        s.CosineAnnealingWarmRestarts(own, 8, 2, 0.001)
    ),
    "exponential factor=0.98 every=1 per=step": lambda own: s.ExponentialLR(own, 0.98),
    "exponential factor=0.5 every=30 staircase=true per=step": lambda own: s.StepLR(own, 30, 0.5),
    "exponential factor=0.5 every=1 staircase=true": lambda own: s.StepLR(own, EPOCH, 0.5),
    "piecewise 20:0.02 60:0.008 per=step": lambda own: s.MultiStepLR(own, [20, 60], 0.4),
    "polynomial": lambda own: s.PolynomialLR(own, STEPS),
    "polynomial power=2 over=70 per=step": lambda own: s.PolynomialLR(own, 70, 2.0),
    "linear end=0.01": lambda own: s.LinearLR(own, 1.0, 0.2, STEPS),
    "power every=20 exponent=0.5 per=step": lambda own: s.LambdaLR(
        own, lambda t: (1 + t / 20) ** -0.5
    ),
    # A rise from 1/5 in four steps: full from the fifth on.
    "constant warmup=5 per=step": lambda own: s.LinearLR(own, 0.2, 1.0, 4),
}


@pytest.mark.parametrize("rows", SCHEDULES)
def test_schedules(rows: str) -> None:
    sgd = "optimizer sgd lr=0.05 momentum=0.5; schedule "
    # PyTorch keeps the momentum without the rate in it, so that a rate that changes is another
    # algorithm; without momentum both are one.
    compare(sgd.replace(" momentum=0.5", "") + rows, all_of(o.SGD, lr=0.05), SCHEDULES[rows])


def test_one_cycle_with_the_corners_of_ours() -> None:
    """PyTorch's own corners differ; its rates and momenta are set to ours, step by step."""
    made = Training(
        training_file(
            BODY, "loss cross_entropy; optimizer sgd lr=0.1; schedule one_cycle; epochs 4"
        ),
        steps_per_epoch=EPOCH,
    )
    rates = [float(made.step(**batch)["lr"]) for batch in batches()]
    half = (STEPS - (STEPS // 10 + 1)) // 2
    assert half == 44
    rise = s.OneCycleLR(
        o.SGD([torch.zeros(1)], lr=0.1, momentum=0.9),
        0.1,
        total_steps=2 * half + 1,
        pct_start=(half + 1) / (2 * half + 1),
        anneal_strategy="linear",
        div_factor=10,
        final_div_factor=1,
    )
    theirs, momenta = [], []
    for _ in range(2 * half + 1):
        theirs.append(rise.optimizer.param_groups[0]["lr"])
        momenta.append(rise.optimizer.param_groups[0]["momentum"])
        rise.optimizer.step()
        if len(theirs) <= 2 * half:
            rise.step()
    np.testing.assert_allclose(rates[: 2 * half + 1], theirs, rtol=1e-5)
    assert (momenta[0], momenta[half]) == pytest.approx((0.95, 0.85))
    fall = [0.01 + (1e-5 - 0.01) * t / (STEPS - 2 * half) for t in range(STEPS - 2 * half)]
    np.testing.assert_allclose(rates[2 * half :], fall, rtol=1e-5)


def test_one_cycle_moves_the_momentum() -> None:
    """Keras's form of momentum with one-cycle rates and momenta, in PyTorch's tensors."""
    half, count = 44, [0]

    def rule(p: Any, g: Any, state: Any, lr: float, decay: float) -> None:
        t = count[0] // (2 * len(LAYERS))
        count[0] += 1
        up = 1 - abs(t - half) / half if t < 2 * half else 0.0
        momentum = 0.95 - 0.1 * up
        m = state.setdefault("m", torch.zeros_like(p))
        m.mul_(momentum).sub_(lr * g)
        p.add_(m)

    def schedule(own: Any) -> Any:
        def share(t: int) -> float:
            if t < 2 * half:
                return 0.1 + 0.9 * (1 - abs(t - half) / half)
            return 0.1 + (1e-4 - 0.1) * (t - 2 * half) / (STEPS - 2 * half)

        return s.LambdaLR(own, share)

    rows = "optimizer sgd lr=0.1 momentum=0.5; schedule one_cycle"
    compare(rows, lambda net: Keras(net.tensors.values(), 0.1, rule), schedule)


def test_penalties() -> None:
    body = BODY.replace("dense 12", "dense 12 l1=1e-3 l2=1e-2")

    def penalty(net: Net) -> Any:
        weight = net.tensors["dense_2.weight"]
        return 1e-3 * weight.abs().sum() + 1e-2 * (weight * weight).sum()

    compare(
        "optimizer sgd lr=0.1 momentum=0.9",
        all_of(o.SGD, lr=0.1, momentum=0.9),
        body=body,
        penalty=penalty,
    )


def test_max_norm() -> None:
    body = BODY.replace("dense 12", "dense 12 max_norm=0.9")

    def after(net: Net) -> None:
        with torch.no_grad():
            weight = net.tensors["dense_2.weight"]
            weight.copy_(torch.renorm(weight, 2, 1, 0.9))

    made = compare("optimizer sgd lr=0.1", all_of(o.SGD, lr=0.1), body=body, after=after)
    norms = np.linalg.norm(made.weight("dense_2.weight"), axis=0)
    assert norms.max() <= 0.9 + 1e-6


def test_accumulated_batches() -> None:
    """PyTorch's way: the gradients of four batches, each a quarter, before one step."""
    text = training_file(
        BODY, "loss cross_entropy; optimizer adam lr=3e-3 epsilon=1e-15; accumulate 4"
    )
    made = Training(text)
    net = Net(made)
    own = o.Adam([*net.tensors.values()], lr=3e-3, eps=NONE)
    for number, batch in enumerate(batches(), 1):
        loss = net.loss(batch)
        (loss / 4).backward()
        if number % 4 == 0:
            own.step()
            own.zero_grad()
        np.testing.assert_allclose(
            float(made.step(**batch)["loss"]), float(loss.detach()), rtol=1e-4
        )
