"""What is installed is what is in the tree: wheel and source distribution are built and read."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOMES = PROJECT["tool"]["setuptools"]["package-dir"]


def test_every_folder_with_modules_is_a_package() -> None:
    for home in HOMES.values():
        for file in (ROOT / home).rglob("*.py"):
            assert (file.parent / "__init__.py").is_file(), file


def isolated() -> list[str]:
    """Nothing is fetched where the installed setuptools will do."""
    try:
        modern = int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        modern = False
    return ["--no-isolation"] if modern else []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and a source distribution, built from a copy of the tree."""
    place = tmp_path_factory.mktemp("packaging")
    no = shutil.ignore_patterns(
        ".*", "*.egg-info", "__pycache__", "build", "dist", "runs", "fashion"
    )
    shutil.copytree(ROOT, place / "tree", ignore=no)
    command = [sys.executable, "-m", "build", *isolated(), "--outdir", str(place / "dist")]
    made = subprocess.run([*command, str(place / "tree")], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return place / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (file,) = built.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_has_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tree = {
        f"{package.replace('.', '/')}/{file.relative_to(ROOT / home).as_posix()}"
        for package, home in HOMES.items()
        for file in (ROOT / home).rglob("*")
        if file.suffix in (".py", ".lark", ".npz", ".typed", ".md", ".json")
    }
    assert names == tree
    assert {
        "deepdsl/py.typed",
        "deepdsl/grammar/dnn.lark",
        "deepdsl/data/digits.npz",
        "deepdsl/data/DIGITS.md",
        "deepdsl/backends/cpu.py",
    } <= names


def test_the_wheel_names_its_commands_and_backends(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith("/entry_points.txt"))
    points = ConfigParser()
    points.read_string(wheel.read(name).decode())
    assert dict(points["console_scripts"]) == {"dnnc": "deepdsl.cli:main"}
    assert dict(points["deepdsl.backends"]) == {
        "cpu": "deepdsl.backends.cpu:CpuBackend",
        "cuda": "deepdsl.backends.cuda:CudaBackend",
    }


def test_the_wheel_says_licence_and_version(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    told = wheel.read(name).decode()
    assert "License-Expression: Apache-2.0" in told
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in wheel.namelist())
    from deepdsl import __version__

    assert f"\nVersion: {__version__}\n" in told


def test_the_wheel_runs_on_its_own(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """`check` finds its grammar, and `train` its digits, with nothing of the tree in sight."""
    wheel.extractall(tmp_path / "site")
    shutil.copy(ROOT / "examples" / "digits.dnn", tmp_path)
    script = (
        "import sys; sys.path.insert(0, 'site')\n"
        "import deepdsl; assert deepdsl.__file__.startswith(sys.argv[1]), deepdsl.__file__\n"
        "from deepdsl.cli import main\n"
        "raise SystemExit(main(['train', 'digits.dnn', '--epochs', '1']))"
    )
    made = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert "run: runs/digits" in made.stdout


def test_the_source_distribution_is_whole(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "Makefile",
        "pyproject.toml",
        "grammar/dnn.lark",
        "deepdsl/data/digits.npz",
        "docs/language.md",
        "examples/digits.dnn",
        "examples/run_step.py",
        "examples/two_moons.csv",
        "tests/samples/__init__.py",
        "tests/architecture/test_packaging.py",
    } <= names
    assert not any(name.endswith((".pyc", "pairs.npz")) for name in names)
