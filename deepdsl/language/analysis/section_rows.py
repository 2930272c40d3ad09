"""What the rows of all sections have in common: each is once, some name an entry of a registry,
and one that is unknown may belong elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from deepdsl.core.registry import lookup
from deepdsl.diagnostics.language.arguments import NotNamed
from deepdsl.diagnostics.language.names import SeveralRows
from deepdsl.diagnostics.vocabulary import advice
from deepdsl.language.analysis.arguments import bind_entry
from deepdsl.language.analysis.values import Environment
from deepdsl.language.syntax import ast

SPLITS = ("train", "valid", "test")


def once(rows: Sequence[ast.Row], env: Environment, many: frozenset[str]) -> Iterator[ast.Row]:
    """The rows; one that is a second time where it may not is reported and left out."""
    first: dict[str, ast.Row] = {}
    for row in rows:
        name = row.name.text
        if name in first and name not in many:
            env.say(SeveralRows(row.name.span, name, first[name].name.span))
            continue
        first.setdefault(name, row)
        yield row


def delegated(row: ast.Row, registry: str, env: Environment) -> Any:
    """A row whose first word names an entry of a registry, which takes the other arguments:
    `optimizer sgd lr=0.1`.
    """
    if not row.args:
        return env.say(NotNamed(row.name.span, row.name.text, registry, tuple(lookup(registry))))
    head = row.args[0]
    if isinstance(head, ast.Call) and len(row.args) == 1:
        return bind_entry(registry, head.name, head.args, env)
    if isinstance(head, ast.Path):
        return bind_entry(registry, ast.Name(head.text, span=head.span), row.args[1:], env)
    hint = ""
    if isinstance(head, ast.String):
        name = head.value if head.value in lookup(registry) else _format_of(head.value)
        bare = name if name == head.value else f"{name} {head.span.text}"
        hint = f"write `{row.name.text} {bare}`" if name else ""
    elif isinstance(head, ast.Keyword) and row.name.text in ("train", "test"):
        hint = advice("data", f"{row.name.text}_{head.name.text}")
    return env.say(NotNamed(head.span, row.name.text, registry, tuple(lookup(registry)), hint))


def _format_of(file: str) -> str:
    """The source that reads a file with such a name, or nothing."""
    suffix = "." + file.rpartition(".")[2].lower()
    return next((n for n, source in lookup("source").items() if suffix in source.suffixes), "")


def elsewhere(section: str, name: str) -> str:
    """Where a row belongs that this section does not have."""
    if hint := advice(section, name):
        return hint
    homes = {
        "data": (*SPLITS, "augment", *lookup("data_row"), *lookup("transform")),
        "train": ("loss", "metric", "optimizer", "schedule", *lookup("train_row")),
        "export": tuple(lookup("export_row")),
    }
    for home, rows in homes.items():
        if home != section and name in rows:
            return f"`{name}` is a row of {'an' if home == 'export' else 'a'} `{home}` section"
    return ""
