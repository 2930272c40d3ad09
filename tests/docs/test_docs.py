"""What the documents show is what happens: programs, commands with their output, and Python.

In a `console` block, a command that begins with `dnnc` or `python` is run, in one folder for the
whole document, which holds `examples/` and a few rows of the digits.  What is shown under it must
be what it prints, stdout and stderr together: a line `…` stands for any lines, a `…` inside a line
for any text, a decimal number for one within 0.05, and everything else for itself.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import ROOT

from deepdsl.compiler.build import build, write_artifacts
from deepdsl.compiler.front_end import check, load_program, read_source
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.data.order import epoch_order
from deepdsl.diagnostics.vocabulary import planned
from deepdsl.graph.backend import open_backend
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint

EXAMPLES = ROOT / "examples"
WRITTEN = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/guide.md",
    "docs/language.md",
    "docs/zoo.md",
]
NEAR = 0.05
DNNC = "from deepdsl.cli import main; raise SystemExit(main())"


@dataclass(frozen=True)
class Block:
    """A fenced block of a document; `mark` is the comment on the line before it."""

    line: int
    language: str
    text: str
    mark: str


def blocks(document: str) -> Iterator[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    fence = r"^( *)(?:<!-- ([^\n]*) -->\n *)?```(\w*)\n(.*?)^\1```$"
    for found in re.finditer(fence, text, re.S | re.M):
        line = text.count("\n", 0, found.start(3)) + 1
        yield Block(line, found[3], textwrap.dedent(found[4]), found[2] or "")


def programs(document: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{document}:{block.line}")
        for block in blocks(document)
        if block.language == "dnn"
    ]


# Programs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [p for d in WRITTEN for p in programs(d)])
def test_a_program_gives_what_its_mark_says(block: Block) -> None:
    """`<!-- gives E101 E201 -->` names the codes; without a mark there are none."""
    marked = re.match(r"gives ((?:[EW]\d+ ?)+)", block.mark)
    _, report = check(Source("block.dnn", block.text))
    assert sorted({d.code for d in report}) == (marked[1].split() if marked else [])


def test_pages_are_about_their_codes() -> None:
    """What only shows with data at hand is found by the tests of the pages, which have the data.

    A page about syntax may speak of what cannot be compiled yet, or is not used.
    """
    for block in blocks("docs/messages.md"):
        _, report = check(Source("block.dnn", block.text))
        beside = {"E107", "W401", block.mark.removeprefix("gives ")}
        assert {d.code for d in report} <= beside, f"docs/messages.md:{block.line}"


# Commands and Python ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a document's commands are run."""
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("*.npz"))
    save_digits(tmp_path)
    return tmp_path


def save_digits(place: Path) -> None:
    with (files("deepdsl.data") / "digits.npz").open("rb") as file:
        digits = dict(np.load(file))
    for name, rows in (("digits", ~digits["test"]), ("digits_test", digits["test"])):
        np.savez(place / name, x=digits["x"][rows], y=digits["y"][rows])
    np.save(place / "rows.npy", digits["x"][digits["test"]][:3])


def run(command: Sequence[str], folder: Path, succeeds: bool = False) -> str:
    """What a command prints, stdout and stderr together."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    made = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert made.returncode == 0 or not succeeds, made.stdout
    return made.stdout


@pytest.mark.parametrize("document", WRITTEN)
def test_a_document_shows_what_happens(document: str, folder: Path) -> None:
    for block in blocks(document):
        where = f"{document}:{block.line}"
        if (named := re.search(r"file (\S+)", block.mark)) is not None:
            (folder / named[1]).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            run([sys.executable, "-W", "error", "-c", block.text], folder, succeeds=True)
        elif block.language == "console":
            run_console(block.text, folder, where)


def run_console(text: str, folder: Path, where: str) -> None:
    for command, shown in commands(text):
        if command.split()[0] in ("dnnc", "python"):
            printed = run(shlex.split(command), folder)
            assert matches(shown, printed.splitlines()), f"{where}: {command}\n{printed}"


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines shown under it."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        yield command.partition("  #")[0], shown


def matches(shown: Sequence[str], printed: Sequence[str]) -> bool:
    if not shown:
        return not printed
    if shown[0].strip() == "…":
        return any(
            matches(shown[1:], printed[i:]) if shown[1:] else True for i in range(len(printed) + 1)
        )
    if not printed or not same_line(shown[0], printed[0]):
        return False
    return matches(shown[1:], printed[1:])


NUMBER = r"-?\d+\.\d+(?:e-?\d+)?"


def same_line(shown: str, printed: str) -> bool:
    """Whether a printed line is the shown one, but for what `…` and decimal numbers leave open."""
    parts = re.split(rf"({NUMBER}|…)", shown.rstrip())
    numbers = [float(p) for p in parts[1::2] if p != "…"]
    pattern = "".join(
        re.escape(p) if i % 2 == 0 else (".*?" if p == "…" else rf"({NUMBER})")
        for i, p in enumerate(parts)
    )
    found = re.fullmatch(pattern, printed.rstrip())
    return found is not None and all(
        abs(float(have) - want) <= NEAR for have, want in zip(found.groups(), numbers, strict=True)
    )


def test_the_rule_of_matching() -> None:
    printed = ["loss 0.4821  12 rows", "a", "b", "run: runs/x"]
    assert matches(["loss 0.4800  12 rows", "…", "run: runs/…"], printed)
    assert matches(["…"], printed)
    assert not matches(["loss 0.4000  12 rows", "…"], printed)
    assert not matches(["loss 0.4800  13 rows", "…"], printed)
    assert not matches(["…", "b"], printed)
    assert not matches([], printed)


# Generated pages and links ------------------------------------------------------------------------


def test_generated_pages_are_up_to_date() -> None:
    script = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    made = subprocess.run(script, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr


def test_every_name_that_is_not_built_is_listed() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = text[text.index("## Known and not compiled yet") :]
    for kind in ("layer", "loss", "metric", "optimizer", "schedule", "source", "data", "train"):
        assert all(f"`{name}`" in listed for name in planned(kind))


@pytest.mark.parametrize("document", [*WRITTEN, "docs/reference.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / document).parent / name if name else ROOT / document
        assert file.exists(), f"{document}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            assert anchor in {slug(h) for h in headings}, f"{document}: {target}"


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# Examples -----------------------------------------------------------------------------------------

FILES = sorted(EXAMPLES.glob("*.dnn"))
NEEDS_A_DOWNLOAD = {"fashion.dnn", "resnet20.dnn"}
# Those that stand on another training.
STANDING = {"transfer.dnn", "pretrain.dnn"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_an_example_is_clean(file: Path) -> None:
    for command in ("check --strict", "fmt --check"):
        made = subprocess.run(
            [sys.executable, "-c", DNNC, *command.split(), str(file)],
            capture_output=True,
            text=True,
        )
        assert (made.returncode, made.stderr) == (0, ""), made.stdout + made.stderr


class Memory:
    """Keeps no checkpoint and all records."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def save(self, name: str, checkpoint: Checkpoint) -> None: ...

    def load(self, name: str) -> Checkpoint | None:
        return None

    def log(self, record: Any) -> None:
        self.records.append(record)


def opened(file: Path, batch: int | None = None, epochs: int = 1) -> Any:
    """An example's job."""
    text = re.sub(r"epochs( +)\d+", rf"epochs\g<1>{epochs}", read_source(file).text)
    # A whole book takes minutes.
    text = text.replace("train builtin alice", "train builtin alice; take 100")
    if batch is not None:
        text = re.sub(r"batch( +)\d+", rf"batch\g<1>{batch}", text)
    program, _ = load_program(Source(str(file), text))
    (training,) = program.trainings
    return open_job(program, training, file.parent)


@pytest.mark.parametrize(
    "file",
    [f for f in FILES if f.name not in NEEDS_A_DOWNLOAD | STANDING],
    ids=lambda f: f.name,
)
def test_an_example_trains(file: Path, folder: Path) -> None:
    run([sys.executable, "examples/make_pairs.py"], folder, succeeds=True)
    job = opened(folder / "examples" / file.name, batch=500)
    keeper = Memory()
    Trainer(job, build(job), open_backend("cpu", 1), keeper).run()
    (record,) = keeper.records
    assert all(np.isfinite(v).all() for v in (*record.train.values(), *record.valid.values()))


def test_examples_that_stand_on_others_train(folder: Path) -> None:
    def train(file: str) -> str:
        command = [sys.executable, "-c", DNNC, "train", f"examples/{file}", "--epochs", "2"]
        return run(command, folder, succeeds=True)

    train("digits.dnn")
    assert "body: 4 tensors unchanged in warm_up" in train("transfer.dnn")
    both = train("pretrain.dnn")
    assert "weights of `coder.encoder` from runs/pretrain-coder" in both
    assert "body: 4 tensors unchanged" in both


# The step in another host -------------------------------------------------------------------------


def host(folder: Path) -> Any:
    """The host of examples/run_step.py."""
    spec = importlib.util.spec_from_file_location("run_step", EXAMPLES / "run_step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Host(folder)


def test_the_host_needs_no_deepdsl(tmp_path: Path) -> None:
    job = opened(EXAMPLES / "digits.dnn")
    write_artifacts(build(job), tmp_path / "mlp")
    save_digits(tmp_path)
    script = (
        "import runpy, sys\n"
        "sys.argv[1:] = ['mlp', '--epochs', '3', '--test', 'digits_test.npz']\n"
        f"runpy.run_path({str(EXAMPLES / 'run_step.py')!r}, run_name='__main__')\n"
        "assert not {m.split('.')[0] for m in sys.modules} & {'deepdsl', 'onnx', 'lark'}"
    )
    made = run([sys.executable, "-c", script], tmp_path, succeeds=True)
    losses = [float(x) for x in re.findall(r"^epoch \d+  loss (\S+)", made, re.M)]
    assert len(losses) == 3, made
    assert losses[2] < 0.5 * losses[0]
    (accuracy,) = re.findall(r"^test .* accuracy (\S+)", made, re.M)
    assert float(accuracy) > 0.85


@pytest.mark.parametrize("name", ["digits.dnn", "two_moons.dnn", "pairs.dnn"])
def test_a_host_trains_as_the_trainer_does(name: str, folder: Path) -> None:
    """Fed with the same batches, the losses and the final state are the trainer's own."""
    run([sys.executable, "examples/make_pairs.py"], folder, succeeds=True)
    job = opened(folder / "examples" / name, epochs=2)
    artifacts = build(job)
    keeper = Memory()
    outcome = Trainer(job, artifacts, open_backend("cpu", 1), keeper).run()
    write_artifacts(artifacts, folder / "built")
    other = host(folder / "built")
    data = rows_of(job, artifacts)
    for record in keeper.records:
        order = epoch_order(other.manifest["seed"], record.number - 1, len(job.splits.train))
        figures = other.epoch(data, order)
        for metric in other.metrics:
            assert figures[metric] == pytest.approx(record.train[metric], rel=1e-4, abs=1e-6)
    for path, value in outcome.state.items():
        np.testing.assert_allclose(other.state[path], value, rtol=1e-3, atol=1e-4)


def rows_of(job: Any, artifacts: Any) -> dict[str, Any]:
    """The training rows as raw arrays, as a host would have them."""
    rows = len(job.splits.train)
    kinds = {"f32": np.float32, "i64": np.int64}
    data = {
        i["name"]: np.empty((rows, *i["shape"][1:]), kinds[i["dtype"]])
        for i in artifacts.manifest["step"]["inputs"]
    }
    job.splits.train.read(np.arange(rows), data)
    return data
