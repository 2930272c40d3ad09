"""The map of ARCHITECTURE.md is the tree, imports go down it, and none goes in a circle."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "deepdsl"

# A row of the map: | floor | [`room`](deepdsl/room) | what it is |
ROW = re.compile(r"^\| (\d+) \| \[`([\w.]+)`\]\((?:deepdsl/)?([\w./]+)\) \| (.+?) \|$", re.M)
MAP = {
    name: (int(floor), sentence)
    for floor, name, _, sentence in ROW.findall(
        (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    )
}


def module_of(file: Path) -> str:
    """The dotted name of a file's module; `backends/` and `grammar/` are installed in deepdsl."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "deepdsl" else ("deepdsl", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_of(file): file
    for folder in ("deepdsl", "backends", "grammar")
    for file in sorted((ROOT / folder).rglob("*.py"))
}


@cache
def imports(module: str) -> tuple[tuple[str, int], ...]:
    """Our modules that a module imports, with the line: in functions and for types, too."""
    return tuple((name, line) for name, line in _imports(FILES[module]) if name in FILES)


def _imports(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # in backends/, which is a package of its own in the tree
                base = f"{module_of(file).rpartition('.')[0]}.{base}".rstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in FILES else base, node.lineno


def room(module: str) -> str:
    """The package or module at the first level of deepdsl."""
    return module.split(".")[1] if "." in module else "__init__"


# The map -----------------------------------------------------------------------------------------


def test_the_map_has_every_room_and_no_other() -> None:
    rooms = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert set(MAP) == {*rooms - {"__init__", "__main__"}, "backends", "grammar"}


def test_the_first_level_stays_small() -> None:
    assert len([p for p in PACKAGE.iterdir() if (p / "__init__.py").exists()]) <= 12
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("name", sorted(MAP))
def test_a_room_says_in_one_sentence_what_it_is(name: str) -> None:
    opening = ast.get_docstring(ast.parse(FILES[f"deepdsl.{name}"].read_text(encoding="utf-8")))
    assert opening is not None
    sentence = " ".join(opening.split("\n\n")[0].split())
    assert sentence.removesuffix(".") == MAP[name][1]


# Imports -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_go_down(module: str) -> None:
    if module in ("deepdsl", "deepdsl.__main__"):
        return  # The package's own names, and `python -m deepdsl`, stand above all rooms.
    floor = MAP[room(module)][0]
    up = [
        f"{module}:{line} imports {name}"
        for name, line in imports(module)
        if room(name) != room(module) and MAP[room(name)][0] >= floor
    ]
    assert not up, "\n".join(up)


def circles(arrows: Mapping[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in arrows[node]:
            if target not in index:
                visit(target)
            if target in stack:
                low[node] = min(low[node], low[target])
        if low[node] == index[node]:
            component = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(component)

    for node in arrows:
        if node not in index:
            visit(node)
    return found


def test_circles_finds_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [{"b", "c"}]


def test_no_imports_go_in_a_circle() -> None:
    arrows = {module: {name for name, _ in imports(module)} - {module} for module in FILES}
    assert circles(arrows) == []


def test_no_packages_go_in_a_circle() -> None:
    """Neither do the packages within a room: language.analysis and language.lints, say."""

    def package(module: str) -> str:
        return ".".join(module.split(".")[:3])

    arrows: dict[str, set[str]] = {package(module): set() for module in FILES}
    for module in FILES:
        for name, _ in imports(module):
            here, there = package(module), package(name)
            if here != there and not here.startswith(f"{there}."):
                arrows[here].add(there)
    assert circles(arrows) == []


# Libraries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    # ONNX files are written by one package and read by another.
    ("library", "homes"),
    [
        ("onnx", {"deepdsl.graph.emit", "deepdsl.transfer.onnx_import"}),
        ("onnxruntime", {"deepdsl.backends"}),
    ],
)
def test_a_library_has_one_home(library: str, homes: set[str]) -> None:
    users = {
        module
        for module, file in FILES.items()
        for name, _ in _imports(file)
        if name.split(".")[0] == library
    }
    assert {home for home in homes if any(user.startswith(home) for user in users)} == homes
    assert [user for user in users if not user.startswith(tuple(homes))] == []


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


# Names -------------------------------------------------------------------------------------------


def test_a_class_name_stands_for_one_thing() -> None:
    """The syntax tree's classes are exempt: they are named after what they are the syntax of, are
    written `ast.Layer` everywhere, and `dnnc build --emit ast` prints these names.
    """
    homes: dict[str, set[str]] = {}
    for module, file in FILES.items():
        if module != "deepdsl.language.syntax.ast":
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    homes.setdefault(node.name, set()).add(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
