"""A residual network that PyTorch exported: where it is cut, and a starter that stands on it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from deepdsl.cli import main  # noqa: E402
from deepdsl.transfer.cut_points import survey  # noqa: E402


class Block(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(ins, outs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outs),
            nn.ReLU(),
            nn.Conv2d(outs, outs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outs),
        )
        self.side = nn.Conv2d(ins, outs, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: Any) -> Any:
        return torch.relu(self.body(x) + self.side(x))


def network() -> Any:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    stages = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1))
    made = nn.Sequential(stem, stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 7))
    for each in made.modules():
        if isinstance(each, nn.BatchNorm2d):
            # Else all are alike, and the exporter writes those of one size once.
            each.running_mean.normal_()
    return made.eval()


def saved(model: Any, file: Path, free: bool) -> None:
    axes = {"image": {0: "N", **({2: "H", 3: "W"} if free else {})}, "logits": {0: "N"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            torch.randn(2, 3, 32, 32),
            str(file),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes=axes,
            dynamo=False,
        )


@pytest.mark.parametrize("free", [False, True], ids=["sizes", "free sizes"])
def test_the_recommended_place_is_before_the_last_layer(
    tmp_path: Path, free: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network()
    saved(model, tmp_path / "net.onnx", free)
    seen = survey(tmp_path / "net.onnx", (3, 32, 32))
    best = seen.recommended
    assert best is not None
    assert (best.operator, best.shape) == ("Flatten", (16,))
    # What PyTorch folds batch norms into has as many weights, and a bias for each channel.
    weights = sum(p.numel() for n, p in model.named_parameters() if p.ndim == 4)
    biases = sum(m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert best.params == weights + biases
    assert seen.params == best.params + 16 * 7 + 7
    # The shapes of all places are those that PyTorch has there.
    ends = {p.shape for p in seen.stages}
    x, wanted = torch.randn(1, 3, 32, 32), set()
    for layer in (*model[0], *model[1], *model[2:]):
        x = layer(x)
        wanted.add(tuple(x.shape[1:]))
    assert ends == wanted

    size = ["--size", "3x32x32"] if free else []
    starter = tmp_path / "starter.dnn"
    assert main(["surgery", str(tmp_path / "net.onnx"), *size, "-o", str(starter)]) == 0
    assert main(["check", "--strict", str(starter)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(starter), "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    body = sum(each["params"] for each in layers if each["path"].startswith("body."))
    assert body == best.params


def test_a_published_torch_file_is_what_it_was(tmp_path: Path) -> None:
    """The copy in a zoo gives PyTorch's own numbers."""
    import onnxruntime as ort

    model = network()
    saved(model, tmp_path / "net.onnx", False)
    words = ["--to", str(tmp_path / "zoo"), "--name", "net", "--licence", "MIT"]
    assert main(["zoo", "publish", str(tmp_path / "net.onnx"), *words]) == 0
    assert main(["zoo", "verify", "--index", str(tmp_path / "zoo")]) == 0
    session = ort.InferenceSession(
        str(tmp_path / "zoo" / "net.onnx"), providers=["CPUExecutionProvider"]
    )
    x = torch.randn(5, 3, 32, 32)
    (ours,) = session.run(None, {"image": x.numpy()})
    np.testing.assert_allclose(ours, model(x).detach().numpy(), atol=1e-5)
