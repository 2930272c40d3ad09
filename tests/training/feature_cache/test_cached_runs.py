"""Whole runs of `dnnc train` with and without kept outputs: the same logs, the same checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from deepdsl.cli import main

NET = """
model m {
  input x[8 8]
  part body { flatten | dense 64 | batch_norm | elu | dropout 20% | dense 33 | selu }
  part head { dropout 20% | dense 10 | softmax }
}
data d { train builtin digits; take 230; valid split=25%; standardize }
train m on d {
  loss cross_entropy; metric accuracy top5
  optimizer adam lr=0.01
  batch 16; epochs 4; seed 7
"""

# The rest of the train section; `CACHE` stands for what is said of the cache.
RUNS = {
    "frozen to the end": "freeze body CACHE }",
    "thawed after two epochs": "freeze body until=2 CACHE }",
    "restoring the best": "freeze body CACHE; stop patience=2 on=valid.loss restore=best }",
    "phases": """
      phase head { freeze body CACHE; epochs 2 }
      phase deeper { freeze body.dense_1 body.batch_norm_1 CACHE; epochs 2; optimizer sgd lr=0.01 }
      phase all { unfreeze body; lr_mult body=0.1; epochs 1 }
    }""",
    "groups of batches, clipped, a plateau": """freeze body CACHE; accumulate 3
      clip global_norm=0.1; schedule plateau on=train.loss patience=1 }""",
}


def run(folder: Path, name: str, rest: str, cache: str, *more: str) -> Path:
    file = folder / f"{name}.dnn"
    file.write_text(NET + rest.replace("CACHE", cache))
    place = folder / "runs" / name
    assert main(["train", str(file), "-o", str(place), "--threads", "1", "-q", *more]) == 0
    return place


def epochs(place: Path) -> list[dict[str, Any]]:
    """The log, apart from times."""
    lines = (place / "log.jsonl").read_text().splitlines()
    times = ("wall_s", "rows_per_s", "data_wait_s")
    return [{k: v for k, v in json.loads(t).items() if k not in times} for t in lines]


def bits(place: Path) -> dict[str, bytes]:
    folder = place / "checkpoints" / "last"
    return {
        name: value.tobytes()
        for file in sorted(folder.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


@pytest.mark.parametrize("cache", ["", "cache=ram", "cache=disk"])
@pytest.mark.parametrize("rest", RUNS.values(), ids=RUNS)
def test_runs_are_the_same(tmp_path: Path, rest: str, cache: str) -> None:
    whole, kept = run(tmp_path, "whole", rest, "cache=off"), run(tmp_path, "kept", rest, cache)
    assert epochs(kept) == epochs(whole)
    assert bits(kept) == bits(whole)
    assert (tmp_path / "runs" / ".cache" / "index.txt").exists() == (cache == "cache=disk")


def test_a_run_goes_on_with_kept_outputs(tmp_path: Path) -> None:
    """Two epochs and two more are four, whichever of them read what was kept."""
    rest = RUNS["frozen to the end"]
    whole = run(tmp_path, "whole", rest, "cache=off")
    kept = run(tmp_path, "kept", rest, "cache=disk", "--epochs", "2")
    assert len(epochs(kept)) == 2
    kept = run(tmp_path, "kept", rest, "cache=disk", "--resume")
    assert epochs(kept) == epochs(whole)
    assert bits(kept) == bits(whole)


def test_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.dnn"
    told = {}
    for cache in ("", "cache=off"):
        file.write_text(NET + RUNS["frozen to the end"].replace("CACHE", cache))
        place = tmp_path / "runs" / (cache or "kept")
        assert main(["train", str(file), "-o", str(place), "--threads", "1"]) == 0
        told[cache] = [t.strip() for t in capsys.readouterr().err.splitlines() if "cached" in t]
    (line,) = told[""]
    assert line.startswith("body: outputs cached for 172 + 58 rows (30 kB in memory, ")
    assert told["cache=off"] == ["not cached: cache=off"]


def test_numbers_that_go_wrong_behind_the_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tensor that is named is one of the rest, as it would be without a cache."""
    rest = "freeze body CACHE }"
    told = []
    for cache in ("cache=off", "cache=ram"):
        text = (NET + rest.replace("CACHE", cache)).replace("adam lr=0.01", "sgd lr=3e38")
        file = tmp_path / "net.dnn"
        file.write_text(text)
        place = tmp_path / "runs" / cache
        assert main(["train", str(file), "-o", str(place), "--threads", "1", "-q"]) == 5
        err = capsys.readouterr().err
        told.append([t for t in err.splitlines() if "E602" in t or "help" in t])
    assert told[0] == told[1]
    assert "E602" in told[0][0]


def test_rows_of_files_and_of_images(tmp_path: Path) -> None:
    """Images that are decoded when they are read, and rows to validate on from a folder of their
    own.
    """
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", 11), ("valid", 5)):
        for kind in ("cat", "dog"):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    text = """
model m {
  input image[3 8 8]
  part body { conv 4 3x3 | batch_norm | relu | global_avg_pool }
  part head { dense 6 | batch_norm | relu | dense 2 | softmax }
}
data d {
  train images "train" size=8x8
  valid images "valid" size=8x8
  normalize mean=[0.5] std=[0.25]
}
train m on d {
  loss cross_entropy; metric accuracy; optimizer adam; batch 4; epochs 2; seed 7
  freeze body CACHE }
"""
    places = {}
    for cache in ("cache=off", "cache=ram", "cache=disk"):
        file = tmp_path / "net.dnn"
        file.write_text(text.replace("CACHE", cache))
        places[cache] = tmp_path / "runs" / cache
        assert main(["train", str(file), "-o", str(places[cache]), "--threads", "1", "-q"]) == 0
    assert epochs(places["cache=ram"]) == epochs(places["cache=off"])
    assert epochs(places["cache=disk"]) == epochs(places["cache=off"])
    assert bits(places["cache=ram"]) == bits(places["cache=off"])
    assert bits(places["cache=disk"]) == bits(places["cache=off"])
