"""ResNet-20 of the CIFAR paper, with projection shortcuts: the file of the language's design
against PyTorch, ten steps from one start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from places import GOLDEN
from workbench import Training

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")

Array = np.ndarray[Any, Any]
F = torch.nn.functional
SPEC = GOLDEN / "language" / "resnet20.dnn"
STEPS, ROWS, RATE, MOMENTUM, DECAY, L2, SMOOTHING = 10, 16, 0.1, 0.9, 1e-4, 1e-4, 0.1
EPSILON, KEPT = 1e-3, 0.99


class Net:
    """The network written out over one set of tensors."""

    def __init__(self, state: Mapping[str, Array], trainable: frozenset[str]) -> None:
        self.tensors = {
            path: torch.tensor(value.astype(np.float64))
            for path, value in state.items()
            if value.dtype == np.float32
        }
        self.trainable = sorted(trainable)
        for path in self.trainable:
            self.tensors[path].requires_grad_()

    def conv(self, x: Any, path: str, stride: int = 1) -> Any:
        weight = self.tensors[f"{path}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(self, x: Any, path: str) -> Any:
        """PyTorch moves its running variance by the unbiased one."""
        t = self.tensors
        mean, variance = (t[f"{path}.running_{n}"].clone() for n in ("mean", "variance"))
        before = KEPT * variance
        out = F.batch_norm(
            x, mean, variance, t[f"{path}.gamma"], t[f"{path}.beta"], True, 1 - KEPT, EPSILON
        )
        count = x.numel() // x.shape[1]
        t[f"{path}.running_mean"] = mean
        t[f"{path}.running_variance"] = before + (variance - before) * (count - 1) / count
        return out

    def residual(self, x: Any, path: str, stride: int) -> Any:
        main = F.relu(self.norm(self.conv(x, f"{path}.conv_1", stride), f"{path}.batch_norm_1"))
        main = self.norm(self.conv(main, f"{path}.conv_2"), f"{path}.batch_norm_2")
        if stride != 1:
            x = self.norm(self.conv(x, f"{path}.conv_3", stride), f"{path}.batch_norm_3")
        return F.relu(main + x)

    def forward(self, image: Any) -> Any:
        x = F.relu(self.norm(self.conv(image, "stem.conv_1"), "stem.batch_norm_1"))
        for stage in (1, 2, 3):
            for number in (1, 2, 3):
                stride = 2 if stage > 1 and number == 1 else 1
                x = self.residual(x, f"body.stage_{stage}.residual_{number}", stride)
        t = self.tensors
        return x.mean((2, 3)) @ t["head.dense_1.weight"] + t["head.dense_1.bias"]


def _decays(path: str) -> bool:
    return path.endswith(".weight")


def test_ten_steps_of_resnet20() -> None:
    # What the transform would take from the data is left out; the images are normal numbers.
    lines = [line for line in SPEC.read_text().splitlines() if "normalize" not in line]
    ours = Training("\n".join(lines), steps_per_epoch=STEPS)
    assert sum(p.type.count or 0 for p in ours.task.model.params if p.trainable) == 272_474
    trainable = frozenset(p.name for p in ours.task.model.params if p.trainable)
    theirs = Net(ours.state, trainable)
    rng = np.random.default_rng(0)
    paths = [p.name for p in ours.task.model.params]
    start = {path: theirs.tensors[path].detach().numpy().copy() for path in paths}
    weights = [theirs.tensors[path] for path in theirs.trainable]
    groups = [
        {"params": [w for p, w in zip(theirs.trainable, weights, strict=True) if _decays(p) is d]}
        for d in (True, False)
    ]
    groups[0]["weight_decay"] = DECAY
    optimizer = torch.optim.SGD(groups, RATE, momentum=MOMENTUM, weight_decay=0.0)
    for _ in range(STEPS):
        image = rng.normal(0, 1, (ROWS, 3, 32, 32)).astype(np.float32)
        label = rng.integers(0, 10, ROWS)
        loss = F.cross_entropy(
            theirs.forward(torch.tensor(image.astype(np.float64))),
            torch.tensor(label),
            label_smoothing=SMOOTHING,
        )
        penalty = L2 * (theirs.tensors["head.dense_1.weight"] ** 2).sum()
        optimizer.zero_grad()
        (loss + penalty).backward()
        optimizer.step()
        made = ours.step(image=image, target=label)
        assert float(made["loss"]) == pytest.approx(loss.item(), rel=1e-4)
    for path, before in start.items():
        wanted = theirs.tensors[path].detach().numpy()
        moved = float(np.linalg.norm(wanted - before))
        assert moved > 0, path
        rounding = 1e-6 * float(np.linalg.norm(wanted))
        assert np.linalg.norm(ours.state[path] - wanted) <= 1e-3 * moved + rounding, path
