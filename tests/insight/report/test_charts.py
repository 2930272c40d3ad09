"""Charts, tables and pages: well-formed, escaped, and right for every kind of number."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepdsl.insight.charts import (
    Mark,
    Section,
    Series,
    bar_chart,
    cards,
    code,
    figures,
    heat_table,
    line_chart,
    page,
    paragraph,
    table,
    text_bars,
    text_plot,
)
from deepdsl.insight.charts.axes import axis, shown
from deepdsl.insight.charts.svg import FONT, WIDTH

NAN, INF = float("nan"), float("inf")
SVG = "{http://www.w3.org/2000/svg}"
EPOCHS = list(range(1, 31))
NASTY = "a <b> & \"c\" 'd' \x00\ud800]]>"


def texts(chart: str) -> list[str]:
    return [t.text or "" for t in ET.fromstring(chart).iter(f"{SVG}text")]


def points(chart: str) -> list[list[tuple[float, float]]]:
    """The places of each line."""
    lines = ET.fromstring(chart).iter(f"{SVG}polyline")
    return [
        [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]  # type: ignore[misc]
        for line in lines
    ]


def check_svg(chart: str) -> ET.Element:
    """Well-formed, named, and all of it inside the picture."""
    root = ET.fromstring(chart)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    assert (left, top, width) == (0, 0, WIDTH)
    assert root.attrib["role"] == "img"
    assert root.find(f"{SVG}title") is not None
    assert (root.find(f"{SVG}desc").text or "").strip()  # type: ignore[union-attr]
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            if name in element.attrib:
                assert -1 <= float(element.attrib[name]) <= width + 1, element.attrib
        for name in ("y", "y1", "y2", "cy"):
            if name in element.attrib:
                assert -1 <= float(element.attrib[name]) <= height + 1, element.attrib
    return root


# Axes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1], "0.0 0.2 0.4 0.6 0.8 1.0"),
        ([0.3, 2.31], "0.0 0.5 1.0 1.5 2.0 2.5"),
        ([3, 3], "1 2 3 4 5"),
        ([0.003], "0.001 0.002 0.003 0.004 0.005"),
        ([0, 0], "-1.0 -0.5 0.0 0.5 1.0"),
        ([-5, 12_000], "-5,000 0 5,000 10,000 15,000"),
        ([1e-9, 3e-9], "1.0e-9 1.5e-9 2.0e-9 2.5e-9 3.0e-9"),
        ([1e9, 3e9], "1e9 1.5e9 2e9 2.5e9 3e9"),
        ([], "0.0 0.2 0.4 0.6 0.8 1.0"),
        ([NAN, INF], "0.0 0.2 0.4 0.6 0.8 1.0"),
    ],
)
def test_ticks_are_round(values: list[float], labels: str) -> None:
    made = axis(values)
    assert [float(x.replace(",", "")) for x in made.labels] == pytest.approx(
        [float(x.replace(",", "")) for x in labels.split()]
    )
    assert len(set(made.labels)) == len(made.labels)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1e-6, 10], [1e-6, 1e-4, 1e-2, 1, 100]),
        ([1e-3, 1], [1e-3, 1e-2, 1e-1, 1]),
        ([3, 40], [2, 5, 10, 20, 50]),
        ([2, 2], [1, 2, 5]),
        ([3, 3.1], [2, 5]),
        ([], [0.1, 0.2, 0.5, 1]),
        ([-1, 0, NAN], [0.1, 0.2, 0.5, 1]),
    ],
)
def test_ticks_of_a_logarithmic_axis(values: list[float], ticks: list[float]) -> None:
    made = axis(values, log=True)
    assert made.ticks == pytest.approx(ticks)
    assert made.place(made.low) == 0
    assert made.place(made.high) == 1


def test_a_tight_axis_ends_at_its_values() -> None:
    made = axis([1, 30], tight=True)
    assert (made.low, made.high) == (1, 30)
    assert made.labels == ("10", "20", "30")
    assert axis([1, 2], tight=True).labels == ("1", "2")
    assert axis([4], tight=True).labels == ("3", "4", "5")
    far = axis([3e-6, 40.0], log=True, tight=True)
    assert (far.low, far.high) == (3e-6, 40.0)
    assert all(3e-6 <= t <= 40 for t in far.ticks)


@given(st.lists(st.floats(), max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_any_numbers_have_an_axis(values: list[float], log: bool, zero: bool, tight: bool) -> None:
    made = axis(values, log, zero=zero, tight=tight)
    assert made.low < made.high
    assert 2 <= len(made.ticks) <= 16
    assert list(made.ticks) == sorted(set(made.ticks))
    for value in values:
        if abs(value) <= 1e300 and (not log or value >= 1e-300):
            assert -1e-9 <= made.place(value) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.03124, "0.0312"),
        (12_499, "12,500"),
        (1e-7, "1e-7"),
        (1.2345e12, "1.23e12"),
        (999.9, "1,000"),
        (-2.5, "-2.5"),
        (NAN, "NaN"),
        (-INF, "-inf"),
    ],
)
def test_numbers_are_shown_short(value: float, text: str) -> None:
    assert shown(value) == text


# Line charts --------------------------------------------------------------------------------------


def test_a_line_chart_has_axes_legend_and_marks() -> None:
    chart = line_chart(
        "Loss",
        [Series("train", EPOCHS, [1 / e for e in EPOCHS]), Series("valid", EPOCHS, EPOCHS)],
        "epoch",
        "loss",
        marks=[Mark(17, "best: epoch 17")],
    )
    root = check_svg(chart)
    assert {"Loss", "epoch", "loss", "train", "valid", "best: epoch 17"} <= set(texts(chart))
    assert {"10", "20", "30"} <= set(texts(chart))
    told = root.find(f"{SVG}desc").text or ""  # type: ignore[union-attr]
    assert "train: from 1 to 0.0333, between 0.0333 and 1" in told
    # Lines are told apart without colours too.
    lines = [p for p in root.iter(f"{SVG}polyline") if len(p.attrib["points"].split()) > 2]
    assert len({p.attrib.get("stroke-dasharray") for p in lines}) == 2
    assert len({p.attrib["stroke"] for p in lines}) == 2


def test_points_stand_where_their_values_are() -> None:
    chart = line_chart("t", [Series("s", [0, 5, 10], [0.0, 1.0, 0.5])], "x", "y")
    ((a, b, c),) = points(chart)
    assert b[0] - a[0] == pytest.approx(c[0] - b[0], abs=0.2)
    assert a[1] - c[1] == pytest.approx((a[1] - b[1]) / 2, abs=0.2)
    assert a[1] > c[1] > b[1]  # upwards is less in SVG


def test_a_logarithmic_axis_spaces_decades_evenly() -> None:
    x = [1e-6, 1e-4, 1e-2]
    ((a, b, c),) = points(line_chart("t", [Series("s", x, x)], "x", "y", log_x=True, log_y=True))
    assert b[0] - a[0] == pytest.approx(c[0] - b[0], abs=0.2)
    assert a[1] - b[1] == pytest.approx(b[1] - c[1], abs=0.2)


def test_what_is_not_finite_leaves_a_gap_and_is_counted() -> None:
    chart = line_chart("t", [Series("s", EPOCHS, [1.0] * 10 + [NAN, INF] + [2.0] * 18)], "x", "y")
    assert [len(line) for line in points(chart)] == [10, 18]
    assert "not drawn: 2 of 30 are not finite" in texts(chart)
    logarithmic = line_chart("t", [Series("s", [1, 2, 3], [0, -1, 5])], "x", "y", log_y=True)
    assert "not drawn: 2 of 3 are not finite or not above 0" in texts(logarithmic)
    capped = line_chart("t", [Series("s", [1, 2, 3], [1, 2, 99])], "x", "y", y_most=3.0)
    assert "not drawn: 1 of 3 are not finite or above 3" in texts(capped)


@pytest.mark.parametrize(
    "series", [[], [Series("s", [], [])], [Series("s", [1, 2], [NAN, NAN])]], ids=str
)
def test_a_chart_without_values_says_so(series: list[Series]) -> None:
    chart = line_chart("t", series, "x", "y", marks=[Mark(NAN, "gone")])
    check_svg(chart)
    assert "no values" in texts(chart)
    assert "gone" not in texts(chart)


def test_one_point_is_a_dot() -> None:
    root = check_svg(line_chart("t", [Series("s", [1], [0.5])], "x", "y"))
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_a_lone_point_between_gaps_is_a_dot() -> None:
    values = [1.0, NAN, 2.0, NAN] + [3.0] * 26
    root = check_svg(line_chart("t", [Series("s", EPOCHS, values)], "x", "y"))
    assert len(list(root.iter(f"{SVG}circle"))) == 2


def test_very_many_points_keep_their_peaks() -> None:
    values = [0.0] * 100_000
    values[54_321] = 7.0
    chart = line_chart("t", [Series("s", range(100_000), values)], "x", "y")
    assert len(chart) < 40_000
    (line,) = points(chart)
    assert min(y for _, y in line) < max(y for _, y in line) - 100


def test_texts_are_escaped() -> None:
    for made in (
        line_chart(NASTY, [Series(NASTY, [1], [1]), Series("b", [1], [1])], NASTY, NASTY),
        bar_chart(NASTY, [NASTY], {NASTY: [1.0], "b": [2.0]}, x_label=NASTY),
        heat_table(NASTY, [NASTY], [[1]], rows=NASTY, columns=NASTY),
        table([NASTY], [[NASTY]], caption=NASTY),
        cards({NASTY: NASTY}),
        code(NASTY),
        paragraph(NASTY),
    ):
        ET.fromstring(made)
        assert "<b>" not in made
        assert "\x00" not in made


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=20),
    st.booleans(),
    st.booleans(),
    st.text(max_size=30),
)
def test_any_values_make_a_chart(
    values: list[tuple[float, float]], log_x: bool, log_y: bool, name: str
) -> None:
    series = [Series(name, [x for x, _ in values], [y for _, y in values])]
    chart = line_chart("t", series * 2, "x", "y", log_x=log_x, log_y=log_y)
    check_svg(chart)
    for line in points(chart):
        assert all(math.isfinite(v) for place in line for v in place)


# Bars, tables, pages ------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_values() -> None:
    chart = bar_chart("t", ["a", "b", "c"], [1.0, 2.0, -1.0], x_label="std")
    root = check_svg(chart)
    widths = [float(r.attrib["width"]) for r in root.iter(f"{SVG}rect")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.3)
    assert widths[2] == pytest.approx(widths[0], abs=0.3)
    assert {"a", "b", "c", "std", "1", "2", "-1"} <= set(texts(chart))


def test_groups_of_bars_have_a_legend() -> None:
    layers = [f"body.stage_{i}.residual.conv" for i in range(4)]
    made = {"measured": [1, NAN, 3, 0], "predicted": [1, 2, 3, 4]}
    root = check_svg(bar_chart("t", layers, made))
    told = {t.text for t in root.iter(f"{SVG}text")}
    assert {*layers, "measured", "predicted", "NaN"} <= told


def test_logarithmic_bars_are_dots() -> None:
    root = check_svg(bar_chart("t", ["a", "b", "c"], [1e-12, 0.0, 1.0], log=True))
    assert len(list(root.iter(f"{SVG}circle"))) == 2
    assert check_svg(bar_chart("t", [], [])) is not None


def test_a_heat_table_shades_shares() -> None:
    made = heat_table("valid", ["cat", "dog"], [[9, 1], [0, 0]])
    root = ET.fromstring(made)
    cells = list(root.iter("td"))
    assert [c.text for c in cells] == ["9", "1", "0", "0"]
    assert [c.attrib.get("style") for c in cells[:2]] == ["--share:0.90", "--share:0.15"]
    assert "style" not in cells[2].attrib
    assert ["hit" in c.attrib["class"] for c in cells] == [True, False, False, True]


def test_a_page_stands_alone() -> None:
    chart = line_chart("t", [Series("s", [1, 2], [1, 2])], "x", "y")
    made = page(
        NASTY, [Section("A", figures([chart, chart]), folded=True), ("B", paragraph("b"))], "<hr/>"
    )
    assert made.startswith("<!DOCTYPE html>")
    root = ET.fromstring(made.split("\n", 1)[1])
    tags = {e.tag.rpartition("}")[2] for e in root.iter()}
    assert not tags & {"script", "link", "img", "iframe", "object", "base", "a"}
    assert "default-src 'none'" in made
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import", made)
    assert "prefers-color-scheme" in made
    assert "@media print" in made
    # Every class that is used is in the style sheet.
    used = {c for e in root.iter() for c in e.attrib.get("class", "").split()} - {"chart"}
    assert all(f".{name}" in made for name in used)


def test_text_is_large_enough_for_a_telephone() -> None:
    assert FONT * (400 - 32) / WIDTH >= 10


# For the terminal ---------------------------------------------------------------------------------


def test_bars_of_text() -> None:
    made = text_bars(["a", "long"], [1.0, 2.0], width=30).splitlines()
    assert made == [f"a     {'█' * 10 + '▌':21}  1", f"long  {'█' * 21}  2"]
    assert text_bars([], []) == ""
    assert "NaN" in text_bars(["x"], [NAN])


@given(st.lists(st.floats(), max_size=5), st.integers(20, 100), st.booleans())
def test_bars_of_text_fit(values: list[float], width: int, log: bool) -> None:
    made = text_bars(["layer"] * len(values), values, width, log)
    assert all(len(line) <= max(width, 5 + 8 + 12 + 4) for line in made.splitlines())


def test_a_plot_of_text() -> None:
    x = [10.0**i for i in range(-6, 2)]
    lines = text_plot(x, [2.0] * 4 + [1.0, 0.0, 1.0, 2.0], width=43, height=5, log_x=True, mark=0.1)
    shown_lines = lines.splitlines()
    assert len(shown_lines) == 7
    assert shown_lines[0].startswith("2.0 ┤•     •     •     •")
    assert shown_lines[0].rstrip().endswith("•")
    assert shown_lines[5][5:].index("^") == 30
    assert shown_lines[6].split() == ["1e-6", "1e-4", "0.01", "1"]


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=9), st.booleans(), st.floats())
def test_any_values_make_a_plot(
    values: list[tuple[float, float]], log_x: bool, mark: float
) -> None:
    made = text_plot([x for x, _ in values], [y for _, y in values], log_x=log_x, mark=mark)
    assert len(made.splitlines()) == 14
