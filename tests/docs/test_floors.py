"""Imports go down or stay on their floor; onnx, onnxruntime and NumPy stay where they belong."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The floor of a module is that of its longest prefix here.
FLOORS = {
    0: "record registry source version vocabulary files diagnostics grammar",
    1: "ir syntax.ast",
    2: "ops initializers losses metrics optimizers regularizers schedules rows syntax settings"
    " transfer data data.request data.rows data.sources data.transforms"
    " data.augment data.images data.parquet",
    3: "analysis",
    4: "signals probe.graphs lower autodiff step pace plan passes fold lints fixes frontend"
    " inspection reading used_files quantize foreign frozen_prefix",
    5: "emit backend checkpoint interrupts judge reuse tally watch"
    " data.arrays data.csv_file data.csv_lines data.feeds data.files data.memory data.open_arrays"
    " data.open_csv data.order data.splits data.statistics data.table data.values"
    " data.ahead data.arrow_columns data.augmented data.decode data.draws data.image_folder"
    " data.open_images data.open_parquet data.pixels data.spool"
    " data.indices data.open_text",
    6: "compiler manifest stages observing trainer workflow predictor uncertainty export runs"
    " diagnose pages api backends charts drawing listeners lr_find probe report tensorboard"
    " image_rows features starter surgery sweep zoo",
    7: "cli __init__ __main__",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}

# Imports that go up, each inside a function or for types alone, with the reason.
ALLOWED = {
    ("data.sources", "data.open_arrays"): "a source opens itself; its reader is loaded then",
    ("data.sources", "data.open_csv"): "a source opens itself; its reader is loaded then",
    ("data.sources", "data.open_text"): "a source opens itself; its reader is loaded then",
    ("data.sources", "data.table"): "the type of what `open` returns",
    ("data.images", "data.open_images"): "a source opens itself; its reader is loaded then",
    ("data.images", "data.table"): "the type of what `open` returns",
    ("data.parquet", "data.open_parquet"): "a source opens itself; its reader is loaded then",
    ("data.parquet", "data.table"): "the type of what `open` returns",
    ("data.augment", "data.draws"): "the type of what `apply` is given",
    ("data.augment", "data.pixels"): "what it does to pixels; loaded when rows are read",
    ("data.transforms", "data.statistics"): "standardize is fitted when data is there",
    ("data.transforms", "data.table"): "the type of what `fit` is given",
    ("data", "data.memory"): "the package's names, loaded on first use",
    ("data", "data.order"): "the package's names, loaded on first use",
    ("data", "data.splits"): "the package's names, loaded on first use",
    ("data", "data.table"): "the package's names, loaded on first use",
}

FILES = sorted(
    p for folder in ("deepdsl", "backends", "grammar") for p in (ROOT / folder).rglob("*.py")
)


def module(file: Path) -> str:
    """The name of a file's module below `deepdsl`."""
    parts = list(file.relative_to(ROOT).with_suffix("").parts)
    parts = parts[1:] if parts[0] == "deepdsl" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module(file) for file in FILES}


def floor(name: str) -> int:
    while name not in FLOOR_OF:
        name, dot, _ = name.rpartition(".")
        assert dot, "give this module a floor"
    return FLOOR_OF[name]


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, anywhere in it, with the line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = f"deepdsl.{module(file).rpartition('.')[0]}.{base}".rstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                known = inner.removeprefix("deepdsl.") in MODULES
                yield inner if known else base, node.lineno


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_down_or_stay(file: Path) -> None:
    here = module(file)
    up = [
        f"{here} (floor {floor(here)}), line {line}, imports {target} (floor {floor(target)})"
        for name, line in imports(file)
        if name.startswith("deepdsl.")
        and floor(target := name.removeprefix("deepdsl.")) > floor(here)
        and (here, target) not in ALLOWED
    ]
    assert not up, "\n".join(up)


def test_every_allowance_is_used() -> None:
    made = {(module(f), n.removeprefix("deepdsl.")) for f in FILES for n, _ in imports(f)}
    assert set(ALLOWED) <= made


@pytest.mark.parametrize(
    # ONNX files are written by one package and read by another.
    ("package", "known"),
    [("onnx", {"emit", "foreign"}), ("onnxruntime", {"backends"})],
)
def test_a_runtime_has_one_home(package: str, known: set[str]) -> None:
    homes = {
        module(f).split(".")[0] for f in FILES for n, _ in imports(f) if n.split(".")[0] == package
    }
    assert homes == known


def test_check_is_light(tmp_path: Path) -> None:
    """`dnnc check` loads none of the large packages, so that it stays quick."""
    script = (
        "import json, sys\n"
        "from deepdsl.cli import main\n"
        "status = main(['check', '-q', *sys.argv[1:]])\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'safetensors', 'tqdm', 'PIL', 'pyarrow'}\n"
        "print(json.dumps([status, sorted(heavy & set(sys.modules))]))"
    )
    files = sorted(map(str, (ROOT / "examples").glob("*.dnn")))
    made = subprocess.run(
        [sys.executable, "-c", script, *files], capture_output=True, text=True, check=True
    )
    assert json.loads(made.stdout) == [0, []]
