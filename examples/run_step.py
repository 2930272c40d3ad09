"""Train from the files that `dnnc build` writes, with numpy and onnxruntime alone.

    dnnc build digits.dnn -o build
    python run_step.py build/mlp [--data digits.npz] [--test digits_test.npz] [--epochs 5]

Nothing of deepdsl is imported: what a host must know stands in `manifest.json`, and a host in
another language does the same.  The data is an npz file with an array for each input of the step,
named as the manifest names it; where there is one input, `x` serves, and `y` serves for `target`.
The rows are raw: preprocessing is in the graphs.  The digits that come with the package:

    python -c "
    import numpy as np
    from importlib.resources import files
    d = np.load(files('deepdsl.data') / 'digits.npz')
    for name, rows in (('digits', ~d['test']), ('digits_test', d['test'])):
        np.savez(name, x=d['x'][rows], y=d['y'][rows])"
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort

DTYPES = {
    "f32": np.float32,
    "f64": np.float64,
    "i64": np.int64,
    "i32": np.int32,
    "u32": np.uint32,
    "u8": np.uint8,
    "bool": np.bool_,
}


class Host:
    """The training step and its state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        # The whole initial state: weights, optimizer slots, running statistics, the step counter.
        initial = self._session("init")
        names = [output.name for output in initial.get_outputs()]
        self.state = dict(zip(names, initial.run(names, {}), strict=True))
        self.step_session = self._session("step")
        self.eval_session = self._session("eval")
        # A state tensor's next value is an output of the step; one without never changes.
        self.following = {t["name"]: t["next"] for t in self.manifest["state"] if t["next"]}
        # `loss` is the mean over the rows of a batch, every other metric the sum over them.  One
        # with a number for each row (auc) is the host's to finish; this host leaves it out.
        scalars = [o["name"] for o in self.manifest["step"]["outputs"] if o["shape"] == []]
        self.metrics = [name for name in self.manifest["metrics"] if name in scalars]

    def _session(self, graph: str) -> ort.InferenceSession:
        file = self.folder / self.manifest[graph]["file"]
        return ort.InferenceSession(file, providers=["CPUExecutionProvider"])

    def _feeds(self, graph: str, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """State and batch, by the names of the graph's inputs."""
        told = self.manifest[graph]
        feeds = {name: self.state[name] for name in told["state"]}
        feeds.update({i["name"]: batch[i["name"]] for i in told["inputs"]})
        return feeds

    def step(self, batch: dict[str, np.ndarray]) -> dict[str, float]:
        """One training step: state and batch in, next state and figures out."""
        wanted = [*self.metrics, "lr", "all_finite"]
        made = self.step_session.run(
            [*wanted, *self.following.values()], self._feeds("step", batch)
        )
        figures = dict(zip(wanted, made, strict=False))
        if not figures["all_finite"]:
            raise FloatingPointError("the loss or a gradient is not finite; the state is unchanged")
        # What the step gave out as next values is what the next step takes in.
        self.state.update(zip(self.following, made[len(wanted) :], strict=True))
        return {name: float(value) for name, value in figures.items()}

    def evaluate(self, data: dict[str, np.ndarray], rows_at_once: int = 1024) -> dict[str, float]:
        """The loss and metrics of the present state over all rows."""
        sums = dict.fromkeys(self.metrics, 0.0)
        rows = len(next(iter(data.values())))
        for start in range(0, rows, rows_at_once):
            batch = {name: values[start : start + rows_at_once] for name, values in data.items()}
            made = self.eval_session.run(self.metrics, self._feeds("eval", batch))
            add(sums, dict(zip(self.metrics, made, strict=True)), batch)
        return {name: total / rows for name, total in sums.items()}

    def epoch(self, data: dict[str, np.ndarray], order: np.ndarray) -> dict[str, float]:
        """Train on all rows once, in an order; the mean loss and metrics on the way."""
        sums = dict.fromkeys(self.metrics, 0.0)
        size = self.manifest["batch"]
        for start in range(0, len(order), size):
            picked = order[start : start + size]
            batch = {name: values[picked] for name, values in data.items()}
            add(sums, self.step(batch), batch)
        return {name: total / len(order) for name, total in sums.items()}

    def read(self, file: Path) -> dict[str, np.ndarray]:
        """The arrays of an npz file, in the shapes and types that the step takes."""
        data = {}
        with np.load(file) as arrays:
            inputs = self.manifest["step"]["inputs"]
            others = [i["name"] for i in inputs if i["name"] != "target"]
            short = {"target": "y", others[0]: "x"} if len(others) == 1 else {"target": "y"}
            for told in inputs:
                name = told["name"]
                found = arrays[name if name in arrays else short.get(name, name)]
                # The first dimension is the rows.
                shape = (len(found), *told["shape"][1:])
                data[name] = np.ascontiguousarray(found, DTYPES[told["dtype"]]).reshape(shape)
        return data


def add(sums: dict[str, float], made: dict[str, float], batch: dict[str, np.ndarray]) -> None:
    """Add a batch's figures to the sums over rows."""
    rows = len(next(iter(batch.values())))
    for name in sums:
        sums[name] += float(made[name]) * (rows if name == "loss" else 1)


def show(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that `dnnc build` wrote")
    parser.add_argument("--data", type=Path, default=Path("digits.npz"), help="rows to train on")
    parser.add_argument("--test", type=Path, help="rows to evaluate on")
    parser.add_argument("--epochs", type=int, help="the file's own by default")
    options = parser.parse_args()

    host = Host(options.folder)
    data = host.read(options.data)
    rows = len(next(iter(data.values())))
    # Any order trains; this one is a function of the seed and the epoch.
    for epoch in range(options.epochs or host.manifest["epochs"]):
        order = np.random.default_rng([host.manifest["seed"], epoch]).permutation(rows)
        print(f"epoch {epoch + 1}  {show(host.epoch(data, order))}")
    if options.test:
        print(f"test     {show(host.evaluate(host.read(options.test)))}")


if __name__ == "__main__":
    main()
