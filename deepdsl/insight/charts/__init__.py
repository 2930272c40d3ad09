"""Charts as inline SVG, tables and pages as HTML, bars and curves as text: no library, no network.

What is made here is well-formed XML, follows the reader's light or dark scheme on a `page`, and is
readable without colours, in a narrow window and on paper.
"""

from deepdsl.insight.charts.html import (
    Section,
    cards,
    code,
    figures,
    heat_table,
    page,
    paragraph,
    table,
)
from deepdsl.insight.charts.svg import Mark, Series, bar_chart, line_chart
from deepdsl.insight.charts.text import text_bars, text_plot

__all__ = [
    "Mark",
    "Section",
    "Series",
    "bar_chart",
    "cards",
    "code",
    "figures",
    "heat_table",
    "line_chart",
    "page",
    "paragraph",
    "table",
    "text_bars",
    "text_plot",
]
