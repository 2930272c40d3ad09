"""Files of weights of every kind, all of one small layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from deepdsl.transfer.weights import checkpoint
from deepdsl.transfer.weights.checkpoint import Checkpoint

KERNEL = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
BIAS = np.array([7, 8, 9], np.float32)
X = np.array([[10, 11]], np.float32)
WANTED = [[61, 83, 105]]

TEXT = "model m { input x[2]; dense 3 | relu }"


def torch_file(folder: Path) -> Path:
    path = folder / "t.safetensors"
    tensors = {"dense_1.weight": np.ascontiguousarray(KERNEL.T), "dense_1.bias": BIAS}
    save_file(tensors, path, {"format": "pt"})
    return path


def sharded(folder: Path) -> Path:
    """As large models are kept, in several files."""
    path = folder / "model.safetensors.index.json"
    save_file({"dense_1.weight": np.ascontiguousarray(KERNEL.T)}, folder / "a-1.safetensors")
    save_file({"dense_1.bias": BIAS}, folder / "a-2.safetensors")
    places = {"dense_1.weight": "a-1.safetensors", "dense_1.bias": "a-2.safetensors"}
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


def torch_halves(folder: Path) -> Path:
    path = folder / "h.safetensors"
    tensors = {"dense_1.weight": np.ascontiguousarray(KERNEL.T), "dense_1.bias": BIAS}
    save_file({k: v.astype(np.float16) for k, v in tensors.items()}, path, {"format": "pt"})
    return path


def bfloat16_file(folder: Path) -> Path:
    """Written by hand: NumPy has no such type."""
    path = folder / "b.safetensors"
    parts = {"dense_1.weight": KERNEL.T, "dense_1.bias": BIAS}
    data, header = b"", {}
    for name, array in parts.items():
        raw = (np.ascontiguousarray(array).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "BF16", "shape": list(array.shape), "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def flax_file(folder: Path) -> Path:
    path = folder / "f.safetensors"
    save_file({"dense_1.kernel": KERNEL, "dense_1.bias": BIAS}, path, {"format": "flax"})
    return path


def keras_2(folder: Path) -> Path:
    path = folder / "k2.npz"
    np.savez(path, **{"dense_1/kernel:0": KERNEL, "dense_1/bias:0": BIAS})
    return path


def keras_3(folder: Path) -> Path:
    path = folder / "k3.npz"
    np.savez_compressed(path, **{"dense_1/kernel": KERNEL, "dense_1/bias": BIAS})
    return path


def keras_nested(folder: Path) -> Path:
    path = folder / "kn.npz"
    np.savez(path, **{"dense_1/dense_1/kernel:0": KERNEL, "dense_1/dense_1/bias:0": BIAS})
    return path


def keras_vars(folder: Path) -> Path:
    path = folder / "kv.npz"
    names = {"layers/dense_1/vars/0": KERNEL, "layers/dense_1/vars/1": BIAS}
    np.savez(path, **names, **{"optimizer/vars/0": np.array(3)})
    return path


def doubles(folder: Path) -> Path:
    path = folder / "d.npz"
    np.savez(path, **{"dense_1.weight": KERNEL.T.astype(np.float64), "dense_1.bias": BIAS})
    return path


def onnx_file(folder: Path, transposed: bool) -> Path:
    path = folder / "m.onnx"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])
    kernel = np.ascontiguousarray(KERNEL.T) if transposed else KERNEL
    weights = [numpy_helper.from_array(kernel, "dense_1.weight")]
    constant = helper.make_node(
        "Constant", [], ["dense_1.bias"], value=numpy_helper.from_array(BIAS)
    )
    node = helper.make_node(
        "Gemm", ["x", "dense_1.weight", "dense_1.bias"], ["y"], transB=int(transposed)
    )
    graph = helper.make_graph([constant, node], "g", [x], [y], weights)
    onnx.save(helper.make_model(graph), path)
    return path


def gemm(folder: Path) -> Path:
    return onnx_file(folder, True)


def product(folder: Path) -> Path:
    return onnx_file(folder, False)


def beside(folder: Path) -> Path:
    """With the numbers in a file of their own, as large graphs are kept."""
    path = folder / "large.onnx"
    onnx.save(
        onnx.load(gemm(folder)),
        path,
        save_as_external_data=True,
        location="large.data",
        size_threshold=0,
        convert_attribute=True,
    )
    return path


def checkpoint_folder(folder: Path) -> Path:
    path = folder / "best"
    state = {"dense_1.weight": KERNEL, "dense_1.bias": BIAS, "adam.m.dense_1.weight": 0 * KERNEL}
    roles = {"dense_1.weight": "weight", "dense_1.bias": "bias", "adam.m.dense_1.weight": "slot"}
    checkpoint.write(path, Checkpoint(state, 1, 2), roles, "0" * 64)
    return path


def checkpoint_file(folder: Path) -> Path:
    return checkpoint_folder(folder) / "weights.safetensors"


def copied_file(folder: Path) -> Path:
    """A checkpoint's weights by themselves, which say who wrote them."""
    path = folder / "copied.safetensors"
    path.write_bytes(checkpoint_file(folder).read_bytes())
    return path


def run_directory(folder: Path) -> Path:
    path = folder / "run"
    (path / "checkpoints").mkdir(parents=True)
    checkpoint_folder(path / "checkpoints")
    told = {"model": "m", "state": [], "final": "best"}
    (path / "manifest.json").write_text(json.dumps(told))
    return path


def tfjs(folder: Path, quantization: dict[str, Any] | None = None, layers: bool = True) -> Path:
    path = folder / "tfjs"
    path.mkdir()
    data, entries = b"", []
    for name, array in (("dense_1/kernel", KERNEL), ("dense_1/bias", BIAS)):
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": "float32"}
        raw = array
        if quantization is not None:
            entry["quantization"] = quantization
            raw = array.astype(np.float16)
            if quantization["dtype"] != "float16":
                steps = (array.astype(np.float64) - quantization["min"]) / quantization["scale"]
                raw = np.rint(steps).astype(quantization["dtype"])
        data += raw.tobytes()
        entries.append(entry)
    # Numbers may be cut anywhere.
    (path / "group1-shard1of2.bin").write_bytes(data[:5])
    (path / "group1-shard2of2.bin").write_bytes(data[5:])
    group = {"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"], "weights": entries}
    form = "layers-model" if layers else "graph-model"
    told = {"format": form, "modelTopology": {}, "weightsManifest": [group]}
    (path / "model.json").write_text(json.dumps(told))
    return path / "model.json"


def tfjs_half(folder: Path) -> Path:
    return tfjs(folder, {"dtype": "float16"}, layers=False)


def tfjs_folder(folder: Path) -> Path:
    return tfjs(folder).parent
