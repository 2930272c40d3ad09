"""Networks written in PyTorch, exported by it, and imported: the same outputs at inference."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import kinds, ours, piece
from workbench import Training

from deepdsl.language.analysis.reused import Cut

torch = pytest.importorskip("torch", reason="PyTorch, of the extra `oracle`, is not installed")
nn = torch.nn


class Block(nn.Module):
    """Two convolutions with batch norms, and what flows past them."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.past = nn.Sequential()
        if stride > 1:
            self.past = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.past(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        x = self.avgpool(self.blocks(self.pool(self.stem(x))))
        return self.fc(x.view(x.size(0), -1))


def shaken(net: Any) -> Any:
    """The network with running statistics and affine parts that are not those of the start."""
    torch.manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


def exported(net: Any, x: Any, **options: Any) -> onnx.ModelProto:
    """By the exporter that traces, unless `dynamo` is asked for."""
    data = io.BytesIO()
    given = {"dynamo": False, "input_names": ["x"], "output_names": ["y"], **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), data, **given)
    return onnx.load_model_from_string(data.getvalue())


FREE = {"dynamic_axes": {"x": {0: "N"}, "y": {0: "N"}}}


def same(net: Any, model: onnx.ModelProto, row: tuple[int, ...], whole: int = 0) -> Counter[str]:
    """The imported network's outputs are PyTorch's, for batches of several sizes; its layers."""
    imported = piece(model, row, None, "i64" if whole else "f32")
    for rows in (1, 5):
        torch.manual_seed(rows)
        x = torch.randint(0, whole, (rows, *row)) if whole else torch.randn(rows, *row)
        with torch.no_grad():
            wanted = net(x).numpy()
        np.testing.assert_allclose(ours(imported, x.numpy()), wanted, 1e-5, 1e-5)
    found = Counter(kinds(imported))
    assert not any(kind.startswith("<") for kind in found)
    return found


ROW = (3, 16, 16)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_resnet_whose_batch_norms_are_folded(fixed: bool) -> None:
    """PyTorch's default: each batch norm is part of the convolution before it."""
    net = shaken(ResNet())
    found = same(net, exported(net, torch.randn(1, *ROW), **({} if fixed else FREE)), ROW)
    assert found == Counter(conv=6, relu=5, max_pool=1, add=2, global_avg_pool=1, dense=1)


@pytest.mark.parametrize("mode", ["PRESERVE", "TRAINING"])
@pytest.mark.parametrize("opset", [11, 13, 17, 20])
def test_a_resnet_that_keeps_its_batch_norms(mode: str, opset: int) -> None:
    """As it has to be exported to be trained further."""
    net = shaken(ResNet())
    options = {
        "training": getattr(torch.onnx.TrainingMode, mode),
        "do_constant_folding": False,
        "opset_version": opset,
        **FREE,
    }
    found = same(net, exported(net, torch.randn(2, *ROW), **options), ROW)
    assert found["batch_norm"] == 6
    net.eval()


@pytest.mark.skipif(find_spec("onnxscript") is None, reason="onnxscript is not installed")
def test_the_newer_exporter() -> None:
    net = shaken(ResNet())
    shapes = ({0: torch.export.Dim("batch")},)
    model = exported(net, torch.randn(2, *ROW), dynamo=True, dynamic_shapes=shapes, verbose=False)
    found = same(net, model, ROW)
    assert found["conv"] == 6


def test_the_names_of_weights() -> None:
    net = shaken(ResNet())
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False, **FREE}
    imported = piece(exported(net, torch.randn(2, *ROW), **options), ROW)
    state = net.state_dict()
    assert imported.names["conv_1.weight"] == "stem.0.weight"
    assert imported.names["batch_norm_6.running_variance"] in state
    assert imported.names["dense_1.bias"] == "fc.bias"
    for path, name in imported.names.items():
        theirs = state[name].numpy()
        wanted = theirs.T if path == "dense_1.weight" else theirs
        np.testing.assert_array_equal(imported.weights[path], wanted)
    epsilons = {c.layer.epsilon for c in imported.model.calls if hasattr(c.layer, "epsilon")}
    momenta = {c.layer.momentum for c in imported.model.calls if hasattr(c.layer, "momentum")}
    assert epsilons == {1e-5}
    np.testing.assert_allclose(list(momenta), [0.9], 1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_ten_steps_of_fine_tuning(tmp_path: Path, momentum: float) -> None:
    """Another head on the imported body; all of it is trained, its batch norms too."""
    net = shaken(ResNet())
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False, **FREE}
    file = tmp_path / "resnet.onnx"
    onnx.save(exported(net, torch.randn(2, *ROW), **options), file)
    text = f"""use "{file}" as resnet
    data d {{ train npz "none.npz" }}
    model m {{
      input image[3 16 16]
      part body {{ reuse resnet without="/fc" }}
      part head {{ dense 4 | softmax }}
    }}
    train m on d {{
      loss cross_entropy; optimizer sgd lr=0.05 momentum={momentum}; batch 8; epochs 1; seed 1
    }}"""
    made = Training(text)
    names = {
        f"body.{path}": name
        for path, name in piece(onnx.load(file), ROW, Cut(without=("/fc",))).names.items()
    }
    net.fc = nn.Linear(16, 4)
    with torch.no_grad():
        net.fc.weight.copy_(torch.tensor(made.state["head.dense_1.weight"].T))
        net.fc.bias.copy_(torch.tensor(made.state["head.dense_1.bias"]))
    net.double().train()
    names |= {"head.dense_1.weight": "fc.weight", "head.dense_1.bias": "fc.bias"}
    start = {name: tensor.detach().clone() for name, tensor in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum)
    rng = np.random.default_rng(0)
    for _ in range(10):
        image = rng.normal(0, 1, (8, *ROW)).astype(np.float32)
        label = rng.integers(0, 4, 8)
        loss = nn.functional.cross_entropy(net(torch.tensor(image).double()), torch.tensor(label))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results = made.step(image=image, target=label)
        assert float(results["loss"]) == pytest.approx(loss.item(), rel=1e-4)
    theirs = dict(net.named_parameters())
    trainable = [p.name for p in made.task.model.params if p.trainable]
    assert len(trainable) == len(theirs)
    for path in trainable:
        wanted, before = (t[names[path]].detach().numpy() for t in (theirs, start))
        moved = float(np.linalg.norm(wanted - before))
        assert moved > 0, path
        ours_now = made.state[path].T if path == "head.dense_1.weight" else made.state[path]
        rounding = 1e-6 * float(np.linalg.norm(wanted))
        assert np.linalg.norm(ours_now - wanted) <= 1e-3 * moved + rounding, path
    statistics = [p for p in names if p.endswith("running_mean")]
    assert len(statistics) == 6
    for path in statistics:
        wanted = net.state_dict()[names[path]].numpy()
        np.testing.assert_allclose(made.state[path], wanted, 1e-3, 1e-4)


class Mobile(nn.Module):
    """Depthwise convolutions, hard swish, squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 5, 2, 2, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(8, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, 8, 1),
            nn.Hardsigmoid(),
        )
        self.last = nn.Sequential(nn.SiLU(), nn.Mish(), nn.PReLU(8), nn.GroupNorm(2, 8), nn.GELU())

    def forward(self, x: Any) -> Any:
        y = self.deep(self.wide(x))
        return self.last(y * self.gate(y)).mean((2, 3))


@pytest.mark.parametrize("opset", [14, 17, 20])
def test_a_network_for_small_devices(opset: int) -> None:
    net = shaken(Mobile())
    found = same(net, exported(net, torch.randn(1, *ROW), opset_version=opset, **FREE), ROW)
    for layer in (
        "hard_swish",
        "relu6",
        "hard_sigmoid",
        "multiply",
        "swish",
        "mish",
        "prelu",
        "gelu",
    ):
        assert found[layer] == 1, layer


class Words(nn.Module):
    """A transformer with a learned token in front."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 7, 8))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, 0.1, "gelu", batch_first=True, norm_first=first)
            for first in (False, True)
        )
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), self.table(x)], 1) + self.places
        for layer in self.layers:
            x = layer(x)
        return torch.softmax(self.head(self.norm(x)[:, 0]), -1)


@pytest.mark.parametrize("opset", [14, 17])
def test_a_transformer(opset: int) -> None:
    torch.manual_seed(1)
    net = Words().eval()
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    x = torch.randint(0, 20, (2, 6))
    found = same(net, exported(net, x, opset_version=opset, **FREE), (6,), whole=20)
    assert (found["layer_norm"], found["gelu"], found["embedding"]) == (5, 2, 1)


class Steps(nn.Module):
    """Recurrent layers over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(10, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        states, _ = self.lstm(x)
        _, last = self.gru(states)
        return self.head(last[0])


def test_recurrent_layers() -> None:
    torch.manual_seed(1)
    net = Steps().eval()
    found = same(net, exported(net, torch.randn(2, 6, 4), opset_version=17, **FREE), (6, 4))
    assert (found["lstm"], found["gru"], found["dense"]) == (2, 1, 1)


class Upwards(nn.Module):
    """An image made smaller and larger again, with what was there before beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.AvgPool2d(2))
        self.up = nn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.last = nn.Conv2d(11, 2, 1)

    def forward(self, x: Any) -> Any:
        y = self.down(x)
        wide = nn.functional.interpolate(y, scale_factor=2, mode="bilinear")
        return (
            self.last(torch.cat([x, self.up(y), nn.functional.interpolate(y, size=(16, 16))], 1))
            + (wide[:, :2])
        )


def test_an_image_to_an_image() -> None:
    torch.manual_seed(1)
    net = Upwards().eval()
    found = same(net, exported(net, torch.randn(1, *ROW), opset_version=17, **FREE), ROW)
    assert (found["upsample"], found["conv_transpose"], found["concat"]) == (2, 1, 1)
