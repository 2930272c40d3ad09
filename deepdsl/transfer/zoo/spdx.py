"""Licences as SPDX writes them."""

from __future__ import annotations

import re

# The ones that models are most often under; others are taken when they are well formed.
COMMON = tuple(
    word
    for line in (
        "0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BSD-2-Clause",
        "BSD-3-Clause BSL-1.0 CC-BY-4.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-SA-4.0 CC0-1.0 ECL-2.0",
        "EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later ISC",
        "LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-2.0 MS-PL",
        "NCSA OFL-1.1 PostgreSQL Unlicense UPL-1.0 WTFPL Zlib",
    )
    for word in line.split()
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\+?")
_JOIN = ("AND", "OR", "WITH")


def wrong_licence(text: str) -> tuple[str, str] | None:
    """What is wrong with an SPDX expression and how it is written, or None."""
    words = re.findall(r"[()]|[^\s()]+", text)
    depth, awaited = 0, True
    for word in words:
        if word == "(" and awaited:
            depth += 1
        elif word == ")" and not awaited and depth:
            depth -= 1
        elif word in _JOIN and not awaited:
            awaited = True
        elif awaited and word not in _JOIN and _ID.fullmatch(word):
            if (meant := _meant(word)) is not None:
                return f"SPDX has no licence `{word}`", f"did you mean `{meant}`?"
            awaited = False
        else:
            return _not_spdx(text)
    return _not_spdx(text) if depth or awaited else None


def _not_spdx(text: str) -> tuple[str, str]:
    meant = _meant(text)
    advice = f"did you mean `{meant}`?" if meant else "such as Apache-2.0, MIT, CC-BY-4.0"
    return f"`{text}` is no licence as SPDX writes it", advice


def _meant(text: str) -> str | None:
    """The common licence that is written otherwise here."""
    plain = _plain(text)
    return next((c for c in COMMON if _plain(c) == plain and c != text), None)


def _plain(text: str) -> str:
    word = re.sub(r"\b(the|licen[cs]e|version|v)\b", "", text.lower())
    word = re.sub(r"[^a-z0-9]", "", re.sub(r"\bv(?=\d)", "", word))
    return {"apache2": "apache20", "gplv3": "gpl30only", "bsd3": "bsd3clause"}.get(word, word)
