"""Write pairs.npz and pairs_test.npz for pairs.dnn: two digits each, and whether they are the same.

python make_pairs.py [FOLDER]
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

SEED = 42
PAIRS = {"pairs.npz": 8000, "pairs_test.npz": 1000}


def pairs(x: np.ndarray, y: np.ndarray, count: int, rng: np.random.Generator) -> dict:
    """`count` pairs of rows of `x`; about one half shows the same class."""
    first = rng.integers(0, len(x), count)
    second = rng.integers(0, len(x), count)
    for row in np.flatnonzero(rng.random(count) < 0.5):
        second[row] = rng.choice(np.flatnonzero(y == y[first[row]]))
    return {"x1": x[first], "x2": x[second], "same": (y[first] == y[second]).astype(np.uint8)}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    with (files("deepdsl.data") / "digits.npz").open("rb") as file:
        digits = dict(np.load(file))
    rng = np.random.default_rng(SEED)
    # Train and test pairs are made of different images.
    for (name, count), part in zip(PAIRS.items(), (~digits["test"], digits["test"]), strict=True):
        np.savez_compressed(
            folder / name, **pairs(digits["x"][part], digits["y"][part], count, rng)
        )
        print(f"{folder / name}: {count:,} pairs")


if __name__ == "__main__":
    main()
