"""Text for markup: escaped, and without the characters that XML does not know."""

from __future__ import annotations

_TABLE = {
    **dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\ufffd"),
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}


def escape(text: object) -> str:
    """For the text of an element, or an attribute in double quotes."""
    # Half of a surrogate pair (a file name that is no UTF-8) cannot be written to a file.
    return str(text).encode("utf-8", "replace").decode().translate(_TABLE)
