"""Licences as SPDX writes them."""

from __future__ import annotations

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

# The ones that models are most often under, for suggestions.
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


def wrong_licence(text: str) -> tuple[str, str] | None:
    """What is wrong with an SPDX expression and how it is written, or None."""
    try:
        written = canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        meant = _meant(text)
        advice = f"did you mean `{meant}`?" if meant else "such as Apache-2.0, MIT, CC-BY-4.0"
        return f"`{text}` is not a licence expression of SPDX", advice
    if written != text:
        return f"SPDX does not write `{text}`", f"did you mean `{written}`?"
    return None


def _meant(text: str) -> str | None:
    """The common licence that is written otherwise here."""
    plain = _plain(text)
    return next((c for c in COMMON if _plain(c) == plain and c != text), None)


def _plain(text: str) -> str:
    word = re.sub(r"\b(the|licen[cs]e|version|v)\b", "", text.lower())
    word = re.sub(r"[^a-z0-9]", "", re.sub(r"\bv(?=\d)", "", word))
    return {"apache2": "apache20", "gplv3": "gpl30only", "bsd3": "bsd3clause"}.get(word, word)
