"""A self-contained page, and what builds on it beside charts.

Every function takes plain text and gives markup; only `Section.body`, `page` and `figures` take
markup that was made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from deepdsl.insight.charts.axes import shown
from deepdsl.insight.charts.escape import escape


class Section(NamedTuple):
    """A heading (text) and what is under it (markup); `folded` shows it on a click."""

    heading: str
    body: str
    folded: bool = False


def page(title: str, sections: Sequence[Section | tuple[str, str]], lead: str = "") -> str:
    """A whole page with its style sheet inside; it loads nothing and runs no script.

    `lead` is markup between the title and the first section.
    """
    body = "\n".join(_section(Section(*s)) for s in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        # The page could load nothing even if a text in it tried to.
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="color-scheme" content="light dark"/>\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{lead}\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.heading)}</h2>"
    if section.folded:
        inside = f"<details><summary>{heading}</summary>\n{section.body}\n</details>"
        return f"<section>{inside}</section>"
    return f"<section>{heading}\n{section.body}\n</section>"


def paragraph(text: str, look: str = "") -> str:
    """A paragraph; `look` is `note` or `warning`."""
    return f"<p{_class(look)}>{escape(text)}</p>"


def code(text: str) -> str:
    """A text as is, lines and blanks kept."""
    return f"<pre><code>{escape(text)}</code></pre>"


def figures(charts: Iterable[str]) -> str:
    """Charts side by side where there is room."""
    return f'<div class="figures">{"".join(f"<figure>{c}</figure>" for c in charts)}</div>'


def cards(values: Mapping[str, str]) -> str:
    """A few figures in large letters, with what they are."""
    made = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in values.items()
    )
    return f'<dl class="cards">{made}</dl>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = (), caption: str = ""
) -> str:
    """Rows under a head; the columns in `right` are flush right."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{_class('right' if i in right else '')}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(row)
        )

    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    top = f"<thead><tr>{cells(head, 'th')}</tr></thead>" if head else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table>{told}{top}<tbody>{body}</tbody></table></div>'


def heat_table(
    title: str,
    labels: Sequence[str],
    matrix: Sequence[Sequence[float]],
    *,
    rows: str = "true",
    columns: str = "predicted",
) -> str:
    """A square matrix as a table whose cells are shaded by their share of their row; the diagonal
    has a colour of its own.
    """
    head = "".join(f'<th scope="col" class="right">{escape(label)}</th>' for label in labels)
    body = []
    for i, (label, row) in enumerate(zip(labels, matrix, strict=True)):
        total = sum(v for v in row if v == v)
        made = [
            f'<td class="right{" hit" if i == j else " miss"}"{_shade(value, total)}>'
            f"{escape(shown(value, 6))}</td>"
            for j, value in enumerate(row)
        ]
        body.append(f'<tr><th scope="row" class="right">{escape(label)}</th>{"".join(made)}</tr>')
    corner = f'<th class="muted">{escape(f"{rows} ↓  {columns} →")}</th>'
    return (
        f'<div class="wide"><table class="heat"><caption>{escape(title)}</caption>'
        f"<thead><tr>{corner}{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _shade(value: float, total: float) -> str:
    """How strongly a cell is coloured, up to where its figure can still be read; 0 is left out."""
    share = value / total if total > 0 and value == value else 0.0
    return f' style="--share:{max(0.15, share):.2f}"' if share > 0 else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


STYLE = """
:root{--paper:#fff;--ink:#1c2126;--muted:#57606a;--rule:#d8dee4;--soft:#f5f7f9;--accent:#0072b2;
--hit:0,114,178;--miss:213,94,0}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e3e8ed;--muted:#9aa5b1;
--rule:#333b44;--soft:#1d2329;--accent:#6cb8ee;--hit:60,150,215;--miss:230,120,40}
.c0{stroke:#56b4e9}.f0{fill:#56b4e9}.c1{stroke:#f08a3c}.f1{fill:#f08a3c}
.c2{stroke:#2fc79a}.f2{fill:#2fc79a}.c3{stroke:#dd8fc3}.f3{fill:#dd8fc3}
.c4{stroke:#e6c13c}.f4{fill:#e6c13c}.c5{stroke:#9ad0f5}.f5{fill:#9ad0f5}
.c6{stroke:#b5b5b5}.f6{fill:#b5b5b5}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.6rem;line-height:1.2;margin:.2em 0 .4em;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:0 0 .6em;padding-bottom:.25em;border-bottom:1px solid var(--rule)}
section{margin-top:2em}
p{max-width:75ch;margin:.5em 0}
.note{color:var(--muted)}
.warning{border-left:4px solid #d55e00;padding:.3em .8em;background:var(--soft)}
.figures{display:grid;gap:26px 30px;
grid-template-columns:repeat(auto-fit,minmax(min(100%,350px),1fr))}
.figures>*{min-width:0}
figure{margin:0;max-width:540px}
figure.model{max-width:none;margin-bottom:18px}
figure.model+.wide td:first-child{overflow-wrap:anywhere;min-width:8em}
svg{width:100%;height:auto;display:block}
.cards{display:flex;flex-wrap:wrap;gap:10px;margin:1em 0 0}
.cards div{background:var(--soft);border:1px solid var(--rule);border-radius:6px;padding:8px 14px}
.cards dt{color:var(--muted);font-size:.82rem}
.cards dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;margin:.6em 0}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.4em}
th,td{padding:3px 10px;text-align:left;border-bottom:1px solid var(--rule);vertical-align:top}
thead th{color:var(--muted);font-weight:600}
.right{text-align:right}
.muted{color:var(--muted);font-weight:400;white-space:nowrap}
.heat td,.heat th{padding:3px 7px;border:1px solid var(--paper)}
.hit{background:rgba(var(--hit),calc(var(--share,0)*.55))}
.miss{background:rgba(var(--miss),var(--share,0))}
pre{background:var(--soft);border:1px solid var(--rule);border-radius:6px;padding:10px 12px;
overflow-x:auto;font-size:.84rem;line-height:1.45}
summary{cursor:pointer}summary h2{display:inline-block;border:0;margin:0}
@media (max-width:600px){.heat td,.heat th{padding:2px 4px;font-size:.8rem}
.heat .muted{white-space:normal}}
@media print{:root{--paper:#fff;--ink:#000;--muted:#444;--rule:#bbb;--soft:#fff}
body{font-size:10pt}.figures{grid-template-columns:1fr 1fr;gap:14px}
section{break-inside:auto}figure,tr,svg{break-inside:avoid}
pre{white-space:pre-wrap;overflow-wrap:anywhere}.wide{overflow:visible}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".strip()
