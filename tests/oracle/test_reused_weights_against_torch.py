"""State dicts of PyTorch in our layers: the same outputs."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reused import loaded, one_problem, results
from safetensors.numpy import save_file
from workbench import Array, near

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")
nn = torch.nn


def seeded(module: Any) -> Any:
    """With other values than PyTorch begins with, of which many are 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in module.state_dict().items():
        if tensor.dtype.is_floating_point:
            drawn = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(0.5 + drawn if "running_var" in name else drawn - 0.5)
    return module.eval()


def written(module: Any, folder: Path, noted: bool = True) -> Path:
    path = folder / "model.safetensors"
    state = {n: np.ascontiguousarray(t.numpy()) for n, t in module.state_dict().items()}
    save_file(state, path, {"format": "pt"} if noted else None)
    return path


def agree(text: str, module: Any, x: Array, folder: Path, **reused: Any) -> Any:
    """The table of what was taken, where both networks compute the same."""
    path = written(seeded(module), folder)
    made = loaded(text, path, **reused)
    with torch.no_grad():
        out = module(torch.from_numpy(x))
    near(results(text, made.values, x), out.numpy(), 2e-5)
    assert made.unused == ()
    return made


def image(*shape: int) -> Array:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


class Last(nn.Module):  # type: ignore[misc, name-defined]
    """All states or the last one of a recurrent module, as our layers give them."""

    def __init__(self, rnn: Any, whole: bool) -> None:
        super().__init__()
        self.rnn, self.whole = rnn, whole

    def forward(self, x: Any) -> Any:
        states, last = self.rnn(x)
        if self.whole:
            return states
        last = last[0] if isinstance(last, tuple) else last
        ways = 2 if self.rnn.bidirectional else 1
        return torch.cat(list(last[-ways:]), 1)


# Networks -----------------------------------------------------------------------------------------


def test_dense_layers(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 7), nn.Tanh(), nn.Linear(7, 2))
    text = "model m { input x[5]; dense 7 | relu | dense 7 | tanh | dense 2 }"
    rename = ("0=dense_1", "2=dense_2", "4=dense_3")
    made = agree(text, module, image(4, 5), tmp_path, rename=rename)
    assert [row.done for row in made.rows] == ["transposed", "as it is"] * 3
    assert made.rows[0].there == "0.weight"
    agree(text, module, image(4, 5), tmp_path, match="order")


def test_convolution_norm_flatten_dense(tmp_path: Path) -> None:
    module = nn.Sequential(
        OrderedDict(
            conv_1=nn.Conv2d(3, 4, 3, padding=1, bias=False),
            batch_norm_1=nn.BatchNorm2d(4),
            relu=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            conv_2=nn.Conv2d(4, 6, (3, 1)),
            flatten=nn.Flatten(),
            dense_1=nn.Linear(6 * 2 * 4, 5),
            batch_norm_2=nn.BatchNorm1d(5),
        )
    )
    text = (
        "model m { input image[3 8 8]; conv 4 3x3 pad=1 bias=false | batch_norm epsilon=1e-5 | relu"
        " | max_pool 2x2 | conv 6 3x1 | flatten | dense 5 | batch_norm epsilon=1e-5 }"
    )
    agree(text, module, image(2, 3, 8, 8), tmp_path)
    agree(text, module, image(2, 3, 8, 8), tmp_path, match="shape")


@pytest.mark.parametrize("match", ["strict", "order", "shape"])
def test_grouped_depthwise_and_turned_round(match: str, tmp_path: Path) -> None:
    module = nn.Sequential(
        OrderedDict(
            conv_1=nn.Conv2d(4, 8, 3, groups=4),
            conv_2=nn.Conv2d(8, 6, 1, groups=2),
            conv_transpose_1=nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2),
            conv_transpose_2=nn.ConvTranspose2d(4, 3, 3, padding=1),
            group_norm_1=nn.GroupNorm(3, 3),
        )
    )
    text = (
        "model m { input image[4 6 6]; conv 8 3x3 groups=depthwise | conv 6 1x1 groups=2"
        " | conv_transpose 4 2x2 stride=2 groups=2 | conv_transpose 3 3x3 pad=1"
        " | group_norm 3 epsilon=1e-5 }"
    )
    agree(text, module, image(2, 4, 6, 6), tmp_path, match=match)


def test_one_and_three_dimensions(tmp_path: Path) -> None:
    agree(
        "model m { input x[3 9]; conv 4 3 stride=2 | prelu }",
        nn.Sequential(OrderedDict(conv_1=nn.Conv1d(3, 4, 3, stride=2), prelu_1=nn.PReLU(4))),
        image(2, 3, 9),
        tmp_path,
    )
    made = agree(
        "model m { input x[2 4 4 4]; conv 3 2x2x2 | prelu }",
        nn.Sequential(OrderedDict(conv_1=nn.Conv3d(2, 3, 2), prelu_1=nn.PReLU())),
        image(2, 2, 4, 4, 4),
        tmp_path,
    )
    assert made.rows[-1].done == "one slope for all"


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride > 1:
            side = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(side, nn.BatchNorm2d(filters))

    def forward(self, x: Any) -> Any:
        side = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(x + side)


RESIDUAL = """
default conv bias=false pad=same
default batch_norm epsilon=1e-5
block residual(filters, stride=1) {
  main = in | conv filters 3x3 stride=stride | batch_norm | relu
            | conv filters 3x3               | batch_norm
  side = if stride == 1 then in
         else in | conv filters 1x1 stride=stride | batch_norm
  main + side | relu
}
model m {
  input image[3 16 16]
  part stem { conv 4 3x3 | batch_norm | relu }
  part body { residual 4; residual 4; residual 8 stride=2; residual 8 }
  part head { global_avg_pool | dense 5 }
}
"""


def test_a_residual_network_in_its_order(tmp_path: Path) -> None:
    """With torchvision's names, into blocks with ours."""
    module = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(4),
            relu=nn.ReLU(),
            layer1=nn.Sequential(Residual(4, 4, 1), Residual(4, 4, 1)),
            layer2=nn.Sequential(Residual(4, 8, 2), Residual(8, 8, 1)),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(8, 5),
        )
    )
    seeded(module)
    state = {n: t.numpy() for n, t in module.state_dict().items()}
    np.savez(tmp_path / "r.npz", **state)
    x = image(2, 3, 16, 16)
    with torch.no_grad():
        out = module(torch.from_numpy(x)).numpy()
    made = loaded(RESIDUAL, tmp_path / "r.npz", match="order")
    near(results(RESIDUAL, made.values, x), out, 5e-5)
    there = {row.here: row.there for row in made.rows}
    assert there["body.residual_3.conv_3.weight"] == "layer2.0.downsample.0.weight"
    # A safetensors keeps no order: layers of one shape have to be named.
    path = written(module, tmp_path)
    assert one_problem(RESIDUAL, path, match="order").code == "E531"
    rename = ["conv1=stem.conv_1", "bn1=stem.batch_norm_1", "fc=head.dense_1"]
    for number, layer in enumerate(("layer1.0", "layer1.1", "layer2.0", "layer2.1"), 1):
        ours = f"body.residual_{number}"
        rename += [f"{layer}.conv{n}={ours}.conv_{n}" for n in (1, 2)]
        rename += [f"{layer}.bn{n}={ours}.batch_norm_{n}" for n in (1, 2)]
    rename += ["layer2.0.downsample.0=body.residual_3.conv_3"]
    rename += ["layer2.0.downsample.1=body.residual_3.batch_norm_3"]
    made = loaded(RESIDUAL, path, rename=tuple(rename))
    near(results(RESIDUAL, made.values, x), out, 5e-5)


# Sequences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrent_layers(kind: str, both: bool, bias: bool, tmp_path: Path) -> None:
    cls = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
    rnn = cls(3, 4, batch_first=True, bidirectional=both, bias=bias)
    more = f" direction=both bias={str(bias).lower()}" if both else f" bias={str(bias).lower()}"
    for whole in (False, True):
        text = f"model m {{ input x[5 3]; {kind} 4 sequence={str(whole).lower()}{more} }}"
        made = agree(text, Last(rnn, whole), image(2, 5, 3), tmp_path, rename=(f"rnn={kind}_1",))
    assert made.layout == "(out, in), as in PyTorch: by its metadata, format=pt"
    agree(text, Last(rnn, True), image(2, 5, 3), tmp_path, match="order")
    agree(text, Last(rnn, True), image(2, 5, 3), tmp_path, match="shape")


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_layers_on_one_another(kind: str, tmp_path: Path) -> None:
    cls = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
    text = f"model m {{ input x[5 3]; {kind} 4 sequence=true | {kind} 4 }}"
    rename = (f"rnn={kind}_1", f"rnn.l1={kind}_2")
    module = Last(cls(3, 4, 2, batch_first=True), False)
    agree(text, module, image(2, 5, 3), tmp_path, rename=rename)
    agree(text, module, image(2, 5, 3), tmp_path, match="order")


class Attending(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.embedding_1 = nn.Embedding(11, 6)
        self.position = nn.Parameter(torch.zeros(4, 6))
        self.layer_norm_1 = nn.LayerNorm(6)
        self.attention_1 = nn.MultiheadAttention(6, 2, batch_first=True)
        self.dense_1 = nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        x = self.layer_norm_1(self.embedding_1(x) + self.position)
        return self.dense_1(self.attention_1(x, x, x, need_weights=False)[0])


def test_embedding_norm_and_attention(tmp_path: Path) -> None:
    text = (
        "model m { input x[4] dtype=int64; embedding 11 6 | position_embedding"
        " | layer_norm epsilon=1e-5 | attention 2 | dense 5 per=position }"
    )
    x = np.random.default_rng(2).integers(0, 11, (3, 4))
    rename = ("position=position_embedding_1.weight",)
    made = agree(text, Attending(), x, tmp_path, rename=rename)
    done = {row.here: row.done for row in made.rows}
    assert done["attention_1.key.weight"] == "rows 6 to 11, transposed"
    assert done["attention_1.output.weight"] == "transposed"


def test_bfloat16_is_read_as_pytorch_reads_it(tmp_path: Path) -> None:
    torch_save = pytest.importorskip("safetensors.torch").save_file
    module = seeded(nn.Sequential(OrderedDict(dense_1=nn.Linear(5, 3)))).to(torch.bfloat16)
    path = tmp_path / "b.safetensors"
    torch_save(module.state_dict(), path)
    text = "model m { input x[5]; dense 3 }"
    made = loaded(text, path)
    wanted = module.state_dict()["dense_1.weight"].float().T.numpy()
    assert np.array_equal(made.values["dense_1.weight"], wanted)
    assert made.layout == "(out, in), as in PyTorch: by `dense_1.weight`"


def test_pickles_of_pytorch_are_known_and_not_opened(tmp_path: Path) -> None:
    state = nn.Linear(5, 3).state_dict()
    for zipped in (True, False):
        torch.save(state, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        found = one_problem("model m { input x[5]; dense 3 }", tmp_path / "m.pt")
        assert found.code == "E523"
        assert "pickle" in found.message
        assert "safetensors.torch.save_file(model.state_dict()" in found.help
