"""A run's curves: the loss and every metric, the learning rate, speed, and what a probe saw."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepdsl.insight.charts import Mark, Section, Series, figures, line_chart, paragraph
from deepdsl.insight.report.history import SPLITS, History, number

# More curves than this in one chart are not to be told apart.
MOST_LAYERS = 7


def curves_section(history: History, best: int | None) -> Section:
    if not history.records:
        return Section("Curves", paragraph("The log has no epoch.", "note"))
    return Section("Curves", figures(_charts(history, best)))


def _charts(history: History, best: int | None) -> Iterator[str]:
    epochs = history.epochs
    marks = [Mark(best, f"best: epoch {best}")] if best in epochs else []
    marks += _phases(history)
    for name in history.names:
        columns = {split: history.column(name, split) for split in SPLITS}
        # All of them NaN is worth a chart that says so; a split that is not there is not.
        series = [
            Series(split, epochs, values)
            for split, values in columns.items()
            if any(name in history.figures(at, split) for at in range(len(epochs)))
        ]
        yield line_chart(_title(name), series, "epoch", name, marks=marks)
    rates = [v for v in history.column("lr") if v > 0]
    far = bool(rates) and max(rates) > 30 * min(rates)
    yield _one("Learning rate", history, "lr", "learning rate", log_y=far)
    yield _one("Time of an epoch, training alone", history, "wall_s", "seconds")
    yield _one("Speed", history, "rows_per_s", "rows per second")


def _phases(history: History) -> Iterator[Mark]:
    """Where each phase after the first one begins."""
    phases = [record.get("phase") for record in history.records]
    for before, here, epoch in zip(phases, phases[1:], history.epochs[1:], strict=False):
        if isinstance(here, str) and here != before:
            yield Mark(epoch, here)


def _one(title: str, history: History, name: str, label: str, log_y: bool = False) -> str:
    series = [Series(name, history.epochs, history.column(name))]
    return line_chart(title, series, "epoch", label, log_y=log_y)


def _title(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def probe_section(records: Sequence[Mapping[str, Any]]) -> Section | None:
    """Gradients and updates of each layer over the steps; None where nothing was probed."""
    if not records:
        return None
    charts = [
        _layers(records, "gradient_std", "Gradients, by layer", "standard deviation"),
        _layers(records, "update_ratio", "Updates beside weights, by layer", "ratio of spreads"),
        _layers(records, "activation_std", "Activations, by layer", "standard deviation"),
        _layers(records, "saturated", "Saturated outputs, by layer", "share", log_y=False),
        _layers(records, "dead", "Dead units, by layer", "units", log_y=False),
    ]
    told = (
        "Gradients that differ by powers of ten from the first layer to the last vanish or explode;"
        " an update is about a thousandth of its weights when the learning rate suits them."
    )
    drawn = [c for c in charts if c is not None]
    return Section("Signals and gradients", paragraph(told, "note") + figures(drawn))


def _layers(
    records: Sequence[Mapping[str, Any]], key: str, title: str, label: str, log_y: bool = True
) -> str | None:
    steps = [number(r.get("step")) for r in records]
    found: dict[str, list[float]] = {}
    for at, record in enumerate(records):
        for layer in record["layers"]:
            if isinstance(layer, dict) and isinstance(layer.get(key), int | float):
                path = str(layer.get("path"))
                found.setdefault(path, [math.nan] * len(records))[at] = float(layer[key])
    if not found:
        return None
    shown = _spread(list(found), MOST_LAYERS)
    if len(shown) < len(found):
        title += f" ({len(shown)} of {len(found)})"
    series = [Series(path, steps, found[path]) for path in shown]
    return line_chart(title, series, "step", label, log_y=log_y)


def _spread(names: Sequence[str], most: int) -> list[str]:
    """The first, the last, and as many between them as there is room for."""
    if len(names) <= most:
        return list(names)
    return [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]
