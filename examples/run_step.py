"""Train from the files that `dnnc build` writes, with numpy and onnxruntime alone.

    dnnc build digits.dnn -o build
    python run_step.py build/mlp [--data digits.npz] [--test digits_test.npz] [--epochs 5]
        [--valid digits_valid.npz]

Nothing of deepdsl is imported: what a host must know is in `manifest.json`, and a host in
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
        initial = self._session(self.manifest["init"])
        names = [output.name for output in initial.get_outputs()]
        self.state = dict(zip(names, initial.run(names, {}), strict=True))
        self.initial = dict(self.state)
        self.eval_session = self._session(self.manifest["eval"])
        self.enter(self.manifest["phases"][0])
        # `loss` is the mean over the rows of a batch, every other metric a sum over them, of a
        # number or of a table, which `finish` says how to make a figure of.  What has a number for
        # each row (auc) would have to be collected; this host leaves it out.
        told = {o["name"]: o for o in self.phase["step"]["outputs"]}
        self.finish = {
            name: told[name]["finish"]
            for name in self.manifest["metrics"]
            if "N" not in told[name]["shape"]
        }
        self.metrics = list(self.finish)

    def _session(self, told: dict) -> ort.InferenceSession:
        return ort.InferenceSession(self.folder / told["file"], providers=["CPUExecutionProvider"])

    def enter(self, phase: dict) -> None:
        """Begin a phase: it has a step of its own, and the state carries over."""
        self.phase = phase
        self.step_session = self._session(phase["step"])
        # A state tensor's next value is an output of the step; one without never changes.
        self.following = phase["next"]
        # The optimizer's state of what was not trained before starts again.
        self.state.update({name: self.initial[name] for name in phase["fresh"]})
        if phase["begun"]:
            # The schedule and Adam's t count from here.
            self.state[phase["begun"]] = np.array(self.state["step"])

    def _feeds(self, told: dict, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """State and batch, by the names of the graph's inputs."""
        feeds = {name: self.state[name] for name in told["state"]}
        feeds.update({i["name"]: batch[i["name"]] for i in told["inputs"]})
        return feeds

    def step(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One training step: state and batch in, next state and figures out."""
        wanted = [*self.metrics, "lr", "all_finite"]
        made = self.step_session.run(
            [*wanted, *self.following.values()], self._feeds(self.phase["step"], batch)
        )
        figures = dict(zip(wanted, made, strict=False))
        if not figures["all_finite"]:
            raise FloatingPointError("the loss or a gradient is not finite; the state is unchanged")
        # What the step gave out as next values is what the next step takes in.
        self.state.update(zip(self.following, made[len(wanted) :], strict=True))
        return figures

    def evaluate(self, data: dict[str, np.ndarray], rows_at_once: int = 1024) -> dict[str, object]:
        """The loss and metrics of the present state over all rows."""
        sums: dict[str, np.ndarray] = {}
        rows = len(next(iter(data.values())))
        for start in range(0, rows, rows_at_once):
            batch = {name: values[start : start + rows_at_once] for name, values in data.items()}
            made = self.eval_session.run(self.metrics, self._feeds(self.manifest["eval"], batch))
            add(sums, dict(zip(self.metrics, made, strict=True)), batch)
        return self._figures(sums, rows)

    def epoch(self, data: dict[str, np.ndarray], order: np.ndarray) -> dict[str, object]:
        """Train on all rows once, in an order; the mean loss and metrics on the way."""
        sums: dict[str, np.ndarray] = {}
        size = self.manifest["batch"]
        for start in range(0, len(order), size):
            picked = order[start : start + size]
            batch = {name: values[picked] for name, values in data.items()}
            made = self.step(batch)
            add(sums, {name: made[name] for name in self.metrics}, batch)
        return self._figures(sums, len(order))

    def _figures(self, sums: dict[str, np.ndarray], rows: int) -> dict[str, object]:
        return {name: figure(self.finish[name], total, rows) for name, total in sums.items()}

    def read(self, file: Path) -> dict[str, np.ndarray]:
        """The arrays of an npz file, in the shapes and types that the step takes."""
        data = {}
        with np.load(file) as arrays:
            inputs = self.phase["step"]["inputs"]
            others = [i["name"] for i in inputs if i["name"] != "target"]
            short = {"target": "y", others[0]: "x"} if len(others) == 1 else {"target": "y"}
            for told in inputs:
                name = told["name"]
                found = arrays[name if name in arrays else short.get(name, name)]
                # The first dimension is the rows.
                shape = (len(found), *told["shape"][1:])
                data[name] = np.ascontiguousarray(found, DTYPES[told["dtype"]]).reshape(shape)
        return data


def add(
    sums: dict[str, np.ndarray], made: dict[str, np.ndarray], batch: dict[str, np.ndarray]
) -> None:
    """Add a batch's figures to the sums over rows, in float64."""
    rows = len(next(iter(batch.values())))
    for name, value in made.items():
        weight = rows if name == "loss" else 1
        sums[name] = sums.get(name, 0) + weight * np.asarray(value, np.float64)


def figure(finish: str, total: np.ndarray, rows: int) -> object:
    """What the sum over all rows comes to."""
    how, _, average = finish.partition(" ")
    if how == "counts":
        return (total if total.ndim == 2 else total.sum(0)).astype(int).tolist()
    if how == "r2":
        error, once, squares = total
        spread = squares - once * once / rows
        flat = spread <= 1e-13 * squares
        return float(np.where(flat, error == 0, 1 - error / np.where(flat, 1, spread)).mean())
    if how in ("precision", "recall", "f1"):
        return quotient(how, average, total)
    mean = float(total) / rows
    if how == "exp":
        return float(np.exp(mean))
    return mean**0.5 if finish == "root of the mean" else mean


def quotient(how: str, average: str, counts: np.ndarray) -> float:
    """Precision, recall or F1 of a table [truth, prediction] of classes, or of a table of no and
    yes for each output.
    """
    if counts.ndim == 2:
        right, predicted, actual = counts.diagonal(), counts.sum(0), counts.sum(1)
        right, predicted, actual = np.stack([right, predicted, actual])[:, predicted + actual > 0]
    else:
        right, predicted, actual = counts[:, 1, 1], counts[:, :, 1].sum(1), counts[:, 1].sum(1)
    above = 2 * right if how == "f1" else right
    below = {"precision": predicted, "recall": actual, "f1": predicted + actual}[how]
    if average == "micro":
        above, below = above.sum(keepdims=True), below.sum(keepdims=True)
    # What divides by nothing counts as 0.
    shares = above / np.maximum(below, 1)
    weights = actual if average == "weighted" else np.ones_like(shares)
    return float((shares * weights).sum() / max(weights.sum(), 1))


class Plateau:
    """Lowers the rate between epochs: the only part of a schedule that is not in the graph.

    The step multiplies its rate with a state tensor, which the manifest's `plateau` names and which
    no step changes.
    """

    def __init__(self, told: dict) -> None:
        self.told, self.best, self.waited, self.resting = told, None, 0, 0

    def epoch_done(self, value: float, state: dict[str, np.ndarray]) -> None:
        """Note the value of `on` after an epoch; the factor in the state falls when it is due."""
        told, factor = self.told, float(state[self.told["state"]])
        resting, self.resting = self.resting > 0, max(0, self.resting - 1)
        sign = 1 if told["best"] == "max" else -1
        better = self.best is None or sign * (value - self.best) > told["min_delta"]
        if better and value == value:
            self.best, self.waited = value, 0
        elif not resting:
            self.waited += 1
            if self.waited >= told["patience"] and factor > told["lowest"]:
                self.waited, self.resting = 0, told["cooldown"]
                lowered = max(factor * told["factor"], told["lowest"])
                state[told["state"]] = np.array(lowered, np.float64)


def show(figures: dict[str, object]) -> str:
    """One line; a table of counts is left out."""
    numbers = {name: value for name, value in figures.items() if not isinstance(value, list)}
    return "  ".join(f"{name} {value:.4f}" for name, value in numbers.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that `dnnc build` wrote")
    parser.add_argument("--data", type=Path, default=Path("digits.npz"), help="rows to train on")
    parser.add_argument("--test", type=Path, help="rows to evaluate on")
    parser.add_argument("--valid", type=Path, help="rows for the schedule `plateau` to watch")
    parser.add_argument("--epochs", type=int, help="in each phase; the file's own by default")
    options = parser.parse_args()

    host = Host(options.folder)
    data = host.read(options.data)
    rows = len(next(iter(data.values())))
    valid = host.read(options.valid) if options.valid else None
    done, plateau = 0, None
    for number, phase in enumerate(host.manifest["phases"]):
        host.enter(phase)
        # A phase in which layers unfreeze is in two of these, with one name: it watches on.
        if not number or phase["name"] != host.manifest["phases"][number - 1]["name"]:
            plateau = Plateau(phase["plateau"]) if phase["plateau"] else None
        if plateau and plateau.told["on"].startswith("valid.") and valid is None:
            parser.error(f"the schedule watches {plateau.told['on']}: give its rows with --valid")
        for _ in range(options.epochs or phase["epochs"]):
            # Any order trains; this one is a function of the seed and the epoch.
            order = np.random.default_rng([host.manifest["seed"], done]).permutation(rows)
            figures = host.epoch(data, order)
            done += 1
            print(f"epoch {done}  {show(figures)}")
            if plateau:
                split, _, name = plateau.told["on"].partition(".")
                watched = host.evaluate(valid) if split == "valid" else figures
                plateau.epoch_done(float(watched[name]), host.state)
    if options.test:
        print(f"test     {show(host.evaluate(host.read(options.test)))}")


if __name__ == "__main__":
    main()
