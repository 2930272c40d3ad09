"""Tied autoencoders against PyTorch: five steps of the whole training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import Training, near, training_file

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")
F = torch.nn.functional


@settings(max_examples=8, derandomize=True, deadline=None)
@given(
    inputs=st.integers(1, 7),
    hidden=st.integers(1, 6),
    code=st.integers(1, 5),
    bias=st.booleans(),
    positions=st.sampled_from([0, 3]),
)
def test_five_steps(inputs: int, hidden: int, code: int, bias: bool, positions: int) -> None:
    per = " per=position" if positions else ""
    off = "" if bias else " bias=false"
    shape = f"{positions} {inputs}" if positions else f"{inputs}"
    model = (
        f"input x[{shape}]\n"
        f"part e {{ dense {hidden}{per} | tanh | dense {code}{per} | elu }}\n"
        f"dense {hidden} tie=e.dense_2{per}{off} | tanh | dense {inputs} tie=e.dense_1{per}{off}"
    )
    rows = "loss mean_squared_error; optimizer sgd lr=0.2 momentum=0.9; batch 4; seed 1"
    ours = Training(training_file(model, rows, "target input"))
    leaves = {
        k: torch.tensor(v.astype(np.float64), requires_grad=True)
        for k, v in ours.state.items()
        if k.startswith(("e.", "dense_")) and ":" not in k
    }

    def forward(x: torch.Tensor) -> torch.Tensor:
        w1, w2 = leaves["e.dense_1.weight"], leaves["e.dense_2.weight"]
        # Linear has W as [outputs, inputs]: ours is its transpose, and tied it is W itself.
        h = torch.tanh(F.linear(x, w1.t(), leaves["e.dense_1.bias"]))
        h = F.elu(F.linear(h, w2.t(), leaves["e.dense_2.bias"]))
        h = torch.tanh(F.linear(h, w2, leaves.get("dense_1.bias")))
        return F.linear(h, w1, leaves.get("dense_2.bias"))

    optimizer = torch.optim.SGD(list(leaves.values()), lr=0.2, momentum=0.9)
    rng = np.random.default_rng(inputs)
    for _ in range(5):
        x = rng.standard_normal((4, *map(int, shape.split())))
        made = ours.step(x=x.astype(np.float32))
        x64 = torch.tensor(x.astype(np.float32).astype(np.float64))
        loss = F.mse_loss(forward(x64), x64)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        near(made["loss"], loss.item(), 1e-5)
    for name, leaf in leaves.items():
        near(ours.weight(name), leaf.detach().numpy(), 3e-5)
