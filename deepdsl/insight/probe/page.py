"""A probe as a table, as bars for a terminal, and as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.insight.charts import (
    Section,
    bar_chart,
    cards,
    figures,
    page,
    paragraph,
    table,
    text_bars,
)
from deepdsl.insight.probe import Expected, Probe, ProbedLayer

HEAD = (
    "layer",
    "mean",
    "std",
    "predicted",
    "gradient std",
    "predicted",
    "saturated",
    "dead",
    "update/weight",
)


def table_rows(probe: Probe) -> list[list[str]]:
    """The layers with what was measured of each, and beside it what was predicted."""
    theory = "at the start" if probe.trained else "predicted"
    rows = [[theory if word == "predicted" else word for word in HEAD]]
    for layer, told in zip(probe.layers, probe.predicted, strict=True):
        rows.append(
            [
                layer.path,
                _number(layer.activation_mean),
                _number(layer.activation_std),
                _number(told.activation_std),
                _number(layer.gradient_std),
                _number(told.gradient_std),
                "" if layer.saturated is None else f"{layer.saturated:.1%}",
                "" if layer.dead is None else f"{layer.dead}/{layer.units}",
                _number(layer.update_ratio),
            ]
        )
    return rows


def summary(probe: Probe) -> str:
    """What the figures come to, in a line or two."""
    lines = []
    if probe.measured_ratio is not None:
        told = _number(probe.predicted_ratio) or "not known"
        which = "predicted for the start:" if probe.trained else "predicted"
        lines.append(
            f"gradient at the first layer over that at the last: {_number(probe.measured_ratio)}"
            f" ({which} {told})"
        )
    dead = sum(layer.dead or 0 for layer in probe.layers)
    units = sum(layer.units or 0 for layer in probe.layers)
    if units:
        lines.append(f"dead units: {dead} of {units} are 0 on every row")
    if probe.not_predicted:
        lines.append(f"nothing is predicted after `{probe.not_predicted}`")
    return "\n".join(lines)


def bars(probe: Probe, width: int) -> str:
    """The gradient's spread, layer by layer, on a logarithmic scale."""
    layers = _with_gradient(probe)
    if not layers:
        return ""
    drawn = text_bars(
        [layer.path for layer in layers],
        [layer.gradient_std or 0.0 for layer in layers],
        width,
        True,
    )
    return f"gradient std, logarithmic\n{drawn}"


def render(probe: Probe, title: str) -> str:
    """The whole page."""
    pairs = list(zip(probe.layers, probe.predicted, strict=True))
    theory = "at the start" if probe.trained else "predicted"
    sections = [
        Section(
            "Signals and gradients",
            figures([_activations(pairs, theory), _gradients(pairs, theory)]),
        ),
    ]
    sections += _saturation(probe.layers)
    updates = [layer for layer in probe.layers if layer.update_ratio is not None]
    if updates:
        chart = bar_chart(
            "Spread of the next update over that of the weights",
            [layer.path for layer in updates],
            [_or_nan(layer.update_ratio) for layer in updates],
            log=True,
            x_label="ratio; about 0.001 is usual",
        )
        sections.append(Section("Updates", figures([chart])))
    head, *rows = table_rows(probe)
    sections.append(Section("Figures", table(head, rows)))
    facts = {"rows": f"{probe.rows:,}", "layers": str(len(probe.layers))}
    if probe.measured_ratio is not None:
        facts["first over last gradient"] = _number(probe.measured_ratio)
    if probe.predicted_ratio is not None:
        facts["predicted"] = _number(probe.predicted_ratio)
    lead = cards(facts) + "".join(paragraph(line) for line in summary(probe).splitlines())
    return page(title, sections, lead)


def _activations(pairs: Sequence[tuple[ProbedLayer, Expected]], theory: str) -> str:
    known = [pair for pair in pairs if pair[1].activation_std is not None] or pairs
    return bar_chart(
        "Standard deviation of each layer's output",
        [layer.path for layer, _ in known],
        {
            "measured": [layer.activation_std for layer, _ in known],
            theory: [_or_nan(told.activation_std) for _, told in known],
        },
        log=True,
        x_label="standard deviation",
    )


def _gradients(pairs: Sequence[tuple[ProbedLayer, Expected]], theory: str) -> str:
    kept = [(layer, told) for layer, told in pairs if layer.gradient_std is not None]
    if not kept:
        return paragraph("no gradient arrives at any layer")
    return bar_chart(
        "Standard deviation of the gradient at each layer's output",
        [layer.path for layer, _ in kept],
        {
            "measured": [_or_nan(layer.gradient_std) for layer, _ in kept],
            theory: [_or_nan(told.gradient_std) for _, told in kept],
        },
        log=True,
        x_label="standard deviation",
    )


def _saturation(layers: Sequence[ProbedLayer]) -> list[Section]:
    out = []
    near = [layer for layer in layers if layer.saturated is not None]
    if near:
        chart = bar_chart(
            "Share of outputs near a bound of the activation",
            [layer.path for layer in near],
            [100 * _or_nan(layer.saturated) for layer in near],
            x_label="percent",
        )
        out.append(Section("Saturated units", figures([chart])))
    counted = [layer for layer in layers if layer.units]
    if any(layer.dead for layer in counted):
        chart = bar_chart(
            "Units that are 0 on every row",
            [layer.path for layer in counted],
            [100 * (layer.dead or 0) / (layer.units or 1) for layer in counted],
            x_label="percent of the layer's units",
        )
        out.append(Section("Dead units", figures([chart])))
    return out


def _with_gradient(probe: Probe) -> list[ProbedLayer]:
    return [layer for layer in probe.layers if layer.gradient_std]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
